/* SPDX-License-Identifier: MIT */
#include "engine/pool_parts.h"

/* What a walk over the endpoints adds up. */
struct sum {
    struct ms_pool *pool;
    unsigned conns, connecting, waiting, stuck;
    const char *wrong;
};

static unsigned length(struct ms_list *l)
{
    unsigned n = 0;

    ms_list_each (node, l)
        n++;
    return n;
}

/* In the order they came; each on its list only. */
static const char *check_waiters(struct ms_list *waiters, bool fresh)
{
    uint64_t last = 0;

    ms_list_each (node, waiters) {
        struct ms_waiter *w = MS_CONTAINER(node, struct ms_waiter, node);
        if (w->ticket <= last || w->fresh != fresh)
            return "waiters are out of order";
        if (w->attempt && !ms_list_empty(&w->bare))
            return "a waiter with an attempt is listed as one without";
        last = w->ticket;
    }
    return NULL;
}

/* Everybody waits for something that will come. */
static const char *check_hope(struct ms_pool *p, struct ms_endpoint *e)
{
    bool listed = !ms_list_empty(&e->turn), shared = ms_endpoint_may_share(e);
    unsigned owned = 0;

    ms_list_each (node, &e->waiting)
        owned += MS_CONTAINER(node, struct ms_waiter, node)->attempt != NULL;
    ms_list_each (node, &e->choosy)
        owned += MS_CONTAINER(node, struct ms_waiter, node)->attempt != NULL;
    if (!shared && owned + e->bare_count != e->waiters)
        return "a waiter is forgotten";
    if (e->bare_count && !ms_list_empty(&e->spare))
        return "somebody lacks an attempt that nobody has";
    if (listed != (ms_pool_wants_one(p, e) && ms_pool_has_own_room(p, e)))
        return "an endpoint queues without need, or does not";
    if (listed && ((e->rank < MS_POOL_RANKS - 1 && e->conns >> e->rank) ||
                   (e->rank && !(e->conns >> (e->rank - 1)))))
        return "an endpoint queues in the wrong list";
    if (listed && !(p->ranks >> e->rank & 1u))
        return "an endpoint queues where nobody looks";
    if (e->waiters && !e->conns && !listed)
        return "waiters wait for nothing";
    return NULL;
}

static const char *check_endpoint(struct ms_pool *p, struct ms_endpoint *e)
{
    const char *wrong = check_waiters(&e->waiting, false);

    if (!wrong)
        wrong = check_waiters(&e->choosy, true);
    if (length(&e->choosy) != e->choosers ||
        length(&e->waiting) + e->choosers != e->waiters ||
        length(&e->bare) != e->bare_count)
        return "an endpoint's waiters are miscounted";
    if (ms_endpoint_unused(e) && ms_list_empty(&e->remembered))
        return "an endpoint that nobody uses is still there";
    return wrong ? wrong : check_hope(p, e);
}

static void add_endpoint(struct ms_map_node *n, void *user)
{
    struct ms_endpoint *e = MS_CONTAINER(n, struct ms_endpoint, node);
    struct sum *sum = user;

    sum->conns += e->conns;
    sum->connecting += e->connecting;
    sum->waiting += e->waiters;
    sum->stuck += e->stuck;
    if (!sum->wrong)
        sum->wrong = check_endpoint(sum->pool, e);
}

static const char *check_list(struct ms_list *conns, bool opening)
{
    ms_list_each (node, conns) {
        struct ms_conn *c = MS_CONTAINER(node, struct ms_conn, all);
        const char *wrong = ms_conn_check(c);
        if (wrong)
            return wrong;
        if (!c->session != opening)
            return "a connection is on the list of another state";
        if (c->wanted_by && c->wanted_by->attempt != c)
            return "an attempt and its waiter disagree";
    }
    return NULL;
}

static const char *check_conns(struct ms_pool *p)
{
    const char *wrong = check_list(&p->opening, true);
    unsigned idle = length(&p->lru);

    if (!wrong)
        wrong = check_list(&p->open, false);
    if (!wrong)
        wrong = check_list(&p->leaving, false);
    if (wrong)
        return wrong;
    if (idle != p->idle || length(&p->opening) != p->connecting ||
        length(&p->open) + length(&p->leaving) + p->connecting != p->conns)
        return "a count of connections is off";
    if (idle && !ms_timer_active(&p->idle_timer))
        return "idle connections have no deadline";
    if (ms_pool_next_in_turn(p) && (p->conns < p->max_conns || idle))
        return "somebody queues for a slot that is free";
    return NULL;
}

const char *ms_pool_check(struct ms_pool *p)
{
    struct sum sum = {.pool = p};

    ms_map_walk(&p->endpoints, add_endpoint, &sum);
    if (sum.wrong)
        return sum.wrong;
    if (sum.conns != p->conns || sum.connecting != p->connecting ||
        sum.waiting != p->waiting || sum.stuck != p->stuck)
        return "the endpoints' counts do not add up to the pool's";
    return check_conns(p);
}
