/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Events taken per epoll_wait: most of what 1000 connections can have. */
enum { BATCH = 512 };

/* A run that hangs ends itself, also when started by hand. */
enum { LIFETIME_S = 900 };

enum { URL_BYTES = 1024 };

struct usage {
    double user, sys, wall;
    long max_rss_kib;
};

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "bench client: %s: %s\n", what,
            errno ? strerror(errno) : "failed");
    exit(2);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static struct usage usage_now(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (struct usage){.user = seconds(r.ru_utime),
                          .sys = seconds(r.ru_stime),
                          .wall = (double)now_us() / 1e6,
                          .max_rss_kib = r.ru_maxrss};
}

static void raise_fd_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l))
        return;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

/* ---- the command line ------------------------------------------------ */

_Noreturn static void usage(const char *program)
{
    fprintf(
        stderr,
        "usage: %s --url URL [--requests N] [--concurrency C]\n"
        "  [--new-connections]  Connection: close, nothing is reused\n"
        "  [--http2]            HTTP/2 and nothing else\n"
        "  [--streams N]        so many on one connection\n"
        "  [--ca FILE]          whom to trust for https; default the system\n"
        "  [--no-resume]        every TLS handshake is a full one\n"
        "  [--each]             print the CPU time of each transfer\n"
        "  [--idle-ms MS]       afterwards, weigh what idle connections "
        "keep\n"
        "  [--hosts H]          spread 127.x.0.1 over H addresses\n"
        "  [--held N --held-url URL]  open N unanswered transfers first\n",
        program);
    exit(2);
}

static unsigned long number(const char *text, const char *program)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || *end || end == text || n > UINT32_MAX)
        usage(program);
    return n;
}

static const struct option LONG_OPTIONS[] = {
    {"url", required_argument, NULL, 'u'},
    {"requests", required_argument, NULL, 'n'},
    {"concurrency", required_argument, NULL, 'c'},
    {"new-connections", no_argument, NULL, 'x'},
    {"http2", no_argument, NULL, '2'},
    {"streams", required_argument, NULL, 's'},
    {"ca", required_argument, NULL, 'a'},
    {"ca-path", no_argument, NULL, 'p'},
    {"no-resume", no_argument, NULL, 'r'},
    {"each", no_argument, NULL, 'e'},
    {"idle-ms", required_argument, NULL, 'i'},
    {"hosts", required_argument, NULL, 'H'},
    {"held", required_argument, NULL, 'l'},
    {"held-url", required_argument, NULL, 'L'},
    {0},
};

static void set_option(struct client *c, int option, const char *program)
{
    switch (option) {
    case 'u':
        c->url = optarg;
        break;
    case 'n':
        c->requests = number(optarg, program);
        break;
    case 'c':
        c->concurrency = (unsigned)number(optarg, program);
        break;
    case 'x':
        c->new_connections = true;
        break;
    case '2':
        c->http2 = true;
        break;
    case 's':
        c->streams = (unsigned)number(optarg, program);
        break;
    case 'a':
        c->ca_file = optarg;
        break;
    case 'p':
        c->ca_path = true;
        break;
    case 'r':
        c->no_resume = true;
        break;
    case 'e':
        c->each = true;
        break;
    case 'i':
        c->idle_ms = (unsigned)number(optarg, program);
        break;
    case 'H':
        c->hosts = (unsigned)number(optarg, program);
        break;
    case 'l':
        c->held = (unsigned)number(optarg, program);
        break;
    case 'L':
        c->held_url = optarg;
        break;
    default:
        usage(program);
    }
}

void client_init(struct client *c, int argc, char **argv)
{
    *c = (struct client){.requests = 1000,
                         .concurrency = 1,
                         .hosts = 1,
                         .epoll_fd = -1,
                         .wake_at_us = -1};
    int option;
    while ((option = getopt_long(argc, argv, "", LONG_OPTIONS, NULL)) != -1)
        set_option(c, option, argv[0]);
    if (!c->url || !c->concurrency || !c->hosts || optind != argc ||
        (c->held && !c->held_url))
        usage(argv[0]);
    raise_fd_limit();
    alarm(LIFETIME_S);
}

/* The `i`-th slot's URL: 127.x.0.1 becomes one of `hosts` addresses of the
 * same network, 127.x.0.1 the first of them. */
static void host_url(const struct client *c, unsigned i, char out[URL_BYTES])
{
    static const char FIRST[] = ".0.1:";
    const char *at = strstr(c->url, FIRST);
    unsigned h = i % c->hosts;
    int n;
    if (at && h)
        n = snprintf(out, URL_BYTES, "%.*s.%u.%u:%s", (int)(at - c->url),
                     c->url, h / 250, h % 250 + 1, at + sizeof(FIRST) - 1);
    else
        n = snprintf(out, URL_BYTES, "%s", c->url);
    if (n >= URL_BYTES)
        die("the URL is too long");
}

/* ---- the loop -------------------------------------------------------- */

