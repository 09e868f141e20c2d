/* SPDX-License-Identifier: MIT
 *
 * url.c - reads a URL from left to right and writes its serialisation as it
 * goes. The functions stand in the order of the parts; `rest` is what none
 * of them has taken yet.
 *
 * Room is reserved once, for the case that nothing needs an escape; whoever
 * finds that something does reserves more. Everybody else just writes.
 *
 * Most URLs are their own serialisation: is_plain() sees that in a single
 * look at every byte, and they are copied. Where it says yes the long way
 * would come to the same; where it says no the long way decides.
 */
#include "proto/url.h"

#include <assert.h>

#include "base/mem.h"
#include "proto/host.h"

/* What the result may hold that the input does not: a scheme with its
 * slashes, a longer spelling of the host, the path's first slash. */
#define ROOM (sizeof("https://") + MS_HOST_ROOM + sizeof("/"))

struct parse {
    struct ms_url *u;
    struct ms_span rest;
    const char *why;
};

/* The standard's percent-encode sets, and the bytes that end a part. */
enum {
    IN_FRAGMENT = 1,
    IN_QUERY = 2, /* of special schemes */
    IN_PATH = 4,
    IN_USERINFO = 8,
    IN_ALL = 15,
    ENDS = 16,     /* a path segment; the authority too */
    NOT_PLAIN = 32 /* in a path: a backslash, perhaps a dot segment */
};

static const unsigned char classes[256] = {
    [0x00 ... 0x20] = MS_MUTANT_IS(421) ? 0 : IN_ALL,
    ['"'] = IN_ALL,
    ['#'] = IN_QUERY | IN_PATH | IN_USERINFO | ENDS,
    ['%'] = NOT_PLAIN,
    ['\''] = IN_QUERY,
    ['.'] = NOT_PLAIN,
    ['/'] = IN_USERINFO | ENDS,
    [':'] = IN_USERINFO,
    [';'] = IN_USERINFO,
    ['<'] = IN_ALL,
    ['='] = IN_USERINFO,
    ['>'] = IN_ALL,
    ['?'] = IN_PATH | IN_USERINFO | ENDS,
    ['@'] = IN_USERINFO,
    ['['] = IN_USERINFO,
    ['\\'] = IN_USERINFO | ENDS | NOT_PLAIN,
    [']'] = IN_USERINFO,
    ['^'] = IN_PATH | IN_USERINFO,
    ['`'] = IN_FRAGMENT | IN_PATH | IN_USERINFO,
    ['{'] = IN_PATH | IN_USERINFO,
    ['|'] = IN_USERINFO,
    ['}'] = IN_PATH | IN_USERINFO,
    [0x7f ... 0xff] = IN_ALL,
};

static ms_err bad(struct parse *p, const char *text)
{
    p->why = text;
    return MS_EURL;
}

/* --- Reading ------------------------------------------------------------ */

/* How many bytes stand in front of the first one of `set`. */
static size_t span_without(struct ms_span s, unsigned set)
{
    size_t n = 0;

    while (n < s.n && !(classes[(unsigned char)s.p[n]] & set))
        n++;
    return n;
}

/* The same for one byte. */
static size_t span_until(struct ms_span s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : s.n;
}

/* Splits `n` bytes off the front. */
static struct ms_span take(struct ms_span *s, size_t n)
{
    struct ms_span taken = ms_span(s->p, n);

    assert(n <= s->n);
    s->p += n;
    s->n -= n;
    return taken;
}

static bool starts_with(struct ms_span s, char c)
{
    return s.n && s.p[0] == c;
}

static bool starts_with_slash(struct ms_span s)
{
    return starts_with(s, '/') || starts_with(s, '\\');
}

/* --- Writing ------------------------------------------------------------ */

static uint32_t here(const struct parse *p)
{
    return (uint32_t)p->u->href.to;
}

static void put_char(struct parse *p, char c)
{
    struct ms_buf *out = &p->u->href;

    assert(out->to < out->cap);
    out->p[out->to++] = c;
}

static void put(struct parse *p, struct ms_span s)
{
    ms_buf_put(&p->u->href, s);
}

