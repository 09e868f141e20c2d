/* SPDX-License-Identifier: MIT */
#include "net/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <net/if.h>
#include <stdio.h>

struct ms_addr ms_addr_v4(const void *four_bytes)
{
    struct ms_addr a;

    memset(&a, 0, sizeof(a));
    a.v4.sin_family = AF_INET;
    memcpy(&a.v4.sin_addr, four_bytes, sizeof(a.v4.sin_addr));
    return a;
}

struct ms_addr ms_addr_v6(const void *sixteen_bytes)
{
    struct ms_addr a;

    memset(&a, 0, sizeof(a));
    a.v6.sin6_family = AF_INET6;
    memcpy(&a.v6.sin6_addr, sixteen_bytes, sizeof(a.v6.sin6_addr));
    return a;
}

/* `s` as a string in `buf`; false when it is empty, does not fit or contains
 * a NUL, so that no system function sees less than we were given. */
static bool terminate(struct ms_span s, char *buf, size_t cap)
{
    if (!s.n || s.n >= cap || memchr(s.p, '\0', s.n))
        return false;
    memcpy(buf, s.p, s.n);
    buf[s.n] = '\0';
    return true;
}

static bool parse_v4(struct ms_span s, struct ms_addr *out)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr bytes;

    /* Unlike inet_aton(), inet_pton() takes four decimal numbers only. */
    if (!terminate(s, text, sizeof(text)) ||
        inet_pton(AF_INET, text, &bytes) != 1)
        return false;
    *out = ms_addr_v4(&bytes);
    return true;
}

/* A zone is an interface's number or name (RFC 4007, 11.2). */
static bool parse_zone(struct ms_span s, uint32_t *index)
{
    char name[IF_NAMESIZE];
    uint64_t number;

    if (ms_span_decimal(s, UINT32_MAX, &number)) {
        *index = (uint32_t)number;
        return true;
    }
    *index = terminate(s, name, sizeof(name)) ? if_nametoindex(name) : 0;
    return *index != 0;
}

static bool parse_v6(struct ms_span s, struct ms_addr *out)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr bytes;
    uint32_t zone = 0;
    const char *percent = s.n ? memchr(s.p, '%', s.n) : NULL;

    if (percent) {
        size_t before = (size_t)(percent - s.p);
        if (!parse_zone(ms_span(percent + 1, s.n - before - 1), &zone))
            return false;
        s.n = before;
    }
    if (!terminate(s, text, sizeof(text)) ||
        inet_pton(AF_INET6, text, &bytes) != 1)
        return false;
    *out = ms_addr_v6(&bytes);
    out->v6.sin6_scope_id = zone;
    return true;
}

bool ms_addr_parse(struct ms_span text, struct ms_addr *out)
{
    if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        return parse_v6(ms_span(text.p + 1, text.n - 2), out);
    return parse_v4(text, out) || parse_v6(text, out);
}

bool ms_addr_is_v6(const struct ms_addr *a)
{
    assert(a->any.sa_family == AF_INET || a->any.sa_family == AF_INET6);

    return a->any.sa_family == AF_INET6;
}

bool ms_addr_is_loopback(const struct ms_addr *a)
{
    if (ms_addr_is_v6(a))
        return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
    return ntohl(a->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

void ms_addr_set_port(struct ms_addr *a, uint16_t port)
{
    if (ms_addr_is_v6(a))
        a->v6.sin6_port = htons(port);
    else
        a->v4.sin_port = htons(port);
}

uint16_t ms_addr_port(const struct ms_addr *a)
{
    return ntohs(ms_addr_is_v6(a) ? a->v6.sin6_port : a->v4.sin_port);
}

socklen_t ms_addr_len(const struct ms_addr *a)
{
    return ms_addr_is_v6(a) ? sizeof(a->v6) : sizeof(a->v4);
}

bool ms_addr_equal(const struct ms_addr *a, const struct ms_addr *b)
{
    if (ms_addr_is_v6(a) != ms_addr_is_v6(b) ||
        ms_addr_port(a) != ms_addr_port(b))
        return false;
    if (!ms_addr_is_v6(a))
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
           IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

const char *ms_addr_host_text(const struct ms_addr *a, char *buf)
{
    if (!ms_addr_is_v6(a)) {
        inet_ntop(AF_INET, &a->v4.sin_addr, buf, MS_ADDR_TEXT);
        return buf;
    }
    inet_ntop(AF_INET6, &a->v6.sin6_addr, buf, MS_ADDR_TEXT);
    size_t n = strlen(buf);
    if (a->v6.sin6_scope_id)
        snprintf(buf + n, MS_ADDR_TEXT - n, "%%%u",
                 (unsigned)a->v6.sin6_scope_id);
    return buf;
}

const char *ms_addr_text(const struct ms_addr *a, char *buf)
{
    char host[MS_ADDR_TEXT];
    bool v6 = ms_addr_is_v6(a);

    snprintf(buf, MS_ADDR_TEXT, v6 ? "[%.71s]:%u" : "%.71s:%u",
             ms_addr_host_text(a, host), (unsigned)ms_addr_port(a));
    return buf;
}