void client_watch(struct client *c, int fd, uint32_t events, bool known)
{
    struct epoll_event e = {.events = events, .data.fd = fd};
    int op = EPOLL_CTL_DEL;
    if (events)
        op = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(c->epoll_fd, op, fd, &e))
        die("epoll_ctl");
}

void client_wake_in(struct client *c, int64_t ms)
{
    c->wake_at_us = ms < 0 ? -1 : now_us() + ms * 1000;
}

/* True when the deadline passed; it is spent then. */
static bool take_deadline(struct client *c)
{
    if (c->wake_at_us < 0 || now_us() < c->wake_at_us)
        return false;
    c->wake_at_us = -1;
    return true;
}

static int wait_ms(const struct client *c)
{
    if (c->wake_at_us < 0)
        return -1;
    int64_t left = c->wake_at_us - now_us();
    return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

static void settle(struct client *c)
{
    c->after_batch(c);
    while (take_deadline(c)) {
        c->on_ready(c, -1, 0);
        c->after_batch(c);
    }
}

static void turn(struct client *c)
{
    struct epoll_event events[BATCH];
    int n = epoll_wait(c->epoll_fd, events, BATCH, wait_ms(c));
    if (n < 0 && errno != EINTR)
        die("epoll_wait");
    for (int i = 0; i < n; i++)
        c->on_ready(c, events[i].data.fd, events[i].events);
    settle(c);
}

void client_received(struct client_slot *slot, size_t n)
{
    if (slot->is_held && !slot->bytes)
        slot->client->held_open++;
    slot->bytes += n;
}

static void start_next(struct client *c, struct client_slot *slot)
{
    if (c->started == c->requests)
        return;
    c->started++;
    slot->bytes = 0;
    c->start(c, slot);
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void print_each(struct client *c)
{
    double now = cpu_us();
    printf("each_us=%.0f\n", now - c->cpu_us);
    c->cpu_us = now;
}

void client_ended(struct client *c, struct client_slot *slot, bool ok)
{
    if (c->each)
        print_each(c);
    if (slot->is_held) {
        errno = 0;
        die("a held transfer ended");
    }
    if (ok && slot->bytes)
        c->ok++;
    else
        c->failed++;
    start_next(c, slot);
}

/* ---- a run ----------------------------------------------------------- */

static void make_slots(struct client *c)
{
    unsigned count = c->held + c->concurrency;
    c->slots = calloc(count, sizeof(*c->slots));
    if (!c->slots)
        die("calloc");
    for (unsigned i = 0; i < count; i++) {
        struct client_slot *s = &c->slots[i];
        char url[URL_BYTES];
        *s = (struct client_slot){.client = c, .is_held = i < c->held};
        host_url(c, i, url);
        if (!c->prepare(c, s, s->is_held ? c->held_url : url))
            die("could not make a handle");
    }
}

static void open_held(struct client *c)
{
    for (unsigned i = 0; i < c->held; i++)
        c->start(c, &c->slots[i]);
    settle(c);
    while (c->held_open < c->held)
        turn(c);
}

/* What malloc() has given out. */
static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static long resident_kib(void)
{
    long pages = 0, ignored;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld %ld", &ignored, &pages) != 2)
        die("/proc/self/statm");
    fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Lets the connections rest, without their handles. */
static void weigh_idle(struct client *c, size_t heap, long rss)
{
    int64_t end = now_us() + (int64_t)c->idle_ms * 1000;
    c->drop(c);
    while (now_us() < end) {
        struct epoll_event events[BATCH];
        int n = epoll_wait(c->epoll_fd, events, BATCH, 10);
        for (int i = 0; i < n; i++)
            c->on_ready(c, events[i].data.fd, events[i].events);
        settle(c);
    }
    printf("idle_heap=%zu idle_rss_kib=%ld\n", heap_bytes() - heap,
           resident_kib() - rss);
}

static void report(const struct client *c, struct usage from, struct usage to)
{
    printf("ok=%llu failed=%llu opened=%llu user=%.6f sys=%.6f wall=%.6f "
           "rss_start_kib=%ld rss_max_kib=%ld\n",
           (unsigned long long)c->ok, (unsigned long long)c->failed,
           (unsigned long long)c->opened, to.user - from.user,
           to.sys - from.sys, to.wall - from.wall, from.max_rss_kib,
           to.max_rss_kib);
}

int client_run(struct client *c)
{
    c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll_fd < 0)
        die("epoll_create1");
    struct usage before = usage_now();
    size_t heap = heap_bytes();
    long rss = resident_kib();
    make_slots(c);
    open_held(c);

    struct usage from = usage_now();
    from.max_rss_kib = before.max_rss_kib;
    c->cpu_us = cpu_us();
    for (unsigned i = 0; i < c->concurrency; i++)
        start_next(c, &c->slots[c->held + i]);
    settle(c);
    while (c->ok + c->failed < c->requests)
        turn(c);
    report(c, from, usage_now());
    if (c->idle_ms)
        weigh_idle(c, heap, rss);
    return c->failed ? 1 : 0;
}
