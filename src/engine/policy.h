/* SPDX-License-Identifier: MIT
 *
 * policy.h - what is done between the requests of a run, and in which order.
 *
 *     begin          options that need it: the run gets its agent
 *     before_hop     the request's fields: the user's, then cookies and
 *                    credentials for the hop's URL
 *     after_head     of every final response, also of those that nobody gets:
 *                    what is learnt from it (cookies), then whoever is first
 *                    to want another hop (credentials, expect, redirect, retry)
 *     after_body     of the response that the run is given, when it is whole:
 *                    whether it is what the server says (credentials)
 *     after_failure  the hop came to nothing: a retry
 *
 * A policy has a file of its own, engine/follow.c for instance, looks at
 * e->agent and is called from policy.c and nowhere else.
 */
#ifndef MS_ENGINE_POLICY_H
#define MS_ENGINE_POLICY_H

#include "engine/agent.h"

/* A run begins; its response has the options. MS_ENOMEM. */
ms_err ms_policy_begin(struct ms_easy *e) MS_MUST_CHECK;

/* A request is about to be made, or the same again on another connection. The
 * run has an agent. An error ends the run, as below. */
ms_err ms_policy_before_hop(struct ms_easy *e, const char **why) MS_MUST_CHECK;

/* The head of a final response has come. An error ends the run; `*why` is a
 * static text for people then, or NULL. */
ms_err ms_policy_after_head(struct ms_easy *e, enum ms_then *then,
                            const char **why) MS_MUST_CHECK;

/* The response of a run that has an agent is whole. An error ends the run, as
 * above. */
ms_err ms_policy_after_body(struct ms_easy *e, const char **why) MS_MUST_CHECK;

/* The run, which has an agent, is about to end with `err`. True: another hop
 * follows instead. */
bool ms_policy_after_failure(struct ms_easy *e, ms_err err);

#endif
