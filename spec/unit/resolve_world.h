/* SPDX-License-Identifier: MIT
 *
 * resolve_world.h - everything round a resolver, for tests: a loop in a
 * poll(2) host that checks what it is told, a scripted server, and askers that
 * count their callbacks.
 *
 * Closing the world checks that each announced socket was removed while it
 * was still open, and that no descriptor is left.
 */
#ifndef MS_SPEC_RESOLVE_WORLD_H
#define MS_SPEC_RESOLVE_WORLD_H

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>

#include "dns_server.h"
#include "net/dns.h"
#include "net/resolve.h"

/* Longer than any of this takes, also under valgrind. */
#define GUARD_MS 20000

#define MAX_FDS 256

/* With a clock that stands still a turn waits for sockets alone, and not for
 * long: what the condition asks for may be there already. */
#define FAKE_TURN_MS 5

/* ---- a host -------------------------------------------------------------- */

/* The loop with a poll(2) host round it, a resolver and its server. */
struct world {
    struct ms_loop loop;
    struct ms_resolver *resolver;
    struct dns_server server;
    int watch[MAX_FDS]; /* MS_POLL_*, 0: not announced */
    int64_t wake_at_ms; /* -1: never */
    bool wake_later;    /* it was not for now when it was set */
    unsigned announced, removed, events, wakes;
    int fds_before;
    bool want_stranger; /* the host opens a file when it is told the time */
    int stranger;
    int64_t fake_ms; /* what time it is; 0: the real one */
    char dir[32], hosts[64], resolv[64];
};

/* The tests are programs with one thread; the server is big. */
static struct world w;

static int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    CHECK(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static void on_announce(void *host, struct ms_sock *s, int what)
{
    int flags = fcntl(s->fd, F_GETFL);

    (void)host;
    CHECK(s->fd >= 0 && s->fd < MAX_FDS);
    CHECK(flags >= 0 && "open when announced and when removed");
    CHECK((flags & O_NONBLOCK) && (fcntl(s->fd, F_GETFD) & FD_CLOEXEC));
    if (what == MS_POLL_REMOVE) {
        CHECK(w.watch[s->fd]);
        w.watch[s->fd] = 0;
        w.removed++;
        return;
    }
    CHECK(what != w.watch[s->fd]);
    w.announced += w.watch[s->fd] == 0;
    w.watch[s->fd] = what;
}

static int64_t real_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The clock of loop and host: the real one unless w.fake_ms is set. */
static int64_t now_ms(void)
{
    return w.fake_ms ? w.fake_ms : real_ms();
}

static uint64_t fake_clock(void)
{
    return (uint64_t)w.fake_ms * 1000u;
}

static void on_wake_me(void *engine, int64_t timeout_ms)
{
    (void)engine;
    w.wake_at_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    w.wake_later = timeout_ms > 0;
    if (w.want_stranger)
        w.stranger = open("/dev/null", O_RDONLY | O_CLOEXEC);
    w.want_stranger = false;
}

static void no_finish(void *engine)
{
    (void)engine;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f && fputs(text, f) >= 0);
    fclose(f);
}

static unsigned watched(void)
{
    unsigned n = 0;

    for (int i = 0; i < MAX_FDS; i++)
        n += w.watch[i] != 0;
    return n;
}

static void enter(void)
{
    ms_loop_enter(&w.loop);
}

static void leave(void)
{
    ms_loop_leave(&w.loop);
    const char *wrong = ms_ev_check(&w.loop.ev);
    CHECK_THAT(!wrong, "%s", wrong);
}

static void open_files(const char *hosts, const char *resolv)
{
    strcpy(w.dir, "/tmp/ms-resolve-XXXXXX");
    CHECK(mkdtemp(w.dir));
    snprintf(w.hosts, sizeof(w.hosts), "%s/hosts", w.dir);
    snprintf(w.resolv, sizeof(w.resolv), "%s/resolv.conf", w.dir);
    write_file(w.hosts, hosts);
    write_file(w.resolv, resolv);
}

static void close_files(void)
{
    unlink(w.hosts);
    unlink(w.resolv);
    CHECK(rmdir(w.dir) == 0);
}

static void open_loop(void)
{
    static const struct ms_loop_hooks hooks = {no_finish, on_wake_me};

    ms_loop_init(&w.loop, &hooks, NULL);
    ms_ev_set_host(&w.loop.ev, on_announce, NULL, false);
    w.wake_at_ms = -1;
}

struct setting {
    const char *hosts, *resolv; /* contents */
    const char *servers;        /* NULL: the world's server */
    int timeout_ms, tries;
    int cache_ms;
};

/* For tests of what is asked, again and again. */
#define WITHOUT_CACHE (&(struct setting){.cache_ms = -1})

static ms_err make_resolver(const struct setting *s)
{
    char own[32];
    struct ms_resolver_config c = {.hosts_file = w.hosts,
                                   .resolv_conf = w.resolv,
                                   .servers = s->servers ? s->servers : own,
                                   .timeout_ms = s->timeout_ms,
                                   .tries = s->tries,
                                   .cache_ms = s->cache_ms};

    snprintf(own, sizeof(own), "127.0.0.1:%u", w.server.port);
    return ms_resolver_new(&w.resolver, &w.loop, &c);
}

/* A search list of the root alone, or c-ares would use the domain this
 * machine is in. */
#define NO_SEARCH "search .\n"

static void open_world(const struct rule *rules, const struct setting *s)
{
    memset(&w, 0, sizeof(w));
    unsetenv("LOCALDOMAIN");
    unsetenv("RES_OPTIONS");
    w.fds_before = open_fds();
    dns_server_open(&w.server, rules);
    open_files(s && s->hosts ? s->hosts : "",
               s && s->resolv ? s->resolv : NO_SEARCH);
    open_loop();
    CHECK(make_resolver(s ? s : &(struct setting){0}) == MS_OK);
}

