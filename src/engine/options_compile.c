/* SPDX-License-Identifier: MIT
 *
 * options_compile.c - what is made of a set of options when it is frozen.
 */
#include <stdio.h>
#include <string.h>

#include "engine/options.h"
#include "proto/decode.h"
#include "proto/wire.h"

/* What the fields of most requests take: room that is made once. */
#define USUAL_BLOCK 256

#define NO_CONTROLS "has no control characters such as line ends"

static bool is_removed(const struct ms_options *o, struct ms_span name)
{
    return o->removed.count && ms_fields_find(&o->removed, name, 0) != SIZE_MAX;
}

static ms_err add_line(struct ms_options *o, struct ms_span name,
                       struct ms_span value)
{
    return ms_fields_add_line(&o->asked.sent, name, value);
}

static ms_err add_default(struct ms_options *o, struct ms_span name,
                          struct ms_span value)
{
    if (ms_fields_find(&o->headers, name, 0) != SIZE_MAX || is_removed(o, name))
        return MS_OK;
    return add_line(o, name, value);
}

/* Of coded bytes no part is of use: who asks for one gets it as it is. */
static ms_err add_codings(struct ms_options *o)
{
    if (!o->decompress || o->part.set ||
        ms_fields_find(&o->headers, MS_SPAN("range"), 0) != SIZE_MAX)
        return MS_OK;
    return add_default(o, MS_SPAN("Accept-Encoding"),
                       MS_SPAN(MS_DECODE_ACCEPT));
}

static ms_err add_range(struct ms_options *o)
{
    char text[MS_RANGE_TEXT];

    if (!o->part.set)
        return MS_OK;
    return add_default(o, MS_SPAN("Range"), ms_range_text(&o->part, text));
}

/* Which part of the body is asked for. */
static ms_err compile_part(struct ms_options *o)
{
    ms_err err = MS_OK;

    if (o->range.p && o->resume_from > 0) {
        o->why = "only one of range and resume_from can be given";
        return MS_EOPTION;
    }
    if (o->range.p)
        err = ms_range_parse(&o->part, ms_buf_span(&o->range));
    else if (o->resume_from > 0)
        o->part = (struct ms_range){
            .set = true, .rest = true, .from = o->resume_from, .to = -1};
    if (err)
        o->why = "a range is \"from-to\", \"from-\" or \"-last\"";
    return err;
}

static bool asks_to_close(struct ms_span value)
{
    struct ms_span item;

    while (ms_span_next_item(&value, &item))
        if (ms_span_equal_nocase(item, MS_SPAN("close")))
            return true;
    return false;
}

/* Framing is the engine's: a Content-Length has to agree with the body, and
 * a Transfer-Encoding cannot be sent by hand (RFC 9112, 6). */
static ms_err check_framing(const struct ms_options *o, struct ms_span name,
                            struct ms_span value, bool *is_framing)
{
    uint64_t n;

    *is_framing = false;
    if (ms_span_equal_nocase(name, MS_SPAN("transfer-encoding")))
        return MS_EHEADER;
    if (!ms_span_equal_nocase(name, MS_SPAN("content-length")))
        return MS_OK;
    *is_framing = true;
    if (!ms_span_decimal(value, INT64_MAX, &n) || n != ms_options_body(o).n)
        return MS_EHEADER;
    return MS_OK;
}

static ms_err refuse(struct ms_options *o, ms_err err, const char *why)
{
    o->why = why;
    return err;
}

/* The characters of a host and a port (RFC 3986, 3.2.2): no others, that a
 * proxy and a server behind it might read in two ways. */
static bool is_authority(struct ms_span s)
{
    static const char signs[] = "-._~!$&'()*+,;=%:[]";

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], lower = (char)(c | 0x20);
        bool plain = (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z');
        if (!plain && (!c || !strchr(signs, c)))
            return false;
    }
    return s.n > 0;
}

static ms_err add_host(struct ms_options *o, struct ms_span value)
{
    if (o->asked.host.p || !is_authority(value))
        return refuse(o, MS_EHEADER,
                      "there is one Host: a name or an address, perhaps with a "
                      "port");
    o->asked.host = value;
    return MS_OK;
}

static ms_err add_user_field(struct ms_options *o, struct ms_span name,
                             struct ms_span value)
{
    bool is_framing;

    value = ms_span_trim(value);
    if (!ms_wire_is_token(name) || !ms_wire_is_value(value))
        return refuse(o, MS_EHEADER,
                      "a header's name is letters, digits and some signs (a "
                      "token), its value " NO_CONTROLS);
    ms_err err = check_framing(o, name, value, &is_framing);
    if (err)
        return refuse(o, err,
                      "Content-Length has to be that of the body, and "
                      "Transfer-Encoding is not given by hand");
    if (is_framing)
        return MS_OK;
    if (ms_span_equal_nocase(name, MS_SPAN("host")))
        return add_host(o, value);
    if (ms_span_equal_nocase(name, MS_SPAN("connection")))
        o->close |= asks_to_close(value);
    return add_line(o, name, value);
}

