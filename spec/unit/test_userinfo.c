/* SPDX-License-Identifier: MIT
 *
 * test_userinfo.c - what is shown of URLs, and of what is none: rows, and
 * random texts around a password that must not be seen.
 */
#include "proto/userinfo.h"

#include <stdio.h>

#include "unit.h"

struct row {
    const char *text, *base, *shown;
};

static const struct row rows[] = {
    /* Valid: exactly the user and the password. */
    {"http://u:p@h/a@b", NULL, "http://h/a@b"},
    {"http://u:p@q@h?a@b", NULL, "http://h?a@b"},
    {"HTTPS:\\\\u:p@h\\a@b", NULL, "HTTPS:\\\\h\\a@b"},
    {"http:u@h#@", NULL, "http:h#@"},
    {"http:////u@h", NULL, "http:////h"},
    {"ht\ntp:\t/\r/\n/u:p@h", NULL, "ht\ntp:\t/\r/\n/h"},
    {" http://u:p@h/", NULL, " http://h/"},
    {"http://h:80/p@q", NULL, "http://h:80/p@q"},
    /* Not valid: up to the last '@'. */
    {"https://u:p/p@h/", NULL, "https://h/"},
    {"https://u:p?p@h/", NULL, "https://h/"},
    {"https://u:p#p@h/x@y", NULL, "https://y"},
    {"https://u:p\\p@h/", NULL, "https://h/"},
    {"https://u:p@h:x/", NULL, "https://h:x/"},
    {"https://u:p[p@h/", NULL, "https://h/"},
    {"ftp://u:p/p@h/", NULL, "ftp://h/"},
    {"u:p/p@h/", NULL, "u:h/"},
    {"1://u:p@h/", NULL, "1://h/"},
    {"/x/http://u:p@h", NULL, "h"},
    {"//u:p/p@h/", NULL, "//h/"},
    {"//u:p/p@h/", "http://b/", "//h/"},
    {":@", NULL, ":"},
    {"@:", NULL, "@:"},
    {"", NULL, ""},
    {"@", NULL, "@"},
    {"example.com/@anna", NULL, "example.com/@anna"},
    /* Relative, and known to be. */
    {"/users/x:y@anna", "http://b/", "/users/x:y@anna"},
    {"?a:b@c", "http://b/", "?a:b@c"},
    {"//u:p@h/a@b", "http://b/", "//h/a@b"},
};

/* `text` without what is to be left out, into `out`. */
static struct ms_span shown(struct ms_span text, const struct ms_url *base,
                            char *out)
{
    size_t from, to;

    ms_userinfo_find(text, base, &from, &to);
    CHECK(from <= to && to <= text.n);
    memcpy(out, text.p, from);
    memcpy(out + from, text.p + to, text.n - to);
    return ms_span(out, text.n - (to - from));
}

TEST(rows_are_shown_so)
{
    char out[256];

    for (size_t i = 0; i < MS_COUNT(rows); i++) {
        struct ms_url base = {0};
        if (rows[i].base)
            CHECK(!ms_url_parse(&base, ms_span_text(rows[i].base), NULL, NULL));
        struct ms_span s =
            shown(ms_span_text(rows[i].text), rows[i].base ? &base : NULL, out);
        CHECK_THAT(ms_span_equal(s, ms_span_text(rows[i].shown)), "%s: %.*s",
                   rows[i].text, (int)s.n, s.p);
        ms_url_free(&base);
    }
}

/* ---- random texts ------------------------------------------------------ */

#define ROUNDS 200000
#define MARKER "MaRkEr"

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static size_t add_pieces(char *p, uint32_t *seed, unsigned max)
{
    static const char *const pieces[] = {
        ":",   "/",    "\\",  "@",  "?",    "#",       "[",    "]",    "%",
        "%40", "//",   "\t",  "\n", " ",    "u",       "host", "8080", ".",
        "-",   "http", "://", "s",  "::1]", "http://", "\1",   "\xc3"};
    unsigned count = next_random(seed) % (max + 1);
    size_t n = 0;

    while (count--) {
        const char *piece = pieces[next_random(seed) % MS_COUNT(pieces)];
        memcpy(p + n, piece, strlen(piece));
        n += strlen(piece);
    }
    return n;
}

/* Something, "://", something with the password in it, "@", something. */
static size_t make_text(char *p, uint32_t *seed)
{
    static const char *const starts[] = {"http", "https", "ftp", "", "x"};
    const char *start = starts[next_random(seed) % MS_COUNT(starts)];
    size_t n = next_random(seed) % 4 ? 0 : add_pieces(p, seed, 2);

    n += (size_t)sprintf(p + n, "%s://", start);
    n += add_pieces(p + n, seed, 4);
    n += (size_t)sprintf(p + n, MARKER);
    n += add_pieces(p + n, seed, 4);
    p[n++] = '@';
    return n + add_pieces(p + n, seed, 4);
}

static bool holds_marker(struct ms_span s)
{
    return memmem(s.p, s.n, MARKER, strlen(MARKER)) != NULL;
}

/* The same URL, but for its user and password. */
static void check_url(const struct ms_url *u, struct ms_span s)
{
    struct ms_url v = {0};

    CHECK_THAT(!ms_url_parse(&v, s, NULL, NULL), "%.*s", (int)s.n, s.p);
    CHECK(v.password_end == v.username);
    CHECK(ms_span_equal(ms_url_authority(u), ms_url_authority(&v)));
    CHECK(ms_span_equal(ms_url_part(u, u->path, u->fragment_end),
                        ms_url_part(&v, v.path, v.fragment_end)));
    ms_url_free(&v);
}

TEST(no_password_is_shown_of_what_is_no_url)
{
    uint32_t seed = 8;
    struct ms_url u = {0};
    char text[512], out[512];
    unsigned valid = 0, invalid = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct ms_span s = ms_span(text, make_text(text, &seed));
        struct ms_span left = shown(s, NULL, out);
        if (!ms_url_parse(&u, s, NULL, NULL)) {
            check_url(&u, left);
            valid++;
        } else {
            CHECK_THAT(!holds_marker(left), "%.*s: %.*s", (int)s.n, s.p,
                       (int)left.n, left.p);
            invalid++;
        }
    }
    ms_url_free(&u);
    CHECK_THAT(valid > ROUNDS / 50 && invalid > ROUNDS / 4, "%u valid, %u not",
               valid, invalid);
}
