/* SPDX-License-Identifier: MIT
 *
 * Requests on their way to nghttp2.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/h2_state.h"
#include "proto/wire.h"

/* Fields of a usual request: no allocation for the list of them. */
#define FEW_FIELDS 48
/* Pseudo-header fields, the length, an expectation. */
#define OWN_FIELDS 6
/* A length in decimal. */
#define LENGTH_BYTES 24

/* The fields of one request. nghttp2 copies the list, and of fields what they
 * say. */
struct list {
    nghttp2_nv few[FEW_FIELDS];
    nghttp2_nv *nv; /* few, or owned */
    size_t n;
};

static void add(struct list *l, struct ms_span name, struct ms_span value)
{
    l->nv[l->n++] = (nghttp2_nv){.name = (uint8_t *)name.p,
                                 .value = (uint8_t *)value.p,
                                 .namelen = name.n,
                                 .valuelen = value.n};
}

/* A name that is a constant, in lower case. */
static inline void add_own(struct list *l, struct ms_span name,
                           struct ms_span value)
{
    add(l, name, value);
    l->nv[l->n - 1].flags = NGHTTP2_NV_FLAG_NO_COPY_NAME;
}

/* The same, and the value is constant, too. */
static inline void add_constant(struct list *l, struct ms_span name,
                                struct ms_span value)
{
    add_own(l, name, value);
    l->nv[l->n - 1].flags |= NGHTTP2_NV_FLAG_NO_COPY_VALUE;
}

static void add_method(struct list *l, struct ms_span method)
{
    if (MS_LIKELY(ms_span_equal(method, MS_SPAN("GET"))))
        add_constant(l, MS_SPAN(":method"), MS_SPAN("GET"));
    else
        add_own(l, MS_SPAN(":method"), method);
}

static void add_prepared(struct list *l, const struct ms_h2_prepared *p)
{
    memcpy(l->nv + l->n, p->nv, p->n * sizeof(*p->nv));
    l->n += p->n;
}

/* The fields of the request: those of the last one, if they are the same. */
static ms_err prepare(struct h2_stream *s, const struct ms_fields *f)
{
    struct h2 *h = s->h2;

    if (MS_UNLIKELY(!ms_h2_prepared_is(h->prepared, f))) {
        ms_h2_prepared_drop(&h->prepared);
        h->prepared = ms_h2_prepare(f);
        if (!h->prepared)
            return MS_ENOMEM;
    }
    s->prepared = ms_h2_prepared_use(h->prepared);
    if (MS_UNLIKELY(h->prepared->text_bytes > MS_H2_PREPARED_BYTES))
        ms_h2_prepared_drop(&h->prepared);
    return MS_OK;
}

/* Nothing now: nghttp2 asks again when it is told to. */
static ssize_t later(struct h2_stream *s)
{
    s->body_deferred = true;
    return NGHTTP2_ERR_DEFERRED;
}

static size_t read_lent(struct h2_stream *s, uint8_t *p, size_t cap)
{
    size_t n = cap < s->body.n ? cap : s->body.n;

    memcpy(p, s->body.p, n);
    s->body = ms_span(s->body.p + n, s->body.n - n);
    s->whole = !s->body.n;
    return n;
}

/* What is wrong with the length of a streamed body by now; NULL: nothing. */
static const char *count_streamed(struct h2_stream *s, size_t n, bool end)
{
    if (s->to_come < 0) {
        s->whole = end;
        return NULL;
    }
    if ((int64_t)n > s->to_come)
        return "the request body is longer than was said";
    s->to_come -= (int64_t)n;
    s->whole = s->to_come == 0;
    return end && !s->whole ? "the request body is shorter than was said"
                            : NULL;
}

