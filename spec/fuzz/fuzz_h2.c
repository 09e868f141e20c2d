/* SPDX-License-Identifier: MIT
 *
 * Fuzzes what an HTTP/2 server sends. Three streams are open when it begins.
 * Played whole and in pieces, each stream must hear the same. Then the owner
 * does things between the pieces - opens, cancels, pauses, holds back, lets
 * time pass - and again while an allocation fails: whatever comes, each stream
 * hears one end or none after it was cancelled, nothing comes up from a stream
 * that is not attached, and all is given back.
 *
 * Input: a byte of flags, a byte that the cuts are made from (and which
 * allocation fails), eight bytes of what the owner does, two deeds each, the
 * server's bytes behind its first SETTINGS.
 */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "proto/h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits of the first byte. */
enum {
    HEAD_REQUEST = 1,
    UPLOAD = 2,       /* the first request has a body, in pieces, */
    LENGTH_KNOWN = 4, /* whose length was told, not always truly, */
    EXPECT = 8,       /* and which waits for a 100 */
    SMALL_LIMIT = 16, /* on a head */
    PAUSES = 32,
    CANCELS = 64, /* the second stream, when its head comes */
    REFUSES = 128 /* the third stream's owner wants no such head */
};

/* What the owner does between two pieces; the rest of sixteen is nothing. */
enum deed {
    NOTHING,
    OPEN_GET,
    OPEN_PUT,
    OPEN_POST,
    CANCEL_FIRST,
    CANCEL_LAST,
    PAUSE,
    RESUME,
    HOLD,
    PROCEED,
    PING,
    DRAIN,
    REST,
    BULK, /* the server sends a quarter of a MiB to the first stream */
    WAIT, /* 100 ms */
    SEND_LITTLE
};

#define STREAMS   8
#define DEEDS     16
#define FLAGS     10 /* bytes before the server's */
#define PIECES    3  /* of an upload */
#define BULK_DATA 16384
#define MAX_KEPT  (1 << 22) /* bytes; a run cannot need more */

struct side {
    struct ms_stream stream;
    struct ms_head head;
    struct ms_fields trailers;
    struct ms_buf log;
    bool opened, ended, cancelled;
    ms_err err; /* its end's */
    unsigned pieces;
};

struct run {
    struct ms_session *h;
    struct side side[STREAMS];
    unsigned flags, used; /* sides */
    unsigned offers;      /* on_data was called so often */
    bool paused, held;    /* every stream, by its owner */
    bool little;          /* what is sent leaves byte by byte, for once */
    bool short_of_memory;
    bool reset;           /* we gave a stream up */
    const uint8_t *deeds; /* NULL: the owner does nothing */
    ms_err err;           /* the connection's */
};

static struct run *running;

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static struct side *side_of(struct ms_stream *s)
{
    struct side *side = MS_CONTAINER(s, struct side, stream);

    expect(s->session == running->h && !side->ended && !side->cancelled);
    return side;
}

static ms_err note_fields(struct side *side, const struct ms_fields *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct ms_span name = ms_fields_name(f, i);
        struct ms_span value = ms_fields_value(f, i);
        ms_err err = ms_buf_add_span(&side->log, name);
        if (!err)
            err = ms_buf_add(&side->log, ":", 1);
        if (!err)
            err = ms_buf_add_span(&side->log, value);
        if (err)
            return err;
    }
    return MS_OK;
}

/* ---- what the streams hear ----------------------------------------------- */

static ms_err on_head(struct ms_stream *s)
{
    struct side *side = side_of(s);
    struct run *r = running;

    expect(s->head->status >= 100 && s->head->status <= 599);
    ms_err err =
        ms_buf_add(&side->log, &s->head->status, sizeof(s->head->status));
    if (!err)
        err = note_fields(side, &s->head->fields);
    if (r->flags & CANCELS && side == &r->side[1]) {
        side->cancelled = true;
        r->h->ops->cancel(r->h, s);
    }
    if (r->flags & REFUSES && side == &r->side[2] && s->head->status >= 200)
        return MS_ECALLBACK;
    return err;
}