static void put_escape(struct parse *p, unsigned char c)
{
    put_char(p, '%');
    put_char(p, "0123456789ABCDEF"[c >> 4]);
    put_char(p, "0123456789ABCDEF"[c & 0xf]);
}

/* Writes `s` with every byte of `set` escaped. What will be written after it
 * must still be in `rest`. MS_ENOMEM. */
static ms_err put_encoded(struct parse *p, struct ms_span s, unsigned set)
{
    size_t plain = span_without(s, set);

    put(p, take(&s, plain));
    if (MS_LIKELY(s.n == 0))
        return MS_OK;
    ms_err err = ms_buf_reserve(&p->u->href, 3 * s.n + p->rest.n + ROOM);
    if (err)
        return err;
    while (s.n) {
        put_escape(p, (unsigned char)take(&s, 1).p[0]);
        put(p, take(&s, span_without(s, set)));
    }
    return MS_OK;
}

/* --- Scheme ------------------------------------------------------------- */

static bool is_alpha(char c)
{
    unsigned char lower = ms_lower((unsigned char)c);

    return lower >= 'a' && lower <= 'z';
}

static bool in_scheme(char c)
{
    return is_alpha(c) || ms_is_digit((unsigned char)c) || c == '+' ||
           c == '-' || c == '.';
}

/* Takes "name:" off `rest`; false when there is no such thing. */
static bool take_scheme(struct parse *p, struct ms_span *name)
{
    struct ms_span s = p->rest;
    size_t n = 0;

    while (n < s.n && in_scheme(s.p[n]))
        n++;
    if (n == 0 || n == s.n || s.p[n] != ':' || !is_alpha(s.p[0]))
        return false;
    *name = take(&p->rest, n);
    (void)take(&p->rest, 1);
    return true;
}

static void put_scheme(struct parse *p, bool secure)
{
    struct ms_url *u = p->u;

    u->secure = secure;
    u->scheme_end = secure ? 5 : 4;
    u->port_number = secure ? 443 : 80;
    put(p, secure ? MS_SPAN("https://") : MS_SPAN("http://"));
}

/* --- Authority ---------------------------------------------------------- */

/* "user:password", without the '@'. */
static ms_err parse_userinfo(struct parse *p, struct ms_span s)
{
    struct ms_url *u = p->u;

    u->username = here(p);
    ms_err err = put_encoded(p, take(&s, span_until(s, ':')), IN_USERINFO);
    if (err)
        return err;
    u->username_end = u->password = u->password_end = here(p);
    if (s.n > 1) {
        (void)take(&s, 1);
        put_char(p, ':');
        u->password = here(p);
        err = put_encoded(p, s, IN_USERINFO);
        if (err)
            return err;
        u->password_end = here(p);
    }
    if (u->password_end > u->username)
        put_char(p, '@');
    return MS_OK;
}

static ms_err read_port(struct parse *p, struct ms_span s, unsigned *port)
{
    *port = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!ms_is_digit((unsigned char)s.p[i]))
            return bad(p, "the port is not a number");
        *port = *port * 10 + (unsigned)(s.p[i] - '0');
        if (*port > UINT16_MAX)
            return bad(p, "the port is larger than 65535");
    }
    return MS_OK;
}

static void put_decimal(struct parse *p, unsigned value)
{
    unsigned unit = 1;

    while (value / unit >= 10)
        unit *= 10;
    for (; unit; unit /= 10)
        put_char(p, (char)('0' + value / unit % 10));
}

/* What is behind the host: nothing, or a colon and perhaps digits. */
static ms_err parse_port(struct parse *p, struct ms_span s)
{
    struct ms_url *u = p->u;
    unsigned port;

    u->port = u->port_end = here(p);
    if (s.n < 2)
        return MS_OK;
    (void)take(&s, 1);
    ms_err err = read_port(p, s, &port);
    if (err || port == u->port_number)
        return err;
    u->port_number = (uint16_t)port;
    put_char(p, ':');
    u->port = here(p);
    put_decimal(p, port);
    u->port_end = here(p);
    return MS_OK;
}

