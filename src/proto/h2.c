/* SPDX-License-Identifier: MIT */
#include "proto/h2.h"

#include <assert.h>

#include "base/mem.h"
#include "proto/h2_state.h"

/* nghttp2's limit for a request's fields is 64 KiB; HTTP/1 has none. */
#define MAX_REQUEST_FIELDS (1024 * 1024)
/* An out buffer that grew beyond this for a while is given back. */
#define KEPT_OUT_BYTES (32 * 1024)
/* nghttp2's blocks kept for the next requests: what a hundred small ones take.
 */
#define KEPT_MEM_BYTES (64 * 1024)
/* Stream ids are 31 bits, and ours are odd. */
#define LAST_STREAM_ID INT32_MAX

/* Not in the headers of every nghttp2 that Debian's fixes went into. */
#pragma weak nghttp2_option_set_max_continuations
void nghttp2_option_set_max_continuations(nghttp2_option *option, size_t val);

static struct h2 *h2_of(struct ms_session *s)
{
    return MS_CONTAINER(s, struct h2, base);
}

/* ---- the names of errors ------------------------------------------------- */

#define ERROR_NAMES(X)                                                         \
    X("NO_ERROR")                                                              \
    X("PROTOCOL_ERROR")                                                        \
    X("INTERNAL_ERROR")                                                        \
    X("FLOW_CONTROL_ERROR")                                                    \
    X("SETTINGS_TIMEOUT")                                                      \
    X("STREAM_CLOSED")                                                         \
    X("FRAME_SIZE_ERROR")                                                      \
    X("REFUSED_STREAM")                                                        \
    X("CANCEL")                                                                \
    X("COMPRESSION_ERROR")                                                     \
    X("CONNECT_ERROR")                                                         \
    X("ENHANCE_YOUR_CALM")                                                     \
    X("INADEQUATE_SECURITY")                                                   \
    X("HTTP_1_1_REQUIRED") X("an error code HTTP/2 does not have")

static const char *pick(const char *const *texts, size_t n, uint32_t code)
{
    return texts[code < n ? code : n - 1];
}

const char *ms_h2_text_reset(uint32_t code)
{
#define TEXT(name) "the peer reset the HTTP/2 stream: " name,
    static const char *const texts[] = {ERROR_NAMES(TEXT)};
#undef TEXT

    return pick(texts, MS_COUNT(texts), code);
}

const char *ms_h2_text_goaway(uint32_t code)
{
#define TEXT(name) "the peer ended the HTTP/2 connection: " name,
    static const char *const texts[] = {ERROR_NAMES(TEXT)};
#undef TEXT

    return pick(texts, MS_COUNT(texts), code);
}

const char *ms_h2_text_broken(uint32_t code)
{
#define TEXT(name) "the peer broke the rules of HTTP/2: " name,
    static const char *const texts[] = {ERROR_NAMES(TEXT)};
#undef TEXT

    return pick(texts, MS_COUNT(texts), code);
}

/* ---- records ------------------------------------------------------------- */

static struct h2_stream *new_record(struct h2 *h)
{
    struct ms_list *spare = ms_list_pop(&h->spare);
    struct h2_stream *s =
        spare ? MS_CONTAINER(spare, struct h2_stream, node)
              : (struct h2_stream *)ms_alloc(sizeof(struct h2_stream));

    if (!s)
        return NULL;
    *s = (struct h2_stream){
        .h2 = h, .expected = -1, .window = MS_H2_STREAM_WINDOW};
    ms_list_init(&s->node);
    ms_list_init(&s->due);
    ms_list_init(&s->hungry);
    return s;
}

void ms_h2_drop(struct h2_stream *s)
{
    if (s->h2->found == s)
        s->h2->found = NULL;
    if (s->h2->leaving == s)
        s->h2->leaving = NULL;
    ms_list_unlink(&s->due);
    ms_buf_free(&s->kept);
    ms_h2_prepared_drop(&s->prepared);
    ms_list_push_front(&s->h2->spare, &s->node);
}

/* What is left of the header block coming in is nobody's. */
static void stop_reading_head(const struct h2_stream *s)
{
    if (s->h2->heads == s)
        s->h2->heads = NULL;
}

