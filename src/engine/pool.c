/* SPDX-License-Identifier: MIT */
#include "engine/pool.h"

#include <assert.h>

#include "base/mem.h"

/* Enough for a crawler; an idle connection costs less than 1 KiB. */
#define DEFAULT_MAX_IDLE 1000
/* Servers drop idle connections after 5 to 75 seconds. */
#define DEFAULT_IDLE_TIMEOUT_MS 60000
/* How long a connection that became idle in this entry is used again without a
 * look at its socket: a thousand completions in a row take some milliseconds,
 * what blocks in one of them takes more. */
#define TRUSTED_US 10000

static struct ms_pool *pool_of(const struct ms_conn *c)
{
    return MS_CONTAINER(c->env, struct ms_pool, env);
}

static bool is_idle(const struct ms_conn *c)
{
    return !ms_list_empty(&c->lru);
}

static uint64_t idle_deadline(const struct ms_pool *p, const struct ms_conn *c)
{
    return c->idle_since_us + (uint64_t)p->idle_timeout_ms * 1000u;
}

static struct ms_conn *oldest_idle(struct ms_pool *p)
{
    if (ms_list_empty(&p->lru))
        return NULL;
    return MS_CONTAINER(p->lru.next, struct ms_conn, lru);
}

/* The timer stands for the oldest idle connection. It is left alone when that
 * one is used again: firing early costs less than moving it every time. */
static void arm_idle_timer(struct ms_pool *p)
{
    struct ms_conn *c = oldest_idle(p);

    if (c && !ms_timer_active(&p->idle_timer))
        ms_timer_start(p->env.loop, &p->idle_timer, idle_deadline(p, c));
}

static void on_idle_timer(struct ms_timer *t)
{
    struct ms_pool *p = MS_CONTAINER(t, struct ms_pool, idle_timer);
    struct ms_conn *c;

    while ((c = oldest_idle(p)) && idle_deadline(p, c) <= p->env.loop->now_us)
        ms_conn_close(c, MS_OK, 0);
    arm_idle_timer(p);
}

static void leave_idle(struct ms_pool *p, struct ms_conn *c)
{
    ms_list_unlink(&c->idle);
    ms_list_unlink(&c->lru);
    p->idle--;
}

void ms_pool_trim(struct ms_pool *p)
{
    while (p->max_idle >= 0 && p->idle > p->max_idle)
        ms_conn_close(oldest_idle(p), MS_OK, 0);
    ms_timer_cancel(p->env.loop, &p->idle_timer);
    arm_idle_timer(p);
}

static void become_idle(struct ms_pool *p, struct ms_conn *c)
{
    c->idle_since_us = p->env.loop->now_us;
    c->idle_entry = p->env.loop->entries;
    ms_list_push_front(&c->endpoint->idle, &c->idle);
    ms_list_push(&p->lru, &c->lru);
    p->idle++;
    MS_TRACE_MORE(&p->env.loop->trace, MS_TRACE_POOL, c->id, 0, "idle");
    if (p->max_idle >= 0 && p->idle > p->max_idle)
        ms_conn_close(oldest_idle(p), MS_OK, 0);
    arm_idle_timer(p);
}

static void stop_waiting(struct ms_pool *p, struct ms_waiter *w)
{
    ms_list_unlink(&w->node);
    w->endpoint->waiters--;
    w->endpoint = NULL;
    p->waiting--;
}

/* The oldest waiter that may have `c`. */
static struct ms_waiter *next_waiter(const struct ms_conn *c)
{
    if (c->wanted_by)
        return c->wanted_by;
    ms_list_each (node, &c->endpoint->waiting) {
        struct ms_waiter *w = MS_CONTAINER(node, struct ms_waiter, node);
        if (!w->fresh || !c->exchanges)
            return w;
    }
    return NULL;
}

static void disown(struct ms_conn *attempt)
{
    if (!attempt)
        return;
    attempt->wanted_by->attempt = NULL;
    attempt->wanted_by = NULL;
    if (!attempt->connected_us)
        ms_list_push(&attempt->endpoint->spare, &attempt->idle);
}

