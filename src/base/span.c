/* SPDX-License-Identifier: MIT */
#include "base/span.h"

bool ms_span_equal_nocase(struct ms_span a, struct ms_span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        unsigned char x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
        if (x != y && ms_lower(x) != ms_lower(y)) /* mostly the same case */
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct ms_span ms_span_trim(struct ms_span s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool ms_span_next_item(struct ms_span *list, struct ms_span *item)
{
    while (list->n) {
        const char *comma = memchr(list->p, ',', list->n);
        size_t n = comma ? (size_t)(comma - list->p) : list->n;
        size_t used = comma ? n + 1 : n;

        *item = ms_span_trim(ms_span(list->p, n));
        list->p += used;
        list->n -= used;
        if (item->n)
            return true;
    }
    return false;
}

bool ms_span_decimal(struct ms_span s, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;

    if (!s.n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ms_is_digit((unsigned char)s.p[i]))
            return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (digit > max || v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *value = v;
    return true;
}

uint32_t ms_span_hash(struct ms_span s, uint32_t seed)
{
    uint32_t h = seed ? seed : 2166136261u;

    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    return h ? h : 1;
}
