/* SPDX-License-Identifier: MIT */
#include "net/loop.h"

#include <assert.h>
#include <time.h>

/* Rounds per exit: one to finish what is done, one to start what the host
 * added meanwhile. What that starts and fails at once waits for timer 0, so
 * that a host that always adds more cannot keep us here. */
#define MAX_ROUNDS 2

/* A timer callback that asks for more each time it is told is told this often
 * in one exit, then in the next. */
#define MAX_TELLS 16

/* What the host is told at most: event libraries take an int of milliseconds.
 * Woken too early, we tell the rest. */
#define MAX_WAKE_MS INT32_MAX

static uint64_t monotonic_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

int64_t ms_wall_seconds(void)
{
    return (int64_t)time(NULL);
}

void ms_loop_init(struct ms_loop *l, const struct ms_loop_hooks *hooks,
                  void *engine)
{
    *l = (struct ms_loop){.hooks = *hooks,
                          .engine = engine,
                          .told_us = MS_NEVER,
                          .clock = monotonic_us};
    ms_ev_init(&l->ev);
    ms_list_init(&l->ready);
    ms_list_init(&l->atexit);
    ms_list_init(&l->graves);
    ms_loop_touch(l);
    ms_trace_init(&l->trace, &l->now_us);
}

static void reap(struct ms_loop *l)
{
    struct ms_list *node;

    ms_ev_reap(&l->ev);
    while ((node = ms_list_pop(&l->graves))) {
        struct ms_grave *g = MS_CONTAINER(node, struct ms_grave, node);
        g->free(g);
    }
}

void ms_loop_fini(struct ms_loop *l)
{
    assert(l->depth == 0 && !l->timers.root);
    assert(ms_list_empty(&l->ready) && ms_list_empty(&l->atexit));

    reap(l);
    ms_ev_fini(&l->ev);
}

void ms_loop_touch(struct ms_loop *l)
{
    l->now_us = l->clock();
}

void ms_loop_enter(struct ms_loop *l)
{
    if (l->depth++ == 0) {
        l->entries++;
        ms_loop_touch(l);
    }
}

/* Runs what is on the list now; what is added meanwhile stays for later. */
static void run_tasks(struct ms_list *list)
{
    struct ms_list now, *node;

    ms_list_init(&now);
    ms_list_splice(&now, list);
    while ((node = ms_list_pop(&now))) {
        struct ms_task *t = MS_CONTAINER(node, struct ms_task, node);
        t->run(t);
    }
}

/* Tells the host unless what it knows is early enough: a deadline that moved
 * later is not told, the early wake sets the new one. True when it was told. */
static bool tell_deadline(struct ms_loop *l, bool also_never)
{
    uint64_t at = ms_loop_deadline(l);
    bool gone = at == MS_NEVER && l->told_us != MS_NEVER;

    if (MS_MUTANT_IS(53) || (MS_MUTANT_IS(65) && !l->told_us))
        gone = false;
    if (MS_MUTANT_IS(56) && l->told_us != MS_NEVER && at != MS_NEVER)
        return false;
    if (MS_MUTANT_IS(57) && at == l->told_us && at != MS_NEVER && also_never)
        l->told_us = MS_NEVER;
    if (MS_MUTANT_IS(208) && at != l->told_us && at != MS_NEVER)
        l->told_us = MS_NEVER;
    if (!l->hooks.wake_me || !(at < l->told_us || (gone && also_never)))
        return false;
    if (!MS_MUTANT_IS(206))
        ms_loop_touch(l);
    l->told_us = at;
    l->hooks.wake_me(l->engine, ms_loop_ms_until(l, at));
    return true;
}

/* Work that a host callback asked for and that waits for its turn. */
static bool has_work(const struct ms_loop *l)
{
    return l->timed_out || !ms_list_empty(&l->ready) ||
           ms_ev_has_queued(&l->ev);
}

static void one_round(struct ms_loop *l)
{
    l->timed_out = false;
    if (!MS_MUTANT_IS(76) || l->told_us == MS_NEVER)
        ms_loop_run_timers(l);
    ms_ev_run_queued(&l->ev);
    run_tasks(&l->ready);
    l->hooks.finish(l->engine);
}

/* The timer callback itself may have asked for something. That there is
 * nothing to wait for any more is told twice at most; that there is must not
 * be lost, and when it reported an event, as one does that takes 0 for "now",
 * that is handled before it is told again. */
static void tell_host(struct ms_loop *l)
{
    ms_ev_flush(&l->ev);
    for (int i = 0; i < MAX_TELLS && tell_deadline(l, i < 2); i++) {
        if (!l->timed_out && !ms_ev_has_queued(&l->ev))
            continue;
        one_round(l);
        ms_ev_flush(&l->ev);
    }
}

