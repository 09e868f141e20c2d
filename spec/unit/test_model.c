/* SPDX-License-Identifier: MIT
 *
 * The engine in random schedules, driven in every way a host may: adds,
 * removals, pauses in both directions, uploads, wrong masks, stale fds,
 * callbacks that do all of that, that are swapped or that fail, connections in
 * shutdown, over h1 and HTTP/2, plain and TLS (model_server.h).
 *
 * After every step ms_multi_check() walks the invariants, a model of the host
 * says whether it was told right, and every body is compared byte by byte.
 *
 * SEED=n begins at another place, SCHEDULES=n makes more or fewer: `make
 * model` 10,000 for each way of driving, and wants a hundred of every event.
 */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include "model_server.h"
#include "multisocket.h"
#include "schedules.h"

#define SCHEDULES 250
#define ENOUGH    10000 /* schedules from which on all events are counted */
#define STEPS     32
#define EASIES    6
#define MAX_FD    512
#define UPLOAD    3000
#define PATIENCE  4000 /* turns, most of them of a millisecond */

/* How the host drives. */
enum way {
    BY_ACTION,  /* each event by itself, as poll(2) tells them */
    BY_ACTIONS, /* all events of a turn at once */
    BY_EDGE,    /* an epoll set that tells of a readiness once */
    BY_PERFORM, /* perform and poll, callbacks only looked at */
    BY_TURNS    /* all of them by turns, callbacks on and off */
};

#define EVENTS(X)                                                              \
    X(ADD, "add")                                                              \
    X(REMOVE, "remove")                                                        \
    X(PAUSE_RECV, "receiving is paused")                                       \
    X(PAUSE_SEND, "sending is paused")                                         \
    X(RESUME, "resume")                                                        \
    X(READY, "events reported")                                                \
    X(PERFORM, "perform")                                                      \
    X(WRONG_MASK, "wrong mask")                                                \
    X(STALE_FD, "stale fd")                                                    \
    X(TIMEOUT, "timeout action")                                               \
    X(DONE_H1, "done by h1")                                                   \
    X(DONE_H2, "done by HTTP/2")                                               \
    X(DONE_TLS, "done over TLS")                                               \
    X(UPLOADED, "upload done")                                                 \
    X(FAILED, "failed")                                                        \
    X(REUSED, "connection used again")                                         \
    X(SHUTDOWN, "connection in shutdown")                                      \
    X(SWAP, "callbacks swapped")                                               \
    X(SILENT, "callbacks off for a while")                                     \
    X(CALLBACK_ADDS, "callback adds")                                          \
    X(CALLBACK_REMOVES, "callback removes")                                    \
    X(CALLBACK_PAUSES, "callback pauses")                                      \
    X(CALLBACK_ACTS, "callback reports events")                                \
    X(CALLBACK_SWAPS, "callback swaps callbacks")                              \
    X(CALLBACK_FAILS, "callback fails")                                        \
    X(CALLBACK_CLOSES, "callback closes the multi")                            \
    X(FD_AGAIN, "fd used again")                                               \
    X(LIMITS, "limits change")                                                 \
    X(HELD_UP, "held up by a limit")                                           \
    X(NETWORK, "network changed")                                              \
    X(PEER_CLOSES, "peer closes")                                              \
    X(PEER_RESETS, "peer resets a stream")                                     \
    X(PEER_LEAVES, "peer sends GOAWAY")                                        \
    X(PEER_PARTS, "peer answers in part")

enum event {
#define EVENT(name, text) EV_##name,
    EVENTS(EVENT)
#undef EVENT
        EV_COUNT
};

static const char *const event_names[EV_COUNT] = {
#define EVENT(name, text) text,
    EVENTS(EVENT)
#undef EVENT
};

/* What is expected of a transfer. */
struct model_easy {
    struct ms_easy *easy;
    enum server_kind kind;
    size_t size, got; /* of the body */
    size_t sent;      /* of the upload; SIZE_MAX: there is none */
    bool collects;
};

static struct {
    enum way way;
    struct ms_multi *multi;
    struct model_easy easies[EASIES];
    int told[MAX_FD];
    bool known[MAX_FD];
    int epoll;
    int64_t timer; /* what the host was told, -1 none */
    int host;      /* which of the two is told of sockets; -1 none */
    int timer_host;
    bool closed, in_callback, swapping;
    unsigned random;
    unsigned long counts[EV_COUNT];
} w;

