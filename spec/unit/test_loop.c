/* SPDX-License-Identifier: MIT
 *
 * The frame of every entry: what runs in an exit and in which order, what the
 * host is told of deadlines, and when memory goes. The clock is the test's.
 */
#include <string.h>

#include "net/loop.h"
#include "unit.h"

#define MS INT64_C(1000)

static struct {
    struct ms_loop loop;
    uint64_t now;
    char log[256]; /* what happened, a letter each */
    int64_t told;  /* by the last wake_me */
    int tells;
    void (*on_wake)(void);
    void (*on_finish)(void);
} w;

static uint64_t test_clock(void)
{
    return w.now;
}

static void did(char what)
{
    size_t n = strlen(w.log);

    CHECK(n + 1 < sizeof(w.log));
    w.log[n] = what;
    w.log[n + 1] = '\0';
}

static void finish(void *engine)
{
    CHECK(engine == &w);
    did('f');
    if (w.on_finish)
        w.on_finish();
}

static void wake_me(void *engine, int64_t ms)
{
    CHECK(engine == &w);
    w.told = ms;
    w.tells++;
    if (w.on_wake)
        w.on_wake();
}

static void begin(void)
{
    static const struct ms_loop_hooks hooks = {finish, wake_me};

    memset(&w, 0, sizeof(w));
    w.now = 1000000;
    w.told = -2;
    ms_loop_init(&w.loop, &hooks, &w);
    w.loop.clock = test_clock;
    ms_loop_touch(&w.loop);
}

static void end(void)
{
    ms_loop_fini(&w.loop);
}

static void pass(void)
{
    ms_loop_enter(&w.loop);
    ms_loop_leave(&w.loop);
}

static struct ms_timer timer;

static void on_due(struct ms_timer *t)
{
    CHECK(t == &timer);
    did('t');
}

static void arm(int64_t in_ms)
{
    ms_timer_start(&w.loop, &timer, w.now + (uint64_t)(in_ms * MS));
}

static void arm_in_entry(int64_t in_ms)
{
    ms_loop_enter(&w.loop);
    arm(in_ms);
    ms_loop_leave(&w.loop);
}

/* ---- deadlines --------------------------------------------------------- */

TEST(the_host_hears_of_a_deadline_once)
{
    begin();
    ms_timer_init(&timer, on_due);
    arm_in_entry(50);
    CHECK(w.told == 50 && w.tells == 1);
    pass();
    CHECK(w.tells == 1);
    ms_timer_cancel(&w.loop, &timer);
    pass();
    CHECK(w.told == -1 && w.tells == 2);
    pass();
    CHECK(w.tells == 2);
    end();
}

TEST(one_that_moves_later_is_not_told_and_one_that_moves_earlier_is)
{
    begin();
    ms_timer_init(&timer, on_due);
    arm_in_entry(50);
    arm_in_entry(70);
    CHECK(w.told == 50 && w.tells == 1);
    arm_in_entry(20);
    CHECK(w.told == 20 && w.tells == 2);
    ms_timer_cancel(&w.loop, &timer);
    pass();
    end();
}

TEST(an_early_wake_arms_again)
{
    begin();
    ms_timer_init(&timer, on_due);
    arm_in_entry(50);
    arm_in_entry(70);
    w.now += 50 * MS;
    ms_loop_enter(&w.loop);
    ms_loop_woken(&w.loop);
    ms_loop_leave(&w.loop);
    CHECK(!strchr(w.log, 't'));
    CHECK(w.told == 20 && w.tells == 2);
    w.now += 20 * MS;
    ms_loop_enter(&w.loop);
    ms_loop_woken(&w.loop);
    ms_loop_leave(&w.loop);
    CHECK(strchr(w.log, 't'));
    CHECK(w.tells == 2); /* it has no timer now, as it knows */
    end();
}

TEST(milliseconds_are_rounded_up)
{
    begin();
    ms_timer_init(&timer, on_due);
    CHECK(ms_loop_ms_until(&w.loop, MS_NEVER) == -1);
    CHECK(ms_loop_ms_until(&w.loop, w.now) == 0);
    CHECK(ms_loop_ms_until(&w.loop, w.now - 1) == 0);
    CHECK(ms_loop_ms_until(&w.loop, w.now + 1) == 1);
    CHECK(ms_loop_ms_until(&w.loop, w.now + 1001) == 2);
    end();
}

TEST(a_timer_that_starts_itself_again_waits_for_the_next_turn)
{
    begin();
    ms_timer_init(&timer, on_due);
    ms_loop_enter(&w.loop);
    ms_timer_start(&w.loop, &timer, 0); /* long ago */
    CHECK(timer.node.key > w.loop.now_us);
    ms_timer_cancel(&w.loop, &timer);
    ms_loop_leave(&w.loop);
    end();
}