static void own(struct ms_waiter *w, struct ms_conn *attempt)
{
    ms_list_unlink(&attempt->idle);
    attempt->wanted_by = w;
    w->attempt = attempt;
}

/* Gives `c`, which has room and is on no list, to whoever needs it. */
static void hand_out(struct ms_conn *c)
{
    struct ms_pool *p = pool_of(c);
    struct ms_waiter *w = next_waiter(c);

    if (!w) {
        become_idle(p, c);
        return;
    }
    disown(w->attempt);
    stop_waiting(p, w);
    w->on_conn(w, c);
}

static void on_open(struct ms_conn *c)
{
    struct ms_pool *p = pool_of(c);

    p->connecting--;
    c->endpoint->connecting--;
    p->opened++;
    ms_list_unlink(&c->idle);
    hand_out(c);
}

static void on_room(struct ms_conn *c)
{
    hand_out(c);
}

void ms_pool_release(struct ms_conn *c)
{
    hand_out(c);
}

static void on_closed(struct ms_conn *c, ms_err err, int os_errno)
{
    struct ms_pool *p = pool_of(c);
    struct ms_waiter *w = c->wanted_by;
    struct ms_endpoint *e = c->endpoint;
    enum ms_phase phase = c->resolved_us ? MS_PHASE_CONNECT : MS_PHASE_RESOLVE;

    disown(w ? c : NULL);
    if (is_idle(c))
        leave_idle(p, c);
    ms_list_unlink(&c->idle);
    ms_list_unlink(&c->all);
    p->conns--;
    e->conns--;
    if (c->connected_us) {
        p->closed++;
    } else {
        p->connecting--;
        e->connecting--;
    }
    if (w) {
        stop_waiting(p, w);
        w->on_fail(w, err ? err : MS_EINTERNAL, os_errno, phase);
    }
    ms_endpoint_put(&p->endpoints, e);
}

static const struct ms_conn_events events = {on_open, on_room, on_closed};

ms_err ms_pool_init(struct ms_pool *p, struct ms_loop *loop)
{
    *p = (struct ms_pool){.max_idle = DEFAULT_MAX_IDLE,
                          .idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS};
    p->env.loop = loop;
    ms_list_init(&p->all);
    ms_list_init(&p->lru);
    ms_timer_init(&p->idle_timer, on_idle_timer);
    p->env.scratch = ms_alloc(MS_SCRATCH_BYTES);
    if (!p->env.scratch)
        return MS_ENOMEM;
    ms_err err = ms_resolver_new(&p->env.resolver, loop, NULL);
    if (err)
        ms_free(p->env.scratch);
    return err;
}

void ms_pool_close(struct ms_pool *p)
{
    assert(p->waiting == 0);

    while (!ms_list_empty(&p->all))
        ms_conn_close(MS_CONTAINER(p->all.next, struct ms_conn, all), MS_OK, 0);
    ms_timer_cancel(p->env.loop, &p->idle_timer);
    ms_resolver_free(p->env.resolver);
    p->env.resolver = NULL;
}

void ms_pool_fini(struct ms_pool *p)
{
    assert(!p->env.resolver && p->conns == 0);

    ms_map_fini(&p->endpoints);
    ms_free(p->env.scratch);
}

void ms_waiter_init(struct ms_waiter *w)
{
    ms_list_init(&w->node);
    w->endpoint = NULL;
    w->attempt = NULL;
}

static ms_err start_attempt(struct ms_pool *p, struct ms_waiter *w,
                            const struct ms_pool_wish *wish)
{
    struct ms_endpoint *e = w->endpoint;
    struct ms_conn *c;
    ms_err err = ms_conn_new(&c, &p->env, &events, e, p->last_id + 1);

    if (err)
        return err;
    p->last_id++;
    ms_list_push(&p->all, &c->all);
    p->conns++;
    p->connecting++;
    e->conns++;
    e->connecting++;
    own(w, c);
    ms_conn_start(c, wish->connect_timeout_ms);
    return MS_OK;
}

static void reuse(struct ms_pool *p, struct ms_waiter *w, struct ms_conn *c)
{
    leave_idle(p, c);
    p->reused++;
    w->on_conn(w, c);
}

