/* SPDX-License-Identifier: MIT */
#include "engine/cookies.h"

#include "engine/run_parts.h"
#include "proto/jar.h"

#define COOKIE     MS_SPAN("cookie")
#define SET_COOKIE MS_SPAN("set-cookie")

static bool wanted(const struct ms_easy *e)
{
    return e->agent && ms_run_options(e)->cookies;
}

/* The one that was given, or one for this run. */
static ms_err need_jar(const struct ms_easy *e, struct ms_jar **out)
{
    struct ms_agent *a = e->agent;
    ms_err err = MS_OK;

    *out = ms_run_options(e)->jar;
    if (*out)
        return MS_OK;
    if (!a->jar)
        err = ms_jar_new(&a->jar);
    *out = a->jar;
    return err;
}

static ms_err append(struct ms_buf *line, struct ms_span value)
{
    ms_err err = ms_buf_reserve(line, value.n + 2);

    if (err)
        return err;
    if (ms_buf_len(line))
        ms_buf_put(line, MS_SPAN("; "));
    ms_buf_put(line, value);
    return MS_OK;
}

static ms_err add_by_hand(const struct ms_easy *e, struct ms_buf *line)
{
    const struct ms_fields *f = &ms_run_options(e)->asked.sent;
    ms_err err = MS_OK;

    if (!ms_agent_trusts(e) && !MS_MUTANT_IS(410))
        return MS_OK;
    for (size_t i = 0; !err && (i = ms_fields_find(f, COOKIE, i)) != SIZE_MAX;
         i++)
        err = append(line, ms_fields_value(f, i));
    return err;
}

ms_err ms_cookies_before_hop(struct ms_easy *e)
{
    struct ms_jar *jar;

    if (!wanted(e))
        return MS_OK;
    struct ms_buf *line = &e->agent->cookie;
    ms_buf_clear(line);
    ms_err err = need_jar(e, &jar);
    if (!err)
        err = ms_jar_line(jar, ms_agent_url(e), ms_wall_seconds(), line);
    if (!err)
        err = add_by_hand(e, line);
    if (err || !ms_buf_len(line))
        return err;
    return ms_agent_add_line(e, MS_SPAN("Cookie"), ms_buf_span(line));
}

static ms_err take(struct ms_easy *e, struct ms_jar *jar, struct ms_span line)
{
    const char *why;
    ms_err err =
        ms_jar_take(jar, ms_agent_url(e), line, ms_wall_seconds(), &why);

    /* Not the cookie itself: it may be somebody's key. */
    if (!err && why)
        MS_TRACE(&ms_run_loop(e)->trace, MS_TRACE_XFER, e->conn->id, e->id,
                 "cookie refused: %s", why);
    return err;
}

ms_err ms_cookies_after_head(struct ms_easy *e)
{
    const struct ms_fields *f = &e->response->head.fields;
    struct ms_jar *jar;
    unsigned left = MS_JAR_RESPONSE_MAX;

    if (!wanted(e))
        return MS_OK;
    ms_err err = need_jar(e, &jar);
    for (size_t i = 0; !err && (left-- || MS_MUTANT_IS(518)); i++) {
        i = ms_fields_find(f, SET_COOKIE, i);
        if (i == SIZE_MAX)
            break;
        err = take(e, jar, ms_fields_value(f, i));
    }
    return err;
}
