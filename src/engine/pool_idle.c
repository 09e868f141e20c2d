/* SPDX-License-Identifier: MIT */
#include "engine/pool_parts.h"

/* Enough for a crawler; an idle connection costs less than 1 KiB. */
#define DEFAULT_MAX_IDLE 1000
/* Servers drop idle connections after 5 to 75 seconds. */
#define DEFAULT_IDLE_TIMEOUT_MS 60000
/* How long a connection is idle before it gives buffers back. */
#define REST_US 1000000

/* ---- time ---------------------------------------------------------------- */

static uint64_t idle_deadline(const struct ms_pool *p, const struct ms_conn *c)
{
    return c->idle_since_us + (uint64_t)p->idle_timeout_ms * 1000u;
}

/* The timer stands for the oldest idle connection. It is left alone when that
 * one is used again: firing early costs less than moving it every time. */
static void arm_idle_timer(struct ms_pool *p)
{
    struct ms_conn *c = ms_pool_oldest_idle(p);

    if (c && !ms_timer_active(&p->idle_timer))
        ms_timer_start(p->env.loop, &p->idle_timer, idle_deadline(p, c));
}

static void on_idle_timer(struct ms_timer *t)
{
    struct ms_pool *p = MS_CONTAINER(t, struct ms_pool, idle_timer);
    struct ms_conn *c;

    while ((c = ms_pool_oldest_idle(p)) && !MS_MUTANT_IS(108) &&
           idle_deadline(p, c) <= p->env.loop->now_us)
        ms_conn_close(c, MS_OK, 0);
    arm_idle_timer(p);
}

/* A connection of TLS buffers some 33 KiB, one of HTTP/2 may keep more; making
 * that anew for each request would cost as much as the rest of the library. So
 * only one that is idle for a while gives it back. */
static bool can_rest(const struct ms_conn *c)
{
    return c->link.tls || c->session->ops->rest;
}

static void rest(struct ms_conn *c)
{
    c->resting = true;
    if (c->session->ops->rest)
        c->session->ops->rest(c->session);
    if (c->link.tls)
        ms_tls_release_buffers(c->link.tls);
}

static void on_rest_timer(struct ms_timer *t)
{
    struct ms_pool *p = MS_CONTAINER(t, struct ms_pool, rest_timer);
    uint64_t now = p->env.loop->now_us, next = 0;

    /* The latest first: behind one that rests all do. */
    for (struct ms_list *n = p->lru.prev; n != &p->lru; n = n->prev) {
        struct ms_conn *c = MS_CONTAINER(n, struct ms_conn, lru);
        if (c->resting)
            break;
        if (c->idle_since_us + REST_US > now) {
            next = c->idle_since_us + REST_US;
            continue;
        }
        rest(c);
    }
    if (next)
        ms_timer_start(p->env.loop, &p->rest_timer, next);
}

static uint64_t age_deadline(const struct ms_pool *p, const struct ms_conn *c)
{
    return p->max_age_ms == MS_POOL_NO_LIMIT
               ? MS_NEVER
               : c->opened_us + (uint64_t)p->max_age_ms * 1000u;
}

static struct ms_conn *oldest_open(const struct ms_pool *p)
{
    if (ms_list_empty(&p->open))
        return NULL;
    return MS_CONTAINER(p->open.next, struct ms_conn, all);
}

/* One timer, for the oldest, so that no request has to look at an age. */
static void arm_age_timer(struct ms_pool *p)
{
    struct ms_conn *c = oldest_open(p);

    if (c && p->max_age_ms != MS_POOL_NO_LIMIT &&
        !ms_timer_active(&p->age_timer))
        ms_timer_start(p->env.loop, &p->age_timer, age_deadline(p, c));
}

static void on_age_timer(struct ms_timer *t)
{
    struct ms_pool *p = MS_CONTAINER(t, struct ms_pool, age_timer);
    struct ms_conn *c;

    while ((c = oldest_open(p)) && ms_pool_is_aged(p, c))
        ms_pool_retire(p, c);
    arm_age_timer(p);
}

void ms_pool_start_age(struct ms_pool *p, struct ms_conn *c)
{
    c->opened_us = p->env.loop->now_us;
    ms_list_push(&p->open, &c->all);
    arm_age_timer(p);
}

