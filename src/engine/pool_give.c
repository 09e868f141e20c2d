/* SPDX-License-Identifier: MIT */
#include "engine/pool_parts.h"

#include <assert.h>

#include "base/mem.h"

/* What most servers allow (nginx 128, h2o and Apache 100). */
#define DEFAULT_MAX_STREAMS 100

/* Endpoints of TLS that nobody uses, and the sessions of their peers. */
#define MAX_REMEMBERED 1000

/* Lets go of an endpoint. What is known of a peer spares the next connection
 * a handshake and a guess: it is kept for a while. */
void ms_pool_put_endpoint(struct ms_pool *p, struct ms_endpoint *e)
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

    if (!err && key->route && key->route->spec.use)
        ms_route_renew((*out)->key.route, key->route, p->env.loop->now_us);
    if (err || ms_list_empty(&(*out)->remembered))
        return err;
    ms_list_unlink(&(*out)->remembered);
    p->remembering--;
    return MS_OK;
}

/* ---- waiting ------------------------------------------------------------- */

static struct ms_waiter *first_of(const struct ms_list *waiters)
{
    if (ms_list_empty(waiters))
        return NULL;
    return MS_CONTAINER(waiters->next, struct ms_waiter, node);
}

static void leave_bare(struct ms_endpoint *e, struct ms_waiter *w)
{
    if (ms_list_empty(&w->bare))
        return;
    ms_list_unlink(&w->bare);
    e->bare_count--;
}

static void enter_bare(struct ms_endpoint *e, struct ms_waiter *w, bool first)
{
    if (first)
        ms_list_push_front(&e->bare, &w->bare);
    else
        ms_list_push(&e->bare, &w->bare);
    e->bare_count++;
}

static void start_waiting(struct ms_pool *p, struct ms_waiter *w,
                          struct ms_endpoint *e,
                          const struct ms_pool_wish *wish)
{
    w->endpoint = e;
    w->fresh = wish->fresh;
    w->connect_timeout_ms = wish->connect_timeout_ms;
    w->ticket = ++p->last_ticket;
    w->begun_us = 0;
    if (MS_MUTANT_IS(112))
        ms_list_push_front(&e->waiting, &w->node);
    else
        ms_list_push(w->fresh ? &e->choosy : &e->waiting, &w->node);
    if (w->fresh || !ms_endpoint_may_share(e))
        enter_bare(e, w, false);
    e->waiters++;
    e->choosers += w->fresh;
    p->waiting++;
}

static void stop_waiting(struct ms_pool *p, struct ms_waiter *w)
{
    struct ms_endpoint *e = w->endpoint;

    ms_list_unlink(&w->node);
    leave_bare(e, w);
    e->waiters--;
    e->choosers -= w->fresh;
    w->endpoint = NULL;
    p->waiting--;
    ms_pool_refresh(p, e);
}

/* The oldest waiter that may have `c`. */
static struct ms_waiter *next_waiter(const struct ms_conn *c)
{
    struct ms_waiter *any = first_of(&c->endpoint->waiting);
    struct ms_waiter *choosy =
        c->exchanges ? NULL : first_of(&c->endpoint->choosy);

    if (c->wanted_by)
        return c->wanted_by;
    return !any || (choosy && choosy->ticket < any->ticket) ? choosy : any;
}

/* The attempt is nobody's from now on. */
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
    leave_bare(w->endpoint, w);
    attempt->wanted_by = w;
    w->attempt = attempt;
    w->begun_us = attempt->begun_us;
}

/* One that opens for somebody who was served meanwhile will do for who needs
 * one. */
static void adopt(struct ms_endpoint *e)
{
    while (!ms_list_empty(&e->spare) && !ms_list_empty(&e->bare))
        own(MS_CONTAINER(e->bare.next, struct ms_waiter, bare),
            MS_CONTAINER(e->spare.next, struct ms_conn, idle));
}