/* The entry that left a connection idle had read its socket empty. Later the
 * peer may have closed or spoken, and the host not told of it yet. */
static bool is_usable(const struct ms_pool *p, struct ms_conn *c)
{
    const struct ms_loop *l = p->env.loop;
    bool just_now = c->idle_entry == l->entries &&
                    l->now_us - c->idle_since_us < TRUSTED_US;

    return MS_LIKELY(just_now) || ms_conn_look(c);
}

ms_err ms_pool_get(struct ms_pool *p, struct ms_waiter *w,
                   const struct ms_pool_wish *wish)
{
    struct ms_endpoint *e;
    ms_err err;

    while (!(err = ms_endpoint_get(&p->endpoints, &wish->key, &e)) &&
           !wish->fresh && !ms_list_empty(&e->idle)) {
        struct ms_conn *c = MS_CONTAINER(e->idle.next, struct ms_conn, idle);
        if (is_usable(p, c)) {
            reuse(p, w, c);
            return MS_OK;
        }
        /* It is closed, and its endpoint may be gone with it. */
    }
    if (err)
        return err;
    w->endpoint = e;
    w->fresh = wish->fresh;
    ms_list_push(&e->waiting, &w->node);
    e->waiters++;
    p->waiting++;
    /* One that opens for somebody who was served meanwhile will do. */
    if (!ms_list_empty(&e->spare)) {
        own(w, MS_CONTAINER(e->spare.next, struct ms_conn, idle));
        return MS_OK;
    }
    err = start_attempt(p, w, wish);
    if (err) {
        stop_waiting(p, w);
        ms_endpoint_put(&p->endpoints, e);
    }
    return err;
}

void ms_pool_cancel(struct ms_pool *p, struct ms_waiter *w)
{
    struct ms_endpoint *e = w->endpoint;
    struct ms_conn *c = w->attempt;

    if (!e)
        return;
    disown(c);
    stop_waiting(p, w);
    /* It goes on for the others only where there are others for it. */
    if (c && e->connecting > e->waiters)
        ms_conn_close(c, MS_ECANCELLED, 0);
    else
        ms_endpoint_put(&p->endpoints, e);
}

enum ms_phase ms_waiter_phase(const struct ms_waiter *w)
{
    if (!w->attempt)
        return MS_PHASE_QUEUE;
    return w->attempt->resolved_us ? MS_PHASE_CONNECT : MS_PHASE_RESOLVE;
}

static const char *check_lists(struct ms_pool *p)
{
    unsigned idle = 0, lru = 0, connecting = 0;

    ms_list_each (node, &p->lru)
        lru++;
    ms_list_each (node, &p->all) {
        struct ms_conn *c = MS_CONTAINER(node, struct ms_conn, all);
        const char *wrong = ms_conn_check(c);
        if (wrong)
            return wrong;
        idle += is_idle(c);
        connecting += !c->connected_us;
        if (c->wanted_by && c->wanted_by->attempt != c)
            return "an attempt and its waiter disagree";
    }
    if (idle != p->idle || lru != p->idle || connecting != p->connecting)
        return "a count of connections is off";
    if (idle && !ms_timer_active(&p->idle_timer))
        return "idle connections have no deadline";
    return NULL;
}

static void count_endpoint(struct ms_map_node *n, void *user)
{
    struct ms_endpoint *e = MS_CONTAINER(n, struct ms_endpoint, node);
    struct ms_pool *sum = user;
    unsigned waiters = 0;

    ms_list_each (node, &e->waiting)
        waiters++;
    sum->conns += e->conns;
    sum->connecting += e->connecting;
    sum->waiting += waiters;
    if (waiters != e->waiters || (!e->conns && !e->waiters))
        sum->last_id = 1;
}

const char *ms_pool_check(struct ms_pool *p)
{
    struct ms_pool sum = {0};

    ms_map_walk(&p->endpoints, count_endpoint, &sum);
    if (sum.last_id)
        return "an endpoint's waiters are miscounted, or nobody uses it";
    if (sum.conns != p->conns || sum.connecting != p->connecting ||
        sum.waiting != p->waiting)
        return "the endpoints' counts do not add up to the pool's";
    return check_lists(p);
}
