/* SPDX-License-Identifier: MIT */
#include "proto/h1.h"

#include <assert.h>

#include "base/mem.h"
#include "proto/h1_request.h"
#include "proto/upload.h"
#include "proto/wire.h"

/* Digits of a chunk size: 16 hold any 64-bit number, 15 cannot overflow. */
#define MAX_SIZE_DIGITS 15

/* The head is copied in steps: a whole head at once as a rule, and not much of
 * the body behind it. */
#define HEAD_STEP 2048

struct h1;

/* Parses some of `in`; returns how many bytes were used, sets h->failed on an
 * error. A state that used nothing of a non-empty input waits for resume. */
typedef size_t state_fn(struct h1 *h, struct ms_span in);

struct h1 {
    struct ms_session base;
    struct ms_stream *stream; /* NULL: idle */
    state_fn *state;
    struct ms_buf out;        /* the request's head; memory kept */
    struct ms_span body;      /* what is left of the request's body; lent */
    struct ms_upload *upload; /* of a streamed request; owned */
    struct ms_buf line;       /* a line in pieces: chunk sizes, trailers */
    uint64_t left;            /* bytes of the body or chunk still to come */
    size_t line_start;        /* of the head's current line, in head text */
    size_t scanned;           /* head text looked at for the line's end */
    size_t head_end; /* where a head ended in this step, 0: it did not */
    uint32_t extensions, trailer_bytes;
    unsigned informational;
    ms_err failed;
    const char *detail;
    bool head_request, sending;
    bool held;     /* the body is kept back until a 100 */
    bool stopped;  /* the answer is there: no more of the body is sent */
    bool got_byte; /* of this response */
    bool keep;     /* the response allows another */
    bool closes;   /* it says that it does not */
    bool dead;     /* no further stream */
    bool has_length, is_chunked;
};

static state_fn in_head, in_counted, until_close, in_chunk_size, in_chunk,
    after_chunk, in_trailers, ended;

static struct h1 *h1_of(struct ms_session *s)
{
    return MS_CONTAINER(s, struct h1, base);
}

static size_t fail(struct h1 *h, ms_err err, const char *detail)
{
    h->failed = err;
    h->detail = detail;
    return 0;
}

static void detach(struct h1 *h)
{
    h->stream->session = NULL;
    h->base.streams = 0;
    h->stream = NULL;
    h->body = ms_span(NULL, 0);
    if (MS_UNLIKELY(h->upload != NULL)) {
        ms_upload_free(h->upload);
        h->upload = NULL;
    }
    h->state = ended;
}

/* Tells the stream its end; the session's own state is settled before. */
static void finish(struct h1 *h, ms_err err, const char *detail)
{
    struct ms_stream *s = h->stream;

    if (!s)
        return;
    if (err || h->sending || !h->keep)
        h->dead = true;
    detach(h);
    s->ops->on_end(s, err, detail);
}

static size_t ended(struct h1 *h, struct ms_span in)
{
    (void)h;
    (void)in;
    return 0;
}

/* ---- head -------------------------------------------------------------- */

/* "HTTP/1.1 200 OK" (RFC 9112, 4). The space before an absent reason may be
 * absent too: servers leave it out, and nothing can be mistaken for it. */
