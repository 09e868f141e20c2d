/* SPDX-License-Identifier: MIT
 *
 * dns_server.h - a DNS server that does as it is told, for tests.
 *
 * It listens on 127.0.0.1, UDP and TCP on one free port, and answers from a
 * table of rules; whatever the table does not name does not exist. The test
 * polls its descriptors and calls dns_server_pump(); nothing here waits.
 */
#ifndef MS_SPEC_DNS_SERVER_H
#define MS_SPEC_DNS_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

/* What a rule does not say is 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28 };
enum { RCODE_FORMERR = 1, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3 };

enum how {
    ANSWER, /* `count` addresses, 10.0.<i / 256>.<i % 256> or fd00::<i> */
    NODATA,
    NXDOMAIN,
    SERVFAIL,
    FORMERR,
    SILENT,
    TRUNCATED,    /* no answer over UDP, the addresses over TCP */
    NO_TCP,       /* no answer over UDP, silence over TCP */
    HANG_UP,      /* no answer over UDP, TCP closed when asked */
    WRONG_ID,     /* a forged answer first */
    GARBAGE,      /* noise first */
    FLOOD,        /* FLOOD_PACKETS of noise first */
    ALIAS,        /* a chain of three CNAMEs, then the addresses */
    ADDITIONAL,   /* records of the other family among the answers */
    HOLD,         /* no answer before dns_server_release() */
    OLD,          /* knows no EDNS: FORMERR, the addresses without it */
    LOOP,         /* two aliases that name each other, no addresses */
    CHAIN,        /* as many aliases as fit, then the addresses */
    OTHER_NAME,   /* a forged answer to another question first */
    RCODE,        /* `count` is the code */
    CUT,          /* ends after `count` bytes */
    BAD_RDLENGTH, /* an address that says it is longer than the packet */
    SELF_POINTER, /* a name that points at itself */
};

#define FLOOD_PACKETS 150
#define CHAIN_ALIASES 60

struct rule {
    const char *name;
    int type; /* 0: both */
    enum how how;
    unsigned count;
    const char *list; /* the addresses instead, with blanks between */
};

#define DNS_SERVER_HELD  8
#define DNS_SERVER_CONNS 8
#define DNS_SERVER_LOG   2000

/* A question that is answered later. */
struct held {
    unsigned char p[512];
    size_t n; /* 0: none */
    struct sockaddr_in from;
};

struct dns_server {
    int udp, tcp, conns[DNS_SERVER_CONNS];
    uint16_t port;
    const struct rule *rules;     /* ends with a NULL name */
    char log[DNS_SERVER_LOG][96]; /* "A www.test", "tcp AAAA www.test" */
    unsigned asked;
    unsigned with_edns; /* of those */
    uint32_t ttl;       /* of every record; 60 unless a test says otherwise */
    struct held held[DNS_SERVER_HELD];
    unsigned char out[65535];
    size_t len;
};

static void put(struct dns_server *s, const void *p, size_t n)
{
    CHECK(s->len + n <= sizeof(s->out));
    memcpy(s->out + s->len, p, n);
    s->len += n;
}

static void put16(struct dns_server *s, unsigned value)
{
    unsigned char b[2] = {(unsigned char)(value >> 8), (unsigned char)value};

    put(s, b, 2);
}

/* The head of a record; `owner` is the offset of its name. */
static void put_record(struct dns_server *s, size_t owner, int type,
                       size_t rdata)
{
    uint32_t ttl = s->ttl;

    put16(s, 0xc000u | (unsigned)owner);
    put16(s, (unsigned)type);
    put16(s, 1);
    put16(s, ttl >> 16);
    put16(s, ttl & 0xffff);
    put16(s, (unsigned)rdata);
}

static void put_address(struct dns_server *s, size_t owner, int type,
                        unsigned i)
{
    unsigned char v4[4] = {10, 0, (unsigned char)(i >> 8), (unsigned char)i};
    unsigned char v6[16] = {
        0xfd, [14] = (unsigned char)(i >> 8), [15] = (unsigned char)i};

    put_record(s, owner, type, type == TYPE_A ? 4 : 16);
    put(s, type == TYPE_A ? v4 : v6, type == TYPE_A ? 4 : 16);
}