/* Nobody listens any more. The record goes when nghttp2 has forgotten it. */
static void detach(struct h2_stream *s)
{
    size_t kept = ms_buf_len(&s->kept);

    s->h2->base.streams--;
    stop_reading_head(s);
    s->up->session = NULL;
    s->up->part = NULL;
    s->up = NULL;
    s->body = ms_span(NULL, 0);
    /* Nobody will take this: the others get the room. */
    if (kept && nghttp2_session_consume_connection(s->h2->ng, kept))
        ms_h2_break(s->h2, MS_ENOMEM, NULL);
    ms_buf_free(&s->kept);
    ms_list_unlink(&s->due);
    ms_list_unlink(&s->hungry);
    if (!s->open)
        ms_h2_drop(s);
}

void ms_h2_due(struct h2_stream *s)
{
    ms_list_push(&s->h2->due, &s->due);
    s->h2->base.due = true;
}

void ms_h2_fail(struct h2_stream *s, ms_err err, const char *detail)
{
    if (!s->up || s->failed)
        return;
    s->failed = err;
    s->detail = detail;
    stop_reading_head(s);
    ms_h2_due(s);
}

void ms_h2_give_up(struct h2_stream *s, uint32_t code)
{
    struct h2 *h = s->h2;

    if (!s->open)
        return;
    /* What is on its way: a window, in frames that are half head at worst. */
    h->stray_most += 2 * s->window;
    h->base.wants_pull = true;
    if (nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, s->id, code))
        ms_h2_break(h, MS_ENOMEM, NULL);
}

void ms_h2_reset(struct h2_stream *s, uint32_t code, ms_err err,
                 const char *detail)
{
    ms_h2_fail(s, err, detail);
    ms_h2_give_up(s, code);
}

void ms_h2_break(struct h2 *h, ms_err err, const char *detail)
{
    if (h->failed)
        return;
    h->failed = err;
    h->detail = detail;
    h->base.due = true;
}

void ms_h2_violation(struct h2 *h, uint32_t code, const char *detail)
{
    if (h->failed)
        return;
    ms_h2_break(h, MS_EHTTP2, detail ? detail : ms_h2_text_broken(code));
    /* The last word, as far as it can be said. */
    (void)!nghttp2_session_terminate_session(h->ng, code);
}

/* ---- telling the streams ------------------------------------------------- */

/* Tells a stream its end. */
static void finish(struct h2_stream *s, ms_err err, const char *detail)
{
    struct ms_stream *up = s->up;

    if (err && !s->got_head)
        ms_head_clear(up->head);
    detach(s);
    up->ops->on_end(up, err, detail);
}

static void serve_one(struct h2_stream *s)
{
    if (!s->failed && !s->paused)
        ms_h2_deliver_kept(s);
    if (!s->up)
        return;
    if (s->failed)
        finish(s, s->failed, s->detail);
    else if (s->complete && !ms_buf_len(&s->kept))
        finish(s, MS_OK, NULL);
}

static void serve(struct h2 *h)
{
    struct ms_list now, *node;

    ms_list_init(&now);
    ms_list_splice(&now, &h->due);
    h->base.due = false;
    while ((node = ms_list_pop(&now)))
        serve_one(MS_CONTAINER(node, struct h2_stream, due));
}

bool ms_h2_is_of_the_peer(uint32_t code)
{
    return code == NGHTTP2_NO_ERROR || code == NGHTTP2_INTERNAL_ERROR ||
           code == NGHTTP2_CANCEL;
}

/* Tells all that are attached, but those that have all they need if `spare`.
 * A callee may cancel others, so each is looked for anew. */
static void finish_all(struct h2 *h, bool spare, ms_err err, const char *detail)
{
    struct ms_list all, *node;

    ms_list_init(&all);
    ms_list_splice(&all, &h->live);
    while ((node = ms_list_pop(&all))) {
        struct h2_stream *s = MS_CONTAINER(node, struct h2_stream, node);
        ms_list_push(&h->live, node);
        if (!s->up || (spare && s->complete))
            continue;
        if (!s->failed && !h->failed && h->goaway_code)
            s->up->broke = ms_h2_is_of_the_peer(h->goaway_code);
        if (s->failed)
            finish(s, s->failed, s->detail);
        else
            finish(s, err, detail);
    }
}

