/* SPDX-License-Identifier: MIT */
#include "engine/progress.h"

#include <assert.h>

#include "engine/run_parts.h"

void ms_progress_restart(struct ms_easy *e)
{
    e->watch->down = e->watch->pulled = e->watch->progress.up = 0;
}

static bool is_streamed(const struct ms_easy *e)
{
    return e->source && e->source->of.cb;
}

static uint64_t sent_of(const struct ms_easy *e)
{
    if (is_streamed(e))
        return e->watch->pulled;
    return e->response->options->paced ? e->watch->sent_bytes
                                       : e->watch->progress.up;
}

static struct ms_transferred numbers_of(const struct ms_easy *e)
{
    const struct ms_watch *w = e->watch;

    return (struct ms_transferred){
        .down = (int64_t)w->down,
        .down_total = e->headed ? e->response->head.length : -1,
        .up = (int64_t)sent_of(e),
        .up_total = is_streamed(e)
                        ? e->source->of.length
                        : (int64_t)ms_options_body(e->response->options).n,
    };
}

bool ms_progress_tell(struct ms_easy *e)
{
    struct ms_transferred t = numbers_of(e);
    struct ms_loop *l = ms_run_loop(e);
    unsigned run = e->run;

    assert(ms_progress_wanted(e));
    e->watch->tell_us = l->now_us + MS_PROGRESS_US;
    enum ms_verdict v = e->on_progress(e, &t, e->progress_user);
    ms_loop_touch(l);
    if (e->run != run || !ms_run_under_way(e))
        return false;
    if (MS_MUTANT_IS(142))
        return true;
    if (v == MS_ABORT || v == MS_CANCEL)
        ms_run_end(e, v == MS_ABORT ? MS_ECALLBACK : MS_ECANCELLED, NULL);
    return v != MS_ABORT && v != MS_CANCEL;
}
