/* SPDX-License-Identifier: MIT */
#include "engine/pool_parts.h"

#include <assert.h>

/* How long an endpoint keeps a slot for sure that one without any waits for.
 * An attempt outlives one lost SYN, which is sent again after a second (RFC
 * 6298, 2.1); and a connection that opened pays for its handshakes. */
#define TURN_US 2000000

/* ---- who lacks a slot ---------------------------------------------------- */

bool ms_pool_wants_one(const struct ms_pool *p, const struct ms_endpoint *e)
{
    uint64_t each = (uint64_t)p->env.max_streams;

    if (e->bare_count || (MS_MUTANT_IS(115) && e->waiters > e->connecting))
        return true;
    /* One that is shared: no stream is in sight on those there are. */
    return ms_endpoint_may_share(e) && !e->tired &&
           e->full + e->connecting == e->conns &&
           e->connecting * each < e->waiters - e->choosers;
}

/* An idle one is no good for who waits beside it, or nobody would wait; so it
 * may be closed for another. */
bool ms_pool_has_own_room(const struct ms_pool *p, const struct ms_endpoint *e)
{
    return e->conns < p->max_per_host + MS_MUTANT_IS(111) ||
           !ms_list_empty(&e->idle);
}

static void count_stuck(struct ms_pool *p, struct ms_endpoint *e)
{
    bool begun = !ms_endpoint_may_share(e) || e->connecting;
    unsigned stuck = begun ? e->bare_count : e->waiters;

    p->stuck += stuck - e->stuck;
    e->stuck = stuck;
}

static uint8_t rank_of(const struct ms_endpoint *e)
{
    uint8_t rank = 0;

    for (unsigned n = e->conns; n && rank < MS_POOL_RANKS - 1; n >>= 1)
        rank++;
    return rank;
}

static void leave_line(struct ms_pool *p, struct ms_endpoint *e)
{
    if (ms_list_empty(&e->turn))
        return;
    ms_list_unlink(&e->turn);
    if (ms_list_empty(&p->turns[e->rank]))
        p->ranks &= ~(1u << e->rank);
}

static void stand_in_line(struct ms_pool *p, struct ms_endpoint *e)
{
    uint8_t rank = rank_of(e);

    if (!ms_list_empty(&e->turn) && rank == e->rank)
        return;
    leave_line(p, e);
    e->rank = rank;
    ms_list_push(&p->turns[rank], &e->turn);
    p->ranks |= 1u << rank;
}

void ms_pool_refresh(struct ms_pool *p, struct ms_endpoint *e)
{
    count_stuck(p, e);
    if (ms_pool_wants_one(p, e) && ms_pool_has_own_room(p, e))
        stand_in_line(p, e);
    else
        leave_line(p, e);
}

struct ms_endpoint *ms_pool_next_in_turn(const struct ms_pool *p)
{
    if (!p->ranks)
        return NULL;
    return MS_CONTAINER(p->turns[__builtin_ctz(p->ranks)].next,
                        struct ms_endpoint, turn);
}

/* ---- who gives way ------------------------------------------------------- */

static bool had_its_turn(const struct ms_pool *p, uint64_t since_us)
{
    return since_us + TURN_US <= p->env.loop->now_us && !MS_MUTANT_IS(113);
}

/* An attempt of an endpoint that has more than `e`, the one that came last; or
 * the one that goes on for longest, where `e` has nothing at all. */
static struct ms_conn *attempt_to_end(const struct ms_pool *p,
                                      const struct ms_endpoint *e)
{
    struct ms_conn *last, *first;

    if (ms_list_empty(&p->opening))
        return NULL;
    last = MS_CONTAINER(p->opening.prev, struct ms_conn, all);
    if (last->endpoint->conns > e->conns + 1)
        return last;
    first = MS_CONTAINER(p->opening.next, struct ms_conn, all);
    return !e->conns && had_its_turn(p, first->begun_us) ? first : NULL;
}