bool ms_pool_is_aged(const struct ms_pool *p, const struct ms_conn *c)
{
    return age_deadline(p, c) <= p->env.loop->now_us;
}

/* ---- coming and going ---------------------------------------------------- */

static void close_surplus(struct ms_pool *p)
{
    while (p->max_idle >= 0 && p->idle > p->max_idle + MS_MUTANT_IS(110))
        ms_conn_close(ms_pool_oldest_idle(p), MS_OK, 0);
}

static void become_idle(struct ms_pool *p, struct ms_conn *c)
{
    c->idle_since_us = p->env.loop->now_us;
    ms_pool_heard_out(p, c);
    c->resting = false;
    if (can_rest(c) && !ms_timer_active(&p->rest_timer))
        ms_timer_start(p->env.loop, &p->rest_timer, c->idle_since_us + REST_US);
    ms_list_push(&p->lru, &c->lru);
    p->idle++;
    MS_TRACE_MORE(&p->env.loop->trace, MS_TRACE_POOL, c->id, 0, "idle");
}

void ms_pool_leave_idle(struct ms_pool *p, struct ms_conn *c)
{
    ms_list_unlink(&c->idle);
    ms_list_unlink(&c->lru);
    p->idle--;
}

void ms_pool_keep_idle(struct ms_pool *p, struct ms_conn *c)
{
    become_idle(p, c);
    ms_list_push_front(&c->endpoint->idle, &c->idle);
    close_surplus(p);
    arm_idle_timer(p);
}

void ms_pool_place(struct ms_pool *p, struct ms_conn *c)
{
    struct ms_endpoint *e = c->endpoint;
    bool was_idle = ms_pool_is_idle(c), in_use = c->session->streams > 0;

    if (was_idle && in_use)
        ms_pool_leave_idle(p, c);
    if (!was_idle && !in_use)
        become_idle(p, c);
    ms_list_unlink(&c->idle);
    if (ms_conn_room(c))
        ms_list_push_front(in_use ? &e->roomy : &e->idle, &c->idle);
    if (was_idle || in_use)
        return;
    close_surplus(p);
    arm_idle_timer(p);
}

/* ---- limits change ------------------------------------------------------- */

static void close_beyond(struct ms_pool *p)
{
    close_surplus(p);
    while (p->conns > p->max_conns && p->idle)
        ms_conn_close(ms_pool_oldest_idle(p), MS_OK, 0);
    ms_list_each (node, &p->lru) {
        struct ms_conn *c = MS_CONTAINER(node, struct ms_conn, lru);
        if (c->endpoint->conns > p->max_per_host)
            ms_conn_close(c, MS_OK, 0);
    }
}

static void refresh(struct ms_map_node *n, void *user)
{
    ms_pool_refresh(user, MS_CONTAINER(n, struct ms_endpoint, node));
}

void ms_pool_trim(struct ms_pool *p)
{
    p->limited =
        p->max_conns != MS_POOL_NO_LIMIT || p->max_per_host != MS_POOL_NO_LIMIT;
    p->serving = true; /* not before all is known */
    close_beyond(p);
    ms_map_walk(&p->endpoints, refresh, p);
    p->serving = false;
    ms_timer_cancel(p->env.loop, &p->idle_timer);
    arm_idle_timer(p);
    ms_timer_cancel(p->env.loop, &p->age_timer);
    arm_age_timer(p);
    ms_pool_serve(p);
}

void ms_pool_init_idle(struct ms_pool *p)
{
    p->max_idle = DEFAULT_MAX_IDLE;
    p->idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS;
    p->max_age_ms = MS_POOL_NO_LIMIT;
    ms_list_init(&p->lru);
    ms_timer_init(&p->idle_timer, on_idle_timer);
    ms_timer_init(&p->rest_timer, on_rest_timer);
    ms_timer_init(&p->age_timer, on_age_timer);
}

void ms_pool_stop_idle(struct ms_pool *p)
{
    ms_timer_cancel(p->env.loop, &p->idle_timer);
    ms_timer_cancel(p->env.loop, &p->rest_timer);
    ms_timer_cancel(p->env.loop, &p->age_timer);
}
