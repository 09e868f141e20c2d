/* SPDX-License-Identifier: MIT
 *
 * test_url.c - the URL parser against the standard's behaviour: a table of
 * cases, then what must hold for every one of them, then limits, memory and
 * random input.
 */
#include "proto/url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "unit.h"

struct url_case {
    int line;
    ms_err err;
    struct ms_span input, base;
    struct ms_span want; /* the result, or part of the text of an error */
};

#define ROW(err, input, base, want)                                            \
    {__LINE__, err, MS_SPAN(input), MS_SPAN(base), MS_SPAN(want)},
#define CASE(input, base, href)  ROW(MS_OK, input, base, href)
#define NEWER(input, base, href) ROW(MS_OK, input, base, href)
#define BAD(input, base, why)    ROW(MS_EURL, input, base, why)
#define STRICT(input, base, why) ROW(MS_EURL, input, base, why)
#define OTHER(input, base)                                                     \
    ROW(MS_ESCHEME, input, base, "only http:// and https://")

#ifdef MS_HAVE_IDN2
#define IDN(input, base, href)   CASE(input, base, href)
#define BADIDN(input, base, why) BAD(input, base, why)
#define ACE(input, base, why)    BAD(input, base, why)
#else
#define IDN(input, base, href)   BADIDN(input, base, "need punycode")
#define BADIDN(input, base, why) BAD(input, base, "need punycode")
#define ACE(input, base, why)    /* not looked into */
#endif
#define STRICTIDN(input, base, why) BADIDN(input, base, why)
#define STRICTACE(input, base, why) ACE(input, base, why)

static const struct url_case cases[] = {
#include "url_cases.h"
};

/* Room for every input of the table and one byte more. */
#define INPUT_MAX 256

static bool is(struct ms_span s, const char *text)
{
    return ms_span_equal(s, ms_span_text(text));
}

static struct ms_span part(const struct ms_url *u, uint32_t from, uint32_t to)
{
    return ms_url_part(u, from, to);
}

/* The byte at `at`, which may be the end of the text. */
static char at(const struct ms_url *u, uint32_t i)
{
    return i < u->href.to ? u->href.p[i] : '\0';
}

static void check_authority(const struct ms_url *u)
{
    bool has_user = u->password_end > u->username;

    CHECK(u->username == u->scheme_end + 3);
    CHECK(u->username <= u->username_end && u->username_end <= u->password);
    CHECK(u->password <= u->password_end);
    CHECK(u->host == u->password_end + (has_user ? 1 : 0));
    CHECK(!has_user || at(u, u->password_end) == '@');
    if (u->password_end > u->password)
        CHECK(u->password == u->username_end + 1 &&
              at(u, u->username_end) == ':');
    CHECK(u->host < u->host_end && u->host_end <= u->port);
    if (u->port_end > u->port)
        CHECK(u->port == u->host_end + 1 && at(u, u->host_end) == ':');
    else
        CHECK(u->port_end == u->host_end);
}

static void check_port(const struct ms_url *u)
{
    uint64_t number = u->secure ? 443 : 80;
    uint64_t default_number = number;

    if (u->port_end > u->port) {
        CHECK(ms_span_decimal(part(u, u->port, u->port_end), 65535, &number));
        CHECK(number != default_number);
    }
    CHECK(u->port_number == number);
}

/* The parts lie side by side and are what they are called. */
static void check_parts(const struct ms_url *u)
{
    CHECK(u->href.from == 0);
    CHECK(is(part(u, 0, u->scheme_end), u->secure ? "https" : "http"));
    CHECK(memcmp(u->href.p + u->scheme_end, "://", 3) == 0);
    check_authority(u);
    check_port(u);
    CHECK(u->path == u->port_end && u->path < u->path_end);
    CHECK(at(u, u->path) == '/');
    CHECK(u->query == u->path_end && u->query <= u->query_end);
    CHECK(u->query == u->query_end || at(u, u->query) == '?');
    CHECK(u->fragment == u->query_end && u->fragment <= u->fragment_end);
    CHECK(u->fragment == u->fragment_end || at(u, u->fragment) == '#');
    CHECK(u->fragment_end == u->href.to);
    for (size_t i = 0; i < u->href.to; i++)
        CHECK(u->href.p[i] > ' ' && u->href.p[i] < 0x7f);
}

