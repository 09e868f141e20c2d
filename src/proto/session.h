/* SPDX-License-Identifier: MIT
 *
 * session.h - the one contract between the engine and a protocol.
 *
 * A session turns bytes into responses and requests into bytes, for one
 * connection. It has no socket and no clock: the engine feeds it what arrived
 * and pulls from it what is to leave. A stream is one request and its
 * response; it is embedded in the transfer that it serves.
 *
 *     transfer       request                       response
 *                       |                              ^
 *                       | open cancel resume           | on_head on_data
 *                       v                              | on_end
 *     session        ...........................................
 *                       |                              ^
 *                       | pull sent ping drain         | feed eof
 *                       v                              |
 *     connection     bytes out                     bytes in
 *
 * A stream is attached from open() until on_end() or cancel(), whichever is
 * first, and hears nothing before or after. It hears
 *
 *     on_head (1xx) *,  on_head,  on_data *,  on_end
 *
 * where an end with an error may come anywhere. Calls come up from inside
 * feed(), eof() and, for a streamed body, pull() only. Meanwhile nothing may be
 * called on the session but cancel() and room(); the on_end()s come last in
 * there, with the session's state settled.
 *
 * HTTP/1 has one stream at a time, HTTP/2 many: what concerns one of them
 * never waits for another.
 *
 * What it is not: retries, redirects, timeouts, pooling. Those are policies
 * of the layers above.
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
    struct ms_span body;      /* empty unless has_body */
    bool has_body;            /* send it with its length, even an empty one */
    bool streamed;            /* the body comes from on_pull, `body` is empty */
    int64_t length;           /* of a streamed body, -1: not known */
    bool expect;              /* ask for a 100 (Expect: 100-continue) and keep
                               * the body back until proceed() */
    const struct ms_fields *list; /* the fields again, one by one */
};

/* Calls up, made for the stream they concern. What on_head and on_data return
 * other than MS_OK ends the stream with that error, by on_end; after a
 * cancel() from inside the call it means nothing. */
struct ms_stream_ops {
    /* A response head is complete in stream->head: every 1xx, then the final
     * one. The head of a 1xx is emptied afterwards; the final one is not
     * touched again before the stream is attached anew. */
    ms_err (*on_head)(struct ms_stream *s);

    /* Body bytes, at least one, good during the call. `*taken` (0 before) is
     * how many were used: less than `n` pauses the stream until resume(), and
     * the rest comes again. */
    ms_err (*on_data)(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken);

    /* The body of a streamed request: up to `cap` bytes to `p`, how many to
     * `*n` (0 before). `*end` (false before) says that they are the last. No
     * byte and no end: there is nothing now; it is asked again at the next
     * pull(). An error ends the stream with it. NULL where no request is
     * streamed. Where the stream takes_files the bytes may stay where they are,
     * and be more than `cap`: `*n` is 0 then and stream->file->n is not. */
    ms_err (*on_pull)(struct ms_stream *s, char *p, size_t cap, size_t *n,
                      bool *end);

    /* The stream is detached and may be freed or opened elsewhere when the
     * outer call has returned. MS_OK: the response is whole, its trailers are
     * in stream->trailers. Otherwise what went wrong; `detail` is a static
     * text that says it more precisely, or NULL. A head that was not complete
     * has been emptied. */
    void (*on_end)(struct ms_stream *s, ms_err err, const char *detail);
};

/* The next bytes of a request's body that lie in a file. A session only counts
 * them: its owner, which has descriptors, brings them to the wire. */
struct ms_body_file {
    int fd;
    int64_t at;      /* where the first of them is */
    size_t n;        /* how many they are; 0: there are none now */
    const char *why; /* they cannot be sent, static; NULL: they can */
};

/* How a stream gets on, for an owner that wants to know. */
struct ms_progress {
    uint64_t bytes; /* that moved, either way */
    uint64_t up; /* of them, of the request's body where that is not streamed */
    uint64_t at_us; /* when the last of them did */
};

struct ms_stream {
    /* Set by the owner before open(). */
    const struct ms_stream_ops *ops;
    struct ms_head *head;       /* where the response's head goes; lent */
    struct ms_fields *trailers; /* where trailers go; lent */
    size_t max_head_bytes;      /* limit on one head: MS_EHEADERS */

    /* The owner's wish while attached: body bytes of the request stay where
     * they are. After clearing it, resume(). */
    bool hold_send;
    struct ms_progress *progress; /* kept up to date while attached, or NULL */
    struct ms_body_file *file;    /* what on_pull left in a file, or NULL */