static ms_err on_data(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken)
{
    struct side *side = side_of(s);
    struct run *r = running;

    expect(n > 0);
    *taken = n;
    if (r->paused)
        *taken = 0;
    else if (r->flags & PAUSES && r->offers++ % 3 == 0)
        *taken = n / 2;
    return *taken ? ms_buf_add(&side->log, p, *taken) : MS_OK;
}

static ms_err on_pull(struct ms_stream *s, char *p, size_t cap, size_t *n,
                      bool *end)
{
    struct side *side = side_of(s);

    expect(cap > 0 && !s->hold_send);
    if (side->pieces++ % 2 == 0) /* nothing there at the first call */
        return MS_OK;
    *n = 1;
    *p = 'x';
    *end = side->pieces >= PIECES * 2;
    return MS_OK;
}

static void on_end(struct ms_stream *s, ms_err err, const char *detail)
{
    struct side *side = MS_CONTAINER(s, struct side, stream);

    (void)detail;
    expect(!s->session && !side->ended && !side->cancelled);
    expect(err != MS_ENOMEM || running->short_of_memory);
    side->ended = true;
    side->err = err;
    if (!err && note_fields(side, &side->trailers))
        expect(running->short_of_memory);
}

static const struct ms_stream_ops ops = {.on_head = on_head,
                                         .on_data = on_data,
                                         .on_pull = on_pull,
                                         .on_end = on_end};

/* ---- the owner ----------------------------------------------------------- */

/* What a request may look like: all of this is sent, taken apart or dropped. */
static const char *const request_fields[][2] = {
    {"User-Agent", "fuzz"}, {"cookie", "a=1; b=2;; c"},
    {"te", "trailers"},     {"TE", "gzip"},
    {"Host", "other"},      {"Content-Length", "7"},
    {"Connection", "x"},    {"keep-alive", "1"},
    {"upgrade", "h2c"},     {"proxy-connection", "x"},
    {"x-connection", "y"},  {"transfer-encoding", "chunked"},
    {"x-long-enough", ""},
};

static struct ms_fields fields; /* the same for all runs */

static void open_stream(struct run *r, enum deed how, unsigned flags)
{
    struct side *side = &r->side[r->used];
    bool head = flags & HEAD_REQUEST;
    struct ms_request req = {
        .method = head ? MS_SPAN("HEAD") : MS_SPAN("GET"),
        .target = MS_SPAN("/x?y"),
        .authority = MS_SPAN("h:1"),
        .list = &fields,
        .streamed = how == OPEN_PUT,
        .length = flags & LENGTH_KNOWN ? PIECES - (int)(flags & 1) : -1,
        .has_body = how == OPEN_POST,
        .body = how == OPEN_POST ? MS_SPAN("lent") : ms_span(NULL, 0),
        .expect = how != OPEN_GET && flags & EXPECT};

    if (r->used == STREAMS || !r->h->ops->room(r->h))
        return;
    side->stream = (struct ms_stream){
        .ops = &ops,
        .head = &side->head,
        .trailers = &side->trailers,
        .max_head_bytes = r->flags & SMALL_LIMIT ? 64 : 1 << 20};
    ms_err err = r->h->ops->open(r->h, &side->stream, &req);
    expect(!err || (err == MS_ENOMEM && r->short_of_memory));
    side->opened = !err;
    r->used += !err;
}

static void cancel(struct run *r, struct side *side)
{
    if (!side->stream.session)
        return;
    side->cancelled = true;
    r->h->ops->cancel(r->h, &side->stream);
    expect(!side->stream.session);
}

/* Does something with all streams that are attached. */
static void to_all(struct run *r, enum deed what)
{
    for (unsigned i = 0; i < r->used; i++) {
        struct ms_stream *s = &r->side[i].stream;
        if (!s->session)
            continue;
        if (what == HOLD)
            s->hold_send = r->held;
        if (what == PROCEED)
            r->h->ops->proceed(r->h, s);
        else if (!s->hold_send || !r->paused)
            r->h->ops->resume(r->h, s);
    }
}

