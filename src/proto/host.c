/* SPDX-License-Identifier: MIT
 *
 * host.c - what a name is decides its end: a last label that is a number
 * makes the whole of it an IPv4 address, or an error, so that no resolver
 * ever gets to guess what "0x7f.1" might mean.
 */
#include "proto/host.h"

#include <assert.h>

#include "proto/idn.h"

#define V4_PARTS  4
#define V6_PIECES 8

static const char forbidden[] =
    "the host has a character that no host may have";

static ms_err bad(const char **why, const char *text)
{
    *why = text;
    return MS_EURL;
}

static bool starts_with(struct ms_span s, char c)
{
    return s.n && s.p[0] == c;
}

static struct ms_span skip(struct ms_span s, size_t n)
{
    return ms_span(s.p + n, s.n - n);
}

static bool skip_char(struct ms_span *s, char c)
{
    if (!starts_with(*s, c))
        return false;
    *s = skip(*s, 1);
    return true;
}

static void put_char(struct ms_buf *out, char c)
{
    assert(out->to < out->cap);

    out->p[out->to++] = c;
}

/* --- IPv4 --------------------------------------------------------------- */

/* "0x7f", "0177", "127"; also "0x", which is 0. A value no address can hold
 * comes out as some value above 32 bits. */
static bool read_v4_number(struct ms_span s, uint64_t *value)
{
    int radix = 10;

    if (s.n == 0)
        return false;
    if (s.n > 1 && s.p[0] == '0') {
        bool hex = ms_lower((unsigned char)s.p[1]) == 'x';
        radix = hex ? 16 : 8;
        s = skip(s, hex ? 2 : 1);
    }
    *value = 0;
    for (size_t i = 0; i < s.n; i++) {
        int digit = ms_hex_value((unsigned char)s.p[i]);
        if (digit < 0 || digit >= radix)
            return false;
        if (*value <= UINT32_MAX)
            *value = *value * (uint64_t)radix + (uint64_t)digit;
    }
    return true;
}

static bool all_digits(struct ms_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ms_is_digit((unsigned char)s.p[i]))
            return false;
    return true;
}

/* One dot at the end means nothing: it only marks a name as complete. */
static struct ms_span without_last_dot(struct ms_span s)
{
    if (s.n > 1 && s.p[s.n - 1] == '.')
        s.n--;
    return s;
}

static bool ends_in_number(struct ms_span s)
{
    uint64_t ignored;

    s = without_last_dot(s);
    size_t from = s.n;
    while (from && s.p[from - 1] != '.')
        from--;
    struct ms_span last = skip(s, from);
    if (!last.n || !ms_is_digit((unsigned char)last.p[0]))
        return false;
    return all_digits(last) || read_v4_number(last, &ignored);
}

/* All but the last part are a byte each, the last one fills up the rest. */
static ms_err join_v4_parts(const uint64_t *parts, int n, uint32_t *address)
{
    if (parts[n - 1] >> 8 * (V4_PARTS + 1 - n))
        return MS_EURL;
    *address = (uint32_t)parts[n - 1];
    for (int i = 0; i < n - 1; i++) {
        if (parts[i] > UINT8_MAX)
            return MS_EURL;
        *address |= (uint32_t)parts[i] << 8 * (V4_PARTS - 1 - i);
    }
    return MS_OK;
}

static ms_err read_v4(struct ms_span s, uint32_t *address, const char **why)
{
    uint64_t parts[V4_PARTS];
    int n = 0;

    s = without_last_dot(s);
    for (bool more = true; more;) {
        const char *dot = memchr(s.p, '.', s.n);
        size_t len = dot ? (size_t)(dot - s.p) : s.n;

        if (n == V4_PARTS)
            return bad(why, "the IPv4 address has more than four parts");
        if (!read_v4_number(ms_span(s.p, len), &parts[n++]))
            return bad(why, "the host ends in a number, but is no IPv4 "
                            "address");
        more = dot;
        s = skip(s, dot ? len + 1 : len);
    }
    if (join_v4_parts(parts, n, address))
        return bad(why, "a number in the IPv4 address is too large");
    return MS_OK;
}

