/* SPDX-License-Identifier: MIT
 *
 * dial.h - from a host and port to a connected socket: Happy Eyeballs
 * (RFC 8305).
 *
 * Asks the resolver and tries the addresses it hands on, families taking
 * turns. What worked last for this name begins, otherwise what RFC 6724 says
 * of the addresses (net/dial_queue.h) and IPv6 while nothing is known; when
 * only the other one was answered, it is given a moment to come. The next
 * attempt starts at once when one fails, or after a delay while one is still
 * pending. The first to connect wins, the others are forgotten, then closed. It
 * has no timeout of its own.
 *
 * A route may send it elsewhere: to another host, to given addresses, to a
 * Unix socket. What the route does not allow is not connected to, whatever
 * name led there; that is asked about the address connect() is given.
 */
#ifndef MS_NET_DIAL_H
#define MS_NET_DIAL_H

#include "net/dial_history.h"
#include "net/resolve.h"
#include "net/route.h"

/* RFC 8305, 8: how long the preferred family is waited for once the other
 * one is known. */
#define MS_DIAL_RESOLUTION_DELAY_MS 50

/* How soon a Unix socket whose queue was full is tried again: a server that
 * accepts at all makes room within that. */
#define MS_DIAL_UNIX_RETRY_MS 20

/* Attempts under way at once; more only load the network. */
#define MS_DIAL_MAX_ATTEMPTS 6

struct ms_dial;

struct ms_dial_config {
    struct ms_span host; /* lower case, an IPv6 literal may have brackets */
    uint16_t port;
    bool nodelay;
    unsigned conn;                   /* number for the trace */
    struct ms_route *route;          /* lent; NULL: the default one */
    struct ms_dial_history *history; /* lent; NULL: none */

    /* The first addresses are known. */
    void (*on_resolved)(void *owner);
    /* Connected: `sock` is the callee's, its owner is to be set with
     * ms_sock_give(); `addr` is whom it reached, its family AF_UNSPEC for a
     * Unix socket. The dial is over. */
    void (*on_connected)(void *owner, struct ms_sock *sock,
                         const struct ms_addr *addr);
    /* All failed. `err` and `os_errno` are of the attempt that tells most,
     * see ms_dial_tried() for the others; without one `err` is the resolver's
     * and `os_errno` 0. The dial is over. */
    void (*on_failed)(void *owner, ms_err err, int os_errno);
    void *owner;
};

/* Starts; any of the callbacks may be called before it returns. `config` is
 * copied, its host too. MS_ENOMEM, MS_ERESOLVE: no callback comes. */
ms_err ms_dial_start(struct ms_dial **out, struct ms_loop *loop,
                     struct ms_resolver *resolver,
                     const struct ms_dial_config *config) MS_MUST_CHECK;

/* No callback comes after this; sockets are closed by the next flush. Called
 * by the owner to end a dial at any time, also after it is over: this is what
 * frees it. NULL is allowed. */
void ms_dial_free(struct ms_dial *d);

/* What was tried and how it went, also what has not ended yet:
 * "[::1]:80, 127.0.0.1:80 (no answer)" into `buf` of
 * MS_REPORT_TEXT bytes (dial_report.h); empty when nothing was. Returns it. */
const char *ms_dial_tried(const struct ms_dial *d, char *buf);

/* Still asking for the name: no attempt was made yet. */
bool ms_dial_resolving(const struct ms_dial *d);

#endif