static void flip(void)
{
    w.on_wake = NULL;
    ms_loop_enter(&w.loop);
    arm(5);
    ms_loop_settle(&w.loop);
}

static void remove_then_add(void)
{
    ms_loop_enter(&w.loop);
    ms_timer_cancel(&w.loop, &timer);
    w.on_wake = flip;
    ms_loop_settle(&w.loop);
}

TEST(what_the_timer_callback_asks_for_is_not_lost)
{
    begin();
    ms_timer_init(&timer, on_due);
    w.on_wake = remove_then_add; /* 50: removes; -1: adds; 5 has to follow */
    arm_in_entry(50);
    CHECK(w.tells == 3 && w.told == 5);
    ms_timer_cancel(&w.loop, &timer);
    pass();
    end();
}

/* ---- exits ------------------------------------------------------------- */

static struct ms_task task, second;

static void on_task(struct ms_task *t)
{
    did(t == &task ? 'a' : 'b');
}

static void on_task_posting(struct ms_task *t)
{
    did('p');
    ms_task_post(&w.loop, t);
}

TEST(an_exit_runs_tasks_then_finishes_then_what_waits_for_the_exit)
{
    begin();
    ms_task_init(&task, on_task);
    ms_task_init(&second, on_task);
    ms_loop_enter(&w.loop);
    ms_task_post_at_exit(&w.loop, &second);
    ms_task_post_at_exit(&w.loop, &second);
    ms_task_post(&w.loop, &task);
    ms_task_post(&w.loop, &task);
    CHECK(!*w.log);
    ms_loop_leave(&w.loop);
    CHECK(strcmp(w.log, "afb") == 0);
    end();
}

static void post_once(void)
{
    w.on_finish = NULL;
    ms_task_post(&w.loop, &task);
}

TEST(what_finishing_starts_runs_in_the_same_exit)
{
    begin();
    ms_task_init(&task, on_task);
    w.on_finish = post_once;
    pass();
    CHECK(strcmp(w.log, "faf") == 0);
    CHECK(w.tells == 0);
    end();
}

TEST(work_without_end_goes_on_after_a_timer_of_0)
{
    begin();
    ms_task_init(&task, on_task_posting);
    ms_loop_enter(&w.loop);
    ms_task_post(&w.loop, &task);
    ms_loop_leave(&w.loop);
    CHECK(strcmp(w.log, "pfpf") == 0); /* two rounds */
    CHECK(w.told == 0 && w.tells == 1);
    ms_task_cancel(&task);
    pass();
    end();
}

TEST(settling_runs_nothing_and_asks_to_be_woken)
{
    begin();
    ms_task_init(&task, on_task);
    ms_loop_enter(&w.loop);
    ms_task_post(&w.loop, &task);
    ms_loop_settle(&w.loop);
    CHECK(!*w.log);
    CHECK(w.told == 0 && w.tells == 1);
    ms_loop_enter(&w.loop);
    ms_loop_settle(&w.loop);
    CHECK(w.tells == 1); /* a 0 is pending */
    pass();
    CHECK(strcmp(w.log, "af") == 0);
    end();
}

TEST(inner_entries_only_queue)
{
    begin();
    ms_task_init(&task, on_task);
    ms_loop_enter(&w.loop);
    ms_loop_enter(&w.loop);
    CHECK(ms_loop_inside(&w.loop));
    ms_task_post(&w.loop, &task);
    ms_loop_leave(&w.loop);
    CHECK(!*w.log);
    ms_loop_leave(&w.loop);
    CHECK(strcmp(w.log, "af") == 0 && !ms_loop_inside(&w.loop));
    end();
}

static struct ms_grave grave;

static void on_reap(struct ms_grave *g)
{
    CHECK(g == &grave);
    CHECK(!ms_loop_inside(&w.loop));
    did('r');
}

TEST(what_is_buried_goes_when_no_entry_is_left)
{
    begin();
    ms_loop_enter(&w.loop);
    ms_loop_enter(&w.loop);
    ms_loop_bury(&w.loop, &grave, on_reap);
    ms_loop_settle(&w.loop);
    CHECK(!strchr(w.log, 'r'));
    ms_loop_leave(&w.loop);
    CHECK(strcmp(w.log, "fr") == 0);
    end();
}

TEST(the_clock_is_read_once_an_entry)
{
    begin();
    ms_loop_enter(&w.loop);
    w.now += 5;
    ms_loop_enter(&w.loop);
    CHECK(w.loop.now_us == w.now - 5);
    ms_loop_touch(&w.loop);
    CHECK(w.loop.now_us == w.now);
    ms_loop_leave(&w.loop);
    ms_loop_leave(&w.loop);
    end();
}
