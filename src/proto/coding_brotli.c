/* SPDX-License-Identifier: MIT
 *
 * coding_brotli.c - br (RFC 7932), by libbrotlidec. The format's own limit of
 * 16 MiB bounds its window; large windows are another format and not read.
 */
#include "proto/coding.h"

#ifdef MS_HAVE_BROTLI

#include <brotli/decode.h>

#include "base/mem.h"

struct brotli_state {
    BrotliDecoderState *d;
    bool ended;
};

static void *take(void *user, size_t n)
{
    (void)user;
    return ms_alloc(n ? n : 1);
}

static void give(void *user, void *p)
{
    (void)user;
    ms_free(p);
}

static ms_err brotli_open(void **state)
{
    struct brotli_state *s = ms_zalloc(sizeof(*s));

    if (!s)
        return MS_ENOMEM;
    s->d = BrotliDecoderCreateInstance(take, give, NULL);
    if (!s->d) {
        ms_free(s);
        return MS_ENOMEM;
    }
    *state = s;
    return MS_OK;
}

static ms_err failure(BrotliDecoderErrorCode code)
{
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                   code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
               ? MS_ENOMEM
               : MS_EDECODE;
}

static ms_err brotli_run(void *state, struct ms_coding_io *io)
{
    struct brotli_state *s = state;
    const uint8_t *in = (const uint8_t *)io->in.p;
    uint8_t *out = (uint8_t *)io->out;

    if (!s->ended) {
        BrotliDecoderResult r = BrotliDecoderDecompressStream(
            s->d, &io->in.n, &in, &io->room, &out, NULL);
        io->in.p = (const char *)in;
        io->out = (char *)out;
        if (r == BROTLI_DECODER_RESULT_ERROR)
            return failure(BrotliDecoderGetErrorCode(s->d));
        s->ended = r == BROTLI_DECODER_RESULT_SUCCESS;
    }
    if (s->ended) /* what is left means nothing */
        io->in = ms_span(io->in.p + io->in.n, 0);
    return MS_OK;
}

static bool brotli_whole(const void *state)
{
    return ((const struct brotli_state *)state)->ended || MS_MUTANT_IS(313);
}

static void brotli_close(void *state)
{
    struct brotli_state *s = state;

    BrotliDecoderDestroyInstance(s->d);
    ms_free(s);
}

const struct ms_coding ms_coding_brotli = {
    .name = "br",
    .corrupt = "the br data is corrupt",
    .cut_short = "the br data is cut short",
    .open = brotli_open,
    .run = brotli_run,
    .whole = brotli_whole,
    .close = brotli_close,
};

#endif
