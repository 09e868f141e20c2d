/* SPDX-License-Identifier: MIT
 *
 * loop.h - the frame of every call into the engine: clock, timers, work put
 * off, and the one place where the host is called.
 *
 *     ms_loop_enter(loop);       reads the clock
 *     ... engine work: flags are set, tasks posted, objects buried ...
 *     ms_loop_leave(loop);       outermost only, two rounds at most:
 *                                  queued events, tasks
 *                                  finish() what is done   -> host
 *                                then
 *                                  tasks for the exit
 *                                  flush changed sockets   -> host
 *                                  tell a changed deadline -> host
 *                                  free what was buried
 *     (after a host callback that failed, one more round, so that the
 *     transfers it ends are reported in the same exit)
 *
 * Entries nest when a host callback calls the engine; inner ones only queue.
 * The loop waits for nothing: there is an event loop outside.
 */
#ifndef MS_NET_LOOP_H
#define MS_NET_LOOP_H

#include "base/heap.h"
#include "base/trace.h"
#include "net/multi_ev.h"

struct ms_loop;

/* Work to do before the outermost exit; embedded in what it concerns. */
struct ms_task {
    struct ms_list node;
    void (*run)(struct ms_task *t);
};

/* A deadline; embedded in what it concerns. */
struct ms_timer {
    struct ms_heap_node node; /* key: microseconds on the loop's clock */
    void (*on_due)(struct ms_timer *t);
};

/* Memory to give back when no engine code is on the stack. */
struct ms_grave {
    struct ms_list node;
    void (*free)(struct ms_grave *g);
};

/* The engine's side of the outermost exit. */
struct ms_loop_hooks {
    /* Finishes transfers that are done; calls the host. */
    void (*finish)(void *engine);
    /* Tells the host when to wake us: milliseconds, -1 for never. NULL while
     * it does not want to know. */
    void (*wake_me)(void *engine, int64_t timeout_ms);
};

struct ms_loop {
    uint64_t now_us; /* monotonic; read once per entry and after host code */
    struct ms_ev ev;
    struct ms_trace trace;
    struct ms_heap timers;
    struct ms_list ready;  /* of struct ms_task */
    struct ms_list atexit; /* of struct ms_task */
    struct ms_list graves;
    struct ms_loop_hooks hooks;
    void *engine;
    uint64_t told_us;        /* deadline the host knows; MS_NEVER: none */
    uint64_t (*clock)(void); /* tests put a clock of their own here */
    unsigned depth;
    unsigned entries; /* so far; tells one from another, may wrap */
    bool timed_out;   /* due timers are to run in this exit */
    bool refused;     /* a host callback failed: one more round, at once */
    bool ended;       /* a host callback ended everything: the same, and also
                       * where no work is to be run */
};

#define MS_NEVER UINT64_MAX

void ms_loop_init(struct ms_loop *l, const struct ms_loop_hooks *hooks,
                  void *engine);

/* Reaps; everything must be closed and cancelled. */
void ms_loop_fini(struct ms_loop *l);

void ms_loop_enter(struct ms_loop *l);
void ms_loop_leave(struct ms_loop *l);
/* Leaves without running any work: the host is told what changed, and timer 0
 * when there is work to do. */
void ms_loop_settle(struct ms_loop *l);

static inline bool ms_loop_inside(const struct ms_loop *l)
{
    return l->depth > 0;
}

/* Seconds since 1970, by the clock that people set. */
int64_t ms_wall_seconds(void);

/* Reads the clock again, after host code ran. */
void ms_loop_touch(struct ms_loop *l);

void ms_task_init(struct ms_task *t, void (*run)(struct ms_task *t));
/* Runs `t` in this exit, or the next one when this is too late. Posting a
 * posted task is fine. */
void ms_task_post(struct ms_loop *l, struct ms_task *t);
/* Runs `t` once at the end of this exit, however often it is posted. */
void ms_task_post_at_exit(struct ms_loop *l, struct ms_task *t);
void ms_task_cancel(struct ms_task *t);

void ms_timer_init(struct ms_timer *t, void (*on_due)(struct ms_timer *t));
/* Sets or moves the deadline. */
void ms_timer_start(struct ms_loop *l, struct ms_timer *t, uint64_t at_us);
void ms_timer_cancel(struct ms_loop *l, struct ms_timer *t);
static inline bool ms_timer_active(const struct ms_timer *t)
{
    return ms_heap_linked(&t->node);
}
/* Calls what is due by now; each timer at most once. */
void ms_loop_run_timers(struct ms_loop *l);
/* The nearest deadline, `now` when work is waiting, MS_NEVER for none. */
uint64_t ms_loop_deadline(const struct ms_loop *l);
/* A deadline as milliseconds from now, rounded up; -1 for MS_NEVER.
 * At most 2^31 - 1. */
int64_t ms_loop_ms_until(const struct ms_loop *l, uint64_t at_us);
/* The nearest deadline as milliseconds from the clock's now. */
int64_t ms_loop_timeout(const struct ms_loop *l);
/* The host's timer fired: it has none now, and what is due runs before the
 * outermost exit. */
void ms_loop_woken(struct ms_loop *l);
/* A new host knows nothing: it is told again at the next exit. */
static inline void ms_loop_forget_told(struct ms_loop *l)
{
    l->told_us = MS_NEVER;
}

/* Frees `g` at the outermost exit, after the host was told everything. */
void ms_loop_bury(struct ms_loop *l, struct ms_grave *g,
                  void (*free)(struct ms_grave *g));

/* Hands an event to the socket's owner; inside a host callback it waits for
 * the exit. An fd nobody watches is a late event and is ignored. */
void ms_loop_dispatch(struct ms_loop *l, int fd, unsigned events);

#endif
