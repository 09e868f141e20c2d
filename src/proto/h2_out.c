/* SPDX-License-Identifier: MIT
 *
 * Requests on their way to nghttp2.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/h2_field.h"
#include "proto/h2_state.h"
#include "proto/wire.h"

/* Fields of a usual request: no allocation for the list of them. */
#define FEW_FIELDS 48
/* Pseudo-header fields and the length. */
#define OWN_FIELDS 5

/* The fields of one request. nghttp2 copies them. */
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

static void add_crumbs(struct list *l, struct ms_span name,
                       struct ms_span value)
{
    struct ms_span crumb;

    while (ms_h2_next_crumb(&value, &crumb))
        add(l, name, crumb);
}

/* How many entries the fields may become. */
static size_t count(const struct ms_fields *f)
{
    size_t n = f->count + OWN_FIELDS;

    for (uint32_t i = 0; i < f->count; i++)
        if (ms_fields_name(f, i).n == 6) { /* a Cookie */
            struct ms_span v = ms_fields_value(f, i);
            for (size_t at = 0; at < v.n; at++)
                n += v.p[at] == ';';
        }
    return n;
}

static void add_fields(struct list *l, const struct ms_fields *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct ms_span name = ms_fields_name(f, i);
        struct ms_span value = ms_fields_value(f, i);
        switch (ms_h2_request_field(name, value)) {
        case MS_H2_SEND:
            add(l, name, value);
            break;
        case MS_H2_CRUMBS:
            add_crumbs(l, name, value);
            break;
        case MS_H2_DROP:
            break;
        }
    }
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *p,
                         size_t cap, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = source->ptr;
    size_t n = cap < s->body.n ? cap : s->body.n;

    (void)ng;
    (void)id;
    (void)user;
    if (!s->up || s->up->hold_send) {
        s->body_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    memcpy(p, s->body.p, n);
    s->body = ms_span(s->body.p + n, s->body.n - n);
    if (!s->body.n)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static ms_err submit(struct h2_stream *s, const struct list *l)
{
    struct h2 *h = s->h2;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_body};
    int32_t id = nghttp2_submit_request(h->ng, NULL, l->nv, l->n,
                                        s->body.n ? &body : NULL, s);

    if (id < 0)
        return id == NGHTTP2_ERR_NOMEM ? MS_ENOMEM : MS_EINTERNAL;
    s->id = id;
    return MS_OK;
}

ms_err ms_h2_submit(struct h2_stream *s, const struct ms_request *req)
{
    struct list l = {.nv = l.few};
    char length[24];
    size_t most = count(req->list);

    if (!ms_wire_is_token(req->method) || !ms_wire_is_target(req->target) ||
        !ms_wire_is_value(req->authority))
        return MS_EHEADER;
    if (ms_span_equal(req->method, MS_SPAN("CONNECT")))
        return MS_EOPTION;
    if (most > FEW_FIELDS && !(l.nv = ms_alloc(most * sizeof(*l.nv))))
        return MS_ENOMEM;
    add(&l, MS_SPAN(":method"), req->method);
    add(&l, MS_SPAN(":scheme"),
        s->h2->secure ? MS_SPAN("https") : MS_SPAN("http"));
    add(&l, MS_SPAN(":authority"), req->authority);
    add(&l, MS_SPAN(":path"), req->target);
    add_fields(&l, req->list);
    if (req->has_body) {
        int n = snprintf(length, sizeof(length), "%zu", req->body.n);
        add(&l, MS_SPAN("content-length"), ms_span(length, (size_t)n));
        s->body = req->body;
    }
    assert(l.n <= most);
    ms_err err = submit(s, &l);
    if (l.nv != l.few)
        ms_free(l.nv);
    return err;
}