/* Whether who waits longest at an endpoint takes no used connection, and only
 * the end of one makes room for another. */
static bool is_in_the_way(const struct ms_pool *p, const struct ms_endpoint *e)
{
    const struct ms_waiter *choosy, *any;

    if (ms_list_empty(&e->choosy) ||
        (e->conns < p->max_per_host && p->conns < p->max_conns))
        return false;
    choosy = MS_CONTAINER(e->choosy.next, struct ms_waiter, node);
    any = MS_CONTAINER(e->waiting.next, struct ms_waiter, node);
    return !choosy->attempt &&
           (ms_list_empty(&e->waiting) || choosy->ticket < any->ticket);
}

bool ms_pool_must_go(const struct ms_pool *p, const struct ms_conn *c)
{
    const struct ms_endpoint *own = c->endpoint, *e = ms_pool_next_in_turn(p);

    if (p->conns > p->max_conns || own->conns > p->max_per_host ||
        is_in_the_way(p, own))
        return true;
    /* One that is about to be idle is closed then. */
    if (!e || e == own || (!own->waiters && !c->session->streams))
        return false;
    return own->conns > e->conns + 1 ||
           (!e->conns && had_its_turn(p, c->opened_us));
}

static void give_way(struct ms_pool *p, struct ms_conn *c)
{
    struct ms_endpoint *e = c->endpoint;

    e->held++;
    if (!ms_pool_is_idle(c))
        ms_pool_take_back(p, c);
    ms_conn_close(c, MS_OK, 0);
    e->held--;
    ms_pool_put_endpoint(p, e);
}

/* ---- slots are given out ------------------------------------------------- */

/* A slot for `e`, which has waiters; false when none can be had. */
static bool make_room(struct ms_pool *p, struct ms_endpoint *e)
{
    assert(ms_pool_has_own_room(p, e));

    if (e->conns >= p->max_per_host + MS_MUTANT_IS(111))
        give_way(p, MS_CONTAINER(e->idle.prev, struct ms_conn, idle));
    while (p->conns >= p->max_conns) {
        struct ms_conn *c = ms_pool_oldest_idle(p);
        if (!c)
            c = attempt_to_end(p, e);
        if (!c)
            return false;
        give_way(p, c);
    }
    return true;
}

/* While an endpoint has nothing, the oldest attempt is given a turn only. */
static void arm_turn_timer(struct ms_pool *p)
{
    if (!(p->ranks & 1u) || ms_list_empty(&p->opening)) {
        ms_timer_cancel(p->env.loop, &p->turn_timer);
        return;
    }
    struct ms_conn *c = MS_CONTAINER(p->opening.next, struct ms_conn, all);
    if (!ms_timer_active(&p->turn_timer))
        ms_timer_start(p->env.loop, &p->turn_timer, c->begun_us + TURN_US);
}

void ms_pool_serve(struct ms_pool *p)
{
    struct ms_endpoint *e;

    /* Nor at the end, nor in a child process. */
    if (p->serving || p->env.hasty || p->env.mute)
        return;
    p->serving = true;
    while ((e = ms_pool_next_in_turn(p)) && make_room(p, e)) {
        leave_line(p, e);
        e->held++;
        ms_pool_start(p, e);
        ms_pool_refresh(p, e);
        e->held--;
        ms_pool_put_endpoint(p, e);
    }
    p->serving = false;
    arm_turn_timer(p);
}

static void on_turn_timer(struct ms_timer *t)
{
    ms_pool_serve(MS_CONTAINER(t, struct ms_pool, turn_timer));
}

void ms_pool_init_slots(struct ms_pool *p)
{
    p->max_conns = p->max_per_host = MS_POOL_NO_LIMIT;
    for (size_t i = 0; i < MS_POOL_RANKS; i++)
        ms_list_init(&p->turns[i]);
    ms_timer_init(&p->turn_timer, on_turn_timer);
}

void ms_pool_stop_slots(struct ms_pool *p)
{
    ms_timer_cancel(p->env.loop, &p->turn_timer);
}