static void check_same(const struct ms_url *a, const struct ms_url *b)
{
    CHECK(ms_span_equal(ms_span(a->href.p, a->href.to),
                        ms_span(b->href.p, b->href.to)));
    CHECK(a->scheme_end == b->scheme_end && a->path == b->path);
    CHECK(a->username == b->username && a->password == b->password);
    CHECK(a->username_end == b->username_end);
    CHECK(a->password_end == b->password_end);
    CHECK(a->host == b->host && a->host_end == b->host_end);
    CHECK(a->port == b->port && a->port_end == b->port_end);
    CHECK(a->path_end == b->path_end && a->query == b->query);
    CHECK(a->query_end == b->query_end && a->fragment == b->fragment);
    CHECK(a->fragment_end == b->fragment_end);
    CHECK(a->port_number == b->port_number && a->secure == b->secure);
}

static void check_empty(const struct ms_url *u)
{
    struct ms_url nothing = {0};

    check_same(u, &nothing);
}

/* From a block of just its size, so that ASan sees a byte too far. */
static ms_err parse(struct ms_url *u, struct ms_span in,
                    const struct ms_url *base, const char **why)
{
    char *copy = malloc(in.n + !in.n);

    if (in.n)
        memcpy(copy, in.p, in.n);
    ms_err err = ms_url_parse(u, ms_span(copy, in.n), base, why);
    free(copy);
    return err;
}

/* With a blank in front, which keeps it from the short way. */
static ms_err parse_the_long_way(struct ms_url *u, struct ms_span in,
                                 const struct ms_url *base)
{
    char *copy = malloc(in.n + 1);

    copy[0] = ' ';
    if (in.n)
        memcpy(copy + 1, in.p, in.n);
    ms_err err = ms_url_parse(u, ms_span(copy, in.n + 1), base, NULL);
    free(copy);
    return err;
}

/* A result is a URL that stands for itself, whichever way it is read. */
static void check_stable(const struct ms_url *u)
{
    struct ms_url again = {0};

    CHECK(!parse(&again, ms_buf_span(&u->href), NULL, NULL));
    check_same(u, &again);
    CHECK(!parse_the_long_way(&again, ms_buf_span(&u->href), NULL));
    check_same(u, &again);
    ms_url_free(&again);
}

static const struct ms_url *parse_base(struct ms_url *base,
                                       const struct url_case *c)
{
    if (c->base.n == 0)
        return NULL;
    CHECK_THAT(!parse(base, c->base, NULL, NULL), "url_cases.h:%d: base",
               c->line);
    return base;
}

static void check_case(const struct url_case *c)
{
    struct ms_url u = {0}, base = {0};
    const char *why = "";
    ms_err err = parse(&u, c->input, parse_base(&base, c), &why);
    struct ms_span href = ms_span(u.href.p, u.href.to);

    CHECK_THAT(err == c->err, "url_cases.h:%d: error %d, \"%s\"", c->line,
               (int)err, why ? why : "");
    if (err) {
        check_empty(&u);
        CHECK_THAT(why && strstr(why, c->want.p), "url_cases.h:%d: why is %s",
                   c->line, why ? why : "NULL");
    } else {
        CHECK(!why);
        CHECK_THAT(ms_span_equal(href, c->want), "url_cases.h:%d: %.*s",
                   c->line, (int)href.n, href.p);
        check_parts(&u);
        check_stable(&u);
    }
    ms_url_free(&u);
    ms_url_free(&base);
}

TEST(the_table_of_cases)
{
    for (size_t i = 0; i < MS_COUNT(cases); i++)
        check_case(&cases[i]);
}

