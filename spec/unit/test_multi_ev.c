/* SPDX-License-Identifier: MIT
 *
 * multi_ev against a reference model: a naive list of who wants what of which
 * fd, from which what the host must know is added up afresh after every step.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/loop.h"
#include "schedules.h"
#include "unit.h"

#define SCHEDULES 10000
#define STEPS     40
#define SOCKETS   6
#define PARTIES   12
#define MAX_FD    256

enum event {
    EV_OPEN,
    EV_WANT,
    EV_DROP,
    EV_MOVE,
    EV_CLOSE,
    EV_REUSED_FD,
    EV_FLUSH,
    EV_DISPATCH,
    EV_WRONG_MASK,
    EV_STALE_FD,
    EV_SWAP_HOST,
    EV_NO_HOST,
    EV_CALLBACK_CHANGES,
    EV_CALLBACK_CLOSES,
    EV_QUEUED_EVENT,
    EV_GIVE,
    EV_COUNT
};

static const char *const event_names[EV_COUNT] = {"open",
                                                  "want",
                                                  "drop",
                                                  "move",
                                                  "close",
                                                  "fd used again",
                                                  "flush",
                                                  "dispatch",
                                                  "wrong mask",
                                                  "stale fd",
                                                  "host swapped",
                                                  "host removed",
                                                  "callback changes",
                                                  "callback closes",
                                                  "queued event",
                                                  "given to another owner"};

/* ---- the world --------------------------------------------------------- */

struct party {
    struct ms_interest interest;
    int sock; /* index, -1: none; the model's own record */
    unsigned want;
};

static struct {
    struct ms_loop loop;
    struct ms_sock *socks[SOCKETS]; /* NULL: closed */
    int fds[SOCKETS];
    struct party parties[PARTIES];
    int told[MAX_FD]; /* what the host knows: MS_POLL_*, 0 nothing */
    bool used[MAX_FD];
    unsigned ready_calls;
    int host; /* which host is installed, 0: none */
    bool in_callback, act_in_callback;
    unsigned random;
    unsigned long counts[EV_COUNT];
} w;

static unsigned any(unsigned n)
{
    w.random = w.random * 1103515245u + 12345u;
    return (w.random >> 16) % n;
}

static void note(enum event e)
{
    w.counts[e]++;
}

static void on_ready(struct ms_sock *s, unsigned events)
{
    (void)s;
    (void)events;
    w.ready_calls++;
}

static void on_ready_too(struct ms_sock *s, unsigned events)
{
    on_ready(s, events);
}

static int index_of(const struct ms_sock *s)
{
    for (int i = 0; i < SOCKETS; i++)
        if (w.socks[i] == s)
            return i;
    return -1;
}

/* ---- steps ------------------------------------------------------------- */

static void want(struct party *p, int sock, unsigned wish)
{
    ms_interest_set(&p->interest, w.socks[sock], wish);
    p->sock = sock;
    p->want = wish;
}

static void close_sock(int i)
{
    ms_sock_close(w.socks[i]);
    w.socks[i] = NULL;
    for (int k = 0; k < PARTIES; k++)
        if (w.parties[k].sock == i)
            w.parties[k].sock = -1;
}

static void change_something(void)
{
    int i = (int)any(SOCKETS);

    if (!w.socks[i])
        return;
    if (any(4) == 0) {
        note(EV_CALLBACK_CLOSES);
        close_sock(i);
        return;
    }
    note(EV_CALLBACK_CHANGES);
    want(&w.parties[any(PARTIES)], i, any(4));
}

static void announce(void *host, struct ms_sock *s, int what)
{
    int fd = s->fd;

    CHECK_THAT(host == &w.host, "the wrong host was told");
    CHECK_THAT(fcntl(fd, F_GETFD) >= 0, "fd %d was closed before", fd);
    CHECK(what >= MS_POLL_IN && what <= MS_POLL_REMOVE);
    int now = what == MS_POLL_REMOVE ? 0 : what;
    CHECK_THAT(w.told[fd] != now, "fd %d told %d twice", fd, what);
    w.told[fd] = now;
    if (!w.act_in_callback || w.in_callback)
        return;
    w.in_callback = true;
    change_something();
    w.in_callback = false;
}

static void open_sock(int i)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0 && fd < MAX_FD);
    if (w.used[fd])
        note(EV_REUSED_FD);
    w.used[fd] = true;
    CHECK_THAT(w.told[fd] == 0, "the host still knows fd %d", fd);
    CHECK(!ms_sock_open(&w.loop.ev, fd, on_ready, NULL, "test", &w.socks[i]));
    CHECK(w.socks[i]->value == NULL);
    w.fds[i] = fd;
}

static void dispatch(int fd)
{
    unsigned before = w.ready_calls;
    unsigned mask = any(8);
    struct ms_sock *s = ms_ev_find(&w.loop.ev, fd);

    note(EV_DISPATCH);
    if (s && (mask & ~ms_sock_wants(s)))
        note(EV_WRONG_MASK);
    if (!s)
        note(EV_STALE_FD);
    ms_loop_dispatch(&w.loop, fd, mask);
    if (w.loop.depth > 1 && s) {
        note(EV_QUEUED_EVENT);
        CHECK(w.ready_calls == before);
        ms_ev_run_queued(&w.loop.ev);
    }
    CHECK_THAT(w.ready_calls == before + (s != NULL), "fd %d mask %u", fd,
               mask);
}

