/* SPDX-License-Identifier: MIT
 *
 * transfer.c - a run from its start over its connection to its end: what
 * run.h promises, but for the limits.
 */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "engine/agent.h"
#include "engine/credentials.h"
#include "engine/debug.h"
#include "engine/policy.h"
#include "engine/progress.h"
#include "engine/run_parts.h"

/* Connections a request is tried on when one after the other refuses it and
 * serves nobody: a server that restarts does so once or twice. */
#define MAX_ATTEMPTS 5
/* Misdirected Request (RFC 9110, 15.5.20). */
#define MISDIRECTED 421

/* What is left of a response that nobody gets is read, so that its connection
 * can be used again, but no more of it than costs less than a new connection,
 */
#define MAX_DRAIN (64 * 1024)
/* and no longer. */
#define MAX_DRAIN_US 1000000u

const char *ms_run_state_name(const struct ms_easy *e)
{
    static const char *const names[] = {"idle", "queued", "waiting", "active",
                                        "done"};

    return names[e->state];
}

static void set_state(struct ms_easy *e, enum ms_run_state state)
{
    if (MS_MUTANT_IS(207) && state == MS_RUN_WAITING)
        state = MS_RUN_ACTIVE;
    /* Forward, or back to the start of another run or a retry. */
    assert(state > e->state || state <= MS_RUN_QUEUED);
    e->state = (unsigned char)state;
    MS_TRACE(&ms_run_loop(e)->trace, MS_TRACE_XFER, 0, e->id, "%s",
             ms_run_state_name(e));
}

static void stamp(struct ms_easy *e, enum ms_timing which, uint64_t at_us)
{
    /* What happened before the add was free for this transfer. */
    if (at_us)
        e->response->timing_us[which] =
            at_us > e->added_us ? (int64_t)(at_us - e->added_us) : 0;
}

enum ms_phase ms_run_phase(const struct ms_easy *e)
{
    if (e->state == MS_RUN_WAITING)
        return ms_waiter_phase(&e->waiter);
    if (e->state != MS_RUN_ACTIVE)
        return MS_PHASE_QUEUE;
    if (e->error.err == MS_EHANDSHAKE)
        return MS_PHASE_TLS; /* which the server ended after us */
    if (e->headed)
        return MS_PHASE_BODY;
    return e->stream.sent_us ? MS_PHASE_HEADERS : MS_PHASE_SEND;
}

static void take_times(struct ms_easy *e)
{
    stamp(e, MS_TIMING_SEND, e->stream.sent_us);
    stamp(e, MS_TIMING_FIRST_BYTE, e->stream.first_byte_us);
}

/* Lets go of whatever the run holds. */
static void release(struct ms_easy *e)
{
    struct ms_conn *c = e->conn;

    ms_task_cancel(&e->start);
    ms_timer_cancel(ms_run_loop(e), &e->deadline);
    ms_gate_leave(&e->pass);
    ms_pool_cancel(ms_run_env_of(e)->pool, &e->waiter);
    e->conn = NULL;
    if (!MS_MUTANT_IS(304))
        ms_run_drop_body(e);
    if (c && e->stream.session)
        ms_conn_cancel_stream(c, &e->stream);
}

/* Nothing reached the server, or asking again does no harm and may help. */
static bool is_passing(const struct ms_easy *e, ms_err err)
{
    if (err == MS_ECANCELLED || err == MS_ECALLBACK || err < MS_EHOST ||
        err == MS_EADDRESS)
        return false;
    if (err >= MS_ECERTEXPIRED && err <= MS_EHANDSHAKE)
        return false;
    if (e->error.phase <= MS_PHASE_TLS || err == MS_EREFUSEDSTREAM)
        return true;
    return ms_options_idempotent(ms_run_options(e)) && ms_run_broke_off(e, err);
}

/* ---- from hop to hop --------------------------------------------------- */

/* What the response holds of the hop that is over. */
static void clear_hop(struct ms_response *r)
{
    ms_head_clear(&r->head);
    ms_fields_clear(&r->trailers);
    ms_buf_clear(&r->body);
    memset(r->timing_us, 0, sizeof(r->timing_us));
    r->remote.any.sa_family = 0;
    r->reused = r->streamed = r->expecting = r->decoded = false;
    ms_tls_info_free(r->tls);
    r->tls = NULL;
}

