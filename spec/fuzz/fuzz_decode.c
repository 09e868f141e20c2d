/* SPDX-License-Identifier: MIT
 *
 * Fuzzes content codings: how a body is split and how much room there is make
 * no difference, and nothing comes out that was not asked for. The first byte
 * says which codings, the second how the rest is cut.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/decode.h"

/* More is a bomb: what comes behind is not looked at. */
#define MOST (1 << 18)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const codings[] = {"gzip", "deflate",      "br",
                                      "zstd", "gzip, gzip",   "gzip, br",
                                      "",     "zstd, deflate"};

struct outcome {
    ms_err err;
    size_t n;
    char *p;
};

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static struct ms_decoder *open_decoder(unsigned which)
{
    struct ms_fields f = {0};
    struct ms_decoder *d = NULL;
    struct ms_span name = ms_span_text(codings[which % MS_COUNT(codings)]);

    expect(!ms_fields_add(&f, MS_SPAN("Content-Encoding"), name));
    expect(!ms_decoder_new(&d, &f));
    ms_fields_free(&f);
    return d;
}

/* Decodes a piece with `room` bytes at a time. */
static void feed(struct ms_decoder *d, struct ms_span in, size_t room,
                 struct outcome *o)
{
    size_t n = room;

    while (!o->err && n == room && o->n < MOST) {
        size_t cap = room < MOST - o->n ? room : MOST - o->n;
        o->err = ms_decoder_run(d, &in, o->p + o->n, cap, &n);
        expect(n <= cap);
        o->n += n;
        n = cap < room ? 0 : n;
    }
    expect(o->err || !in.n || o->n == MOST);
    expect(o->err != MS_EDECODE || ms_decoder_failure(d));
}

static struct outcome decode(unsigned which, struct ms_span in, size_t step,
                             size_t room)
{
    struct outcome o = {MS_OK, 0, malloc(MOST)};
    struct ms_decoder *d = open_decoder(which);

    expect(o.p);
    while (d && !o.err && in.n && o.n < MOST) {
        size_t n = step < in.n ? step : in.n;
        feed(d, ms_span(in.p, n), room, &o);
        in = ms_span(in.p + n, in.n - n);
    }
    if (d && !o.err && o.n < MOST)
        o.err = ms_decoder_end(d);
    ms_decoder_free(d);
    return o;
}

/* What came out before an error depends on how much was asked for at a time;
 * that it is the beginning of the same does not. */
static void same(const struct outcome *a, const struct outcome *b)
{
    size_t n = a->n < b->n ? a->n : b->n;

    expect(!memcmp(a->p, b->p, n));
    expect(a->n == MOST || b->n == MOST ||
           (a->err == b->err && (a->err || a->n == b->n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct ms_span in = ms_span((const char *)data + 2, size - 2);
    struct outcome whole = decode(data[0], in, size, 4096);
    struct outcome cut =
        decode(data[0], in, 1 + data[1] % 16, 1 + data[1] / 16);
    same(&whole, &cut);
    free(whole.p);
    free(cut.p);
    return 0;
}
