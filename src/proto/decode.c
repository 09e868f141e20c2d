/* SPDX-License-Identifier: MIT */
#include "proto/decode.h"

#include <assert.h>

#include "base/mem.h"
#include "multisocket.h"
#include "proto/coding.h"

/* What waits between two codings. */
#define BETWEEN_BYTES 4096

/* Those that are undone, in the order of the table: the first that knows the
 * name. */
static const struct ms_coding *const codings[] = {
    &ms_coding_gzip,
    &ms_coding_deflate,
#ifdef MS_HAVE_BROTLI
    &ms_coding_brotli,
#endif
#ifdef MS_HAVE_ZSTD
    &ms_coding_zstd,
#endif
};

/* One coding; the first was done last and is undone first. */
struct stage {
    const struct ms_coding *coding;
    void *state;       /* NULL until the first byte comes */
    struct ms_span in; /* what the stage before left, in `between` */
    char *between;     /* owned; NULL until the first byte, and for the first */
};

struct ms_decoder {
    const char *failure;
    size_t count;
    struct stage stages[MS_DECODE_MAX];
};

/* ---- names --------------------------------------------------------------- */

/* The codings of all Content-Encoding fields, one by one. */
struct names {
    const struct ms_fields *fields;
    size_t next_field;
    struct ms_span list;
};

static bool next_name(struct names *names, struct ms_span *name)
{
    while (!ms_span_next_item(&names->list, name)) {
        size_t i = ms_fields_find(names->fields, MS_SPAN("content-encoding"),
                                  names->next_field);
        if (i == SIZE_MAX)
            return false;
        names->next_field = i + 1;
        names->list = ms_fields_value(names->fields, i);
    }
    return true;
}

/* RFC 9110, 8.4.1: no coding at all, which should not be named. */
static bool is_identity(struct ms_span name)
{
    return ms_span_equal_nocase(name, MS_SPAN("identity"));
}

bool ms_decode_name(const struct ms_fields *fields, size_t index,
                    struct ms_span *name)
{
    struct names names = {.fields = fields};

    while (next_name(&names, name))
        if (!is_identity(*name) && index-- == 0)
            return true;
    return false;
}

static bool is_called(const struct ms_coding *c, struct ms_span name)
{
    return ms_span_equal_nocase(name, ms_span_text(c->name)) ||
           (c->alias && ms_span_equal_nocase(name, ms_span_text(c->alias)));
}

static const struct ms_coding *find(struct ms_span name)
{
    for (size_t i = 0; i < MS_COUNT(codings); i++)
        if (is_called(codings[i], name))
            return codings[i];
    return NULL;
}

bool ms_decodes(const char *coding, size_t n)
{
    return find(ms_span(coding, n)) != NULL;
}

/* ---- life ---------------------------------------------------------------- */

ms_err ms_decoder_new(struct ms_decoder **out, const struct ms_fields *fields)
{
    const struct ms_coding *found[MS_DECODE_MAX];
    struct ms_span name;
    size_t count = 0;

    *out = NULL;
    for (; ms_decode_name(fields, count, &name); count++) {
        if (count == MS_DECODE_MAX && MS_MUTANT_IS(310))
            break;
        if (count == MS_DECODE_MAX)
            return MS_EDECODE;
        found[count] = find(name);
        if (!found[count])
            return MS_OK;
    }
    if (!count)
        return MS_OK;
    struct ms_decoder *d = ms_zalloc(sizeof(*d));
    if (!d)
        return MS_ENOMEM;
    d->count = count;
    for (size_t i = 0; i < count; i++)
        d->stages[i].coding = found[count - 1 - i];
    *out = d;
    return MS_OK;
}

void ms_decoder_free(struct ms_decoder *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++) {
        if (d->stages[i].state)
            d->stages[i].coding->close(d->stages[i].state);
        ms_free(d->stages[i].between);
    }
    ms_free(d);
}

/* ---- decoding ------------------------------------------------------------ */

/* A coding that got nothing is not even begun. */
static ms_err run_stage(struct ms_decoder *d, struct stage *s,
                        struct ms_coding_io *io)
{
    ms_err err = MS_OK;

    if (!s->state && !io->in.n)
        return MS_OK;
    if (!s->state)
        err = s->coding->open(&s->state);
    if (!err)
        err = s->coding->run(s->state, io);
    if (err == MS_EDECODE)
        d->failure = s->coding->corrupt;
    return err;
}

static ms_err fill(struct ms_decoder *d, size_t i, struct ms_coding_io *io);

/* The next piece of the input of stage `i`, which is not the first. */
static ms_err fetch(struct ms_decoder *d, size_t i, struct ms_span *in)
{
    struct stage *s = &d->stages[i];

    if (!s->between && !(s->between = ms_alloc(BETWEEN_BYTES)))
        return MS_ENOMEM;
    struct ms_coding_io io = {*in, s->between, BETWEEN_BYTES};
    ms_err err = fill(d, i - 1, &io);
    *in = io.in;
    s->in = ms_span(s->between, BETWEEN_BYTES - io.room);
    return err;
}

/* Fills `io` with what comes out of stage `i`, whose input is what the stage
 * before makes, and so on down to what came in; five deep at most. */
static ms_err fill(struct ms_decoder *d, size_t i, struct ms_coding_io *io)
{
    struct stage *s = &d->stages[i];

    if (i == 0)
        return run_stage(d, s, io);
    for (;;) {
        struct ms_coding_io own = {s->in, io->out, io->room};
        ms_err err = run_stage(d, s, &own);
        s->in = own.in;
        io->out = own.out;
        io->room = own.room;
        if (!err && io->room)
            err = fetch(d, i, &io->in);
        if (err || !io->room || !s->in.n)
            return err;
    }
}

ms_err ms_decoder_run(struct ms_decoder *d, struct ms_span *in, char *out,
                      size_t cap, size_t *n)
{
    struct ms_coding_io io = {*in, out, cap};

    assert(cap && !d->failure);
    ms_err err = fill(d, d->count - 1, &io);
    *in = io.in;
    *n = cap - io.room;
    assert(err || *n == cap || !in->n);
    return err;
}

ms_err ms_decoder_end(struct ms_decoder *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct stage *s = &d->stages[i];
        if ((!s->state && !MS_MUTANT_IS(321)) ||
            (s->state && s->coding->whole(s->state)))
            continue;
        d->failure = s->coding->cut_short;
        return MS_EDECODE;
    }
    return MS_OK;
}

const char *ms_decoder_failure(const struct ms_decoder *d)
{
    return d ? d->failure : "more than five content codings";
}
