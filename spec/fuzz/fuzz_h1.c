/* SPDX-License-Identifier: MIT
 *
 * Fuzzes an HTTP/1 response, chunked bodies included: whatever comes, the
 * events must be the same for every way in which the input is cut, and the
 * session must end settled; so it must when an allocation fails. The response
 * also serves as method, target and authority of a request.
 *
 * Input: a byte of flags, a byte that the cuts are made from (and which
 * allocation fails), the response.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "proto/h1.h"
#include "proto/h1_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bits of the first byte. */
enum {
    HEAD_REQUEST = 1,
    CHUNKED = 2,
    COUNTED = 4,
    SMALL_LIMIT = 8,
    PAUSES = 16,
    STREAMED = 32,     /* the request has a body that is produced meanwhile */
    LENGTH_KNOWN = 64, /* it is too long with CHUNKED, too short with COUNTED */
    CANCELS = 128
};

/* Of a streamed body. */
#define PIECES 3

struct run {
    struct ms_stream stream;
    struct ms_head head;
    struct ms_fields trailers;
    struct ms_buf log;
    ms_err err;
    unsigned pauses; /* on_data stops now and then when not 0 */
    unsigned pieces; /* of the request's body so far */
    size_t piece;    /* bytes of each */
};

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static ms_err note(struct run *r, const char *p, size_t n)
{
    return ms_buf_add(&r->log, p, n);
}

/* Finding a field by its name leads to it or one before it. */
static void check_find(const struct ms_fields *f, uint32_t i)
{
    struct ms_span name = ms_fields_name(f, i);
    size_t first = ms_fields_find(f, name, 0);

    expect(ms_fields_find(f, name, i) == i && first <= i);
    expect(ms_span_equal_nocase(ms_fields_name(f, first), name));
    expect(ms_fields_find(f, name, f->count) == SIZE_MAX);
}

static ms_err note_fields(struct run *r, const struct ms_fields *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct ms_span name = ms_fields_name(f, i);
        struct ms_span value = ms_fields_value(f, i);
        check_find(f, i);
        ms_err err = ms_buf_reserve(&r->log, name.n + value.n + 2);
        if (err)
            return err;
        ms_buf_put(&r->log, name);
        ms_buf_put(&r->log, MS_SPAN(":"));
        ms_buf_put(&r->log, value);
        ms_buf_put(&r->log, MS_SPAN("\n"));
    }
    return MS_OK;
}

static ms_err on_head(struct ms_stream *s)
{
    struct run *r = MS_CONTAINER(s, struct run, stream);

    expect(s->head->status >= 100 && s->head->status <= 599);
    ms_err err =
        note(r, (const char *)&s->head->status, sizeof(s->head->status));
    return err ? err : note_fields(r, &s->head->fields);
}

static ms_err on_data(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken)
{
    struct run *r = MS_CONTAINER(s, struct run, stream);

    expect(n > 0);
    *taken = r->pauses && r->pauses++ % 3 == 0 ? n / 2 : n;
    return note(r, p, *taken);
}

static void on_end(struct ms_stream *s, ms_err err, const char *detail)
{
    struct run *r = MS_CONTAINER(s, struct run, stream);
    char code = (char)err;

    (void)detail;
    expect(!s->session);
    r->err = note(r, &code, 1);
    if (!err && !r->err)
        r->err = note_fields(r, &r->trailers);
    if (err)
        r->err = err;
}

static ms_err on_pull(struct ms_stream *s, char *p, size_t cap, size_t *n,
                      bool *end)
{
    struct run *r = MS_CONTAINER(s, struct run, stream);

    expect(cap > 0);
    if (r->pieces++ % 2 == 0) /* nothing there at the first call */
        return MS_OK;
    *n = cap < r->piece ? cap : r->piece;
    memset(p, 'x', *n);
    *end = r->pieces >= PIECES * 2;
    return MS_OK;
}

static const struct ms_stream_ops ops = {.on_head = on_head,
                                         .on_data = on_data,
                                         .on_pull = on_pull,
                                         .on_end = on_end};

/* Lets leave what is to leave. */
static void drain(struct ms_session *h)
{
    struct ms_span out[4];
    size_t n;

    while ((n = h->ops->pull(h, out, 4)) > 0) {
        expect(n <= 4 && out[0].n > 0);
        h->ops->sent(h, out[0].n > 1 ? out[0].n - 1 : 1);
    }
}

/* NULL: no memory. */
static struct ms_session *open_session(struct run *r, unsigned flags)
{
    bool head = flags & HEAD_REQUEST;
    struct ms_request req = {.method = head ? MS_SPAN("HEAD") : MS_SPAN("GET"),
                             .target = MS_SPAN("/"),
                             .authority = MS_SPAN("h"),
                             .streamed = flags & STREAMED,
                             .length = !(flags & LENGTH_KNOWN) ? -1
                                       : flags & COUNTED       ? PIECES + 1
                                                               : PIECES - 1,
                             .expect = flags & STREAMED && flags & SMALL_LIMIT};
    struct ms_session *h;

