/* SPDX-License-Identifier: MIT */
#include "engine/policy.h"

#include "engine/cookies.h"
#include "engine/credentials.h"
#include "engine/expect.h"
#include "engine/follow.h"
#include "engine/retry.h"
#include "engine/run_parts.h"

ms_err ms_policy_begin(struct ms_easy *e)
{
    ms_agent_free(e);
    if (!ms_run_options(e)->guided)
        return MS_OK;
    ms_retry_count(e);
    return ms_agent_need(e);
}

ms_err ms_policy_before_hop(struct ms_easy *e, const char **why)
{
    ms_err err = ms_agent_render(e);

    if (!err)
        err = ms_cookies_before_hop(e);
    return err ? err : ms_credentials_before_hop(e, why);
}

ms_err ms_policy_after_head(struct ms_easy *e, enum ms_then *then,
                            const char **why)
{
    /* Cookies first: they are of this hop, and following leads to the next. */
    ms_err err = ms_cookies_after_head(e);

    if (!err && e->agent)
        err = ms_credentials_after_head(e, then, why);
    if (!err && *then == MS_THEN_DELIVER)
        err = ms_expect_after_head(e, then);
    if (!err && *then == MS_THEN_DELIVER)
        err = ms_follow(e, then, why);
    if (!err && *then == MS_THEN_DELIVER && e->agent)
        ms_retry_after_head(e, then);
    return err;
}

ms_err ms_policy_after_body(struct ms_easy *e, const char **why)
{
    return ms_credentials_after_body(e, why);
}

bool ms_policy_after_failure(struct ms_easy *e, ms_err err)
{
    return ms_retry_after_failure(e, err);
}
