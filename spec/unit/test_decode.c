/* SPDX-License-Identifier: MIT
 *
 * Content codings: at every split, cut anywhere, corrupt anywhere, without
 * memory, and as bombs.
 */
#include "proto/decode.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "decode_cases.h"
#include "unit.h"

#ifdef MS_HAVE_BROTLI
#define BR true
#else
#define BR false
#endif
#ifdef MS_HAVE_ZSTD
#define ZSTD true
#else
#define ZSTD false
#endif

static const struct coded {
    const char *name, *codings;
    const unsigned char *p;
    size_t n;
    bool linked;
} cases[] = {
#define CODED(name, codings, linked)                                           \
    {                                                                          \
#name, codings, name, sizeof(name), linked                             \
    }
    CODED(gzip, "gzip", true),
    CODED(gzip_fields, "x-gzip", true),
    CODED(gzip_members, "GZip", true),
    CODED(deflate, "deflate", true),
    CODED(bare_deflate, "deflate", true),
    CODED(br, "br", BR),
    CODED(zstd, "zstd", ZSTD),
    CODED(zstd_frames, "zstd", ZSTD),
    CODED(gzip_then_br, "gzip, br", BR),
    CODED(all_five, "gzip, deflate, br, zstd, gzip", BR &&ZSTD),
#undef CODED
};

#define EACH_CASE(c)                                                           \
    for (const struct coded *c = cases; c < cases + MS_COUNT(cases); c++)      \
        if (c->linked)

/* ---- a body that is fed in pieces ---------------------------------------- */

static char made[64 * 1024];
static size_t made_n;

static ms_err new_decoder(struct ms_decoder **d, const char *codings)
{
    struct ms_fields f = {0};
    ms_err err =
        ms_fields_add(&f, MS_SPAN("Content-Encoding"), ms_span_text(codings));

    if (!err)
        err = ms_decoder_new(d, &f);
    ms_fields_free(&f);
    return err;
}

/* Decodes a piece, `room` bytes at a time. */
static ms_err feed(struct ms_decoder *d, struct ms_span in, size_t room)
{
    size_t n = room;
    ms_err err = MS_OK;

    while (!err && n == room) {
        CHECK(made_n + room <= sizeof(made));
        err = ms_decoder_run(d, &in, made + made_n, room, &n);
        made_n += n;
    }
    CHECK(err || !in.n);
    return err;
}

/* All of it: what comes before `split`, and the rest by `step`. */
static ms_err decode(const struct coded *c, size_t split, size_t step,
                     size_t room)
{
    struct ms_decoder *d = NULL;
    ms_err err = new_decoder(&d, c->codings);
    size_t at = 0;

    made_n = 0;
    if (err)
        return err;
    CHECK(d != NULL);
    while (!err && at < c->n) {
        size_t n = at < split ? split - at : step;
        n = n < c->n - at ? n : c->n - at;
        err = feed(d, ms_span((const char *)c->p + at, n), room);
        at += n;
    }
    if (!err)
        err = ms_decoder_end(d);
    CHECK(err != MS_EDECODE || ms_decoder_failure(d));
    ms_decoder_free(d);
    return err;
}

static bool is_plain(void)
{
    return made_n == sizeof(PLAIN) - 1 && memcmp(made, PLAIN, made_n) == 0;
}

/* ---- splits ----------------------------------------------------------------
 */

/* F7: every split. */
TEST(every_coding_at_every_split)
{
    EACH_CASE(c)
    for (size_t split = 0; split <= c->n; split++) {
        ms_err err = decode(c, split, c->n, 4096);
        CHECK_THAT(!err && is_plain(), "%s at %zu: %s", c->name, split,
                   ms_err_name(err));
    }
}

TEST(every_coding_byte_by_byte_into_any_room)
{
    EACH_CASE(c)
    for (size_t room = 1; room <= 17; room++) {
        ms_err err = decode(c, 0, 1, room);
        CHECK_THAT(!err && is_plain(), "%s into %zu: %s", c->name, room,
                   ms_err_name(err));
        err = decode(c, 0, c->n, room);
        CHECK_THAT(!err && is_plain(), "%s whole into %zu: %s", c->name, room,
                   ms_err_name(err));
    }
}

