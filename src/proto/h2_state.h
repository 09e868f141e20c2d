/* SPDX-License-Identifier: MIT
 *
 * h2_state.h - the inside of an HTTP/2 session, shared by its parts:
 * h2.c (the contract), h2_in.c (what nghttp2 tells us), h2_out.c (requests),
 * h2_window.c (what the peer may send).
 *
 * Every request has a record of its own, which lives until nghttp2 has
 * forgotten the stream, whatever became of its owner: each delivery asks
 * whether somebody is still attached. What is to be told is put on the list
 * of due records and told at the end of feed(). While nghttp2 is on the stack
 * nothing of it is destroyed, only submitted.
 */
#ifndef MS_PROTO_H2_STATE_H
#define MS_PROTO_H2_STATE_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/list.h"
#include "proto/h2_known.h"
#include "proto/h2_limits.h"
#include "proto/h2_mem.h"
#include "proto/h2_prepared.h"
#include "proto/session.h"

struct h2;

/* One request and its response. */
struct h2_stream {
    struct ms_list node; /* on h2->live, or h2->spare for another use */
    struct ms_list due;  /* on h2->due while something is to be told */
    struct h2 *h2;
    struct ms_stream *up;            /* NULL: nobody listens */
    struct ms_h2_prepared *prepared; /* until the request's head was sent */
    int32_t id;
    ms_err failed; /* what it ends with */
    const char *detail;
    struct ms_buf kept;    /* body bytes that a paused stream did not take */
    struct ms_span body;   /* what is left of the request's; lent */
    struct ms_list hungry; /* on h2->hungry while its body had nothing */
    int64_t to_come;       /* of a streamed body, -1: not known */
    int64_t expected;      /* body bytes, -1: any number */
    int64_t received;
    int64_t window; /* bytes the peer may have under way */
    int64_t taken;  /* of these since */
    uint64_t taken_since_us;
    size_t head_bytes; /* of the head or trailers coming in */
    unsigned fields;   /* in there, with :status */
    unsigned informational;
    uint16_t status;    /* of the head coming in */
    bool open;          /* nghttp2 knows it */
    bool head_request;  /* its response has no body */
    bool has_length;    /* the head coming in said how long the body is */
    bool got_head;      /* the final one */
    bool reset_by_peer; /* its RST_STREAM came */
    bool ended;         /* its last frame is here */
    bool complete;      /* the whole response came */
    bool paused;        /* until resume() */
    bool streamed;      /* the request's body comes by on_pull */
    bool held;          /* the request's body waits for proceed() */
    bool whole;         /* all of the request's body was read, */
    bool all_left;      /* and given out to be sent */
    bool body_deferred; /* nghttp2 asks for no body until told */
};

struct h2 {
    struct ms_session base;
    nghttp2_session *ng;
    struct h2_mem mem;               /* its memory */
    struct ms_h2_known known;        /* response fields */
    struct ms_h2_prepared *prepared; /* of the last request, or NULL */
    struct ms_buf out;               /* frames to send */
    struct ms_list live;             /* of struct h2_stream */
    struct ms_list spare;      /* of struct h2_stream, for the next requests */
    struct ms_list due;        /* of struct h2_stream */
    struct ms_list hungry;     /* of struct h2_stream: ask again for a body */
    struct h2_stream *heads;   /* who wants the header block coming in */
    struct h2_stream *found;   /* the last that was looked for, or a guess */
    struct h2_stream *leaving; /* the same for those whose frames are sent */
    size_t open;               /* streams nghttp2 knows */
    size_t max_streams;
    size_t consumed;   /* of bodies, and nghttp2 was not told yet */
    int32_t last_id;   /* of the latest request */
    size_t their_most; /* streams, once settled */
    ms_err failed;     /* the connection: MS_OK while it is good */
    const char *detail;
    int64_t free_frames; /* frames without content we still put up with */
    uint64_t refilled_us;
    uint64_t greeted_us;    /* when our SETTINGS left, and 1; 0: not yet */
    uint64_t round_trip_us; /* the shortest that was seen; 0: not known */
    uint64_t measured_us; /* since when an answer to measure it is due, or 0 */
    int64_t grown;        /* by how much the windows are larger than at first */
    int64_t *all_grown;   /* the same of all that share it */
    int64_t stray;        /* bytes that were no frame nghttp2 told us of, */
    int64_t stray_most;   /* and how many of these we put up with */
    uint32_t goaway_code; /* the peer's */
    int32_t goaway_last;  /* the last stream it will serve */
    unsigned continuations; /* of the block coming in */
    bool secure;
    bool measured;     /* with nothing but that to be done by the peer */
    bool settled;      /* the peer's SETTINGS came */
    bool goaway;       /* the peer takes no new streams */
    bool drained;      /* we want none */
    bool closed;       /* nothing comes or goes any more */
    bool no_h2;        /* the first bytes were not HTTP/2 */
    bool request_left; /* a whole request since the last sent() */
};