static ms_err compile_route(struct ms_options *o)
{
    struct ms_route_spec spec = {
        .guard = o->guard, .hook = o->hook, .use = o->use};

    memcpy(spec.number, o->way, sizeof(spec.number));
    spec.number[MS_ROUTE_KEEPALIVE] = o->tcp_keepalive;
    for (size_t i = 0; i < MS_ROUTE_TEXTS; i++)
        spec.text[i] = ms_buf_span(&o->way_text[i]);
    ms_err err = ms_route_new(&o->route, &spec);

    return err == MS_EOPTION ? refuse(o, err, ms_route_flaw(&spec)) : err;
}

/* A line by hand, or that there is to be none, comes before all options. */
static ms_err add_authorization(struct ms_options *o)
{
    struct ms_span name = MS_SPAN("Authorization");
    struct ms_buf value = {0};
    ms_err err = ms_auth_settings_value(&o->auth, &value, &o->why);

    o->authorized =
        ms_fields_find(&o->headers, name, 0) != SIZE_MAX || is_removed(o, name);
    if (!err && ms_buf_len(&value) && !o->authorized)
        err = add_line(o, name, ms_buf_span(&value));
    ms_buf_free(&value);
    return err;
}

static ms_err check_retry(struct ms_options *o)
{
    struct ms_span list = ms_buf_span(&o->retry_status), item;
    uint64_t status;

    if (MS_LIKELY(!o->retry_status.p && !o->retry_methods.p))
        return MS_OK;
    o->why = "retry.status is a list of statuses, 100 to 599";
    while (ms_span_next_item(&list, &item))
        if (!ms_span_decimal(item, 599, &status) || status < 100)
            return MS_EOPTION;
    list = ms_buf_span(&o->retry_methods);
    o->why = "retry.methods is a list of methods";
    while (ms_span_next_item(&list, &item))
        if (!ms_wire_is_token(item))
            return MS_EOPTION;
    o->why = NULL;
    return MS_OK;
}

/* Methods whose requests are expected to have a body say so even when it is
 * empty (RFC 9110, 8.6). */
static bool sends_body(const struct ms_options *o)
{
    struct ms_span m = o->asked.method;

    return o->has_body || ms_span_equal(m, MS_SPAN("POST")) ||
           ms_span_equal(m, MS_SPAN("PUT")) ||
           ms_span_equal(m, MS_SPAN("PATCH"));
}

/* Checks and renders the request's fields. */
static ms_err compile(struct ms_options *o)
{
    struct ms_span agent = o->user_agent.p ? ms_buf_span(&o->user_agent)
                                           : MS_SPAN("multisocket/" MS_VERSION);
    ms_err err;

    o->watched = o->timeout_first_byte >= 0 || o->timeout_idle >= 0 ||
                 o->low_speed_limit >= 0 || o->expect_continue;
    o->paced = o->max_send_speed >= 0 || o->max_recv_speed >= 0;
    if (o->asked.has_body)
        snprintf(o->asked.length_text, sizeof(o->asked.length_text), "%zu",
                 ms_options_body(o).n);
    /* CONNECT makes a tunnel: what follows its answer is no response. */
    if (!ms_wire_is_token(o->asked.method) ||
        ms_span_equal(o->asked.method, MS_SPAN("CONNECT")))
        return refuse(o, MS_EOPTION,
                      "a method is letters, digits and some signs (a token), "
                      "and not CONNECT");
    if (!ms_wire_is_value(agent) ||
        !ms_wire_is_value(ms_buf_span(&o->priority)))
        return refuse(o, MS_EHEADER,
                      "user_agent or priority: its value " NO_CONTROLS);
    if ((err = ms_buf_reserve(&o->asked.sent.text, USUAL_BLOCK)))
        return err;
    if ((agent.n && (err = add_default(o, MS_SPAN("User-Agent"), agent))) ||
        (err = add_default(o, MS_SPAN("Accept"), MS_SPAN("*/*"))) ||
        (err = add_codings(o)) || (err = add_range(o)) ||
        (o->priority.p && (err = add_default(o, MS_SPAN("Priority"),
                                             ms_buf_span(&o->priority)))) ||
        (err = add_authorization(o)))
        return err;
    for (uint32_t i = 0; i < o->headers.count; i++) {
        struct ms_span name = ms_fields_name(&o->headers, i);
        if (!name.n)
            continue;
        err = add_user_field(o, name, ms_fields_value(&o->headers, i));
        if (err)
            return err;
    }
    return MS_OK;
}

void ms_options_freeze(struct ms_options *o)
{
    o->frozen = true;
    o->asked.method = ms_options_method(o);
    o->asked.has_body = sends_body(o);
    o->guided =
        o->retry_max > 0 || o->cookies || ms_auth_settings_ask(&o->auth);
    o->err = check_retry(o);
    if (!o->err)
        o->err = compile_part(o);
    if (!o->err)
        o->err = compile(o);
    if (o->same_way)
        return;
    if (!o->err)
        o->err = compile_route(o);
    if (!o->err)
        o->err = ms_tls_profile_new(&o->tls_profile, &o->tls, &o->why);
}