static unsigned count_listed(const char *list)
{
    unsigned n = 0;

    for (const char *p = list; *p; p += strcspn(p, " ")) {
        p += strspn(p, " ");
        n += *p != '\0';
    }
    return n;
}

static void put_listed(struct dns_server *s, size_t owner, int type,
                       const char *list)
{
    char text[64];
    unsigned char bytes[16];
    int used;

    for (; sscanf(list, " %63s%n", text, &used) == 1; list += used) {
        int family = type == TYPE_A ? AF_INET : AF_INET6;
        CHECK_THAT(inet_pton(family, text, bytes) == 1, "%s", text);
        put_record(s, owner, type, type == TYPE_A ? 4 : 16);
        put(s, bytes, type == TYPE_A ? 4 : 16);
    }
}

/* Aliases, each a label before the root; returns the last one's place. */
static size_t put_aliases(struct dns_server *s, size_t owner, int count)
{
    for (int i = 0; i < count; i++) {
        char label[16];
        int n = snprintf(label + 1, sizeof(label) - 1, "alias%d", i);
        label[0] = (char)n;
        put_record(s, owner, TYPE_CNAME, (size_t)n + 2);
        owner = s->len;
        put(s, label, (size_t)n + 1);
        put(s, "", 1);
    }
    return owner;
}

/* The question's name is an alias of "loop", which is one of the question's. */
static void put_loop(struct dns_server *s, size_t owner)
{
    put_record(s, owner, TYPE_CNAME, 6);
    size_t loop = s->len;
    put(s, "\4loop", 6);
    put_record(s, loop, TYPE_CNAME, 2);
    put16(s, 0xc000u | (unsigned)owner);
}

static unsigned records_of(const struct rule *r)
{
    switch (r->how) {
    case NODATA:
    case NXDOMAIN:
    case SERVFAIL:
    case FORMERR:
    case RCODE:
        return 0;
    case CUT:
    case BAD_RDLENGTH:
    case SELF_POINTER:
        return 1;
    case LOOP:
        return 2;
    case CHAIN:
        return r->count + CHAIN_ALIASES;
    case ALIAS:
        return r->count + 3;
    case ADDITIONAL:
        return r->count * 2;
    default:
        return r->list ? count_listed(r->list) : r->count;
    }
}

static unsigned rcode_of(const struct rule *r)
{
    return r->how == NXDOMAIN   ? RCODE_NXDOMAIN
           : r->how == SERVFAIL ? RCODE_SERVFAIL
           : r->how == FORMERR  ? RCODE_FORMERR
           : r->how == RCODE    ? r->count
                                : 0;
}

struct question {
    const unsigned char *p; /* the whole packet */
    size_t n;
    char name[256];
    int type;
    bool tcp, edns;
    size_t end; /* of the question; what follows is its EDNS */
};

/* Its answer is one record that is not as it should be. */
static void put_broken(struct dns_server *s, const struct question *q,
                       const struct rule *r)
{
    size_t start = s->len;

    if (r->how == SELF_POINTER)
        put_address(s, start, q->type, 0);
    else if (r->how == BAD_RDLENGTH)
        put_record(s, 12, q->type, 400);
    else
        put_address(s, 12, q->type, 0);
    if (r->how == CUT)
        s->len -= r->count;
}

static void put_answers(struct dns_server *s, const struct question *q,
                        const struct rule *r)
{
    size_t owner = 12;
    int other = q->type == TYPE_A ? TYPE_AAAA : TYPE_A;

    if (r->how == ALIAS)
        owner = put_aliases(s, owner, 3);
    if (r->how == CHAIN)
        owner = put_aliases(s, owner, CHAIN_ALIASES);
    if (r->how == LOOP)
        put_loop(s, owner);
    if (r->list)
        put_listed(s, owner, q->type, r->list);
    for (unsigned i = 0; i < r->count; i++) {
        if (r->how == ADDITIONAL)
            put_address(s, owner, other, i);
        put_address(s, owner, q->type, i);
    }
}

static bool is_broken(const struct rule *r)
{
    return r->how == CUT || r->how == BAD_RDLENGTH || r->how == SELF_POINTER;
}

