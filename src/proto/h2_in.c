/* SPDX-License-Identifier: MIT
 *
 * What nghttp2 reports: heads, bodies and ends of responses, and the frames of
 * the connection. Nothing here destroys anything of nghttp2's.
 */
#include <assert.h>

#include "base/mem.h"
#include "proto/h2_field.h"
#include "proto/h2_state.h"

/* Returned by a callback to make nghttp2 stop where it is. */
#define STOP NGHTTP2_ERR_CALLBACK_FAILURE
/* What one field costs besides its bytes (RFC 9113, 6.5.2). */
#define FIELD_COST 32
/* Bytes before a frame's payload (RFC 9113, 4.1). */
#define FRAME_HEAD 9

/* Goes on, unless the connection has failed. */
static int go_on(const struct h2 *h)
{
    return h->failed ? STOP : 0;
}

/* The record of a stream that is open, NULL when we know none. */
static struct h2_stream *find_by(struct h2 *h, struct h2_stream **guess,
                                 int32_t id)
{
    if (*guess && (*guess)->id == id && (*guess)->open)
        return *guess;
    return *guess = nghttp2_session_get_stream_user_data(h->ng, id);
}

static struct h2_stream *find(struct h2 *h, int32_t id)
{
    return find_by(h, &h->found, id);
}

/* Requests leave, and most peers answer, in the order of the streams. */
static struct h2_stream *next_of(const struct h2_stream *s)
{
    return s->node.next == &s->h2->live
               ? NULL
               : MS_CONTAINER(s->node.next, struct h2_stream, node);
}

static MS_RARE void malformed(struct h2_stream *s, const char *detail)
{
    ms_h2_reset(s, NGHTTP2_PROTOCOL_ERROR, MS_EPROTO, detail);
}

static MS_RARE void too_large(struct h2_stream *s, const char *detail)
{
    ms_h2_reset(s, NGHTTP2_CANCEL, MS_EHEADERS, detail);
}

/* Whether what comes for the stream still matters to somebody. */
static bool is_wanted(const struct h2_stream *s)
{
    return s && s->up && !s->failed && !s->complete;
}

/* ---- floods -------------------------------------------------------------- */

static void refill(struct h2 *h)
{
    uint64_t passed = h->base.now_us - h->refilled_us;
    int64_t more = (int64_t)(passed * MS_H2_FREE_FRAMES_PER_S / 1000000);

    if (!more)
        return;
    h->refilled_us = h->base.now_us;
    if (h->free_frames < MS_H2_FREE_FRAMES)
        h->free_frames += more;
    if (h->free_frames > MS_H2_FREE_FRAMES)
        h->free_frames = MS_H2_FREE_FRAMES;
}

/* A frame that brought nothing. */
static void spend(struct h2 *h)
{
    refill(h);
    if (--h->free_frames < 0)
        ms_h2_violation(h, NGHTTP2_ENHANCE_YOUR_CALM,
                        "a flood of HTTP/2 frames without content: "
                        "ENHANCE_YOUR_CALM");
}

/* A frame that brought something. */
static void earn(struct h2 *h)
{
    if (h->free_frames < MS_H2_FREE_FRAMES)
        h->free_frames++;
}

static void continuation(struct h2 *h)
{
    if (++h->continuations > MS_H2_MAX_CONTINUATIONS)
        ms_h2_violation(h, NGHTTP2_ENHANCE_YOUR_CALM,
                        "a flood of HTTP/2 CONTINUATION frames: "
                        "ENHANCE_YOUR_CALM");
}

static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd,
                          void *user)
{
    struct h2 *h = user;

    (void)ng;
    h->stray -= FRAME_HEAD + (int64_t)hd->length;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
        h->continuations = 0;
        break;
    case NGHTTP2_CONTINUATION:
        continuation(h);
        break;
    case NGHTTP2_DATA:
        break;
    case NGHTTP2_PUSH_PROMISE:
        ms_h2_violation(h, NGHTTP2_PROTOCOL_ERROR,
                        "the peer pushes though HTTP/2 push is switched off: "
                        "PROTOCOL_ERROR");
        break;
    default:
        spend(h);
    }
    return go_on(h);
}

