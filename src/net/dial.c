/* SPDX-License-Identifier: MIT */
#include "net/dial.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "net/sock.h"

/* One connect() on its way. */
struct attempt {
    struct ms_list node; /* on dial->attempts */
    struct ms_sock *sock;
    struct ms_interest interest;
    struct ms_addr addr;
    struct ms_dial *dial;
};

/* Addresses of one family that were not tried yet. */
struct queue {
    struct ms_addr *list; /* owned */
    size_t count, next;
};

struct ms_dial {
    struct ms_dial_config config; /* config.host points behind the struct */
    struct ms_loop *loop;
    struct ms_asker asker;
    struct ms_timer next_attempt;
    struct ms_grave grave;
    struct queue v6, v4;
    struct ms_list attempts; /* of struct attempt, owned */
    unsigned active;
    ms_err err; /* of the last failure */
    int os_errno;
    bool v4_is_next, all_known, over;
};

static void trace_attempt(struct ms_dial *d, const char *what,
                          const struct ms_addr *a)
{
    char text[MS_ADDR_TEXT];

    if (d->loop->trace.on)
        MS_TRACE(&d->loop->trace, MS_TRACE_DIAL, d->config.conn, 0, "%s %s",
                 what, ms_addr_text(a, text));
}

static bool next_address(struct ms_dial *d, struct ms_addr *out)
{
    struct queue *first = d->v4_is_next ? &d->v4 : &d->v6;
    struct queue *second = d->v4_is_next ? &d->v6 : &d->v4;
    struct queue *q = first->next < first->count ? first : second;

    if (q->next >= q->count)
        return false;
    *out = q->list[q->next++];
    d->v4_is_next = q == &d->v6;
    return true;
}

static bool addresses_left(const struct ms_dial *d)
{
    return d->v6.next < d->v6.count || d->v4.next < d->v4.count;
}

static void note_failure(struct ms_dial *d, const struct ms_addr *a, ms_err err,
                         int os_errno)
{
    trace_attempt(d, ms_err_code(err), a);
    d->err = err;
    d->os_errno = os_errno;
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
    ms_timer_cancel(d->loop, &d->next_attempt);
    ms_resolve_cancel(&d->asker);
    d->over = true;
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
    ms_interest_set(&a->interest, a->sock, MS_POLL_OUT);
    return MS_OK;
}

/* True when an attempt to the next address is on its way or has failed. */
static bool start_attempt(struct ms_dial *d)
{
    struct ms_addr addr;
    int fd = -1, os_errno = 0;

    if (d->active == MS_DIAL_MAX_ATTEMPTS || !next_address(d, &addr))
        return false;
    ms_addr_set_port(&addr, d->config.port);
    trace_attempt(d, "trying", &addr);
    ms_err err = ms_net_connect(&addr, d->config.nodelay, &fd, &os_errno);
    if (!err) {
        err = watch(d, fd, &addr);
        if (err)
            ms_net_close(fd);
    }
    if (err)
        note_failure(d, &addr, err, os_errno);
    return true;
}

static void arm_next_attempt(struct ms_dial *d)
{
    if (addresses_left(d) && d->active < MS_DIAL_MAX_ATTEMPTS)
        ms_timer_start(d->loop, &d->next_attempt,
                       d->loop->now_us + (uint64_t)d->config.delay_ms * 1000u);
}

static void fail(struct ms_dial *d)
{
    d->over = true;
    ms_timer_cancel(d->loop, &d->next_attempt);
    d->config.on_failed(d->config.owner, d->err ? d->err : MS_EHOST,
                        d->os_errno);
}

/* Starts attempts until one is pending; fails when nothing is left to try. */
static void go_on(struct ms_dial *d)
{
    unsigned before = d->active;

    while (d->active <= before && start_attempt(d))
        ;
    if (d->active)
        arm_next_attempt(d);
    else if (d->all_known)
        fail(d);
}

static void on_next_attempt(struct ms_timer *t)
{
    go_on(MS_CONTAINER(t, struct ms_dial, next_attempt));
}

static ms_err queue_add(struct queue *q, const struct ms_addr *a)
{
    /* Grows one by one: lists are short, and this happens once a connection. */
    struct ms_addr *list = ms_realloc(q->list, (q->count + 1) * sizeof(*list));

    if (!list)
        return MS_ENOMEM;
    list[q->count++] = *a;
    q->list = list;
    return MS_OK;
}

static void on_addresses(struct ms_asker *asker, const struct ms_addr *list,
                         size_t count)
{
    struct ms_dial *d = MS_CONTAINER(asker, struct ms_dial, asker);
    bool first = !d->v6.count && !d->v4.count;

    for (size_t i = 0; i < count; i++)
        if (queue_add(ms_addr_is_v6(&list[i]) ? &d->v6 : &d->v4, &list[i]))
            break;
    if (first)
        d->config.on_resolved(d->config.owner);
    if (!d->active)
        go_on(d);
    else if (!ms_timer_active(&d->next_attempt))
        arm_next_attempt(d);
}

static void on_asked(struct ms_asker *asker, ms_err err)
{
    struct ms_dial *d = MS_CONTAINER(asker, struct ms_dial, asker);

    d->all_known = true;
    if (d->over)
        return;
    if (err)
        d->err = err;
    if (!d->active && !addresses_left(d))
        fail(d);
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
    ms_timer_init(&d->next_attempt, on_next_attempt);
    ms_list_init(&d->attempts);
    *out = d;
    ms_err err = ms_resolve_start(resolver, &d->asker, d->config.host);
    if (err) {
        *out = NULL;
        ms_dial_free(d);
    }
    return err;
}

static void free_dial(struct ms_grave *g)
{
    struct ms_dial *d = MS_CONTAINER(g, struct ms_dial, grave);

    ms_free(d->v6.list);
    ms_free(d->v4.list);
    ms_free(d);
}

void ms_dial_free(struct ms_dial *d)
{
    if (!d)
        return;
    d->over = true;
    ms_resolve_cancel(&d->asker);
    ms_timer_cancel(d->loop, &d->next_attempt);
    abandon_attempts(d);
    ms_loop_bury(d->loop, &d->grave, free_dial);
}

bool ms_dial_resolving(const struct ms_dial *d)
{
    return !d->v6.count && !d->v4.count;
}
