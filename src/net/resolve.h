/* SPDX-License-Identifier: MIT
 *
 * resolve.h - from a name to addresses, never blocking.
 *
 * Literals and `localhost` are answered at once, then the hosts file, then
 * DNS through c-ares, whose sockets are tracked like all others. The search
 * list is walked here, one absolute candidate at a time with A and AAAA in
 * parallel; a lookup in flight is shared by all who ask for the same name.
 * It opens no connection and keeps no cache.
 */
#ifndef MS_NET_RESOLVE_H
#define MS_NET_RESOLVE_H

#include "net/addr.h"
#include "net/loop.h"

struct ms_resolver;
struct ms_lookup;

/* One who waits for a name; embedded in the party. */
struct ms_asker {
    struct ms_list node;      /* on the lookup's list */
    struct ms_lookup *lookup; /* NULL while it waits for nothing */

    /* Addresses, in the order to try them, without ports. Called once or
     * twice: A and AAAA are handed on as they come. */
    void (*on_addresses)(struct ms_asker *a, const struct ms_addr *list,
                         size_t count);
    /* No more will come. An error only when there were no addresses at all:
     * MS_EHOST, MS_ERESOLVE, MS_ETIMEOUT, MS_ENOMEM. The asker is free to go
     * or to ask again. */
    void (*on_done)(struct ms_asker *a, ms_err err);
};

struct ms_resolver_config {
    const char *hosts_file;  /* NULL: /etc/hosts */
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
    const char *servers;     /* "ip[:port],..."; NULL: those of resolv_conf */
    int timeout_ms;          /* of the first try; 0: 2000 */
    int tries;               /* 0: 3 */
};

/* `config` may be NULL for the defaults; it is copied. c-ares is set up at the
 * first name that needs it. MS_ENOMEM. */
ms_err ms_resolver_new(struct ms_resolver **out, struct ms_loop *loop,
                       const struct ms_resolver_config *config) MS_MUST_CHECK;

/* No asker may be waiting. Its sockets are closed by the next flush; the rest
 * is buried. NULL is allowed. */
void ms_resolver_free(struct ms_resolver *r);

/* Asks for `host` (a name or a literal, in lower case). May call back before
 * it returns. MS_ENOMEM, MS_ERESOLVE: no callback comes. */
ms_err ms_resolve_start(struct ms_resolver *r, struct ms_asker *a,
                        struct ms_span host) MS_MUST_CHECK;

/* No callback comes after this. The lookup goes on for the others. */
void ms_resolve_cancel(struct ms_asker *a);

/* Names asked of DNS, ever. */
uint64_t ms_resolver_lookups(const struct ms_resolver *r);

#endif
