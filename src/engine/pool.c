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
/* How long a connection is idle before it gives buffers back. */
#define REST_US 1000000

/* What most servers allow (nginx 128, h2o and Apache 100). */
#define DEFAULT_MAX_STREAMS 100

/* Endpoints of TLS that nobody uses, and the sessions of their peers. */
#define MAX_REMEMBERED 1000

static struct ms_pool *pool_of(const struct ms_conn *c)
{
    return MS_CONTAINER(c->env, struct ms_pool, env);
}

static ms_err start_attempt(struct ms_pool *p, struct ms_endpoint *e,
                            struct ms_waiter *w, int64_t timeout_ms);
static ms_err open_more(struct ms_pool *p, struct ms_endpoint *e);

/* Lets go of an endpoint. What is known of a peer spares the next connection
 * a handshake and a guess: it is kept for a while. */
static void put_endpoint(struct ms_pool *p, struct ms_endpoint *e)
{
    if (!ms_endpoint_unused(e))
        return;
    if (!ms_endpoint_worth_keeping(e)) {
        ms_endpoint_free(&p->endpoints, e);
        return;
    }
    ms_list_push(&p->remembered, &e->remembered);
    if (++p->remembering <= MAX_REMEMBERED)
        return;
    e = MS_CONTAINER(p->remembered.next, struct ms_endpoint, remembered);
    p->remembering--;
    ms_endpoint_free(&p->endpoints, e);
}

static ms_err get_endpoint(struct ms_pool *p, const struct ms_endpoint_key *key,
                           struct ms_endpoint **out)
{
    ms_err err = ms_endpoint_get(&p->endpoints, key, out);

    if (err || ms_list_empty(&(*out)->remembered))
        return err;
    ms_list_unlink(&(*out)->remembered);
    p->remembering--;
    return MS_OK;
}

static uint64_t max_streams(const struct ms_pool *p)
{
    return (uint64_t)p->env.max_streams;
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

/* A connection of TLS buffers some 33 KiB; making that anew for each request
 * would cost as much as the rest of the library. So only one that is idle for
 * a while gives it back. */
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
        c->resting = true;
        if (c->link.tls)
            ms_tls_release_buffers(c->link.tls);
    }
    if (next)
        ms_timer_start(p->env.loop, &p->rest_timer, next);
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
    c->resting = false;
    if (c->link.tls && !ms_timer_active(&p->rest_timer))
        ms_timer_start(p->env.loop, &p->rest_timer, c->idle_since_us + REST_US);
    ms_list_push(&p->lru, &c->lru);
    p->idle++;
    MS_TRACE_MORE(&p->env.loop->trace, MS_TRACE_POOL, c->id, 0, "idle");
}

static void keep_idle(struct ms_pool *p, struct ms_conn *c)
{
    become_idle(p, c);
    ms_list_push_front(&c->endpoint->idle, &c->idle);
    if (p->max_idle >= 0 && p->idle > p->max_idle)
        ms_conn_close(oldest_idle(p), MS_OK, 0);
    arm_idle_timer(p);
}

/* Offers `c` where it belongs: idle, in use with room for more, or nowhere. */
static void place(struct ms_pool *p, struct ms_conn *c)
{
    struct ms_endpoint *e = c->endpoint;
    bool was_idle = is_idle(c), in_use = c->session->streams > 0;

    if (was_idle && in_use)
        leave_idle(p, c);
    if (!was_idle && !in_use)
        become_idle(p, c);
    ms_list_unlink(&c->idle);
    if (ms_conn_room(c))
        ms_list_push_front(in_use ? &e->roomy : &e->idle, &c->idle);
    if (was_idle || in_use)
        return;
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
    if (!attempt->session)
        ms_list_push(&attempt->endpoint->spare, &attempt->idle);
}

static void own(struct ms_waiter *w, struct ms_conn *attempt)
{
    ms_list_unlink(&attempt->idle);
    attempt->wanted_by = w;
    w->attempt = attempt;
}

static void give(struct ms_waiter *w, struct ms_conn *c)
{
    struct ms_pool *p = pool_of(c);

    disown(w->attempt);
    stop_waiting(p, w);
    p->reused += c->exchanges > 0;
    w->on_conn(w, c);
}

/* Whether all the streams are in use that the peer takes. While that is not
 * known, more may be had; where it takes none, more connections do not help. */
