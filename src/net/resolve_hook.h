/* SPDX-License-Identifier: MIT
 *
 * resolve_hook.h - asking the program for addresses instead of DNS.
 *
 * To the resolver this is what net/dns is: questions of one family, each
 * answered once, from a task. The program may answer inside the question, at
 * any time later, or never.
 */
#ifndef MS_NET_RESOLVE_HOOK_H
#define MS_NET_RESOLVE_HOOK_H

#include "net/dns.h"

struct ms_resolve_hook {
    unsigned refs;
    ms_resolver_cb *ask;
    void *user;
    const void *identity; /* equal for hooks that do the same */
    void (*release)(void *user);
};

/* Both take NULL. */
struct ms_resolve_hook *ms_resolve_hook_ref(struct ms_resolve_hook *h);
void ms_resolve_hook_unref(struct ms_resolve_hook *h);

struct ms_hooked;

/* Questions are numbered from `first` on. Refers to `hook`. MS_ENOMEM. */
ms_err ms_hooked_open(struct ms_hooked **out, struct ms_loop *loop,
                      struct ms_resolve_hook *hook, uint64_t first,
                      ms_dns_answer_cb *on_answer) MS_MUST_CHECK;

/* No answer comes after this; the rest is buried. NULL is allowed. */
void ms_hooked_close(struct ms_hooked *h);

/* As ms_dns_ask(), without the dot. Calls the program. */
ms_err ms_hooked_ask(struct ms_hooked *h, const char *name, sa_family_t family,
                     void *user) MS_MUST_CHECK;

/* The program's answer to `question`, inside a loop entry: addresses, of which
 * those of the family count, or why there are none. False: that question was
 * answered before, or never asked. */
bool ms_hooked_answer(struct ms_hooked *h, uint64_t question,
                      const struct ms_addr *list, size_t count, ms_err err);

#endif