/* The user pointers of the callbacks: a callback that was replaced is known
 * by the other one's. */
static char hosts[2];

static unsigned any(unsigned n)
{
    w.random = w.random * 1103515245u + 12345u;
    return (w.random >> 16) % n;
}

static void note(enum event e)
{
    w.counts[e]++;
}

static struct model_easy *model_of(const struct ms_easy *e)
{
    for (int i = 0; i < EASIES; i++)
        if (w.easies[i].easy == e)
            return &w.easies[i];
    unit_fail(__FILE__, __LINE__, "an easy that nobody knows");
}

/* ---- what callbacks do --------------------------------------------------- */

static void add(struct model_easy *m)
{
    bool in_it = ms_easy_multi(m->easy) != NULL, closed = w.closed;

    if (!in_it) {
        m->got = 0;
        m->sent = m->sent == SIZE_MAX ? SIZE_MAX : 0;
    }
    ms_err err = ms_multi_add(w.multi, m->easy);
    CHECK_THAT(err == (closed  ? MS_ECLOSED
                       : in_it ? MS_EADDED
                               : MS_OK),
               "add: %s", ms_err_text(err));
}

static void pause_any(struct ms_easy *e)
{
    unsigned mask = any(4); /* nothing, one or both */

    if (mask & MS_PAUSE_RECV)
        note(EV_PAUSE_RECV);
    if (mask & MS_PAUSE_SEND)
        note(EV_PAUSE_SEND);
    if (!mask)
        note(EV_RESUME);
    ms_easy_pause(e, mask);
}

static void set_host(int host);

static void close_multi(void)
{
    w.closed = true;
    ms_multi_close(w.multi);
}

static void from_callback(void)
{
    struct model_easy *m = &w.easies[any(EASIES)];

    if (w.in_callback)
        return;
    w.in_callback = true;
    switch (any(16)) {
    case 0:
        note(EV_CALLBACK_ADDS);
        add(m);
        break;
    case 1:
        note(EV_CALLBACK_REMOVES);
        CHECK(!ms_multi_remove(w.multi, m->easy));
        break;
    case 2:
        note(EV_CALLBACK_PAUSES);
        pause_any(m->easy);
        break;
    case 3:
        note(EV_CALLBACK_ACTS);
        ms_multi_socket_action(w.multi, (int)any(MAX_FD) - 1, any(8));
        break;
    case 4:
        if (any(4) || w.host < 0 || w.swapping)
            break; /* of two at once the outer one would win */
        note(EV_CALLBACK_SWAPS);
        set_host(!w.host);
        break;
    case 5:
        if (any(32))
            break;
        note(EV_CALLBACK_CLOSES);
        close_multi();
        break;
    default:
        break;
    }
    w.in_callback = false;
}

/* Now and then it reports a failure of its own. */
static bool callback_result(void)
{
    if (w.in_callback || w.closed || any(64))
        return true;
    note(EV_CALLBACK_FAILS);
    return false;
}

static int epoll_events(int what)
{
    return (int)EPOLLET | (what & MS_POLL_IN ? EPOLLIN : 0) |
           (what & MS_POLL_OUT ? EPOLLOUT : 0);
}

static void watch_edge(int fd, int before, int now)
{
    struct epoll_event e = {.events = (uint32_t)epoll_events(now),
                            .data.fd = fd};
    int op = !now ? EPOLL_CTL_DEL : !before ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    CHECK(!epoll_ctl(w.epoll, op, fd, &e));
}

static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    int now = what == MS_POLL_REMOVE ? 0 : what;

    CHECK(!now || (w.host >= 0 && user == &hosts[w.host]));
    CHECK(!easy || model_of(easy));
    CHECK(fd >= 0 && fd < MAX_FD);
    CHECK_THAT(fcntl(fd, F_GETFD) >= 0, "fd %d was closed before", fd);
    CHECK_THAT(w.told[fd] != now, "fd %d told %d twice", fd, what);
    CHECK(!value == !w.told[fd]);
    if (w.way == BY_EDGE)
        watch_edge(fd, w.told[fd], now);
    if (now && !w.told[fd]) {
        if (w.known[fd])
            note(EV_FD_AGAIN);
        w.known[fd] = true;
        CHECK(!ms_multi_assign(w.multi, fd, &w));
    }
    w.told[fd] = now;
    from_callback();
    return callback_result();
}