/* Parses the case with `mark` put in before byte `where`. */
static void check_marked(const struct url_case *c, size_t where, char mark)
{
    struct ms_url u = {0}, base = {0};
    char text[INPUT_MAX];

    CHECK(c->input.n < sizeof(text));
    memcpy(text, c->input.p, where);
    text[where] = mark;
    if (c->input.n > where)
        memcpy(text + where + 1, c->input.p + where, c->input.n - where);
    const struct ms_url *on = parse_base(&base, c);
    ms_err err = parse(&u, ms_span(text, c->input.n + 1), on, NULL);
    CHECK_THAT(err == c->err, "url_cases.h:%d: %d with a break before byte %zu",
               c->line, (int)err, where);
    if (!err)
        CHECK_THAT(ms_span_equal(ms_buf_span(&u.href), c->want),
                   "url_cases.h:%d: break before byte %zu", c->line, where);
    ms_url_free(&u);
    ms_url_free(&base);
}

TEST(a_tab_or_line_break_anywhere_changes_nothing)
{
    for (size_t i = 0; i < MS_COUNT(cases); i++)
        for (size_t k = 0; k <= cases[i].input.n; k++)
            check_marked(&cases[i], k, "\t\n\r"[k % 3]);
}

TEST(one_object_takes_every_case_in_turn)
{
    struct ms_url u = {0}, base = {0}, fresh = {0};

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        const struct ms_url *on = parse_base(&base, &cases[i]);
        CHECK(parse(&u, cases[i].input, on, NULL) == cases[i].err);
        CHECK(parse(&fresh, cases[i].input, on, NULL) == cases[i].err);
        check_same(&u, &fresh);
        ms_url_free(&fresh);
    }
    ms_url_free(&u);
    ms_url_free(&base);
}

TEST(no_bytes_at_all)
{
    struct ms_url u = {0}, base = {0};

    CHECK(ms_url_parse(&u, ms_span(NULL, 0), NULL, NULL) == MS_EURL);
    check_empty(&u);
    CHECK(!ms_url_parse(&base, MS_SPAN("http://h/a#f"), NULL, NULL));
    CHECK(!ms_url_parse(&u, ms_span(NULL, 0), &base, NULL));
    CHECK(is(ms_buf_span(&u.href), "http://h/a"));
    ms_url_free(&u);
    ms_url_free(&base);
}

TEST(parts_of_a_full_url)
{
    struct ms_url u = {0};

    CHECK(!ms_url_parse(&u, MS_SPAN("https://me:pa:ss@[1::2]:8443/a/b?c=d#e"),
                        NULL, NULL));
    CHECK(is(part(&u, 0, u.scheme_end), "https"));
    CHECK(is(part(&u, u.username, u.username_end), "me"));
    CHECK(is(part(&u, u.password, u.password_end), "pa%3Ass"));
    CHECK(is(part(&u, u.host, u.host_end), "[1::2]"));
    CHECK(is(part(&u, u.port, u.port_end), "8443"));
    CHECK(is(part(&u, u.path, u.path_end), "/a/b"));
    CHECK(is(part(&u, u.query, u.query_end), "?c=d"));
    CHECK(is(part(&u, u.fragment, u.fragment_end), "#e"));
    CHECK(is(ms_url_authority(&u), "[1::2]:8443"));
    CHECK(is(ms_url_target(&u), "/a/b?c=d"));
    CHECK(u.port_number == 8443 && u.secure);
    ms_url_free(&u);
}

TEST(parts_of_a_bare_url)
{
    struct ms_url u = {0};

    CHECK(!ms_url_parse(&u, MS_SPAN("http://h:80"), NULL, NULL));
    CHECK(u.username == u.username_end && u.password == u.password_end);
    CHECK(u.port == u.port_end && u.query == u.query_end);
    CHECK(u.fragment == u.fragment_end);
    CHECK(is(ms_url_authority(&u), "h"));
    CHECK(is(ms_url_target(&u), "/"));
    CHECK(u.port_number == 80 && !u.secure);
    ms_url_free(&u);
}

/* --- Percent-encoding, byte by byte ------------------------------------- */

struct place {
    const char *before, *after; /* around the byte, in input and result */
    const char *escaped;        /* printable bytes that get an escape */
    const char *special;        /* those that mean something, not tried */
};

