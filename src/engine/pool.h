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
 * timer, for the oldest, serves all.
 *
 * There may be limits on how many connections are open or opening, to one
 * endpoint and in all. Waiters queue at their endpoint. An endpoint that lacks
 * nothing but a slot among all queues with the others that do; who has the
 * least gets the next, and among equals it goes round: idle connections of
 * others are closed for it, and who holds more gives way. Every step is O(1).
 */
#ifndef MS_ENGINE_POOL_H
#define MS_ENGINE_POOL_H

#include "engine/conn.h"
#include "net/poll.h"

struct ms_waiter;

#define MS_POOL_NO_LIMIT INT64_MAX

/* None, 1, 2 to 3, 4 to 7 and so on: the last one is that of 2^14 and more. */
#define MS_POOL_RANKS 16

struct ms_pool {
    struct ms_conn_env env;
    struct ms_map endpoints;
    struct ms_list opening;    /* of struct ms_conn, the oldest first */
    struct ms_list open;       /* of struct ms_conn, the oldest first */
    struct ms_list leaving;    /* of struct ms_conn, in use for the last time */
    struct ms_list lru;        /* of struct ms_conn, idle, the oldest first */
    struct ms_list remembered; /* of struct ms_endpoint, the oldest first */
    struct ms_list turns[MS_POOL_RANKS]; /* of struct ms_endpoint, that lack a
                                          * slot, by how many connections they
                                          * have; who waits longest first */
    unsigned ranks;                      /* bit by index: somebody is there */
    unsigned remembering;
    struct ms_timer idle_timer, age_timer, turn_timer;
    struct ms_timer rest_timer; /* runs while one idles that could rest */
    int64_t max_idle, idle_timeout_ms;
    int64_t max_conns, max_per_host; /* MS_POOL_NO_LIMIT: none */
    int64_t max_age_ms;              /* the same */
    unsigned last_id;
    uint64_t last_ticket;
    unsigned conns, idle, connecting, waiting; /* now */
    unsigned stuck;                            /* waiters nothing is begun for,
                                                * as a limit is reached */
    uint64_t opened, reused, closed;           /* ever */
    struct ms_poll look;                       /* at several sockets at once */
    unsigned look_entry, look_count;           /* the last one */
    bool limited;                              /* max_conns or max_per_host */
    bool serving; /* slots are being given out, further down the stack */
};

/* One who wants a connection; embedded in the transfer. */
struct ms_waiter {
    struct ms_list node; /* on endpoint->waiting, or ->choosy when fresh */
    struct ms_list bare; /* on endpoint->bare while it needs an attempt of its
                          * own and has none */
    struct ms_endpoint *endpoint; /* NULL while it does not wait */
    struct ms_conn *attempt;      /* opened for it; NULL: given away, or it
                                   * shares the endpoint's */
    uint64_t ticket;              /* who came first has the lower one */
    uint64_t begun_us;            /* when its attempt began, 0: not yet */
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

/* Nothing is opened from now on, whoever waits: the end has begun. */
void ms_pool_stop(struct ms_pool *p);
/* Forgets what belongs to another network: addresses, and connections, which
 * serve those that use them to the end. */
void ms_pool_network_changed(struct ms_pool *p);

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

/* When the attempt that it waits for, or that failed it, began; 0: none did. */
uint64_t ms_waiter_begun_us(const struct ms_waiter *w);

/* Gives back a connection on which no stream was opened. */
void ms_pool_release(struct ms_conn *c);

/* The limits are others from now on: closes what they no longer allow as soon
 * as nobody uses it, opens what they do. */
void ms_pool_trim(struct ms_pool *p);

/* The ping interval is another one from now on. */
void ms_pool_keep_alive(struct ms_pool *p);

const char *ms_pool_check(struct ms_pool *p);

#endif