/* Another hop begins, at once or when the timer says so. The run holds no
 * connection. */
static MS_RARE void next_hop(struct ms_easy *e)
{
    struct ms_agent *a = e->agent;
    unsigned attempts = a->led ? 0 : e->error.attempts;

    clear_hop(e->response);
    ms_gate_leave(&e->pass); /* this one may be to another host */
    if (a->led)
        e->response->trip->redirect_us =
            (int64_t)(ms_run_loop(e)->now_us - e->added_us);
    e->error = (struct ms_error){.attempts = attempts};
    e->detail = NULL;
    e->retried = e->headed = e->unwanted = e->by_h1 = a->led = false;
    e->refusals = 0;
    if (MS_MUTANT_IS(415))
        e->added_us = ms_run_loop(e)->now_us;
    e->pause &= (unsigned char)~MS_PAUSE_SEND;
    if (e->watch)
        e->watch->sent_head_us = e->watch->body_bytes = 0;
    set_state(e, MS_RUN_QUEUED);
    a->drained = 0;
    a->wake_us = a->delay_us ? ms_run_loop(e)->now_us + a->delay_us : MS_NEVER;
    if (!a->delay_us)
        ms_task_post(ms_run_loop(e), &e->start);
    a->delay_us = 0;
    ms_timer_cancel(ms_run_loop(e), &e->deadline);
    ms_run_arm(e);
}

/* What is left of the response is not read. */
static void break_off(struct ms_easy *e)
{
    struct ms_conn *c = e->conn;

    e->conn = NULL;
    ms_conn_cancel_stream(c, &e->stream);
    next_hop(e);
}

void ms_run_wake(struct ms_easy *e)
{
    e->agent->wake_us = MS_NEVER;
    if (e->unwanted) {
        break_off(e);
        return;
    }
    ms_task_post(ms_run_loop(e), &e->start);
    ms_run_arm(e);
}

/* Whether reading to the end leaves a connection that is of use. */
static bool is_worth_reading(const struct ms_easy *e)
{
    const struct ms_head *head = &e->response->head;

    if (!e->stream.sent_us)
        return false; /* the rest of the body would have to be sent */
    if (head->length < 0 && head->version != MS_HTTP_2)
        return ms_fields_find(&head->fields, MS_SPAN("transfer-encoding"), 0) !=
               SIZE_MAX;
    return head->length <= MAX_DRAIN || MS_MUTANT_IS(424) ||
           ms_span_equal(e->response->trip->method, MS_SPAN("HEAD"));
}

static MS_RARE ms_err drain(struct ms_easy *e, size_t n, size_t *taken)
{
    *taken = n;
    e->agent->drained += n;
    if (e->agent->drained <= MAX_DRAIN || MS_MUTANT_IS(425))
        return MS_OK;
    break_off(e);
    return MS_ECANCELLED;
}

/* Nobody gets this response. */
static ms_err discard(struct ms_easy *e)
{
    if (!is_worth_reading(e)) {
        break_off(e);
        return MS_ECANCELLED;
    }
    e->unwanted = true;
    if (!MS_MUTANT_IS(426))
        e->agent->wake_us = ms_run_loop(e)->now_us + MAX_DRAIN_US;
    ms_run_arm(e);
    return MS_OK;
}

/* A final response: whether it is one to deliver. MS_ECANCELLED: the stream is
 * detached. */
static MS_RARE ms_err ask_policies(struct ms_easy *e)
{
    enum ms_then then = MS_THEN_DELIVER;
    const char *why = NULL;
    ms_err err = ms_policy_after_head(e, &then, &why);

    if (err) {
        ms_run_end(e, err, why);
        return MS_ECANCELLED;
    }
    if (then != MS_THEN_AGAIN)
        return MS_OK;
    ms_debug_info(e, "another request follows this response");
    return discard(e);
}

/* ---- the end ------------------------------------------------------------- */