/* ---- what is wrong with it ---------------------------------------------- */

static bool has_at(const struct coded *c, size_t at, const char *magic)
{
    size_t n = strlen(magic);

    return at <= c->n && n <= c->n - at && memcmp(c->p + at, magic, n) == 0;
}

/* The first member of several, the first frame: whole. */
static bool may_end(const struct coded *c, size_t n)
{
    if (c->p == gzip_members)
        return n > 1 && (has_at(c, n, "\x1f\x8b\x08") ||
                         has_at(c, n - 1, "\x1f\x8b\x08"));
    if (c->p == zstd_frames)
        return has_at(c, n, "\x28\xb5\x2f\xfd") ||
               has_at(c, n, "\x50\x2a\x4d\x18");
    return false;
}

/* F1: cut at every byte. */
TEST(a_body_that_is_cut_short_is_an_error)
{
    EACH_CASE(c)
    for (size_t n = 1; n < c->n; n++) {
        struct coded cut = *c;
        cut.n = n;
        ms_err err = decode(&cut, 0, n, 4096);
        CHECK_THAT(err == (may_end(c, n) ? MS_OK : MS_EDECODE),
                   "%s cut to %zu: %s", c->name, n, ms_err_name(err));
    }
}

TEST(an_empty_body_is_whole)
{
    EACH_CASE(c)
    {
        struct coded none = *c;
        none.n = 0;
        CHECK(!decode(&none, 0, 1, 16));
        CHECK(made_n == 0);
    }
}

/* Every bit of what has a checksum: an error, or a bit that means nothing,
 * such as the time a file was changed. Without a checksum: no crash. */
TEST(a_wrong_bit_is_noticed_where_there_is_a_checksum)
{
    unsigned char copy[sizeof(gzip_members) + sizeof(all_five)];

    EACH_CASE(c)
    {
        struct coded wrong = *c;
        bool checked = c->p != bare_deflate && c->p != br;
        wrong.p = copy;
        for (size_t bit = 0; bit < c->n * 8; bit++) {
            memcpy(copy, c->p, c->n);
            copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
            ms_err err = decode(&wrong, 0, c->n, 4096);
            CHECK_THAT(err == MS_EDECODE || !checked || is_plain() ||
                           c->p == gzip_members || c->p == zstd_frames,
                       "%s with bit %zu wrong: %s", c->name, bit,
                       ms_err_name(err));
        }
    }
}

static ms_err decode_with_tail(const struct coded *c, const char *tail,
                               size_t tail_n, size_t step)
{
    unsigned char copy[2048];
    struct coded longer = *c;

    CHECK(c->n + tail_n <= sizeof(copy));
    memcpy(copy, c->p, c->n);
    memcpy(copy + c->n, tail, tail_n);
    longer.p = copy;
    longer.n = c->n + tail_n;
    return decode(&longer, c->n, step, 4096);
}

TEST(what_stands_behind_the_end_means_nothing)
{
    static const char *const tails[] = {"\n", "garbage", "\x1f", "\x1fgarbage",
                                        "\x1f\x1f\x8b"};

    EACH_CASE(c)
    for (size_t i = 0; i < MS_COUNT(tails); i++)
        for (size_t step = 1; step < 4; step++) {
            ms_err err = decode_with_tail(c, tails[i], strlen(tails[i]), step);
            if (c->p == zstd || c->p == zstd_frames)
                CHECK(err == MS_EDECODE);
            else
                CHECK_THAT(!err && is_plain(), "%s and %zu: %s", c->name, i,
                           ms_err_name(err));
        }
}

TEST(what_begins_another_gzip_member_has_to_be_one)
{
    CHECK(decode_with_tail(&cases[0], "\x1f\x8b", 2, 1) == MS_EDECODE);
    CHECK(decode_with_tail(&cases[0], "\x1f\x8bgarbage", 9, 9) == MS_EDECODE);
}

