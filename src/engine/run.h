/* SPDX-License-Identifier: MIT
 *
 * run.h - one run of an easy handle, from its start to its end.
 *
 *     QUEUED --start--> WAITING --connection--> ACTIVE --end--> DONE
 *
 * The run asks the pool for a connection, opens a stream on it and collects
 * or delivers what comes. Whatever ends it, ends it through one function.
 */
#ifndef MS_ENGINE_RUN_H
#define MS_ENGINE_RUN_H

#include "engine/auth_store.h"
#include "engine/easy.h"

/* What the retries of a multi's transfers have cost of their budget. */
struct ms_retry_account {
    int64_t spent; /* thousandths of a retry */
    uint64_t at_us;
};

/* What a run needs of its multi. */
struct ms_run_env {
    struct ms_loop *loop;
    struct ms_pool *pool;
    struct ms_gate gate;
    struct ms_options *defaults;
    /* The run of `easy` is over: error and response are final. */
    void (*on_end)(struct ms_easy *easy);
    struct ms_retry_account retries;
    struct ms_auth_store logins;
    uint64_t random; /* state of a generator, for delays */
};

/* For a new easy. */
void ms_run_init(struct ms_easy *e);

/* The environment of an easy that is added; engine/multi.c has it. */
struct ms_run_env *ms_run_env_of(const struct ms_easy *e);

/* The URL as it was given; lent until the next one is set. */
struct ms_span ms_run_url_text(const struct ms_easy *e);

/* Prepares a run and posts its start. MS_ENOMEM. */
ms_err ms_run_queue(struct ms_easy *e) MS_MUST_CHECK;

/* Ends the run with `err` and calls on_end; nothing happens when it has
 * ended. */
void ms_run_end(struct ms_easy *e, ms_err err, const char *detail);

/* Ends it without telling anybody: the easy is being removed. */
void ms_run_drop(struct ms_easy *e);

/* Applies e->pause to the run under way. */
void ms_run_pause(struct ms_easy *e);

static inline bool ms_run_under_way(const struct ms_easy *e)
{
    return e->state >= MS_RUN_QUEUED && e->state <= MS_RUN_ACTIVE;
}

/* How far the run under way has come: what it waits for. */
enum ms_phase ms_run_phase(const struct ms_easy *e);

const char *ms_run_state_name(const struct ms_easy *e);

/* NULL when its parts agree; otherwise what does not. */
const char *ms_run_check(const struct ms_easy *e);

#endif