/* ---- heads --------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame,
                            void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = find(h, frame->hd.stream_id);

    (void)ng;
    h->heads = is_wanted(s) ? s : NULL;
    if (!h->heads)
        return 0;
    s->head_bytes = 0;
    s->fields = 0;
    s->status = 0;
    s->has_length = false;
    s->up->answered = true;
    if (!s->up->first_byte_us)
        s->up->first_byte_us = h->base.now_us;
    return 0;
}

/* Head and trailers have limits of their own. */
static inline bool fits(struct h2_stream *s, struct ms_span name,
                        struct ms_span value)
{
    size_t most = s->got_head ? MS_H2_MAX_TRAILERS : s->up->max_head_bytes;

    s->head_bytes += name.n + value.n + FIELD_COST;
    if (s->head_bytes > most) {
        too_large(s, s->got_head ? "the trailers are too large"
                                 : "the response head is too large");
        return false;
    }
    if (++s->fields > MS_H2_MAX_FIELDS) {
        too_large(s, "too many header fields");
        return false;
    }
    return true;
}

/* ":status", once and before all others (RFC 9113, 8.3). */
static void pseudo(struct h2_stream *s, struct ms_span name,
                   struct ms_span value)
{
    if (s->got_head)
        malformed(s, "a pseudo-header field in the trailers");
    else if (!ms_span_equal(name, MS_SPAN(":status")))
        malformed(s, "a pseudo-header field that no response has");
    else if (s->status)
        malformed(s, "two :status fields");
    else if (!(s->status = (uint16_t)ms_h2_status(value)))
        malformed(s, "the status is not a number from 100 to 599");
}

static void content_length(struct h2_stream *s, struct ms_span value)
{
    uint64_t n;

    if (!ms_span_decimal(value, INT64_MAX, &n))
        malformed(s, "Content-Length is not a number");
    else if (s->has_length && (int64_t)n != s->up->head->length)
        malformed(s, "two different Content-Length values");
    else
        s->up->head->length = (int64_t)n;
    s->has_length = true;
}

/* Only pseudo-header fields may come before :status. */
static bool has_its_place(struct h2_stream *s)
{
    if (MS_LIKELY(s->status || s->got_head))
        return true;
    malformed(s, "a response without :status, or not in front");
    return false;
}

static inline void keep(struct h2_stream *s, struct ms_span name,
                        struct ms_span value)
{
    struct ms_fields *into =
        MS_UNLIKELY(s->got_head) ? s->up->trailers : &s->up->head->fields;

    if (ms_fields_add(into, name, value))
        ms_h2_break(s->h2, MS_ENOMEM, NULL);
}

/* Whether the field means something to the session, which takes note. */
static bool has_meaning(struct h2_stream *s, struct ms_span name,
                        struct ms_span value)
{
    if (!s->got_head && ms_span_equal(name, MS_SPAN("content-length")))
        content_length(s, value);
    else if (ms_span_equal(name, MS_SPAN("content-encoding")))
        s->up->head->coded = true;
    else
        return false;
    return true;
}

/* Takes a field; true when the same one may be taken unseen from now on. */
static bool field(struct h2_stream *s, struct ms_span name,
                  struct ms_span value, bool known)
{
    const char *wrong;

    if (!fits(s, name, value))
        return false;
    if (name.n && name.p[0] == ':') {
        pseudo(s, name, value);
        return false;
    }
    if (!has_its_place(s))
        return false;
    if ((wrong = ms_h2_check_field(name, value, known))) {
        malformed(s, wrong);
        return false;
    }
    bool plain = !has_meaning(s, name, value);
    keep(s, name, value);
    return plain;
}

static inline void known_field(struct h2_stream *s,
                               const struct ms_h2_known_field *f)
{
    struct ms_span name = ms_span(f->name, f->name_len);
    struct ms_span value = ms_span(f->value, f->value_len);

    if (fits(s, name, value) && has_its_place(s))
        keep(s, name, value);
}

static struct ms_span span_of(nghttp2_rcbuf *b)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(b);

    return ms_span((const char *)v.base, v.len);
}

