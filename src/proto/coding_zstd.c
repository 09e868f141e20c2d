/* SPDX-License-Identifier: MIT
 *
 * coding_zstd.c - zstd (RFC 8878), by libzstd. Frames may follow each other;
 * behind them nothing else may. Its memory is libzstd's own, for the functions
 * that would let us lend ours are not part of its stable interface.
 */
#include "proto/coding.h"

#ifdef MS_HAVE_ZSTD

#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

/* 8 MiB: what a server may expect of us (RFC 9659), and browsers grant. */
#define WINDOW_LOG (MS_MUTANT_IS(315) ? 24 : 23)

struct zstd_state {
    ZSTD_DStream *d;
    bool inside; /* of a frame */
};

static ms_err zstd_open(void **state)
{
    struct zstd_state *s = ms_zalloc(sizeof(*s));

    if (!s)
        return MS_ENOMEM;
    s->d = ZSTD_createDStream();
    if (!s->d || ZSTD_isError(ZSTD_DCtx_setParameter(s->d, ZSTD_d_windowLogMax,
                                                     WINDOW_LOG))) {
        ZSTD_freeDStream(s->d);
        ms_free(s);
        return MS_ENOMEM;
    }
    *state = s;
    return MS_OK;
}

static ms_err zstd_run(void *state, struct ms_coding_io *io)
{
    struct zstd_state *s = state;
    ZSTD_inBuffer in = {io->in.p, io->in.n, 0};
    ZSTD_outBuffer out = {io->out, io->room, 0};
    bool more = s->inside || in.size;

    while (more) { /* it comes back at the end of every frame */
        size_t before = in.pos + out.pos;
        size_t left = ZSTD_decompressStream(s->d, &out, &in);
        if (ZSTD_isError(left))
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation
                       ? MS_ENOMEM
                       : MS_EDECODE;
        s->inside = left != 0;
        more =
            out.pos < out.size && in.pos < in.size && in.pos + out.pos > before;
    }
    io->in = ms_span(io->in.p + in.pos, in.size - in.pos);
    io->out += out.pos;
    io->room -= out.pos;
    return MS_OK;
}

static bool zstd_whole(const void *state)
{
    return !((const struct zstd_state *)state)->inside || MS_MUTANT_IS(314);
}

static void zstd_close(void *state)
{
    struct zstd_state *s = state;

    ZSTD_freeDStream(s->d);
    ms_free(s);
}

const struct ms_coding ms_coding_zstd = {
    .name = "zstd",
    .corrupt = "the zstd data is corrupt, or its window larger than 8 MiB",
    .cut_short = "the zstd data is cut short",
    .open = zstd_open,
    .run = zstd_run,
    .whole = zstd_whole,
    .close = zstd_close,
};

#endif
