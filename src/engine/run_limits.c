/* SPDX-License-Identifier: MIT
 *
 * run_limits.c - how long a run may take, and how slow it may be.
 */
#include "base/mem.h"
#include "engine/agent.h"
#include "engine/progress.h"
#include "engine/run_parts.h"

/* One timer stands for all limits of a run. What moves bytes only notes when;
 * the timer looks at that when it fires, and goes on waiting. */

static uint64_t after_ms(uint64_t from_us, int64_t ms)
{
    return ms < 0 ? MS_NEVER : from_us + (uint64_t)ms * 1000u;
}

bool ms_run_watched(const struct ms_easy *e)
{
    /* What rests does so on our account, however long the host takes. */
    return e->state == MS_RUN_ACTIVE && ms_run_options(e)->watched &&
           (!e->pause || MS_MUTANT_IS(141)) &&
           !(e->decoding && ms_decoding_rests(e->decoding));
}

/* When the response has to begin at the latest; before the request has left
 * that is looked at again later. */
static uint64_t first_byte_deadline(const struct ms_easy *e)
{
    uint64_t sent = e->stream.sent_us;

    if (e->stream.first_byte_us)
        return MS_NEVER;
    return after_ms(sent ? sent : ms_run_loop(e)->now_us,
                    ms_run_options(e)->timeout_first_byte);
}

static uint64_t idle_deadline(const struct ms_easy *e)
{
    uint64_t since = e->watch->progress.at_us, rest = e->watch->recv_us;

    /* What rests for its speed does so on our account. */
    rest = rest > e->watch->send_us ? rest : e->watch->send_us;
    return after_ms(since > rest ? since : rest,
                    ms_run_options(e)->timeout_idle);
}

static uint64_t speed_deadline(const struct ms_easy *e)
{
    const struct ms_options *o = ms_run_options(e);

    return o->low_speed_limit < 0
               ? MS_NEVER
               : after_ms(e->watch->mark_us, o->low_speed_time);
}

/* How long a 100 is waited for (RFC 9110, 10.1.1: not for ever): servers that
 * know of it answer within a round trip. */
#define EXPECT_MS 1000

