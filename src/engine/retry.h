/* SPDX-License-Identifier: MIT
 *
 * retry.h - whether a request that failed in passing is made again, and when.
 *
 * Only what may be made twice is: by default idempotent methods. A server that
 * says when (Retry-After) is obeyed; otherwise delays grow at random
 * (decorrelated jitter), so that many clients do not come back together. What
 * all transfers of a multi may repeat is bounded, so that a server that is
 * down is not asked much more often than one that works.
 */
#ifndef MS_ENGINE_RETRY_H
#define MS_ENGINE_RETRY_H

#include "engine/agent.h"

/* A request was begun: it pays for a tenth of a retry. */
void ms_retry_count(struct ms_easy *e);

/* Looks at the head of a final response that is nobody else's business.
 * `*then` may become MS_THEN_AGAIN, with agent->delay_us. */
void ms_retry_after_head(struct ms_easy *e, enum ms_then *then);

/* The run is about to end with `err`, of which e->error tells more. True:
 * another hop follows, agent->delay_us later. */
bool ms_retry_after_failure(struct ms_easy *e, ms_err err);

#endif
