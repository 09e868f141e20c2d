/* SPDX-License-Identifier: MIT
 *
 * pool_world.h - the pool alone, with waiters of the test's and real sockets
 * to a listener in this process that answers nothing. The clock is the test's.
 *
 * Guests open no stream on what they are given. So that everything adds up all
 * the same, a connection looks as if it had one while a guest holds it.
 */
#ifndef MS_SPEC_POOL_WORLD_H
#define MS_SPEC_POOL_WORLD_H

#include "engine/pool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#ifndef WAITERS
#define WAITERS 8
#endif
#define MAX_FD 256
#define SECOND UINT64_C(1000000)

struct guest {
    struct ms_waiter waiter;
    struct ms_stream stream; /* on the connection it holds */
    struct ms_conn *conn;    /* what it was given */
    ms_err err;              /* or why not */
    enum ms_phase phase;
    int order; /* counts who was served when, 0: not yet */
};

static struct {
    struct ms_loop loop;
    struct ms_pool pool;
    struct guest guests[WAITERS];
    struct ms_session_ops ops; /* that believe what streams says */
    int listener, served;
    unsigned short port;
    unsigned char watched[MAX_FD];
    uint64_t now;
    int64_t connect_timeout_ms;
} w;

static uint64_t test_clock(void)
{
    return w.now;
}

static void finish(void *engine)
{
    (void)engine;
}

static void announce(void *host, struct ms_sock *s, int what)
{
    (void)host;
    CHECK(s->fd < MAX_FD);
    w.watched[s->fd] = (unsigned char)(what == MS_POLL_REMOVE ? 0 : what);
}

static struct guest *guest_of(struct ms_waiter *waiter)
{
    return MS_CONTAINER(waiter, struct guest, waiter);
}

static size_t room(const struct ms_session *s)
{
    return s->streams == 0;
}

static void on_conn(struct ms_waiter *waiter, struct ms_conn *c)
{
    struct guest *g = guest_of(waiter);

    CHECK(!g->conn && !g->err);
    CHECK(c->state == MS_CONN_OPEN && !c->session->streams);
    g->conn = c;
    g->order = ++w.served;
    if (!w.ops.room)
        w.ops = *c->session->ops;
    w.ops.room = room;
    c->session->ops = &w.ops;
    c->stream = &g->stream;
    g->stream.session = c->session;
    c->session->streams = 1;
}

/* The connection is free again. */
static struct ms_conn *let_go(int i)
{
    struct ms_conn *c = w.guests[i].conn;

    CHECK(c && c->stream == &w.guests[i].stream);
    w.guests[i].conn = NULL;
    c->stream->session = NULL;
    c->stream = NULL;
    c->session->streams = 0;
    c->exchanges++;
    return c;
}

static void on_fail(struct ms_waiter *waiter, const struct ms_conn_end *how,
                    enum ms_phase phase)
{
    struct guest *g = guest_of(waiter);

    CHECK(!g->conn && !g->err && how->err);
    g->err = how->err;
    g->phase = phase;
}

static void check(void)
{
    const char *wrong = ms_pool_check(&w.pool);
    CHECK_THAT(!wrong, "%s", wrong);
}

static inline int listen_at(unsigned short *port, int backlog)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
    CHECK(!listen(fd, backlog));
    CHECK(!getsockname(fd, (struct sockaddr *)&a, &n));
    *port = ntohs(a.sin_port);
    return fd;
}

static void begin(void)
{
    static const struct ms_loop_hooks hooks = {finish, NULL};

    memset(&w, 0, sizeof(w));
    w.now = SECOND;
    w.connect_timeout_ms = -1;
    ms_loop_init(&w.loop, &hooks, &w);
    w.loop.clock = test_clock;
    ms_loop_touch(&w.loop);
    ms_ev_set_host(&w.loop.ev, announce, NULL, false);
    CHECK(!ms_pool_init(&w.pool, &w.loop));
    w.listener = listen_at(&w.port, 64);
    for (int i = 0; i < WAITERS; i++) {
        ms_waiter_init(&w.guests[i].waiter);
        w.guests[i].waiter.on_conn = on_conn;
        w.guests[i].waiter.on_fail = on_fail;
    }
}

static void end(void)
{
    ms_loop_enter(&w.loop);
    ms_pool_close(&w.pool);
    ms_loop_leave(&w.loop);
    ms_loop_fini(&w.loop);
    ms_pool_fini(&w.pool);
    close(w.listener);
}

static void ask_of(int i, const char *host, unsigned short port, bool fresh)
{
    struct ms_pool_wish wish = {
        .key = {.host = ms_span_text(host), .port = port, .tcp_nodelay = true},
        .connect_timeout_ms = w.connect_timeout_ms,
        .fresh = fresh,
    };

    w.guests[i].conn = NULL;
    w.guests[i].err = MS_OK;
    w.guests[i].order = 0;
    ms_loop_enter(&w.loop);
    CHECK(!ms_pool_get(&w.pool, &w.guests[i].waiter, &wish));
    ms_loop_leave(&w.loop);
    check();
}

static inline void ask(int i)
{
    ask_of(i, "127.0.0.1", w.port, false);
}

/* One look at every socket. */
static void turn(void)
{
    for (int fd = 0; fd < MAX_FD; fd++) {
        struct pollfd p = {fd, 0, 0};
        if (!w.watched[fd])
            continue;
        p.events = (short)((w.watched[fd] & MS_POLL_IN ? POLLIN : 0) |
                           (w.watched[fd] & MS_POLL_OUT ? POLLOUT : 0));
        if (poll(&p, 1, 0) <= 0)
            continue;
        ms_loop_enter(&w.loop);
        ms_loop_dispatch(&w.loop, fd, 0);
        ms_loop_leave(&w.loop);
        check();
    }
}

static void wait_for(int i)
{
    for (int n = 0; !w.guests[i].conn && !w.guests[i].err; n++) {
        CHECK_THAT(n < 5000, "guest %d waits for ever", i);
        turn();
        if (n > 10)
            poll(NULL, 0, 1); /* the kernel takes its time */
    }
}

static void give_back(int i)
{
    ms_loop_enter(&w.loop);
    struct ms_conn *c = let_go(i);
    if (ms_conn_room(c))
        ms_pool_release(c);
    else
        ms_conn_close(c, MS_OK, 0); /* as a connection does by itself */
    ms_loop_leave(&w.loop);
    check();
}

/* What it holds breaks. */
static inline void lose(int i)
{
    ms_loop_enter(&w.loop);
    ms_conn_close(let_go(i), MS_ERESET, 0);
    ms_loop_leave(&w.loop);
    check();
}

static void cancel(int i)
{
    ms_loop_enter(&w.loop);
    ms_pool_cancel(&w.pool, &w.guests[i].waiter);
    ms_loop_leave(&w.loop);
    check();
}

static void pass_time(uint64_t us)
{
    w.now += us;
    ms_loop_enter(&w.loop);
    ms_loop_woken(&w.loop);
    ms_loop_leave(&w.loop);
    check();
}

#endif
