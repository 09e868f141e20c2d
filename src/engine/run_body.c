/* SPDX-License-Identifier: MIT
 *
 * run_body.c - the bodies of a run: the response's on its way to the
 * application, decoded, held to its limits and to a speed; the request's where
 * it is produced while it is sent.
 */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "engine/run_parts.h"
#include "net/send_file.h"

/* A declared length is believed this far when room for the body is made. */
#define MAX_BODY_RESERVE (4 * 1024 * 1024)

/* What a coded body may unpack to before its ratio is looked at, where no limit
 * was set. Collected it is memory, and this much nobody misses; streamed it is
 * as much as others may collect. */
#define TRUSTED_COLLECTED (UINT64_C(8) << 20)
#define TRUSTED_STREAMED  (UINT64_C(1) << 30)

/* Sent from a file at a time, where the connection does that: what it may write
 * in one turn. */
#define FILE_PIECE (256 * 1024)

ms_err ms_run_verdict(const struct ms_easy *e, unsigned run,
                      enum ms_verdict verdict)
{
    if (e->run != run || e->state != MS_RUN_ACTIVE)
        return MS_ECANCELLED;
    return verdict == MS_ABORT && !MS_MUTANT_IS(137) ? MS_ECALLBACK : MS_OK;
}

/* ---- what is received -------------------------------------------------- */

void ms_run_drop_body(struct ms_easy *e)
{
    if (MS_LIKELY(!e->decoding))
        return;
    if (!MS_MUTANT_IS(319))
        ms_decoding_free(e->decoding);
    e->decoding = NULL;
}

static void make_room(struct ms_easy *e)
{
    int64_t n = e->response->head.length;

    if (e->on_data || n <= 0 || n > MAX_BODY_RESERVE)
        return;
    /* Without this room the body grows as it comes. */
    (void)!ms_buf_reserve(&e->response->body, (size_t)n);
}

/* Whether what comes is a whole body in the codings that its head names. A
 * part of one (206) begins and ends anywhere, and is left as it is. */
static bool is_decodable(const struct ms_easy *e)
{
    const struct ms_head *h = &e->response->head;
    size_t n;
    const char *method = ms_response_method(e->response, &n);

    if (MS_MUTANT_IS(320))
        return true;
    return ms_run_options(e)->decompress && h->length != 0 &&
           h->status != 204 && h->status != 304 &&
           (h->status != 206 || MS_MUTANT_IS(302)) &&
           !ms_span_equal(ms_span(method, n), MS_SPAN("HEAD"));
}

/* How much a body may unpack to whatever its size. */
static uint64_t trusted_bytes(const struct ms_easy *e)
{
    if (ms_run_options(e)->max_body_set)
        return UINT64_MAX;
    return e->on_data ? TRUSTED_STREAMED : TRUSTED_COLLECTED;
}

/* It rested on our account: no time passed. */
static void decode_on(void *user)
{
    struct ms_easy *e = user;

    if (ms_run_watched(e)) {
        ms_run_measure(e);
        ms_run_arm(e);
    }
    ms_run_hold(e);
}

static ms_err start_decoding(struct ms_easy *e)
{
    const struct ms_decoding_owner owner = {ms_run_loop(e), decode_on, e};

    if (!is_decodable(e))
        return MS_OK;
    ms_err err = ms_decoding_new(&e->decoding, &e->response->head.fields,
                                 trusted_bytes(e), &owner);
    if (err == MS_EDECODE)
        e->detail = ms_decoding_failure(NULL);
    e->response->decoded = e->decoding != NULL;
    return err;
}

/* A final head that is coded, or has to go with a range. */
static MS_RARE ms_err look_at_head(struct ms_easy *e)
{
    ms_err err = ms_range_check(&ms_run_options(e)->part, &e->response->head,
                                &e->detail);

    return err || !e->response->head.coded ? err : start_decoding(e);
}

ms_err ms_run_begin_body(struct ms_easy *e)
{
    if (MS_UNLIKELY(e->response->head.coded || ms_run_options(e)->part.set)) {
        ms_err err = look_at_head(e);
        if (err)
            return err;
    }
    make_room(e);
    return MS_OK;
}

static ms_err collect(struct ms_easy *e, const char *p, size_t n)
{
    int64_t limit = ms_run_options(e)->max_body;

    if (limit >= 0 && n > (uint64_t)limit - ms_buf_len(&e->response->body) &&
        !MS_MUTANT_IS(317))
        return MS_ETOOLARGE;
    return ms_buf_add(&e->response->body, p, n);
}

/* With on_data there is a limit only where one was set. */
static bool is_too_much(const struct ms_easy *e, size_t n)
{
    int64_t limit = ms_run_options(e)->max_body;

    return limit >= 0 && n > (uint64_t)limit - e->watch->body_bytes;
}

/* Hands on body bytes as the application gets them. */
static ms_err deliver(void *user, const char *p, size_t n, size_t *taken)
{
    struct ms_easy *e = user;
    struct ms_loop *l = ms_run_loop(e);
    unsigned run = e->run;

    *taken = 0;
    if (e->pause & MS_PAUSE_RECV)
        return MS_OK;
    if (!e->on_data) {
        *taken = n;
        return collect(e, p, n);
    }
    if (ms_run_options(e)->max_body_set && is_too_much(e, n) &&
        !MS_MUTANT_IS(318))
        return MS_ETOOLARGE;
    enum ms_verdict v = e->on_data(e, p, n, e->data_user);
    ms_loop_touch(l);
    ms_err err = ms_run_verdict(e, run, v);
    if (err)
        return err;
    if (v == MS_PAUSE) {
        ms_easy_pause(e, e->pause | MS_PAUSE_RECV);
        return MS_OK;
    }
    *taken = n;
    if (e->watch)
        e->watch->body_bytes += n;
    return MS_OK;
}

