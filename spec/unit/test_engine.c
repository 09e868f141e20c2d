/* SPDX-License-Identifier: MIT
 *
 * The whole engine against a server in the same process, in randomised
 * schedules: adds, removals, pauses, wrong masks, stale fds, callbacks that
 * do all of that. After every step ms_multi_check() walks the invariants and
 * a model of the host says whether it was told right.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "multisocket.h"
#include "schedules.h"
#include "unit.h"

#define SCHEDULES 10000
#define STEPS     24
#define EASIES    5
#define PEERS     24
#define MAX_FD    256

enum event {
    EV_ADD,
    EV_REMOVE,
    EV_PAUSE,
    EV_RESUME,
    EV_ACTION,
    EV_WRONG_MASK,
    EV_STALE_FD,
    EV_TIMEOUT,
    EV_PEER_CLOSE,
    EV_PEER_ANSWER,
    EV_PEER_PARTIAL,
    EV_DONE,
    EV_FAILED,
    EV_SWAP,
    EV_CALLBACK_ADD,
    EV_CALLBACK_REMOVE,
    EV_CALLBACK_PAUSE,
    EV_CALLBACK_ACTION,
    EV_FD_AGAIN,
    EV_IDLE_REUSE,
    EV_LIMITS,
    EV_HELD_UP,
    EV_COUNT
};

static const char *const event_names[EV_COUNT] = {"add",
                                                  "remove",
                                                  "pause",
                                                  "resume",
                                                  "socket action",
                                                  "wrong mask",
                                                  "stale fd",
                                                  "timeout action",
                                                  "peer closes",
                                                  "peer answers",
                                                  "peer answers in part",
                                                  "done",
                                                  "failed",
                                                  "callbacks swapped",
                                                  "callback adds",
                                                  "callback removes",
                                                  "callback pauses",
                                                  "callback acts",
                                                  "fd used again",
                                                  "connection used again",
                                                  "limits change",
                                                  "held up by a limit"};

static struct {
    int listener;
    unsigned short port;
    struct ms_multi *multi;
    struct ms_easy *easies[EASIES];
    int peers[PEERS];
    unsigned char sent[PEERS]; /* bytes of the current answer */
    int told[MAX_FD];
    bool known[MAX_FD];
    int64_t timer; /* what the host was told, -1 none */
    bool closed, in_callback;
    unsigned random;
    unsigned long counts[EV_COUNT];
} w;

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

static unsigned any(unsigned n)
{
    w.random = w.random * 1103515245u + 12345u;
    return (w.random >> 16) % n;
}

static void note(enum event e)
{
    w.counts[e]++;
}

/* ---- what callbacks do ------------------------------------------------- */

static void add(struct ms_easy *e)
{
    bool in_it = ms_easy_multi(e) != NULL;
    ms_err err = ms_multi_add(w.multi, e);

    CHECK(err == (w.closed ? MS_ECLOSED : in_it ? MS_EADDED : MS_OK));
}

static void from_callback(void)
{
    struct ms_easy *e = w.easies[any(EASIES)];

    if (w.in_callback)
        return;
    w.in_callback = true;
    switch (any(12)) {
    case 0:
        note(EV_CALLBACK_ADD);
        add(e);
        break;
    case 1:
        note(EV_CALLBACK_REMOVE);
        CHECK(!ms_multi_remove(w.multi, e));
        break;
    case 2:
        note(EV_CALLBACK_PAUSE);
        ms_easy_pause(e, any(2) ? MS_PAUSE_RECV : MS_PAUSE_CONT);
        break;
    case 3:
        note(EV_CALLBACK_ACTION);
        ms_multi_socket_action(w.multi, (int)any(MAX_FD) - 1, any(8));
        break;
    default:
        break;
    }
    w.in_callback = false;
}

static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    (void)easy;
    (void)value;
    CHECK(user == &w);
    CHECK(fd >= 0 && fd < MAX_FD);
    CHECK_THAT(fcntl(fd, F_GETFD) >= 0, "fd %d was closed before", fd);
    int now = what == MS_POLL_REMOVE ? 0 : what;
    CHECK_THAT(w.told[fd] != now, "fd %d told %d twice", fd, what);
    if (now && !w.told[fd]) {
        if (w.known[fd])
            note(EV_FD_AGAIN);
        w.known[fd] = true;
    }
    w.told[fd] = now;
    from_callback();
    return true;
}

static bool on_timer(struct ms_multi *m, int64_t ms, void *user)
{
    (void)user;
    CHECK(m == w.multi && ms >= -1);
    CHECK_THAT(ms != -1 || w.timer != -1, "no timer was told twice");
    w.timer = ms;
    from_callback();
    return true;
}

static void on_done(struct ms_multi *m, struct ms_easy *e, void *user)
{
    (void)m;
    (void)user;
    note(ms_easy_error(e)->err ? EV_FAILED : EV_DONE);
    if (ms_response_reused(ms_easy_response(e)))
        note(EV_IDLE_REUSE);
    from_callback();
}