void ms_run_end(struct ms_easy *e, ms_err err, const char *detail)
{
    if (!ms_run_under_way(e))
        return;
    e->error.err = err;
    e->error.phase = ms_run_phase(e);
    e->detail = detail;
    if (MS_UNLIKELY(e->said != NULL) && detail != e->said)
        ms_run_say(e, NULL); /* of an attempt before this one */
    if (e->conn)
        take_times(e);
    else if (e->state == MS_RUN_WAITING)
        stamp(e, MS_TIMING_QUEUE, ms_waiter_begun_us(&e->waiter));
    e->error.retryable = err && is_passing(e, err);
    release(e);
    if (err)
        ms_debug_info(e, detail ? detail : ms_err_text(err));
    if (err && MS_UNLIKELY(e->agent != NULL) &&
        ms_policy_after_failure(e, err)) {
        next_hop(e);
        return;
    }
    stamp(e, MS_MUTANT_IS(145) ? MS_TIMING_QUEUE : MS_TIMING_TOTAL,
          ms_run_loop(e)->now_us);
    set_state(e, MS_RUN_DONE);
    if (err)
        MS_TRACE(&ms_run_loop(e)->trace, MS_TRACE_XFER, 0, e->id, "failed: %s",
                 detail ? detail : ms_err_text(err));
    ms_run_env_of(e)->on_end(e);
}

void ms_run_drop(struct ms_easy *e)
{
    if (ms_run_under_way(e))
        release(e);
    ms_debug_clear(e);
    e->run++;
    set_state(e, MS_RUN_IDLE);
}

/* ---- the response comes in -------------------------------------------- */

static struct ms_easy *easy_of(struct ms_stream *s)
{
    return MS_CONTAINER(s, struct ms_easy, stream);
}

/* 421: this connection is the wrong one for the request, which was not acted
 * on. One of its own is tried, once (RFC 9110, 15.5.20). */
static bool was_misdirected(struct ms_easy *e)
{
    if (e->response->head.status != MISDIRECTED || !e->response->reused ||
        e->retried || e->refusals + 1 >= MAX_ATTEMPTS ||
        !ms_agent_can_repeat(e))
        return false;
    e->retried = true;
    return true;
}

static ms_err on_head(struct ms_stream *s)
{
    struct ms_easy *e = easy_of(s);
    struct ms_loop *l = ms_run_loop(e);
    unsigned run = e->run;

    MS_TRACE(&l->trace, MS_TRACE_XFER, e->conn->id, e->id, "response %u",
             e->response->head.status);
    if (MS_UNLIKELY(ms_debug_wanted(e, &l->trace))) {
        ms_err err = ms_debug_response(e);
        if (err)
            return err;
    }
    if (MS_UNLIKELY(was_misdirected(e)))
        return MS_EREFUSEDSTREAM;
    if (MS_UNLIKELY(e->agent || e->response->head.status >= 300) &&
        e->response->head.status >= 200) {
        ms_err err = ask_policies(e);
        if (err || e->unwanted)
            return err;
    }
    e->headed = e->response->head.status >= 200;
    if (e->headed) {
        ms_err err = ms_run_begin_body(e);
        if (err)
            return err;
    } else if (e->response->head.status == 100) {
        ms_run_send_body(e);
    }
    if (!e->on_headers || (MS_MUTANT_IS(130) && !e->headed))
        return MS_OK;
    enum ms_verdict v = e->on_headers(e, e->response, e->headers_user);
    ms_loop_touch(l); /* and not by way of `e`: it may be in no multi now */
    return ms_run_verdict(e, run, v);
}

static ms_err on_data(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken)
{
    struct ms_easy *e = easy_of(s);

    *taken = 0;
    if (MS_UNLIKELY(e->unwanted))
        return drain(e, n, taken);
    return ms_run_take(e, p, n, taken);
}

static ms_err on_pull(struct ms_stream *s, char *p, size_t cap, size_t *n,
                      bool *end)
{
    return ms_run_pull(easy_of(s), p, cap, n, end);
}

/* The peer says, or it is plain, that nothing was done about the request: it
 * is asked again, on whatever connection there is (RFC 9113, 8.7). */
