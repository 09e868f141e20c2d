/* SPDX-License-Identifier: MIT
 *
 * Fuzzes chunked bodies against a reader of them that is as plain as can be:
 * it has all of the body before it. The session gets it in pieces.
 *
 * Input: a byte that the cuts are made from, the body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "h1_take.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* ---- the plain reader: RFC 9112, 7.1 ------------------------------------ */

struct plain {
    struct ms_span rest;
    struct ms_buf body, trailers; /* those as "name:value\n" */
    size_t extensions, trailer_bytes;
};

static void put(struct ms_buf *b, struct ms_span s)
{
    expect(!ms_buf_add(b, s.p, s.n));
}

/* A line without its CRLF. MS_EEOF: it has no end. */
static ms_err take_line(struct plain *r, struct ms_span *line)
{
    const char *lf = r->rest.n ? memchr(r->rest.p, '\n', r->rest.n) : NULL;

    *line = r->rest;
    if (!lf)
        return MS_EEOF;
    line->n = (size_t)(lf - r->rest.p);
    r->rest = ms_span(lf + 1, r->rest.n - line->n - 1);
    if (!line->n || lf[-1] != '\r')
        return MS_EPROTO;
    line->n--;
    return MS_OK;
}

static ms_err read_size(struct plain *r, uint64_t *size)
{
    struct ms_span line, behind;
    size_t digits = 0;
    ms_err err = take_line(r, &line);

    if (line.n + (err == MS_OK) > MS_H1_MAX_CHUNK_LINE)
        return MS_EPROTO;
    if (err)
        return err;
    for (*size = 0; digits < line.n; digits++) {
        int digit = ms_hex_value((unsigned char)line.p[digits]);
        if (digit < 0)
            break;
        *size = *size << 4 | (unsigned)digit;
    }
    behind = ms_span(line.p + digits, line.n - digits);
    r->extensions += behind.n;
    if (digits < 1 || digits > 15 || r->extensions > MS_H1_MAX_EXTENSIONS)
        return MS_EPROTO;
    if (!ms_wire_is_value(behind))
        return MS_EPROTO;
    return !behind.n ||
                   (ms_span_trim(behind).n && *ms_span_trim(behind).p == ';')
               ? MS_OK
               : MS_EPROTO;
}

static ms_err read_data(struct plain *r, uint64_t size)
{
    size_t n = size < r->rest.n ? (size_t)size : r->rest.n;

    put(&r->body, ms_span(r->rest.p, n));
    r->rest = ms_span(r->rest.p + n, r->rest.n - n);
    for (const char *p = "\r\n"; *p; p++) {
        if (!r->rest.n)
            return MS_EEOF;
        if (*r->rest.p != *p)
            return MS_EPROTO;
        r->rest = ms_span(r->rest.p + 1, r->rest.n - 1);
    }
    return MS_OK;
}

static ms_err read_trailer(struct plain *r, bool *last)
{
    struct ms_span line;
    size_t before = r->rest.n;
    ms_err err = take_line(r, &line);

    r->trailer_bytes += err == MS_EEOF ? before : before - r->rest.n;
    if (r->trailer_bytes > MS_H1_MAX_TRAILERS)
        return MS_EHEADERS;
    *last = !line.n;
    if (err || *last)
        return err;
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon)
        return MS_EPROTO;
    struct ms_span name = ms_span(line.p, (size_t)(colon - line.p));
    struct ms_span value =
        ms_span_trim(ms_span(colon + 1, line.n - name.n - 1));
    put(&r->trailers, name);
    put(&r->trailers, MS_SPAN(":"));
    put(&r->trailers, value);
    put(&r->trailers, MS_SPAN("\n"));
    return ms_wire_is_token(name) && ms_wire_is_value(value) ? MS_OK
                                                             : MS_EPROTO;
}

static ms_err read_all(struct plain *r)
{
    uint64_t size = 1;
    bool last = false;
    ms_err err = MS_OK;

    while (!err && size) {
        err = read_size(r, &size);
        if (!err && size)
            err = read_data(r, size);
    }
    while (!err && !last)
        err = read_trailer(r, &last);
    return err;
}

/* ---- the session --------------------------------------------------------- */

/* Feeds copies, so that a look beyond a piece's end is seen. Returns how many
 * bytes were used. */
static size_t feed_pieces(struct take *t, unsigned cuts, struct ms_span in)
{
    size_t at = 0;

    while (at < in.n && t->stream.session) {
        size_t n = 1 + cuts % 7;
        n = n < in.n - at ? n : in.n - at;
        cuts = cuts * 5 + 1;
        char *copy = malloc(n);
        expect(copy);
        memcpy(copy, in.p + at, n);
        at += take_feed(t, ms_span(copy, n));
        free(copy);
    }
    return at;
}

static void check_trailers(const struct take *t, struct ms_span expected)
{
    struct ms_buf b = {0};

    for (uint32_t i = 0; i < t->trailers.count; i++) {
        put(&b, ms_fields_name(&t->trailers, i));
        put(&b, MS_SPAN(":"));
        put(&b, ms_fields_value(&t->trailers, i));
        put(&b, MS_SPAN("\n"));
    }
    expect(ms_span_equal(ms_buf_span(&b), expected));
    ms_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct take t = {0};

    if (size < 1)
        return 0;
    struct ms_span in = ms_span((const char *)data + 1, size - 1);
    struct plain r = {.rest = in};
    ms_err err = read_all(&r);
    take_start(&t, false);
    take_feed(&t, MS_SPAN("HTTP/1.1 200 OK\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n"));
    size_t used = feed_pieces(&t, data[0], in);
    take_finish(&t);
    expect(t.status == 200 && t.err == err);
    expect(ms_span_equal(ms_buf_span(&t.body), ms_buf_span(&r.body)));
    if (!err) {
        expect(used == in.n - r.rest.n);
        check_trailers(&t, ms_buf_span(&r.trailers));
    }
    ms_buf_free(&r.body);
    ms_buf_free(&r.trailers);
    take_free(&t);
    return 0;
}