void ms_pool_take_back(struct ms_pool *p, struct ms_conn *attempt)
{
    struct ms_endpoint *e = attempt->endpoint;
    struct ms_waiter *w = attempt->wanted_by;
    int64_t spent_ms =
        (int64_t)(p->env.loop->now_us - attempt->begun_us) / 1000;

    assert(!attempt->session);

    attempt->gives_way = true;
    disown(w ? attempt : NULL);
    if (w)
        enter_bare(e, w, true);
    else if (ms_endpoint_may_share(e))
        w = first_of(&e->waiting);
    /* The next attempt goes on with what time is left. */
    if (w && w->connect_timeout_ms > spent_ms)
        w->connect_timeout_ms -= spent_ms;
    else if (w && w->connect_timeout_ms > 0)
        w->connect_timeout_ms = 1;
    ms_list_unlink(&attempt->idle);
    adopt(e);
    MS_TRACE(&p->env.loop->trace, MS_TRACE_POOL, attempt->id, 0, "gives way");
}

/* ---- handing out --------------------------------------------------------- */

/* What opens for nobody makes room for those who wait elsewhere. */
static void settle_spare(struct ms_pool *p, struct ms_endpoint *e)
{
    adopt(e);
    ms_pool_refresh(p, e);
    while (!ms_list_empty(&e->spare) && !ms_endpoint_may_share(e) &&
           ms_pool_next_in_turn(p))
        ms_conn_close(MS_CONTAINER(e->spare.next, struct ms_conn, idle),
                      MS_ECANCELLED, 0);
}