static bool was_refused(struct ms_easy *e, ms_err err)
{
    bool unasked = e->conn->many && !e->stream.asked &&
                   (err == MS_EEOF || err == MS_ERESET ||
                    err == MS_ETRUNCATED || err == MS_EHTTP2);

    /* Where others were served instead, every attempt brings the queue on:
     * it comes to this one too, however few a connection serves. */
    if (!e->stream.passed_over && ++e->refusals >= MAX_ATTEMPTS)
        return false;
    if (e->stream.needs_h1 && ms_run_options(e)->version == MS_VERSION_AUTO) {
        e->by_h1 = true;
        return true;
    }
    return (err == MS_EREFUSEDSTREAM || unasked) && !MS_MUTANT_IS(124);
}

/* A kept connection may die just as it is used again. When not one byte came
 * back and repeating does no harm, a fresh one is tried, once (RFC 9112,
 * 9.3.1). */
static bool died_unused(const struct ms_easy *e, ms_err err)
{
    bool died = err == MS_EEOF || err == MS_ERESET || err == MS_ETRUNCATED ||
                err == MS_ETLS;

    if (MS_MUTANT_IS(122) || (MS_MUTANT_IS(123) && died && !e->retried))
        return MS_MUTANT_IS(123);
    return died && !e->retried && e->response->reused && !e->stream.answered &&
           ms_options_idempotent(ms_run_options(e));
}

const char *ms_run_say(struct ms_easy *e, const char *text)
{
    ms_free(e->said);
    e->said = text ? ms_memdup(text, strlen(text)) : NULL;
    return e->said;
}

/* What can be said of a response only when it is whole. False: the run has
 * ended with that. */
static MS_RARE bool is_what_it_says(struct ms_easy *e)
{
    const char *why = NULL;
    ms_err err = ms_policy_after_body(e, &why);

    if (err)
        ms_run_end(e, err, why);
    return !err;
}

static void on_end(struct ms_stream *s, ms_err err, const char *detail)
{
    struct ms_easy *e = easy_of(s);
    bool replayable = !err || ms_agent_can_repeat(e);

    if (e->state != MS_RUN_ACTIVE)
        return;
    if (MS_UNLIKELY(e->unwanted) && err != MS_ECALLBACK) {
        e->conn = NULL; /* what is left of it was of no interest */
        next_hop(e);
        return;
    }
    if (!err && MS_UNLIKELY(e->decoding) && ms_decoding_end(e->decoding) &&
        !MS_MUTANT_IS(301)) {
        ms_run_end(e, MS_EDECODE, ms_decoding_failure(e->decoding));
        return;
    }
    if (!err && MS_UNLIKELY(e->agent != NULL) && !is_what_it_says(e))
        return;
    if (!err && MS_UNLIKELY(ms_progress_wanted(e)) && !ms_progress_tell(e))
        return;
    if (err && !detail)
        detail = e->detail;
    if (err && !detail && e->conn)
        detail = ms_run_say(e, ms_conn_tls_failure(e->conn, &e->error.reason));
    if (err && replayable && died_unused(e, err)) {
        e->retried = true;
    } else if (!err || !replayable || !was_refused(e, err)) {
        ms_run_end(e, err, detail);
        return;
    }
    e->conn = NULL;
    ms_run_drop_body(e);
    set_state(e, MS_RUN_QUEUED);
    ms_task_post(ms_run_loop(e), &e->start);
}

/* Of a run that on_progress is told about, or whose body has to be the one
 * that the server meant. */
static ms_err on_told_data(struct ms_stream *s, const char *p, size_t n,
                           size_t *taken)
{
    struct ms_easy *e = easy_of(s);
    ms_err err = on_data(s, p, n, taken);

    if (err)
        return err;
    if (e->tells)
        e->watch->down += *taken;
    return ms_credentials_see_body(e) ? ms_credentials_see(e, p, *taken)
                                      : MS_OK;
}

static const struct ms_stream_ops told_ops = {.on_head = on_head,
                                              .on_data = on_told_data,
                                              .on_pull = on_pull,
                                              .on_end = on_end};

static const struct ms_stream_ops stream_ops = {.on_head = on_head,
                                                .on_data = on_data,
                                                .on_pull = on_pull,
                                                .on_end = on_end};

/* ---- the request goes out --------------------------------------------- */

/* Of a run with an agent: what the hop has that the options have not. */
static MS_RARE void adapt(const struct ms_easy *e, struct ms_request *req)
{
    const struct ms_trip *trip = e->response->trip;

    req->method = trip->method;
    req->target = ms_url_target(ms_agent_url(e));
    req->fields = ms_buf_span(&e->agent->block);
    req->list = &trip->sent;
    if (e->agent->plain)
        req->expect = false;
    if (!trip->bodyless)
        return;
    req->streamed = req->expect = req->has_body = false;
    req->body = ms_span(NULL, 0);
}