/* A callback may end this run, and start another: until it is back, what it
 * reads is held here. */
static MS_RARE ms_err decode(struct ms_easy *e, struct ms_span in,
                             size_t *taken)
{
    struct ms_decoding *d = e->decoding;
    unsigned run = e->run;

    if (!MS_MUTANT_IS(303))
        e->decoding = NULL;
    ms_err err = ms_decoding_feed(d, in, taken, deliver, e);
    if (e->run != run || e->state != MS_RUN_ACTIVE) {
        if (!MS_MUTANT_IS(322))
            ms_decoding_free(d);
        return MS_ECANCELLED;
    }
    if (err == MS_EDECODE || err == MS_ETOOLARGE)
        e->detail = ms_decoding_failure(d);
    e->decoding = d;
    if (!err && ms_decoding_rests(d))
        ms_run_hold(e);
    return err;
}

static inline ms_err take_data(struct ms_easy *e, const char *p, size_t n,
                               size_t *taken)
{
    if (MS_LIKELY(!e->decoding))
        return deliver(e, p, n, taken);
    return e->pause & MS_PAUSE_RECV ? MS_OK : decode(e, ms_span(p, n), taken);
}

/* As much as the speed allows; the time may pass meanwhile. */
static MS_RARE ms_err take_slowly(struct ms_easy *e, const char *p, size_t n,
                                  size_t *taken)
{
    size_t may, took;

    while (*taken < n && (may = ms_run_may_recv(e, n - *taken))) {
        took = 0;
        ms_err err = take_data(e, p + *taken, may, &took);
        if (err)
            return err;
        ms_run_did_recv(e, took);
        *taken += took;
        if (took < may)
            break;
    }
    return MS_OK;
}

ms_err ms_run_take(struct ms_easy *e, const char *p, size_t n, size_t *taken)
{
    return MS_UNLIKELY(ms_run_options(e)->paced) ? take_slowly(e, p, n, taken)
                                                 : take_data(e, p, n, taken);
}

/* ---- what is sent ------------------------------------------------------ */

/* A body that the options have, in pieces: only so it can be held to a speed.
 */
static void pull_lent(struct ms_easy *e, char *p, size_t cap, size_t *n,
                      bool *end)
{
    struct ms_span body = ms_options_body(ms_run_options(e));
    size_t at = e->watch->sent_bytes, left = body.n - at;

    *n = left < cap ? left : cap;
    memcpy(p, body.p + at, *n);
    e->watch->sent_bytes += *n;
    *end = *n == left;
}

static ms_err ask_source(struct ms_easy *e, char *p, size_t cap, size_t *n,
                         bool *end)
{
    struct ms_loop *l = ms_run_loop(e);
    unsigned run = e->run;

    e->source->asked = true;
    enum ms_verdict v = e->source->of.cb(e, p, cap, n, end, e->source->of.user);
    ms_loop_touch(l);
    ms_err err = ms_run_verdict(e, run, v);
    if (err)
        return err;
    assert(*n <= cap);
    if (v == MS_PAUSE)
        ms_easy_pause(e, e->pause | MS_PAUSE_SEND);
    return MS_OK;
}

/* So many bytes of the source are with the session. */
static void took_from_source(struct ms_easy *e, size_t n)
{
    if (e->tells)
        e->watch->pulled += n;
    if (ms_run_options(e)->paced)
        ms_run_did_send(e, n);
}

/* The next of those that lie in a file: left there where the connection can
 * send them from there and they are worth a call of their own. */
static ms_err pull_from_file(struct ms_easy *e, char *p, size_t cap, size_t *n,
                             bool *end)
{
    struct ms_source *s = e->source;
    bool direct = e->stream.takes_files;
    size_t most = direct ? FILE_PIECE : cap;
    size_t k = s->left < (int64_t)most ? (size_t)s->left : most;

    if (ms_run_options(e)->paced && !(k = ms_run_may_send(e, k)))
        return MS_OK;
    if (direct && k > cap) {
        s->lent = (struct ms_body_file){.fd = s->fd, .at = s->at, .n = k};
    } else {
        k = k < cap ? k : cap;
        *n = k = ms_file_read_at(s->fd, s->at, p, k, &e->detail);
        if (!k)
            return MS_EUPLOAD;
    }
    s->at += (int64_t)k;
    s->left -= (int64_t)k;
    *end = s->last && !s->left;
    took_from_source(e, k);
    return MS_OK;
}

static ms_err pull_from_source(struct ms_easy *e, char *p, size_t cap,
                               size_t *n, bool *end)
{
    struct ms_source *s = e->source;

    if (!s->left) {
        ms_err err = ask_source(e, p, cap, n, end);
        if (!err && !s->left)
            took_from_source(e, *n);
        if (err || !s->left)
            return err;
        assert(!*n && "a piece is in memory or in a file");
        s->last = *end;
        *end = false;
    }
    return e->pause & MS_PAUSE_SEND ? MS_OK : pull_from_file(e, p, cap, n, end);
}

ms_err ms_run_pull(struct ms_easy *e, char *p, size_t cap, size_t *n, bool *end)
{
    bool paced = ms_run_options(e)->paced;

    if (paced && !(cap = ms_run_may_send(e, cap)))
        return MS_OK;
    if (e->source && e->source->of.cb)
        return pull_from_source(e, p, cap, n, end);
    pull_lent(e, p, cap, n, end);
    if (paced)
        ms_run_did_send(e, *n);
    return MS_OK;
}