static MS_APART void new_field(struct h2_stream *s, nghttp2_rcbuf *name,
                               nghttp2_rcbuf *value)
{
    unsigned place = s->fields;

    /* Trailers may say what in a head has a meaning. */
    if (field(s, span_of(name), span_of(value),
              nghttp2_rcbuf_is_static(name)) &&
        !s->got_head)
        ms_h2_known_add(&s->h2->known, place, name, value);
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame,
                     nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
                     void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = h->heads;

    (void)ng;
    (void)frame;
    (void)flags;
    if (!s)
        return go_on(h);
    const struct ms_h2_known_field *f =
        ms_h2_known_find(&h->known, s->fields, name, value);
    if (MS_LIKELY(f != NULL))
        known_field(s, f);
    else
        new_field(s, name, value);
    return go_on(h);
}

/* The whole response came. A request still under way is given up: the answer
 * does not depend on the rest of it (RFC 9113, 8.1). */
static void complete(struct h2_stream *s)
{
    if (s->expected >= 0 && s->received != s->expected) {
        malformed(s, "the body is shorter than its Content-Length");
        return;
    }
    s->complete = true;
    ms_h2_due(s);
    if (!s->all_left)
        ms_h2_give_up(s, NGHTTP2_CANCEL);
}

/* How many body bytes the final head lets us expect (RFC 9110, 6.4.1). */
static int64_t expected(const struct h2_stream *s)
{
    if (s->head_request || s->status == 204 || s->status == 304)
        return 0;
    return s->up->head->length;
}

/* Hands on a head; false when that was the end of the stream. */
static bool hand_on_head(struct h2_stream *s)
{
    struct ms_stream *up = s->up;

    up->head->status = s->status;
    up->head->version = MS_HTTP_2;
    ms_err err = up->ops->on_head(up);
    if (s->up != up)
        return false;
    if (err)
        ms_h2_reset(s, NGHTTP2_CANCEL, err, NULL);
    return !err;
}

static void informational(struct h2_stream *s, bool end)
{
    if (s->status == 101)
        malformed(s, "101 does not exist in HTTP/2");
    else if (end)
        malformed(s, "the response ends with an informational head");
    else if (++s->informational > MS_H2_MAX_INFORMATIONAL)
        malformed(s, "too many informational responses");
    else if (hand_on_head(s))
        ms_head_clear(s->up->head);
}

static void final_head(struct h2_stream *s, bool end)
{
    s->expected = expected(s);
    s->got_head = true;
    s->taken_since_us = s->h2->base.now_us;
    if (hand_on_head(s) && end)
        complete(s);
}

static void head_came(struct h2_stream *s, bool end)
{
    if (!s->got_head && !s->status)
        malformed(s, "a response without :status, or not in front");
    else if (s->got_head && !end)
        malformed(s, "trailers before the end of the response");
    else if (s->got_head)
        complete(s);
    else if (s->status < 200)
        informational(s, end);
    else
        final_head(s, end);
}

/* ---- bodies -------------------------------------------------------------- */

/* Offers bytes; returns how many are done with. */
static size_t offer(struct h2_stream *s, const char *p, size_t n)
{
    struct ms_stream *up = s->up;
    size_t taken = 0;
    ms_err err = up->ops->on_data(up, p, n, &taken);

    if (s->up != up)
        return n;
    assert(taken <= n);
    s->paused = taken < n;
    if (!err)
        return taken;
    ms_h2_reset(s, NGHTTP2_CANCEL, err, NULL);
    return n;
}

void ms_h2_deliver(struct h2_stream *s, const char *p, size_t n)
{
    size_t done = 0;

    if (!s->paused && !ms_buf_len(&s->kept))
        done = offer(s, p, n);
    if (done)
        ms_h2_consumed(s, done);
    if (done < n && ms_buf_add(&s->kept, p + done, n - done))
        ms_h2_break(s->h2, MS_ENOMEM, NULL);
}

/* In pieces: whoever pauses at one has not been given a whole window. */
static size_t offer_pieces(struct h2_stream *s, const char *p, size_t n)
{
    const struct ms_stream *up = s->up;
    size_t done = 0, size, taken;

    do {
        size = n - done < MS_H2_PIECE ? n - done : MS_H2_PIECE;
        taken = offer(s, p + done, size);
        done += taken;
        if (s->up != up || s->failed)
            return n;
    } while (taken == size && done < n);
    return done;
}

