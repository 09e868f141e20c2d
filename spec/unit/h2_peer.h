/* SPDX-License-Identifier: MIT
 *
 * h2_peer.h - h2 and nghttp2's own server session in the same process, for
 * tests of what they make of each other: begin(), open_side(), talk(), end().
 */
#ifndef MS_SPEC_H2_PEER_H
#define MS_SPEC_H2_PEER_H

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <string.h>

#include "proto/h2.h"
#include "unit.h"

static int64_t grown;

#define STREAMS 64
#define IDS     1024 /* of streams in one test */

/* ---- the peer ------------------------------------------------------------ */

static struct {
    nghttp2_session *ng;
    char heads[4096]; /* "name: value|" of all requests */
    size_t got[IDS];  /* body bytes, by stream id */
    size_t give;      /* body bytes of every response */
    size_t given[IDS];
    bool early, ended[IDS];
    uint32_t reset[IDS]; /* code + 1 */
    uint32_t goaway;     /* code + 1 */
    const char *says[8]; /* fields of every response: name, value, ... */
} peer;

static ssize_t give(nghttp2_session *ng, int32_t id, uint8_t *p, size_t cap,
                    uint32_t *flags, nghttp2_data_source *src, void *user)
{
    size_t left = peer.give - peer.given[id];
    size_t n = cap < left ? cap : left;

    (void)ng, (void)src, (void)user;
    memset(p, 'a' + id % 26, n);
    peer.given[id] += n;
    if (n == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static void respond(int32_t id)
{
    nghttp2_nv nv[5] = {{(uint8_t *)":status", (uint8_t *)"200", 7, 3, 0}};
    nghttp2_data_provider body = {.read_callback = give};
    size_t n = 1;

    for (const char **f = peer.says; f < peer.says + 8 && *f; f += 2)
        nv[n++] = (nghttp2_nv){(uint8_t *)f[0], (uint8_t *)f[1], strlen(f[0]),
                               strlen(f[1]), 0};
    nghttp2_submit_response(peer.ng, id, nv, n, peer.give ? &body : NULL);
}

static int on_field(nghttp2_session *ng, const nghttp2_frame *f,
                    const uint8_t *name, size_t n, const uint8_t *value,
                    size_t m, uint8_t flags, void *user)
{
    size_t at = strlen(peer.heads);

    (void)ng, (void)f, (void)flags, (void)user;
    if (at + n + m + 4 < sizeof(peer.heads))
        snprintf(peer.heads + at, sizeof(peer.heads) - at, "%.*s: %.*s|",
                 (int)n, name, (int)m, value);
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;

    (void)ng, (void)user;
    if (f->hd.type == NGHTTP2_HEADERS && (end || peer.early))
        respond(f->hd.stream_id);
    if (f->hd.type == NGHTTP2_DATA && end && !peer.early)
        respond(f->hd.stream_id);
    if (f->hd.type <= NGHTTP2_HEADERS)
        peer.ended[f->hd.stream_id] |= end;
    if (f->hd.type == NGHTTP2_RST_STREAM)
        peer.reset[f->hd.stream_id] = f->rst_stream.error_code + 1;
    if (f->hd.type == NGHTTP2_GOAWAY)
        peer.goaway = f->goaway.error_code + 1;
    return 0;
}

static int on_body(nghttp2_session *ng, uint8_t flags, int32_t id,
                   const uint8_t *p, size_t n, void *user)
{
    (void)ng, (void)flags, (void)p, (void)user;
    peer.got[id] += n;
    return 0;
}

static void start_peer(uint32_t max_streams, bool holds_window)
{
    nghttp2_session_callbacks *cbs;
    nghttp2_option *o;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams}};

    memset(&peer, 0, sizeof(peer));
    nghttp2_session_callbacks_new(&cbs);
    nghttp2_session_callbacks_set_on_header_callback(cbs, on_field);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, on_body);
    nghttp2_option_new(&o);
    nghttp2_option_set_no_auto_window_update(o, holds_window);
    CHECK(!nghttp2_session_server_new2(&peer.ng, cbs, NULL, o));
    nghttp2_option_del(o);
    nghttp2_session_callbacks_del(cbs);
    nghttp2_submit_settings(peer.ng, 0, settings, 1);
}

/* ---- our side ------------------------------------------------------------ */

struct side {
    struct ms_stream stream;
    struct ms_head head;
    struct ms_fields trailers;
    size_t got, upload;
    unsigned asked, err_at;
    bool pause, ended;
    bool sips; /* pauses as soon as it was given something */
    ms_err err;
};