static void give(struct ms_waiter *w, struct ms_conn *c)
{
    struct ms_pool *p = ms_pool_of(c);
    bool spare = w->attempt && w->attempt != c;

    disown(w->attempt);
    stop_waiting(p, w);
    if (spare)
        settle_spare(p, c->endpoint);
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

static void note_streams(struct ms_conn *c)
{
    const struct ms_session *session = c->session;
    bool known = c->last_exchange || session->ops->capacity(session) ||
                 session->ops->done(session);

    note_full(c, session->streams && !ms_conn_room(c) && known);
    note_over(c, ms_conn_is_over(c));
}

void ms_pool_retire(struct ms_pool *p, struct ms_conn *c)
{
    struct ms_endpoint *e = c->endpoint;

    if (!c->session->streams) {
        ms_conn_close(c, MS_OK, 0);
        return;
    }
    c->last_exchange = true;
    ms_list_push(&p->leaving, &c->all);
    if (!c->many)
        return;
    ms_list_unlink(&c->idle);
    note_streams(c);
    ms_pool_refresh(p, e);
    ms_pool_serve(p);
}

/* Gives it to waiters as long as it has room and there are any. */
static void hand_out_streams(struct ms_conn *c)
{
    struct ms_pool *p = ms_pool_of(c);
    struct ms_endpoint *e = c->endpoint;
    struct ms_waiter *w;

    e->tired = false;
    c->handing = true;
    while (ms_conn_room(c) && (w = next_waiter(c)))
        give(w, c);
    c->handing = false;
    if (c->state != MS_CONN_OPEN)
        return;
    note_streams(c);
    e->held++;
    ms_pool_place(p, c);
    if (e->waiters || p->limited) {
        ms_pool_refresh(p, e);
        ms_pool_serve(p);
    }
    e->held--;
    ms_pool_put_endpoint(p, e);
}

static void hand_out_one(struct ms_pool *p, struct ms_conn *c)
{
    struct ms_endpoint *e = c->endpoint;
    struct ms_waiter *w = next_waiter(c);

    if (w) {
        give(w, c);
        return;
    }
    e->held++; /* where none is kept idle `c` is closed, maybe its last */
    ms_pool_keep_idle(p, c);
    if (p->limited) {
        ms_pool_refresh(p, e);
        ms_pool_serve(p);
    }
    e->held--;
    ms_pool_put_endpoint(p, e);
}

static void hand_out_carefully(struct ms_conn *c)
{
    struct ms_pool *p = ms_pool_of(c);

    if (c->handing)
        return;
    if (p->limited && c->exchanges && ms_pool_must_go(p, c))
        ms_pool_retire(p, c);
    if (c->state != MS_CONN_OPEN)
        return;
    if (c->many)
        hand_out_streams(c);
    else
        hand_out_one(p, c);
}

/* Gives `c`, which has room and is on no list, to whoever needs it. */
static void hand_out(struct ms_conn *c)
{
    struct ms_pool *p = ms_pool_of(c);

    if (MS_LIKELY(!c->many && !p->limited && !c->endpoint->waiters))
        ms_pool_keep_idle(p, c);
    else
        hand_out_carefully(c);
}

/* The endpoint's connections serve one at a time: everybody who waited to
 * share one needs his own. */
static void fan_out(struct ms_endpoint *e)
{
    ms_list_each (node, &e->waiting) {
        struct ms_waiter *w = MS_CONTAINER(node, struct ms_waiter, node);
        if (!w->attempt && ms_list_empty(&w->bare))
            enter_bare(e, w, false);
    }
    adopt(e);
}

static void on_open(struct ms_conn *c)
{
    struct ms_pool *p = ms_pool_of(c);
    struct ms_endpoint *e = c->endpoint;
    bool shared = ms_endpoint_may_share(e);

    p->connecting--;
    e->connecting--;
    e->protocol = c->many ? MS_SPEAKS_2 : MS_SPEAKS_1;
    p->opened++;
    ms_list_unlink(&c->idle);
    e->held++;
    ms_pool_start_age(p, c);
    hand_out(c);
    if (shared && !c->many && !MS_MUTANT_IS(116))
        fan_out(e);
    ms_pool_refresh(p, e);
    ms_pool_serve(p);
    e->held--;
    ms_pool_put_endpoint(p, e);
}

static void on_change(struct ms_conn *c)
{
    hand_out(c);
}

void ms_pool_release(struct ms_conn *c)
{
    hand_out(c);
}

/* Why no connection could be had. */
struct ms_failure {
    struct ms_conn_end end;
    enum ms_phase phase;
    uint64_t begun_us; /* 0: nothing was begun */
};

static enum ms_phase phase_of(const struct ms_conn *c)
{
    if (c->connected_us && c->endpoint->key.secure)
        return MS_PHASE_TLS;
    return c->resolved_us ? MS_PHASE_CONNECT : MS_PHASE_RESOLVE;
}

static void fail(struct ms_pool *p, struct ms_waiter *w,
                 const struct ms_failure *failure)
{
    stop_waiting(p, w);
    w->begun_us = failure->begun_us;
    w->on_fail(w, &failure->end, failure->phase);
}

/* Whoever has no other hope fails: `w`, or all that share the endpoint, unless
 * another connection opens or takes more than it has. Each is told once. */
static void fail_waiters(struct ms_pool *p, struct ms_endpoint *e,
                         struct ms_waiter *w, const struct ms_failure *failure)
{
    struct ms_list all;

    if (w) {
        fail(p, w, failure);
        return;
    }
    if (!ms_endpoint_may_share(e) || e->conns != e->over) {
        e->tired = true;
        return;
    }
    ms_list_init(&all);
    ms_list_splice(&all, &e->waiting);
    ms_list_splice(&all, &e->choosy);
    while ((w = first_of(&all)))
        fail(p, w, failure);
}

static void fail_with(struct ms_pool *p, const struct ms_conn *c,
                      struct ms_waiter *w, const struct ms_conn_end *end)
{
    struct ms_failure failure = {*end, phase_of(c), c->begun_us};

    if (!failure.end.err)
        failure.end.err = MS_EINTERNAL;
    fail_waiters(p, c->endpoint, w, &failure);
}

static void on_closed(struct ms_conn *c, const struct ms_conn_end *end)
{
    struct ms_pool *p = ms_pool_of(c);
    struct ms_waiter *w = c->wanted_by;
    struct ms_endpoint *e = c->endpoint;

    disown(w ? c : NULL);
    if (ms_pool_is_idle(c))
        ms_pool_leave_idle(p, c);
    note_full(c, false);
    note_over(c, false);
    ms_list_unlink(&c->idle);
    ms_list_unlink(&c->all);
    p->conns--;
    p->closed += c->session != NULL;
    e->conns--;
    e->held++;
    if (!c->session) {
        p->connecting--;
        e->connecting--;
        if (!c->gives_way)
            fail_with(p, c, w, end);
    }
    e->tired &= !c->session && e->conns != e->over;
    ms_pool_refresh(p, e);
    ms_pool_serve(p);
    e->held--;
    ms_pool_put_endpoint(p, e);
}

static const struct ms_conn_events events = {on_open, on_change, on_closed};

ms_err ms_pool_init(struct ms_pool *p, struct ms_loop *loop)
{
    *p = (struct ms_pool){.env.loop = loop};
    p->env.max_streams = DEFAULT_MAX_STREAMS;
    p->env.ping_interval_ms = -1;
    ms_list_init(&p->opening);
    ms_list_init(&p->open);
    ms_list_init(&p->leaving);
    ms_list_init(&p->remembered);
    ms_list_init(&p->env.closing);
    ms_pool_init_idle(p);
    ms_pool_init_slots(p);
    ms_pool_init_look(p);
    p->env.scratch = ms_alloc(MS_SCRATCH_BYTES);
    if (!p->env.scratch)
        return MS_ENOMEM;
    ms_resolve_set_init(&p->env.resolvers, loop);
    ms_dial_history_init(&p->env.history);
    return MS_OK;
}

void ms_pool_network_changed(struct ms_pool *p)
{
    if (!MS_MUTANT_IS(117))
        ms_resolve_set_network_changed(&p->env.resolvers);
    ms_dial_history_clear(&p->env.history);
    while (!ms_list_empty(&p->open))
        ms_pool_retire(p, MS_CONTAINER(p->open.next, struct ms_conn, all));
}

static void close_all(struct ms_list *conns)
{
    while (!ms_list_empty(conns))
        ms_conn_close(MS_CONTAINER(conns->next, struct ms_conn, all), MS_OK, 0);
}

void ms_pool_stop(struct ms_pool *p)
{
    p->env.hasty = true;
}

void ms_pool_close(struct ms_pool *p)
{
    assert(p->waiting == 0);

    ms_pool_stop(p);
    ms_conn_end_closing(&p->env);
    close_all(&p->opening);
    close_all(&p->open);
    close_all(&p->leaving);
    ms_pool_stop_idle(p);
    ms_pool_stop_slots(p);
    ms_resolve_set_close(&p->env.resolvers);
    ms_dial_history_clear(&p->env.history);
}

void ms_pool_fini(struct ms_pool *p)
{
    assert(p->env.resolvers.count == 0 && p->conns == 0);

    ms_dial_history_fini(&p->env.history);
    while (!ms_list_empty(&p->remembered))
        ms_endpoint_free(
            &p->endpoints,
            MS_CONTAINER(p->remembered.next, struct ms_endpoint, remembered));
    ms_map_fini(&p->endpoints);
    ms_pool_fini_look(p);
    ms_link_env_fini(&p->env.link);
    ms_free(p->env.scratch);
}

void ms_waiter_init(struct ms_waiter *w)
{
    ms_list_init(&w->node);
    ms_list_init(&w->bare);
    w->endpoint = NULL;
    w->attempt = NULL;
}

void ms_pool_start(struct ms_pool *p, struct ms_endpoint *e)
{
    struct ms_waiter *w =
        e->bare_count ? MS_CONTAINER(e->bare.next, struct ms_waiter, bare)
                      : NULL;
    int64_t timeout_ms =
        w ? w->connect_timeout_ms : first_of(&e->waiting)->connect_timeout_ms;
    struct ms_conn *c;
    ms_err err = ms_conn_new(&c, &p->env, &events, e, p->last_id + 1);

    if (err) {
        fail_waiters(p, e, w, &(struct ms_failure){.end.err = err});
        return;
    }
    p->last_id++;
    c->begun_us = p->env.loop->now_us;
    ms_list_push(&p->opening, &c->all);
    p->conns++;
    p->connecting++;
    e->conns++;
    e->connecting++;
    if (w)
        own(w, c);
    else
        ms_list_push(&e->spare, &c->idle);
    ms_conn_start(c, timeout_ms);
}

/* Whether a connection that took another stream goes on as it was: offered to
 * all, with room left, and nobody waits for that. */
static bool is_settled(const struct ms_pool *p, const struct ms_conn *c)
{
    return !ms_list_empty(&c->idle) && ms_conn_room(c) && !p->limited &&
           !c->endpoint->waiters && !c->endpoint->tired;
}

static void reuse(struct ms_pool *p, struct ms_waiter *w, struct ms_conn *c)
{
    bool was_in_use = !ms_pool_is_idle(c);

    if (!was_in_use)
        ms_pool_leave_idle(p, c);
    p->reused++;
    if (!c->many) {
        w->on_conn(w, c);
        return;
    }
    c->handing = true;
    w->on_conn(w, c);
    c->handing = false;
    if (c->state == MS_CONN_OPEN && !(was_in_use && is_settled(p, c)))
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

ms_err ms_pool_get(struct ms_pool *p, struct ms_waiter *w,
                   const struct ms_pool_wish *wish)
{
    struct ms_endpoint *e;
    struct ms_conn *c;
    ms_err err;

    while (!(err = get_endpoint(p, &wish->key, &e)) && !wish->fresh &&
           !MS_MUTANT_IS(105) && (c = find_room(e))) {
        if (ms_pool_is_usable(p, c)) {
            reuse(p, w, c);
            return MS_OK;
        }
        if (c->state == MS_CONN_OPEN && ms_pool_is_aged(p, c))
            ms_pool_retire(p, c);
        /* It is on offer no more, and its endpoint may be gone with it. */
    }
    if (err)
        return err;
    start_waiting(p, w, e, wish);
    e->tired = false;
    adopt(e);
    ms_pool_refresh(p, e);
    ms_pool_serve(p);
    return MS_OK;
}

/* Attempts that were for all, when nobody is left. */
static void end_spare(struct ms_endpoint *e)
{
    while (!e->waiters && !ms_list_empty(&e->spare))
        ms_conn_close(MS_CONTAINER(e->spare.next, struct ms_conn, idle),
                      MS_ECANCELLED, 0);
}

void ms_pool_cancel(struct ms_pool *p, struct ms_waiter *w)
{
    struct ms_endpoint *e = w->endpoint;
    struct ms_conn *c = w->attempt;

    if (!e)
        return;
    e->held++;
    disown(c);
    stop_waiting(p, w);
    if (!MS_MUTANT_IS(211))
        adopt(e);
    /* It goes on for the others only where there are others for it. */
    if (c && !c->wanted_by && (e->connecting > e->waiters || MS_MUTANT_IS(211)))
        ms_conn_close(c, MS_ECANCELLED, 0);
    else if (!c)
        end_spare(e);
    ms_pool_refresh(p, e);
    ms_pool_serve(p);
    e->held--;
    ms_pool_put_endpoint(p, e);
}

/* What it waits for; NULL: nothing is begun. */
static const struct ms_conn *attempt_of(const struct ms_waiter *w)
{
    const struct ms_conn *c = w->attempt;

    if (!c && w->endpoint && !ms_list_empty(&w->endpoint->spare))
        c = MS_CONTAINER(w->endpoint->spare.next, struct ms_conn, idle);
    return c;
}

enum ms_phase ms_waiter_phase(const struct ms_waiter *w)
{
    const struct ms_conn *c = attempt_of(w);

    return c ? phase_of(c) : MS_PHASE_QUEUE;
}

uint64_t ms_waiter_begun_us(const struct ms_waiter *w)
{
    const struct ms_conn *c = attempt_of(w);

    return c ? c->begun_us : w->begun_us;
}

void ms_pool_keep_alive(struct ms_pool *p)
{
    ms_list_each (node, &p->open)
        ms_conn_keep_alive(MS_CONTAINER(node, struct ms_conn, all));
    ms_list_each (node, &p->leaving)
        ms_conn_keep_alive(MS_CONTAINER(node, struct ms_conn, all));
}
