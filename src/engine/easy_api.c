/* SPDX-License-Identifier: MIT */
#include "engine/easy.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "engine/agent.h"
#include "engine/debug.h"
#include "engine/run.h"

/* Bytes of a host or URL in an error message. */
#define MAX_NAMED 255

ms_err ms_easy_new(struct ms_easy **out)
{
    struct ms_easy *e = ms_zalloc(sizeof(*e));

    if (!e)
        return MS_ENOMEM;
    ms_run_init(e);
    *out = e;
    return MS_OK;
}

static void free_easy(struct ms_grave *g)
{
    struct ms_easy *e = MS_CONTAINER(g, struct ms_easy, grave);

    ms_buf_free(&e->url_text);
    ms_url_free(&e->url);
    ms_options_free(e->options);
    ms_response_free(e->response);
    ms_decoding_free(e->decoding);
    ms_agent_free(e);
    ms_free(e->watch);
    ms_debug_free(e);
    ms_free(e->source);
    ms_free(e->said);
    ms_free(e);
}

void ms_easy_close(struct ms_easy *e)
{
    struct ms_multi *m = e ? e->multi : NULL;

    if (!e || e->closing)
        return;
    e->closing = true;
    if (!m) {
        free_easy(&e->grave);
        return;
    }
    struct ms_loop *l = ms_run_env_of(e)->loop;
    ms_loop_enter(l);
    ms_err err = MS_MUTANT_IS(14) ? MS_OK : ms_multi_remove(m, e);
    (void)err; /* it is in this multi */
    ms_loop_bury(l, &e->grave, free_easy);
    ms_loop_settle(l);
}

ms_err ms_easy_set_url(struct ms_easy *e, const char *url, size_t n)
{
    /* The same again needs no parsing again: the usual case of a reused easy.
     */
    if (n && ms_span_equal(ms_run_url_text(e), ms_span(url, n)))
        return MS_OK;
    ms_err err = ms_buf_reserve(&e->url_text, n);
    if (err)
        return err;
    e->url_parsed = false;
    ms_buf_clear(&e->url_text);
    ms_buf_put(&e->url_text, ms_span(url, n));
    return MS_OK;
}

void ms_easy_set_options(struct ms_easy *e, struct ms_options *o)
{
    struct ms_options *old = e->options;

    e->options = o ? ms_options_use(o) : NULL;
    ms_options_free(old);
}

/* The set of the last run, if nobody else uses that. */
static struct ms_options *take_own_set(struct ms_easy *e)
{
    struct ms_options *o = e->options;
    struct ms_response *r = e->response;

    if (o && r && r->options == o) {
        r->authority = ms_span(NULL, 0);
        r->options = NULL;
        ms_options_free(o);
    }
    e->options = NULL;
    if (o && o->once && o->refs == 1)
        return o;
    ms_options_free(o);
    return NULL;
}

ms_err ms_easy_options_once(struct ms_easy *e, struct ms_options *base,
                            struct ms_options **out)
{
    if (e->multi)
        return MS_EADDED;
    struct ms_options *o = take_own_set(e);
    ms_err err = o ? ms_options_renew(o, base) : ms_options_new(&o, base);
    if (err)
        return err;
    o->once = true;
    *out = e->options = o;
    return MS_OK;
}

struct ms_options *ms_easy_options(const struct ms_easy *e)
{
    return e->options;
}

void ms_easy_on_headers(struct ms_easy *e, ms_headers_cb *cb, void *user)
{
    e->on_headers = cb;
    e->headers_user = user;
}

void ms_easy_on_data(struct ms_easy *e, ms_data_cb *cb, void *user)
{
    e->on_data = cb;
    e->data_user = user;
}

ms_err ms_easy_on_debug(struct ms_easy *e, ms_debug_cb *cb, void *user)
{
    return ms_debug_set(e, cb, user);
}

void ms_easy_on_progress(struct ms_easy *e, ms_progress_cb *cb, void *user)
{
    e->on_progress = cb;
    e->progress_user = user;
}