/* ---- bytes --------------------------------------------------------------- */

/* Fills the out buffer; true when it may have more. */
static bool gather(struct h2 *h, size_t most)
{
    const uint8_t *p;

    while (ms_buf_len(&h->out) < most) {
        ssize_t n = nghttp2_session_mem_send(h->ng, &p);
        if (n == 0)
            return false;
        if (n < 0 || ms_buf_add(&h->out, p, (size_t)n)) {
            /* The frame is lost, and with it the order of things. */
            ms_h2_break(h, MS_ENOMEM, NULL);
            return false;
        }
    }
    return true;
}

/* nghttp2 gives up a connection by itself: it takes no request any more, and
 * its GOAWAY says why. */
static void notice_end(struct h2 *h)
{
    if (h->failed || h->goaway || h->drained || h->last_id == LAST_STREAM_ID ||
        nghttp2_session_check_request_allowed(h->ng))
        return;
    while (!h->failed && gather(h, ms_buf_len(&h->out) + 1))
        ;
    ms_h2_violation(h, NGHTTP2_PROTOCOL_ERROR, NULL);
}

static void receive(struct h2 *h, struct ms_span in)
{
    ssize_t n = nghttp2_session_mem_recv(h->ng, (const uint8_t *)in.p, in.n);

    h->stray += (int64_t)in.n;
    if (n == NGHTTP2_ERR_NOMEM)
        ms_h2_break(h, MS_ENOMEM, NULL);
    else if (n < 0) /* its own limits on floods */
        ms_h2_violation(h, NGHTTP2_ENHANCE_YOUR_CALM, NULL);
    else if (h->stray > h->stray_most)
        ms_h2_violation(h, NGHTTP2_ENHANCE_YOUR_CALM,
                        "a flood of HTTP/2 frames for streams that are over: "
                        "ENHANCE_YOUR_CALM");
    else
        notice_end(h);
}

static ms_err h2_feed(struct ms_session *base, struct ms_span in, size_t *used)
{
    struct h2 *h = h2_of(base);

    *used = in.n;
    if (!h->closed && !h->failed) {
        if (in.n)
            receive(h, in);
        ms_h2_window_settle(h);
        gather(h, MS_H2_OUT_BYTES);
    }
    serve(h);
    ms_h2_window_settle(h);
    h->base.wants_pull =
        ms_buf_len(&h->out) || nghttp2_session_want_write(h->ng);
    if (h->failed)
        finish_all(h, false, h->failed, h->detail);
    return h->failed;
}

static void h2_eof(struct ms_session *base, ms_err why)
{
    struct h2 *h = h2_of(base);
    const char *detail = NULL;

    h->closed = true;
    if (h->goaway_code) {
        why = MS_EHTTP2;
        detail = ms_h2_text_goaway(h->goaway_code);
    } else if (!why) {
        why = MS_EEOF;
        detail = "the connection ended before the response";
    }
    if (h->failed)
        finish_all(h, false, h->failed, h->detail);
    else
        finish_all(h, true, why, detail);
}

/* Bodies that had nothing at the last pull are asked again. */
static void feed_the_hungry(struct h2 *h)
{
    struct ms_list now, *node;

    ms_list_init(&now);
    ms_list_splice(&now, &h->hungry);
    while ((node = ms_list_pop(&now)))
        ms_h2_body_on(MS_CONTAINER(node, struct h2_stream, hungry));
}

static void h2_close(struct ms_session *base, ms_err err)
{
    struct h2 *h = h2_of(base);

    ms_h2_break(h, err, NULL);
    finish_all(h, false, h->failed, h->detail);
}

static size_t h2_pull(struct ms_session *base, struct ms_span *out, size_t max)
{
    struct h2 *h = h2_of(base);

    if (h->closed || !max)
        return 0;
    ms_h2_window_sent(h);
    feed_the_hungry(h);
    h->base.wants_pull = gather(h, MS_H2_OUT_BYTES);
    if (!ms_buf_len(&h->out))
        return 0;
    out[0] = ms_buf_span(&h->out);
    return 1;
}