static bool is_escaped(const struct place *p, int c)
{
    return c <= ' ' || c >= 0x7f || strchr(p->escaped, c);
}

static void check_byte(const struct place *p, int c)
{
    struct ms_url u = {0};
    char in[64], want[64];
    int n = snprintf(in, sizeof(in), "%s%c%s", p->before, c, p->after);

    snprintf(want, sizeof(want), is_escaped(p, c) ? "%s%%%02X%s" : "%s%c%s",
             p->before, c, p->after);
    CHECK(!parse(&u, ms_span(in, (size_t)n), NULL, NULL));
    CHECK_THAT(is(ms_buf_span(&u.href), want), "byte %d of %s", c, in);
    check_parts(&u);
    ms_url_free(&u);
}

TEST(every_byte_in_every_place)
{
    static const struct place places[] = {
        {"http://a", "b@h/", "\"<>^`{|}[];=", "#/:?@\\"},
        {"http://u:a", "b@h/", "\"<>^`{|}[]:;=", "#/?@\\"},
        {"http://h/a", "b", "\"<>^`{}", "#/?\\"},
        {"http://h/?a", "b", "\"<>'", "#"},
        {"http://h/#a", "b", "\"<>`", ""},
    };

    for (size_t i = 0; i < MS_COUNT(places); i++)
        for (int c = 0; c < 256; c++)
            if (!c || (!strchr("\t\r\n", c) && !strchr(places[i].special, c)))
                check_byte(&places[i], c);
}

TEST(every_byte_in_a_host)
{
    struct ms_url u = {0};
    char in[] = "http://a?b/", want[] = "http://a?b/";

    for (int c = 0; c < 256; c++) {
        if (c && strchr("\t\r\n#/:?@\\", c))
            continue;
        bool bad = c <= ' ' || c >= 0x7f || strchr("%<>[]^|", c);
        in[8] = (char)c;
        want[8] = (char)tolower(c);
        ms_err err = parse(&u, ms_span(in, sizeof(in) - 1), NULL, NULL);
        CHECK_THAT(err == (bad ? MS_EURL : MS_OK), "byte %d", c);
        if (!bad)
            CHECK(is(ms_buf_span(&u.href), want));
    }
    ms_url_free(&u);
}

TEST(bytes_that_are_not_utf8_are_kept)
{
    struct ms_url u = {0};

    CHECK(!ms_url_parse(&u, MS_SPAN("http://h/\xff\xc3?\x80#\xed\xa0\x80"),
                        NULL, NULL));
    CHECK(is(ms_buf_span(&u.href), "http://h/%FF%C3?%80#%ED%A0%80"));
    ms_url_free(&u);
}

/* --- Limits ------------------------------------------------------------- */

/* "http://", `n` bytes of host in labels of `label` bytes, "/". */
static ms_err parse_host_of(size_t n, size_t label)
{
    struct ms_url u = {0};
    char text[512] = "http://";

    for (size_t i = 0; i < n; i++)
        text[7 + i] = i % (label + 1) == label ? '.' : 'a';
    text[7 + n] = '/';
    ms_err err = parse(&u, ms_span(text, n + 8), NULL, NULL);
    CHECK(err || u.host_end - u.host == n);
    CHECK(parse_the_long_way(&u, ms_span(text, n + 8), NULL) == err);
    ms_url_free(&u);
    return err;
}

TEST(host_length_limits)
{
    CHECK(parse_host_of(63, 63) == MS_OK);
    CHECK(parse_host_of(64, 63) == MS_OK); /* the last one is a dot */
    CHECK(parse_host_of(64, 64) == MS_EURL);
    CHECK(parse_host_of(127, 63) == MS_OK);
    CHECK(parse_host_of(255, 63) == MS_OK);
    CHECK(parse_host_of(255, 50) == MS_OK);
    CHECK(parse_host_of(256, 63) == MS_EURL);
    CHECK(parse_host_of(256, 50) == MS_EURL);
}

