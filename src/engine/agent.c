/* SPDX-License-Identifier: MIT */
#include "engine/agent.h"

#include <assert.h>

#include "base/mem.h"
#include "engine/run_parts.h"

ms_err ms_agent_need(struct ms_easy *e)
{
    if (e->agent)
        return MS_OK;
    ms_err err = ms_response_start_trip(e->response);
    if (err)
        return err;
    e->agent = ms_zalloc(sizeof(*e->agent));
    if (!e->agent)
        return MS_ENOMEM;
    e->agent->wake_us = MS_NEVER;
    return MS_OK;
}

void ms_agent_free(struct ms_easy *e)
{
    struct ms_agent *a = e->agent;

    if (!a)
        return;
    ms_url_free(&a->url[0]);
    ms_url_free(&a->url[1]);
    ms_buf_free(&a->block);
    ms_buf_free(&a->cookie);
    ms_jar_free(a->jar);
    ms_credentials_free(&a->credentials);
    ms_tls_profile_free(a->other);
    ms_free(a);
    e->agent = NULL;
}

bool ms_agent_trusts(const struct ms_easy *e)
{
    return !e->agent->foreign || ms_run_options(e)->unrestricted_auth;
}

/* ---- another origin ---------------------------------------------------- */

static bool same_origin(const struct ms_url *a, const struct ms_url *b)
{
    return (a->secure == b->secure || MS_MUTANT_IS(403)) &&
           (a->port_number == b->port_number || MS_MUTANT_IS(402)) &&
           (MS_MUTANT_IS(404) ||
            ms_span_equal(ms_url_part(a, a->host, a->host_end),
                          ms_url_part(b, b->host, b->host_end)));
}

/* A certificate is a credential, and a name to expect is one host's. */
static bool is_of_one_origin(enum ms_tls_text which, bool trusted)
{
    if (which == MS_TLS_SERVER_NAME)
        return true;
    if (MS_MUTANT_IS(407))
        return false;
    return !trusted && (which == MS_TLS_CERT || which == MS_TLS_KEY ||
                        which == MS_TLS_PASSWORD);
}

/* The settings of TLS without those that are the first origin's. */
static ms_err make_other_profile(struct ms_easy *e)
{
    const struct ms_tls_settings *all = &ms_run_options(e)->tls;
    struct ms_tls_settings rest;
    const char *why;
    bool differs = false;

    ms_tls_settings_init(&rest);
    ms_err err = ms_tls_settings_copy(&rest, all);
    for (size_t i = 0; i < MS_TLS_TEXTS; i++) {
        if (!is_of_one_origin((enum ms_tls_text)i, ms_agent_trusts(e)))
            continue;
        differs |= all->text[i].p != NULL;
        ms_buf_free(&rest.text[i]);
    }
    if (!err && differs)
        err = ms_tls_profile_new(&e->agent->other, &rest, &why);
    e->agent->differs = differs;
    ms_tls_settings_free(&rest);
    return err;
}

/* A Host by hand is for who it was given for. */
static struct ms_span authority_of(const struct ms_easy *e)
{
    struct ms_span by_hand = ms_run_options(e)->asked.host;

    return by_hand.p && (!e->agent->foreign || MS_MUTANT_IS(406))
               ? by_hand
               : ms_url_authority(ms_agent_url(e));
}

ms_err ms_agent_move(struct ms_easy *e, const struct ms_url *url)
{
    struct ms_agent *a = e->agent;
    bool foreign = !same_origin(url, ms_agent_url(e));
    ms_err err = MS_OK;

    if (MS_MUTANT_IS(405) && same_origin(url, &e->url))
        a->foreign = foreign = false;

    assert(url == ms_agent_spare_url(a));
    if (foreign && !a->foreign) {
        a->foreign = true;
        err = make_other_profile(e);
    }
    a->was_secure |= ms_agent_url(e)->secure;
    a->at ^= 1;
    a->moved = a->led = true;
    a->host_hash = ms_endpoint_host_hash(url);
    e->response->url = ms_buf_span(&url->href);
    e->response->authority = authority_of(e);
    return err;
}

