/* SPDX-License-Identifier: MIT
 *
 * dial_world.h - a resolve_world.h with peers on loopback and parties who
 * dial them.
 *
 * The clock stands still unless a test moves it, so an attempt that must wait
 * for its delay cannot start early, and one that must not wait cannot start
 * late.
 */
#ifndef MS_SPEC_DIAL_WORLD_H
#define MS_SPEC_DIAL_WORLD_H

#include <errno.h>

#include "base/mem.h"
#include "net/dial.h"
#include "net/dial_report.h"
#include "resolve_world.h"

/* ---- peers --------------------------------------------------------------- */

#define MAX_PEERS 40

/* What is at the addresses; all of them on one port. */
static struct {
    uint16_t port;
    int fds[MAX_PEERS];
    unsigned count;
} peers;

static struct ms_addr peer_addr(const char *text)
{
    struct ms_addr a;

    CHECK(ms_addr_parse(ms_span_text(text), &a));
    ms_addr_set_port(&a, peers.port);
    return a;
}

static int keep(int fd)
{
    CHECK(fd >= 0 && peers.count < MAX_PEERS);
    return peers.fds[peers.count++] = fd;
}

static int tcp_socket(const struct ms_addr *a)
{
    return socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  0);
}

/* A port that nobody has, at no address: what is not given a peer refuses. */
static void open_peers(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    socklen_t len = sizeof(any);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && bind(fd, (void *)&any, sizeof(any)) == 0);
    CHECK(getsockname(fd, (void *)&any, &len) == 0);
    close(fd);
    memset(&peers, 0, sizeof(peers));
    peers.port = ntohs(any.sin6_port);
}

static void close_peers(void)
{
    while (peers.count)
        close(peers.fds[--peers.count]);
}

static void listen_at(const char *text, int backlog)
{
    struct ms_addr a = peer_addr(text);
    int fd = keep(tcp_socket(&a)), on = 1;

    CHECK(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
    CHECK(bind(fd, &a.any, ms_addr_len(&a)) == 0 && listen(fd, backlog) == 0);
}

/* Lets no connection through and refuses none: its queue is full. */
static void black_hole_at(const char *text)
{
    struct ms_addr a = peer_addr(text);

    listen_at(text, 0);
    for (int i = 0; i < 2; i++)
        (void)!connect(keep(tcp_socket(&a)), &a.any, ms_addr_len(&a));
}

/* ---- dials --------------------------------------------------------------- */

struct party {
    struct ms_dial *dial;
    unsigned resolved, connected, failed;
    struct ms_sock *sock;
    struct ms_addr addr;
    ms_err err;
    int os_errno;
};

static struct ms_dial_history history;

static void on_resolved(void *owner)
{
    ((struct party *)owner)->resolved++;
}

static void nothing(struct ms_sock *s, unsigned events)
{
    (void)s;
    (void)events;
}

static void on_connected(void *owner, struct ms_sock *sock,
                         const struct ms_addr *addr)
{
    struct party *p = owner;

    p->connected++;
    p->sock = sock;
    p->addr = *addr;
    ms_sock_give(sock, nothing, p, "connection");
}

static void on_failed(void *owner, ms_err err, int os_errno)
{
    struct party *p = owner;

    p->failed++;
    p->err = err;
    p->os_errno = os_errno;
}

static struct ms_route *route; /* of the next dials; NULL: the default one */

static void dial(struct party *p, const char *host)
{
    struct ms_dial_config c = {
        .host = ms_span_text(host),
        .port = peers.port,
        .history = &history,
        .route = route,
        .on_resolved = on_resolved,
        .on_connected = on_connected,
        .on_failed = on_failed,
        .owner = p,
    };

    *p = (struct party){0};
    enter();
    CHECK(ms_dial_start(&p->dial, &w.loop, w.resolver, &c) == MS_OK);
    leave();
}

static void hang_up(struct party *p)
{
    CHECK(p->connected + p->failed <= 1);
    enter();
    ms_dial_free(p->dial);
    if (p->sock)
        ms_sock_close(p->sock);
    leave();
}

static void open_dials(const struct rule *rules, const char *hosts)
{
    open_world(rules, &(struct setting){.hosts = hosts, .cache_ms = -1});
    stop_the_clock();
    ms_dial_history_init(&history);
    open_peers();
}

static void close_dials(void)
{
    ms_dial_history_fini(&history);
    close_peers();
    close_world();
}

static bool is_attempt(int fd)
{
    const struct ms_sock *s = ms_ev_find(&w.loop.ev, fd);

    return s && strcmp(s->role, "attempt") == 0;
}

static unsigned in_flight(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < MAX_FDS; fd++)
        n += is_attempt(fd);
    return n;
}

/* What comes on loopback without time passing has come after these. */
static void settle(void)
{
    for (int i = 0; i < 5; i++)
        turn(true);
}

/* Whether `p` tried exactly these, in that order: the text without ports and
 * errors. */
static bool tried(const struct party *p, const char *expected)
{
    char text[MS_REPORT_TEXT], got[MS_REPORT_TEXT] = "", port[16], *at, *end;

    snprintf(port, sizeof(port), ":%u", peers.port);
    ms_dial_tried(p->dial, text);
    for (at = text; (end = strstr(at, port)); at = end) {
        strcat(got, got[0] ? " " : "");
        strncat(got, at, (size_t)(end - at));
        end += strcspn(end, ",");
        end += *end ? 2 : 0;
    }
    CHECK_THAT(strcmp(got, expected) == 0, "%s instead of %s", got, expected);
    return true;
}

#endif