static ms_err parse_length(size_t n, char fill, const char **why)
{
    struct ms_url u = {0};
    char *text = malloc(n);

    memset(text, fill, n);
    memcpy(text, "http://h/", 9);
    ms_err err = parse(&u, ms_span(text, n), NULL, why);
    ms_url_free(&u);
    free(text);
    return err;
}

TEST(url_length_limits)
{
    const char *why;

    CHECK(parse_length(MS_URL_MAX, 'a', &why) == MS_OK);
    CHECK(parse_length(MS_URL_MAX + 1, 'a', &why) == MS_EURL);
    CHECK(strcmp(why, "the URL is longer than 65536 bytes") == 0);
    CHECK(parse_length(9 + (MS_URL_MAX - 9) / 3, '<', &why) == MS_OK);
    CHECK(parse_length(10 + (MS_URL_MAX - 9) / 3, '<', &why) == MS_EURL);
    CHECK(strstr(why, "when encoded"));
}

TEST(a_relative_url_cannot_outgrow_the_limit)
{
    struct ms_url base = {0}, u = {0};
    char *text = malloc(MS_URL_MAX);

    memset(text, 'a', MS_URL_MAX);
    memcpy(text, "http://h/", 9);
    text[MS_URL_MAX - 2] = '/';
    CHECK(!ms_url_parse(&base, ms_span(text, MS_URL_MAX), NULL, NULL));
    CHECK(!ms_url_parse(&u, MS_SPAN("b"), &base, NULL));
    CHECK(ms_url_parse(&u, MS_SPAN("bc"), &base, NULL) == MS_EURL);
    check_empty(&u);
    ms_url_free(&base);
    ms_url_free(&u);
    free(text);
}

/* --- Memory ------------------------------------------------------------- */

TEST(a_warm_object_allocates_nothing)
{
    struct ms_url u = {0}, base = {0};

    CHECK(!ms_url_parse(&base, MS_SPAN("http://h/a/b"), NULL, NULL));
    for (int i = 0; i < 3; i++) {
        CHECK(
            !ms_url_parse(&u, MS_SPAN("http://1.2.3.4:81/q?y#f"), NULL, NULL));
        CHECK(!ms_url_parse(&u, MS_SPAN("https://User@A/é"), NULL, NULL));
        CHECK(!ms_url_parse(&u, MS_SPAN("../x?y"), &base, NULL));
        CHECK(ms_url_parse(&u, MS_SPAN("http://a b/"), NULL, NULL));
        if (i == 0)
            ms_mem_fail(0, 0); /* counts from here: it is warm */
    }
    CHECK(ms_mem_count() == 0);
    ms_url_free(&u);
    ms_url_free(&base);
}

/* Every allocation of the case fails in turn, until one pass needs no more. */
static void fail_allocations(const struct url_case *c)
{
    struct ms_url base = {0};
    const struct ms_url *on = parse_base(&base, c);
    ms_err err = MS_ENOMEM;

    for (long n = 1; err == MS_ENOMEM; n++) {
        struct ms_url u = {0};
        const char *why = "";
        ms_mem_fail(n, 1);
        err = ms_url_parse(&u, c->input, on, &why);
        ms_mem_fail(0, 0);
        CHECK(err == MS_ENOMEM || err == c->err);
        if (err)
            check_empty(&u);
        if (err == MS_ENOMEM)
            CHECK(!why);
        else
            CHECK(err || ms_span_equal(ms_buf_span(&u.href), c->want));
        ms_url_free(&u);
    }
    ms_url_free(&base);
}

TEST(running_out_of_memory_leaves_nothing_behind)
{
    for (size_t i = 0; i < MS_COUNT(cases); i++)
        fail_allocations(&cases[i]);
}

#define REST 1000

/* `before`, then `n` bytes to escape, `after`, and a long rest without. */
static ms_err parse_grown(const char *before, int n, const char *after)
{
    struct ms_url u = {0};
    char escapes[64], rest[REST + 1], text[REST + 200];

    memset(escapes, '<', sizeof(escapes));
    memset(rest, 'r', REST);
    rest[REST] = '\0';
    int len = snprintf(text, sizeof(text), "%s%.*s%s%s", before, n, escapes,
                       after, rest);
    ms_err err = parse(&u, ms_span(text, (size_t)len), NULL, NULL);
    CHECK(err || u.href.to == (size_t)(len + 2 * n));
    CHECK(err || memcmp(u.href.p + u.href.to - REST, rest, REST) == 0);
    if (err)
        check_empty(&u);
    else
        check_parts(&u);
    ms_url_free(&u);
    return err;
}