static ms_err parse_host_and_port(struct parse *p, struct ms_span s)
{
    struct ms_url *u = p->u;
    size_t in_brackets = starts_with(s, '[') ? span_until(s, ']') : 0;
    struct ms_span behind = ms_span(s.p + in_brackets, s.n - in_brackets);
    struct ms_span host = take(&s, in_brackets + span_until(behind, ':'));

    u->host = here(p);
    ms_err err = ms_host_put(&u->href, host, &p->why);
    if (err)
        return err;
    u->host_end = here(p);
    return parse_port(p, s);
}

/* An '@' may stand in a password, so the last one counts. */
static size_t find_last_at(struct ms_span s)
{
    size_t n = s.n;

    while (n && s.p[n - 1] != '@')
        n--;
    return n ? n - 1 : s.n;
}

/* Any number of slashes in front, none too, as browsers have it. The text
 * stays in `rest` to the end, so that an escape in the password makes room
 * for the host as well. */
static ms_err parse_authority(struct parse *p)
{
    struct ms_url *u = p->u;

    while (starts_with_slash(p->rest))
        (void)take(&p->rest, 1);
    size_t len = span_without(p->rest, ENDS);
    struct ms_span s = ms_span(p->rest.p, len);
    u->username = u->username_end = here(p);
    u->password = u->password_end = here(p);
    size_t at = find_last_at(s);
    if (at < s.n) {
        ms_err err = parse_userinfo(p, take(&s, at));
        if (err)
            return err;
        (void)take(&s, 1);
    }
    ms_err err = parse_host_and_port(p, s);
    (void)take(&p->rest, len);
    return err;
}

/* --- Path, query, fragment ---------------------------------------------- */

/* 1 for "." and 2 for "..", in any spelling; 0 for all other segments. */
static int count_dots(struct ms_span s)
{
    int n = 0;

    while (s.n && n < 3) {
        size_t len = s.p[0] == '.' ? 1 : 3;
        if (s.n < len)
            return 0;
        struct ms_span dot = take(&s, len);
        if (len == 3 && !ms_span_equal_nocase(dot, MS_SPAN("%2e")))
            return 0;
        n++;
    }
    return n < 3 ? n : 0;
}

static void pop_segment(struct parse *p)
{
    struct ms_buf *out = &p->u->href;
    size_t to = out->to;

    if (to == p->u->path)
        return;
    do
        to--;
    while (out->p[to] != '/');
    assert(to >= p->u->path);
    out->to = to;
}

/* Takes what stands before the next slash, '?' or '#'. A dot segment leaves
 * nothing but the slash it may have at the path's end. */
static ms_err parse_segment(struct parse *p)
{
    struct ms_span s = take(&p->rest, span_without(p->rest, ENDS));
    int dots = count_dots(s);

    if (dots == 2)
        pop_segment(p);
    if (dots && starts_with_slash(p->rest))
        return MS_OK;
    put_char(p, '/');
    return dots ? MS_OK : put_encoded(p, s, IN_PATH);
}

/* Adds the segments in `rest`, which has no slash in front, to those that
 * were written since u->path. */
static ms_err parse_path(struct parse *p)
{
    struct ms_url *u = p->u;
    ms_err err = parse_segment(p);

    while (!err && starts_with_slash(p->rest)) {
        (void)take(&p->rest, 1);
        err = parse_segment(p);
    }
    u->path_end = u->query = u->query_end = here(p);
    return err;
}

static ms_err parse_query(struct parse *p)
{
    struct ms_url *u = p->u;

    if (!starts_with(p->rest, '?'))
        return MS_OK;
    (void)take(&p->rest, 1);
    put_char(p, '?');
    struct ms_span s = take(&p->rest, span_until(p->rest, '#'));
    ms_err err = put_encoded(p, s, IN_QUERY);
    u->query_end = here(p);
    return err;
}

static ms_err parse_fragment(struct parse *p)
{
    struct ms_url *u = p->u;
    ms_err err = MS_OK;

    u->fragment = here(p);
    if (starts_with(p->rest, '#')) {
        (void)take(&p->rest, 1);
        put_char(p, '#');
        err = put_encoded(p, take(&p->rest, p->rest.n), IN_FRAGMENT);
    }
    u->fragment_end = here(p);
    return err;
}

/* --- The whole ---------------------------------------------------------- */