static void free_resolver(void)
{
    enter();
    ms_resolver_free(w.resolver);
    w.resolver = NULL;
    leave();
}

static void close_world(void)
{
    free_resolver();
    CHECK(watched() == 0 && w.announced == w.removed);
    CHECK(w.loop.ev.count == 0);
    CHECK(ms_loop_deadline(&w.loop) == MS_NEVER);
    ms_loop_fini(&w.loop);
    dns_server_close(&w.server);
    close_files();
    CHECK(open_fds() == w.fds_before);
}

static unsigned mask_of(short revents)
{
    return (revents & POLLIN ? (unsigned)MS_CSELECT_IN : 0u) |
           (revents & POLLOUT ? (unsigned)MS_CSELECT_OUT : 0u) |
           (revents & (POLLERR | POLLHUP) ? (unsigned)MS_CSELECT_ERR : 0u);
}

static void wake(void)
{
    w.wakes += w.wake_later;
    w.wake_at_ms = -1;
    w.wake_later = false;
    enter();
    ms_loop_woken(&w.loop);
    leave();
}

/* One turn of the application's event loop. */
static void turn(bool with_server)
{
    struct pollfd list[MAX_FDS + DNS_SERVER_CONNS + 2];
    nfds_t n = 0, ours;
    int64_t left = w.wake_at_ms < 0 ? 1000 : w.wake_at_ms - now_ms();

    if (w.fake_ms && left > FAKE_TURN_MS)
        left = FAKE_TURN_MS;

    for (int fd = 0; fd < MAX_FDS; fd++)
        if (w.watch[fd])
            list[n++] = (struct pollfd){
                .fd = fd,
                .events = (short)((w.watch[fd] & MS_POLL_IN ? POLLIN : 0) |
                                  (w.watch[fd] & MS_POLL_OUT ? POLLOUT : 0))};
    ours = n;
    if (with_server)
        n = dns_server_poll(&w.server, list, n);
    int ready = poll(list, n, left > 0 ? (int)left : 0);
    CHECK(ready >= 0);
    if (with_server)
        dns_server_pump(&w.server);
    for (nfds_t i = 0; i < ours; i++) {
        if (!list[i].revents)
            continue;
        w.events++;
        enter();
        ms_loop_dispatch(&w.loop, list[i].fd, mask_of(list[i].revents));
        leave();
    }
    if (w.wake_at_ms >= 0 && now_ms() >= w.wake_at_ms)
        wake();
}

/* Turns until `condition` holds. */
#define UNTIL(condition)                                                       \
    do {                                                                       \
        int64_t guard_ = real_ms() + GUARD_MS;                                 \
        while (!(condition)) {                                                 \
            CHECK_THAT(real_ms() < guard_, "never came: %s", #condition);      \
            turn(true);                                                        \
        }                                                                      \
    } while (0)

/* From now on time passes in advance() only. Before anything is started. */
static inline void stop_the_clock(void)
{
    w.fake_ms = 1000000;
    w.loop.clock = fake_clock;
}

/* What is due by then happens. */
static inline void advance(int64_t ms)
{
    w.fake_ms += ms;
    turn(true);
}

/* ---- askers -------------------------------------------------------------- */

struct client {
    struct ms_asker asker;
    unsigned calls, v4, v6; /* on_addresses; addresses */
    unsigned done;
    ms_err err;
    struct ms_addr first;
    /* What to do in the callbacks, besides counting. */
    void (*at_addresses)(struct client *c);
    void (*at_done)(struct client *c);
    struct client *other;
};

static void on_addresses(struct ms_asker *a, const struct ms_addr *list,
                         size_t count)
{
    struct client *c = MS_CONTAINER(a, struct client, asker);

    CHECK(!c->done && count > 0 && count <= MS_DNS_MAX_ADDRESSES);
    if (c->calls++ == 0)
        c->first = list[0];
    CHECK(c->calls <= 2);
    for (size_t i = 0; i < count; i++) {
        CHECK(ms_addr_port(&list[i]) == 0);
        *(ms_addr_is_v6(&list[i]) ? &c->v6 : &c->v4) += 1;
    }
    if (c->at_addresses)
        c->at_addresses(c);
}

static void on_done(struct ms_asker *a, ms_err err)
{
    struct client *c = MS_CONTAINER(a, struct client, asker);

    CHECK(!c->done && !a->lookup);
    CHECK((err == MS_OK) == (c->calls > 0));
    c->done++;
    c->err = err;
    if (c->at_done)
        c->at_done(c);
}

static void init_client(struct client *c)
{
    *c = (struct client){
        .asker = {.on_addresses = on_addresses, .on_done = on_done}};
    ms_list_init(&c->asker.node);
}

static ms_err start(struct client *c, const char *host)
{
    return ms_resolve_start(w.resolver, &c->asker, ms_span_text(host));
}

/* Asks, inside an entry of its own. */
static void ask(struct client *c, const char *host)
{
    init_client(c);
    enter();
    CHECK(start(c, host) == MS_OK);
    leave();
}

/* Asks and turns until the end. */
static inline void resolve(struct client *c, const char *host)
{
    ask(c, host);
    UNTIL(c->done);
}

static inline void cancel(struct client *c)
{
    enter();
    ms_resolve_cancel(&c->asker);
    leave();
    CHECK(!c->asker.lookup);
}

static inline bool first_is(const struct client *c, const char *text)
{
    char buf[MS_ADDR_TEXT];

    return c->calls && !strcmp(ms_addr_text(&c->first, buf), text);
}

static inline unsigned asked(const char *question)
{
    return dns_server_count(&w.server, question);
}

#endif