    *r = (struct run){.pauses = flags & PAUSES ? 1u : 0u,
                      .piece = flags & CHUNKED ? PIECES : 1};
    r->stream.ops = &ops;
    r->stream.head = &r->head;
    r->stream.trailers = &r->trailers;
    r->stream.max_head_bytes = flags & SMALL_LIMIT ? 64 : 1 << 20;
    r->err = ms_h1_new(&h);
    if (r->err)
        return NULL;
    r->err = h->ops->open(h, &r->stream, &req);
    if (r->err) {
        h->ops->free(h);
        return NULL;
    }
    drain(h);
    h->ops->proceed(h, &r->stream);
    drain(h);
    return h;
}

/* Feeds a copy, so that a look beyond the piece's end is seen. */
static bool feed(struct ms_session *h, struct run *r, struct ms_span in)
{
    char *copy = malloc(in.n + !in.n);
    size_t at = 0, used, stuck = 0;
    ms_err err = MS_OK;

    expect(copy);
    if (in.n)
        memcpy(copy, in.p, in.n);
    while (!err && r->stream.session && at < in.n) {
        err = h->ops->feed(h, ms_span(copy + at, in.n - at), &used);
        expect(used <= in.n - at);
        stuck = used ? 0 : stuck + 1;
        expect(stuck < 8); /* it paused, and was resumed */
        at += used;
        if (r->stream.session)
            h->ops->resume(h, &r->stream);
    }
    free(copy);
    return !err && r->stream.session;
}

static void play(struct run *r, unsigned flags, unsigned cuts,
                 struct ms_span in)
{
    struct ms_session *h = open_session(r, flags);
    static const char chunked[] =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const char counted[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    bool more = true;

    if (!h)
        return;
    if (flags & CHUNKED)
        more = feed(h, r, MS_SPAN(chunked));
    else if (flags & COUNTED)
        more = feed(h, r, MS_SPAN(counted));
    while (more && in.n) {
        size_t n = cuts ? 1 + cuts % 7 : in.n;
        cuts = cuts * 5 + (cuts ? 1 : 0);
        n = n < in.n ? n : in.n;
        more = feed(h, r, ms_span(in.p, n));
        in = ms_span(in.p + n, in.n - n);
        drain(h);
    }
    if (flags & CANCELS && r->stream.session) {
        h->ops->cancel(h, &r->stream);
        expect(h->ops->room(h) == 0);
    }
    if (r->stream.session)
        h->ops->eof(h, MS_OK);
    expect(!r->stream.session);
    h->ops->free(h);
}

static void end(struct run *r)
{
    ms_head_free(&r->head);
    ms_fields_free(&r->trailers);
    ms_buf_free(&r->log);
}

/* Whichever allocation fails, it ends as ever or with MS_ENOMEM. */
static void play_short_of_memory(unsigned flags, long nth, struct ms_span in,
                                 ms_err as_ever)
{
    struct run r;

    ms_mem_fail(nth, 1);
    play(&r, flags, 0, in);
    ms_mem_fail(0, 0);
    expect(r.err == as_ever || r.err == MS_ENOMEM);
    end(&r);
}

static struct ms_span next_word(struct ms_span *rest)
{
    const char *end = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    struct ms_span word = ms_span(rest->p, n);

    n += end != NULL;
    *rest = ms_span(rest->p + n, rest->n - n);
    return word;
}

/* Whatever method, target and authority are, there is one request with the
 * four lines it ought to have, or none. */
static void check_request(struct ms_span in)
{
    struct ms_request req = {
        .method = next_word(&in), .target = next_word(&in), .has_body = true};
    struct ms_buf b = {0};
    size_t lines = 0;

    req.authority = in;
    ms_err err = ms_h1_render(&b, &req);
    expect(!err || err == MS_EHEADER || err == MS_EOPTION);
    for (size_t i = 0; i < ms_buf_len(&b); i++)
        lines += b.p[i] == '\n' || b.p[i] == '\r' || !b.p[i];
    expect(err ? lines == 0 : lines == 8);
    ms_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole, cut;

    if (size < 2)
        return 0;
    struct ms_span in = ms_span((const char *)data + 2, size - 2);
    ms_mem_fail(0, 0);
    check_request(in);
    play(&whole, data[0] & ~(unsigned)PAUSES, 0, in);
    long nth = 1 + data[1] % ms_mem_count();
    play(&cut, data[0], data[1] | 1u, in);
    /* A body that is still being sent may fail in between. */
    if (!(data[0] & STREAMED))
        expect(ms_span_equal(ms_buf_span(&whole.log), ms_buf_span(&cut.log)));
    play_short_of_memory(data[0] & ~(unsigned)PAUSES, nth, in, whole.err);
    end(&whole);
    end(&cut);
    return 0;
}
