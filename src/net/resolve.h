/* SPDX-License-Identifier: MIT
 *
 * resolve.h - from a name to addresses, never blocking.
 *
 *     literal          answered at once
 *     localhost, *.localhost
 *                      at once: loopback addresses of the hosts file, else
 *                      127.0.0.1 and ::1 (RFC 6761, 6.3)
 *     hosts file       at once
 *     cache            at once: what DNS said and still holds
 *     DNS              net/dns
 *
 * The search list is walked here, one absolute candidate at a time with A and
 * AAAA in parallel. The first candidate with addresses of either family wins;
 * only the certain answer that a candidate does not exist or has no addresses
 * leads to the next, so that a server in trouble never sends us to another
 * host than usual. A lookup in flight is shared by all who ask for the same
 * name; what it finds, also that there is nothing, is kept for a while.
 *
 * A hook may take the place of hosts file, cache and DNS: it is asked for both
 * families at once and may answer when it likes.
 *
 * When resolv.conf changes (it is looked at once a second at most, when a name
 * is asked for) the next names are asked under the new configuration; what is
 * under way ends under the old one. One that cannot be used is passed over.
 *
 * It opens no connection.
 */
#ifndef MS_NET_RESOLVE_H
#define MS_NET_RESOLVE_H

#include "net/addr.h"
#include "net/loop.h"
#include "net/resolve_hook.h"

struct ms_resolver;
struct ms_lookup;

/* One who waits for a name; embedded in the party, its node initialised with
 * ms_list_init() and the rest zero but for the callbacks. The callbacks may
 * call anything here, ms_resolver_free() too once nobody waits. */
/* What an asker wants to know; nothing is asked that nobody wants. */
enum ms_families {
    MS_RESOLVE_BOTH,
    MS_RESOLVE_V4,
    MS_RESOLVE_V6,
};

struct ms_asker {
    struct ms_list node;      /* on the lookup's list */
    struct ms_lookup *lookup; /* NULL while it waits for nothing */
    /* What is known without asking may be of the other family as well. */
    enum ms_families families;

    /* Addresses, in the order to try them, without ports: between 1 and
     * MS_DNS_MAX_ADDRESSES, valid during the call. Called once or twice: A and
     * AAAA are handed on as they come. */
    void (*on_addresses)(struct ms_asker *a, const struct ms_addr *list,
                         size_t count);
    /* No more will come. An error only when there were no addresses at all:
     * MS_EHOST, MS_ERESOLVE, MS_ETIMEOUT, MS_ENOMEM, MS_ECALLBACK (the host
     * refused to watch the resolver's socket). The asker is free to go or to
     * ask again. */
    void (*on_done)(struct ms_asker *a, ms_err err);
};

struct ms_resolver_config {
    const char *hosts_file;  /* NULL: /etc/hosts */
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
    const char *servers;     /* "ip[:port],..."; NULL: those of resolv_conf */
    int timeout_ms;          /* of the first try, later ones double; 0: 2000 */
    int tries;               /* per server; 0: 3 */
    int cache_ms; /* no answer is kept longer; 0: an hour, -1: none is */
    struct ms_resolve_hook *hook; /* referred to; NULL: hosts file and DNS */
    uint64_t first_question;      /* number of the hook's first one */
};

/* `config` may be NULL for the defaults; it is copied. DNS is set up at the
 * first name that needs it. MS_ENOMEM. */
ms_err ms_resolver_new(struct ms_resolver **out, struct ms_loop *loop,
                       const struct ms_resolver_config *config) MS_MUST_CHECK;

/* No asker may be waiting. Its sockets are closed by the next flush; the rest
 * is buried. NULL is allowed. */
void ms_resolver_free(struct ms_resolver *r);

/* Asks for `host`, a name or a literal, inside a loop entry. May call back
 * before it returns. MS_ENOMEM, MS_ERESOLVE (DNS could not be set up): no
 * callback comes. */
ms_err ms_resolve_start(struct ms_resolver *r, struct ms_asker *a,
                        struct ms_span host) MS_MUST_CHECK;

/* No callback comes after this. The lookup goes on for the others, or to its
 * end when there are none. Harmless for an asker that waits for nothing. */
void ms_resolve_cancel(struct ms_asker *a);

/* Another network may have other servers and other answers: the next name
 * begins anew, inside a loop entry. Lookups under way go on. */
void ms_resolver_network_changed(struct ms_resolver *r);

/* The answer to a question of the hook's: addresses of any family, ports do
 * not count, or why there are none. Inside a loop entry. False: nobody waits
 * for it any more, or never did. */
bool ms_resolver_answer(struct ms_resolver *r, uint64_t question,
                        const struct ms_addr *list, size_t count, ms_err err);

/* Made with an equal configuration. */
bool ms_resolver_is_for(const struct ms_resolver *r,
                        const struct ms_resolver_config *config);

/* No lookup is under way. */
bool ms_resolver_is_idle(const struct ms_resolver *r);

/* Names asked of DNS, ever. */
uint64_t ms_resolver_lookups(const struct ms_resolver *r);

#endif
