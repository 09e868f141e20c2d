/* SPDX-License-Identifier: MIT */
#include "engine/expect.h"

#include "engine/run_parts.h"

#define EXPECTATION_FAILED 417

ms_err ms_expect_after_head(struct ms_easy *e, enum ms_then *then)
{
    if (e->response->head.status != EXPECTATION_FAILED ||
        !e->response->expecting || !ms_agent_can_repeat(e))
        return MS_OK;
    ms_err err = ms_agent_need(e);
    if (err)
        return err;
    e->agent->plain = true;
    *then = MS_THEN_AGAIN;
    return MS_OK;
}