/* Asks the owner; 0 when there is nothing now, or nobody any more. */
static size_t read_streamed(struct h2_stream *s, uint8_t *p, size_t cap)
{
    struct ms_stream *up = s->up;
    const char *why = NULL;
    size_t n = 0;
    bool end = false;
    ms_err err = up->ops->on_pull(up, (char *)p, cap, &n, &end);

    if (s->up != up)
        return 0;
    assert(n <= cap);
    if (!err && (why = count_streamed(s, n, end)))
        err = MS_EUPLOAD;
    if (!err)
        return n;
    ms_h2_reset(s, NGHTTP2_CANCEL, err, why);
    return 0;
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *p,
                         size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = source->ptr;

    (void)ng;
    (void)id;
    (void)user;
    if (!s->up || s->failed || s->held || s->up->hold_send)
        return later(s);
    size_t n = s->streamed ? read_streamed(s, p, cap) : read_lent(s, p, cap);
    if (s->whole) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (!n) {
        if (s->up && !s->up->hold_send)
            ms_list_push(&s->h2->hungry, &s->hungry);
        return later(s);
    }
    return (ssize_t)n;
}

void ms_h2_body_on(struct h2_stream *s)
{
    struct h2 *h = s->h2;

    ms_list_unlink(&s->hungry);
    if (!s->body_deferred)
        return;
    s->body_deferred = false;
    h->base.wants_pull = true;
    if (nghttp2_session_resume_data(h->ng, s->id) == NGHTTP2_ERR_NOMEM)
        ms_h2_break(h, MS_ENOMEM, NULL);
}

static ms_err submit(struct h2_stream *s, const struct list *l)
{
    struct h2 *h = s->h2;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_body};
    int32_t id = nghttp2_submit_request(h->ng, NULL, l->nv, l->n,
                                        s->whole ? NULL : &body, s);

    if (id < 0)
        return id == NGHTTP2_ERR_NOMEM ? MS_ENOMEM : MS_EINTERNAL;
    s->id = h->last_id = id;
    return MS_OK;
}

/* What says that there is a body, and how long it is. */
static void add_body(struct list *l, struct h2_stream *s,
                     const struct ms_request *req, char *length)
{
    int64_t n = req->streamed ? req->length : (int64_t)req->body.n;

    s->body = req->body;
    s->streamed = req->streamed;
    s->to_come = n;
    s->held = req->expect;
    s->whole = n == 0;
    if (n >= 0 && (req->has_body || req->streamed)) {
        int digits = snprintf(length, LENGTH_BYTES, "%" PRId64, n);
        add_own(l, MS_SPAN("content-length"), ms_span(length, (size_t)digits));
    }
    if (req->expect)
        add_constant(l, MS_SPAN("expect"), MS_SPAN("100-continue"));
}

ms_err ms_h2_submit(struct h2_stream *s, const struct ms_request *req)
{
    struct list l;
    char length[LENGTH_BYTES];

    l.nv = l.few; /* to empty the rest would cost more than filling it */
    l.n = 0;
    if (!ms_wire_is_token(req->method) || !ms_wire_is_target(req->target) ||
        !ms_wire_is_value(req->authority))
        return MS_EHEADER;
    if (ms_span_equal(req->method, MS_SPAN("CONNECT")))
        return MS_EOPTION;
    ms_err err = prepare(s, req->list);
    if (err)
        return err;
    size_t most = s->prepared->n + OWN_FIELDS;
    if (most > FEW_FIELDS && !(l.nv = ms_alloc(most * sizeof(*l.nv))))
        return MS_ENOMEM;
    add_method(&l, req->method);
    add_constant(&l, MS_SPAN(":scheme"),
                 s->h2->secure ? MS_SPAN("https") : MS_SPAN("http"));
    add_own(&l, MS_SPAN(":authority"), req->authority);
    add_own(&l, MS_SPAN(":path"), req->target);
    add_prepared(&l, s->prepared);
    add_body(&l, s, req, length);
    assert(l.n <= most);
    err = submit(s, &l);
    if (l.nv != l.few)
        ms_free(l.nv);
    return err;
}
