/* SPDX-License-Identifier: MIT
 *
 * h2 against nghttp2's own server session in the same process: requests as
 * they arrive, windows, uploads, and every allocation failing in turn.
 */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
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

/* A streamed upload of `n` bytes that says it has `length`. */
static void open_upload(size_t n, int64_t length, bool expect)
{
    struct side *s = &sides[0];
    struct ms_request req = {.method = MS_SPAN("PUT"),
                             .target = MS_SPAN("/"),
                             .authority = MS_SPAN("h"),
                             .list = &fields,
                             .streamed = true,
                             .expect = expect,
                             .length = length};

    *s = (struct side){.upload = n, .head = s->head, .trailers = s->trailers};
    s->stream = (struct ms_stream){.ops = &ops,
                                   .head = &s->head,
                                   .trailers = &s->trailers,
                                   .max_head_bytes = 4096};
    CHECK(!h->ops->open(h, &s->stream, &req));
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

/* Bytes go to the peer and what it has comes back; true when any did. */
static bool step(ms_err *err)
{
    struct ms_span run;
    bool moved = false;

    while (h->ops->pull(h, &run, 1)) {
        moved = true;
        CHECK(nghttp2_session_mem_recv(peer.ng, (const uint8_t *)run.p,
                                       run.n) == (ssize_t)run.n);
        h->ops->sent(h, run.n);
    }
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

static void field(const char *name, const char *value)
{
    CHECK(!ms_fields_add(&fields, ms_span_text(name), ms_span_text(value)));
}

/* ---- requests ------------------------------------------------------------ */

TEST(a_request_arrives_as_http2_wants_it)
{
    begin(100, false);
    field("User-Agent", "x");
    field("Connection", "close");
    field("Keep-Alive", "1");
    field("Proxy-Connection", "y");
    field("Upgrade", "z");
    field("TE", "gzip");
    field("te", "trailers");
    field("Cookie", "a=b; c=d;e=f; ");
    field("priority", "u=1, i");
    CHECK(!open_side(0, "POST", MS_SPAN("body")));
    CHECK(!talk());
    CHECK_THAT(!strcmp(peer.heads,
                       ":method: POST|:scheme: https|:authority: host:1|"
                       ":path: /p?q|user-agent: x|te: trailers|cookie: a=b|"
                       "cookie: c=d|cookie: e=f|priority: u=1, i|"
                       "content-length: 4|"),
               "%s", peer.heads);
    CHECK(peer.got[1] == 4 && sides[0].ended && !sides[0].err);
    CHECK(sides[0].stream.asked && sides[0].stream.answered);
    end();
}

TEST(a_request_with_very_many_fields)
{
    char name[16];

    begin(100, false);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "x-%d", i);
        field(name, "v");
    }
    CHECK(!open_side(0, "GET", no_body));
    CHECK(!talk());
    CHECK(strstr(peer.heads, "x-99: v|") && sides[0].ended);
    end();
}

TEST(requests_that_would_smuggle_are_refused)
{
    struct ms_request req = {.method = MS_SPAN("GET"),
                             .target = MS_SPAN("/a b"),
                             .authority = MS_SPAN("h"),
                             .list = &fields};
    struct side *s = &sides[0];

    begin(100, false);
    s->stream = (struct ms_stream){.ops = &ops, .head = &s->head};
    CHECK(h->ops->open(h, &s->stream, &req) == MS_EHEADER);
    req.target = MS_SPAN("/");
    req.authority = MS_SPAN("h\r\nx");
    CHECK(h->ops->open(h, &s->stream, &req) == MS_EHEADER);
    req.authority = MS_SPAN("h");
    req.method = MS_SPAN("CONNECT");
    CHECK(h->ops->open(h, &s->stream, &req) == MS_EOPTION);
    CHECK(h->ops->room(h) == STREAMS && !s->stream.session);
    end();
}