static bool h2_sent(struct ms_session *base, size_t n)
{
    struct h2 *h = h2_of(base);
    bool whole = h->request_left;

    h->request_left = false;
    ms_buf_consume(&h->out, n);
    if (!ms_buf_len(&h->out) && h->out.cap > KEPT_OUT_BYTES)
        ms_buf_free(&h->out);
    return whole;
}

/* ---- streams ------------------------------------------------------------- */

static bool h2_done(const struct ms_session *base)
{
    const struct h2 *h = MS_CONTAINER(base, struct h2, base);

    return h->closed || h->failed || (h->goaway && !MS_MUTANT_IS(125)) ||
           h->drained || h->last_id == LAST_STREAM_ID;
}

static size_t h2_capacity(const struct ms_session *base)
{
    const struct h2 *h = MS_CONTAINER(base, struct h2, base);

    if (!h->settled)
        return 0;
    return h->their_most < h->max_streams ? h->their_most : h->max_streams;
}

static size_t h2_room(const struct ms_session *base)
{
    const struct h2 *h = MS_CONTAINER(base, struct h2, base);
    size_t most = h->settled ? h2_capacity(base) : MS_H2_EARLY_STREAMS;

    return h->open < most && !h2_done(base) ? most - h->open : 0;
}

static void attach(struct h2_stream *s, struct ms_stream *up)
{
    struct h2 *h = s->h2;

    s->up = up;
    s->open = true;
    h->open++;
    h->base.streams++;
    ms_list_push(&h->live, &s->node);
    /* Its answer makes up for frames without content. */
    h->free_frames++;
    ms_head_clear(up->head);
    ms_fields_clear(up->trailers);
    up->asked = up->answered = up->needs_h1 = up->passed_over = false;
    up->takes_files = false; /* frames are made in memory */
    up->broke = false;
    up->sent_us = up->first_byte_us = 0;
    up->session = &h->base;
    up->part = s;
}

static ms_err h2_open(struct ms_session *base, struct ms_stream *up,
                      const struct ms_request *req)
{
    struct h2 *h = h2_of(base);
    struct h2_stream *s = new_record(h);

    assert(h2_room(base) > 0);
    if (!s)
        return MS_ENOMEM;
    s->head_request = ms_span_equal(req->method, MS_SPAN("HEAD"));
    ms_err err = ms_h2_submit(s, req);
    if (err) {
        ms_h2_drop(s);
        return err;
    }
    attach(s, up);
    return MS_OK;
}

static void h2_cancel(struct ms_session *base, struct ms_stream *up)
{
    struct h2_stream *s = up->part;

    assert(up->session == base && s->up == up);
    (void)base;
    ms_h2_give_up(s, NGHTTP2_CANCEL);
    detach(s);
}

static void h2_resume(struct ms_session *base, struct ms_stream *up)
{
    struct h2_stream *s = up->part;

    assert(up->session == base && s->up == up);
    (void)base;
    if (!up->hold_send)
        ms_h2_body_on(s);
    if (s->paused) {
        s->paused = false;
        ms_h2_due(s);
    }
}

static void h2_proceed(struct ms_session *base, struct ms_stream *up)
{
    struct h2_stream *s = up->part;

    assert(up->session == base && s->up == up);
    (void)base;
    s->held = false;
    ms_h2_body_on(s);
}

static void h2_ping(struct ms_session *base)
{
    struct h2 *h = h2_of(base);

    h->base.wants_pull = true;
    if (nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL))
        ms_h2_break(h, MS_ENOMEM, NULL);
}

static void h2_drain(struct ms_session *base)
{
    struct h2 *h = h2_of(base);

    if (h->closed || h->failed || h->drained)
        return;
    h->drained = h->base.wants_pull = true;
    /* Without memory for it the peer has to do without. */
    (void)!nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR,
                                 NULL, 0);
}

/* ---- a session's beginning and end --------------------------------------- */

static void free_records(struct ms_list *list)
{
    struct ms_list *node;

    while ((node = ms_list_pop(list))) {
        struct h2_stream *s = MS_CONTAINER(node, struct h2_stream, node);
        assert(!s->up);
        ms_buf_free(&s->kept);
        ms_h2_prepared_drop(&s->prepared);
        ms_free(s);
    }
}