static bool on_timer(struct ms_multi *m, int64_t ms, void *user)
{
    CHECK(m == w.multi && ms >= -1);
    CHECK(ms < 0 || (w.timer_host >= 0 && user == &hosts[w.timer_host]));
    CHECK_THAT(ms != -1 || w.timer != -1, "no timer was told twice");
    w.timer = ms;
    from_callback();
    return callback_result();
}

static void check_body(const struct model_easy *m, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        CHECK_THAT(p[i] == server_byte(m->got + i), "byte %zu is another's",
                   m->got + i);
}

static enum ms_verdict on_data(struct ms_easy *e, const char *p, size_t n,
                               void *user)
{
    struct model_easy *m = user;

    CHECK(m->easy == e && n > 0 && ms_easy_running(e));
    if (any(8) == 0) {
        note(EV_PAUSE_RECV);
        return MS_PAUSE;
    }
    check_body(m, p, n);
    m->got += n;
    CHECK(m->got <= m->size);
    from_callback();
    return MS_GO_ON;
}

static enum ms_verdict on_body(struct ms_easy *e, char *p, size_t cap,
                               size_t *n, bool *end, void *user)
{
    struct model_easy *m = user;
    size_t left = UPLOAD - m->sent, most = cap < left ? cap : left;

    CHECK(m->easy == e && cap > 0 && left > 0);
    if (any(6) == 0) {
        note(EV_PAUSE_SEND);
        return MS_PAUSE;
    }
    *n = 1 + any((unsigned)most);
    memset(p, 'u', *n);
    m->sent += *n;
    *end = m->sent == UPLOAD;
    from_callback();
    return MS_GO_ON;
}

/* One that went well: the answer is whole and its own. */
static void check_done(struct model_easy *m)
{
    const struct ms_response *r = ms_easy_response(m->easy);
    size_t n;

    note(m->kind == PLAIN_H1 || m->kind == TLS_H1 ? EV_DONE_H1 : EV_DONE_H2);
    if (m->kind == TLS_H1 || m->kind == TLS_H2)
        note(EV_DONE_TLS);
    if (ms_response_reused(r))
        note(EV_REUSED);
    if (m->sent != SIZE_MAX) {
        note(EV_UPLOADED);
        CHECK(m->sent == UPLOAD);
    }
    if (m->collects) {
        const char *body = ms_response_body(r, &n);
        check_body(m, body, n);
        m->got = n;
    }
    CHECK_THAT(m->got == m->size, "%zu of %zu bytes came", m->got, m->size);
}

static void on_done(struct ms_multi *multi, struct ms_easy *e, void *user)
{
    CHECK(multi == w.multi && user == &w);
    if (ms_easy_error(e)->err)
        note(EV_FAILED);
    else
        check_done(model_of(e));
    from_callback();
}

/* ---- the host ------------------------------------------------------------ */

/* Other callbacks, -1: none. What the old ones know is taken back from them
 * before this returns. */
static void set_host(int host)
{
    w.swapping = true;
    w.host = host;
    ms_multi_on_socket(w.multi, host < 0 ? NULL : on_socket,
                       host < 0 ? NULL : &hosts[host]);
    w.timer_host = host;
    ms_multi_on_timer(w.multi, host < 0 ? NULL : on_timer,
                      host < 0 ? NULL : &hosts[host]);
    w.swapping = false;
    if (host >= 0)
        return;
    for (int fd = 0; fd < MAX_FD; fd++)
        CHECK_THAT(!w.told[fd], "fd %d is still watched", fd);
    CHECK(w.timer == -1);
}

static void act(int fd, unsigned mask)
{
    int running = ms_multi_socket_action(w.multi, fd, mask);

    CHECK(running == ms_multi_running(w.multi));
    CHECK(running >= 0 && running <= EASIES);
}

static unsigned mask_of(const struct pollfd *p)
{
    return (p->revents & POLLIN ? MS_CSELECT_IN : 0u) |
           (p->revents & POLLOUT ? MS_CSELECT_OUT : 0u) |
           (p->revents & (POLLERR | POLLHUP) ? MS_CSELECT_ERR : 0u);
}

