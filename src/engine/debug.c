/* SPDX-License-Identifier: MIT */
#include "engine/debug.h"

#include <stdio.h>

#include "base/mem.h"
#include "engine/agent.h"
#include "engine/run_parts.h"
#include "proto/userinfo.h"

/* What comes before a text that waits. */
struct note {
    uint32_t kind, size;
};

/* Longer lines of a connection's are cut; they name a host and a cipher. */
#define MAX_LINE 400

/* ---- without secrets --------------------------------------------------- */

static bool is_called(const struct ms_field *f, struct ms_span name)
{
    return ms_span_equal_nocase(ms_span(f->name, f->name_len), name);
}

/* "Basic ": a scheme that everybody knows gives nothing away. */
static struct ms_span scheme_of(struct ms_span value)
{
    static const char *const schemes[] = {"Basic ", "Bearer ", "Digest "};

    for (size_t i = 0; i < MS_COUNT(schemes); i++) {
        struct ms_span s = ms_span_text(schemes[i]);
        if (value.n > s.n && ms_span_equal_nocase(ms_span(value.p, s.n), s))
            return s;
    }
    return ms_span("", 0);
}

static ms_err add_location(struct ms_buf *out, struct ms_span value,
                           const struct ms_url *base)
{
    size_t from, to;
    ms_userinfo_find(value, base, &from, &to);
    ms_err err = ms_buf_add(out, value.p, from);

    return err ? err : ms_buf_add(out, value.p + to, value.n - to);
}

/* The value as it may be shown. */
static ms_err add_value(struct ms_buf *out, const struct ms_field *f,
                        const struct ms_url *base)
{
    struct ms_span value = ms_span(f->value, f->value_len);
    struct ms_span scheme = ms_span("", 0);

    if (is_called(f, MS_SPAN("location")))
        return add_location(out, value, base);
    if (is_called(f, MS_SPAN("authorization")) ||
        is_called(f, MS_SPAN("proxy-authorization")))
        scheme = scheme_of(value);
    else if (!is_called(f, MS_SPAN("cookie")) &&
             !is_called(f, MS_SPAN("set-cookie")))
        return ms_buf_add_span(out, value);
    ms_err err = ms_buf_add_span(out, scheme);
    return err ? err : ms_buf_add_span(out, MS_SPAN("***"));
}

static ms_err add_field(struct ms_buf *out, const struct ms_field *f,
                        const struct ms_url *base)
{
    ms_err err;

    if ((err = ms_buf_add_span(out, MS_SPAN("\n"))) ||
        (err = ms_buf_add(out, f->name, f->name_len)) ||
        (err = ms_buf_add_span(out, MS_SPAN(": "))))
        return err;
    return add_value(out, f, base);
}

/* ---- heads ------------------------------------------------------------- */

static ms_err add_all(struct ms_buf *out, const struct ms_easy *e,
                      bool (*at)(const struct ms_response *r, size_t index,
                                 struct ms_field *field))
{
    struct ms_field f;
    ms_err err = MS_OK;

    for (size_t i = 0; !err && at(e->response, i, &f); i++)
        err = add_field(out, &f, ms_agent_url(e));
    return err;
}

static ms_err add_request(struct ms_buf *out, const struct ms_easy *e)
{
    const struct ms_response *r = e->response;
    struct ms_span method =
        r->trip ? r->trip->method : r->options->asked.method;
    struct ms_span parts[] = {
        method, MS_SPAN(" "), ms_url_target(ms_agent_url(e)),
        e->conn->many ? MS_SPAN(" HTTP/2") : MS_SPAN(" HTTP/1.1")};
    ms_err err = MS_OK;

    for (size_t i = 0; !err && i < MS_COUNT(parts); i++)
        err = ms_buf_add_span(out, parts[i]);
    return err ? err : add_all(out, e, ms_response_request_header);
}

static ms_err add_response(struct ms_buf *out, const struct ms_easy *e)
{
    const struct ms_response *r = e->response;
    size_t n;
    const char *reason = ms_response_reason(r, &n);
    char line[32];
    int len = snprintf(line, sizeof(line), "HTTP/%s %u%s",
                       ms_response_version(r), r->head.status, n ? " " : "");
    ms_err err = ms_buf_add(out, line, (size_t)len);

    if (!err)
        err = ms_buf_add(out, reason, n);
    return err ? err : add_all(out, e, ms_response_header);
}

/* ---- where it goes ----------------------------------------------------- */

static bool is_traced(const struct ms_easy *e)
{
    const struct ms_trace *t = &ms_run_loop(e)->trace;

    return t->on && t->level[MS_TRACE_XFER] >= MS_TRACE_DEBUG;
}

/* A line of the trace for each of the head's. */
static void trace_lines(const struct ms_easy *e, const char *mark,
                        struct ms_span text)
{
    const char *end = text.p + text.n;

    for (const char *p = text.p; p < end;) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((lf ? lf : end) - p);
        MS_TRACE_MORE(&ms_run_loop(e)->trace, MS_TRACE_XFER,
                      e->conn ? e->conn->id : 0, e->id, "%s %.*s", mark, (int)n,
                      p);
        p += n + 1;
    }
}