static void install_host(bool none)
{
    bool silently = any(8) == 0;

    w.act_in_callback = false;
    ms_ev_set_host(&w.loop.ev, none ? NULL : announce, none ? NULL : &w.host,
                   silently);
    if (silently)
        memset(w.told, 0, sizeof(w.told));
    for (int fd = 0; fd < MAX_FD; fd++)
        CHECK_THAT(!w.told[fd], "the old host still watches fd %d", fd);
    w.host = !none;
}

static void step(void)
{
    int i = (int)any(SOCKETS);
    struct party *p = &w.parties[any(PARTIES)];

    switch (any(10)) {
    case 0:
        if (w.socks[i])
            break;
        note(EV_OPEN);
        open_sock(i);
        break;
    case 1:
        if (!w.socks[i] || any(3))
            break;
        note(EV_CLOSE);
        close_sock(i);
        break;
    case 2:
        note(EV_DROP);
        ms_interest_drop(&p->interest);
        p->sock = -1;
        break;
    case 3:
        dispatch(any(4) ? w.fds[i] : (int)any(MAX_FD * 2) - 10);
        break;
    case 4:
        if (any(6))
            break;
        note(any(2) ? EV_SWAP_HOST : EV_NO_HOST);
        install_host(any(2));
        break;
    case 5:
        if (!w.socks[i])
            break;
        note(EV_GIVE);
        ms_sock_give(w.socks[i], on_ready_too, NULL, "other");
        break;
    default:
        if (!w.socks[i])
            break;
        note(p->sock >= 0 && p->sock != i ? EV_MOVE : EV_WANT);
        want(p, i, any(4));
        break;
    }
}

/* ---- the model --------------------------------------------------------- */

static unsigned sum_of(int sock)
{
    unsigned sum = 0;

    for (int k = 0; k < PARTIES; k++)
        if (w.parties[k].sock == sock)
            sum |= w.parties[k].want;
    return sum;
}

static void compare(void)
{
    const char *wrong = ms_ev_check(&w.loop.ev);

    CHECK_THAT(!wrong, "%s", wrong);
    for (int i = 0; i < SOCKETS; i++) {
        if (!w.socks[i])
            continue;
        CHECK(index_of(w.socks[i]) == i);
        CHECK_THAT(ms_sock_wants(w.socks[i]) == sum_of(i),
                   "socket %d wants %u, the model says %u", i,
                   ms_sock_wants(w.socks[i]), sum_of(i));
    }
}

/* After a flush in which no callback changed anything, host and model agree
 * on every fd there is. */
static void compare_told(void)
{
    int expected[MAX_FD] = {0};

    for (int i = 0; i < SOCKETS; i++)
        if (w.socks[i] && w.host)
            expected[w.fds[i]] = (int)sum_of(i);
    for (int fd = 0; fd < MAX_FD; fd++)
        CHECK_THAT(w.told[fd] == expected[fd], "fd %d: told %d, expected %d",
                   fd, w.told[fd], expected[fd]);
}

static void flush(void)
{
    note(EV_FLUSH);
    w.act_in_callback = w.host && any(2) == 0;
    ms_ev_flush(&w.loop.ev);
    compare();
    w.act_in_callback = false;
    ms_ev_flush(&w.loop.ev);
    compare_told();
}

static void no_finish(void *engine)
{
    (void)engine;
}

static void run_schedule(unsigned seed)
{
    static const struct ms_loop_hooks hooks = {.finish = no_finish};
    unsigned long counts[EV_COUNT];

    memcpy(counts, w.counts, sizeof(counts));
    memset(&w, 0, sizeof(w));
    memcpy(w.counts, counts, sizeof(counts));
    w.random = seed;
    ms_loop_init(&w.loop, &hooks, NULL);
    for (int k = 0; k < PARTIES; k++) {
        ms_interest_init(&w.parties[k].interest, NULL);
        w.parties[k].sock = -1;
    }
    install_host(false);
    w.loop.depth = 1 + any(2); /* half of them inside a callback */
    for (int n = 0; n < STEPS; n++) {
        step();
        compare();
        if (any(4) == 0)
            flush();
    }
    for (int i = 0; i < SOCKETS; i++)
        if (w.socks[i])
            close_sock(i);
    flush();
    w.loop.depth = 0;
    ms_loop_fini(&w.loop);
}

TEST(the_host_knows_what_the_model_says)
{
    unsigned n = schedules_run("multi_ev", SCHEDULES, run_schedule);

    for (int e = 0; e < EV_COUNT; e++) {
        printf("  %-24s %lu\n", event_names[e], w.counts[e]);
        CHECK_THAT(n < SCHEDULES || w.counts[e] >= 100, "too few: %s",
                   event_names[e]);
    }
}
