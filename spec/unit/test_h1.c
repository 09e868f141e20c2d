/* SPDX-License-Identifier: MIT
 *
 * h1: wire vectors with their whole event log, each run whole, byte by byte
 * and at every two-way split; the logs must be the same to the letter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/h1.h"
#include "unit.h"

#define LOG_BYTES 4096

struct vector {
    const char *method, *input, *log;
};

/* "H200/1" is a head with its status and number of fields, then body bytes,
 * then the end, trailers, and what room is left. */
static const struct vector vectors[] = {
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
     "H200/1;hello[MS_OK]room1"},
    {"GET", "HTTP/1.1 200\r\ncontent-length:\t5 \r\n\r\nhello",
     "H200/1;hello[MS_OK]room1"},
    {"GET",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"
     "hello",
     "H200/2;hello[MS_OK]room1"},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     "H200/1;[MS_OK]room1"},
    {"GET",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n"
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
     "5;x=1\r\nhello\r\n1\r\n!\r\n0\r\nT: v\r\n\r\n",
     "H100/0;H103/1;H200/1;hello![MS_OK]trailers1room1"},
    {"GET", "HTTP/1.0 200 OK\r\n\r\nuntil close",
     "H200/0;until close[MS_OK]room0"},
    {"GET",
     "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n"
     "Content-Length: 1\r\n\r\nx",
     "H200/2;x[MS_OK]room1"},
    {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
     "H200/1;x[MS_OK]room0"},
    {"GET",
     "HTTP/1.1 200 OK\r\nConnection: x, close\r\n"
     "Content-Length: 0\r\n\r\n",
     "H200/2;[MS_OK]room0"},
    {"GET", "HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\n",
     "H204/1;[MS_OK]room1"},
    {"GET", "HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n",
     "H304/1;[MS_OK]room1"},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
     "H200/1;[MS_OK]room1"},
    /* Bytes that belong to nobody. */
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloX",
     "H200/1;hello[MS_OK]room0"},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
     "H200/1;[MS_OK]room0"},
    /* Cut short. */
    {"GET", "", "[MS_EEOF]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nConte", "[MS_EEOF]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
     "H200/1;hell[MS_EEOF]room0"},
    {"GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello"
     "\r\n",
     "H200/1;hello[MS_EEOF]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
     "H200/1;[MS_EEOF]room0"},
    /* Framing that is read in two ways somewhere. */
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
     "[MS_EPROTO]room0"},
    {"GET",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
     "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
     "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
     "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\n",
     "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\n",
     "H200/1;[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
     "H200/1;[MS_EPROTO]room0"},
    {"GET",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
     "1000000000000000\r\n",
     "H200/1;[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\n",
     "H200/1;[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
     "H200/1;hello[MS_EPROTO]room0"},
    /* Syntax. */
    {"GET", "HTTP/1.1 200 OK\nA: b\n\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nA\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\n: b\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nX: \001\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 2000 OK\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 099 OK\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 600 OK\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/2.0 200 OK\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "ICY 200 OK\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "\r\nHTTP/1.1 200 OK\r\n\r\n", "[MS_EPROTO]room0"},
    {"GET", "HTTP/1.1 101 Switching\r\n\r\n", "[MS_EPROTO]room0"},
};

/* ---- one run ----------------------------------------------------------- */

static struct {
    char log[LOG_BYTES];
    struct ms_stream stream;
    struct ms_head head;
    struct ms_fields trailers;
    size_t take; /* body bytes taken a call; 0 pauses once before each */
    bool pausing, paused;
} t;

static void append(const char *p, size_t n)
{
    size_t at = strlen(t.log);

    CHECK(at + n < LOG_BYTES);
    memcpy(t.log + at, p, n);
    t.log[at + n] = '\0';
}

static ms_err on_head(struct ms_stream *s)
{
    char text[40];
    int n = snprintf(text, sizeof(text), "H%u/%u;", s->head->status,
                     s->head->fields.count);

    append(text, (size_t)n);
    return MS_OK;
}