/* The reply that rule `r` asks for; with `truncated` only its head. */
static void compose_reply(struct dns_server *s, const struct question *q,
                          const struct rule *r, bool truncated)
{
    static const struct rule formerr = {.name = "", .how = FORMERR};

    if (r->how == OLD && q->edns)
        r = &formerr;
    unsigned records = truncated ? 0 : records_of(r);
    s->len = 0;
    put(s, q->p, 2);
    put16(s, 0x8180u | (truncated ? 0x200u : 0u) | rcode_of(r));
    put16(s, 1);
    put16(s, records);
    put16(s, 0);
    put16(s, 0);
    put(s, q->p + 12, q->end - 12);
    if (is_broken(r))
        put_broken(s, q, r);
    else if (records)
        put_answers(s, q, r);
}

static bool parse_question(const unsigned char *p, size_t n, struct question *q)
{
    size_t at = 12, len = 0;

    *q = (struct question){.p = p, .n = n};
    if (n < 17)
        return false;
    while (at < n && p[at]) {
        if (len)
            q->name[len++] = '.';
        memcpy(q->name + len, p + at + 1, p[at]);
        len += p[at];
        at += p[at] + 1u;
    }
    q->type = p[at + 1] << 8 | p[at + 2];
    q->end = at + 5;
    /* An OPT record without options (RFC 6891, 6.1.2). */
    q->edns = q->end + 11 == n && p[11] == 1 && p[q->end + 2] == 41;
    return q->end == n || q->edns;
}

static const struct rule *find_rule(const struct dns_server *s,
                                    const struct question *q)
{
    static const struct rule unknown = {.name = "", .how = NXDOMAIN};

    for (const struct rule *r = s->rules; r && r->name; r++)
        if (strcmp(r->name, q->name) == 0 && (!r->type || r->type == q->type))
            return r;
    return &unknown;
}

static void log_question(struct dns_server *s, const struct question *q)
{
    CHECK(s->asked < DNS_SERVER_LOG);
    s->with_edns += q->edns;
    snprintf(s->log[s->asked++], sizeof(s->log[0]), "%s%s %.60s",
             q->tcp ? "tcp " : "", q->type == TYPE_A ? "A" : "AAAA", q->name);
}

static void noise(struct dns_server *s, const struct sockaddr_in *to, int count)
{
    static const unsigned char junk[40] = {1, 2, 3, 0xff, 0xc0, 0xff};

    for (int i = 0; i < count; i++)
        sendto(s->udp, junk, (size_t)(i % 40), 0, (const void *)to,
               sizeof(*to));
}

/* The reply with another address and the byte at `at` changed. */
static void forge(struct dns_server *s, const struct sockaddr_in *to, size_t at)
{
    unsigned char last = s->out[s->len - 1];

    s->out[at] ^= 1;
    s->out[s->len - 1] = 99;
    sendto(s->udp, s->out, s->len, 0, (const void *)to, sizeof(*to));
    s->out[at] ^= 1;
    s->out[s->len - 1] = last;
}

static void hold(struct dns_server *s, const struct question *q,
                 const struct sockaddr_in *to)
{
    for (int i = 0; i < DNS_SERVER_HELD; i++) {
        struct held *h = &s->held[i];
        if (h->n)
            continue;
        CHECK(q->n <= sizeof(h->p));
        memcpy(h->p, q->p, q->n);
        h->n = q->n;
        h->from = *to;
        return;
    }
}

static void answer_udp(struct dns_server *s, const struct question *q,
                       const struct sockaddr_in *to)
{
    const struct rule *r = find_rule(s, q);
    bool truncated =
        r->how == TRUNCATED || r->how == NO_TCP || r->how == HANG_UP;

    if (r->how == HOLD)
        hold(s, q, to);
    if (r->how == SILENT || r->how == HOLD)
        return;
    if (r->how == GARBAGE || r->how == FLOOD)
        noise(s, to, r->how == FLOOD ? FLOOD_PACKETS : 50);
    compose_reply(s, q, r, truncated);
    if (r->how == WRONG_ID)
        forge(s, to, 1);
    if (r->how == OTHER_NAME)
        forge(s, to, 13);
    sendto(s->udp, s->out, s->len, 0, (const void *)to, sizeof(*to));
}

static void pump_udp(struct dns_server *s)
{
    unsigned char in[1500];
    struct sockaddr_in from;
    struct question q;
    ssize_t n;

    for (;;) {
        socklen_t len = sizeof(from);
        n = recvfrom(s->udp, in, sizeof(in), MSG_DONTWAIT, (void *)&from, &len);
        if (n < 0)
            return;
        CHECK(parse_question(in, (size_t)n, &q));
        log_question(s, &q);
        answer_udp(s, &q, &from);
    }
}

