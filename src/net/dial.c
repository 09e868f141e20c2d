/* SPDX-License-Identifier: MIT */
#include "net/dial.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "net/dial_queue.h"
#include "net/dial_report.h"
#include "net/dns.h"
#include "net/sock.h"

/* One connect() on its way. */
struct attempt {
    struct ms_list node; /* on dial->attempts */
    struct ms_sock *sock;
    struct ms_interest interest;
    struct ms_addr addr;
    struct ms_dial *dial;
};

struct ms_dial {
    struct ms_dial_config config; /* config.host points behind the struct */
    struct ms_route_host target;  /* whom to reach; lent by that or the route */
    struct ms_loop *loop;
    struct ms_asker asker;
    struct ms_timer timer; /* to the next attempt, at first to the first */
    struct ms_grave grave;
    struct ms_dial_queue queue;
    struct ms_list attempts; /* of struct attempt, owned */
    unsigned active;
    uint64_t next_us; /* when the next attempt may start while none fails */
    struct ms_dial_report report;
    bool started;   /* the first attempt was made */
    bool all_known; /* no more addresses will come */
    bool is_given;  /* the addresses are the route's */
    bool over;
};

static void trace_attempt(struct ms_dial *d, const char *what,
                          const struct ms_addr *a)
{
    char text[MS_ADDR_TEXT];

    if (!d->loop->trace.on)
        return;
    if (a->any.sa_family == AF_UNSPEC)
        MS_TRACE(&d->loop->trace, MS_TRACE_DIAL, d->config.conn, 0,
                 "%s unix socket", what);
    else
        MS_TRACE(&d->loop->trace, MS_TRACE_DIAL, d->config.conn, 0, "%s %s",
                 what, ms_addr_text(a, text));
}

static void note_failure(struct ms_dial *d, const struct ms_addr *a, ms_err err,
                         int os_errno)
{
    trace_attempt(d, ms_err_code(err), a);
    ms_dial_report_add(&d->report, a, err, os_errno);
}

/* The socket is left to the caller. */
static void end_attempt(struct attempt *a)
{
    ms_interest_drop(&a->interest);
    ms_list_unlink(&a->node);
    a->dial->active--;
    ms_free(a);
}

static void abandon_attempts(struct ms_dial *d)
{
    while (!ms_list_empty(&d->attempts)) {
        struct attempt *a =
            MS_CONTAINER(d->attempts.next, struct attempt, node);
        struct ms_sock *s = a->sock;
        end_attempt(a);
        ms_sock_close(s);
    }
}

static void go_on(struct ms_dial *d);

static void connected(struct attempt *a)
{
    struct ms_dial *d = a->dial;
    struct ms_sock *s = a->sock;
    struct ms_addr addr = a->addr;

    trace_attempt(d, "connected", &addr);
    end_attempt(a);
    abandon_attempts(d);
    ms_timer_cancel(d->loop, &d->timer);
    ms_resolve_cancel(&d->asker);
    d->over = true;
    if (d->config.history && addr.any.sa_family != AF_UNSPEC)
        ms_dial_history_note(d->config.history, d->target.name, &addr,
                             d->loop->now_us);
    d->config.on_connected(d->config.owner, s, &addr);
}

static void on_ready(struct ms_sock *s, unsigned events)
{
    struct attempt *a = s->owner;
    struct ms_dial *d = a->dial;
    struct ms_io_result r = ms_net_connected(s->fd);
    ms_err err = ms_err_from_errno(r.os_errno);

    if (events & MS_EV_REFUSED) {
        r.what = MS_IO_ERROR;
        err = MS_ECALLBACK;
    }
    if (r.what == MS_IO_AGAIN)
        return;
    if (r.what == MS_IO_DONE) {
        connected(a);
        return;
    }
    note_failure(d, &a->addr, err, r.os_errno);
    end_attempt(a);
    ms_sock_close(s);
    go_on(d);
}

/* Watches a connect that was begun; owns `fd` on MS_OK only. */
static ms_err watch(struct ms_dial *d, int fd, const struct ms_addr *addr)
{
    struct attempt *a = ms_zalloc(sizeof(*a));

    if (!a)
        return MS_ENOMEM;
    ms_err err =
        ms_sock_open(&d->loop->ev, fd, on_ready, a, "attempt", &a->sock);
    if (err) {
        ms_free(a);
        return err;
    }
    a->dial = d;
    a->addr = *addr;
    ms_list_init(&a->node);
    ms_list_push(&d->attempts, &a->node);
    d->active++;
    ms_interest_init(&a->interest, NULL);
    ms_interest_set(&a->interest, a->sock,
                    MS_MUTANT_IS(21) ? MS_POLL_IN : MS_POLL_OUT);
    return MS_OK;
}

/* Asks the program where it wants to be asked; that may end this very dial. */
static ms_err permission(struct ms_dial *d, const struct ms_addr *addr)
{
    if (!d->config.route)
        return MS_OK;
    ms_err err = ms_route_check(d->config.route, d->loop->engine, addr);
    if (d->config.route->spec.guard)
        ms_loop_touch(d->loop);
    return err;
}

