/* SPDX-License-Identifier: MIT */
#include "engine/response.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "proto/decode.h"
#include "proto/h2_field.h"

/* What any int64_t takes, with its NUL. */
#define LENGTH_BYTES 24

struct ms_response *ms_response_new(void)
{
    return ms_zalloc(sizeof(struct ms_response));
}

static void free_trip(struct ms_response *r)
{
    if (MS_LIKELY(!r->trip))
        return;
    ms_fields_free(&r->trip->sent);
    ms_fields_free(&r->trip->hops);
    ms_free(r->trip);
    r->trip = NULL;
}

void ms_response_clear(struct ms_response *r)
{
    free_trip(r);
    ms_head_clear(&r->head);
    ms_fields_clear(&r->trailers);
    ms_buf_clear(&r->body);
    r->url = ms_span(NULL, 0);
    ms_options_free(r->options);
    r->options = NULL;
    r->authority = ms_span(NULL, 0);
    memset(r->timing_us, 0, sizeof(r->timing_us));
    r->remote.any.sa_family = 0;
    r->reused = r->delivered = r->streamed = r->expecting = false;
    r->decoded = false;
    ms_tls_info_free(r->tls);
    r->tls = NULL;
}

void ms_response_free(struct ms_response *r)
{
    if (!r)
        return;
    ms_head_free(&r->head);
    ms_fields_free(&r->trailers);
    ms_buf_free(&r->body);
    free_trip(r);
    if (r->owns_url)
        ms_free((char *)r->url.p);
    ms_free(r->upload_length);
    ms_options_free(r->options);
    ms_tls_info_free(r->tls);
    ms_free(r);
}

int ms_response_status(const struct ms_response *r)
{
    return r->head.status;
}

bool ms_response_informational(const struct ms_response *r)
{
    return r->head.status >= 100 && r->head.status < 200;
}

const char *ms_response_version(const struct ms_response *r)
{
    static const char *const names[] = {"", "1.0", "1.1", "2"};

    return names[r->head.version];
}

static const char *lend(struct ms_span s, size_t *n)
{
    *n = s.n;
    return s.n ? s.p : "";
}

const char *ms_response_reason(const struct ms_response *r, size_t *n)
{
    struct ms_span text = ms_buf_span(&r->head.fields.text);

    if (!r->head.reason_len)
        return lend(ms_span(NULL, 0), n);
    return lend(ms_span(text.p + r->head.reason, r->head.reason_len), n);
}

const char *ms_response_url(const struct ms_response *r, size_t *n)
{
    return lend(r->url, n);
}

/* What the options say of the request; NULL when there was none. */
static const struct ms_asked *asked_of(const struct ms_response *r)
{
    if (r->whole)
        return r->asked;
    return r->options ? &r->options->asked : NULL;
}

const char *ms_response_method(const struct ms_response *r, size_t *n)
{
    if (r->trip)
        return lend(r->trip->method, n);
    return lend(asked_of(r) ? asked_of(r)->method : MS_SPAN(""), n);
}

static bool field_at(const struct ms_fields *f, size_t index,
                     struct ms_field *out)
{
    if (index >= f->count)
        return false;
    struct ms_span name = ms_fields_name(f, index);
    struct ms_span value = ms_fields_value(f, index);
    *out = (struct ms_field){name.p, value.p, name.n, value.n};
    return true;
}

bool ms_response_header(const struct ms_response *r, size_t index,
                        struct ms_field *field)
{
    return field_at(&r->head.fields, index, field);
}

bool ms_response_trailer(const struct ms_response *r, size_t index,
                         struct ms_field *field)
{
    return field_at(&r->trailers, index, field);
}

size_t ms_response_find(const struct ms_response *r, const char *name, size_t n,
                        size_t from)
{
    return ms_fields_find(&r->head.fields, ms_span(name, n), from);
}

const char *ms_response_body(const struct ms_response *r, size_t *n)
{
    *n = ms_buf_len(&r->body);
    return *n ? r->body.p + r->body.from : NULL;
}

const char *ms_response_decoded(const struct ms_response *r, size_t index,
                                size_t *n)
{
    struct ms_span name = {0};
    bool has = r->decoded && ms_decode_name(&r->head.fields, index, &name);

    *n = name.n;
    return has ? name.p : NULL;
}

bool ms_response_collected(const struct ms_response *r)
{
    return !r->delivered;
}

/* ---- copies ------------------------------------------------------------ */

/* Moves the URL to `at`, and the authority with it unless that is the option
 * set's. */
static void move_url(struct ms_response *r, char *at)
{
    if (!r->url.n)
        return;
    memcpy(at, r->url.p, r->url.n);
    if (r->authority.p && r->authority.p != asked_of(r)->host.p)
        r->authority.p = at + (r->authority.p - r->url.p);
    r->url.p = at;
}

ms_err ms_response_own(struct ms_response *r)
{
    if (!r->url.n)
        return MS_OK;
    char *p = ms_alloc(r->url.n);
    if (!p)
        return MS_ENOMEM;
    move_url(r, p);
    r->owns_url = true;
    return MS_OK;
}