#ifdef MS_HAVE_ZSTD
/* A frame that asks for 16 MiB of window (RFC 8878, 3.1.1.1.2). */
TEST(a_window_beyond_8_MiB_is_refused)
{
    static const unsigned char wide[] = {0x28,    0xb5, 0x2f, 0xfd, 0x00,
                                         14 << 3, 0x01, 0x00, 0x00};
    static const unsigned char fits[] = {0x28,    0xb5, 0x2f, 0xfd, 0x00,
                                         13 << 3, 0x01, 0x00, 0x00};
    struct coded c = {"wide", "zstd", wide, sizeof(wide), true};

    CHECK(decode(&c, 0, 9, 64) == MS_EDECODE);
    c.p = fits;
    CHECK(decode(&c, 0, 9, 64) == MS_OK);
}
#endif

/* ---- names
 * ------------------------------------------------------------------- */

static bool decodes(const char *codings, ms_err want)
{
    struct ms_decoder *d = NULL;

    CHECK(new_decoder(&d, codings) == want);
    bool some = d != NULL;
    ms_decoder_free(d);
    return some;
}

TEST(what_is_not_known_is_left_alone)
{
    CHECK(!decodes("", MS_OK));
    CHECK(!decodes("identity", MS_OK));
    CHECK(!decodes("compress", MS_OK));
    CHECK(!decodes("gzip, compress", MS_OK));
    CHECK(!decodes("compress, gzip", MS_OK));
    CHECK(!decodes("gzipp", MS_OK));
    CHECK(decodes("Identity, GZIP ,, identity", MS_OK));
}

/* F2: the chain. */
TEST(there_are_five_codings_at_most)
{
    CHECK(decodes("gzip, gzip, gzip, gzip, gzip", MS_OK));
    CHECK(!decodes("gzip, gzip, gzip, gzip, gzip, gzip", MS_EDECODE));
    CHECK(decodes("gzip, gzip, gzip, gzip, gzip, identity", MS_OK));
    CHECK(ms_decoder_failure(NULL) != NULL);
}

TEST(several_fields_are_one_list)
{
    struct ms_fields f = {0};
    struct ms_span name;

    CHECK(!ms_fields_add(&f, MS_SPAN("content-encoding"), MS_SPAN("gzip, a")));
    CHECK(!ms_fields_add(&f, MS_SPAN("other"), MS_SPAN("b")));
    CHECK(!ms_fields_add(&f, MS_SPAN("Content-Encoding"), MS_SPAN("c")));
    CHECK(ms_decode_name(&f, 2, &name));
    CHECK(ms_span_equal(name, MS_SPAN("c")));
    CHECK(!ms_decode_name(&f, 3, &name));
    ms_fields_free(&f);
}

/* ---- limits
 * ------------------------------------------------------------------ */

/* libzstd's memory is its own: it is not among those that fail here. */
TEST(every_allocation_may_fail)
{
    EACH_CASE(c)
    {
        ms_err err = MS_ENOMEM;
        for (long nth = 1; err; nth++) {
            ms_mem_fail(nth, 1);
            err = decode(c, 7, 11, 64);
            ms_mem_fail(0, 0);
            CHECK_THAT(!err || err == MS_ENOMEM, "%s, allocation %ld: %s",
                       c->name, nth, ms_err_name(err));
        }
        CHECK(is_plain());
    }
}

/* 256 MiB of zeros in gzip twice over: more than 300,000 to one. What
 * it makes is asked for piece by piece, and needs no memory. */
TEST(a_bomb_makes_no_more_than_it_is_asked_for)
{
    static const unsigned char bomb[] = {
#include "decode_bomb.h"
    };
    struct ms_span in = ms_span((const char *)bomb, sizeof(bomb));
    struct ms_decoder *d = NULL;
    size_t n = 0, total = 0;

    CHECK(!new_decoder(&d, "gzip, gzip"));
    ms_mem_fail(0, 0);
    for (int i = 0; i < 2000; i++) {
        CHECK(!ms_decoder_run(d, &in, made, 16384, &n));
        CHECK(n == 16384);
        total += n;
    }
    CHECK(total > sizeof(bomb) * 1000);
    CHECK(ms_mem_count() < 16);
    CHECK(ms_decoder_end(d) == MS_EDECODE);
    ms_decoder_free(d);
}
