/* SPDX-License-Identifier: MIT
 *
 * h2 against nghttp2's own server session in the same process: requests as
 * they arrive, uploads, and every allocation failing in turn.
 */
#include "base/mem.h"
#include "h2_peer.h"

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
/* ---- uploads ------------------------------------------------------------- */

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