TEST(the_peers_limit_on_streams_is_kept_as_it_changes)
{
    nghttp2_settings_entry more[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 5}};

    begin(2, false);
    CHECK(h->ops->room(h) == 2);
    CHECK(!open_side(0, "GET", no_body) && !open_side(1, "GET", no_body));
    CHECK(h->ops->room(h) == 0);
    nghttp2_submit_settings(peer.ng, 0, more, 1);
    CHECK(!talk());
    CHECK(sides[0].ended && sides[1].ended && h->ops->room(h) == 5);
    more[0].value = 1000;
    nghttp2_submit_settings(peer.ng, 0, more, 1);
    CHECK(!talk() && h->ops->room(h) == STREAMS);
    end();
}

TEST(a_request_too_large_to_send_fails_alone)
{
    char *value = ms_zalloc(1024 * 1024 + 1);

    CHECK(value);
    memset(value, 'x', 1024 * 1024);
    begin(100, false);
    CHECK(!open_side(1, "GET", no_body));
    field("x", value);
    ms_free(value);
    CHECK(!open_side(0, "GET", no_body));
    CHECK(!talk() && sides[0].err == MS_EHEADER && !sides[0].stream.asked);
    CHECK(sides[1].ended && !sides[1].err && h->ops->room(h) == STREAMS);
    end();
}

/* ---- what repeats -------------------------------------------------------- */

static bool asks_for(const char *field_lines)
{
    const char *path = ":path: /p?q|";
    bool same;

    *peer.heads = '\0';
    CHECK(!open_side(0, "GET", no_body) && !talk() && sides[0].ended);
    same = !strcmp(strstr(peer.heads, path) + strlen(path), field_lines);
    CHECK_THAT(same, "%s", peer.heads);
    return same;
}

TEST(each_request_has_its_own_fields)
{
    begin(100, false);
    CHECK(asks_for(""));
    field("User-Agent", "x");
    CHECK(asks_for("user-agent: x|") && asks_for("user-agent: x|"));
    ms_fields_clear(&fields);
    field("User-Agen", "tx"); /* the same bytes */
    CHECK(asks_for("user-agen: tx|"));
    field("Cookie", "a=b; c=d");
    CHECK(asks_for("user-agen: tx|cookie: a=b|cookie: c=d|"));
    ms_fields_clear(&fields);
    field("User-Agent", "y");
    CHECK(asks_for("user-agent: y|"));
    ms_fields_clear(&fields);
    CHECK(asks_for(""));
    end();
}

/* Many wait to be sent while the fields change, and one of them is cancelled
 * meanwhile. */
TEST(requests_that_wait_keep_their_fields)
{
    const char *values[] = {"a", "b", "b", "c"};

    begin(100, false);
    for (int i = 0; i < 4; i++) {
        ms_fields_clear(&fields);
        field("V", values[i]);
        CHECK(!open_side(i, "GET", no_body));
    }
    ms_fields_free(&fields);
    h->ops->cancel(h, &sides[1].stream);
    CHECK(!talk() && strstr(peer.heads, "|v: a|") &&
          strstr(peer.heads, "|v: c|"));
    char *b = strstr(peer.heads, "|v: b|");
    CHECK(b && !strstr(b + 1, "|v: b|"));
    CHECK(sides[0].ended && sides[2].ended && sides[3].ended);
    end();
}

/* Asks; the response must have just what the peer says. */
static void hears_what_it_says(void)
{
    const struct ms_fields *f = &sides[0].head.fields;
    uint32_t n = 0;

    CHECK(!open_side(0, "GET", no_body) && !talk());
    CHECK(sides[0].ended && !sides[0].err);
    for (const char **say = peer.says; say < peer.says + 8 && *say; say += 2) {
        CHECK(n < f->count);
        CHECK(ms_span_equal(ms_fields_name(f, n), ms_span_text(say[0])));
        CHECK(ms_span_equal(ms_fields_value(f, n), ms_span_text(say[1])));
        n++;
    }
    CHECK(n == f->count);
}

static void says(const char *a, const char *b, const char *c)
{
    const char *all[8] = {"server", a, "x-b", b, "x-c", c};

    memcpy(peer.says, all, sizeof(all));
    hears_what_it_says();
}