/* What poll(2) says of a socket as it is watched now. */
static unsigned ready_mask(int fd)
{
    struct pollfd p = {fd, 0, 0};

    if (!w.told[fd])
        return 0;
    p.events = (short)((w.told[fd] & MS_POLL_IN ? POLLIN : 0) |
                       (w.told[fd] & MS_POLL_OUT ? POLLOUT : 0));
    return poll(&p, 1, 0) > 0 ? mask_of(&p) : 0;
}

static void report_each(void)
{
    for (int fd = 0; fd < MAX_FD; fd++) {
        unsigned mask = ready_mask(fd);
        if (!mask)
            continue;
        note(EV_READY);
        act(fd, mask);
    }
}

static void report_all(void)
{
    struct ms_event events[MAX_FD];
    size_t n = 0;

    for (int fd = 0; fd < MAX_FD; fd++) {
        unsigned mask = ready_mask(fd);
        if (mask)
            events[n++] = (struct ms_event){fd, mask};
    }
    if (!n)
        return;
    note(EV_READY);
    CHECK(ms_multi_socket_actions(w.multi, events, n) ==
          ms_multi_running(w.multi));
}

static void report_edges(void)
{
    struct epoll_event events[MAX_FD];
    int n = epoll_wait(w.epoll, events, MAX_FD, 0);

    for (int i = 0; i < n; i++) {
        uint32_t got = events[i].events;
        note(EV_READY);
        act(events[i].data.fd,
            (got & EPOLLIN ? MS_CSELECT_IN : 0u) |
                (got & EPOLLOUT ? MS_CSELECT_OUT : 0u) |
                (got & (EPOLLERR | EPOLLHUP) ? MS_CSELECT_ERR : 0u));
    }
}

static void perform(void)
{
    size_t ready;
    int running;

    note(EV_PERFORM);
    if (any(2))
        CHECK(!ms_multi_poll(w.multi, NULL, 0, 0, &ready));
    CHECK(!ms_multi_perform(w.multi, &running));
    CHECK(running == ms_multi_running(w.multi));
}

static void report_timeout(void)
{
    note(EV_TIMEOUT);
    w.timer = -1;
    act(MS_SOCKET_TIMEOUT, 0);
}

/* One turn of the host's loop. */
static void drive(void)
{
    enum way way = w.way;

    if (way == BY_TURNS)
        way = w.host < 0 ? BY_PERFORM : (enum way[]){0, 1, BY_PERFORM}[any(3)];
    switch (way) {
    case BY_ACTIONS:
        report_all();
        break;
    case BY_EDGE:
        report_edges();
        break;
    case BY_PERFORM:
        perform();
        return;
    default:
        report_each();
        break;
    }
    if (w.timer == 0)
        report_timeout();
}

static void serve_all(void)
{
    server_accept();
    for (int i = 0; i < SERVER_PEERS; i++)
        if (server.peers[i].fd >= 0)
            server_serve(&server.peers[i]);
}

/* ---- what holds after every step ----------------------------------------- */

static void check_socket(const struct ms_socket_info *info,
                         struct ms_easy *const *easies, size_t count,
                         void *user)
{
    bool *settled = user;
    int wanted =
        (info->readers ? MS_POLL_IN : 0) | (info->writers ? MS_POLL_OUT : 0);

    for (size_t i = 0; i < count; i++)
        CHECK(ms_easy_multi(easies[i]) == w.multi);
    CHECK(info->action == w.told[info->fd]);
    CHECK_THAT(!*settled || w.host < 0 || info->action == wanted,
               "fd %d is told %d and wanted for %d", info->fd, info->action,
               wanted);
}

static void check(void)
{
    const char *wrong = ms_multi_check(w.multi);
    int64_t timeout = ms_multi_timeout(w.multi);
    bool settled = timeout != 0;
    struct ms_stats stats;

    CHECK_THAT(!wrong, "%s", wrong);
    ms_multi_sockets(w.multi, check_socket, &settled);
    CHECK_THAT(w.host < 0 || timeout < 0 || w.timer >= 0 || w.way == BY_PERFORM,
               "nobody wakes it in %d ms", (int)timeout);
    ms_multi_stats(w.multi, &stats);
    w.counts[EV_HELD_UP] += stats.waiting > 0;
    w.counts[EV_SHUTDOWN] += stats.closing > 0;
}