static void put_byte(struct ms_buf *out, unsigned value)
{
    if (value >= 100)
        put_char(out, (char)('0' + value / 100));
    if (value >= 10)
        put_char(out, (char)('0' + value / 10 % 10));
    put_char(out, (char)('0' + value % 10));
}

static void put_v4(struct ms_buf *out, uint32_t address)
{
    put_byte(out, address >> 24);
    put_char(out, '.');
    put_byte(out, address >> 16 & 0xff);
    put_char(out, '.');
    put_byte(out, address >> 8 & 0xff);
    put_char(out, '.');
    put_byte(out, address & 0xff);
}

/* --- IPv6 --------------------------------------------------------------- */

struct v6 {
    uint16_t pieces[V6_PIECES];
    int n;   /* pieces read so far */
    int gap; /* how many stand before the end of "::"; 0 without one */
};

/* The length of a number from 0 to 255 at the front of `s`, decimal only and
 * without leading zeros, unlike in the IPv4 host; 0 when there is none. */
static size_t read_v4_byte(struct ms_span s, unsigned *value)
{
    unsigned sum = 0, digit;
    size_t n = 0;

    while (n < s.n && (digit = (unsigned)s.p[n] - '0') < 10) {
        sum = sum * 10 + digit;
        if (sum > UINT8_MAX || (sum == digit && n))
            return 0;
        n++;
    }
    *value = sum;
    return n;
}

/* The same for four of them with dots between. */
static size_t read_dotted(struct ms_span s, unsigned bytes[V4_PARTS])
{
    size_t at = 0;

    for (int i = 0; i < V4_PARTS; i++) {
        if (i && (at == s.n || s.p[at++] != '.'))
            return 0;
        size_t n = read_v4_byte(skip(s, at), &bytes[i]);
        if (n == 0)
            return 0;
        at += n;
    }
    return at;
}

/* The IPv4 address that may stand for the last two pieces. */
static bool read_v6_tail(struct v6 *v6, struct ms_span s)
{
    unsigned bytes[V4_PARTS];

    if (v6->n > V6_PIECES - 2 || read_dotted(s, bytes) != s.n)
        return false;
    v6->pieces[v6->n++] = (uint16_t)(bytes[0] << 8 | bytes[1]);
    v6->pieces[v6->n++] = (uint16_t)(bytes[2] << 8 | bytes[3]);
    return true;
}

/* "::" holds at least one piece of zeros; spread_gap() adds the others. */
static bool read_v6_gap(struct v6 *v6, struct ms_span *s)
{
    if (v6->gap || v6->n == V6_PIECES)
        return false;
    *s = skip(*s, 1);
    v6->pieces[v6->n++] = 0;
    v6->gap = v6->n;
    return true;
}

/* Up to four hexadecimal digits and the colon behind them. */
static bool read_v6_piece(struct v6 *v6, struct ms_span *s)
{
    unsigned value = 0;
    size_t n = 0;
    int digit;

    if (v6->n == V6_PIECES)
        return false;
    while (n < 4 && n < s->n &&
           (digit = ms_hex_value((unsigned char)s->p[n])) >= 0) {
        value = value << 4 | (unsigned)digit;
        n++;
    }
    *s = skip(*s, n);
    v6->pieces[v6->n++] = (uint16_t)value;
    if (s->n == 0)
        return true;
    return n && skip_char(s, ':') && s->n;
}

/* Whether an IPv4 address comes before the next colon. */
static bool at_v6_tail(struct ms_span s)
{
    size_t n = 0;

    while (n < s.n && ms_is_digit((unsigned char)s.p[n]))
        n++;
    return n && starts_with(skip(s, n), '.');
}

static bool spread_gap(struct v6 *v6)
{
    int behind = v6->n - v6->gap;
    int missing = V6_PIECES - v6->n;

    if (!v6->gap)
        return missing == 0;
    for (int i = V6_PIECES - 1; i >= v6->gap; i--) {
        bool moved = i >= V6_PIECES - behind;
        v6->pieces[i] = moved ? v6->pieces[i - missing] : 0;
    }
    return true;
}