/* For what the host did while it was told. */
static void last_round(struct ms_loop *l)
{
    l->refused = false;
    l->ended = false;
    one_round(l);
    tell_host(l);
}

static void outermost_exit(struct ms_loop *l)
{
    int rounds = 0;

    do
        one_round(l);
    while (has_work(l) && ++rounds < MAX_ROUNDS);
    run_tasks(&l->atexit);
    tell_host(l);
    if (l->refused || l->ended)
        last_round(l);
    if (l->ended)
        last_round(l);
}

void ms_loop_leave(struct ms_loop *l)
{
    assert(l->depth > 0);

    if (l->depth == 1)
        outermost_exit(l);
    if (--l->depth == 0)
        reap(l);
}

void ms_loop_settle(struct ms_loop *l)
{
    assert(l->depth > 0);

    if (l->depth == 1)
        tell_host(l);
    if (l->depth == 1 && l->ended)
        last_round(l);
    if (--l->depth == 0)
        reap(l);
}

void ms_task_init(struct ms_task *t, void (*run)(struct ms_task *t))
{
    ms_list_init(&t->node);
    t->run = run;
}

void ms_task_post(struct ms_loop *l, struct ms_task *t)
{
    if (ms_list_empty(&t->node))
        ms_list_push(&l->ready, &t->node);
}

void ms_task_post_at_exit(struct ms_loop *l, struct ms_task *t)
{
    if (ms_list_empty(&t->node))
        ms_list_push(&l->atexit, &t->node);
}

void ms_task_cancel(struct ms_task *t)
{
    ms_list_unlink(&t->node);
}

void ms_timer_init(struct ms_timer *t, void (*on_due)(struct ms_timer *t))
{
    ms_heap_node_init(&t->node);
    t->on_due = on_due;
}

void ms_timer_start(struct ms_loop *l, struct ms_timer *t, uint64_t at_us)
{
    /* Never in the past, so that a timer that starts itself again cannot
     * keep ms_loop_run_timers() busy. */
    ms_timer_cancel(l, t);
    ms_heap_push(&l->timers, &t->node,
                 at_us > l->now_us ? at_us : l->now_us + 1);
}

void ms_timer_cancel(struct ms_loop *l, struct ms_timer *t)
{
    if (ms_timer_active(t))
        ms_heap_remove(&l->timers, &t->node);
}

void ms_loop_run_timers(struct ms_loop *l)
{
    uint64_t now = l->now_us;

    while (l->timers.root && l->timers.root->key <= now) {
        struct ms_timer *t =
            MS_CONTAINER(l->timers.root, struct ms_timer, node);
        ms_heap_remove(&l->timers, &t->node);
        t->on_due(t);
    }
}

uint64_t ms_loop_deadline(const struct ms_loop *l)
{
    if (has_work(l) || !ms_list_empty(&l->atexit) || ms_ev_dirty(&l->ev))
        return MS_MUTANT_IS(8) ? l->now_us + 1000 : 0;
    if (MS_MUTANT_IS(52) && l->timers.root)
        return l->timers.root->key + 20000;
    return l->timers.root ? l->timers.root->key : MS_NEVER;
}

static int64_t ms_between(uint64_t from_us, uint64_t to_us)
{
    if (to_us == MS_NEVER)
        return -1;
    if (to_us <= from_us)
        return 0;
    uint64_t ms = (to_us - from_us + (MS_MUTANT_IS(61) ? 0 : 999)) / 1000;
    return ms < MAX_WAKE_MS || MS_MUTANT_IS(62) ? (int64_t)ms : MAX_WAKE_MS;
}

int64_t ms_loop_ms_until(const struct ms_loop *l, uint64_t at_us)
{
    return ms_between(l->now_us, at_us);
}

int64_t ms_loop_timeout(const struct ms_loop *l)
{
    return ms_between(l->clock(), ms_loop_deadline(l));
}

void ms_loop_woken(struct ms_loop *l)
{
    if (!MS_MUTANT_IS(55))
        l->told_us = MS_NEVER;
    l->timed_out = true;
}

void ms_loop_bury(struct ms_loop *l, struct ms_grave *g,
                  void (*free)(struct ms_grave *g))
{
    if (MS_MUTANT_IS(203)) {
        free(g);
        return;
    }
    g->free = free;
    ms_list_init(&g->node);
    ms_list_push(&l->graves, &g->node);
}

void ms_loop_dispatch(struct ms_loop *l, int fd, unsigned events)
{
    struct ms_sock *s = ms_ev_find(&l->ev, fd);

    if (!s)
        return;
    if (l->depth == 1 || MS_MUTANT_IS(204))
        s->on_ready(s, events);
    else if (!MS_MUTANT_IS(80))
        ms_ev_queue(s, events);
}