/* ---- steps --------------------------------------------------------------- */

static void change_limit(enum ms_multi_option id, int64_t value)
{
    bool closed = w.closed; /* callbacks of this call may do that */

    CHECK(ms_multi_set(w.multi, id, value) == (closed ? MS_EOPTION : MS_OK));
}

/* One to four, or none. */
static void change_limits(void)
{
    unsigned all = any(5), host = any(5);

    note(EV_LIMITS);
    change_limit(MS_MULTI_MAX_CONNECTIONS, all ? (int64_t)all : -1);
    change_limit(MS_MULTI_MAX_CONNECTIONS_PER_HOST, host ? (int64_t)host : -1);
    change_limit(MS_MULTI_MAX_IDLE, any(4));
}

static void swap_callbacks(void)
{
    bool may_be_silent = w.way == BY_PERFORM || w.way == BY_TURNS;

    note(EV_SWAP);
    if (w.host >= 0 && any(2)) {
        set_host(!w.host);
        return;
    }
    set_host(-1);
    if (may_be_silent && any(3))
        note(EV_SILENT);
    else
        set_host((int)any(2));
}

static void wrong_event(void)
{
    int fd = (int)any(MAX_FD);

    note(w.told[fd] ? EV_WRONG_MASK : EV_STALE_FD);
    act(fd, any(8));
    for (fd = 0; fd < MAX_FD && !w.told[fd]; fd++)
        ;
    if (fd == MAX_FD)
        return;
    note(EV_WRONG_MASK);
    act(fd, any(8));
}

static void trouble(void)
{
    struct peer *p = &server.peers[any(SERVER_PEERS)];

    server_accept();
    if (p->fd >= 0 && any(3) == 0)
        server_close_peer(p);
    if (any(6))
        return;
    note(EV_NETWORK);
    ms_multi_network_changed(w.multi);
}

static void read_messages(void)
{
    struct ms_message message;

    while (ms_multi_info_read(w.multi, &message))
        CHECK(!ms_multi_remove(w.multi, message.easy));
}

static void step(void)
{
    struct model_easy *m = &w.easies[any(EASIES)];

    switch (any(12)) {
    case 0:
    case 1:
        note(EV_ADD);
        add(m);
        break;
    case 2:
        note(EV_REMOVE);
        CHECK(!ms_multi_remove(w.multi, m->easy));
        break;
    case 3:
    case 4:
        pause_any(m->easy);
        break;
    case 5:
        wrong_event();
        break;
    case 6:
        report_timeout();
        break;
    case 7:
        trouble();
        break;
    case 8:
        if (any(4) == 0)
            swap_callbacks();
        if (any(3) == 0)
            change_limits();
        read_messages();
        break;
    default:
        serve_all();
        drive();
        break;
    }
}

/* ---- a schedule ---------------------------------------------------------- */

static void set_options(struct model_easy *m)
{
    struct ms_options *o;

    CHECK(!ms_options_new(&o, NULL));
    CHECK(!ms_options_set_bool(o, MS_OPT_FRESH_CONNECTION, any(8) == 0));
    CHECK(!ms_options_set_bool(o, MS_OPT_TLS_VERIFY, false));
    if (m->kind == PLAIN_H2)
        CHECK(!ms_options_set_string(o, MS_OPT_VERSION, "2-prior-knowledge",
                                     strlen("2-prior-knowledge")));
    if (m->sent != SIZE_MAX)
        CHECK(!ms_options_set_string(o, MS_OPT_METHOD, "PUT", 3));
    ms_easy_set_options(m->easy, o);
    ms_options_free(o);
}

static void make_easy(struct model_easy *m)
{
    char url[64];

    *m = (struct model_easy){.kind = (enum server_kind)any(SERVER_KINDS),
                             .size = any(2) ? 5 : 20000,
                             .collects = any(3) == 0,
                             .sent = any(3) ? SIZE_MAX : 0};
    int n = snprintf(url, sizeof(url), "%s://127.0.0.1:%u/%zu",
                     m->kind >= TLS_H1 ? "https" : "http",
                     server.ports[m->kind], m->size);
    CHECK(!ms_easy_new(&m->easy));
    CHECK(!ms_easy_set_url(m->easy, url, (size_t)n));
    if (!m->collects)
        ms_easy_on_data(m->easy, on_data, m);
    if (m->sent != SIZE_MAX)
        CHECK(!ms_easy_on_body(m->easy, on_body, m, UPLOAD));
    set_options(m);
}