static void note_full(struct ms_conn *c, bool full)
{
    struct ms_endpoint *e = c->endpoint;

    if (c->full == full)
        return;
    c->full = full;
    e->full += full ? 1u : -1u;
}

/* Whether those that it serves are the last. */
static void note_over(struct ms_conn *c, bool over)
{
    struct ms_endpoint *e = c->endpoint;

    if (c->over == over)
        return;
    c->over = over;
    e->over += over ? 1u : -1u;
}

/* The same for one that serves many: as long as it has room, and others. */
static void hand_out_streams(struct ms_conn *c)
{
    struct ms_pool *p = pool_of(c);
    struct ms_waiter *w;

    c->handing = true;
    while (ms_conn_room(c) && (w = next_waiter(c)))
        give(w, c);
    c->handing = false;
    if (c->state != MS_CONN_OPEN)
        return;
    note_full(c, c->session->streams && !ms_conn_room(c) &&
                     (c->session->ops->capacity(c->session) ||
                      c->session->ops->done(c->session)));
    note_over(c, ms_conn_is_over(c));
    place(p, c);
    if (c->endpoint->waiters)
        (void)!open_more(p, c->endpoint);
}

/* Gives `c`, which has room and is on no list, to whoever needs it. */
static void hand_out(struct ms_conn *c)
{
    struct ms_waiter *w;

    if (c->many) {
        if (!c->handing)
            hand_out_streams(c);
        return;
    }
    w = next_waiter(c);
    if (w)
        give(w, c);
    else
        keep_idle(pool_of(c), c);
}

/* The endpoint's connections serve one at a time: everybody who waited to
 * share one needs his own. */
static void fan_out(struct ms_pool *p, struct ms_endpoint *e)
{
    struct ms_list all, *node;

    ms_list_init(&all);
    ms_list_splice(&all, &e->waiting);
    while ((node = ms_list_pop(&all))) {
        struct ms_waiter *w = MS_CONTAINER(node, struct ms_waiter, node);
        ms_list_push(&e->waiting, node);
        if (w->attempt)
            continue;
        ms_err err = start_attempt(p, e, w, w->connect_timeout_ms);
        if (err) {
            stop_waiting(p, w);
            w->on_fail(w, &(struct ms_conn_end){.err = err}, MS_PHASE_QUEUE);
        }
    }
}

static void on_open(struct ms_conn *c)
{
    struct ms_pool *p = pool_of(c);
    struct ms_endpoint *e = c->endpoint;
    bool shared = ms_endpoint_may_share(e);

    p->connecting--;
    e->connecting--;
    e->protocol = c->many ? MS_SPEAKS_2 : MS_SPEAKS_1;
    p->opened++;
    ms_list_unlink(&c->idle);
    e->held++;
    hand_out(c);
    if (shared && !c->many)
        fan_out(p, e);
    e->held--;
    put_endpoint(p, e);
}

static void on_change(struct ms_conn *c)
{
    hand_out(c);
}

void ms_pool_release(struct ms_conn *c)
{
    hand_out(c);
}

static enum ms_phase phase_of(const struct ms_conn *c)
{
    if (c->connected_us && c->endpoint->key.secure)
        return MS_PHASE_TLS;
    return c->resolved_us ? MS_PHASE_CONNECT : MS_PHASE_RESOLVE;
}

/* An attempt failed, and with it whoever has no other hope: its own waiter,
 * or all that share the endpoint, unless another connection opens or takes
 * more than it has. Each is told once. */
static void fail_waiters(struct ms_pool *p, const struct ms_conn *c,
                         struct ms_waiter *w, const struct ms_conn_end *end)
{
    struct ms_endpoint *e = c->endpoint;
    struct ms_conn_end told = *end;
    struct ms_list all, *node;

    if (!told.err)
        told.err = MS_EINTERNAL;
    ms_list_init(&all);
    if (w)
        ms_list_push(&all, &w->node);
    else if (ms_endpoint_may_share(e) && e->conns == e->over)
        ms_list_splice(&all, &e->waiting);
    while (!ms_list_empty(&all)) {
        node = all.next;
        w = MS_CONTAINER(node, struct ms_waiter, node);
        stop_waiting(p, w);
        w->on_fail(w, &told, phase_of(c));
    }
}

