/* SPDX-License-Identifier: MIT */
#include "proto/userinfo.h"

/* The parser takes "\" for "/". */
static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* The parser does not see these, wherever they stand (URL standard, 4.4). */
static bool is_unseen(char c)
{
    return c == '\t' || c == '\n' || c == '\r';
}

static bool is_authority_end(char c)
{
    return is_slash(c) || c == '?' || c == '#';
}

/* Behind the scheme and its slashes; SIZE_MAX when no host is to come. */
static size_t authority_of(struct ms_span s)
{
    size_t i = 0, slashes = 0;

    while (i < s.n && s.p[i] != ':' && !is_authority_end(s.p[i]))
        i++;
    bool schemed = i < s.n && s.p[i] == ':';
    /* The parser takes "http:x@y" for "http://x@y". */
    for (i = schemed ? i + 1 : 0;
         i < s.n && (is_slash(s.p[i]) || is_unseen(s.p[i])); i++)
        slashes += is_slash(s.p[i]);
    return schemed || slashes >= 2 ? i : SIZE_MAX;
}

/* Behind the last '@' of [from, end); `from` when there is none. */
static size_t behind_at(struct ms_span s, size_t from, size_t end)
{
    while (end > from && s.p[end - 1] != '@')
        end--;
    return end;
}

static bool is_url(struct ms_span text, const struct ms_url *base)
{
    struct ms_url u = {0};
    ms_err err = ms_url_parse(&u, text, base, NULL);

    ms_url_free(&u);
    return !err; /* without memory nobody knows, and more is left out */
}

void ms_userinfo_find(struct ms_span text, const struct ms_url *base,
                      size_t *from, size_t *to)
{
    size_t start = authority_of(text), end = text.n;

    *from = *to = 0;
    if (!text.n || !memchr(text.p, '@', text.n))
        return;
    if (is_url(text, base)) {
        if (start == SIZE_MAX)
            return;
        for (end = start; end < text.n && !is_authority_end(text.p[end]);)
            end++;
    } else if (start == SIZE_MAX) {
        /* "example.com/@anna" wants a scheme and says nothing else. */
        if (!memchr(text.p, ':', behind_at(text, 0, end)))
            return;
        start = 0;
    }
    *from = start;
    *to = behind_at(text, start, end);
}
