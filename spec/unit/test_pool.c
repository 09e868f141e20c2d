/* SPDX-License-Identifier: MIT
 *
 * Who gets which connection: the pool alone, with waiters of the test's and
 * real sockets to a listener in this process that answers nothing. The clock
 * is the test's.
 */
#include "engine/pool.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#define WAITERS 8
#define MAX_FD  256
#define SECOND  UINT64_C(1000000)

struct guest {
    struct ms_waiter waiter;
    struct ms_conn *conn; /* what it was given */
    ms_err err;           /* or why not */
    enum ms_phase phase;
    int order; /* counts who was served when, 0: not yet */
};

static struct {
    struct ms_loop loop;
    struct ms_pool pool;
    struct guest guests[WAITERS];
    int listener, served;
    unsigned short port;
    unsigned char watched[MAX_FD];
    uint64_t now;
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

static void on_conn(struct ms_waiter *waiter, struct ms_conn *c)
{
    struct guest *g = guest_of(waiter);

    CHECK(!g->conn && !g->err);
    g->conn = c;
    g->order = ++w.served;
}

static void on_fail(struct ms_waiter *waiter, const struct ms_conn_end *how,
                    enum ms_phase phase)
{
    struct guest *g = guest_of(waiter);

    CHECK(!g->conn && !g->err && how->err);
    g->err = how->err;
    g->phase = phase;
}

/* Guests open no stream on what they are given, which only this test does; so
 * everything adds up while nobody holds a connection. */
static void check(void)
{
    for (int i = 0; i < WAITERS; i++)
        if (w.guests[i].conn)
            return;
    const char *wrong = ms_pool_check(&w.pool);
    CHECK_THAT(!wrong, "%s", wrong);
}

static void listen_somewhere(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    w.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(w.listener >= 0);
    CHECK(!bind(w.listener, (struct sockaddr *)&a, sizeof(a)));
    CHECK(!listen(w.listener, 64));
    CHECK(!getsockname(w.listener, (struct sockaddr *)&a, &n));
    w.port = ntohs(a.sin_port);
}

static void begin(void)
{
    static const struct ms_loop_hooks hooks = {finish, NULL};

    memset(&w, 0, sizeof(w));
    w.now = SECOND;
    ms_loop_init(&w.loop, &hooks, &w);
    w.loop.clock = test_clock;
    ms_loop_touch(&w.loop);
    ms_ev_set_host(&w.loop.ev, announce, NULL, false);
    CHECK(!ms_pool_init(&w.pool, &w.loop));
    listen_somewhere();
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
        .connect_timeout_ms = -1,
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

static void ask(int i)
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
    struct ms_conn *c = w.guests[i].conn;

    w.guests[i].conn = NULL;
    ms_loop_enter(&w.loop);
    c->exchanges++;
    ms_pool_release(c);
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

/* ------------------------------------------------------------------------ */

TEST(the_latest_used_connection_comes_first)
{
    begin();
    for (int i = 0; i < 3; i++) {
        ask(i);
        wait_for(i);
    }
    struct ms_conn *last = w.guests[1].conn;
    give_back(0);
    give_back(2);
    give_back(1);
    CHECK(w.pool.idle == 3 && w.pool.opened == 3);
    ask(3);
    CHECK(w.guests[3].conn == last);
    CHECK(w.pool.reused == 1 && w.pool.idle == 2);
    give_back(3);
    end();
}

TEST(connections_are_for_their_endpoint_only)
{
    begin();
    ask(0);
    wait_for(0);
    give_back(0);
    ask_of(1, "127.0.0.2", w.port, false);
    CHECK(!w.guests[1].conn);
    wait_for(1);
    CHECK(w.guests[1].err == MS_EREFUSED); /* the listener is on .1 */
    CHECK(w.guests[1].phase == MS_PHASE_CONNECT);
    CHECK(w.pool.idle == 1);
    end();
}

TEST(one_that_wants_a_fresh_connection_gets_no_used_one)
{
    begin();
    ask(0);
    wait_for(0);
    give_back(0);
    ask_of(1, "127.0.0.1", w.port, true);
    CHECK(!w.guests[1].conn);
    wait_for(1);
    CHECK(w.guests[1].conn && w.guests[1].conn->exchanges == 0);
    give_back(1);
    end();
}

TEST(who_waits_longest_is_served_first)
{
    begin();
    ask(0);
    wait_for(0);
    for (int i = 1; i < 4; i++)
        ask(i);
    CHECK(w.pool.waiting == 3);
    struct ms_conn *used = w.guests[0].conn;
    give_back(0); /* before any attempt of theirs is through */
    CHECK(w.guests[1].conn == used);
    for (int i = 2; i < 4; i++)
        wait_for(i);
    CHECK(w.guests[1].order < w.guests[2].order);
    CHECK(w.guests[1].order < w.guests[3].order);
    for (int i = 1; i < 4; i++)
        give_back(i);
    end();
}

TEST(an_attempt_that_lost_its_waiter_serves_the_next)
{
    begin();
    ask(0);
    wait_for(0);
    ask(1);
    give_back(0); /* 1 has that one now; its attempt is spare */
    CHECK(w.guests[1].conn && w.pool.connecting == 1);
    ask(2);
    CHECK(w.pool.connecting == 1 && w.pool.conns == 2);
    wait_for(2);
    CHECK(w.pool.opened == 2);
    give_back(1);
    give_back(2);
    end();
}

TEST(a_cancelled_waiter_ends_its_attempt_unless_another_waits)
{
    begin();
    ask(0);
    CHECK(w.pool.connecting == 1);
    cancel(0);
    CHECK(w.pool.connecting == 0 && w.pool.conns == 0);
    ask(0);
    ask(1);
    CHECK(w.pool.connecting == 2);
    cancel(1);
    CHECK(w.pool.connecting == 1);
    wait_for(0);
    CHECK(w.guests[0].conn && !w.guests[1].conn);
    cancel(0); /* it waits no more: nothing happens */
    give_back(0);
    end();
}

TEST(idle_connections_end_after_their_time)
{
    begin();
    w.pool.idle_timeout_ms = 10000;
    for (int i = 0; i < 2; i++) {
        ask(i);
        wait_for(i);
    }
    give_back(0);
    pass_time(4 * SECOND);
    give_back(1);
    pass_time(5 * SECOND);
    CHECK(w.pool.idle == 2);
    pass_time(2 * SECOND);
    CHECK(w.pool.idle == 1 && w.pool.closed == 1);
    pass_time(4 * SECOND);
    CHECK(w.pool.idle == 0 && w.pool.closed == 2);
    CHECK(ms_loop_deadline(&w.loop) == MS_NEVER);
    end();
}

TEST(the_oldest_go_when_there_are_too_many)
{
    begin();
    w.pool.max_idle = 2;
    for (int i = 0; i < 3; i++) {
        ask(i);
        wait_for(i);
    }
    struct ms_conn *newest = w.guests[2].conn;
    for (int i = 0; i < 3; i++)
        give_back(i);
    CHECK(w.pool.idle == 2 && w.pool.closed == 1);
    w.pool.max_idle = 1;
    ms_loop_enter(&w.loop);
    ms_pool_trim(&w.pool);
    ms_loop_leave(&w.loop);
    check();
    CHECK(w.pool.idle == 1);
    ask(3);
    CHECK(w.guests[3].conn == newest);
    w.pool.max_idle = 0;
    give_back(3);
    CHECK(w.pool.conns == 0);
    end();
}

TEST(an_idle_connection_that_the_peer_closes_is_gone)
{
    begin();
    ask(0);
    wait_for(0);
    int peer = accept(w.listener, NULL, NULL);
    CHECK(peer >= 0);
    give_back(0);
    close(peer);
    for (int n = 0; w.pool.idle && n < 5000; n++) {
        turn();
        poll(NULL, 0, 1);
    }
    CHECK(w.pool.idle == 0 && w.pool.conns == 0);
    end();
}

/* What the host has not told of yet; the clock stands still meanwhile. */
static void nobody_gets_what(void (*happened)(int peer))
{
    begin();
    ask(0);
    wait_for(0);
    int peer = accept(w.listener, NULL, NULL);
    struct pollfd p = {w.guests[0].conn->link.sock->fd, POLLIN, 0};
    give_back(0);
    happened(peer);
    CHECK(poll(&p, 1, 5000) == 1);
    ask(1);
    CHECK(!w.guests[1].conn && w.pool.idle == 0 && w.pool.conns == 1);
    wait_for(1);
    CHECK(w.pool.opened == 2 && w.pool.reused == 0);
    give_back(1);
    close(peer);
    end();
}

static void closed(int peer)
{
    CHECK(!shutdown(peer, SHUT_WR));
}

static void spoke(int peer)
{
    CHECK(send(peer, "HTTP/1.1 408 Late\r\n\r\n", 21, 0) == 21);
}

TEST(an_idle_connection_is_looked_at_before_it_is_used)
{
    nobody_gets_what(closed);
    nobody_gets_what(spoke);
}