static void status_line(struct h1 *h, struct ms_span line)
{
    struct ms_head *head = h->stream->head;
    const char *p = line.p;

    if (line.n < 12 || memcmp(p, "HTTP/1.", 7) || p[8] != ' ' ||
        (p[7] != '0' && p[7] != '1')) {
        fail(h, MS_EPROTO, "not an HTTP/1 status line");
        return;
    }
    for (int i = 9; i < 12; i++)
        if (!ms_is_digit((unsigned char)p[i])) {
            fail(h, MS_EPROTO, "the status is not a number");
            return;
        }
    head->status =
        (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
    head->version = p[7] == '1' ? MS_HTTP_1_1 : MS_HTTP_1_0;
    if (head->status < 100 || head->status > 599) {
        fail(h, MS_EPROTO, "the status is out of range");
        return;
    }
    if (line.n > 12 && p[12] != ' ') {
        fail(h, MS_EPROTO, "the status is not three digits");
        return;
    }
    struct ms_span reason =
        line.n > 13 ? ms_span(p + 13, line.n - 13) : ms_span(p, 0);
    if (!ms_wire_is_value(reason))
        fail(h, MS_EPROTO, "a control character in the reason");
    head->reason = (uint32_t)(reason.p - head->fields.text.p);
    head->reason_len = (uint32_t)reason.n;
}

/* Splits "name: value". No space before the colon, no folding, no control
 * characters: each is read in two ways somewhere (RFC 9112, 5). */
static const char *split_field(struct ms_span line, struct ms_span *name,
                               struct ms_span *value)
{
    const char *end = line.p + line.n;
    const char *colon = ms_wire_token_end(line.p, end);

    if (line.p[0] == ' ' || line.p[0] == '\t')
        return "a folded header line";
    if (colon == end)
        return "a header line without a colon";
    if (*colon != ':' || colon == line.p)
        return "a malformed header name";
    *name = ms_span(line.p, (size_t)(colon - line.p));
    *value = ms_span_trim(ms_span(colon + 1, line.n - name->n - 1));
    if (!ms_wire_is_value(*value))
        return "a control character in a header";
    return NULL;
}

/* Whether a token is `lower`, which has at least eight letters or hyphens, in
 * any case. Setting 0x20 folds letters; of the bytes a token may have it
 * makes no other into a letter or a hyphen. */
static bool is_name(struct ms_span name, struct ms_span lower)
{
    const uint64_t fold = UINT64_C(0x2020202020202020);
    uint64_t a, b;

    if (name.n != lower.n)
        return false;
    for (size_t at = 0; at < name.n; at += sizeof(a)) {
        if (at + sizeof(a) > name.n)
            at = name.n - sizeof(a);
        memcpy(&a, name.p + at, sizeof(a));
        memcpy(&b, lower.p + at, sizeof(b));
        if ((a | fold) != b)
            return false;
    }
    return true;
}

static void field_line(struct h1 *h, struct ms_span line)
{
    struct ms_fields *f = &h->stream->head->fields;
    struct ms_span name = {0}, value = {0};
    const char *wrong = split_field(line, &name, &value);

    if (wrong) {
        fail(h, MS_EPROTO, wrong);
        return;
    }
    if (f->count >= MS_H1_MAX_FIELDS) {
        fail(h, MS_EHEADERS, "too many header fields");
        return;
    }
    struct ms_field_ref ref = {(uint32_t)(name.p - f->text.p),
                               (uint32_t)(value.p - f->text.p),
                               (uint32_t)name.n, (uint32_t)value.n};
    ms_err err = ms_fields_index(f, ref);
    if (err)
        fail(h, err, NULL);
}

static void content_length(struct h1 *h, struct ms_span value)
{
    uint64_t n;

    if (!ms_span_decimal(value, INT64_MAX, &n))
        fail(h, MS_EPROTO, "Content-Length is not a number");
    else if (h->has_length && n != h->left)
        fail(h, MS_EPROTO, "two different Content-Length values");
    h->has_length = true;
    h->left = n;
}

/* Only exactly "chunked", once (RFC 9112, 6.1): everything else would have to
 * be decoded in an order that peers disagree about. */
static void transfer_encoding(struct h1 *h, struct ms_span value)
{
    if (h->is_chunked || !ms_span_equal_nocase(value, MS_SPAN("chunked")))
        fail(h, MS_EPROTO, "Transfer-Encoding is not just chunked");
    else if (h->stream->head->version != MS_HTTP_1_1)
        fail(h, MS_EPROTO, "Transfer-Encoding in an HTTP/1.0 response");
    h->is_chunked = true;
}

/* A close wins, wherever it stands (RFC 9112, 9.3). */
static void connection(struct h1 *h, struct ms_span value)
{
    struct ms_span item;

    if (is_name(value, MS_SPAN("keep-alive"))) { /* as most have it */
        h->keep = !h->closes;
        return;
    }
    while (ms_span_next_item(&value, &item)) {
        if (ms_span_equal_nocase(item, MS_SPAN("close"))) {
            h->closes = true;
            h->keep = false;
        } else if (ms_span_equal_nocase(item, MS_SPAN("keep-alive")))
            h->keep = !h->closes;
    }
}

static void framing_field(struct h1 *h, struct ms_span name,
                          struct ms_span value)
{
    if (is_name(name, MS_SPAN("content-length")))
        content_length(h, value);
    else if (is_name(name, MS_SPAN("transfer-encoding")))
        transfer_encoding(h, value);
    else if (is_name(name, MS_SPAN("connection")))
        connection(h, value);
    else if (is_name(name, MS_SPAN("content-encoding")))
        h->stream->head->coded = true;
}

/* What the fields say about where the message ends, and whether the body is
 * coded. Most are passed over for
 * the length of their name. */
static void read_framing(struct h1 *h)
{
    const struct ms_fields *f = &h->stream->head->fields;

    h->has_length = h->is_chunked = h->closes = false;
    h->left = 0;
    h->keep = h->stream->head->version == MS_HTTP_1_1;
    for (uint32_t i = 0; i < f->count && !h->failed; i++) {
        uint32_t n = f->refs[i].name_len;
        if (n == sizeof("content-length") - 1 ||
            n == sizeof("transfer-encoding") - 1 ||
            n == sizeof("connection") - 1 ||
            n == sizeof("content-encoding") - 1)
            framing_field(h, ms_fields_name(f, i), ms_fields_value(f, i));
    }
    if (!h->failed && h->has_length && h->is_chunked)
        fail(h, MS_EPROTO, "both Content-Length and Transfer-Encoding");
}

/* RFC 9112, 6.3. */
static state_fn *body_state(const struct h1 *h)
{
    unsigned status = h->stream->head->status;

    if (h->head_request || status == 204 || status == 304)
        return NULL;
    if (h->is_chunked)
        return in_chunk_size;
    if (!h->has_length)
        return until_close;
    return h->left ? in_counted : NULL;
}

static void start_head(struct h1 *h)
{
    ms_head_clear(h->stream->head);
    h->state = in_head;
    h->line_start = h->scanned = 0;
}

static void head_complete(struct h1 *h)
{
    struct ms_stream *s = h->stream;
    unsigned status = s->head->status;

    h->head_end = s->head->fields.text.to = h->line_start;
    if (status == 101) {
        fail(h, MS_EPROTO, "101 was not asked for");
        return;
    }
    read_framing(h);
    if (!h->failed && status < 200 &&
        ++h->informational > MS_H1_MAX_INFORMATIONAL)
        fail(h, MS_EPROTO, "too many informational responses");
    if (h->failed)
        return;
    if (h->has_length)
        s->head->length = (int64_t)h->left;
    ms_err err = s->ops->on_head(s);
    if (h->stream != s)
        return;
    if (err) {
        fail(h, err, NULL);
        return;
    }
    if (status < 200) {
        start_head(h);
        return;
    }
    /* Whoever turned the request down does not want the rest of it. */
    h->stopped = h->sending && status >= 300;
    h->state = body_state(h);
    if (h->state == until_close)
        h->keep = false;
    if (!h->state)
        finish(h, MS_OK, NULL);
}

static void head_line(struct h1 *h, struct ms_span line)
{
    if (h->stream->head->status == 0)
        status_line(h, line);
    else if (line.n)
        field_line(h, line);
    else
        head_complete(h);
}

/* The line in progress, which reaches to `end`, and the whole head, `total`
 * bytes by now, against their limits: the same verdict whether the line's end
 * is there yet or not, so that no split matters. */
static bool fits(struct h1 *h, size_t end, size_t total)
{
    bool first = h->stream->head->status == 0;
    size_t line = first ? MS_H1_MAX_STATUS_LINE : MS_H1_MAX_LINE;
    size_t max = h->stream->max_head_bytes;

    if (end - h->line_start > line && h->line_start + line < max) {
        fail(h, MS_EHEADERS,
             first ? "the status line is too long"
                   : "a header line is too long");
        return false;
    }
    if (total > max) {
        fail(h, MS_EHEADERS, "the response head is too large");
        return false;
    }
    return true;
}

/* A field line that is complete and as it should be, in one pass. Everything
 * else is left to the way that finds out what is wrong. */
static bool quick_field(struct h1 *h)
{
    struct ms_fields *f = &h->stream->head->fields;
    const char *line = f->text.p + h->line_start;
    const char *end = f->text.p + f->text.to;
    const char *colon = ms_wire_token_end(line, end);

    if (colon == end || *colon != ':' || colon == line)
        return false;
    const char *value = colon + 1;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    const char *stop = ms_wire_value_end(value, end);
    if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n')
        return false;
    size_t next = (size_t)(stop + 2 - f->text.p);
    if (next - h->line_start > MS_H1_MAX_LINE ||
        next > h->stream->max_head_bytes || f->count >= MS_H1_MAX_FIELDS)
        return false;
    while (stop > value && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    struct ms_field_ref ref = {
        (uint32_t)h->line_start, (uint32_t)(value - f->text.p),
        (uint32_t)(colon - line), (uint32_t)(stop - value)};
    if (ms_fields_index(f, ref))
        return false;
    h->line_start = h->scanned = next;
    return true;
}

/* The empty line behind the fields, when it is there and allowed. */
static bool quick_end(struct h1 *h)
{
    const struct ms_buf *text = &h->stream->head->fields.text;
    size_t end = h->line_start + 2;

    if (!h->stream->head->status || h->scanned != h->line_start ||
        end > text->to || end > h->stream->max_head_bytes ||
        text->p[end - 2] != '\r' || text->p[end - 1] != '\n')
        return false;
    h->line_start = h->scanned = end;
    return true;
}

/* Takes the complete lines that are in the head's text. */
static void take_lines(struct h1 *h)
{
    struct ms_stream *s = h->stream;

    while (h->stream == s && h->state == in_head && !h->failed) {
        struct ms_buf *text = &s->head->fields.text;
        while (s->head->status && h->scanned == h->line_start && quick_field(h))
            ;
        if (quick_end(h)) {
            head_complete(h);
            continue;
        }
        const char *from = text->p + h->scanned;
        const char *lf = h->scanned < text->to
                             ? memchr(from, '\n', text->to - h->scanned)
                             : NULL;
        size_t end = lf ? (size_t)(lf - text->p) : text->to;
        if (!fits(h, end, lf ? end + 1 : end))
            return;
        h->scanned = lf ? end + 1 : end;
        if (!lf)
            return;
        if (end == h->line_start || text->p[end - 1] != '\r') {
            fail(h, MS_EPROTO, "a line ends in a bare LF");
            return;
        }
        struct ms_span line =
            ms_span(text->p + h->line_start, end - 1 - h->line_start);
        h->line_start = end + 1;
        head_line(h, line);
    }
}

static size_t in_head(struct h1 *h, struct ms_span in)
{
    struct ms_buf *text = &h->stream->head->fields.text;
    size_t before = text->to;
    size_t n = in.n < HEAD_STEP ? in.n : HEAD_STEP;
    ms_err err = ms_buf_add(text, in.p, n);

    if (err)
        return fail(h, err, NULL);
    h->head_end = 0;
    take_lines(h);
    /* What follows the head was copied in vain and is not used up. */
    return h->head_end ? h->head_end - before : n;
}

/* ---- body -------------------------------------------------------------- */

/* Hands on up to `n` bytes; returns how many were taken. */
static size_t deliver(struct h1 *h, const char *p, size_t n)
{
    struct ms_stream *s = h->stream;
    size_t taken = 0;
    ms_err err = s->ops->on_data(s, p, n, &taken);

    if (h->stream != s)
        return 0;
    assert(taken <= n);
    if (err)
        fail(h, err, NULL);
    return taken;
}

static size_t counted(struct h1 *h, struct ms_span in)
{
    size_t n = in.n < h->left ? in.n : (size_t)h->left;
    size_t taken = deliver(h, in.p, n);

    h->left -= taken;
    return taken;
}

static size_t in_counted(struct h1 *h, struct ms_span in)
{
    size_t taken = counted(h, in);

    if (h->stream && !h->left && !h->failed)
        finish(h, MS_OK, NULL);
    return taken;
}

static size_t until_close(struct h1 *h, struct ms_span in)
{
    return deliver(h, in.p, in.n);
}

/* Gathers a line of at most `max` bytes in h->line. True when it is complete,
 * without its CRLF; `*used` is what it took of `in`. */
static bool gather_line(struct h1 *h, struct ms_span in, size_t max,
                        size_t *used)
{
    const char *lf = memchr(in.p, '\n', in.n);
    size_t n = lf ? (size_t)(lf - in.p) + 1 : in.n;
    ms_err err;

    *used = n;
    if (ms_buf_len(&h->line) + n - (lf != NULL) > max) {
        fail(h, MS_EPROTO, "a chunk line is too long");
        return false;
    }
    if ((err = ms_buf_add(&h->line, in.p, n))) {
        fail(h, err, NULL);
        return false;
    }
    if (!lf)
        return false;
    size_t len = ms_buf_len(&h->line);
    if (len < 2 || h->line.p[h->line.to - 2] != '\r') {
        fail(h, MS_EPROTO, "a chunk line ends in a bare LF");
        return false;
    }
    h->line.to -= 2;
    return true;
}

/* "1a" or "1a;name=value" (RFC 9112, 7.1). */
static const char *chunk_size(struct h1 *h, struct ms_span line)
{
    size_t digits = 0;

    h->left = 0;
    while (digits < line.n &&
           ms_hex_value((unsigned char)line.p[digits]) >= 0) {
        if (digits == MAX_SIZE_DIGITS)
            return "a chunk is too large";
        h->left = h->left << 4 |
                  (unsigned)ms_hex_value((unsigned char)line.p[digits]);
        digits++;
    }
    struct ms_span rest = ms_span(line.p + digits, line.n - digits);
    if (!digits)
        return "a chunk without a size";
    if (rest.n && ms_span_trim(rest).n && ms_span_trim(rest).p[0] != ';')
        return "a malformed chunk size";
    if (!ms_wire_is_value(rest) || (rest.n && !ms_span_trim(rest).n))
        return "a malformed chunk extension";
    h->extensions += (uint32_t)rest.n;
    return h->extensions > MS_H1_MAX_EXTENSIONS ? "too many chunk extensions"
                                                : NULL;
}

static size_t in_chunk_size(struct h1 *h, struct ms_span in)
{
    size_t used;

    if (!gather_line(h, in, MS_H1_MAX_CHUNK_LINE, &used))
        return used;
    const char *wrong = chunk_size(h, ms_buf_span(&h->line));
    ms_buf_clear(&h->line);
    if (wrong)
        fail(h, MS_EPROTO, wrong);
    h->state = h->left ? in_chunk : in_trailers;
    return used;
}

static size_t in_chunk(struct h1 *h, struct ms_span in)
{
    size_t taken = counted(h, in);

    if (h->stream && !h->left)
        h->state = after_chunk;
    return taken;
}

static size_t after_chunk(struct h1 *h, struct ms_span in)
{
    size_t used = 0;

    while (used < in.n) {
        char expected = ms_buf_len(&h->line) ? '\n' : '\r';
        if (in.p[used++] != expected)
            return fail(h, MS_EPROTO, "chunk data runs over its size");
        if (expected == '\n') {
            ms_buf_clear(&h->line);
            h->state = in_chunk_size;
            return used;
        }
        ms_err err = ms_buf_add(&h->line, "\r", 1);
        if (err)
            return fail(h, err, NULL);
    }
    return used;
}

static void trailer_line(struct h1 *h, struct ms_span line)
{
    struct ms_span name = {0}, value = {0};
    const char *wrong = split_field(line, &name, &value);
    ms_err err = MS_OK;

    if (wrong)
        fail(h, MS_EPROTO, wrong);
    else if ((err = ms_fields_add(h->stream->trailers, name, value)))
        fail(h, err, NULL);
}

static size_t in_trailers(struct h1 *h, struct ms_span in)
{
    size_t used;
    bool whole = gather_line(h, in, MS_H1_MAX_TRAILERS, &used);

    h->trailer_bytes += (uint32_t)used;
    if (h->trailer_bytes > MS_H1_MAX_TRAILERS)
        return fail(h, MS_EHEADERS, "the trailers are too large");
    if (!whole)
        return used;
    bool blank = !ms_buf_len(&h->line);
    if (!blank)
        trailer_line(h, ms_buf_span(&h->line));
    ms_buf_clear(&h->line);
    if (blank)
        finish(h, MS_OK, NULL);
    return used;
}

/* ---- the session ------------------------------------------------------- */

static void note_answer(struct h1 *h, size_t n)
{
    ms_stream_moved(h->stream, n);
    if (h->got_byte)
        return;
    h->got_byte = h->stream->answered = true;
    h->stream->first_byte_us = h->base.now_us;
}

static ms_err h1_feed(struct ms_session *s, struct ms_span in, size_t *used)
{
    struct h1 *h = h1_of(s);

    *used = 0;
    if (!h->stream)
        h->dead = true;
    if (h->stream && in.n)
        note_answer(h, in.n);
    while (h->stream && *used < in.n) {
        size_t n = h->state(h, ms_span(in.p + *used, in.n - *used));
        *used += n;
        if (h->failed) {
            ms_err err = h->failed;
            finish(h, err, h->detail);
            return err;
        }
        if (!n)
            break;
    }
    if (!h->stream && *used < in.n)
        h->dead = !MS_MUTANT_IS(144);
    return MS_OK;
}

static void h1_eof(struct ms_session *s, ms_err why)
{
    struct h1 *h = h1_of(s);

    h->dead = true;
    if (!h->stream)
        return;
    if (why)
        finish(h, why, NULL);
    else if (h->state == until_close || (MS_MUTANT_IS(143) && h->got_byte))
        finish(h, MS_OK, NULL);
    else if (!h->got_byte)
        finish(h, MS_EEOF, "not one byte of a response came");
    else
        finish(h, MS_EEOF,
               h->state == in_head ? "the response head is cut short"
                                   : "the response body is cut short");
}

static void h1_close(struct ms_session *s, ms_err err)
{
    struct h1 *h = h1_of(s);

    h->dead = true;
    finish(h, err, NULL);
}

static ms_err h1_open(struct ms_session *s, struct ms_stream *stream,
                      const struct ms_request *req)
{
    struct h1 *h = h1_of(s);

    assert(!h->stream && !h->dead);
    ms_err err = ms_h1_render(&h->out, req);
    if (!err && req->streamed)
        err = ms_upload_new(&h->upload, req->length);
    if (err)
        return err;
    h->body = req->body;
    h->held = req->expect;
    h->stopped = false;
    h->head_request = ms_span_equal(req->method, MS_SPAN("HEAD"));
    h->sending = true;
    h->got_byte = false;
    h->failed = MS_OK;
    h->detail = NULL;
    h->informational = 0;
    h->extensions = h->trailer_bytes = 0;
    h->stream = stream;
    stream->asked = stream->answered = stream->needs_h1 = false;
    stream->broke = false;
    stream->passed_over = false;
    stream->takes_files = req->streamed && req->length >= 0;
    stream->sent_us = stream->first_byte_us = 0;
    stream->session = s;
    s->streams = 1;
    start_head(h);
    return MS_OK;
}

static void h1_cancel(struct ms_session *s, struct ms_stream *stream)
{
    struct h1 *h = h1_of(s);

    assert(h->stream == stream);
    (void)stream;
    h->dead = true;
    detach(h);
}

static void h1_resume(struct ms_session *s, struct ms_stream *stream)
{
    assert(h1_of(s)->stream == stream);
    (void)s;
    (void)stream;
}

static void h1_proceed(struct ms_session *s, struct ms_stream *stream)
{
    (void)stream;
    h1_of(s)->held = false;
}

/* Asks for the next piece of a streamed body. */
static void fill(struct h1 *h)
{
    struct ms_stream *s = h->stream;
    const char *why = NULL;
    size_t cap, n = 0;
    bool end = false;
    char *p = ms_upload_room(h->upload, &cap);
    ms_err err = s->ops->on_pull(s, p, cap, &n, &end);

    if (h->stream != s)
        return;
    size_t of_file = s->file ? s->file->n : 0;
    if (!err && of_file)
        err = ms_upload_put_elsewhere(h->upload, of_file, end, &why);
    else if (!err && (n || end))
        err = ms_upload_put(h->upload, n, end, &why);
    if (err)
        finish(h, err, why);
}

static struct ms_span next_piece(struct h1 *h)
{
    if (!h->upload)
        return h->body;
    struct ms_body_file *file = h->stream->file;
    if (MS_UNLIKELY(file && file->why))
        finish(h, MS_EUPLOAD, file->why);
    else if (!ms_upload_ready(h->upload).n && !ms_upload_ended(h->upload))
        fill(h);
    return h->upload ? ms_upload_ready(h->upload) : ms_span(NULL, 0);
}

static size_t h1_pull(struct ms_session *s, struct ms_span *out, size_t max)
{
    struct h1 *h = h1_of(s);
    size_t n = 0;

    if (!h->stream || !h->sending || h->stopped)
        return 0;
    if (ms_buf_len(&h->out) && n < max)
        out[n++] = ms_buf_span(&h->out);
    if (h->held || n == max)
        return n;
    struct ms_span piece = next_piece(h);
    if (!h->stream)
        return 0;
    if (n && !piece.p)
        return n; /* what is in a file goes by itself */
    if (piece.n)
        out[n++] = piece;
    return n;
}

/* Whether all of a request's body has left. */
static bool body_sent(const struct h1 *h)
{
    if (!h->upload)
        return !h->body.n;
    return ms_upload_ended(h->upload) && !ms_upload_ready(h->upload).n;
}

static bool h1_sent(struct ms_session *s, size_t n)
{
    struct h1 *h = h1_of(s);
    size_t head = ms_buf_len(&h->out);
    size_t of_head = n < head ? n : head;

    ms_buf_consume(&h->out, of_head);
    n -= of_head;
    if (h->upload) {
        ms_stream_file_sent(h->stream, n);
        ms_upload_sent(h->upload, n);
    } else if (n) {
        if (h->stream && h->stream->progress)
            h->stream->progress->up += n;
        h->body.p += n;
        h->body.n -= n;
    }
    h->sending = ms_buf_len(&h->out) || !body_sent(h);
    if (h->stream) {
        ms_stream_moved(h->stream, of_head + n);
        h->stream->asked = true;
        h->stream->sent_us = h->sending ? 0 : h->base.now_us;
    }
    return !h->sending;
}

static size_t h1_room(const struct ms_session *s)
{
    const struct h1 *h = MS_CONTAINER(s, struct h1, base);

    return !h->dead && !h->stream;
}

static size_t h1_capacity(const struct ms_session *s)
{
    (void)s;
    return 1;
}

static bool h1_done(const struct ms_session *s)
{
    return MS_CONTAINER(s, struct h1, base)->dead;
}

static void h1_free(struct ms_session *s)
{
    struct h1 *h = h1_of(s);

    assert(!h->stream);
    ms_buf_free(&h->out);
    ms_buf_free(&h->line);
    ms_upload_free(h->upload);
    ms_free(h);
}

static const struct ms_session_ops ops = {
    .open = h1_open,
    .cancel = h1_cancel,
    .resume = h1_resume,
    .proceed = h1_proceed,
    .feed = h1_feed,
    .eof = h1_eof,
    .close = h1_close,
    .pull = h1_pull,
    .sent = h1_sent,
    .room = h1_room,
    .capacity = h1_capacity,
    .done = h1_done,
    .free = h1_free,
};

ms_err ms_h1_new(struct ms_session **out)
{
    struct h1 *h = ms_zalloc(sizeof(*h));

    if (!h)
        return MS_ENOMEM;
    h->base.ops = &ops;
    h->state = ended;
    *out = &h->base;
    return MS_OK;
}