static ms_err on_data(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken)
{
    (void)s;
    CHECK(n > 0);
    t.paused = t.pausing && !t.paused;
    *taken = t.paused ? n - 1 : n; /* stops in front of the last byte */
    append(p, *taken);
    return MS_OK;
}

static void on_end(struct ms_stream *s, ms_err err, const char *detail)
{
    CHECK(!s->session);
    (void)detail;
    append("[", 1);
    append(ms_err_name(err), strlen(ms_err_name(err)));
    append("]", 1);
    if (t.trailers.count)
        append("trailers1", 9);
}

static const struct ms_stream_ops ops = {
    .on_head = on_head, .on_data = on_data, .on_end = on_end};

static struct ms_session *open_session(const char *method, size_t max)
{
    struct ms_session *h;
    struct ms_request req = {.method = ms_span_text(method),
                             .target = MS_SPAN("/x"),
                             .authority = MS_SPAN("h:1"),
                             .fields = MS_SPAN("A: b\r\n")};
    struct ms_span out[4];

    CHECK(!ms_h1_new(&h));
    t.log[0] = '\0';
    ms_head_clear(&t.head);
    ms_fields_clear(&t.trailers);
    t.stream = (struct ms_stream){.ops = &ops,
                                  .head = &t.head,
                                  .trailers = &t.trailers,
                                  .max_head_bytes = max};
    CHECK(h->ops->room(h) == 1);
    CHECK(!h->ops->open(h, &t.stream, &req));
    CHECK(h->ops->pull(h, out, 4) == 1);
    CHECK(h->ops->sent(h, out[0].n));
    CHECK(h->ops->pull(h, out, 4) == 0);
    return h;
}

/* Feeds a copy of its own of every piece, so that a look beyond its end is
 * seen by the sanitizer. False when the session takes no more. */
static bool feed(struct ms_session *h, const char *p, size_t n)
{
    char *copy = ms_memdup(p, n);
    size_t at = 0, used = 0;
    ms_err err = MS_OK;

    CHECK(copy);
    while (!err && at < n) {
        err = h->ops->feed(h, ms_span(copy + at, n - at), &used);
        at += used;
        if (err || at == n || !t.stream.session)
            break;
        h->ops->resume(h, &t.stream);
    }
    ms_free(copy);
    return !err && t.stream.session;
}

/* `cut` 0: byte by byte. */
static const char *run(const struct vector *v, size_t cut, size_t max)
{
    struct ms_session *h = open_session(v->method, max);
    size_t n = strlen(v->input), at = 0;
    bool more = true;
    char room[16];

    t.paused = false;
    while (at < n) {
        size_t step = !cut ? 1 : at < cut ? cut - at : n - at;
        /* What comes after the end is fed too: it must spoil the session. */
        more = feed(h, v->input + at, step) && more;
        at += step;
        if (strstr(t.log, "[MS_E"))
            break;
    }
    if (t.stream.session)
        h->ops->eof(h, MS_OK);
    int k = snprintf(room, sizeof(room), "room%zu", h->ops->room(h));
    append(room, (size_t)k);
    h->ops->free(h);
    return t.log;
}

static void free_all(void)
{
    ms_head_free(&t.head);
    ms_fields_free(&t.trailers);
}

TEST(every_vector_gives_its_log_at_every_split)
{
    for (size_t i = 0; i < MS_COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        for (size_t cut = 0; cut <= strlen(v->input); cut++)
            CHECK_THAT(!strcmp(run(v, cut, SIZE_MAX / 2), v->log),
                       "%s\ncut at %zu: %s, not %s", v->input, cut, t.log,
                       v->log);
    }
    free_all();
}

TEST(a_stream_that_pauses_gets_the_same_bytes)
{
    t.pausing = true;
    for (size_t i = 0; i < MS_COUNT(vectors); i++)
        for (size_t cut = 0; cut <= strlen(vectors[i].input); cut++)
            CHECK_THAT(
                !strcmp(run(&vectors[i], cut, SIZE_MAX / 2), vectors[i].log),
                "%s\ncut at %zu: %s", vectors[i].input, cut, t.log);
    t.pausing = false;
    free_all();
}