static void begin(unsigned seed)
{
    w.random = seed;
    w.timer = -1;
    w.host = w.timer_host = -1;
    w.closed = false;
    memset(w.told, 0, sizeof(w.told));
    memset(w.known, 0, sizeof(w.known));
    w.epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(!ms_multi_new(&w.multi));
    if (w.way == BY_EDGE)
        CHECK(!ms_multi_set(w.multi, MS_MULTI_EDGE_TRIGGERED, 1));
    if (any(2))
        change_limits();
    set_host(0);
    ms_multi_on_done(w.multi, on_done, &w);
    for (int i = 0; i < EASIES; i++)
        make_easy(&w.easies[i]);
}

static void print_line(const char *text, size_t n, unsigned depth, void *user)
{
    (void)user;
    fprintf(stderr, "%*s%.*s\n", (int)depth * 2, "", (int)n, text);
}

static void hang(void)
{
    ms_multi_dump(w.multi, print_line, NULL);
    unit_fail(__FILE__, __LINE__, "%d transfers hang",
              ms_multi_running(w.multi));
}

/* Everything that runs is let run to its end, with no callback interfering:
 * nothing may be lost. */
static void settle(void)
{
    w.in_callback = true;
    if (w.host < 0 && any(2))
        set_host(1);
    for (int turn = 0; ms_multi_running(w.multi); turn++) {
        if (turn == PATIENCE)
            hang();
        for (int i = 0; i < EASIES; i++)
            ms_easy_pause(w.easies[i].easy, MS_PAUSE_CONT);
        serve_all();
        drive();
        check();
        if (turn > 100) /* the kernel takes its time */
            poll(NULL, 0, 1);
    }
    w.in_callback = false;
}

static void end(void)
{
    if (any(2)) {
        close_multi();
        for (int fd = 0; fd < MAX_FD; fd++)
            CHECK_THAT(!w.told[fd], "fd %d is watched after the close", fd);
        CHECK(ms_multi_running(w.multi) == 0);
    }
    ms_multi_free(w.multi);
    for (int i = 0; i < EASIES; i++) {
        CHECK(!ms_easy_multi(w.easies[i].easy));
        ms_easy_close(w.easies[i].easy);
    }
    server_end_peers();
    close(w.epoll);
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
}

/* Whether such an event can happen at all. */
static bool is_possible(enum event e)
{
    if (e == EV_READY)
        return w.way != BY_PERFORM;
    if (e == EV_PERFORM || e == EV_SILENT)
        return w.way == BY_PERFORM || w.way == BY_TURNS;
    return true;
}

static void print_counts(unsigned schedules)
{
    w.counts[EV_PEER_CLOSES] = server.closes;
    w.counts[EV_PEER_RESETS] = server.resets;
    w.counts[EV_PEER_LEAVES] = server.goaways;
    w.counts[EV_PEER_PARTS] = server.parts;
    for (int e = 0; e < EV_COUNT; e++) {
        if (schedules >= ENOUGH)
            printf("  %-26s %lu\n", event_names[e], w.counts[e]);
        CHECK_THAT(schedules < ENOUGH || w.counts[e] >= 100 ||
                       !is_possible((enum event)e),
                   "too few: %s", event_names[e]);
    }
}

static void run_model(enum way way, const char *name)
{
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without asking */
    memset(&w, 0, sizeof(w));
    w.way = way;
    server_start(any);
    unsigned n = schedules_run(name, SCHEDULES, run_schedule);

    server_stop();
    print_counts(n);
}

TEST(driven_by_one_event_at_a_time)
{
    run_model(BY_ACTION, "socket_action");
}

TEST(driven_by_all_events_of_a_turn)
{
    run_model(BY_ACTIONS, "socket_actions");
}

TEST(driven_by_edges)
{
    run_model(BY_EDGE, "edge-triggered");
}

TEST(driven_by_perform)
{
    run_model(BY_PERFORM, "perform");
}

TEST(driven_by_turns)
{
    run_model(BY_TURNS, "by turns");
}
