/* SPDX-License-Identifier: MIT
 *
 * Fuzzes URLs: what was parsed parses to itself, alone and relative to
 * anything, and its parts lie in order within it. What is shown of one is the
 * URL without user and password; of what is none, nothing before an '@'.
 *
 * Input: a URL, or a base and a reference with a line feed between them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/url.h"
#include "proto/userinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void check_parts(const struct ms_url *u)
{
    expect(u->scheme_end <= u->username && u->username <= u->username_end);
    expect(u->username_end <= u->password && u->password <= u->password_end);
    expect(u->password_end <= u->host && u->host < u->host_end);
    expect(u->host_end <= u->port && u->port <= u->port_end);
    expect(u->port_end <= u->path && u->path < u->path_end);
    expect(u->path_end <= u->query && u->query <= u->query_end);
    expect(u->query_end <= u->fragment && u->fragment <= u->fragment_end);
    expect(u->fragment_end == ms_buf_len(&u->href));
    expect(u->href.p[u->path] == '/');
    for (size_t i = 0; i < ms_buf_len(&u->href); i++)
        expect(u->href.p[i] > ' ' && u->href.p[i] < 0x7f);
}

/* Parsing the result again changes nothing. */
static void check_again(const struct ms_url *u, const struct ms_url *base)
{
    struct ms_url again = {0};
    const char *why;

    expect(!ms_url_parse(&again, ms_buf_span(&u->href), base, &why));
    expect(ms_span_equal(ms_buf_span(&u->href), ms_buf_span(&again.href)));
    expect(again.port_number == u->port_number && again.secure == u->secure);
    ms_url_free(&again);
}

/* The same URL but for its user and password. */
static void check_shown_url(const struct ms_url *u, struct ms_span shown)
{
    struct ms_url v = {0};

    expect(!ms_url_parse(&v, shown, NULL, NULL));
    expect(v.username == v.password_end);
    expect(ms_span_equal(ms_url_authority(u), ms_url_authority(&v)));
    expect(ms_span_equal(ms_url_part(u, u->path, u->fragment_end),
                         ms_url_part(&v, v.path, v.fragment_end)));
    ms_url_free(&v);
}

/* `u` is NULL for what is no URL. */
static void check_shown(const struct ms_url *u, struct ms_span text,
                        const struct ms_url *base)
{
    struct ms_buf shown = {0};
    size_t from, to;

    ms_userinfo_find(text, base, &from, &to);
    expect(from <= to && to <= text.n);
    expect(from == to || text.p[to - 1] == '@');
    expect(!ms_buf_add(&shown, text.p, from) &&
           !ms_buf_add(&shown, text.p + to, text.n - to));
    struct ms_span s = ms_buf_span(&shown);
    if (u && !base) /* with one, the login may be the base's */
        check_shown_url(u, s);
    else if (!u && from < to)
        expect(s.n == from || !memchr(s.p + from, '@', s.n - from));
    ms_buf_free(&shown);
}

static bool parse(struct ms_url *u, const char *p, size_t n,
                  const struct ms_url *base)
{
    char *copy = malloc(n + !n); /* a look beyond the end is seen */
    const char *why = NULL;

    expect(copy);
    if (n)
        memcpy(copy, p, n);
    ms_err err = ms_url_parse(u, ms_span(copy, n), base, &why);
    check_shown(err ? NULL : u, ms_span(copy, n), base);
    free(copy);
    expect(!err == !why);
    if (!err)
        check_parts(u);
    return !err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *line = size ? memchr(text, '\n', size) : NULL;
    size_t first = line ? (size_t)(line - text) : size;
    struct ms_url base = {0}, u = {0};

    if (parse(&base, text, first, NULL)) {
        check_again(&base, NULL);
        if (line && parse(&u, line + 1, size - first - 1, &base)) {
            check_again(&u, NULL);
            check_again(&u, &base);
        }
    }
    ms_url_free(&base);
    ms_url_free(&u);
    return 0;
}