    /* Kept by the session; the bools stay as they are after the end. They
     * are what a retry goes by: a request that is not `asked` did nothing. */
    bool asked;       /* the peer may have acted on the request */
    bool answered;    /* some of a response came */
    bool needs_h1;    /* the peer wants this request over HTTP/1.1 */
    bool takes_files; /* on_pull may use `file` */
    bool broke;       /* something failed at the peer, which was not the
                       * request's fault: HTTP/2 has names for that */
    bool passed_over; /* the peer ends the connection, where it served others,
                       * without a look at this request */
    struct ms_session *session; /* NULL while detached */
    void *part;                 /* the session's own record of it */
    uint64_t sent_us;       /* when the request had left whole; 0: not yet */
    uint64_t first_byte_us; /* when its response began; 0: not yet */
};

/* Calls down. */
struct ms_session_ops {
    /* Attaches `s`, empties its head and trailers and queues its request.
     * Needs room() > 0. On an error nothing is attached or changed.
     * MS_EHEADER: method, target or authority hold bytes that cannot be sent.
     * MS_EOPTION: the method is CONNECT, which makes a tunnel, not a stream.
     * MS_ENOMEM. */
    ms_err (*open)(struct ms_session *, struct ms_stream *s,
                   const struct ms_request *req);

    /* Detaches `s`, which must be attached here, without a call to it. What
     * the session is good for afterwards room() tells. */
    void (*cancel)(struct ms_session *, struct ms_stream *s);

    /* A paused stream takes data again, or its hold_send was cleared. Nothing
     * comes up from here: the engine feeds what was left over, or nothing
     * where nothing was. Harmless when it stood not still. */
    void (*resume)(struct ms_session *, struct ms_stream *s);

    /* The body of a request that `expect`ed a 100 is sent from now on. Harmless
     * when nothing was kept back. */
    void (*proceed)(struct ms_session *, struct ms_stream *s);

    /* Takes bytes that arrived, in order; none of them will do when
     * session->due is set. `*used` is less than `in.n` when a
     * stream paused (the rest is to be fed again, before anything newer, once
     * it was resumed) or when the rest belongs to nobody, after which room()
     * is 0. An error means that the connection is finished, and every stream
     * was told with on_end; what pull() has then is worth one try. */
    ms_err (*feed)(struct ms_session *, struct ms_span in, size_t *used);

    /* No byte will follow those that were fed and used. `why` is MS_OK when
     * the peer closed in order; otherwise what became of the connection.
     * Every stream is told, but one whose whole response is kept here until
     * resume(). room() is 0. */
    void (*eof)(struct ms_session *, ms_err why);

    /* Every stream is told that it failed with `err`; room() is 0. */
    void (*close)(struct ms_session *, ms_err err);

    /* Lends up to `max` runs of bytes that are to leave now, in order, none
     * of them empty; returns how many, 0 when there is nothing. They are good
     * until the next call to the session. A run that points nowhere comes
     * alone: it is stream->file. A streamed body that fails ends its stream in
     * here. */
    size_t (*pull)(struct ms_session *, struct ms_span *out, size_t max);

    /* The first `n` of the bytes last pulled have left. True when the last
     * byte of a request was among them. */
    bool (*sent)(struct ms_session *, size_t n);

    /* How many streams could be opened now; 0 while the session is busy. */
    size_t (*room)(const struct ms_session *);

    /* How many streams can be open at a time; 0 while that is not known. */
    size_t (*capacity)(const struct ms_session *);

    /* True once no stream can be opened any more: those attached are the
     * last. */
    bool (*done)(const struct ms_session *);

    /* Queues a question that only a living peer answers. NULL: the protocol
     * has none. */
    void (*ping)(struct ms_session *);

    /* Queues a word of farewell; no stream may be opened afterwards. NULL: the
     * protocol has none. */
    void (*drain)(struct ms_session *);

    /* Gives back memory that is kept to be quick, for nothing is under way and
     * nothing seems to come. NULL: there is none. */
    void (*rest)(struct ms_session *);

    /* No stream may be attached, and no call of the session be under way. */
    void (*free)(struct ms_session *);
};

struct ms_session {
    const struct ms_session_ops *ops;
    uint64_t now_us;  /* the engine's clock; it sets this before feed, pull and
                       * sent */
    unsigned streams; /* attached */
    bool due;         /* feed() has something to tell that no byte will bring:
                       * after resume(), cancel() and pull() */
    bool wants_pull;  /* feed(), cancel() or resume() left something to send */
};

/* For sessions: `n` bytes of a stream that is attached moved. */
static inline void ms_stream_moved(struct ms_stream *s, size_t n)
{
    if (!s->progress || !n)
        return;
    s->progress->bytes += n;
    s->progress->at_us = s->session->now_us;
}

/* For sessions: `n` bytes of a streamed body have left; they are of its file
 * where something of that was to be sent. NULL is allowed. */
static inline void ms_stream_file_sent(struct ms_stream *s, size_t n)
{
    if (!s || !s->file || !s->file->n)
        return;
    s->file->at += (int64_t)(MS_MUTANT_IS(342) ? s->file->n : n);
    s->file->n -= n;
}

#endif