static ms_err begin_connect(struct ms_dial *d, const struct ms_addr *addr,
                            int *os_errno)
{
    struct ms_route *r = d->config.route;
    struct ms_net_options o = {.keepalive = true};
    int fd;

    if (r) {
        o = r->net;
        o.port_turn = r->turn++;
    }
    o.nodelay = d->config.nodelay;
    ms_err err = ms_net_connect(addr, &o, &fd, os_errno);
    if (err)
        return err;
    err = watch(d, fd, addr);
    if (err)
        ms_net_close(fd);
    return err;
}

/* True when an attempt to the next address is on its way or has failed. */
static bool start_attempt(struct ms_dial *d)
{
    struct ms_addr addr;
    int os_errno = 0;

    if (d->over || d->active == MS_DIAL_MAX_ATTEMPTS ||
        !ms_dial_queue_next(&d->queue, &addr))
        return false;
    ms_addr_set_port(&addr, d->target.port);
    ms_err err = permission(d, &addr);
    if (d->over)
        return false;
    if (!err) {
        trace_attempt(d, "trying", &addr);
        err = begin_connect(d, &addr, &os_errno);
    }
    if (err)
        note_failure(d, &addr, err, os_errno);
    return true;
}

static int delay_ms(const struct ms_dial *d)
{
    const struct ms_route *r = d->config.route;

    return r ? r->delay_ms : MS_ROUTE_DELAY_DEFAULT_MS;
}

static uint64_t in_ms(const struct ms_dial *d, int ms)
{
    return d->loop->now_us + (uint64_t)ms * 1000u;
}

static void arm_next_attempt(struct ms_dial *d)
{
    if (ms_dial_queue_left(&d->queue) && d->active < MS_DIAL_MAX_ATTEMPTS &&
        d->next_us != MS_NEVER)
        ms_timer_start(d->loop, &d->timer, d->next_us);
    else
        ms_timer_cancel(d->loop, &d->timer);
}

static void fail(struct ms_dial *d, ms_err err)
{
    d->over = true;
    ms_timer_cancel(d->loop, &d->timer);
    if (d->report.err && !MS_MUTANT_IS(135))
        err = d->report.err;
    d->config.on_failed(d->config.owner, err ? err : MS_EHOST,
                        d->report.os_errno);
}

/* Starts attempts until one more is pending; fails when nothing is left to
 * try. */
static void go_on(struct ms_dial *d)
{
    unsigned before = d->active;

    d->started = true;
    d->next_us = delay_ms(d) < 0 ? MS_NEVER : in_ms(d, delay_ms(d));
    while (d->active <= before && start_attempt(d))
        ;
    if (d->over)
        return;
    if (d->active)
        arm_next_attempt(d);
    else if (d->all_known)
        fail(d, MS_OK);
}

/* ---- Unix sockets -------------------------------------------------------- */

static struct ms_span unix_path(const struct ms_dial *d)
{
    const struct ms_route *r = d->config.route;

    return r ? r->spec.text[MS_ROUTE_UNIX] : ms_span(NULL, 0);
}

static void go_on_unix(struct ms_dial *d)
{
    struct ms_addr none = {.any.sa_family = AF_UNSPEC};
    int fd = -1, os_errno = 0;
    ms_err err = ms_net_connect_unix(unix_path(d), &fd, &os_errno);

    d->started = d->all_known = true;
    if (!err && fd >= 0)
        err = watch(d, fd, &none);
    else if (!err)
        ms_timer_start(d->loop, &d->timer, in_ms(d, MS_DIAL_UNIX_RETRY_MS));
    if (!err)
        return;
    if (fd >= 0)
        ms_net_close(fd);
    note_failure(d, &none, err, os_errno);
    fail(d, err);
}

static void on_timer(struct ms_timer *t)
{
    struct ms_dial *d = MS_CONTAINER(t, struct ms_dial, timer);

    if (unix_path(d).n)
        go_on_unix(d);
    else
        go_on(d);
}

/* ---- addresses ----------------------------------------------------------- */

/* 4 or 6: only such addresses will do; -1: both. */
static int64_t wanted_ip(const struct ms_dial *d)
{
    const struct ms_route *r = d->config.route;

    return r ? r->spec.number[MS_ROUTE_IP] : -1;
}

static bool is_wanted(const struct ms_dial *d, const struct ms_addr *a)
{
    int64_t ip = wanted_ip(d);

    return ip < 0 || (ip == 6) == ms_addr_is_v6(a);
}

static void take(struct ms_dial *d, const struct ms_addr *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_wanted(d, &list[i]))
            continue;
        ms_err err = ms_dial_queue_add(&d->queue, &list[i]);
        if (!err)
            continue;
        /* What there is will do; without any this is why it fails. */
        ms_dial_report_add(&d->report, &list[i], err, 0);
        return;
    }
}

/* What somebody gave by hand keeps its order, and who chose where to begin
 * has chosen the address of this machine as well. */