static struct ms_session *h;
static struct side sides[STREAMS];
static struct ms_fields fields;

static ms_err on_head(struct ms_stream *s)
{
    CHECK(s->head->status == 200);
    return MS_OK;
}

static ms_err on_data(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken)
{
    struct side *side = MS_CONTAINER(s, struct side, stream);

    CHECK(*p == p[n - 1]);
    *taken = side->pause ? 0 : n;
    side->got += *taken;
    side->pause |= side->sips;
    return MS_OK;
}

static void on_end(struct ms_stream *s, ms_err err, const char *detail)
{
    struct side *side = MS_CONTAINER(s, struct side, stream);

    (void)detail;
    CHECK(!side->ended);
    side->ended = true;
    side->err = err;
}

/* Every other time there is nothing yet. */
static ms_err on_pull(struct ms_stream *s, char *p, size_t cap, size_t *n,
                      bool *end_of_body)
{
    struct side *side = MS_CONTAINER(s, struct side, stream);

    if (side->err_at && side->asked >= side->err_at)
        return MS_ECALLBACK;
    if (side->asked++ % 2 == 0)
        return MS_OK;
    *n = cap < side->upload ? cap : side->upload;
    memset(p, 'u', *n);
    side->upload -= *n;
    *end_of_body = side->upload == 0;
    return MS_OK;
}

static const struct ms_stream_ops ops = {.on_head = on_head,
                                         .on_data = on_data,
                                         .on_pull = on_pull,
                                         .on_end = on_end};

static ms_err open_side(int i, const char *method, struct ms_span body)
{
    struct side *s = &sides[i];
    struct ms_request req = {.method = ms_span_text(method),
                             .target = MS_SPAN("/p?q"),
                             .authority = MS_SPAN("host:1"),
                             .list = &fields,
                             .body = body,
                             .has_body = body.p != NULL};

    s->stream = (struct ms_stream){.ops = &ops,
                                   .head = &s->head,
                                   .trailers = &s->trailers,
                                   .max_head_bytes = 4096};
    s->got = 0;
    s->pause = s->ended = false;
    s->err = MS_OK;
    return h->ops->open(h, &s->stream, &req);
}

static const struct ms_span no_body;

static ms_err to_us(void)
{
    const uint8_t *p;
    ssize_t n;
    size_t used;
    ms_err err = MS_OK;

    while (!err && (n = nghttp2_session_mem_send(peer.ng, &p)) > 0)
        err = h->ops->feed(h, ms_span((const char *)p, (size_t)n), &used);
    while (!err && h->due)
        err = h->ops->feed(h, no_body, &used);
    return err;
}

static uint64_t round_trip_us; /* what each round of talk() takes */
static unsigned rounds;

/* True when there was anything for the peer. */
static bool to_peer(void)
{
    struct ms_span run;
    bool moved = false;

    while (h->ops->pull(h, &run, 1)) {
        moved = true;
        CHECK(nghttp2_session_mem_recv(peer.ng, (const uint8_t *)run.p,
                                       run.n) == (ssize_t)run.n);
        h->ops->sent(h, run.n);
    }
    return moved;
}

/* Bytes go to the peer and what it has comes back; true when any did. */
static bool step(ms_err *err)
{
    bool moved = to_peer();

    moved |= nghttp2_session_want_write(peer.ng);
    h->now_us += round_trip_us;
    *err = to_us();
    return moved && !*err;
}

/* Until there are none. */
static ms_err talk(void)
{
    ms_err err;

    for (rounds = 0; step(&err); rounds++)
        ;
    return err;
}

static void begin(uint32_t max_streams, bool holds_window)
{
    struct ms_h2_config config = {
        .grown = &grown, .secure = true, .max_streams = STREAMS};

    start_peer(max_streams, holds_window);
    CHECK(!ms_h2_new(&h, &config));
    CHECK(!talk());
}

static void end(void)
{
    for (int i = 0; i < STREAMS; i++)
        if (sides[i].stream.session)
            h->ops->cancel(h, &sides[i].stream);
    h->ops->free(h);
    nghttp2_session_del(peer.ng);
    for (int i = 0; i < STREAMS; i++) {
        ms_head_free(&sides[i].head);
        ms_fields_free(&sides[i].trailers);
        sides[i].stream.session = NULL;
    }
    ms_fields_free(&fields);
}

#endif
