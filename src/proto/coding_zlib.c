/* SPDX-License-Identifier: MIT
 *
 * coding_zlib.c - gzip (RFC 1952) and deflate (RFC 1950), by zlib.
 *
 * Several gzip members make one body. "deflate" means the zlib format, but
 * enough servers send it bare (RFC 1951) that it is told by the first two
 * bytes, as browsers do. What stands behind the end, which for gzip is what
 * does not begin another member, is passed over, as gzip and browsers do:
 * padding is common and what was checked is whole.
 */
#include <assert.h>
#include <limits.h>
#include <zlib.h>

#include "base/mem.h"
#include "multisocket.h"
#include "proto/coding.h"

/* The largest window of the format, and how inflateInit2() is told which of
 * the three formats it is about. */
#define WINDOW_BITS 15
#define AS_GZIP     (WINDOW_BITS + 16)
#define AS_ZLIB     WINDOW_BITS
#define AS_BARE     (-WINDOW_BITS)

static const unsigned char gzip_magic[2] = {0x1f, 0x8b};

struct zlib_state {
    z_stream z;
    bool ended;   /* a member, or all of it */
    bool started; /* inflate knows the format */
    bool gzip;
    unsigned char lead[2]; /* of a member to come, or of deflate */
    unsigned leads;
};

static voidpf take(voidpf user, uInt items, uInt size)
{
    (void)user;
    if (size && items > UINT_MAX / size)
        return NULL;
    return ms_alloc((size_t)items * size);
}

static void give(voidpf user, voidpf p)
{
    (void)user;
    ms_free(p);
}

static ms_err start(struct zlib_state *s, int window_bits)
{
    s->z.zalloc = take;
    s->z.zfree = give;
    if (inflateInit2(&s->z, window_bits) != Z_OK)
        return MS_ENOMEM;
    s->started = true;
    return MS_OK;
}

static void zlib_close(void *state)
{
    struct zlib_state *s = state;

    if (s->started)
        inflateEnd(&s->z);
    ms_free(s);
}

static ms_err gzip_open(void **state)
{
    struct zlib_state *s = ms_zalloc(sizeof(*s));

    if (!s)
        return MS_ENOMEM;
    s->gzip = true;
    ms_err err = start(s, AS_GZIP);
    if (err)
        ms_free(s);
    else
        *state = s;
    return err;
}

static ms_err deflate_open(void **state)
{
    *state = ms_zalloc(sizeof(struct zlib_state));
    return *state ? MS_OK : MS_ENOMEM;
}

/* zlib's header is a multiple of 31, names method 8 and a window that exists
 * (RFC 1950, 2.2). A bare one that looks like it would begin with a stored
 * block and bits that everybody leaves zero. */
static bool is_zlib(const unsigned char *p)
{
    return ((unsigned)p[0] << 8 | p[1]) % 31 == 0 &&
           (p[0] & 15) == Z_DEFLATED && p[0] >> 4 <= WINDOW_BITS - 8;
}

/* Inflates from `in`, which is of the caller's input or of s->lead. */
static ms_err inflate_some(struct zlib_state *s, struct ms_span *in,
                           struct ms_coding_io *io)
{
    size_t n = in->n < UINT_MAX ? in->n : UINT_MAX;
    size_t room = io->room < UINT_MAX ? io->room : UINT_MAX;

    s->z.next_in = (z_const Bytef *)(uintptr_t)in->p;
    s->z.avail_in = (uInt)n;
    s->z.next_out = (Bytef *)io->out;
    s->z.avail_out = (uInt)room;
    int code = inflate(&s->z, Z_NO_FLUSH);
    n -= s->z.avail_in;
    room -= s->z.avail_out;
    *in = ms_span(in->p + n, in->n - n);
    io->out += room;
    io->room -= room;
    s->ended = code == Z_STREAM_END;
    if (code == Z_MEM_ERROR)
        return MS_ENOMEM;
    s->ended |= MS_MUTANT_IS(311) && code == Z_DATA_ERROR;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR ||
                   MS_MUTANT_IS(311)
               ? MS_OK
               : MS_EDECODE;
}

/* Hands on what was kept to look at. Two bytes are used up by a header, or by
 * the head of a block and one literal: any room will do. */
static ms_err inflate_leads(struct zlib_state *s, struct ms_coding_io *io)
{
    struct ms_span in = ms_span((const char *)s->lead, s->leads);

    s->leads = 0;
    ms_err err = inflate_some(s, &in, io);
    assert(err || !in.n);
    return err;
}

static unsigned char next_byte(struct ms_span *in)
{
    unsigned char c = (unsigned char)*in->p;

    *in = ms_span(in->p + 1, in->n - 1);
    return c;
}

static void pass_over(struct ms_span *in)
{
    *in = ms_span(in->p + in->n, 0);
}

/* Behind a member: another one, or nothing that matters. */
static ms_err between_members(struct zlib_state *s, struct ms_coding_io *io)
{
    while (io->in.n && s->leads < sizeof(gzip_magic)) {
        unsigned char c = next_byte(&io->in);
        if (c != gzip_magic[s->leads]) {
            s->leads = 0;
            s->gzip = false; /* no member any more */
            pass_over(&io->in);
            return MS_OK;
        }
        s->lead[s->leads++] = c;
    }
    if (s->leads < sizeof(gzip_magic))
        return MS_OK;
    inflateReset(&s->z);
    return inflate_leads(s, io);
}

/* Which of the two formats it is takes two bytes to know. */
static ms_err begin_deflate(struct zlib_state *s, struct ms_coding_io *io)
{
    while (io->in.n && s->leads < sizeof(s->lead))
        s->lead[s->leads++] = next_byte(&io->in);
    if (s->leads < sizeof(s->lead))
        return MS_OK;
    ms_err err =
        start(s, is_zlib(s->lead) || MS_MUTANT_IS(309) ? AS_ZLIB : AS_BARE);
    return err ? err : inflate_leads(s, io);
}

/* One step; false when there is no more to do. */
static bool step(struct zlib_state *s, struct ms_coding_io *io, ms_err *err)
{
    if (!s->started) {
        *err = begin_deflate(s, io);
        return s->started && !*err;
    }
    if (s->ended && s->gzip && !MS_MUTANT_IS(316)) {
        *err = between_members(s, io);
        return io->in.n && !*err;
    }
    if (s->ended) {
        pass_over(&io->in);
        return false;
    }
    *err = inflate_some(s, &io->in, io);
    return s->ended && !*err;
}

static ms_err zlib_run(void *state, struct ms_coding_io *io)
{
    ms_err err = MS_OK;

    while (io->room && step(state, io, &err))
        ;
    return err;
}

static bool zlib_whole(const void *state)
{
    return ((const struct zlib_state *)state)->ended || MS_MUTANT_IS(312);
}

const char *ms_zlib_version(void)
{
    return zlibVersion();
}

const struct ms_coding ms_coding_gzip = {
    .name = "gzip",
    .alias = "x-gzip",
    .corrupt = "the gzip data is corrupt",
    .cut_short = "the gzip data is cut short",
    .open = gzip_open,
    .run = zlib_run,
    .whole = zlib_whole,
    .close = zlib_close,
};

const struct ms_coding ms_coding_deflate = {
    .name = "deflate",
    .corrupt = "the deflate data is corrupt",
    .cut_short = "the deflate data is cut short",
    .open = deflate_open,
    .run = zlib_run,
    .whole = zlib_whole,
    .close = zlib_close,
};