TEST(response_fields_repeat_change_and_leave_the_table)
{
    char text[1000];

    begin(100, false);
    for (int i = 0; i < 3; i++)
        says("s", "1", "");
    says("s", "2", "");
    says("s", "1", "2");
    says("1", "s", "2");
    says("s", "1", "");
    for (int i = 0; i < 20; i++) { /* HPACK's table holds four of these */
        memset(text, 'a' + i, sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        says("s", "1", text);
        says("s", text, "");
    }
    h->ops->rest(h);
    says("s", "1", text);
    end();
}

TEST(a_field_that_repeats_counts_as_before)
{
    begin(100, false);
    says("s", "1", "2");
    CHECK(!open_side(0, "GET", no_body));
    sides[0].stream.max_head_bytes = 100; /* two of the fields */
    CHECK(!talk() && sides[0].err == MS_EHEADERS);
    says("s", "1", "2");
    peer.says[4] = "connection";
    CHECK(!open_side(0, "GET", no_body));
    CHECK(!talk() && sides[0].err == MS_EPROTO);
    CHECK(!open_side(0, "GET", no_body));
    CHECK(!talk() && sides[0].err == MS_EPROTO);
    says("s", "1", "2");
    end();
}

/* ---- windows ------------------------------------------------------------- */

TEST(a_paused_stream_holds_back_nobody_else)
{
    begin(100, false);
    peer.give = 3 * MS_H2_STREAM_WINDOW;
    for (int i = 0; i < 10; i++) {
        CHECK(!open_side(i, "GET", no_body));
        sides[i].pause = i == 4;
    }
    CHECK(!talk());
    for (int i = 0; i < 10; i++)
        CHECK(sides[i].ended == (i != 4) && (i == 4 || !sides[i].err));
    CHECK(sides[0].got == peer.give);
    CHECK(sides[4].got == 0 && peer.given[9] <= MS_H2_STREAM_WINDOW);
    sides[4].pause = false;
    h->ops->resume(h, &sides[4].stream);
    CHECK(h->due && !to_us() && !talk());
    CHECK(sides[4].ended && sides[4].got == peer.give);
    end();
}

TEST(a_reader_that_rested_is_given_pieces)
{
    size_t before;

    begin(100, false);
    peer.give = MS_H2_STREAM_WINDOW;
    CHECK(!open_side(0, "GET", no_body));
    sides[0].pause = sides[0].sips = true;
    CHECK(!talk() && !sides[0].got);
    while (!sides[0].ended) {
        before = sides[0].got;
        sides[0].pause = false;
        h->ops->resume(h, &sides[0].stream);
        CHECK(!to_us() && !talk());
        CHECK(sides[0].ended || sides[0].got > before);
        CHECK(sides[0].got - before <= MS_H2_PIECE);
    }
    CHECK(sides[0].got == peer.give);
    sides[0].sips = false;
    end();
}

TEST(what_a_cancelled_stream_kept_is_given_back)
{
    begin(100, false);
    peer.give = MS_H2_STREAM_WINDOW;
    /* More than the connection's window in all. */
    for (int i = 0; i < MS_H2_WINDOW / MS_H2_STREAM_WINDOW + 20; i++) {
        CHECK(!open_side(0, "GET", no_body));
        sides[0].pause = true;
        CHECK(!talk());
        CHECK(peer.given[2 * i + 1] == MS_H2_STREAM_WINDOW);
        h->ops->cancel(h, &sides[0].stream);
        CHECK(!talk());
    }
    end();
}

TEST(a_response_that_is_whole_waits_for_its_paused_reader)
{
    begin(100, false);
    peer.give = 1000;
    CHECK(!open_side(0, "GET", no_body) && !open_side(1, "GET", no_body));
    sides[0].pause = true;
    CHECK(!talk() && !sides[0].ended && sides[1].ended);
    h->ops->eof(h, MS_OK);
    CHECK(!sides[0].ended && h->ops->done(h));
    sides[0].pause = false;
    h->ops->resume(h, &sides[0].stream);
    CHECK(h->due && !to_us());
    CHECK(sides[0].ended && !sides[0].err && sides[0].got == 1000);
    end();
}

/* ---- windows that grow ----------------------------------------------------
 */

/* Windows of all paused streams and what they hold of them. */
static size_t kept_of(int n)
{
    size_t kept = 0;

    for (int i = 0; i < n; i++)
        kept += peer.given[2 * i + 1] - sides[i].got;
    return kept;
}

static void begin_at(unsigned trip_us, int streams, size_t give)
{
    round_trip_us = trip_us;
    begin(100, false);
    peer.give = give;
    for (int i = 0; i < streams; i++)
        CHECK(!open_side(i, "GET", no_body));
}

static void begin_far(int streams, size_t give)
{
    begin_at(100 * 1000, streams, give);
}

static void end_far(void)
{
    end();
    round_trip_us = 0;
    CHECK(grown == 0);
}

TEST(a_window_grows_where_it_holds_a_stream_up)
{
    begin_far(1, 40 * MS_H2_MAX_STREAM_WINDOW / 16);
    CHECK(!talk() && sides[0].ended && !sides[0].err);
    /* 40 MiB would take 160 rounds with the first window. */
    CHECK_THAT(rounds < 20, "%u", rounds);
    CHECK(grown == 0);
    end_far();
}

/* 5 Gbit/s need 1.25 MB for 2 ms. */
TEST(a_window_from_nearby_grows_to_what_that_carries)
{
    ms_err err;
    int64_t most = 0;

    begin_at(2000, 1, 4 * MS_H2_MAX_STREAM_WINDOW);
    while (!sides[0].ended) {
        CHECK(step(&err) && !err);
        most = grown > most ? grown : most;
    }
    CHECK_THAT(most > 950 * 1000 && most < 1050 * 1000, "%lld",
               (long long)most);
    end_far();
}

/* The same at a rate that the first window allows. */
TEST(a_window_stays_where_it_does_not)
{
    struct ms_span run;
    const uint8_t *p;
    ssize_t n;
    size_t used;

    begin_far(1, 4 * MS_H2_STREAM_WINDOW);
    while (!sides[0].ended) {
        while (h->ops->pull(h, &run, 1)) {
            CHECK(nghttp2_session_mem_recv(peer.ng, (const uint8_t *)run.p,
                                           run.n) == (ssize_t)run.n);
            h->ops->sent(h, run.n);
        }
        n = nghttp2_session_mem_send(peer.ng, &p);
        CHECK(n > 0);
        h->now_us += round_trip_us; /* for each frame */
        CHECK(!h->ops->feed(h, ms_span((const char *)p, (size_t)n), &used));
        CHECK(grown == 0);
    }
    end_far();
}

/* A peer that has much to do at first seems far away. */
TEST(a_slow_greeting_makes_no_window_grow)
{
    struct ms_span run;
    const uint8_t *p;
    ssize_t n;
    size_t used;

    begin_far(1, 40 * MS_H2_STREAM_WINDOW);
    while (!sides[0].ended) {
        while (h->ops->pull(h, &run, 1)) {
            CHECK(nghttp2_session_mem_recv(peer.ng, (const uint8_t *)run.p,
                                           run.n) == (ssize_t)run.n);
            h->ops->sent(h, run.n);
        }
        n = nghttp2_session_mem_send(peer.ng, &p);
        CHECK(n > 0);
        h->now_us += sides[0].got ? 10 : round_trip_us;
        CHECK(!h->ops->feed(h, ms_span((const char *)p, (size_t)n), &used));
        CHECK_THAT(grown <= MS_H2_STREAM_WINDOW, "%lld", (long long)grown);
    }
    end_far();
}

/* All are fast until they pause: a connection keeps no more than its window,
 * and of that, what had grown is bounded by itself. */
TEST(what_paused_streams_keep_is_bounded)
{
    size_t most = STREAMS * MS_H2_STREAM_WINDOW + MS_H2_GROWN;
    ms_err err;

    begin_far(STREAMS, 100 * MS_H2_MAX_STREAM_WINDOW);
    for (int i = 0; i < 12; i++)
        CHECK(step(&err));
    CHECK_THAT(grown > MS_H2_GROWN / 2 && grown <= MS_H2_GROWN, "%lld",
               (long long)grown);
    for (int i = 0; i < STREAMS; i++)
        sides[i].pause = true;
    CHECK(!talk());
    CHECK_THAT(kept_of(STREAMS) <= most && kept_of(STREAMS) > most / 2, "%zu",
               kept_of(STREAMS));
    CHECK(kept_of(STREAMS) <= MS_H2_WINDOW);
    end_far();
}

TEST(windows_of_all_connections_are_bounded_together)
{
    grown = MS_H2_ALL_GROWN - 1000; /* by others */
    begin_far(1, 20 * MS_H2_STREAM_WINDOW);
    CHECK(!talk() && sides[0].ended && !sides[0].err);
    CHECK_THAT(rounds > 20, "%u", rounds);
    CHECK(grown == MS_H2_ALL_GROWN - 1000);
    grown = 0;
    end_far();
}

/* ---- uploads ------------------------------------------------------------- */

static char big[1024 * 1024];

TEST(an_upload_waits_for_the_peers_window)
{
    begin(100, true);
    CHECK(!open_side(0, "PUT", ms_span(big, sizeof(big))));
    CHECK(!open_side(1, "GET", no_body));
    CHECK(!talk());
    CHECK(peer.got[1] == 65535 && !sides[0].ended && sides[1].ended);
    while (peer.got[1] < sizeof(big)) {
        nghttp2_session_consume(peer.ng, 1, 65535);
        CHECK(!talk());
    }
    CHECK(sides[0].ended && peer.ended[1] && !peer.reset[1]);
    end();
}

TEST(an_upload_can_be_held)
{
    begin(100, false);
    CHECK(!open_side(0, "PUT", ms_span(big, sizeof(big))));
    sides[0].stream.hold_send = true;
    CHECK(!talk() && peer.got[1] == 0);
    sides[0].stream.hold_send = false;
    h->ops->resume(h, &sides[0].stream);
    CHECK(h->wants_pull && !talk());
    CHECK(peer.got[1] == sizeof(big) && sides[0].ended);
    end();
}

TEST(an_early_answer_ends_the_upload)
{
    begin(100, true);
    peer.early = true;
    CHECK(!open_side(0, "PUT", ms_span(big, sizeof(big))));
    CHECK(!talk());
    CHECK(sides[0].ended && !sides[0].err);
    CHECK(peer.reset[1] == NGHTTP2_CANCEL + 1 && !peer.ended[1]);
    CHECK(!open_side(0, "GET", no_body) && !talk() && sides[0].ended);
    end();
}

TEST(a_streamed_upload_with_and_without_a_length)
{
    begin(100, false);
    open_upload(100000, -1, false);
    CHECK(!talk() && sides[0].ended && !sides[0].err);
    CHECK(peer.got[1] == 100000 && !strstr(peer.heads, "content-length"));
    open_upload(100000, 100000, false);
    CHECK(!talk() && sides[0].ended && !sides[0].err);
    CHECK(peer.got[3] == 100000 &&
          strstr(peer.heads, "content-length: 100000"));
    open_upload(0, -1, false);
    CHECK(!talk() && sides[0].ended && !sides[0].err && peer.ended[5]);
    end();
}

TEST(a_streamed_upload_that_fails)
{
    static const struct {
        size_t n;
        int64_t length;
        unsigned err_at;
        ms_err err;
    } cases[] = {{10, 11, 0, MS_EUPLOAD},
                 {11, 10, 0, MS_EUPLOAD},
                 {100000, -1, 4, MS_ECALLBACK}};

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        begin(100, false);
        open_upload(cases[i].n, cases[i].length, false);
        sides[0].err_at = cases[i].err_at;
        CHECK(!open_side(1, "GET", no_body));
        CHECK(!talk() && sides[0].ended && sides[0].err == cases[i].err);
        CHECK(peer.reset[1] == NGHTTP2_CANCEL + 1);
        CHECK(sides[1].ended && !sides[1].err);
        end();
    }
}

