/* SPDX-License-Identifier: MIT */
#include "proto/wire.h"

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

const char *ms_wire_token_end(const char *p, const char *end)
{
    /* One test for the end in four bytes: names are read for every line. */
    while (end - p >= 4) {
        if (!may(p[0], TOKEN))
            return p;
        if (!may(p[1], TOKEN))
            return p + 1;
        if (!may(p[2], TOKEN))
            return p + 2;
        if (!may(p[3], TOKEN))
            return p + 3;
        p += 4;
    }
    return skip(p, end, TOKEN);
}

#ifdef __SSE2__

#define BLOCK 16

/* A bit for each of sixteen bytes: those below 0x20 or equal to 0x7f. */
static inline unsigned controls(const char *p)
{
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i low = _mm_min_epu8(text, _mm_set1_epi8(0x1f));
    __m128i del = _mm_cmpeq_epi8(text, _mm_set1_epi8(0x7f));

    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(low, text), del));
}

const char *ms_wire_value_end(const char *p, const char *end)
{
    bool is_long = end - p >= BLOCK;

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
    /* What is left together with some that were looked at before. */
    if (is_long && !controls(end - BLOCK))
        return end;
    return skip(p, end, VALUE);
}

#else

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
    return !s.n || ms_wire_value_end(s.p, s.p + s.n) == s.p + s.n;
}

bool ms_wire_is_target(struct ms_span s)
{
    return s.n && all(s, TARGET);
}