ms_err ms_easy_on_body(struct ms_easy *e, ms_body_cb *cb, void *user,
                       int64_t length)
{
    if (!e->source && !cb)
        return MS_OK;
    if (!e->source && !(e->source = ms_zalloc(sizeof(*e->source))))
        return MS_ENOMEM;
    e->source->given =
        (struct ms_producer){.cb = cb, .user = user, .length = length};
    return MS_OK;
}

void ms_easy_on_rewind(struct ms_easy *e, ms_rewind_cb *cb)
{
    if (e->source)
        e->source->given.rewind = cb;
}

void ms_easy_send_file(struct ms_easy *e, int fd, int64_t offset,
                       int64_t length)
{
    struct ms_source *s = e->source;

    assert(s && !s->left && offset >= 0 && length > 0);
    s->fd = fd;
    s->at = offset;
    s->left = length;
}

void ms_easy_set_oneshot(struct ms_easy *e, bool oneshot)
{
    e->oneshot = oneshot;
}

void ms_easy_set_user(struct ms_easy *e, void *user)
{
    e->user = user;
}

void *ms_easy_user(const struct ms_easy *e)
{
    return e->user;
}

void ms_easy_pause(struct ms_easy *e, unsigned mask)
{
    if (!ms_run_under_way(e) || mask == e->pause)
        return;
    struct ms_loop *l = ms_run_env_of(e)->loop;
    if (MS_MUTANT_IS(41) && ms_loop_inside(l))
        return;
    ms_loop_enter(l);
    e->pause = (unsigned char)(mask & (MS_PAUSE_RECV | MS_PAUSE_SEND));
    ms_run_pause(e);
    ms_loop_settle(l);
}

const struct ms_error *ms_easy_error(const struct ms_easy *e)
{
    return &e->error;
}

/* What is no URL has no host: as it stands, from behind the credentials on. */
static struct ms_span host_of(const struct ms_easy *e)
{
    struct ms_span text = ms_run_url_text(e);
    size_t from, to;

    if (ms_buf_len(&e->url.href))
        return ms_url_authority(ms_agent_url(e));
    ms_url_userinfo(text.p, text.n, &from, &to);
    return from < to ? ms_span(text.p + to, text.n - to) : text;
}

/* What could not be parsed may be long: the reason comes behind it. */
static struct ms_span shortened(struct ms_span host)
{
    return host.n > MAX_NAMED ? ms_span(host.p, MAX_NAMED) : host;
}

const char *ms_easy_error_message(const struct ms_easy *e, char *buf,
                                  size_t cap)
{
    struct ms_span host = shortened(host_of(e));
    const char *text = ms_err_text(e->error.err);

    if (!e->error.err)
        snprintf(buf, cap, "no error");
    else if (e->said)
        snprintf(buf, cap, "%.*s: %s", (int)host.n, host.p, e->said);
    else if (e->detail)
        snprintf(buf, cap, "%.*s: %s: %s", (int)host.n, host.p, text,
                 e->detail);
    else if (e->error.err == MS_ETIMEOUT)
        snprintf(buf, cap, "%.*s: %s (%s)", (int)host.n, host.p, text,
                 ms_phase_name(e->error.phase));
    else
        snprintf(buf, cap, "%.*s: %s", (int)host.n, host.p, text);
    return buf;
}

const struct ms_response *ms_easy_response(const struct ms_easy *e)
{
    return e->response;
}

void ms_easy_drop_body(struct ms_easy *e)
{
    if (e->response && !ms_run_under_way(e))
        ms_buf_free(&e->response->body);
}

struct ms_response *ms_easy_take_response(struct ms_easy *e)
{
    struct ms_response *r = ms_run_under_way(e) ? NULL : e->response;

    if (!r || ms_response_own(r))
        return NULL;
    e->response = NULL;
    return r;
}

struct ms_multi *ms_easy_multi(const struct ms_easy *e)
{
    return e->multi;
}

bool ms_easy_running(const struct ms_easy *e)
{
    return ms_run_under_way(e);
}