void ms_h2_deliver_kept(struct h2_stream *s)
{
    struct ms_buf kept = s->kept;
    size_t n = ms_buf_len(&kept);

    if (!n)
        return;
    s->kept = (struct ms_buf){0};
    size_t done = offer_pieces(s, kept.p + kept.from, n);
    ms_h2_consumed(s, done);
    ms_buf_consume(&kept, done);
    if (s->up)
        s->kept = kept;
    else
        ms_buf_free(&kept);
}

/* Body bytes: as many as the head promised, and not one more. */
static void body(struct h2_stream *s, const char *p, size_t n)
{
    bool has_room = s->expected < 0 || (int64_t)n <= s->expected - s->received;
    size_t fit = has_room ? n : (size_t)(s->expected - s->received);

    s->received += (int64_t)fit;
    if (fit)
        ms_h2_deliver(s, p, fit);
    if (has_room)
        return;
    if (is_wanted(s))
        malformed(s, s->expected ? "the body is longer than its Content-Length"
                                 : "a body where the response has none");
    ms_h2_consumed(s, n - fit);
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id,
                   const uint8_t *p, size_t n, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = find(h, id);

    (void)ng;
    if (s)
        s->ended = flags & NGHTTP2_FLAG_END_STREAM;
    if (is_wanted(s) && !s->got_head)
        malformed(s, "a body before the response's head");
    if (is_wanted(s)) {
        ms_stream_moved(s->up, n);
        body(s, (const char *)p, n);
    } else if (nghttp2_session_consume(h->ng, id, n)) {
        ms_h2_break(h, MS_ENOMEM, NULL);
    }
    return go_on(h);
}

/* ---- frames -------------------------------------------------------------- */

static void data_came(struct h2 *h, struct h2_stream *s,
                      const nghttp2_frame *frame)
{
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (frame->hd.length > frame->data.padlen)
        earn(h);
    else if (!end)
        spend(h);
    if (!end || !is_wanted(s))
        return;
    if (s->got_head)
        complete(s);
    else
        malformed(s, "the response ends before its head");
}