static const struct {
    const char *before, *after;
} growing[] = {
    {"http://", "@h/"},   {"http://u:", "@h/"}, {"http://h/", "/"},
    {"http://h/?", "#"},  {"http://h/#", ""},   {"http://h/a/", "?"},
    {"http://", ":p@h/"},
};

TEST(escapes_make_room_for_what_follows_them)
{
    for (size_t i = 0; i < MS_COUNT(growing); i++)
        for (int n = 1; n <= 64; n++)
            CHECK(!parse_grown(growing[i].before, n, growing[i].after));
}

TEST(running_out_of_memory_while_growing)
{
    for (size_t i = 0; i < MS_COUNT(growing); i++) {
        ms_mem_fail(2, 1);
        ms_err err = parse_grown(growing[i].before, 64, growing[i].after);
        ms_mem_fail(0, 0);
        CHECK(err == MS_ENOMEM);
    }
}

/* --- Random input ------------------------------------------------------- */

static unsigned next_random(uint32_t *state, unsigned limit)
{
    *state = *state * 1103515245 + 12345;
    return (*state >> 8) % limit;
}

/* Pieces that mean something somewhere, in no order at all. */
static size_t random_input(uint32_t *state, char *text)
{
    static const char *const pieces[] = {
        "http:", "https:", "//", "/",    "\\",   "?",  "#",    "@",    ":",
        "[",     "]",      "::", "1",    "0x",   "09", "256",  "1.2.", "3.4",
        ".",     "..",     "%",  "%2e",  "%41",  "a",  "B",    "é",    " ",
        "\t",    "\n",     "^",  "ffff", "8080", "80", "host", "'",    "\177",
    };
    size_t n = 0;

    text[0] = '\0';
    if (next_random(state, 2))
        n = (size_t)sprintf(text, "http://h");
    for (unsigned left = next_random(state, 12); left; left--)
        n += (size_t)sprintf(text + n, "%s",
                             pieces[next_random(state, MS_COUNT(pieces))]);
    return n;
}

static void check_random(struct ms_span in, const struct ms_url *base)
{
    struct ms_url u = {0}, other = {0};
    ms_err err = parse(&u, in, base, NULL);

    CHECK_THAT(parse_the_long_way(&other, in, base) == err, "%.*s", (int)in.n,
               in.p);
    if (err) {
        check_empty(&u);
    } else {
        check_same(&u, &other);
        check_parts(&u);
        check_stable(&u);
    }
    ms_url_free(&u);
    ms_url_free(&other);
}

TEST(random_input_keeps_the_rules)
{
    struct ms_url base = {0};
    uint32_t state = 20;
    char text[128];

    CHECK(!ms_url_parse(&base, MS_SPAN("https://u:p@h:8443/a/b/?q#f"), NULL,
                        NULL));
    for (int i = 0; i < 50000; i++) {
        size_t n = random_input(&state, text);
        check_random(ms_span(text, n), i % 2 ? &base : NULL);
    }
    ms_url_free(&base);
}

#ifdef MS_HAVE_IDN2
/* Each label that became longer doubled the room for the rest. */
TEST(many_international_labels_take_no_more_room_than_the_input)
{
    struct ms_url u = {0};
    char text[512] = "http://";
    const char *why;

    for (int i = 0; i < 100; i++)
        strcat(text, "\u2764."); /* a heart */
    CHECK(ms_url_parse(&u, ms_span_text(text), NULL, &why) == MS_EURL);
    CHECK(strstr(why, "longer than 255 bytes"));
    CHECK_THAT(u.href.cap < 8192, "%zu", u.href.cap);
    ms_url_free(&u);
}
#endif
