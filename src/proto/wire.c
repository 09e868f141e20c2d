/* SPDX-License-Identifier: MIT */
#include "proto/wire.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { TOKEN = 1, VALUE = 2, TARGET = 4 };

#define o 0                        /* control */
#define v VALUE                    /* space, tab, 0x80 and above */
#define d (VALUE | TARGET)         /* delimiter */
#define T (TOKEN | VALUE | TARGET) /* letter, digit and the like */

/* Rows of sixteen: 0x00, 0x10, ... */
static const unsigned char classes[256] = {
    o, o, o, o, o, o, o, o, o, v, o, o, o, o, o, o, /* tab */
    o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, /* */
    v, T, d, T, T, T, T, T, d, d, T, T, d, T, T, d, /*  !"#$%&'()*+,-./ */
    T, T, T, T, T, T, T, T, T, T, d, d, d, d, d, d, /* 0-9 :;<=>? */
    d, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, /* @ A-O */
    T, T, T, T, T, T, T, T, T, T, T, d, d, d, T, T, /* P-Z [\]^_ */
    T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, T, /* ` a-o */
    T, T, T, T, T, T, T, T, T, T, T, d, T, d, T, o, /* p-z {|}~ del */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* */
    v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, /* */
};

#undef o
#undef v
#undef d
#undef T

static inline bool may(char c, unsigned where)
{
    return classes[(unsigned char)c] & where;
}

static inline const char *skip(const char *p, const char *end, unsigned where)
{
    while (p < end && may(*p, where))
        p++;
    return p;
}

#ifdef __SSE2__

#define BLOCK 16

static inline __m128i load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* All ones where a byte is within `least` and `most`, which are below 0x80. */
static inline __m128i within(__m128i text, char least, char most)
{
    return _mm_and_si128(_mm_cmpgt_epi8(text, _mm_set1_epi8((char)(least - 1))),
                         _mm_cmplt_epi8(text, _mm_set1_epi8((char)(most + 1))));
}

/* A bit for each of sixteen bytes that is no letter, digit or hyphen: what
 * ends a usual name. */
static inline unsigned unusual(const char *p)
{
    __m128i text = load(p);
    __m128i lower = _mm_or_si128(text, _mm_set1_epi8(0x20));
    __m128i usual = _mm_or_si128(
        _mm_or_si128(within(lower, 'a', 'z'), within(text, '0', '9')),
        _mm_cmpeq_epi8(text, _mm_set1_epi8('-')));

    return (unsigned)_mm_movemask_epi8(usual) ^ 0xffffu;
}

/* A bit for each of sixteen bytes: those below 0x20 or equal to 0x7f. */
static inline unsigned controls(const char *p)
{
    __m128i text = load(p);
    __m128i low = _mm_min_epu8(text, _mm_set1_epi8(0x1f));
    __m128i del = _mm_cmpeq_epi8(text, _mm_set1_epi8(0x7f));

    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(low, text), del));
}

const char *ms_wire_token_end(const char *p, const char *end)
{
    while (end - p >= BLOCK) {
        unsigned bits = unusual(p);
        if (!bits) {
            p += BLOCK;
            continue;
        }
        p += __builtin_ctz(bits);
        if (MS_LIKELY(!may(*p, TOKEN)))
            return p;
        p++;
    }
    return skip(p, end, TOKEN);
}

const char *ms_wire_value_end(const char *p, const char *end)
{
    while (end - p >= BLOCK) {
        unsigned bits = controls(p);
        if (!bits) {
            p += BLOCK;
            continue;
        }
        /* The line's end, or a tab, which is a control that is allowed. */
        p += __builtin_ctz(bits);
        if (MS_LIKELY(!may(*p, VALUE)))
            return p;
        p++;
    }
    return skip(p, end, VALUE);
}

/* Whether a control may be among eight to sixteen bytes: the two halves of the
 * block overlap. */
static inline bool may_hold_controls(const char *p, const char *end)
{
    char block[BLOCK];

    memcpy(block, p, BLOCK / 2);
    memcpy(block + BLOCK / 2, end - BLOCK / 2, BLOCK / 2);
    return controls(block);
}

/* Whether it is sure at a glance that there is no control in a text. */
static inline bool is_plain(const char *p, const char *end)
{
    unsigned found = 0;

    if (end - p < BLOCK)
        return end - p >= BLOCK / 2 && !may_hold_controls(p, end);
    for (; end - p > BLOCK; p += BLOCK)
        found |= controls(p);
    return !(found | controls(end - BLOCK));
}

#else

static inline bool is_plain(const char *p, const char *end)
{
    (void)p;
    (void)end;
    return false;
}

const char *ms_wire_token_end(const char *p, const char *end)
{
    return skip(p, end, TOKEN);
}

const char *ms_wire_value_end(const char *p, const char *end)
{
    return skip(p, end, VALUE);
}

#endif

static bool all(struct ms_span s, unsigned where)
{
    return skip(s.p, s.p + s.n, where) == s.p + s.n;
}

bool ms_wire_is_token(struct ms_span s)
{
    return s.n && all(s, TOKEN);
}

bool ms_wire_is_value(struct ms_span s)
{
    return !s.n || is_plain(s.p, s.p + s.n) || all(s, VALUE);
}

bool ms_wire_is_target(struct ms_span s)
{
    return s.n && all(s, TARGET);
}