TEST(a_body_waits_until_it_may_proceed)
{
    begin(100, false);
    open_upload(5, -1, true);
    CHECK(!talk() && !peer.got[1] && !sides[0].asked);
    CHECK(strstr(peer.heads, "expect: 100-continue|"));
    h->ops->proceed(h, &sides[0].stream);
    CHECK(!talk() && !talk() && peer.got[1] == 5 && sides[0].ended);
    end();
}

/* ---- the rest ------------------------------------------------------------ */

TEST(a_cancelled_stream_is_reset_and_hears_nothing)
{
    begin(100, false);
    CHECK(!open_side(0, "GET", no_body) && !open_side(1, "GET", no_body));
    h->ops->cancel(h, &sides[0].stream); /* before it left at all */
    CHECK(!talk() && !sides[0].ended && sides[1].ended);
    CHECK(!strstr(peer.heads, "|:method: GET|:scheme: https|:authority: "
                              "host:1|:path: /p?q|:method"));
    CHECK(h->ops->room(h) == STREAMS);
    end();
}

TEST(a_drained_session_says_goodbye)
{
    begin(100, false);
    h->ops->ping(h);
    h->ops->drain(h);
    CHECK(h->ops->done(h) && h->ops->room(h) == 0);
    CHECK(!talk() && peer.goaway == NGHTTP2_NO_ERROR + 1);
    end();
}

