/* SPDX-License-Identifier: MIT */
#include "engine/retry.h"

#include "engine/run_parts.h"
#include "proto/date.h"

/* The least delay: a server that just refused needs a moment. */
#define BASE_DELAY_US 100000u
/* A delay is at most this many times the one before (AWS's "Exponential
 * Backoff and Jitter"). */
#define GROWTH 3u
/* Further growth would not be noticed. */
#define MAX_DELAY_US (UINT64_C(86400) * 1000000u)
/* A budget is spent in thousandths of a retry, */
#define RETRY_COST 1000
/* a request gives this much of one back, */
#define REQUEST_GIVES (RETRY_COST / 10)
/* and the whole of it comes back in this time. */
#define BUDGET_SECONDS 10

/* ---- the budget -------------------------------------------------------- */

void ms_retry_count(struct ms_easy *e)
{
    struct ms_retry_account *a = &ms_run_env_of(e)->retries;

    if (a->spent > REQUEST_GIVES)
        a->spent -= REQUEST_GIVES;
    else
        a->spent = 0;
}

/* What time has given back since it was looked at last. */
static void recover(struct ms_retry_account *a, uint64_t now_us, int64_t budget)
{
    double seconds = (double)(now_us - a->at_us) / 1e6;
    double gain = seconds * (double)budget * RETRY_COST / BUDGET_SECONDS;

    if (gain < 1)
        return;
    a->spent = gain >= (double)a->spent ? 0 : a->spent - (int64_t)gain;
    a->at_us = now_us;
}

static bool can_afford(struct ms_easy *e)
{
    struct ms_retry_account *a = &ms_run_env_of(e)->retries;
    int64_t budget = ms_run_options(e)->retry_budget;

    if (budget < 0)
        return true;
    recover(a, ms_run_loop(e)->now_us, budget);
    if (a->spent + RETRY_COST > budget * RETRY_COST)
        return false;
    a->spent += RETRY_COST;
    return true;
}

/* ---- delays ------------------------------------------------------------ */

/* splitmix64 (Steele, Lea, Flood): any state will do. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* At random between the base and a multiple of the last one. */
static uint64_t next_delay_us(struct ms_easy *e, uint64_t most_us)
{
    struct ms_agent *a = e->agent;
    uint64_t last = a->jitter_us ? a->jitter_us : BASE_DELAY_US;
    if (last > MAX_DELAY_US)
        last = MAX_DELAY_US;
    uint64_t width = last * GROWTH - BASE_DELAY_US;
    uint64_t delay =
        BASE_DELAY_US + next_random(&ms_run_env_of(e)->random) % (width + 1);

    a->jitter_us = delay < most_us ? delay : most_us;
    return a->jitter_us;
}

/* By the server's own clock, if it tells that. */
static int64_t seconds_until(const struct ms_fields *f, int64_t then)
{
    size_t date = ms_fields_find(f, MS_SPAN("date"), 0);
    int64_t now = ms_wall_seconds();

    if (date != SIZE_MAX)
        (void)!ms_date_parse(ms_fields_value(f, date), now, &now);
    return then > now ? then - now : 0;
}

/* What Retry-After says, in either form (RFC 9110, 10.2.3). */
static bool find_wait(const struct ms_fields *f, uint64_t *wait_us)
{
    size_t at = ms_fields_find(f, MS_SPAN("retry-after"), 0);
    int64_t then;
    uint64_t seconds;

    if (at == SIZE_MAX)
        return false;
    struct ms_span value = ms_fields_value(f, at);
    if (!ms_span_decimal(value, MS_MOST / 1000, &seconds)) {
        if (!ms_date_parse(value, ms_wall_seconds(), &then))
            return false;
        seconds = (uint64_t)seconds_until(f, then);
    }
    *wait_us = seconds * 1000000u;
    return true;
}

/* ---- the decision ------------------------------------------------------ */

static bool has_tries_left(const struct ms_easy *e)
{
    return e->agent->retries < ms_run_options(e)->retry_max &&
           ms_agent_can_repeat(e);
}

static bool may_be_made_twice(const struct ms_easy *e)
{
    return ms_options_retries_method(ms_run_options(e),
                                     e->response->trip->method);
}

static uint64_t most_delay_us(const struct ms_easy *e)
{
    int64_t ms = ms_run_options(e)->retry_max_delay;

    return ms < 0 ? MS_NEVER : (uint64_t)ms * 1000u;
}

void ms_retry_after_head(struct ms_easy *e, enum ms_then *then)
{
    const struct ms_head *head = &e->response->head;
    uint64_t most_us = most_delay_us(e), wait_us;

    if (!has_tries_left(e) || !may_be_made_twice(e) ||
        !ms_options_retries_status(ms_run_options(e), head->status))
        return;
    bool told = find_wait(&head->fields, &wait_us);
    if ((told && wait_us > most_us) || !can_afford(e))
        return;
    e->agent->delay_us = told ? wait_us : next_delay_us(e, most_us);
    e->agent->retries++;
    *then = MS_THEN_AGAIN;
}

/* A program that was told of the response would be told of two. */
static bool was_told(const struct ms_easy *e)
{
    return e->headed && (e->on_headers || e->on_data);
}

/* Failures of the moment: where nothing reached the server, whatever was asked;
 * otherwise what may be made twice. Not a limit on the time of the whole run.
 */
static bool is_of_the_moment(const struct ms_easy *e, ms_err err)
{
    bool reached = e->error.phase > MS_PHASE_TLS && err != MS_EREFUSEDSTREAM;

    if (err == MS_ENOMEM || err == MS_EINTERNAL || ms_run_is_late(e))
        return false;
    return reached ? ms_run_broke_off(e, err) && may_be_made_twice(e)
                   : e->error.retryable;
}

bool ms_retry_after_failure(struct ms_easy *e, ms_err err)
{
    if (!has_tries_left(e) || was_told(e) || !is_of_the_moment(e, err) ||
        !can_afford(e))
        return false;
    e->agent->delay_us = next_delay_us(e, most_delay_us(e));
    e->agent->retries++;
    return true;
}