static void settings_came(struct h2 *h, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
        ms_h2_window_answered(h);
        return;
    }
    h->settled = true;
    h->their_most = nghttp2_session_get_remote_settings(
        h->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

static void goaway_came(struct h2 *h, const nghttp2_goaway *frame)
{
    h->goaway = true;
    h->goaway_last = frame->last_stream_id;
    if (frame->error_code)
        h->goaway_code = frame->error_code;
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame,
                         void *user)
{
    struct h2 *h = user;
    struct h2_stream *s;

    (void)ng;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        earn(h);
        s = h->heads;
        h->heads = NULL;
        if (is_wanted(s)) {
            ms_stream_moved(s->up, frame->hd.length);
            head_came(s, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
        }
        break;
    case NGHTTP2_DATA:
        data_came(h, find(h, frame->hd.stream_id), frame);
        break;
    case NGHTTP2_RST_STREAM:
        if ((s = find(h, frame->hd.stream_id)))
            s->reset_by_peer = true;
        break;
    case NGHTTP2_SETTINGS:
        settings_came(h, frame);
        break;
    case NGHTTP2_GOAWAY:
        goaway_came(h, &frame->goaway);
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            ms_h2_window_measured(h, frame->ping.opaque_data);
        break;
    default:
        break;
    }
    return go_on(h);
}

/* The peer has not acted on the request (RFC 9113, 8.7). What GOAWAY takes and
 * RST_STREAM refuses was looked at. */
static void refused(struct h2_stream *s)
{
    int32_t last = s->h2->goaway_last;

    s->up->asked = false;
    s->up->passed_over = s->h2->goaway && last > 0 && s->id > last;
    ms_h2_fail(s, MS_EREFUSEDSTREAM,
               s->h2->goaway_code ? ms_h2_text_goaway(s->h2->goaway_code)
               : s->h2->goaway    ? "the peer takes no more requests here"
                                  : NULL);
}

/* Closed before its response was whole, and not by us: by the peer, or by
 * nghttp2 because the peer broke a rule. A peer that answered has acted,
 * whatever it says. */
static void cut_off(struct h2_stream *s, uint32_t code)
{
    if (code == NGHTTP2_REFUSED_STREAM && !s->up->answered) {
        refused(s);
    } else if (s->reset_by_peer || code == NGHTTP2_REFUSED_STREAM) {
        s->up->needs_h1 = code == NGHTTP2_HTTP_1_1_REQUIRED && !s->got_head;
        s->up->broke = s->reset_by_peer && ms_h2_is_of_the_peer(code);
        ms_h2_fail(s, MS_ESTREAM, ms_h2_text_reset(code));
    } else {
        ms_h2_fail(s, MS_EHTTP2, ms_h2_text_broken(code));
    }
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code,
                           void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = find(h, id);

    (void)ng;
    if (!s)
        return 0;
    assert(s->open);
    h->found = next_of(s);
    s->open = false;
    h->open--;
    ms_h2_window_gone(s);
    if (!s->up)
        ms_h2_drop(s);
    else if (!s->failed && !s->complete)
        cut_off(s, code);
    return 0;
}

/* Called when a frame was given out whole. */
static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame,
                         void *user)
{
    struct h2 *h = user;
    bool request =
        frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;

    (void)ng;
    if (frame->hd.type == NGHTTP2_GOAWAY &&
        frame->goaway.error_code == NGHTTP2_INTERNAL_ERROR)
        ms_h2_break(h, MS_ENOMEM, NULL); /* HPACK's encoder had none */
    else if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code)
        ms_h2_break(h, MS_EHTTP2,
                    h->no_h2 ? "the peer does not speak HTTP/2"
                             : ms_h2_text_broken(frame->goaway.error_code));
    if (!request)
        return 0;
    /* Each may be answered by a WINDOW_UPDATE for the stream and one for the
     * connection. */
    earn(h);
    earn(h);
    struct h2_stream *s = find_by(h, &h->leaving, frame->hd.stream_id);
    if (s) {
        ms_h2_prepared_drop(&s->prepared); /* nghttp2 has made bytes of them */
        h->leaving = next_of(s);
        s->all_left = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    }
    if (!s || !s->up)
        return 0;
    s->up->asked = true;
    ms_stream_moved(s->up, frame->hd.length);
    if (frame->hd.type == NGHTTP2_DATA && s->up->progress)
        s->up->progress->up += frame->hd.length;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        s->up->sent_us = h->base.now_us;
        h->request_left = true;
    }
    return 0;
}

/* A request that nghttp2 could not send; it closes the stream next. */
static int on_frame_not_send(nghttp2_session *ng, const nghttp2_frame *frame,
                             int why, void *user)
{
    struct h2 *h = user;

    (void)ng;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    struct h2_stream *s = find(h, frame->hd.stream_id);
    if (s && why == NGHTTP2_ERR_FRAME_SIZE_ERROR)
        ms_h2_fail(s, MS_EHEADER, "the request's headers are too large");
    else if (s && why == NGHTTP2_ERR_HEADER_COMP)
        ms_h2_fail(s, MS_ENOMEM, NULL);
    return 0;
}

/* Unknown frames are ignored (RFC 9113, 5.5). */
static int on_unknown(nghttp2_session *ng, void **payload,
                      const nghttp2_frame_hd *hd, void *user)
{
    (void)ng;
    (void)payload;
    (void)hd;
    (void)user;
    return NGHTTP2_ERR_CANCEL;
}

static int on_error(nghttp2_session *ng, int code, const char *text, size_t n,
                    void *user)
{
    struct h2 *h = user;

    (void)ng;
    (void)text;
    (void)n;
    h->no_h2 |= code == NGHTTP2_ERR_SETTINGS_EXPECTED;
    return 0;
}

void ms_h2_set_callbacks(nghttp2_session_callbacks *c)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c,
                                                            on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c,
                                                             on_frame_not_send);
    nghttp2_session_callbacks_set_unpack_extension_callback(c, on_unknown);
    nghttp2_session_callbacks_set_error_callback2(c, on_error);
}