static size_t bytes_of(const struct ms_fields *f)
{
    return f->count * sizeof(*f->refs) + f->text.to;
}

static MS_RARE size_t trip_bytes(const struct ms_trip *t)
{
    return sizeof(*t) + bytes_of(&t->sent) + bytes_of(&t->hops);
}

static size_t asked_bytes(const struct ms_response *r)
{
    const struct ms_asked *asked = asked_of(r);

    if (!asked)
        return 0;
    return sizeof(*asked) + bytes_of(&asked->sent) + asked->method.n +
           asked->host.n;
}

size_t ms_response_copy_bytes(const struct ms_response *r, unsigned what)
{
    return sizeof(*r) + bytes_of(&r->head.fields) + bytes_of(&r->trailers) +
           r->url.n + (r->streamed ? LENGTH_BYTES : 0) +
           (MS_UNLIKELY(r->trip != NULL) ? trip_bytes(r->trip) : 0) +
           (what & MS_COPY_REQUEST ? asked_bytes(r) : 0) +
           (what & MS_COPY_BODY ? ms_buf_len(&r->body) : 0);
}

/* These move what `*to` points at behind `at` and return where that ends. */

static char *place_text(struct ms_buf *to, char *at)
{
    size_t n = ms_buf_len(to);

    if (n)
        memcpy(at, to->p + to->from, n);
    *to = (struct ms_buf){n ? at : NULL, 0, n, n};
    return at + n;
}

static char *place_length(struct ms_response *to, char *at)
{
    if (!to->streamed) {
        to->upload_length = NULL;
        return at;
    }
    memcpy(at, to->upload_length, LENGTH_BYTES);
    to->upload_length = at;
    return at + LENGTH_BYTES;
}

static char *place_refs(struct ms_fields *to, char *at)
{
    size_t n = to->count * sizeof(*to->refs);

    if (n)
        memcpy(at, to->refs, n);
    to->refs = (struct ms_field_ref *)(void *)at;
    to->cap = to->count;
    return at + n;
}

/* First of all, for its alignment. */
static char *place_trip(struct ms_response *to, char *at)
{
    struct ms_trip *trip = (struct ms_trip *)(void *)at;

    if (MS_LIKELY(!to->trip))
        return at;
    *trip = *to->trip;
    to->trip = trip;
    at = place_refs(&trip->sent, at + sizeof(*trip));
    return place_refs(&trip->hops, at);
}

static char *place_trip_text(struct ms_response *to, char *at)
{
    if (MS_LIKELY(!to->trip))
        return at;
    at = place_text(&to->trip->sent.text, at);
    return place_text(&to->trip->hops.text, at);
}

/* Behind a trip, which keeps the alignment. */
static char *place_asked(struct ms_response *to, char *at)
{
    struct ms_asked *asked = (struct ms_asked *)(void *)at;

    if (!asked_of(to))
        return at;
    *asked = *asked_of(to);
    to->asked = asked;
    to->whole = true;
    return place_refs(&asked->sent, at + sizeof(*asked));
}

static char *place_span(struct ms_span *to, char *at)
{
    if (to->n)
        memcpy(at, to->p, to->n);
    if (to->p)
        to->p = at;
    return at + to->n;
}

/* What refers to the texts goes along. */
static char *place_asked_text(struct ms_response *to, char *at)
{
    struct ms_asked *asked = to->asked;

    if (!to->whole)
        return at;
    struct ms_span method = asked->method, host = asked->host;
    at = place_text(&asked->sent.text, at);
    at = place_span(&asked->method, at);
    at = place_span(&asked->host, at);
    if (to->trip && to->trip->method.p == method.p)
        to->trip->method = asked->method;
    if (to->authority.p == host.p)
        to->authority = asked->host;
    return at;
}

struct ms_response *ms_response_copy(const struct ms_response *r, void *memory,
                                     unsigned what)
{
    struct ms_response *to = memory;
    char *at = (char *)(to + 1);

    *to = *r;
    at = place_trip(to, at);
    if (what & MS_COPY_REQUEST)
        at = place_asked(to, at);
    at = place_refs(&to->head.fields, at);
    at = place_refs(&to->trailers, at);
    at = place_text(&to->head.fields.text, at);
    at = place_text(&to->trailers.text, at);
    at = place_trip_text(to, at);
    if (what & MS_COPY_REQUEST)
        at = place_asked_text(to, at);
    move_url(to, at);
    at = place_length(to, at + to->url.n);
    if (!(what & MS_COPY_BODY))
        to->body = (struct ms_buf){0};
    place_text(&to->body, at);
    return to;
}

static struct ms_field text_field(const char *name, const char *value)
{
    return (struct ms_field){name, value, strlen(name), strlen(value)};
}