static void close_conn(int *conn)
{
    close(*conn);
    *conn = -1;
}

/* Questions are small and come whole over loopback; several may be in one
 * segment. */
static void pump_conn(struct dns_server *s, int *conn)
{
    unsigned char in[2048];
    struct question q;
    ssize_t n = recv(*conn, in, sizeof(in), MSG_DONTWAIT);

    if (n == 0)
        close_conn(conn);
    for (ssize_t at = 0; at + 2 < n;) {
        ssize_t len = in[at] << 8 | in[at + 1];
        CHECK(at + 2 + len <= n);
        CHECK(parse_question(in + at + 2, (size_t)len, &q));
        at += 2 + len;
        q.tcp = true;
        log_question(s, &q);
        const struct rule *r = find_rule(s, &q);
        if (r->how == NO_TCP)
            continue;
        if (r->how == HANG_UP) {
            close_conn(conn);
            return;
        }
        compose_reply(s, &q, r, false);
        unsigned char head[2] = {(unsigned char)(s->len >> 8),
                                 (unsigned char)s->len};
        CHECK(send(*conn, head, 2, MSG_NOSIGNAL) == 2);
        CHECK(send(*conn, s->out, s->len, MSG_NOSIGNAL) == (ssize_t)s->len);
    }
}

static void pump_accept(struct dns_server *s)
{
    int fd = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC);

    for (int i = 0; fd >= 0 && i < DNS_SERVER_CONNS; i++) {
        if (s->conns[i] < 0) {
            s->conns[i] = fd;
            return;
        }
    }
    CHECK(fd < 0);
}

/* Answers what was held back. */
static inline void dns_server_release(struct dns_server *s)
{
    for (int i = 0; i < DNS_SERVER_HELD; i++) {
        struct held *h = &s->held[i];
        struct question q;
        if (!h->n || !parse_question(h->p, h->n, &q))
            continue;
        compose_reply(s, &q, find_rule(s, &q), false);
        sendto(s->udp, s->out, s->len, 0, (const void *)&h->from,
               sizeof(h->from));
        h->n = 0;
    }
}

/* Adds what it waits for to `list` from `n` on; returns the new number. */
static nfds_t dns_server_poll(const struct dns_server *s, struct pollfd *list,
                              nfds_t n)
{
    list[n++] = (struct pollfd){.fd = s->udp, .events = POLLIN};
    list[n++] = (struct pollfd){.fd = s->tcp, .events = POLLIN};
    for (int i = 0; i < DNS_SERVER_CONNS; i++)
        if (s->conns[i] >= 0)
            list[n++] = (struct pollfd){.fd = s->conns[i], .events = POLLIN};
    return n;
}

/* Does whatever there is to do. */
static void dns_server_pump(struct dns_server *s)
{
    pump_udp(s);
    pump_accept(s);
    for (int i = 0; i < DNS_SERVER_CONNS; i++)
        if (s->conns[i] >= 0)
            pump_conn(s, &s->conns[i]);
}

static bool bind_both(struct dns_server *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(s->tcp, (void *)&at, sizeof(at)) == 0 &&
        getsockname(s->tcp, (void *)&at, &len) == 0 &&
        bind(s->udp, (void *)&at, sizeof(at)) == 0 && listen(s->tcp, 8) == 0) {
        s->port = ntohs(at.sin_port);
        return true;
    }
    close(s->tcp);
    close(s->udp);
    return false;
}

static void dns_server_open(struct dns_server *s, const struct rule *rules)
{
    int left = 50;

    memset(s, 0, sizeof(*s));
    memset(s->conns, -1, sizeof(s->conns));
    s->rules = rules;
    s->ttl = 60;
    while (!bind_both(s))
        CHECK(--left > 0);
}

static void dns_server_close(struct dns_server *s)
{
    close(s->udp);
    close(s->tcp);
    for (int i = 0; i < DNS_SERVER_CONNS; i++)
        if (s->conns[i] >= 0)
            close_conn(&s->conns[i]);
}

/* How many logged questions read `text`. */
static unsigned dns_server_count(const struct dns_server *s, const char *text)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->asked; i++)
        n += strcmp(s->log[i], text) == 0;
    return n;
}

#endif