static ms_err parse_authority_and_path(struct parse *p)
{
    ms_err err = parse_authority(p);

    if (err)
        return err;
    p->u->path = here(p);
    if (starts_with_slash(p->rest))
        (void)take(&p->rest, 1);
    return parse_path(p);
}

/* Begins with what `base` has in front of the offset `to`. */
static void put_base(struct parse *p, const struct ms_url *base, uint32_t to)
{
    struct ms_buf out = p->u->href;

    *p->u = *base;
    p->u->href = out;
    put(p, ms_url_part(base, 0, to));
}

/* Where the last segment of the path begins, its slash included. */
static uint32_t last_segment(const struct ms_url *u)
{
    uint32_t at = u->path_end;

    do
        at--;
    while (u->href.p[at] != '/');
    assert(at >= u->path);
    return at;
}

static ms_err parse_relative(struct parse *p, const struct ms_url *base)
{
    if (p->rest.n == 0 || p->rest.p[0] == '#') {
        put_base(p, base, base->query_end);
        return MS_OK;
    }
    if (p->rest.p[0] == '?') {
        put_base(p, base, base->path_end);
        return MS_OK;
    }
    if (!starts_with_slash(p->rest)) {
        put_base(p, base, last_segment(base));
        return parse_path(p);
    }
    (void)take(&p->rest, 1);
    if (starts_with_slash(p->rest)) {
        put_scheme(p, base->secure);
        return parse_authority_and_path(p);
    }
    put_base(p, base, base->path);
    return parse_path(p);
}

/* All that comes before the query. */
static ms_err parse_front(struct parse *p, const struct ms_url *base)
{
    struct ms_span name;

    if (!take_scheme(p, &name)) {
        if (!base)
            return bad(p, "\"http://\" or \"https://\" is missing in front");
        return parse_relative(p, base);
    }
    bool secure = ms_span_equal_nocase(name, MS_SPAN("https"));
    if (!secure && !ms_span_equal_nocase(name, MS_SPAN("http")) &&
        !(MS_MUTANT_IS(413) && base)) {
        p->why = "only http:// and https:// are supported";
        return MS_ESCHEME;
    }
    /* "http:page" is relative to an http URL; two slashes are taken as the
     * authority's there as well. */
    if (base && base->secure == secure)
        return parse_relative(p, base);
    put_scheme(p, secure);
    return parse_authority_and_path(p);
}

static ms_err parse_clean(struct parse *p, const struct ms_url *base)
{
    size_t room = p->rest.n + ROOM + (base ? ms_buf_len(&base->href) : 0);
    ms_err err = ms_buf_reserve(&p->u->href, room);

    if (!err)
        err = parse_front(p, base);
    if (!err)
        err = parse_query(p);
    if (!err)
        err = parse_fragment(p);
    if (!err && here(p) > MS_URL_MAX)
        return bad(p, "the URL is longer than 65536 bytes when encoded");
    return err;
}

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ';
}