ms_err ms_response_set_upload(struct ms_response *r, int64_t length)
{
    if (!r->upload_length &&
        !(r->upload_length = ms_realloc(NULL, LENGTH_BYTES)))
        return MS_ENOMEM;
    *r->upload_length = '\0';
    if (length >= 0)
        snprintf(r->upload_length, LENGTH_BYTES, "%" PRId64, length);
    r->streamed = true;
    return MS_OK;
}

/* How the end of the request was told; false when it was not, for there was no
 * body or HTTP/2 tells by itself (RFC 9113, 8.1). */
static bool framing_of(const struct ms_response *r, struct ms_field *field)
{
    if (r->trip && r->trip->bodyless)
        return false;
    if (!r->streamed && !asked_of(r)->has_body)
        return false;
    if (!r->streamed)
        *field = text_field("Content-Length", asked_of(r)->length_text);
    else if (*r->upload_length)
        *field = text_field("Content-Length", r->upload_length);
    else if (r->head.version != MS_HTTP_2)
        *field = text_field("Transfer-Encoding", "chunked");
    else
        return false;
    return true;
}

/* HTTP/2 leaves out what concerns a connection. */
static bool fits_h2(const struct ms_field *f)
{
    return ms_h2_request_field(ms_span(f->name, f->name_len),
                               ms_span(f->value, f->value_len)) != MS_H2_DROP;
}

/* The field that was sent as number `*index`, which is counted down by those
 * that were sent when there is none. */
static bool sent_at(const struct ms_response *r, size_t *index,
                    struct ms_field *field)
{
    const struct ms_fields *sent =
        r->trip ? &r->trip->sent : &asked_of(r)->sent;

    if (r->head.version != MS_HTTP_2) {
        if (field_at(sent, *index, field))
            return true;
        *index -= sent->count;
        return false;
    }
    for (size_t i = 0; field_at(sent, i, field); i++)
        if (fits_h2(field) && (*index)-- == 0)
            return true;
    return false;
}

/* In the order of the wire: Host, the set's fields, the framing, Expect. */
bool ms_response_request_header(const struct ms_response *r, size_t index,
                                struct ms_field *field)
{
    if (!asked_of(r))
        return false;
    if (index == 0) {
        *field = (struct ms_field){"Host", r->authority.p, 4, r->authority.n};
        return true;
    }
    size_t left = index - 1;
    if (sent_at(r, &left, field))
        return true;
    if (framing_of(r, field) && left-- == 0)
        return true;
    *field = text_field("Expect", "100-continue");
    return r->expecting && left == 0;
}

/* ---- trips ------------------------------------------------------------- */

/* Digits of a status, before the location. */
#define STATUS_DIGITS 3

ms_err ms_response_start_trip(struct ms_response *r)
{
    if (r->trip)
        return MS_OK;
    if (!(r->trip = ms_zalloc(sizeof(*r->trip))))
        return MS_ENOMEM;
    r->trip->method = r->options->asked.method;
    return MS_OK;
}

ms_err ms_trip_add(struct ms_trip *t, unsigned status, struct ms_span url,
                   struct ms_span location)
{
    struct ms_buf value = {0};
    ms_err err = ms_buf_reserve(&value, STATUS_DIGITS + 1 + location.n);

    assert(status >= 100 && status <= 999);
    if (err)
        return err;
    value.to = (size_t)snprintf(value.p, STATUS_DIGITS + 1, "%u", status);
    ms_buf_put(&value, location);
    err = ms_fields_add(&t->hops, url, ms_buf_span(&value));
    ms_buf_free(&value);
    return err;
}

bool ms_response_redirect(const struct ms_response *r, size_t index,
                          struct ms_redirect *out)
{
    struct ms_field f;

    if (!r->trip || !field_at(&r->trip->hops, index, &f))
        return false;
    *out = (struct ms_redirect){
        .status = (f.value[0] - '0') * 100 + (f.value[1] - '0') * 10 +
                  (f.value[2] - '0'),
        .url = f.name,
        .url_len = f.name_len,
        .location = f.value + STATUS_DIGITS,
        .location_len = f.value_len - STATUS_DIGITS,
    };
    return true;
}

struct ms_tls_info *ms_response_tls(const struct ms_response *r)
{
    return r->tls;
}

unsigned ms_response_attempts(const struct ms_response *r)
{
    return r->attempts;
}

bool ms_response_reused(const struct ms_response *r)
{
    return r->reused;
}

const char *ms_response_remote(const struct ms_response *r, char *buf,
                               size_t cap)
{
    char text[MS_ADDR_TEXT] = "";

    if (r->remote.any.sa_family)
        ms_addr_text(&r->remote, text);
    snprintf(buf, cap, "%s", text);
    return buf;
}

int64_t ms_response_timing(const struct ms_response *r, enum ms_timing which)
{
    size_t i = (size_t)which;

    if (which == MS_TIMING_REDIRECT)
        return r->trip ? r->trip->redirect_us : 0;
    return i < MS_COUNT(r->timing_us) ? r->timing_us[i] : 0;
}