TEST(the_limit_on_the_head_is_exact_at_every_split)
{
    const struct vector *v = &vectors[0];
    size_t head = strlen(v->input) - 5;

    for (size_t cut = 0; cut <= strlen(v->input); cut++) {
        CHECK(!strcmp(run(v, cut, head), v->log));
        CHECK_THAT(!strcmp(run(v, cut, head - 1), "[MS_EHEADERS]room0"),
                   "cut at %zu: %s", cut, t.log);
    }
    free_all();
}

/* "HTTP/1.1 200 " and a reason, or a field, of `n` bytes altogether. */
static const char *run_long_line(bool status, size_t n)
{
    static char text[MS_H1_MAX_LINE + 256];
    struct vector v = {"GET", text, ""};
    const char *before = status ? "HTTP/1.1 200 " : "HTTP/1.1 200 OK\r\nA: ";
    size_t fixed = status ? strlen(before) : 3;
    int at = snprintf(text, sizeof(text), "%s", before);

    memset(text + at, 'x', n - fixed);
    snprintf(text + at + n - fixed, 64, "\r\nContent-Length: 0\r\n\r\n");
    return run(&v, strlen(text), SIZE_MAX / 2);
}

TEST(the_limits_on_lines_are_exact)
{
    /* The limit counts the CR too. */
    CHECK(strstr(run_long_line(true, MS_H1_MAX_STATUS_LINE - 1), "MS_OK"));
    CHECK(strstr(run_long_line(true, MS_H1_MAX_STATUS_LINE), "MS_EHEADERS"));
    CHECK(strstr(run_long_line(false, MS_H1_MAX_LINE - 1), "MS_OK"));
    CHECK(strstr(run_long_line(false, MS_H1_MAX_LINE), "MS_EHEADERS"));
    free_all();
}

TEST(informational_responses_are_counted)
{
    static char text[(MS_H1_MAX_INFORMATIONAL + 2) * 32];

    for (int n = MS_H1_MAX_INFORMATIONAL; n <= MS_H1_MAX_INFORMATIONAL + 1;
         n++) {
        struct vector v = {"GET", text, ""};
        text[0] = '\0';
        for (int i = 0; i < n; i++)
            strcat(text, "HTTP/1.1 100 C\r\n\r\n");
        strcat(text, "HTTP/1.1 204 N\r\n\r\n");
        bool fine = strstr(run(&v, strlen(text), SIZE_MAX / 2), "MS_OK");
        CHECK(fine == (n <= MS_H1_MAX_INFORMATIONAL));
    }
    free_all();
}

TEST(a_request_is_rendered_and_its_body_lent)
{
    struct ms_session *h;
    struct ms_request req = {.method = MS_SPAN("POST"),
                             .target = MS_SPAN("/p?q"),
                             .authority = MS_SPAN("h"),
                             .fields = MS_SPAN("A: b\r\n"),
                             .body = MS_SPAN("body"),
                             .has_body = true};
    struct ms_span out[4];
    static const char head[] =
        "POST /p?q HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Length: 4\r\n\r\n";

    CHECK(!ms_h1_new(&h));
    t.stream = (struct ms_stream){.ops = &ops,
                                  .head = &t.head,
                                  .trailers = &t.trailers,
                                  .max_head_bytes = 1000};
    CHECK(!h->ops->open(h, &t.stream, &req));
    CHECK(h->ops->room(h) == 0);
    CHECK(h->ops->pull(h, out, 4) == 2);
    CHECK(ms_span_equal(out[0], ms_span_text(head)));
    CHECK(out[1].p == req.body.p && out[1].n == 4);
    CHECK(!h->ops->sent(h, out[0].n + 3));
    CHECK(h->ops->pull(h, out, 4) == 1 && out[0].n == 1);
    CHECK(h->ops->sent(h, 1));
    h->ops->cancel(h, &t.stream);
    CHECK(!t.stream.session && h->ops->room(h) == 0);
    h->ops->free(h);
    free_all();
}