static bool read_v6(struct v6 *v6, struct ms_span s)
{
    *v6 = (struct v6){0};
    if (skip_char(&s, ':') && !starts_with(s, ':'))
        return false;
    while (s.n) {
        if (at_v6_tail(s))
            return read_v6_tail(v6, s) && spread_gap(v6);
        bool ok = s.p[0] == ':' ? read_v6_gap(v6, &s) : read_v6_piece(v6, &s);
        if (!ok)
            return false;
    }
    return spread_gap(v6);
}

static int count_zeros(const struct v6 *v6, int from)
{
    int n = 0;

    while (from + n < V6_PIECES && v6->pieces[from + n] == 0)
        n++;
    return n;
}

/* The first of the longest runs of zeros; one alone is not worth a "::". */
static int find_zeros(const struct v6 *v6, int *count)
{
    int best = V6_PIECES;

    *count = 1;
    for (int i = 0; i < V6_PIECES; i++) {
        int n = count_zeros(v6, i);
        if (n > *count) {
            *count = n;
            best = i;
        }
    }
    return best;
}

static void put_hex(struct ms_buf *out, unsigned value)
{
    int shift = 12;

    while (shift && !(value >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        put_char(out, "0123456789abcdef"[value >> shift & 0xf]);
}

static void put_v6(struct ms_buf *out, const struct v6 *v6)
{
    int zeros, at = find_zeros(v6, &zeros);

    put_char(out, '[');
    for (int i = 0; i < V6_PIECES; i++) {
        if (i == at) {
            ms_buf_put(out, i ? MS_SPAN(":") : MS_SPAN("::"));
            i += zeros - 1;
            continue;
        }
        put_hex(out, v6->pieces[i]);
        if (i < V6_PIECES - 1)
            put_char(out, ':');
    }
    put_char(out, ']');
}

static ms_err parse_v6(struct ms_buf *out, struct ms_span in, const char **why)
{
    struct v6 v6;

    if (in.p[in.n - 1] != ']')
        return bad(why, "an IPv6 address must end with ']'");
    if (!read_v6(&v6, ms_span(in.p + 1, in.n - 2)))
        return bad(why, "the IPv6 address is not valid");
    put_v6(out, &v6);
    return MS_OK;
}

/* --- Domain names ------------------------------------------------------- */

enum {
    FORBIDDEN = 1,
    UPPER = 2,
    FOREIGN = 4,
    HYPHEN = 8, /* two of them may mean punycode */
    NOT_PLAIN = FORBIDDEN | UPPER | FOREIGN
};

/* What is not just copied into a domain: the standard's forbidden domain code
 * points, capitals, and what is not ASCII. */
static const unsigned char special[256] = {
    [0x00 ... 0x20] = FORBIDDEN,
    ['#'] = FORBIDDEN,
    ['%'] = FORBIDDEN,
    ['/'] = FORBIDDEN,
    ['-'] = HYPHEN,
    [':'] = FORBIDDEN,
    ['<'] = FORBIDDEN,
    ['>'] = FORBIDDEN,
    ['?' ... '@'] = FORBIDDEN,
    ['A' ... 'Z'] = UPPER,
    ['[' ... '^'] = FORBIDDEN,
    ['|'] = FORBIDDEN,
    [0x7f] = FORBIDDEN,
    [0x80 ... 0xff] = FOREIGN,
};

/* The byte at the front of `s`, which loses it and its percent-encoding. */
static unsigned char next_byte(struct ms_span *s)
{
    unsigned char c = (unsigned char)s->p[0];
    int high, low;

    if (c == '%' && s->n > 2 &&
        (high = ms_hex_value((unsigned char)s->p[1])) >= 0 &&
        (low = ms_hex_value((unsigned char)s->p[2])) >= 0) {
        *s = skip(*s, 3);
        return (unsigned char)(high << 4 | low);
    }
    *s = skip(*s, 1);
    return c;
}

/* Percent-decoded and in lower case. Returns all that its bytes are. */
static unsigned put_name(struct ms_buf *out, struct ms_span in)
{
    char *to = out->p + out->to;
    unsigned seen = 0;

    while (in.n) {
        unsigned char c = next_byte(&in);
        seen |= special[c];
        *to++ = (char)ms_lower(c);
    }
    out->to = (size_t)(to - out->p);
    return seen;
}

static bool has_forbidden(struct ms_span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (special[(unsigned char)name.p[i]] & FORBIDDEN)
            return true;
    return false;
}

/* Replaces the name that begins at `start` by what DNS calls it. */
static ms_err convert(struct ms_buf *out, size_t start, const char **why)
{
    char copy[MS_IDN_MAX];
    size_t n = out->to - start;

    if (n > MS_IDN_MAX)
        return bad(why, "the host is longer than 255 bytes");
    memcpy(copy, out->p + start, n);
    if (memchr(copy, '\0', n))
        return bad(why, forbidden);
    out->to = start;
    ms_err err = ms_idn_put(out, ms_span(copy, n), why);
    if (err)
        return err;
    if (out->to == start)
        return bad(why, "the host is missing");
    return MS_OK;
}

/* The name between `start` and the end, of bytes of the kinds `seen`. */
static ms_err check_name(struct ms_buf *out, size_t start, unsigned seen,
                         const char **why)
{
    struct ms_span name = ms_span(out->p + start, out->to - start);
    bool converted = seen & FOREIGN || (seen & HYPHEN && ms_idn_has_ace(name));

    if (converted) {
        ms_err err = convert(out, start, why);
        if (err)
            return err;
        name = ms_span(out->p + start, out->to - start);
    }
    if (converted ? has_forbidden(name) : (seen & FORBIDDEN) != 0)
        return bad(why, forbidden);
    return MS_OK;
}

static ms_err check_lengths(struct ms_span name, const char **why)
{
    size_t label = 0;

    if (name.n <= MS_LABEL_MAX)
        return MS_OK;
    if (name.n > MS_HOST_MAX)
        return bad(why, "the host is longer than 255 bytes");
    for (size_t i = 0; i < name.n; i++) {
        label = name.p[i] == '.' ? 0 : label + 1;
        if (label > MS_LABEL_MAX)
            return bad(why, "a label of the host is longer than 63 bytes");
    }
    return MS_OK;
}

static ms_err parse_name(struct ms_buf *out, struct ms_span in,
                         const char **why)
{
    size_t start = out->to;
    uint32_t address;
    unsigned seen = put_name(out, in);
    ms_err err = check_name(out, start, seen, why);

    if (err) {
        out->to = start;
        return err;
    }
    struct ms_span name = ms_span(out->p + start, out->to - start);
    if (!ends_in_number(name)) {
        err = check_lengths(name, why);
        out->to = err ? start : out->to;
        return err;
    }
    err = read_v4(name, &address, why);
    out->to = start;
    if (!err)
        put_v4(out, address);
    return err;
}

ms_err ms_host_put(struct ms_buf *out, struct ms_span in, const char **why)
{
    assert(in.n <= out->cap - out->to);
    assert(MS_HOST_ROOM <= out->cap - out->to);

    if (in.n == 0)
        return bad(why, "the host is missing");
    if (in.p[0] == '[')
        return parse_v6(out, in, why);
    return parse_name(out, in, why);
}

/* The first byte of the last label; the host is not empty. A dot at the very
 * end counts as part of the label before it. */
static char last_label(struct ms_span host)
{
    size_t at = host.n - 1;

    while (at && host.p[at - 1] != '.')
        at--;
    return host.p[at];
}

size_t ms_host_plain(struct ms_span s)
{
    unsigned bytes[V4_PARTS];
    size_t n = read_dotted(s, bytes);

    if (n)
        return n;
    unsigned seen = 0, kind;
    while (n < s.n && !((kind = special[(unsigned char)s.p[n]]) & NOT_PLAIN)) {
        seen |= kind;
        n++;
    }
    if (n == 0 || n > MS_LABEL_MAX || (seen && ms_idn_has_ace(ms_span(s.p, n))))
        return 0;
    /* A number may be an address in another spelling. */
    return ms_is_digit((unsigned char)last_label(ms_span(s.p, n))) ? 0 : n;
}

/* Only IPv6 has brackets, and a name whose last label is a number is refused:
 * what ends in one is an IPv4 address. */
bool ms_host_is_address(struct ms_span host)
{
    if (host.n && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.p[0] == '[')
        return host.n > 0;
    for (size_t i = host.n; i > 0 && host.p[i - 1] != '.'; i--)
        if (!ms_is_digit((unsigned char)host.p[i - 1]))
            return false;
    return host.p[host.n - 1] != '.';
}