static struct ms_request request_of(const struct ms_easy *e)
{
    const struct ms_options *o = ms_run_options(e);
    bool streamed = e->source && e->source->of.cb;

    return (struct ms_request){
        .streamed = streamed,
        .length = streamed ? e->source->of.length : 0,
        .expect = o->expect_continue && (streamed || ms_options_body(o).n > 0),
        .method = o->asked.method,
        .target = ms_url_target(&e->url),
        .authority = e->response->authority,
        .fields = ms_buf_span(&o->asked.sent.text),
        .body = ms_options_body(o),
        .has_body = o->asked.has_body && !streamed,
        .list = &o->asked.sent,
    };
}

static void note_connection(struct ms_easy *e, struct ms_conn *c)
{
    struct ms_response *r = e->response;

    e->error.attempts++;
    r->attempts = (uint16_t)(e->error.attempts < UINT16_MAX ? e->error.attempts
                                                            : UINT16_MAX);
    r->reused = c->exchanges > 1;
    r->remote = c->remote;
    if (c->tls) {
        ms_tls_info_free(r->tls);
        r->tls = ms_tls_info_use(c->tls);
    }
    if (!r->reused) {
        stamp(e, MS_TIMING_QUEUE, c->begun_us);
        stamp(e, MS_TIMING_RESOLVE, c->resolved_us);
        stamp(e, MS_TIMING_CONNECT, c->connected_us);
        stamp(e, MS_TIMING_TLS, c->secured_us);
    } else {
        stamp(e, MS_TIMING_QUEUE, ms_run_loop(e)->now_us);
    }
}

/* For who asks later what was sent. */
static ms_err note_request(struct ms_response *r, const struct ms_request *req)
{
    r->expecting = req->expect;
    return req->streamed ? ms_response_set_upload(r, req->length) : MS_OK;
}

/* Of a run that has a limit on its speed, which begins anew. */
static MS_RARE void slow_down(struct ms_easy *e, struct ms_request *req)
{
    ms_run_pace_begin(e);
    if (!req->body.n || ms_run_options(e)->max_send_speed < 0)
        return;
    req->has_body = false;
    req->streamed = true;
    req->length = (int64_t)req->body.n;
    req->body = ms_span(NULL, 0);
}

/* A body that is produced begins with what its source says first. */
static MS_RARE void begin_source(struct ms_easy *e)
{
    e->source->left = 0;
    e->source->lent = (struct ms_body_file){0};
    e->stream.file = &e->source->lent;
}

static void on_conn(struct ms_waiter *w, struct ms_conn *c)
{
    struct ms_easy *e = MS_CONTAINER(w, struct ms_easy, waiter);
    struct ms_request req = request_of(e);

    if (MS_UNLIKELY(e->agent != NULL))
        adapt(e, &req);
    if (MS_UNLIKELY(ms_run_options(e)->paced))
        slow_down(e, &req);
    if (note_request(e->response, &req)) {
        ms_pool_release(c);
        ms_run_end(e, MS_ENOMEM, NULL);
        return;
    }
    e->stream.head = &e->response->head;
    e->stream.hold_send = e->pause & MS_PAUSE_SEND; /* not an earlier run's */
    e->stream.trailers = &e->response->trailers;
    e->stream.max_head_bytes = ms_run_options(e)->max_header_size < 0
                                   ? SIZE_MAX
                                   : (size_t)ms_run_options(e)->max_header_size;
    bool counted = ms_run_options(e)->watched || e->tells;
    e->stream.progress = counted ? &e->watch->progress : NULL;
    e->stream.ops =
        e->tells || ms_credentials_see_body(e) ? &told_ops : &stream_ops;
    if (MS_UNLIKELY(e->source != NULL))
        begin_source(e);
    ms_err err = ms_conn_open_stream(c, &e->stream, &req, e);
    if (err) {
        ms_pool_release(c);
        ms_run_end(e, err, NULL);
        return;
    }
    if (e->tells)
        ms_progress_restart(e);
    note_connection(e, c);
    e->conn = c;
    if (ms_run_options(e)->close)
        c->last_exchange = true;
    set_state(e, MS_RUN_ACTIVE);
    MS_TRACE(&ms_run_loop(e)->trace, MS_TRACE_XFER, c->id, e->id,
             "request %.*s %.*s", (int)req.method.n, req.method.p,
             (int)req.target.n, req.target.p);
    if (MS_UNLIKELY(ms_debug_wanted(e, &ms_run_loop(e)->trace)))
        ms_debug_request(e);
    if (e->pause)
        ms_run_pause(e);
    if (!ms_run_options(e)->watched)
        return;
    ms_run_measure(e);
    if (req.expect)
        e->watch->sent_head_us = ms_run_loop(e)->now_us;
    ms_run_arm(e);
}