static void sort(struct ms_dial *d)
{
    const struct ms_route *r = d->config.route;

    if (!d->is_given && !(r && r->net.interface))
        ms_dial_queue_sort(&d->queue, ms_net_source);
}

/* Begins when nothing better is to come soon (RFC 8305, 3). */
static void begin(struct ms_dial *d)
{
    if (ms_dial_queue_has_preferred(&d->queue) || d->all_known)
        go_on(d);
    else if (!ms_timer_active(&d->timer))
        ms_timer_start(d->loop, &d->timer,
                       in_ms(d, MS_DIAL_RESOLUTION_DELAY_MS));
}

static void on_addresses(struct ms_asker *asker, const struct ms_addr *list,
                         size_t count)
{
    struct ms_dial *d = MS_CONTAINER(asker, struct ms_dial, asker);
    bool first = ms_dial_resolving(d);

    take(d, list, count);
    sort(d);
    if (first && !ms_dial_resolving(d))
        d->config.on_resolved(d->config.owner);
    if (d->over || ms_dial_resolving(d))
        return;
    if (!d->started)
        begin(d);
    else if (!d->active || d->next_us <= d->loop->now_us)
        go_on(d);
    else
        arm_next_attempt(d);
}

static void on_asked(struct ms_asker *asker, ms_err err)
{
    struct ms_dial *d = MS_CONTAINER(asker, struct ms_dial, asker);

    d->all_known = true;
    if (d->over)
        return;
    if (err)
        fail(d, err);
    else if (!d->started)
        go_on(d);
    else if (!d->active && !ms_dial_queue_left(&d->queue))
        fail(d, MS_OK);
}

/* What worked last goes first, and so does its family. */
static void recall(struct ms_dial *d)
{
    struct ms_dial_history *h = d->config.history;
    struct ms_dial_queue *q = &d->queue;
    int64_t ip = wanted_ip(d);

    if (h &&
        ms_dial_history_find(h, d->target.name, d->loop->now_us, &q->favourite))
        q->v4_is_next = !ms_addr_is_v6(&q->favourite);
    /* The other family is not waited for where it would not do, nor asked. */
    if (ip < 0)
        return;
    q->v4_is_next = ip == 4;
    d->asker.families = ip == 4 ? MS_RESOLVE_V4 : MS_RESOLVE_V6;
}

/* Where the way begins that was asked for. */
static ms_err begin_route(struct ms_dial *d, struct ms_resolver *resolver)
{
    struct ms_route_found found = {.count = 0};

    if (unix_path(d).n) {
        /* Nothing to look up: that is known at once. */
        d->config.on_resolved(d->config.owner);
        if (!d->over)
            go_on_unix(d);
        return MS_OK;
    }
    if (d->config.route) {
        ms_route_redirect(d->config.route, &d->target);
        ms_route_lookup(d->config.route, &d->target, d->loop->now_us, &found);
    }
    recall(d);
    if (!found.count)
        return ms_resolve_start(resolver, &d->asker, d->target.name);
    d->all_known = d->is_given = true;
    on_addresses(&d->asker, found.list, found.count);
    if (!d->over && !d->started)
        go_on(d);
    return MS_OK;
}

ms_err ms_dial_start(struct ms_dial **out, struct ms_loop *loop,
                     struct ms_resolver *resolver,
                     const struct ms_dial_config *config)
{
    struct ms_dial *d = ms_zalloc(sizeof(*d) + config->host.n);

    if (!d)
        return MS_ENOMEM;
    d->config = *config;
    memcpy(d + 1, config->host.p, config->host.n);
    d->config.host.p = (const char *)(d + 1);
    d->loop = loop;
    ms_list_init(&d->asker.node);
    d->asker.on_addresses = on_addresses;
    d->asker.on_done = on_asked;
    ms_timer_init(&d->timer, on_timer);
    ms_list_init(&d->attempts);
    d->target = (struct ms_route_host){d->config.host, d->config.port};
    *out = d;
    ms_err err = begin_route(d, resolver);
    if (err) {
        *out = NULL;
        ms_dial_free(d);
    }
    return err;
}

static void free_dial(struct ms_grave *g)
{
    struct ms_dial *d = MS_CONTAINER(g, struct ms_dial, grave);

    ms_dial_queue_fini(&d->queue);
    ms_free(d);
}

void ms_dial_free(struct ms_dial *d)
{
    if (!d)
        return;
    d->over = true;
    ms_resolve_cancel(&d->asker);
    ms_timer_cancel(d->loop, &d->timer);
    abandon_attempts(d);
    ms_loop_bury(d->loop, &d->grave, free_dial);
}

bool ms_dial_resolving(const struct ms_dial *d)
{
    return ms_dial_queue_empty(&d->queue);
}

const char *ms_dial_tried(const struct ms_dial *d, char *buf)
{
    struct ms_dial_report all = d->report;

    ms_list_each (node, &d->attempts) {
        const struct attempt *a = MS_CONTAINER(node, struct attempt, node);
        ms_dial_report_add(&all, &a->addr, MS_OK, 0);
    }
    return ms_dial_report_text(&all, buf);
}