struct ms_endpoint_key ms_agent_key(const struct ms_easy *e)
{
    const struct ms_agent *a = e->agent;
    uint32_t hash = a->moved ? a->host_hash : e->host_hash;
    struct ms_endpoint_key key =
        ms_endpoint_key_of(ms_agent_url(e), hash, ms_run_options(e));

    if (a->differs && key.secure)
        key.profile = a->other;
    return key;
}

bool ms_agent_can_repeat(const struct ms_easy *e)
{
    const struct ms_source *s = e->source;

    return (e->agent && e->agent->bodyless) || !s || !s->asked ||
           s->of.rewind || MS_MUTANT_IS(418);
}

/* ---- fields ------------------------------------------------------------ */

static bool is_one_of(struct ms_span name, const char *const *names)
{
    for (; *names; names++)
        if (ms_span_equal_nocase(name, ms_span_text(*names)))
            return true;
    return false;
}

/* What a user wrote by hand for the server that he named. */
static bool is_credential(struct ms_span name)
{
    static const char *const names[] = {
        "authorization", "proxy-authorization", "cookie",
        "cookie2",       "www-authenticate",    NULL};

    return is_one_of(name, names);
}

/* What says something about a body that is not sent (RFC 9110, 15.4, and the
 * Fetch standard's request-body-header names). */
static bool is_about_body(struct ms_span name)
{
    static const char *const names[] = {
        "digest", "repr-digest", "last-modified", "expect", "trailer", NULL};
    struct ms_span prefix = MS_SPAN("content-");

    return is_one_of(name, names) ||
           (name.n > prefix.n &&
            ms_span_equal_nocase(ms_span(name.p, prefix.n), prefix));
}

/* A page that came by https is nobody else's to read of (RFC 9110, 10.1.3).
 * This is no credential: ms_options.unrestricted_auth says nothing of it. */
static bool gives_page_away(const struct ms_easy *e, struct ms_span name)
{
    return e->agent->was_secure && !ms_agent_url(e)->secure &&
           ms_span_equal_nocase(name, MS_SPAN("referer")) && !MS_MUTANT_IS(412);
}

static bool is_withheld(const struct ms_easy *e, struct ms_span name)
{
    if (gives_page_away(e, name))
        return true;
    if (e->agent->bodyless && is_about_body(name))
        return true;
    if (ms_run_options(e)->cookies &&
        ms_span_equal_nocase(name, MS_SPAN("cookie")))
        return true; /* there is one line of it, engine/cookies adds it */
    if (MS_MUTANT_IS(401))
        return false;
    return !ms_agent_trusts(e) && is_credential(name);
}

ms_err ms_agent_add_line(struct ms_easy *e, struct ms_span name,
                         struct ms_span value)
{
    struct ms_buf *block = &e->agent->block;
    ms_err err = ms_buf_reserve(block, name.n + value.n + 4);

    if (err || (err = ms_fields_add(&e->response->trip->sent, name, value)))
        return err;
    ms_buf_put(block, name);
    ms_buf_put(block, MS_SPAN(": "));
    ms_buf_put(block, value);
    ms_buf_put(block, MS_SPAN("\r\n"));
    return MS_OK;
}

ms_err ms_agent_render(struct ms_easy *e)
{
    const struct ms_fields *all = &ms_run_options(e)->asked.sent;
    ms_err err = MS_OK;

    ms_buf_clear(&e->agent->block);
    ms_fields_clear(&e->response->trip->sent);
    for (uint32_t i = 0; i < all->count && !err; i++)
        if (!is_withheld(e, ms_fields_name(all, i)))
            err = ms_agent_add_line(e, ms_fields_name(all, i),
                                    ms_fields_value(all, i));
    return err;
}