/* ---- h2.c ---------------------------------------------------------------- */

/* Ends the connection; the first reason counts. Streams hear of it at the end
 * of feed(). */
void ms_h2_break(struct h2 *h, ms_err err, const char *detail);

/* The same with an HTTP/2 error, which the peer is told. */
void ms_h2_violation(struct h2 *h, uint32_t code, const char *detail);

/* Ends one stream; the first reason counts. */
void ms_h2_fail(struct h2_stream *s, ms_err err, const char *detail);

/* The same, and tells the peer to forget it. */
void ms_h2_reset(struct h2_stream *s, uint32_t code, ms_err err,
                 const char *detail);

/* Tells the peer to forget a stream. */
void ms_h2_give_up(struct h2_stream *s, uint32_t code);

/* Keeps the record of a stream that nobody knows any more for another. */
void ms_h2_drop(struct h2_stream *s);

/* Something is to be told to the stream's owner. */
void ms_h2_due(struct h2_stream *s);

/* Whether the peer says by it that something failed on its side: an upstream
 * that broke off, most often. The others name a fault of ours, or a wish. */
bool ms_h2_is_of_the_peer(uint32_t code);

/* The name of an HTTP/2 error in a sentence. */
const char *ms_h2_text_reset(uint32_t code);  /* the peer reset the stream */
const char *ms_h2_text_goaway(uint32_t code); /* the peer sent GOAWAY */
const char *ms_h2_text_broken(uint32_t code); /* we sent GOAWAY */

/* ---- h2_in.c ------------------------------------------------------------- */

/* Sets what nghttp2 is to tell us. */
void ms_h2_set_callbacks(nghttp2_session_callbacks *cbs);

/* Hands on body bytes; what is not taken is kept. */
void ms_h2_deliver(struct h2_stream *s, const char *p, size_t n);

/* The same with what was kept. */
void ms_h2_deliver_kept(struct h2_stream *s);

/* ---- h2_out.c ------------------------------------------------------------ */

/* Submits a request; s->id is set. Nothing changed on an error. */
ms_err ms_h2_submit(struct h2_stream *s,
                    const struct ms_request *req) MS_MUST_CHECK;

/* Lets nghttp2 ask for the request's body again. */
void ms_h2_body_on(struct h2_stream *s);

/* ---- h2_window.c --------------------------------------------------------- */

/* Body bytes of an attached stream are done with: the peer gets the room back,
 * and more of it where that was too little. */
void ms_h2_consumed(struct h2_stream *s, size_t n);

/* Tells nghttp2 what that came to for the connection: once for all streams. */
void ms_h2_window_settle(struct h2 *h);

/* The stream is over: others may have what its window had grown by. */
void ms_h2_window_gone(struct h2_stream *s);

/* Our SETTINGS left, and were answered: that was a round trip. */
void ms_h2_window_sent(struct h2 *h);
void ms_h2_window_answered(struct h2 *h);

/* A PING was answered, maybe one that measures that. */
void ms_h2_window_measured(struct h2 *h, const uint8_t *opaque);

#endif
