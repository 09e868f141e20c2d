/* SPDX-License-Identifier: MIT
 *
 * Fuzzes URLs: what was parsed parses to itself, alone and relative to
 * anything, and its parts lie in order within it.
 *
 * Input: a URL, or a base and a reference with a line feed between them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/url.h"

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

static bool parse(struct ms_url *u, const char *p, size_t n,
                  const struct ms_url *base)
{
    char *copy = malloc(n + !n); /* a look beyond the end is seen */
    const char *why = NULL;

    expect(copy);
    if (n)
        memcpy(copy, p, n);
    ms_err err = ms_url_parse(u, ms_span(copy, n), base, &why);
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
