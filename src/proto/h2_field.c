/* SPDX-License-Identifier: MIT */
#include "proto/h2_field.h"

#include "proto/wire.h"

/* Of the same length; what begins with another letter is told at once. */
static inline bool is(struct ms_span name, const char *text)
{
    return (name.p[0] | 0x20) == text[0] &&
           ms_span_equal_nocase(name, ms_span(text, name.n));
}

static bool is_for_connections(struct ms_span name)
{
    switch (name.n) {
    case 7:
        return is(name, "upgrade");
    case 10:
        return is(name, "connection") || is(name, "keep-alive");
    case 16:
        return is(name, "proxy-connection");
    case 17:
        return is(name, "transfer-encoding");
    default:
        return false;
    }
}

/* A bit for each length below. */
#define SUSPICIOUS (1u << 7 | 1u << 10 | 1u << 16 | 1u << 17)

/* RFC 9113, 8.2.2. */
static inline bool is_connection_specific(struct ms_span name)
{
    return MS_UNLIKELY(name.n < 32 && (SUSPICIOUS >> name.n & 1)) &&
           is_for_connections(name);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool has_upper(struct ms_span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z')
            return true;
    return false;
}

const char *ms_h2_check_field(struct ms_span name, struct ms_span value,
                              bool known)
{
    if (!known && !ms_wire_is_token(name))
        return "a malformed header name";
    if (!known && has_upper(name))
        return "a header name in upper case";
    if (is_connection_specific(name))
        return "a header of HTTP/1 connections in an HTTP/2 response";
    if (!ms_wire_is_value(value))
        return "a control character in a header";
    if (value.n && (is_blank(value.p[0]) || is_blank(value.p[value.n - 1])))
        return "a header value with space around it";
    return NULL;
}

unsigned ms_h2_status(struct ms_span v)
{
    unsigned status = 0;

    if (v.n != 3)
        return 0;
    for (size_t i = 0; i < 3; i++) {
        if (!ms_is_digit((unsigned char)v.p[i]))
            return 0;
        status = status * 10 + (unsigned)(v.p[i] - '0');
    }
    return status >= 100 && status <= 599 ? status : 0;
}

enum ms_h2_field ms_h2_request_field(struct ms_span name, struct ms_span value)
{
    switch (name.n) {
    case 2: /* RFC 9113, 8.2.2: "trailers" and nothing else */
        return is(name, "te") &&
                       !ms_span_equal_nocase(value, MS_SPAN("trailers"))
                   ? MS_H2_DROP
                   : MS_H2_SEND;
    case 4: /* made here */
        return is(name, "host") ? MS_H2_DROP : MS_H2_SEND;
    case 14:
        return is(name, "content-length") ? MS_H2_DROP : MS_H2_SEND;
    case 6:
        return is(name, "cookie") ? MS_H2_CRUMBS : MS_H2_SEND;
    default:
        return is_connection_specific(name) ? MS_H2_DROP : MS_H2_SEND;
    }
}

bool ms_h2_next_crumb(struct ms_span *value, struct ms_span *crumb)
{
    while (value->n) {
        const char *end = memchr(value->p, ';', value->n);
        size_t n = end ? (size_t)(end - value->p) : value->n;
        *crumb = ms_span_trim(ms_span(value->p, n));
        n += end != NULL;
        *value = ms_span(value->p + n, value->n - n);
        if (crumb->n)
            return true;
    }
    return false;
}