static void keep(struct ms_easy *e, enum ms_debug kind, struct ms_span text)
{
    struct ms_debugger *d = e->debug;
    struct note note = {(uint32_t)kind, (uint32_t)text.n};

    if (!d || !d->cb)
        return;
    ms_task_post(ms_run_loop(e), &d->task);
    if (ms_buf_reserve(&d->waiting, sizeof(note) + text.n)) {
        d->lost = true;
        return;
    }
    ms_buf_put(&d->waiting, ms_span((const char *)&note, sizeof(note)));
    ms_buf_put(&d->waiting, text);
}

void ms_debug_info(struct ms_easy *e, const char *text)
{
    keep(e, MS_DEBUG_INFO, ms_span_text(text));
}

/* "connection 3 to 127.0.0.1:8080, used again, TLSv1.3, HTTP/2" */
static void keep_connection(struct ms_easy *e)
{
    const struct ms_response *r = e->response;
    char line[MAX_LINE], addr[MS_ADDR_TEXT];
    char tls[32] = "";

    if (r->tls)
        ms_tls_info_text(r->tls, MS_TLS_VERSION, tls, sizeof(tls));
    snprintf(line, sizeof(line), "connection %u to %s, %s%s%s%s", e->conn->id,
             ms_addr_text(&r->remote, addr), r->reused ? "used again" : "new",
             *tls ? ", " : "", tls, e->conn->many ? ", HTTP/2" : "");
    ms_debug_info(e, line);
}

static void show(struct ms_easy *e, enum ms_debug kind)
{
    struct ms_buf text = {0};
    bool request = kind == MS_DEBUG_REQUEST;

    if (!e->debug && !is_traced(e))
        return;
    ms_err err = request ? add_request(&text, e) : add_response(&text, e);
    if (!err && is_traced(e))
        trace_lines(e, request ? ">" : "<", ms_buf_span(&text));
    if (!err)
        keep(e, kind, ms_buf_span(&text));
    else if (e->debug)
        e->debug->lost = true;
    ms_buf_free(&text);
}

void ms_debug_request(struct ms_easy *e)
{
    if (e->debug)
        keep_connection(e);
    show(e, MS_DEBUG_REQUEST);
}

ms_err ms_debug_response(struct ms_easy *e)
{
    show(e, MS_DEBUG_RESPONSE);
    return ms_debug_flush(e);
}

/* ---- calling back ------------------------------------------------------ */

static ms_err tell(struct ms_easy *e, struct ms_span *texts)
{
    struct ms_debugger *d = e->debug;
    unsigned run = e->run;
    bool under_way = ms_run_under_way(e);
    struct note note;

    memcpy(&note, texts->p, sizeof(note));
    const char *text = texts->p + sizeof(note);
    *texts = ms_span(text + note.size, texts->n - sizeof(note) - note.size);
    if (!d->cb)
        return MS_OK;
    struct ms_loop *l = ms_run_loop(e);
    enum ms_verdict v =
        d->cb(e, (enum ms_debug)note.kind, text, note.size, d->user);
    ms_loop_touch(l);
    /* A multi that was closed has ended the run and left it where it was. */
    if (e->run != run || !e->multi || ms_run_under_way(e) != under_way)
        return MS_ECANCELLED;
    return v == MS_ABORT ? MS_ECALLBACK : MS_OK;
}

ms_err ms_debug_flush(struct ms_easy *e)
{
    struct ms_debugger *d = e->debug;
    ms_err err = MS_OK;

    if (!d)
        return MS_OK;
    /* What the callback makes us say waits for the next time. */
    struct ms_buf now = d->waiting;
    d->waiting = (struct ms_buf){0};
    ms_task_cancel(&d->task);
    for (struct ms_span texts = ms_buf_span(&now); texts.n && !err;)
        err = tell(e, &texts);
    ms_buf_free(&now);
    return err ? err : d->lost ? MS_ENOMEM : MS_OK;
}

bool ms_debug_end(struct ms_easy *e)
{
    ms_err err = ms_debug_flush(e);

    if (err && err != MS_ECANCELLED)
        e->error.err = err;
    return err != MS_ECANCELLED;
}

static void on_task(struct ms_task *t)
{
    struct ms_easy *e = MS_CONTAINER(t, struct ms_debugger, task)->easy;

    if (!ms_run_under_way(e))
        return; /* its end is told next, and what waits before that */
    ms_err err = ms_debug_flush(e);
    if (err && err != MS_ECANCELLED)
        ms_run_end(e, err, NULL);
}

ms_err ms_debug_set(struct ms_easy *e, ms_debug_cb *cb, void *user)
{
    if (!e->debug && !cb)
        return MS_OK;
    if (!e->debug) {
        e->debug = ms_zalloc(sizeof(*e->debug));
        if (!e->debug)
            return MS_ENOMEM;
        e->debug->easy = e;
        ms_task_init(&e->debug->task, on_task);
    }
    e->debug->cb = cb;
    e->debug->user = user;
    return MS_OK;
}

void ms_debug_clear(struct ms_easy *e)
{
    if (!e->debug)
        return;
    ms_task_cancel(&e->debug->task);
    ms_buf_free(&e->debug->waiting);
    e->debug->lost = false;
}

void ms_debug_free(struct ms_easy *e)
{
    ms_debug_clear(e);
    ms_free(e->debug);
    e->debug = NULL;
}