static uint64_t expect_deadline(const struct ms_easy *e)
{
    uint64_t since = e->watch->sent_head_us;

    return since ? after_ms(since, EXPECT_MS) : MS_NEVER;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void ms_run_arm(struct ms_easy *e)
{
    uint64_t at = after_ms(e->added_us, ms_run_options(e)->timeout_total);

    if (ms_run_watched(e)) {
        at = earlier(at, first_byte_deadline(e));
        if (!MS_MUTANT_IS(67))
            at = earlier(at, idle_deadline(e));
        at = earlier(at, speed_deadline(e));
        at = earlier(at, expect_deadline(e));
    }
    if (MS_UNLIKELY(e->agent != NULL))
        at = earlier(at, e->agent->wake_us);
    if (MS_UNLIKELY(ms_run_options(e)->paced))
        at = earlier(at, ms_run_pace_us(e));
    if (MS_UNLIKELY(ms_progress_wanted(e)))
        at = earlier(at, e->watch->tell_us);
    if (at != MS_NEVER)
        ms_timer_start(ms_run_loop(e), &e->deadline, at);
}

void ms_run_measure(struct ms_easy *e)
{
    struct ms_watch *w = e->watch;

    w->progress.at_us = w->mark_us = ms_run_loop(e)->now_us;
    w->mark_bytes = w->progress.bytes;
}

/* The body that was kept back for a 100 leaves now. */
void ms_run_send_body(struct ms_easy *e)
{
    if (!e->watch || !e->watch->sent_head_us)
        return;
    e->watch->sent_head_us = 0;
    ms_conn_proceed(e->conn, &e->stream);
}

/* Whether too little moved since the mark, which goes on to now. */
static bool is_too_slow(struct ms_easy *e)
{
    struct ms_watch *w = e->watch;
    uint64_t moved = w->progress.bytes - w->mark_bytes;
    double seconds = (double)(ms_run_loop(e)->now_us - w->mark_us) / 1e6;

    w->mark_us = ms_run_loop(e)->now_us;
    w->mark_bytes = w->progress.bytes;
    return (double)moved < (double)ms_run_options(e)->low_speed_limit * seconds;
}

bool ms_run_is_late(const struct ms_easy *e)
{
    return after_ms(e->added_us, ms_run_options(e)->timeout_total) <=
           ms_run_loop(e)->now_us;
}

/* A host that comes so late was away. */
#define AWAY_US 100000
/* Time for a turn of its loop, in which it tells of sockets. */
#define TURN_US 10000

/* Nothing moved, but the host was away and timers come before sockets with
 * some: what came meanwhile is heard first, once for each silence. */
static bool is_let_off(struct ms_easy *e)
{
    if (!ms_run_watched(e) || ms_run_is_late(e) || MS_MUTANT_IS(344))
        return false;
    uint64_t now = ms_run_loop(e)->now_us;
    uint64_t at = earlier(first_byte_deadline(e), idle_deadline(e));

    if (at > now || now - at < AWAY_US || e->watch->let_off_us == at)
        return false;
    e->watch->let_off_us = at;
    return true;
}

/* Which limit is passed, NULL for none. */
static const char *limit_passed(struct ms_easy *e)
{
    uint64_t now = ms_run_loop(e)->now_us;

    if (MS_MUTANT_IS(114) && e->state == MS_RUN_WAITING)
        return NULL;
    if (ms_run_is_late(e))
        return "the total timeout passed";
    if (!ms_run_watched(e))
        return NULL;
    if (e->stream.sent_us && first_byte_deadline(e) <= now)
        return "no response within the first_byte timeout";
    if (idle_deadline(e) <= now)
        return "nothing moved within the idle timeout";
    if (speed_deadline(e) <= now && is_too_slow(e))
        return "slower than low_speed allows";
    return NULL;
}

void ms_run_on_deadline(struct ms_timer *t)
{
    struct ms_easy *e = MS_CONTAINER(t, struct ms_easy, deadline);

    if (ms_progress_wanted(e) && e->watch->tell_us <= ms_run_loop(e)->now_us &&
        !ms_progress_tell(e))
        return;
    if (is_let_off(e)) {
        ms_timer_start(ms_run_loop(e), t, ms_run_loop(e)->now_us + TURN_US);
        return;
    }
    const char *why = limit_passed(e);
    if (!why && ms_run_watched(e) &&
        expect_deadline(e) <= ms_run_loop(e)->now_us)
        ms_run_send_body(e);
    /* Of a response that nobody gets only the rest is given up. */
    if (why && e->unwanted && !ms_run_is_late(e))
        ms_run_wake(e);
    else if (why)
        ms_run_end(e, MS_ETIMEOUT, why);
    else if (e->agent && e->agent->wake_us <= ms_run_loop(e)->now_us)
        ms_run_wake(e);
    else if (ms_run_options(e)->paced)
        ms_run_pace_wake(e);
    else
        ms_run_arm(e);
}

/* What no option needs is not there. */
ms_err ms_run_prepare_limits(struct ms_easy *e)
{
    const struct ms_options *o = ms_run_options(e);

    e->tells = e->on_progress != NULL;
    /* on_headers may still ask for on_data, which max_body counts for. */
    if (!o->watched && !o->paced && !e->tells && !o->max_body_set)
        return MS_OK;
    if (!e->watch && !(e->watch = ms_zalloc(sizeof(*e->watch))))
        return MS_ENOMEM;
    *e->watch = (struct ms_watch){.tell_us = e->added_us + MS_PROGRESS_US};
    if (o->paced)
        ms_run_pace_begin(e);
    return MS_OK;
}