static void on_no_conn(struct ms_waiter *w, const struct ms_conn_end *end,
                       enum ms_phase phase)
{
    struct ms_easy *e = MS_CONTAINER(w, struct ms_easy, waiter);

    e->error.attempts++;
    e->error.os_errno = end->os_errno;
    e->error.reason = end->reason;
    ms_run_end(e, end->err, ms_run_say(e, end->text));
    e->error.phase = phase;
}

/* ---- the start -------------------------------------------------------- */

struct ms_span ms_run_url_text(const struct ms_easy *e)
{
    return e->url_parsed && !ms_buf_len(&e->url_text)
               ? ms_buf_span(&e->url.href)
               : ms_buf_span(&e->url_text);
}

static ms_err parse_url(struct ms_easy *e, const char **why)
{
    struct ms_span text = ms_buf_span(&e->url_text);
    ms_err err = ms_url_parse(&e->url, text, NULL, why);

    if (err)
        return err;
    e->url_parsed = true;
    e->host_hash = ms_endpoint_host_hash(&e->url);
    /* The usual case: no need to keep both. */
    if (ms_span_equal(text, ms_buf_span(&e->url.href)))
        ms_buf_free(&e->url_text);
    return MS_OK;
}

static ms_err prepare(struct ms_easy *e, const char **why)
{
    struct ms_response *r = e->response;
    const struct ms_options *o = r->options;
    ms_err err = o->err;

    *why = o->why;
    if (!err && !e->url_parsed)
        err = parse_url(e, why);
    if (err)
        return err;
    if (MS_UNLIKELY(ms_credentials_in(&e->url)) && (err = ms_agent_need(e)))
        return err;
    r->url = ms_buf_span(&e->url.href);
    r->authority = o->asked.host.p ? o->asked.host : ms_url_authority(&e->url);
    if (!e->url.secure && o->version == MS_VERSION_2) {
        *why = "HTTP/2 without TLS is version \"2-prior-knowledge\"";
        return MS_EH2REQUIRED;
    }
    return MS_OK;
}

/* The body begins again. MS_ECANCELLED: the run is over, or another. */
static MS_RARE ms_err rewind_source(struct ms_easy *e)
{
    struct ms_source *s = e->source;
    struct ms_loop *l = ms_run_loop(e);
    unsigned run = e->run;

    if (e->agent && e->agent->bodyless)
        return MS_OK;
    if (!s->of.rewind) /* who wants the hop has to have seen to this */
        return MS_EREPLAY;
    s->asked = false;
    enum ms_verdict v = s->of.rewind(e, s->of.user);
    ms_loop_touch(l);
    if (e->run != run || e->state != MS_RUN_QUEUED)
        return MS_ECANCELLED;
    return v == MS_ABORT ? MS_ECALLBACK : MS_OK;
}

/* MS_ECANCELLED: it is not its turn yet, and will be started again then. */
static MS_RARE ms_err pass_gate(struct ms_easy *e)
{
    ms_err err = MS_OK;

    if (!e->pass.host)
        err = ms_gate_enter(&ms_run_env_of(e)->gate, &e->pass, ms_agent_url(e),
                            &e->start);
    return err || e->pass.inside ? err : MS_ECANCELLED;
}

