/* SPDX-License-Identifier: MIT
 *
 * gate: who may begin, in which order and when. The clock is the test's.
 */
#include <string.h>

#include "base/mem.h"
#include "engine/gate.h"
#include "unit.h"

#define MANY   64
#define SECOND 1000000u

struct runner {
    struct ms_gate_pass pass;
    struct ms_task start;
    bool started;
};

static struct {
    struct ms_loop loop;
    struct ms_gate gate;
    struct ms_url here, there;
    struct runner r[MANY];
    uint64_t now;
    char log[2 * MANY]; /* who was let in later, a letter each */
} w;

static uint64_t test_clock(void)
{
    return w.now;
}

static void nothing(void *engine)
{
    (void)engine;
}

static void wake_me(void *engine, int64_t ms)
{
    (void)engine;
    (void)ms;
}

static void on_start(struct ms_task *t)
{
    struct runner *r = MS_CONTAINER(t, struct runner, start);
    size_t n = strlen(w.log);

    CHECK(r->pass.inside && !r->started);
    r->started = true;
    w.log[n] = (char)('a' + (r - w.r));
    w.log[n + 1] = '\0';
}

static void parse(struct ms_url *url, const char *text)
{
    const char *why;

    CHECK(!ms_url_parse(url, ms_span_text(text), NULL, &why));
}

static void begin(int64_t concurrency, int64_t rate)
{
    static const struct ms_loop_hooks hooks = {nothing, wake_me};

    memset(&w, 0, sizeof(w));
    w.now = 1000 * (uint64_t)SECOND;
    ms_loop_init(&w.loop, &hooks, &w);
    w.loop.clock = test_clock;
    ms_loop_touch(&w.loop);
    ms_gate_init(&w.gate, &w.loop);
    CHECK(!ms_gate_limited(&w.gate));
    w.gate.concurrency = concurrency;
    w.gate.rate = rate;
    parse(&w.here, "http://here/");
    parse(&w.there, "http://there/");
    for (int i = 0; i < MANY; i++) {
        ms_gate_pass_init(&w.r[i].pass);
        ms_task_init(&w.r[i].start, on_start);
    }
}

/* Time goes on; what is due runs. */
static void later(uint64_t us)
{
    w.now += us;
    ms_loop_enter(&w.loop);
    ms_loop_leave(&w.loop);
}

/* Whether it may begin at once. */
static bool enter(int i, const struct ms_url *url)
{
    CHECK(!ms_gate_enter(&w.gate, &w.r[i].pass, url, &w.r[i].start));
    CHECK(w.r[i].pass.host);
    return w.r[i].pass.inside;
}

static void leave(int i)
{
    ms_task_cancel(&w.r[i].start);
    ms_gate_leave(&w.r[i].pass);
    CHECK(!w.r[i].pass.host && !w.r[i].pass.inside);
    later(0);
}

static void end(void)
{
    for (int i = 0; i < MANY; i++)
        leave(i);
    ms_gate_fini(&w.gate);
    ms_loop_fini(&w.loop);
    ms_url_free(&w.here);
    ms_url_free(&w.there);
}

TEST(so_many_at_a_time_and_the_others_in_order)
{
    begin(2, -1);
    CHECK(enter(0, &w.here) && enter(1, &w.here));
    CHECK(!enter(2, &w.here) && !enter(3, &w.here) && !enter(4, &w.here));
    later(SECOND);
    CHECK(!strcmp(w.log, ""));
    leave(1);
    CHECK(!strcmp(w.log, "c"));
    leave(3); /* it waits no more */
    leave(0);
    CHECK(!strcmp(w.log, "ce"));
    CHECK(!enter(5, &w.here));
    leave(2);
    leave(4);
    CHECK(!strcmp(w.log, "cef"));
    end();
}

/* Who waits is looked at again when there is room for some; whoever comes
 * earlier, when there is room for one, must not make that be forgotten. */
