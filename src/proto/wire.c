/* SPDX-License-Identifier: MIT */
#include "proto/wire.h"

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

/* Is one of the eight bytes below 0x20 or equal to 0x7f? Exact for the whole
 * word: a borrow only leaves a byte that is such a one itself. */
static inline bool has_control(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t del = word ^ (ones * 0x7f);

    return (((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & tops;
}

const char *ms_wire_value_end(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof(word));
        if (MS_LIKELY(!has_control(word))) {
            p += 8;
            continue;
        }
        /* Usually the line's end; a tab is a control that is allowed. */
        const char *stop = skip(p, p + 8, VALUE);
        if (stop < p + 8)
            return stop;
        p = stop;
    }
    return skip(p, end, VALUE);
}

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
