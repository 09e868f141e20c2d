/* SPDX-License-Identifier: MIT
 *
 * dial.h - from a host and port to a connected socket.
 *
 * Asks the resolver and tries the addresses it hands on, families taking
 * turns: the next attempt starts when one fails, or after a delay while one
 * is still pending (RFC 8305, 5). The first to connect wins, the others are
 * forgotten, then closed. It has no timeout of its own.
 */
#ifndef MS_NET_DIAL_H
#define MS_NET_DIAL_H

#include "net/resolve.h"

/* Attempts under way at once; more only load the network. */
#define MS_DIAL_MAX_ATTEMPTS 6

struct ms_dial;

struct ms_dial_config {
    struct ms_span host; /* lower case, an IPv6 literal may have brackets */
    uint16_t port;
    bool nodelay;
    unsigned conn; /* number for the trace */
    int delay_ms;  /* between attempts while none fails */

    /* The first addresses are known. */
    void (*on_resolved)(void *owner);
    /* Connected: `sock` is the callee's, its owner is to be set with
     * ms_sock_give(); `addr` is whom it reached. The dial is over. */
    void (*on_connected)(void *owner, struct ms_sock *sock,
                         const struct ms_addr *addr);
    /* All failed. `os_errno` is the last attempt's, 0 when it was the name.
     * The dial is over. */
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

/* Still asking for the name: no attempt was made yet. */
bool ms_dial_resolving(const struct ms_dial *d);

#endif