static void on_closed(struct ms_conn *c, const struct ms_conn_end *end)
{
    struct ms_pool *p = pool_of(c);
    struct ms_waiter *w = c->wanted_by;
    struct ms_endpoint *e = c->endpoint;

    disown(w ? c : NULL);
    if (is_idle(c))
        leave_idle(p, c);
    note_full(c, false);
    note_over(c, false);
    ms_list_unlink(&c->idle);
    ms_list_unlink(&c->all);
    p->conns--;
    p->closed += c->session != NULL;
    e->conns--;
    if (!c->session) {
        p->connecting--;
        e->connecting--;
        fail_waiters(p, c, w, end);
    } else if (e->waiters && ms_endpoint_may_share(e)) {
        (void)!open_more(p, e);
    }
    put_endpoint(p, e);
}

static const struct ms_conn_events events = {on_open, on_change, on_closed};

ms_err ms_pool_init(struct ms_pool *p, struct ms_loop *loop)
{
    *p = (struct ms_pool){.max_idle = DEFAULT_MAX_IDLE,
                          .idle_timeout_ms = DEFAULT_IDLE_TIMEOUT_MS};
    p->env.loop = loop;
    p->env.max_streams = DEFAULT_MAX_STREAMS;
    p->env.ping_interval_ms = -1;
    ms_list_init(&p->all);
    ms_list_init(&p->lru);
    ms_list_init(&p->remembered);
    ms_list_init(&p->env.closing);
    ms_timer_init(&p->idle_timer, on_idle_timer);
    ms_timer_init(&p->rest_timer, on_rest_timer);
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

    p->env.hasty = true;
    ms_conn_end_closing(&p->env);
    while (!ms_list_empty(&p->all))
        ms_conn_close(MS_CONTAINER(p->all.next, struct ms_conn, all), MS_OK, 0);
    ms_timer_cancel(p->env.loop, &p->idle_timer);
    ms_timer_cancel(p->env.loop, &p->rest_timer);
    ms_resolver_free(p->env.resolver);
    p->env.resolver = NULL;
}

void ms_pool_fini(struct ms_pool *p)
{
    assert(!p->env.resolver && p->conns == 0);

    while (!ms_list_empty(&p->remembered))
        ms_endpoint_free(
            &p->endpoints,
            MS_CONTAINER(p->remembered.next, struct ms_endpoint, remembered));
    ms_map_fini(&p->endpoints);
    ms_link_env_fini(&p->env.link);
    ms_free(p->env.scratch);
}

void ms_waiter_init(struct ms_waiter *w)
{
    ms_list_init(&w->node);
    w->endpoint = NULL;
    w->attempt = NULL;
}

/* Opens a connection, for one waiter or (NULL) for all. It may have failed
 * when this returns, and its waiters been told. */
static ms_err start_attempt(struct ms_pool *p, struct ms_endpoint *e,
                            struct ms_waiter *w, int64_t timeout_ms)
{
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
    if (w)
        own(w, c);
    else
        ms_list_push(&e->spare, &c->idle);
    ms_conn_start(c, timeout_ms);
    return MS_OK;
}

/* Opens connections that are to be shared: as many as the waiters fill, and
 * only while no stream is in sight on those there are. */
static ms_err open_more(struct ms_pool *p, struct ms_endpoint *e)
{
    uint64_t each = max_streams(p);
    uint64_t tries = 1 + e->waiters / each; /* some may fail at once */
    ms_err err = MS_OK;

    e->held++;
    while (!err && tries-- > 0 && ms_endpoint_may_share(e) &&
           e->full + e->connecting == e->conns &&
           e->connecting * each < e->waiters) {
        struct ms_waiter *w =
            MS_CONTAINER(e->waiting.next, struct ms_waiter, node);
        err = start_attempt(p, e, NULL, w->connect_timeout_ms);
    }
    e->held--;
    return err;
}

static void reuse(struct ms_pool *p, struct ms_waiter *w, struct ms_conn *c)
{
    if (is_idle(c))
        leave_idle(p, c);
    p->reused++;
    if (!c->many) {
        w->on_conn(w, c);
        return;
    }
    c->handing = true;
    w->on_conn(w, c);
    c->handing = false;
    if (c->state == MS_CONN_OPEN)
        hand_out_streams(c);
}