/* Allocations of ours that a small request takes. */
static long cost_of_a_request(void)
{
    ms_mem_fail(0, 0);
    CHECK(!open_side(0, "GET", no_body) && !talk());
    CHECK(sides[0].ended && !sides[0].err);
    return ms_mem_count();
}

TEST(a_session_that_rested_goes_on_with_fresh_memory)
{
    begin(100, false);
    cost_of_a_request();
    long warm = cost_of_a_request();
    CHECK(cost_of_a_request() == warm);
    h->ops->rest(h);
    CHECK(h->ops->room(h) == STREAMS && !h->wants_pull && !h->due);
    CHECK(cost_of_a_request() > warm);
    CHECK(cost_of_a_request() == warm);
    end();
}

TEST(a_rest_drops_nothing_that_is_to_be_sent)
{
    struct ms_span run;

    begin(100, false);
    cost_of_a_request();
    h->ops->ping(h);
    CHECK(h->ops->pull(h, &run, 1) == 1 && run.n == 17);
    h->ops->rest(h);
    CHECK(h->ops->pull(h, &run, 1) == 1 && run.n == 17 && run.p[3] == 6);
    cost_of_a_request();
    end();
}

/* A whole life, with the `nth` allocation failing. */
static bool survives(long nth)
{
    struct ms_h2_config config = {.grown = &grown, .max_streams = STREAMS};
    ms_err err = MS_OK;

    start_peer(100, false);
    peer.give = 40000;
    h = NULL;
    ms_mem_fail(nth, 1);
    if (ms_h2_new(&h, &config)) {
        nghttp2_session_del(peer.ng);
        return false;
    }
    for (int round = 0; !err && round < 3; round++) {
        err = talk();
        for (int i = 0; !err && i < 2 && h->ops->room(h); i++) {
            err = open_side(i, i ? "POST" : "GET", i ? MS_SPAN("b") : no_body);
            sides[i].pause = !err && round == 1;
        }
        if (!err)
            err = talk();
        for (int i = 0; !err && i < 2; i++)
            if (sides[i].stream.session) {
                sides[i].pause = false;
                h->ops->resume(h, &sides[i].stream);
                err = to_us();
            }
    }
    bool whole = ms_mem_count() < nth;
    ms_mem_fail(0, 0);
    CHECK_THAT(err == MS_OK || err == MS_ENOMEM, "%ld: %s", nth,
               ms_err_name(err));
    CHECK(!whole || !err);
    /* One that could not even be sent counts as refused. */
    for (int i = 0; i < 2; i++)
        CHECK(!sides[i].ended || !sides[i].err || sides[i].err == MS_ENOMEM ||
              (sides[i].err == MS_EREFUSEDSTREAM && !sides[i].stream.asked));
    end();
    return whole;
}

TEST(any_allocation_may_fail)
{
    long nth = 1;

    field("user-agent", "x");
    while (!survives(nth)) {
        nth++;
        CHECK(nth < 2000);
    }
    CHECK(nth > 40);
}