TEST(an_answer_before_the_request_is_out_ends_the_session)
{
    struct ms_session *h;
    struct ms_request req = {.method = MS_SPAN("PUT"),
                             .target = MS_SPAN("/"),
                             .authority = MS_SPAN("h"),
                             .body = MS_SPAN("body"),
                             .has_body = true};
    size_t used;

    CHECK(!ms_h1_new(&h));
    t.log[0] = '\0';
    t.stream = (struct ms_stream){.ops = &ops,
                                  .head = &t.head,
                                  .trailers = &t.trailers,
                                  .max_head_bytes = 1000};
    CHECK(!h->ops->open(h, &t.stream, &req));
    CHECK(!h->ops->feed(
        h, MS_SPAN("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"), &used));
    CHECK(!strcmp(t.log, "H413/1;[MS_OK]"));
    CHECK(h->ops->room(h) == 0);
    h->ops->free(h);
    free_all();
}

TEST(bytes_on_an_idle_session_spoil_it)
{
    struct ms_session *h;
    size_t used;

    CHECK(!ms_h1_new(&h));
    CHECK(!h->ops->feed(h, MS_SPAN("HTTP/1.1 408 Late\r\n\r\n"), &used));
    CHECK(used == 0 && h->ops->room(h) == 0);
    h->ops->free(h);
}

TEST(requests_that_would_smuggle_are_refused)
{
    static const char *const targets[] = {"/a b", "/a\r\nX: y", "", "/\x7f"};
    struct ms_session *h;

    CHECK(!ms_h1_new(&h));
    for (size_t i = 0; i < MS_COUNT(targets); i++) {
        struct ms_request req = {.method = MS_SPAN("GET"),
                                 .target = ms_span_text(targets[i]),
                                 .authority = MS_SPAN("h")};
        CHECK(h->ops->open(h, &t.stream, &req) == MS_EHEADER);
        CHECK(h->ops->room(h) == 1);
    }
    struct ms_request tunnel = {
        .method = MS_SPAN("CONNECT"),
        .target = MS_SPAN("/"),
        .authority = MS_SPAN("h"),
    };
    CHECK(h->ops->open(h, &t.stream, &tunnel) == MS_EOPTION);
    CHECK(h->ops->room(h) == 1);
    h->ops->free(h);
}

TEST(any_allocation_may_fail)
{
    for (long nth = 1; nth < 60; nth++) {
        const struct vector *v = &vectors[4];
        struct ms_session *h = open_session(v->method, 4096);
        size_t used;
        ms_mem_fail(nth, 1);
        ms_err err = h->ops->feed(h, ms_span_text(v->input), &used);
        ms_mem_fail(0, 0);
        CHECK(err == MS_OK || err == MS_ENOMEM);
        CHECK(!t.stream.session);
        CHECK_THAT(strstr(t.log, err ? "[MS_ENOMEM]" : "[MS_OK]"), "%s", t.log);
        h->ops->free(h);
        free_all();
    }
}

/* A head of a mebibyte, a byte at a time: were a byte looked at again for each
 * that follows, this would take an hour. */
TEST(a_large_head_in_single_bytes_is_read_once)
{
    enum { BYTES = 1 << 20 };
    struct ms_session *h = open_session("GET", 2 * BYTES);
    static const char start[] = "HTTP/1.1 200 OK\r\n",
                      line[] = "X: ", end[] = "\r\n";
    size_t used, n = 0;

    for (const char *p = start; *p; p++, n++)
        CHECK(!h->ops->feed(h, ms_span(p, 1), &used) && used == 1);
    while (n < BYTES) {
        for (const char *p = line; *p; p++, n++)
            CHECK(!h->ops->feed(h, ms_span(p, 1), &used) && used == 1);
        for (int i = 0; i < 1000; i++, n++)
            CHECK(!h->ops->feed(h, MS_SPAN("y"), &used) && used == 1);
        for (const char *p = end; *p; p++, n++)
            CHECK(!h->ops->feed(h, ms_span(p, 1), &used) && used == 1);
    }
    CHECK(!h->ops->feed(h, MS_SPAN("Content-Length: 0\r\n\r\n"), &used));
    CHECK(strstr(t.log, "[MS_OK]"));
    h->ops->free(h);
}