static struct ms_span trim(struct ms_span s)
{
    while (s.n && is_blank(s.p[0]))
        (void)take(&s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static bool is_break(char c)
{
    return c == '\t' || c == '\n' || c == '\r';
}

static bool has_breaks(struct ms_span s)
{
    return span_until(s, '\t') < s.n || span_until(s, '\n') < s.n ||
           span_until(s, '\r') < s.n;
}

/* Tabs and line breaks are ignored wherever they stand: so rare that a copy
 * without them is the simplest. */
static ms_err parse_without_breaks(struct parse *p, const struct ms_url *base)
{
    struct ms_span in = p->rest;
    char *copy = ms_alloc(in.n);
    size_t n = 0;

    if (!copy)
        return MS_ENOMEM;
    for (size_t i = 0; i < in.n; i++)
        if (!is_break(in.p[i]))
            copy[n++] = in.p[i];
    p->rest = ms_span(copy, n);
    ms_err err = parse_clean(p, base);
    ms_free(copy);
    return err;
}

/* --- The short way ------------------------------------------------------ */

static size_t plain_scheme(struct ms_url *u, struct ms_span s)
{
    if (s.n < sizeof("https://"))
        return 0;
    u->secure = s.p[4] == 's';
    u->scheme_end = u->secure ? 5 : 4;
    u->port_number = u->secure ? 443 : 80;
    if (u->secure)
        return memcmp(s.p, "https://", 8) ? 0 : 8;
    return memcmp(s.p, "http://", 7) ? 0 : 7;
}

/* The end of a port that begins at `at`; 0 unless it is one to keep. */
static size_t plain_port(struct ms_url *u, struct ms_span s, size_t at)
{
    size_t start = at, end = s.n - at < 5 ? s.n : at + 5;
    unsigned port = 0, digit;

    while (at < end && (digit = (unsigned)s.p[at] - '0') < 10) {
        port = port * 10 + digit;
        at++;
    }
    if (at == start || s.p[start] == '0')
        return 0;
    if (port > UINT16_MAX || port == u->port_number)
        return 0;
    u->port_number = (uint16_t)port;
    return at;
}

static size_t plain_authority(struct ms_url *u, struct ms_span s, size_t at)
{
    u->username = u->username_end = (uint32_t)at;
    u->password = u->password_end = (uint32_t)at;
    u->host = (uint32_t)at;
    size_t n = ms_host_plain(ms_span(s.p + at, s.n - at));
    if (!n)
        return 0;
    at += n;
    u->host_end = u->port = u->port_end = (uint32_t)at;
    if (at == s.n || s.p[at] != ':')
        return at;
    u->port = (uint32_t)++at;
    at = plain_port(u, s, at);
    u->port_end = (uint32_t)at;
    return at;
}

/* From `at` to the first byte of `set`. */
static size_t plain_part(struct ms_span s, size_t at, unsigned set)
{
    return at + span_without(ms_span(s.p + at, s.n - at), set);
}

/* Dots are fine where they cannot make a dot segment. */
static size_t plain_path(struct ms_span s, size_t at)
{
    if (at == s.n || s.p[at] != '/')
        return 0;
    for (;;) {
        at = plain_part(s, at + 1, IN_PATH | NOT_PLAIN);
        if (at == s.n || (s.p[at] != '.' && s.p[at] != '%'))
            return at;
        if (s.p[at - 1] == '/')
            return 0;
    }
}

static bool is_plain(struct ms_url *u, struct ms_span s)
{
    size_t at = plain_scheme(u, s);

    if (at)
        at = plain_authority(u, s, at);
    if (!at)
        return false;
    u->path = (uint32_t)at;
    at = plain_path(s, at);
    if (!at)
        return false;
    u->path_end = u->query = (uint32_t)at;
    if (at < s.n && s.p[at] == '?')
        at = plain_part(s, at + 1, IN_QUERY);
    u->query_end = u->fragment = (uint32_t)at;
    if (at < s.n && s.p[at] == '#')
        at = plain_part(s, at + 1, IN_FRAGMENT);
    u->fragment_end = (uint32_t)at;
    return at == s.n;
}

/* --- Entry -------------------------------------------------------------- */

static ms_err parse_input(struct parse *p, const struct ms_url *base)
{
    if (p->rest.n > MS_URL_MAX)
        return bad(p, "the URL is longer than 65536 bytes");
    if (is_plain(p->u, p->rest))
        return ms_buf_add(&p->u->href, p->rest.p, p->rest.n);
    p->rest = trim(p->rest);
    if (MS_UNLIKELY(has_breaks(p->rest)))
        return parse_without_breaks(p, base);
    return parse_clean(p, base);
}

static void forget(struct ms_url *u)
{
    struct ms_buf href = u->href;

    ms_buf_clear(&href);
    *u = (struct ms_url){.href = href};
}

ms_err ms_url_parse(struct ms_url *u, struct ms_span input,
                    const struct ms_url *base, const char **why)
{
    struct parse p = {.u = u, .rest = input};

    assert(u != base);
    assert(!base || ms_buf_len(&base->href) > 0);
    ms_buf_clear(&u->href);
    ms_err err = parse_input(&p, base);
    if (err)
        forget(u);
    if (why)
        *why = p.why;
    return err;
}

void ms_url_free(struct ms_url *u)
{
    ms_buf_free(&u->href);
    *u = (struct ms_url){0};
}