static struct ms_conn *find_room(const struct ms_endpoint *e)
{
    if (!ms_list_empty(&e->roomy))
        return MS_CONTAINER(e->roomy.next, struct ms_conn, idle);
    if (!ms_list_empty(&e->idle))
        return MS_CONTAINER(e->idle.next, struct ms_conn, idle);
    return NULL;
}

static void start_waiting(struct ms_pool *p, struct ms_waiter *w,
                          struct ms_endpoint *e,
                          const struct ms_pool_wish *wish)
{
    w->endpoint = e;
    w->fresh = wish->fresh;
    w->connect_timeout_ms = wish->connect_timeout_ms;
    ms_list_push(&e->waiting, &w->node);
    e->waiters++;
    p->waiting++;
}

/* The entry that left a connection idle had read its socket empty. Later the
 * peer may have closed or spoken, and the host not told of it yet. One that is
 * in use hears of it anyway. */
static bool is_usable(const struct ms_pool *p, struct ms_conn *c)
{
    const struct ms_loop *l = p->env.loop;
    bool just_now = c->idle_entry == l->entries &&
                    l->now_us - c->idle_since_us < TRUSTED_US;

    return MS_LIKELY(just_now) || !is_idle(c) || ms_conn_look(c);
}

ms_err ms_pool_get(struct ms_pool *p, struct ms_waiter *w,
                   const struct ms_pool_wish *wish)
{
    struct ms_endpoint *e;
    struct ms_conn *c;
    ms_err err;

    while (!(err = get_endpoint(p, &wish->key, &e)) && !wish->fresh &&
           (c = find_room(e))) {
        if (is_usable(p, c)) {
            reuse(p, w, c);
            return MS_OK;
        }
        /* It is on offer no more, and its endpoint may be gone with it. */
    }
    if (err)
        return err;
    start_waiting(p, w, e, wish);
    if (ms_endpoint_may_share(e) && !wish->fresh) {
        err = open_more(p, e);
    } else if (!ms_list_empty(&e->spare)) {
        /* One that opens for somebody who was served meanwhile will do. */
        own(w, MS_CONTAINER(e->spare.next, struct ms_conn, idle));
    } else {
        err = start_attempt(p, e, w, wish->connect_timeout_ms);
    }
    /* It waits no more when it was told already. */
    if (w->endpoint && err && e->conns == e->over) {
        stop_waiting(p, w);
        put_endpoint(p, e);
        return err;
    }
    return MS_OK;
}

/* Attempts that were for all, when nobody is left. */
static void end_spare(struct ms_pool *p, struct ms_endpoint *e)
{
    e->held++;
    while (!e->waiters && !ms_list_empty(&e->spare))
        ms_conn_close(MS_CONTAINER(e->spare.next, struct ms_conn, idle),
                      MS_ECANCELLED, 0);
    e->held--;
    put_endpoint(p, e);
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
    else if (!c)
        end_spare(p, e);
    else
        put_endpoint(p, e);
}

enum ms_phase ms_waiter_phase(const struct ms_waiter *w)
{
    const struct ms_conn *c = w->attempt;

    if (!c && w->endpoint && !ms_list_empty(&w->endpoint->spare))
        c = MS_CONTAINER(w->endpoint->spare.next, struct ms_conn, idle);
    if (!c)
        return MS_PHASE_QUEUE;
    return c->resolved_us ? MS_PHASE_CONNECT : MS_PHASE_RESOLVE;
}

void ms_pool_renew(struct ms_pool *p)
{
    while (oldest_idle(p))
        ms_conn_close(oldest_idle(p), MS_OK, 0);
    ms_list_each (node, &p->all) {
        struct ms_conn *c = MS_CONTAINER(node, struct ms_conn, all);
        if (c->state != MS_CONN_OPEN)
            continue;
        c->last_exchange = true;
        if (c->many)
            hand_out(c);
    }
    ms_resolver_renew(p->env.resolver);
}

void ms_pool_keep_alive(struct ms_pool *p)
{
    ms_list_each (node, &p->all)
        ms_conn_keep_alive(MS_CONTAINER(node, struct ms_conn, all));
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
        connecting += !c->session;
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
    bool kept = !ms_list_empty(&e->remembered);
    if (waiters != e->waiters || kept != (!e->conns && !e->waiters))
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
