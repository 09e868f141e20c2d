/* SPDX-License-Identifier: MIT
 *
 * pool.h - who gets which connection.
 *
 * A transfer asks for a connection to its endpoint and is given an idle one,
 * the latest used first, or waits for an attempt of its own. Whatever becomes
 * free first goes to the oldest who waits. Where a
 * connection may serve many (HTTP/2), few are opened and the waiters share
 * them; where it turns out that it may not, everybody gets one of his own. Idle
 * connections are watched for the peer's close and closed after a while; one
 * timer, for the oldest, serves all. Every step is O(1).
 */
#ifndef MS_ENGINE_POOL_H
#define MS_ENGINE_POOL_H

#include "engine/conn.h"

struct ms_waiter;

struct ms_pool {
    struct ms_conn_env env;
    struct ms_map endpoints;
    struct ms_list all;        /* of struct ms_conn */
    struct ms_list lru;        /* of struct ms_conn, idle, the oldest first */
    struct ms_list remembered; /* of struct ms_endpoint, the oldest first */
    unsigned remembering;
    struct ms_timer idle_timer;
    struct ms_timer rest_timer; /* runs while one of TLS is idle, not resting */
    int64_t max_idle, idle_timeout_ms;
    unsigned last_id;
    unsigned conns, idle, connecting, waiting; /* now */
    uint64_t opened, reused, closed;           /* ever */
};

/* One who wants a connection; embedded in the transfer. */
struct ms_waiter {
    struct ms_list node;          /* on endpoint->waiting */
    struct ms_endpoint *endpoint; /* NULL while it does not wait */
    struct ms_conn *attempt;      /* opened for it; NULL: given away, or it
                                   * shares the endpoint's */
    int64_t connect_timeout_ms;
    bool fresh; /* takes only a connection never used */

    /* A connection with room for a stream; ms_conn_open_stream() follows, or
     * ms_pool_release(). */
    void (*on_conn)(struct ms_waiter *w, struct ms_conn *c);
    /* No connection could be had; `phase` says how far it came. */
    void (*on_fail)(struct ms_waiter *w, const struct ms_conn_end *end,
                    enum ms_phase phase);
};

struct ms_pool_wish {
    struct ms_endpoint_key key;
    int64_t connect_timeout_ms; /* -1: none */
    bool fresh;
};

/* MS_ENOMEM. */
ms_err ms_pool_init(struct ms_pool *p, struct ms_loop *loop) MS_MUST_CHECK;

/* Closes every connection; nobody may wait or use one. */
void ms_pool_close(struct ms_pool *p);
/* After ms_pool_close() and a flush. */
void ms_pool_fini(struct ms_pool *p);

void ms_waiter_init(struct ms_waiter *w);

/* Asks for a connection; either callback may come before it returns.
 * MS_ENOMEM: none comes. */
ms_err ms_pool_get(struct ms_pool *p, struct ms_waiter *w,
                   const struct ms_pool_wish *wish) MS_MUST_CHECK;

/* No callback comes after this. An attempt that nobody else waits for ends. */
void ms_pool_cancel(struct ms_pool *p, struct ms_waiter *w);

/* How far a waiter has come. */
enum ms_phase ms_waiter_phase(const struct ms_waiter *w);

/* Gives back a connection on which no stream was opened. */
void ms_pool_release(struct ms_conn *c);

/* Closes what a lowered limit no longer allows. */
void ms_pool_trim(struct ms_pool *p);

/* The network is another one: idle connections are closed, those in use take
 * no new request, names are looked up again. */
void ms_pool_renew(struct ms_pool *p);

/* The ping interval is another one from now on. */
void ms_pool_keep_alive(struct ms_pool *p);

const char *ms_pool_check(struct ms_pool *p);

#endif
