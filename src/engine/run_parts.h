/* SPDX-License-Identifier: MIT
 *
 * run_parts.h - what the files that make up a run share, for nobody else:
 * transfer.c moves the run on, run_body.c its bodies, run_limits.c holds it to
 * its limits.
 */
#ifndef MS_ENGINE_RUN_PARTS_H
#define MS_ENGINE_RUN_PARTS_H

#include "engine/run.h"
#include "net/loop.h"

static inline struct ms_loop *ms_run_loop(const struct ms_easy *e)
{
    return ms_run_env_of(e)->loop;
}

static inline const struct ms_options *ms_run_options(const struct ms_easy *e)
{
    return e->response->options;
}

/* Keeps a copy of what is to be said of the run's end: a text about a
 * connection, for instance, lives no longer than that. NULL: there is no
 * memory, or `text` is NULL. */
const char *ms_run_say(struct ms_easy *e, const char *text);

/* ---- bodies (run_body.c) ----------------------------------------------- */

/* What a callback said, unless it removed or restarted its own easy. */
ms_err ms_run_verdict(const struct ms_easy *e, unsigned run,
                      enum ms_verdict verdict) MS_MUST_CHECK;

/* The final head is there: whether its body can be taken. MS_ENOMEM,
 * MS_EDECODE, MS_ERANGE; e->detail may say why. */
ms_err ms_run_begin_body(struct ms_easy *e) MS_MUST_CHECK;

/* Some of the body has come; `*taken` of it, 0 at first, are done with.
 * MS_ECANCELLED: the run is over, or another. */
ms_err ms_run_take(struct ms_easy *e, const char *p, size_t n,
                   size_t *taken) MS_MUST_CHECK;

/* The next piece of the request's body, as ms_stream_ops.on_pull has it. */
ms_err ms_run_pull(struct ms_easy *e, char *p, size_t cap, size_t *n,
                   bool *end) MS_MUST_CHECK;

/* What of a coded body was not decoded is dropped. */
void ms_run_drop_body(struct ms_easy *e);

/* ---- limits (run_limits.c) --------------------------------------------- */

/* Makes room for what the run's options have to measure. MS_ENOMEM. */
ms_err ms_run_prepare_limits(struct ms_easy *e) MS_MUST_CHECK;

/* Starts the timer for whatever limit comes first. */
void ms_run_arm(struct ms_easy *e);

/* What the timer calls. */
void ms_run_on_deadline(struct ms_timer *t);

/* Whether the run is held to a limit on how it gets on right now. */
bool ms_run_watched(const struct ms_easy *e);

/* Whether the time for the whole run is over. */
bool ms_run_is_late(const struct ms_easy *e);

/* Measuring begins here. */
void ms_run_measure(struct ms_easy *e);

/* The body that was kept back for a 100 leaves now. */
void ms_run_send_body(struct ms_easy *e);

/* A connection or a stream that broke, or was waited for too long: asking
 * again may help. */
static inline bool ms_run_broke_off(const struct ms_easy *e, ms_err err)
{
    if (err == MS_ESTREAM || err == MS_EHTTP2)
        return e->stream.broke;
    return err == MS_EEOF || err == MS_ERESET || err == MS_ETRUNCATED ||
           err == MS_ETIMEOUT;
}

/* ---- speed (run_pace.c) ------------------------------------------------ */

/* Both directions begin anew: another connection, or another hop. */
void ms_run_pace_begin(struct ms_easy *e);

/* How many of up to `n` bytes may move now; 0: that direction rests until the
 * timer says so. Call it for runs whose options are `paced` only. */
size_t ms_run_may_recv(struct ms_easy *e, size_t n);
size_t ms_run_may_send(struct ms_easy *e, size_t n);

/* So many of these did. */
void ms_run_did_recv(struct ms_easy *e, size_t n);
void ms_run_did_send(struct ms_easy *e, size_t n);

/* When a direction that rests has to be woken, MS_NEVER: none does. */
uint64_t ms_run_pace_us(const struct ms_easy *e);

/* Wakes what has rested long enough. */
void ms_run_pace_wake(struct ms_easy *e);

/* Applies to the stream what stands still: for the owner's sake, or to keep
 * to a speed. */
void ms_run_hold(struct ms_easy *e);

/* ---- transfer.c -------------------------------------------------------- */

/* The time has come that the agent had the timer set for. */
void ms_run_wake(struct ms_easy *e);

#endif
