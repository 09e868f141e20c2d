/* SPDX-License-Identifier: MIT
 *
 * session.h - the one contract between the engine and a protocol.
 *
 * A session turns bytes into responses and requests into bytes for one
 * connection. It has no socket and no clock: the engine feeds it what arrived
 * and pulls from it what is to leave. A stream is one request and its
 * response; it is embedded in the transfer that it serves.
 *
 *     engine    open cancel resume     feed eof        pull sent
 *                      |                   |               ^
 *                      v                   v               |
 *     session   ....................................................
 *                      |                   |
 *                      v                   v
 *     transfer       body           on_head on_data on_end
 *
 * Calls go down at any time but from inside feed() and eof(), where only
 * cancel() is allowed; calls come up from inside feed(), eof() and pull()
 * only. A stream is attached from open() until on_end() or cancel(),
 * whichever is first, and hears nothing before or after.
 */
#ifndef MS_PROTO_SESSION_H
#define MS_PROTO_SESSION_H

#include "base/span.h"
#include "proto/header.h"

struct ms_session;
struct ms_stream;

/* What a stream asks for. Everything is lent until open() returns, except
 * `body`, which is lent until the stream is detached. */
struct ms_request {
    struct ms_span method;
    struct ms_span target;    /* origin form: path and query */
    struct ms_span authority; /* host, and port unless it is the default */
    struct ms_span fields;    /* "Name: value\r\n" lines, checked, without
                               * Host and framing fields */
    struct ms_span body;      /* the body where it is known whole */
    bool has_body;            /* false: no body and no content-length */
};

/* Calls up, made for the stream they concern. */
struct ms_stream_ops {
    /* A response head is complete in stream->head: every 1xx, then the final
     * one. The stream may take what it wants out of the head; an
     * informational one is cleared afterwards. An error ends the stream. */
    ms_err (*on_head)(struct ms_stream *s);

    /* Body bytes. `*taken` is how many were used: less than `n` pauses the
     * stream until resume(). An error ends the stream. */
    ms_err (*on_data)(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken);

    /* The stream is detached. MS_OK: the response is whole; otherwise what
     * went wrong, with `detail` a static text for people, or NULL. */
    void (*on_end)(struct ms_stream *s, ms_err err, const char *detail);
};

struct ms_stream {
    const struct ms_stream_ops *ops;
    struct ms_session *session; /* NULL while detached */
    struct ms_head *head;       /* where the response's head goes; lent */
    struct ms_fields *trailers; /* where trailers go; lent */
    size_t max_head_bytes;      /* limit on one head: MS_EHEADERS */
};

/* Calls down. */
struct ms_session_ops {
    /* Attaches `s` and queues its request. Needs room() > 0. MS_EHEADER,
     * MS_ENOMEM: nothing is attached. */
    ms_err (*open)(struct ms_session *, struct ms_stream *s,
                   const struct ms_request *req);

    /* Detaches `s` without a call to it. The session may be unusable for
     * further streams afterwards: ask room(). */
    void (*cancel)(struct ms_session *, struct ms_stream *s);

    /* The stream takes data again. The engine feeds what was left over. */
    void (*resume)(struct ms_session *, struct ms_stream *s);

    /* Takes bytes that arrived. `*used` is less than `in.n` when a stream
     * paused, or when bytes came that belong to nobody, after which room() is
     * 0. An error is the connection's: every stream was told with on_end. */
    ms_err (*feed)(struct ms_session *, struct ms_span in, size_t *used);

    /* The peer sends no more. Streams that needs more are told. */
    void (*eof)(struct ms_session *, ms_err why);

    /* Lends up to `max` runs of bytes that are to leave now, in order;
     * returns how many, 0 when there is nothing. Good until the next call. */
    size_t (*pull)(struct ms_session *, struct ms_span *out, size_t max);

    /* The first `n` of the bytes pulled have left. True when that was the
     * last of a request. */
    bool (*sent)(struct ms_session *, size_t n);

    /* How many streams could be opened now; 0 for ever once the connection
     * cannot be used again. */
    size_t (*room)(const struct ms_session *);

    /* No stream may be attached. */
    void (*free)(struct ms_session *);
};

struct ms_session {
    const struct ms_session_ops *ops;
};

#endif
