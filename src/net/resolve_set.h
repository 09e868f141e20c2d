/* SPDX-License-Identifier: MIT
 *
 * resolve_set.h - resolvers by what they were configured with.
 *
 * Nearly everybody is content with one. Whoever asks for other servers or
 * other timeouts gets a resolver that is shared by all who ask for the same,
 * with a cache of its own: what one server says is nothing to those who asked
 * for another one.
 */
#ifndef MS_NET_RESOLVE_SET_H
#define MS_NET_RESOLVE_SET_H

#include "net/resolve.h"

/* Besides those in use. A program has a few configurations; one that makes
 * them up for every request must not fill the memory. */
#define MS_RESOLVERS_MAX 8u

/* For embedding; the fields are the module's own. */
struct ms_resolve_set {
    struct ms_loop *loop;
    struct ms_list all; /* of struct member, the one not used longest first */
    unsigned count;
    uint32_t made;    /* so far */
    uint64_t lookups; /* of resolvers that are gone */
};

void ms_resolve_set_init(struct ms_resolve_set *s, struct ms_loop *loop);

/* Nobody may be waiting for an answer. The set can go on to be used. */
void ms_resolve_set_close(struct ms_resolve_set *s);

/* The resolver for `config`; NULL is that of the defaults. Good until the
 * next call unless somebody waits for it. MS_ENOMEM. */
ms_err ms_resolve_set_get(struct ms_resolve_set *s,
                          const struct ms_resolver_config *config,
                          struct ms_resolver **out) MS_MUST_CHECK;

/* All of them begin anew, inside a loop entry. */
void ms_resolve_set_network_changed(struct ms_resolve_set *s);

/* As ms_resolver_answer(), for whichever asked. */
bool ms_resolve_set_answer(struct ms_resolve_set *s, uint64_t question,
                           const struct ms_addr *list, size_t count,
                           ms_err err);

/* Names asked of DNS, ever. */
uint64_t ms_resolve_set_lookups(const struct ms_resolve_set *s);

#endif