static void on_start(struct ms_task *t)
{
    struct ms_easy *e = MS_CONTAINER(t, struct ms_easy, start);
    const char *why = NULL;
    ms_err err = e->response->url.p ? MS_OK : prepare(e, &why);

    if (!err && MS_UNLIKELY(ms_gate_limited(&ms_run_env_of(e)->gate)))
        err = pass_gate(e);
    if (!err && MS_UNLIKELY(e->source && e->source->asked))
        err = rewind_source(e);
    if (!err && MS_UNLIKELY(e->agent != NULL))
        err = ms_policy_before_hop(e, &why);
    if (err == MS_ECANCELLED || (MS_MUTANT_IS(66) && err))
        return;
    if (err) {
        ms_run_end(e, err, why);
        return;
    }
    const struct ms_options *o = ms_run_options(e);
    struct ms_pool_wish wish = {
        .key = ms_endpoint_key_of(&e->url, e->host_hash, o),
        .connect_timeout_ms = o->timeout_connect,
        .fresh = (o->fresh_connection && !MS_MUTANT_IS(109)) || e->retried,
    };
    if (MS_UNLIKELY(e->agent != NULL))
        wish.key = ms_agent_key(e);
    if (e->by_h1)
        wish.key.version = MS_VERSION_1_1;
    set_state(e, MS_RUN_WAITING);
    err = ms_pool_get(ms_run_env_of(e)->pool, &e->waiter, &wish);
    if (err)
        ms_run_end(e, err, NULL);
}

void ms_run_init(struct ms_easy *e)
{
    ms_list_init(&e->member);
    ms_list_init(&e->ended);
    ms_task_init(&e->start, on_start);
    ms_timer_init(&e->deadline, ms_run_on_deadline);
    ms_gate_pass_init(&e->pass);
    ms_waiter_init(&e->waiter);
    e->waiter.on_conn = on_conn;
    e->waiter.on_fail = on_no_conn;
}

ms_err ms_run_queue(struct ms_easy *e)
{
    struct ms_run_env *env = ms_run_env_of(e);

    if (!e->response && !(e->response = ms_response_new()))
        return MS_ENOMEM;
    ms_response_clear(e->response);
    e->response->options =
        ms_options_use(e->options ? e->options : env->defaults);
    e->response->delivered = e->on_data != NULL;
    e->error = (struct ms_error){0};
    e->detail = NULL;
    if (e->said)
        ms_run_say(e, NULL);
    ms_debug_clear(e);
    e->retried = e->by_h1 = e->told = e->headed = e->unwanted = false;
    e->refusals = 0;
    e->pause = 0;
    if (e->source) {
        e->source->of = e->source->given;
        e->source->asked = false;
    }
    e->run++;
    e->added_us = env->loop->now_us;
    if (MS_MUTANT_IS(213))
        ms_loop_forget_told(env->loop);
    if (MS_UNLIKELY(e->agent || e->response->options->guided)) {
        ms_err err = ms_policy_begin(e);
        if (err)
            return err;
    }
    ms_err err = ms_run_prepare_limits(e);
    if (err)
        return err;
    ms_run_arm(e);
    set_state(e, MS_RUN_QUEUED);
    ms_task_post(env->loop, &e->start);
    return MS_OK;
}

void ms_run_pause(struct ms_easy *e)
{
    ms_run_hold(e);
    /* Time stood still for it. */
    if (!ms_run_watched(e))
        return;
    ms_run_measure(e);
    ms_run_arm(e);
}

const char *ms_run_check(const struct ms_easy *e)
{
    bool attached = e->stream.session != NULL;

    if (attached != (e->state == MS_RUN_ACTIVE) || attached != !!e->conn)
        return "a transfer's stream and its state disagree";
    if ((e->waiter.endpoint != NULL) != (e->state == MS_RUN_WAITING))
        return "a transfer waits for a connection in another state";
    if (e->pass.host && !ms_run_under_way(e))
        return "an ended transfer counts for its host's limits";
    if (e->state == MS_RUN_QUEUED && ms_list_empty(&e->start.node) &&
        !e->pass.host && !(e->agent && e->agent->wake_us != MS_NEVER))
        return "a queued transfer has no start to come";
    if (attached && e->conn->session != e->stream.session)
        return "a connection serves another stream than its transfer's";
    if (!ms_run_under_way(e) && ms_timer_active(&e->deadline))
        return "an ended transfer has a deadline";
    return NULL;
}