TEST(who_comes_while_the_rate_holds_others_up_does_not_stop_them)
{
    begin(-1, 80);
    for (int i = 0; i < 10; i++)
        CHECK(enter(i, &w.here));
    CHECK(!enter(10, &w.here) && !enter(11, &w.here));
    for (int i = 0; i < 10; i++)
        leave(i);
    later(SECOND / 50);
    CHECK(!enter(12, &w.here));
    later(SECOND);
    CHECK(!strcmp(w.log, "klm"));
    end();
}

TEST(each_host_has_limits_of_its_own)
{
    struct ms_url other_port = {0}, other_scheme = {0};

    begin(1, -1);
    parse(&other_port, "http://here:81/");
    parse(&other_scheme, "https://here:80/");
    CHECK(enter(0, &w.here) && enter(1, &w.there) && enter(2, &other_port) &&
          enter(3, &other_scheme));
    CHECK(!enter(4, &w.here) && w.r[4].pass.host == w.r[0].pass.host);
    leave(1);
    CHECK(!strcmp(w.log, ""));
    leave(0);
    CHECK(!strcmp(w.log, "e"));
    end();
    ms_url_free(&other_port);
    ms_url_free(&other_scheme);
}

TEST(a_rate_spreads_beginnings_over_time)
{
    begin(-1, 4);
    CHECK(enter(0, &w.here));
    for (int i = 1; i < 13; i++)
        CHECK(!enter(i, &w.here));
    for (int tick = 0; tick < 100; tick++)
        later(SECOND / 100);
    CHECK(strlen(w.log) >= 3 && strlen(w.log) <= 4);
    for (int tick = 0; tick < 200; tick++)
        later(SECOND / 100);
    CHECK(strlen(w.log) >= 11 && strlen(w.log) <= 12);
    later(SECOND);
    CHECK(!strcmp(w.log, "bcdefghijklm"));
    end();
}

TEST(who_came_and_went_still_counts_for_the_rate)
{
    begin(-1, 1);
    CHECK(enter(0, &w.here));
    leave(0);
    CHECK(w.gate.hosts.count == 1 && !enter(1, &w.here));
    later(SECOND / 2);
    CHECK(!w.r[1].started);
    later(SECOND);
    CHECK(w.r[1].started);
    leave(1);
    later(2 * SECOND);
    CHECK(w.gate.hosts.count == 0 && ms_list_empty(&w.gate.all));
    end();
}

TEST(both_limits_hold)
{
    begin(1, 10);
    CHECK(enter(0, &w.here) && !enter(1, &w.here) && !enter(2, &w.here));
    leave(0); /* too soon for another */
    CHECK(!w.r[1].started);
    later(SECOND / 8);
    CHECK(w.r[1].started && !w.r[2].started);
    later(SECOND);
    CHECK(!w.r[2].started);
    leave(1);
    CHECK(w.r[2].started);
    end();
}

TEST(other_limits_hold_at_once)
{
    begin(1, -1);
    CHECK(enter(0, &w.here) && !enter(1, &w.here) && !enter(2, &w.here));
    w.gate.concurrency = 2;
    ms_gate_changed(&w.gate);
    later(0);
    CHECK(!strcmp(w.log, "b"));
    w.gate.concurrency = 1;
    ms_gate_changed(&w.gate);
    leave(0);
    CHECK(!strcmp(w.log, "b"));
    w.gate.concurrency = -1;
    ms_gate_changed(&w.gate);
    later(0);
    CHECK(!strcmp(w.log, "bc") && !ms_gate_limited(&w.gate));
    end();
}

TEST(without_memory_nobody_is_in_the_line)
{
    begin(1, -1);
    for (long nth = 1; nth <= 2; nth++) {
        ms_mem_fail(nth, 1);
        CHECK(ms_gate_enter(&w.gate, &w.r[0].pass, &w.here, &w.r[0].start) ==
              MS_ENOMEM);
        ms_mem_fail(0, 0);
        CHECK(!w.r[0].pass.host && ms_list_empty(&w.gate.all));
    }
    CHECK(enter(0, &w.here));
    end();
}
