/* SPDX-License-Identifier: MIT
 *
 * conn.h - one connection: from a name to a session, and the bytes between.
 *
 * A connection works off a fixed plan of stages, then feeds its session what
 * arrives and writes what the session has. It knows nothing of transfers but
 * the stream that is attached, and nothing of who waits for it: the pool
 * does.
 */
#ifndef MS_ENGINE_CONN_H
#define MS_ENGINE_CONN_H

#include "engine/endpoint.h"
#include "engine/link.h"
#include "net/dial.h"
#include "net/resolve_set.h"
#include "proto/session.h"

struct ms_conn;
struct ms_waiter;

/* What every connection of a multi shares. */
struct ms_conn_env {
    struct ms_loop *loop;
    struct ms_resolve_set resolvers;
    struct ms_dial_history history; /* which addresses worked */
    struct ms_link_env link;
    struct ms_list closing;   /* of struct ms_conn, saying goodbye */
    char *scratch;            /* MS_SCRATCH_BYTES, what was read last */
    int64_t max_streams;      /* of one HTTP/2 connection at a time */
    int64_t grown;            /* windows of HTTP/2, beyond their first size */
    int64_t ping_interval_ms; /* silence after which it is asked, -1: never */
    int64_t edge_triggered;   /* 1: the host tells readiness once */
    bool mute;  /* the connections are another process's: nothing is sent */
    bool hasty; /* the multi closes: nobody is waited for */
};

/* Why a connection never opened; all of it is nothing when it had opened. */
struct ms_conn_end {
    ms_err err;
    int os_errno;
    const char *text;   /* a line that says more; good during the call */
    const char *reason; /* a library's words; static */
};

/* Calls up, to the pool. */
struct ms_conn_events {
    /* Connected: the first stream may be opened. */
    void (*on_open)(struct ms_conn *c);
    /* Streams came or went, or the peer takes another number of them. The
     * connection may be idle now. */
    void (*on_change)(struct ms_conn *c);
    /* It is over. Only what the pool owns of it may be used any more. */
    void (*on_closed)(struct ms_conn *c, const struct ms_conn_end *end);
};

enum ms_conn_state {
    MS_CONN_NEW,
    MS_CONN_RESOLVING,
    MS_CONN_CONNECTING,
    MS_CONN_SECURING, /* TLS */
    MS_CONN_OPEN,
    MS_CONN_CLOSING, /* saying goodbye; no part of the pool any more */
    MS_CONN_CLOSED
};

struct ms_conn {
    struct ms_conn_env *env;
    const struct ms_conn_events *events;
    struct ms_endpoint *endpoint;

    /* The pool's. */
    struct ms_list all;  /* on the pool's ->opening, ->open or ->leaving, then
                          * on env->closing */
    struct ms_list idle; /* on endpoint->idle, ->roomy while in use with room
                          * for more, ->spare while opening */
    struct ms_list lru;  /* on the pool's idle list, oldest first */
    struct ms_waiter *wanted_by; /* who caused it, while that one waits */
    uint64_t begun_us, opened_us;
    uint64_t idle_since_us;
    uint64_t quiet_us; /* its socket was empty then */

    struct ms_dial *dial;  /* until connected */
    struct ms_timer timer; /* to be connected, then for the next ping */
    struct ms_link link;
    struct ms_session *session; /* from connected on */
    struct ms_interest wish;    /* labelled with the transfer it is for */

    struct ms_stream *stream; /* of HTTP/1, which has one at a time; does not
                               * own; NULL: none */

    union {
        struct ms_task service;
        struct ms_grave grave; /* once it is closed */
    };
    struct ms_addr remote;
    unsigned
        exchanges; /* streams opened, ever; fills the gap behind an address */
    uint64_t resolved_us, connected_us, secured_us;
    struct ms_tls_info *tls;   /* a reference; NULL: in the clear */
    uint64_t heard_us;         /* when it was read last */
    unsigned id;               /* stable name in traces */
    int out_errno;             /* why sending failed, 0: it did not */
    unsigned char state;       /* enum ms_conn_state */
    bool feeding;              /* the session is on the stack */
    bool blocked;              /* bytes wait for room in the socket */
    bool out_dead;             /* sending failed; the answer may still come */
    bool hold_recv, hold_send; /* the stream is paused */
    bool last_exchange;        /* not to be used again */
    bool broken_off; /* a transfer went before its response was over */
    bool many;       /* several streams at a time: HTTP/2 */
    bool pinged;     /* a ping is out, and nothing came since */
    bool peer_gone;  /* only paused readers keep it */
    bool full;       /* the pool's: all its streams are in use */
    bool over;       /* the pool's: those are the last */
    bool resting;    /* the pool's: idle for long enough to have given buffers
                      * back */
    bool handing;    /* the pool's: it is being given out */
    bool gives_way;  /* the pool's: nobody fails with this attempt */
};

/* A connection for `endpoint` that does nothing yet. MS_ENOMEM. */
ms_err ms_conn_new(struct ms_conn **out, struct ms_conn_env *env,
                   const struct ms_conn_events *events,
                   struct ms_endpoint *endpoint, unsigned id) MS_MUST_CHECK;

/* Begins the first stage; may call on_closed before it returns.
 * `connect_timeout_ms` covers everything until on_open, -1: no limit. */
void ms_conn_start(struct ms_conn *c, int64_t connect_timeout_ms);

/* How many streams may be opened now. */
size_t ms_conn_room(const struct ms_conn *c);

/* Whether no stream will be opened on it any more; it must be open. */
bool ms_conn_is_over(const struct ms_conn *c);

/* Attaches a stream of the transfer `easy` and queues its request, which
 * leaves at the end of this exit. Errors are those of
 * the session's open(); the connection can be used for another then. */
ms_err ms_conn_open_stream(struct ms_conn *c, struct ms_stream *s,
                           const struct ms_request *req,
                           void *easy) MS_MUST_CHECK;

/* Sends the body that was kept back for a 100. */
void ms_conn_proceed(struct ms_conn *c, struct ms_stream *s);

/* Looks whether something came while it was idle that the host has not told
 * of yet: a close, or bytes, which would pass for the next response. True when
 * it can still be used; otherwise it has been closed, on_closed was called. */
bool ms_conn_look(struct ms_conn *c);

/* Detaches the stream without a call to it. What this leaves of the
 * connection is closed, or given back to the pool. */
void ms_conn_cancel_stream(struct ms_conn *c, struct ms_stream *s);

/* Whether the stream's directions stand still: receiving, sending. */
void ms_conn_hold(struct ms_conn *c, struct ms_stream *s, bool recv, bool send);

/* A waiting connection is asked at another interval from now on. */
void ms_conn_keep_alive(struct ms_conn *c);

/* Ends it; attached streams are told `err`. Calls on_closed. With TLS the peer
 * is told behind that, and waited for, unless something went wrong. */
void ms_conn_close(struct ms_conn *c, ms_err err, int os_errno);

/* Why TLS failed: a line for people, and the library's words, static. NULL
 * when it did not; good as long as the connection. */
const char *ms_conn_tls_failure(const struct ms_conn *c, const char **reason);

/* NULL when its parts agree; otherwise what does not. */
const char *ms_conn_check(const struct ms_conn *c);

/* Ends those that are still saying goodbye. */
void ms_conn_end_closing(struct ms_conn_env *env);

const char *ms_conn_state_name(const struct ms_conn *c);

#endif