static enum ms_verdict on_data(struct ms_easy *e, const char *p, size_t n,
                               void *user)
{
    (void)p;
    (void)user;
    CHECK(n > 0 && n <= 5);
    CHECK(ms_easy_running(e));
    from_callback();
    if (any(8) || !ms_easy_running(e))
        return MS_GO_ON;
    note(EV_PAUSE);
    return MS_PAUSE;
}

/* ---- the server -------------------------------------------------------- */

static void listen_somewhere(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    w.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(w.listener >= 0);
    CHECK(!bind(w.listener, (struct sockaddr *)&a, sizeof(a)));
    CHECK(!listen(w.listener, 64));
    CHECK(!getsockname(w.listener, (struct sockaddr *)&a, &n));
    w.port = ntohs(a.sin_port);
}

static void accept_all(void)
{
    int on = 1;

    for (int i = 0; i < PEERS; i++) {
        if (w.peers[i] >= 0)
            continue;
        w.peers[i] =
            accept4(w.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        w.sent[i] = 0;
        if (w.peers[i] < 0)
            return;
        /* Answers in parts must not wait for acknowledgements. */
        setsockopt(w.peers[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
}

static void close_peer(int i)
{
    struct linger hard = {1, 0};

    note(EV_PEER_CLOSE);
    if (any(3) == 0) /* a reset */
        setsockopt(w.peers[i], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    close(w.peers[i]);
    w.peers[i] = -1;
}

/* Answers what was asked, at once or a part at a time. */
static void serve(int i)
{
    char request[4096];
    ssize_t n = recv(w.peers[i], request, sizeof(request), 0);

    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        close(w.peers[i]);
        w.peers[i] = -1;
        return;
    }
    if (n < 0 && !w.sent[i])
        return;
    size_t left = sizeof(answer) - 1 - w.sent[i];
    size_t part = any(3) ? left : 1 + any((unsigned)left);
    note(part == left ? EV_PEER_ANSWER : EV_PEER_PARTIAL);
    if (send(w.peers[i], answer + w.sent[i], part, MSG_NOSIGNAL) > 0)
        w.sent[i] = (unsigned char)(part == left ? 0 : w.sent[i] + part);
}

/* ---- steps ------------------------------------------------------------- */

static void act(int fd, unsigned mask)
{
    int running = ms_multi_socket_action(w.multi, fd, mask);

    CHECK(running == ms_multi_running(w.multi));
    CHECK(running >= 0 && running <= EASIES);
}

/* Reports what poll() says of the sockets the host watches. */
static void report_ready(void)
{
    for (int fd = 0; fd < MAX_FD; fd++) {
        struct pollfd p = {fd, 0, 0};
        if (!w.told[fd])
            continue;
        p.events = (short)((w.told[fd] & MS_POLL_IN ? POLLIN : 0) |
                           (w.told[fd] & MS_POLL_OUT ? POLLOUT : 0));
        if (poll(&p, 1, 0) <= 0)
            continue;
        note(EV_ACTION);
        act(fd, (p.revents & POLLIN ? MS_CSELECT_IN : 0u) |
                    (p.revents & POLLOUT ? MS_CSELECT_OUT : 0u) |
                    (p.revents & (POLLERR | POLLHUP) ? MS_CSELECT_ERR : 0u));
    }
}

static void check(void)
{
    const char *wrong = ms_multi_check(w.multi);
    struct ms_stats stats;

    CHECK_THAT(!wrong, "%s", wrong);
    ms_multi_stats(w.multi, &stats);
    w.counts[EV_HELD_UP] += stats.waiting > 0;
}

/* One to four, or none. */
static void change_limits(void)
{
    unsigned all = any(5), host = any(5);

    note(EV_LIMITS);
    ms_err err = ms_multi_set(w.multi, MS_MULTI_MAX_CONNECTIONS,
                              all ? (int64_t)all : -1);
    CHECK(err == (w.closed ? MS_EOPTION : MS_OK));
    err = ms_multi_set(w.multi, MS_MULTI_MAX_CONNECTIONS_PER_HOST,
                       host ? (int64_t)host : -1);
    CHECK(err == (w.closed ? MS_EOPTION : MS_OK));
}

static void swap_callbacks(void)
{
    note(EV_SWAP);
    ms_multi_on_socket(w.multi, NULL, NULL);
    for (int fd = 0; fd < MAX_FD; fd++)
        CHECK_THAT(!w.told[fd], "fd %d is still watched", fd);
    ms_multi_on_socket(w.multi, on_socket, &w);
}

static void step(void)
{
    struct ms_easy *e = w.easies[any(EASIES)];
    int fd = (int)any(MAX_FD), i = (int)any(PEERS);
    struct ms_message message;

    switch (any(12)) {
    case 0:
    case 1:
        note(EV_ADD);
        add(e);
        break;
    case 2:
        note(EV_REMOVE);
        CHECK(!ms_multi_remove(w.multi, e));
        break;
    case 3:
        note(EV_PAUSE);
        ms_easy_pause(e, MS_PAUSE_RECV);
        break;
    case 4:
        note(EV_RESUME);
        ms_easy_pause(e, MS_PAUSE_CONT);
        break;
    case 5:
        note(w.told[fd] ? EV_WRONG_MASK : EV_STALE_FD);
        act(fd, any(8));
        for (fd = 0; fd < MAX_FD && !w.told[fd]; fd++)
            ;
        if (fd == MAX_FD)
            break;
        note(EV_WRONG_MASK);
        act(fd, any(8));
        break;
    case 6:
        note(EV_TIMEOUT);
        w.timer = -1;
        act(MS_SOCKET_TIMEOUT, 0);
        break;
    case 7:
        accept_all();
        if (w.peers[i] >= 0 && any(3) == 0)
            close_peer(i);
        break;
    case 8:
        if (any(4) == 0)
            swap_callbacks();
        if (any(2) == 0)
            change_limits();
        while (ms_multi_info_read(w.multi, &message))
            CHECK(!ms_multi_remove(w.multi, message.easy));
        break;
    default:
        accept_all();
        for (i = 0; i < PEERS; i++)
            if (w.peers[i] >= 0)
                serve(i);
        report_ready();
        break;
    }
}

/* ---- a schedule -------------------------------------------------------- */

/* Two make another endpoint, which competes for connections; and one takes
 * none that was used. */
static void set_options(struct ms_easy *e, int i)
{
    struct ms_options *o;

    CHECK(!ms_options_new(&o, NULL));
    CHECK(!ms_options_set_bool(o, MS_OPT_TCP_NODELAY, i < 3));
    CHECK(!ms_options_set_bool(o, MS_OPT_FRESH_CONNECTION, i == 2));
    ms_easy_set_options(e, o);
    ms_options_free(o);
}

static void begin(unsigned seed)
{
    char url[64];

    w.random = seed;
    w.timer = -1;
    w.closed = false;
    memset(w.told, 0, sizeof(w.told));
    memset(w.known, 0, sizeof(w.known));
    for (int i = 0; i < PEERS; i++)
        w.peers[i] = -1;
    CHECK(!ms_multi_new(&w.multi));
    if (any(2))
        change_limits();
    ms_multi_on_socket(w.multi, on_socket, &w);
    ms_multi_on_timer(w.multi, on_timer, &w);
    ms_multi_on_done(w.multi, on_done, &w);
    int n = snprintf(url, sizeof(url), "http://127.0.0.1:%u/", w.port);
    for (int i = 0; i < EASIES; i++) {
        CHECK(!ms_easy_new(&w.easies[i]));
        CHECK(!ms_easy_set_url(w.easies[i], url, (size_t)n));
        if (i % 2)
            ms_easy_on_data(w.easies[i], on_data, NULL);
        set_options(w.easies[i], i);
    }
}

/* Everything that runs is let run to its end, with no callback interfering:
 * nothing may be lost. */
static void settle(void)
{
    w.in_callback = true;
    for (int turn = 0; ms_multi_running(w.multi); turn++) {
        CHECK_THAT(turn < 2000, "%d transfers hang", ms_multi_running(w.multi));
        for (int i = 0; i < EASIES; i++)
            ms_easy_pause(w.easies[i], MS_PAUSE_CONT);
        accept_all();
        for (int i = 0; i < PEERS; i++)
            if (w.peers[i] >= 0)
                serve(i);
        report_ready();
        if (w.timer == 0) {
            w.timer = -1;
            act(MS_SOCKET_TIMEOUT, 0);
        }
        check();
        if (turn > 50) /* the kernel takes its time */
            poll(NULL, 0, 1);
    }
    w.in_callback = false;
}

static void end(void)
{
    bool close_first = any(2);

    if (close_first) {
        w.closed = true;
        ms_multi_close(w.multi);
        for (int fd = 0; fd < MAX_FD; fd++)
            CHECK_THAT(!w.told[fd], "fd %d is watched after the close", fd);
        CHECK(ms_multi_running(w.multi) == 0);
    }
    ms_multi_free(w.multi);
    for (int i = 0; i < EASIES; i++) {
        CHECK(!ms_easy_multi(w.easies[i]));
        ms_easy_close(w.easies[i]);
    }
    for (int i = 0; i < PEERS; i++)
        if (w.peers[i] >= 0)
            close(w.peers[i]);
}

static void run_schedule(unsigned seed)
{
    int before = schedules_open_fds(MAX_FD);

    begin(seed);
    for (int n = 0; n < STEPS; n++) {
        step();
        check();
    }
    if (any(2))
        settle();
    end();
    CHECK_THAT(schedules_open_fds(MAX_FD) == before,
               "a descriptor is left open");
    /* What the server never accepted is not in the next schedule's way. */
    for (int fd; (fd = accept(w.listener, NULL, NULL)) >= 0;)
        close(fd);
}

TEST(the_engine_keeps_its_invariants_in_any_order_of_events)
{
    memset(w.counts, 0, sizeof(w.counts));
    listen_somewhere();
    unsigned n = schedules_run("engine", SCHEDULES, run_schedule);
    close(w.listener);
    for (int e = 0; e < EV_COUNT; e++) {
        printf("  %-24s %lu\n", event_names[e], w.counts[e]);
        CHECK_THAT(n < SCHEDULES || w.counts[e] >= 100, "too few: %s",
                   event_names[e]);
    }
}
