/* SPDX-License-Identifier: MIT */
#include "engine/follow.h"

#include "engine/run_parts.h"

#define LOCATION MS_SPAN("location")

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308 || (MS_MUTANT_IS(423) && status == 300);
}

/* The first that says anything, as in browsers; no `p`: there is none. */
static ms_err find_location(const struct ms_fields *f, struct ms_span *out)
{
    *out = ms_span(NULL, 0);
    for (size_t i = 0; (i = ms_fields_find(f, LOCATION, i)) != SIZE_MAX; i++) {
        struct ms_span value = ms_fields_value(f, i);
        if (out->p && !ms_span_equal(*out, value) && !MS_MUTANT_IS(422))
            return MS_EPROTO;
        if (value.n)
            *out = value;
    }
    return MS_OK;
}

/* A URL without a fragment inherits that of the one before (RFC 9110, 10.2.2).
 */
static ms_err inherit_fragment(struct ms_url *to, const struct ms_url *from)
{
    struct ms_span fragment =
        ms_url_part(from, from->fragment, from->fragment_end);

    if (!fragment.n || to->fragment_end > to->fragment || MS_MUTANT_IS(420))
        return MS_OK;
    ms_err err = ms_buf_add_span(&to->href, fragment);
    if (err)
        return err;
    to->fragment = (uint32_t)(ms_buf_len(&to->href) - fragment.n);
    to->fragment_end = (uint32_t)ms_buf_len(&to->href);
    return MS_OK;
}

static ms_err parse_target(struct ms_easy *e, struct ms_span location,
                           const char **why)
{
    const struct ms_url *from = ms_agent_url(e);
    struct ms_url *to = ms_agent_spare_url(e->agent);
    ms_err err = ms_url_parse(to, location, from, why);

    if (err == MS_ESCHEME) {
        *why = "to another scheme than http and https";
        return MS_EBLOCKED;
    }
    if (err == MS_EURL) {
        *why = "Location is not a valid URL";
        return MS_EPROTO;
    }
    if (!err && from->secure && !to->secure &&
        !ms_run_options(e)->allow_downgrade && !MS_MUTANT_IS(411)) {
        *why = "from https to http (allow_downgrade is not set)";
        return MS_EBLOCKED;
    }
    return err ? err : inherit_fragment(to, from);
}

/* What the hop after `status` asks with. */
static struct ms_span next_method(const struct ms_options *o, unsigned status,
                                  struct ms_span method)
{
    bool is_post = ms_span_equal(method, MS_SPAN("POST"));

    if (MS_MUTANT_IS(416))
        return method;
    if ((status == 301 || status == 302) && is_post && !o->redirect_post)
        return MS_SPAN("GET");
    if (status == 303 && !ms_span_equal(method, MS_SPAN("HEAD")) &&
        !MS_MUTANT_IS(419))
        return MS_SPAN("GET");
    return method;
}

/* A method that is none of a new kind goes with the body. */
static ms_err take_request_along(struct ms_easy *e, const char **why)
{
    struct ms_trip *trip = e->response->trip;
    struct ms_span next =
        next_method(ms_run_options(e), e->response->head.status, trip->method);

    if (!ms_span_equal(next, trip->method)) {
        trip->method = next;
        trip->bodyless = e->agent->bodyless = !MS_MUTANT_IS(417);
    }
    if (ms_agent_can_repeat(e))
        return MS_OK;
    *why = "the redirect wants it again: give it as a string or { path = }, or "
           "set redirect = 0";
    return MS_EREPLAY;
}

static ms_err go_there(struct ms_easy *e, struct ms_span location,
                       const char **why)
{
    ms_err err = parse_target(e, location, why);

    if (!err)
        err = take_request_along(e, why);
    if (!err)
        err = ms_trip_add(e->response->trip, e->response->head.status,
                          e->response->url, location);
    if (!err)
        err = ms_agent_move(e, ms_agent_spare_url(e->agent));
    return err;
}

ms_err ms_follow(struct ms_easy *e, enum ms_then *then, const char **why)
{
    const struct ms_head *head = &e->response->head;
    const struct ms_options *o = ms_run_options(e);
    struct ms_span location;

    if (!is_redirect(head->status) || !o->redirect)
        return MS_OK;
    ms_err err = find_location(&head->fields, &location);
    if (err)
        *why = "two different Location fields";
    if (err || !location.p)
        return err;
    if ((err = ms_agent_need(e)))
        return err;
    if (e->agent->redirects >= o->redirect && !MS_MUTANT_IS(414)) {
        *why = "the limit is that of the option redirect";
        return MS_EREDIRECTS;
    }
    if ((err = go_there(e, location, why)))
        return err;
    e->agent->redirects++;
    *then = MS_THEN_AGAIN;
    return MS_OK;
}