/* Whether whole frames, maybe behind a preface, have a RST_STREAM. */
static bool has_reset(struct ms_span out)
{
    const unsigned char *p = (const unsigned char *)out.p;
    size_t at = out.n >= 24 && !memcmp(p, "PRI *", 5) ? 24 : 0;

    for (; at < out.n; at += 9 + (size_t)(p[at + 1] << 8 | p[at + 2]))
        if (p[at + 3] == 3)
            return true;
    return false;
}

/* Lets leave what is to leave. */
static void send_all(struct run *r)
{
    struct ms_span out;

    while (r->h->ops->pull(r->h, &out, 1)) {
        r->reset |= !r->deeds && has_reset(out);
        size_t n = r->little ? 1 + out.n / 3 : out.n;
        expect(out.n > 0 && out.n <= MAX_KEPT);
        r->h->ops->sent(r->h, n < out.n ? n : out.n);
    }
    r->little = false;
}

static bool settle(struct run *r)
{
    size_t used;

    while (!r->err && r->h->due)
        r->err = r->h->ops->feed(r->h, ms_span(NULL, 0), &used);
    return !r->err;
}

/* Feeds a copy, so that a look beyond the piece's end is seen. */
static bool feed(struct run *r, const char *p, size_t n)
{
    char *copy = malloc(n);
    size_t used;

    expect(copy);
    memcpy(copy, p, n);
    r->err = r->h->ops->feed(r->h, ms_span(copy, n), &used);
    free(copy);
    expect(r->err || used == n);
    if (!r->paused && !r->err)
        to_all(r, RESUME);
    settle(r);
    send_all(r);
    return settle(r);
}

/* DATA of stream 1, as fast as the line is. */
static void feed_bulk(struct run *r)
{
    static char frame[9 + BULK_DATA] = {0, BULK_DATA >> 8, 0, 0, 0, 0, 0, 0, 1};

    for (int i = 0; i < 16 && !r->err; i++)
        feed(r, frame, sizeof(frame));
}

static bool is_idle(const struct run *r)
{
    return !r->h->streams && !r->h->wants_pull;
}

static void owner_does(struct run *r, enum deed what, unsigned flags)
{
    switch (what) {
    case OPEN_GET:
    case OPEN_PUT:
    case OPEN_POST:
        open_stream(r, what, flags);
        break;
    case CANCEL_FIRST:
        cancel(r, &r->side[0]);
        break;
    case CANCEL_LAST:
        cancel(r, &r->side[r->used ? r->used - 1 : 0]);
        break;
    case PAUSE:
    case RESUME:
        r->paused = what == PAUSE;
        break;
    case HOLD:
        r->held = !r->held;
        to_all(r, HOLD);
        break;
    case PROCEED:
        to_all(r, PROCEED);
        break;
    case PING:
        r->h->ops->ping(r->h);
        break;
    case DRAIN:
        r->h->ops->drain(r->h);
        break;
    case REST:
        if (is_idle(r))
            r->h->ops->rest(r->h);
        break;
    case BULK:
        feed_bulk(r);
        break;
    case WAIT:
        r->h->now_us += 100000;
        break;
    case SEND_LITTLE:
        r->little = true;
        break;
    case NOTHING:
        break;
    }
}

/* ---- one run ------------------------------------------------------------- */

static int64_t grown;

/* A session that heard the server's SETTINGS, with three requests. */
static bool start(struct run *r, unsigned flags)
{
    static const char settings[] = "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\144";
    struct ms_h2_config config = {
        .grown = &grown, .secure = flags & EXPECT, .max_streams = STREAMS};

    running = r;
    r->flags = flags;
    r->err = ms_h2_new(&r->h, &config);
    if (r->err)
        return false;
    send_all(r);
    r->h->now_us = 1000; /* a round trip */
    if (!feed(r, settings, sizeof(settings) - 1))
        return false;
    open_stream(r, flags & UPLOAD ? OPEN_PUT : OPEN_GET, flags);
    open_stream(r, OPEN_GET, 0);
    open_stream(r, OPEN_POST, flags & EXPECT);
    send_all(r);
    return settle(r);
}

