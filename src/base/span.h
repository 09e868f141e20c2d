/* SPDX-License-Identifier: MIT
 *
 * span.h - a run of bytes somebody else owns.
 *
 * Inside the engine text is a pointer and a length; NUL-terminated strings
 * appear only at the edges to the operating system and to libraries. Case is
 * ASCII case everywhere: no locale takes part.
 */
#ifndef MS_BASE_SPAN_H
#define MS_BASE_SPAN_H

#include <string.h>

#include "base/def.h"

struct ms_span {
    const char *p;
    size_t n;
};

/* A span over a string literal. */
#define MS_SPAN(literal) ((struct ms_span){(literal), sizeof(literal) - 1})

static inline struct ms_span ms_span(const char *p, size_t n)
{
    return (struct ms_span){p, n};
}

static inline struct ms_span ms_span_text(const char *text)
{
    return (struct ms_span){text, strlen(text)};
}

static inline bool ms_span_equal(struct ms_span a, struct ms_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline unsigned char ms_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static inline bool ms_is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit, -1 for anything else. */
static inline int ms_hex_value(unsigned char c)
{
    if (ms_is_digit(c))
        return c - '0';
    c = ms_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Equal but for ASCII case. */
bool ms_span_equal_nocase(struct ms_span a, struct ms_span b);

/* Without the spaces and tabs at both ends (RFC 9110, 5.6.3: OWS). */
struct ms_span ms_span_trim(struct ms_span s);

/* Splits the first element off a comma-separated list (RFC 9110, 5.6.1):
 * `*list` moves behind it, the element comes back trimmed. Empty elements
 * are skipped; false when no element is left. Quoted strings are not
 * understood: for lists of tokens only. */
bool ms_span_next_item(struct ms_span *list, struct ms_span *item);

/* Decimal digits only, no sign, no blank, at least one; false otherwise or
 * when the value exceeds `max`. */
bool ms_span_decimal(struct ms_span s, uint64_t max, uint64_t *value);

/* FNV-1a, 32 bits; `seed` chains several spans into one hash, 0 to begin. */
uint32_t ms_span_hash(struct ms_span s, uint32_t seed);

#endif
