/* SPDX-License-Identifier: MIT
 *
 * expect.h - what becomes of a request that said Expect: 100-continue where
 * nobody understands that (RFC 9110, 10.1.1 and 15.5.18). Not: sending it, and
 * waiting for the 100.
 */
#ifndef MS_ENGINE_EXPECT_H
#define MS_ENGINE_EXPECT_H

#include "engine/agent.h"

/* Looks at the head of a final response. Where it is a 417 to an Expect, and
 * the body can still be sent, `*then` is MS_THEN_AGAIN, and no request of the
 * run says Expect any more: the agent, which is made if need be, is `plain`.
 * Otherwise nothing was changed. MS_ENOMEM. */
ms_err ms_expect_after_head(struct ms_easy *e,
                            enum ms_then *then) MS_MUST_CHECK;

#endif