static void finish(struct run *r)
{
    r->paused = r->held = false;
    if (!r->err) {
        to_all(r, HOLD);
        to_all(r, PROCEED);
        settle(r);
        send_all(r);
        settle(r);
    }
    if (!r->err)
        r->h->ops->eof(r->h, MS_OK);
    if (r->err)
        expect(r->h->ops->room(r->h) == 0);
    for (unsigned i = 0; i < r->used; i++)
        cancel(r, &r->side[i]);
    for (unsigned i = 0; i < r->used; i++)
        expect(r->side[i].ended != r->side[i].cancelled);
    expect(r->h->streams == 0);
    r->h->ops->free(r->h);
    expect(grown == 0);
}

/* How much comes at once: usually a frame where the owner does things in
 * between, otherwise a few bytes. */
static size_t piece_of(struct ms_span in, const struct run *r, unsigned turn,
                       unsigned cuts)
{
    const unsigned char *p = (const unsigned char *)in.p;
    size_t n = 1 + cuts % 7;

    if (!cuts)
        n = in.n;
    else if (r->deeds && turn % 4 != 3 && in.n > 9)
        n = 9 + ((size_t)p[1] << 8 | p[2]);
    else if (turn % 5 == 4)
        n = 1 + cuts % 200;
    return n < in.n ? n : in.n;
}

static void play(struct run *r, unsigned flags, unsigned cuts,
                 struct ms_span in)
{
    bool more = start(r, flags);

    for (unsigned turn = 0; more && in.n; turn++) {
        size_t n = piece_of(in, r, turn, cuts);
        uint8_t two = r->deeds ? r->deeds[turn / 2 % (DEEDS / 2)] : 0;
        cuts = cuts * 5 + (cuts ? 1 : 0);
        owner_does(r, turn % 2 ? two >> 4 : two & 15, flags);
        more = settle(r) && feed(r, in.p, n);
        in = ms_span(in.p + n, in.n - n);
    }
    if (r->h)
        finish(r);
}

static void forget(struct run *r)
{
    for (unsigned i = 0; i < STREAMS; i++) {
        ms_head_free(&r->side[i].head);
        ms_fields_free(&r->side[i].trailers);
        ms_buf_free(&r->side[i].log);
    }
}

/* What a pausing stream left is lost when it fails, or its connection does.
 * Frames for a stream that we gave up are a violation until we said so; what
 * follows a GOAWAY when no stream is left is not looked at, but for the piece
 * that it came in. */
static void expect_same(const struct run *a, const struct run *b)
{
    if (b->reset && (a->err || b->err))
        return;
    for (unsigned i = 0; i < STREAMS; i++) {
        const struct side *x = &a->side[i], *y = &b->side[i];
        if (b->flags & PAUSES && (a->err || x->err))
            continue;
        expect(x->err == y->err && x->ended == y->ended);
        expect(ms_span_equal(ms_buf_span(&x->log), ms_buf_span(&y->log)));
    }
}

static void make_fields(void)
{
    for (size_t i = 0; i < MS_COUNT(request_fields); i++)
        expect(!ms_fields_add(&fields, ms_span_text(request_fields[i][0]),
                              ms_span_text(request_fields[i][1])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole = {0}, cut = {0}, wild = {.deeds = data + 2};
    struct run poor = {.deeds = data + 2, .short_of_memory = true};

    if (size < FLAGS)
        return 0;
    struct ms_span in = ms_span((const char *)data + FLAGS, size - FLAGS);
    ms_mem_fail(0, 0);
    make_fields();
    play(&whole, data[0] & ~(unsigned)PAUSES, 0, in);
    play(&cut, data[0], data[1] | 1u, in);
    expect_same(&whole, &cut);
    ms_mem_fail(LONG_MAX, 1); /* counts, and keeps nothing to spare some */
    play(&wild, data[0], data[1] | 1u, in);
    long asked = ms_mem_count();
    ms_mem_fail(1 + data[1] * 7919l % asked, 1 + data[1] % 2 * asked);
    play(&poor, data[0], data[1] | 1u, in);
    ms_mem_fail(0, 0);
    forget(&whole);
    forget(&cut);
    forget(&wild);
    forget(&poor);
    ms_fields_free(&fields);
    return 0;
}