static void h2_free(struct ms_session *base)
{
    struct h2 *h = h2_of(base);

    nghttp2_session_del(h->ng);
    ms_h2_known_clear(&h->known);
    ms_h2_prepared_drop(&h->prepared);
    ms_h2_mem_free(&h->mem);
    *h->all_grown -= h->grown;
    free_records(&h->live);
    free_records(&h->spare);
    ms_buf_free(&h->out);
    ms_free(h);
}

static void h2_rest(struct ms_session *base)
{
    struct h2 *h = h2_of(base);

    h->found = h->leaving = NULL;
    free_records(&h->spare);
    ms_h2_known_clear(&h->known);
    ms_h2_prepared_drop(&h->prepared);
    ms_h2_mem_free(&h->mem);
    if (!ms_buf_len(&h->out))
        ms_buf_free(&h->out);
}

static const struct ms_session_ops ops = {
    .open = h2_open,
    .cancel = h2_cancel,
    .resume = h2_resume,
    .proceed = h2_proceed,
    .feed = h2_feed,
    .eof = h2_eof,
    .close = h2_close,
    .pull = h2_pull,
    .sent = h2_sent,
    .room = h2_room,
    .capacity = h2_capacity,
    .done = h2_done,
    .ping = h2_ping,
    .drain = h2_drain,
    .rest = h2_rest,
    .free = h2_free,
};

static void set_options(nghttp2_option *o)
{
    nghttp2_option_set_no_auto_window_update(o, 1);
    /* Messages are checked here, with the reason at hand. */
    nghttp2_option_set_no_http_messaging(o, 1);
    nghttp2_option_set_max_send_header_block_length(o, MAX_REQUEST_FIELDS);
    /* The limit on streams is ours to keep, by room(). */
    nghttp2_option_set_peer_max_concurrent_streams(o, UINT32_MAX);
    /* Unknown frames are reported, so that they can be counted. */
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
        nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
    if (nghttp2_option_set_max_continuations)
        nghttp2_option_set_max_continuations(o, MS_H2_MAX_CONTINUATIONS);
}

static int new_nghttp2(struct h2 *h)
{
    nghttp2_mem mem = ms_h2_mem_for(&h->mem);
    nghttp2_session_callbacks *cbs = NULL;
    nghttp2_option *options = NULL;
    int rv = NGHTTP2_ERR_NOMEM;

    if (!nghttp2_session_callbacks_new(&cbs) && !nghttp2_option_new(&options)) {
        ms_h2_set_callbacks(cbs);
        set_options(options);
        rv = nghttp2_session_client_new3(&h->ng, cbs, h, options, &mem);
    }
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(cbs);
    return rv;
}

/* SETTINGS_NO_RFC7540_PRIORITIES is not among them: nghttp2 1.52 schedules by
 * another way then, which frees a frame twice when memory runs out. */
static int submit_preface(struct h2 *h)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, MS_MUTANT_IS(129)},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, MS_H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MS_H2_HEADER_LIST},
    };
    int rv = nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings,
                                     MS_COUNT(settings));

    return rv ? rv
              : nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE,
                                                      0, MS_H2_WINDOW);
}

const char *ms_nghttp2_version(void)
{
    return nghttp2_version(0)->version_str;
}

ms_err ms_h2_new(struct ms_session **out, const struct ms_h2_config *config)
{
    struct h2 *h = ms_zalloc(sizeof(*h));

    if (!h)
        return MS_ENOMEM;
    h->base.ops = &ops;
    h->base.wants_pull = true;
    h->secure = config->secure;
    h->max_streams = config->max_streams;
    h->all_grown = config->grown;
    h->free_frames = MS_H2_FREE_FRAMES;
    h->mem.most = ms_mem_failing() ? 0 : KEPT_MEM_BYTES;
    h->stray_most = MS_H2_STRAY_BYTES;
    ms_list_init(&h->live);
    ms_list_init(&h->spare);
    ms_list_init(&h->due);
    ms_list_init(&h->hungry);
    if (new_nghttp2(h) || submit_preface(h)) {
        nghttp2_session_del(h->ng);
        ms_h2_mem_free(&h->mem);
        ms_free(h);
        return MS_ENOMEM;
    }
    *out = &h->base;
    return MS_OK;
}
