/* SPDX-License-Identifier: MIT */
#include "proto/wire.h"

enum { TOKEN = 1, VALUE = 2, TARGET = 4 };

/* One row of the table for a range of bytes that are alike. */
static unsigned char class_of(unsigned char c)
{
    static const char token_marks[] = "!#$%&'*+-.^_`|~";

    if (c == '\t')
        return VALUE;
    if (c < ' ' || c == 0x7f)
        return 0;
    if (c == ' ')
        return VALUE;
    if (c >= 0x80)
        return VALUE;
    if (ms_is_digit(c) || (ms_lower(c) >= 'a' && ms_lower(c) <= 'z') ||
        strchr(token_marks, c))
        return TOKEN | VALUE | TARGET;
    return VALUE | TARGET;
}

static bool all_of(struct ms_span s, unsigned char wanted)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(class_of((unsigned char)s.p[i]) & wanted))
            return false;
    return true;
}

bool ms_wire_is_token(struct ms_span s)
{
    return s.n && all_of(s, TOKEN);
}

bool ms_wire_is_value(struct ms_span s)
{
    /* The common case needs no table: printable ASCII, tab, obs-text. */
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool ms_wire_is_target(struct ms_span s)
{
    return s.n && all_of(s, TARGET);
}
