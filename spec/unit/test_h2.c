/* SPDX-License-Identifier: MIT
 *
 * h2: what a peer sends, as frames, and what the streams hear and the peer
 * gets back. Each vector runs whole, byte by byte and at every two-way split;
 * the logs must be the same to the letter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "h2_frames.h"
#include "proto/h2.h"
#include "unit.h"

static int64_t grown;

#define LOG_BYTES 4096

/* Two requests are under way on the streams 1 and 3. "H200/1;" is a head with
 * its status and number of fields, then body bytes, then the end; "+" means
 * that the stream waits for more. `back` are the frames we send: "R1:8" is
 * RST_STREAM with its code, "G:1" GOAWAY, "p" the answer to a PING, then what
 * room is left of four. */
struct vector {
    const char *name, *method, *frames, *first, *third, *back;
};

#define OK1 "H 1 eh :status=204\n"
#define OK3 "H 3 eh :status=204\n"
#define OK  "H204/0;[MS_OK]"

static const struct vector vectors[] = {
    {"a response with a body", "GET",
     "H 1 h :status=200 content-length=5\nD 1 - hel\nD 1 e lo\n" OK3,
     "H200/1;hello[MS_OK]", OK, "room4"},
    {"interleaved", "GET",
     "H 1 h :status=200\nH 3 h :status=200 a=b c=d\nD 3 - x\nD 1 - y\n"
     "D 1 - z\nD 3 e \nD 1 e !",
     "H200/0;yz![MS_OK]", "H200/2;x[MS_OK]", "room4"},
    {"1xx and trailers", "GET",
     "H 1 h :status=103 link=x\nH 1 h :status=100\nH 1 h :status=200\n"
     "D 1 - b\nH 1 eh t=v u=w\n" OK3,
     "H103/1;H100/0;H200/0;b[MS_OK]t2", OK, "room4"},
    {"a head in pieces", "GET",
     "H 1 e :status=200\nC 1 - a=b\nC 1 -\nC 1 h c=d\n" OK3, "H200/2;[MS_OK]",
     OK, "room4"},
    {"HEAD has a length and no body", "HEAD",
     "H 1 eh :status=200 content-length=5\n" OK3, "H200/1;[MS_OK]", OK,
     "room4"},
    {"304 has a length and no body", "GET",
     "H 1 eh :status=304 content-length=5\n" OK3, "H304/1;[MS_OK]", OK,
     "room4"},
    {"an empty end", "GET", "H 1 h :status=200 content-length=0\nD 1 e \n" OK3,
     "H200/1;[MS_OK]", OK, "room4"},
    {"RST after the whole response", "GET", OK1 "R 1 0\n" OK3, OK, OK, "room4"},
    {"PING is answered", "GET", "P\n" OK1 OK3, OK, OK, "proom4"},
    {"fewer streams at a time", "GET", "S 3=1\n" OK1, OK, "+", "R3:8room1"},
    {"no streams at all", "GET", "S 3=0\n" OK1 OK3, OK, OK, "room0"},
    {"unknown frames and settings", "GET",
     "X 250 255 1 text\nX 250 0 0 \nS 4660=1\n" OK1 OK3, OK, OK, "room4"},

    /* B1 */
    {"the body is too short", "GET",
     "H 1 h :status=200 content-length=5\nD 1 e hell\n" OK3,
     "H200/1;hell[MS_EPROTO]", OK, "R1:1room4"},
    {"the body is too long", "GET",
     "H 1 h :status=200 content-length=5\nD 1 - hello!\n" OK3,
     "H200/1;hello[MS_EPROTO]", OK, "R1:1room4"},
    {"no body, but a length", "GET",
     "H 1 eh :status=200 content-length=5\n" OK3, "H200/1;[MS_EPROTO]", OK,
     "R1:1room4"},
    {"a length that is no number", "GET",
     "H 1 h :status=200 content-length=+5\n" OK3, "[MS_EPROTO]", OK,
     "R1:1room4"},
    {"a length beyond all", "GET",
     "H 1 h :status=200 content-length=18446744073709551618\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"two lengths", "GET",
     "H 1 h :status=200 content-length=5 content-length=6\n" OK3, "[MS_EPROTO]",
     OK, "R1:1room4"},
    {"a body for HEAD", "HEAD", "H 1 h :status=200\nD 1 - x\n" OK3,
     "H200/0;[MS_EPROTO]", OK, "R1:1room4"},
    {"a body for 204", "GET", "H 1 h :status=204\nD 1 - x\n" OK3,
     "H204/0;[MS_EPROTO]", OK, "R1:1room4"},
    /* B2, B3, B4, B5 */
    {"REFUSED_STREAM", "GET", "R 1 7\n" OK3, "[MS_EREFUSEDSTREAM]?", OK,
     "room4"},
    {"GOAWAY leaves out the younger", "GET", "G 1 0\n" OK1, OK,
     "[MS_EREFUSEDSTREAM]?", "room0"},
    {"GOAWAY with an error, for all", "GET", "G 0 11", "[MS_EREFUSEDSTREAM]?",
     "[MS_EREFUSEDSTREAM]?", "room0"},
    {"GOAWAY in two steps", "GET", "G 2147483647 0\n" OK1 "G 3 0\n" OK3, OK, OK,
     "room0"},
    {"RST with a code", "GET", "H 1 h :status=200\nD 1 - x\nR 1 11\n" OK3,
     "H200/0;x[MS_ESTREAM]", OK, "room4"},
    {"RST without an error before the end", "GET",
     "H 1 h :status=200\nR 1 0\n" OK3, "H200/0;[MS_ESTREAM]", OK, "room4"},
    {"REFUSED_STREAM after an answer began", "GET",
     "H 1 h :status=200\nD 1 - x\nR 1 7\n" OK3, "H200/0;x[MS_ESTREAM]", OK,
     "room4"},
    {"GOAWAY leaves out one that was answered", "GET",
     "H 3 h :status=200\nG 1 0\n" OK1, OK, "H200/0;[MS_ESTREAM]", "room0"},
    {"RST with an unknown code", "GET", "R 1 4660\n" OK3, "[MS_ESTREAM]", OK,
     "room4"},
    {"HTTP_1_1_REQUIRED", "GET", "R 1 13\n" OK3, "[MS_ESTREAM]1", OK, "room4"},
    /* B6 */
    {"no status", "GET", "H 1 h a=b\n" OK3, "[MS_EPROTO]", OK, "R1:1room4"},
    {"an empty head", "GET", "H 1 h\n" OK3, "[MS_EPROTO]", OK, "R1:1room4"},
    {"two statuses", "GET", "H 1 h :status=200 :status=200\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"a status after a field", "GET", "H 1 h a=b :status=200\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"a status of two digits", "GET", "H 1 h :status=20\n" OK3, "[MS_EPROTO]",
     OK, "R1:1room4"},
    {"a status of letters", "GET", "H 1 h :status=2x0\n" OK3, "[MS_EPROTO]", OK,
     "R1:1room4"},
    {"a status out of range", "GET", "H 1 h :status=600\n" OK3, "[MS_EPROTO]",
     OK, "R1:1room4"},
    {"101", "GET", "H 1 h :status=101\n" OK3, "[MS_EPROTO]", OK, "R1:1room4"},
    {"1xx at the end", "GET", "H 1 eh :status=103\n" OK3, "[MS_EPROTO]", OK,
     "R1:1room4"},
    {"a request's pseudo field", "GET", "H 1 h :status=200 :path=/\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"an unknown pseudo field", "GET", "H 1 h :status=200 :x=/\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    /* B7 */
    {"upper case", "GET", "H 1 h :status=200 A=b\n" OK3, "[MS_EPROTO]", OK,
     "R1:1room4"},
    {"a space in a name", "GET", "H 1 h :status=200 a%20b=c\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"an empty name", "GET", "H 1 h :status=200 =c\n" OK3, "[MS_EPROTO]", OK,
     "R1:1room4"},
    {"CR LF in a value", "GET", "H 1 h :status=200 a=b%0d%0ac:d\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"NUL in a value", "GET", "H 1 h :status=200 a=b%00c\n" OK3, "[MS_EPROTO]",
     OK, "R1:1room4"},
    {"space before a value", "GET", "H 1 h :status=200 a=%20b\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"CR in a name", "GET", "H 1 h :status=200 a%0d=b\n" OK3, "[MS_EPROTO]", OK,
     "R1:1room4"},
    {"a colon in a name", "GET", "H 1 h :status=200 a:b=b\n" OK3, "[MS_EPROTO]",
     OK, "R1:1room4"},
    {"pseudo in trailers", "GET", "H 1 h :status=200\nH 1 eh :status=200\n" OK3,
     "H200/0;[MS_EPROTO]", OK, "R1:1room4"},
    {"trailers before the end", "GET", "H 1 h :status=200\nH 1 h a=b\n" OK3,
     "H200/0;[MS_EPROTO]", OK, "R1:1room4"},
    {"Connection", "GET", "H 1 h :status=200 connection=close\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"Keep-Alive", "GET", "H 1 h :status=200 keep-alive=1\n" OK3, "[MS_EPROTO]",
     OK, "R1:1room4"},
    {"Proxy-Connection", "GET", "H 1 h :status=200 proxy-connection=x\n" OK3,
     "[MS_EPROTO]", OK, "R1:1room4"},
    {"Transfer-Encoding", "GET",
     "H 1 h :status=200 transfer-encoding=chunked\n" OK3, "[MS_EPROTO]", OK,
     "R1:1room4"},
    {"Upgrade", "GET", "H 1 h :status=200 upgrade=h3\n" OK3, "[MS_EPROTO]", OK,
     "R1:1room4"},
    {"a body before any head", "GET", OK3 "D 1 - x\n", "[MS_EHTTP2]", OK,
     "G:1room0"},
    {"a body before the final head", "GET", "H 1 h :status=103\nD 1 - x\n" OK3,
     "H103/0;[MS_EPROTO]", OK, "R1:1room4"},
    {"an end before the final head", "GET", "H 1 h :status=103\nD 1 e \n" OK3,
     "H103/0;[MS_EPROTO]", OK, "R1:1room4"},
    /* B8, B9, B12: the connection is over, for all. */
    {"DATA of the connection", "GET", OK1 "D 0 - x\n", OK, "[MS_EHTTP2]",
     "G:1room0"},
    {"a frame too large", "GET", OK1 "!%00%40%01%00%00%00%00%00%03\n", OK,
     "[MS_EHTTP2]", "G:6room0"},
    {"more padding than frame", "GET", OK1 "D 3 p %05abc\n", OK, "[MS_EHTTP2]",
     "G:1room0"},
    {"SETTINGS of a stream", "GET", OK1 "X 4 0 3 \n", OK, "[MS_EHTTP2]",
     "G:1room0"},
    {"SETTINGS of odd size", "GET", OK1 "X 4 0 0 abc\n", OK, "[MS_EHTTP2]",
     "G:6room0"},
    {"an acknowledgement with settings", "GET", OK1 "X 4 1 0 abcdef\n", OK,
     "[MS_EHTTP2]", "G:6room0"},
    {"a window beyond all, by SETTINGS", "GET", OK1 "S 4=2147483648\n", OK,
     "[MS_EHTTP2]", "G:3room0"},
    {"a frame size that is too small", "GET", OK1 "S 5=100\n", OK,
     "[MS_EHTTP2]", "G:1room0"},
    {"push set by a server", "GET", OK1 "S 2=1\n", OK, "[MS_EHTTP2]",
     "G:1room0"},
    {"a window beyond all", "GET", OK1 "W 0 2147483647\n", OK, "[MS_EHTTP2]",
     "G:3room0"},
    {"an increment of nothing", "GET", OK1 "W 0 0\n", OK, "[MS_EHTTP2]",
     "G:1room0"},
    {"a stream's window beyond all", "GET", OK1 "W 3 2147483647\n", OK,
     "[MS_EHTTP2]", "R3:3room4"},
    {"PING of a stream", "GET", OK1 "X 6 0 3 12345678\n", OK, "[MS_EHTTP2]",
     "G:1room0"},
    {"a short PING", "GET", OK1 "X 6 0 0 1234\n", OK, "[MS_EHTTP2]",
     "G:6room0"},
    {"a short RST", "GET", OK1 "X 3 0 3 12\n", OK, "[MS_EHTTP2]", "G:6room0"},
    {"RST of an idle stream", "GET", OK1 "R 9 0\n", OK, "[MS_EHTTP2]",
     "G:1room0"},
    {"HEADERS of an idle stream", "GET", OK1 "H 9 h :status=200\n", OK,
     "[MS_EHTTP2]", "G:1room0"},
    {"HEADERS of a pushed stream", "GET", OK1 "H 2 h :status=200\n", OK,
     "[MS_EHTTP2]", "G:1room0"},
    {"another frame inside a head", "GET", OK1 "H 3 - :status=200\nP\n", OK,
     "[MS_EHTTP2]", "G:1room0"},
    {"a CONTINUATION of nothing", "GET", OK1 "C 3 h a=b\n", OK, "[MS_EHTTP2]",
     "G:1room0"},
    {"a push", "GET", OK1 "U 3 :path=/\n", OK, "[MS_EHTTP2]", "G:1room0"},
    {"an HPACK index that is not there", "GET", OK1 "X 1 5 3 %ff%ff%7f\n", OK,
     "[MS_EHTTP2]", "G:9room0"},
    {"a cut HPACK string", "GET", OK1 "X 1 5 3 %00%05ab\n", OK, "[MS_EHTTP2]",
     "G:9room0"},
    {"an HPACK table that is too large", "GET", OK1 "X 1 5 3 %3f%e2%ff%03\n",
     OK, "[MS_EHTTP2]", "G:9room0"},
};

/* ---- one run ----------------------------------------------------------- */

struct side {
    char log[LOG_BYTES];
    struct ms_stream stream;
    struct ms_head head;
    struct ms_fields trailers;
    bool paused;
    const char *detail;
};

static struct {
    struct ms_session *h;
    struct side side[2];
    struct ms_buf in, out; /* out: what we sent that was not looked at yet */
    char back[LOG_BYTES];
    bool pausing, cancel;
} t;

static void append(char *log, const char *p, size_t n)
{
    size_t at = strlen(log);

    CHECK(at + n < LOG_BYTES);
    memcpy(log + at, p, n);
    log[at + n] = '\0';
}

static struct side *side_of(struct ms_stream *s)
{
    return MS_CONTAINER(s, struct side, stream);
}

static ms_err on_head(struct ms_stream *s)
{
    char text[40];
    int n = snprintf(text, sizeof(text), "H%u/%u;", s->head->status,
                     s->head->fields.count);

    CHECK(s->head->version == MS_HTTP_2 && s->session == t.h);
    append(side_of(s)->log, text, (size_t)n);
    return MS_OK;
}

static ms_err on_data(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken)
{
    struct side *side = side_of(s);

    CHECK(n > 0 && s->session == t.h && !side->paused);
    side->paused = t.pausing;
    *taken = t.pausing ? (n + 1) / 2 : n;
    if (*taken == n)
        side->paused = false;
    append(side->log, p, *taken);
    return MS_OK;
}

static void on_end(struct ms_stream *s, ms_err err, const char *detail)
{
    struct side *side = side_of(s);
    char text[40];

    CHECK(!s->session);
    int n =
        snprintf(text, sizeof(text), "[%s]%s%s", ms_err_name(err),
                 err == MS_OK || s->asked ? "" : "?", s->needs_h1 ? "1" : "");
    append(side->log, text, (size_t)n);
    if (!err && side->trailers.count)
        append(side->log, side->trailers.count == 2 ? "t2" : "t?", 2);
    side->detail = detail;
}

static const struct ms_stream_ops ops = {
    .on_head = on_head, .on_data = on_data, .on_end = on_end};

static uint32_t u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 |
           u[3];
}

static void note_frame(const char *p)
{
    char text[40];
    int n = 0;

    if (p[3] == 3)
        n = snprintf(text, sizeof(text), "R%u:%u", u32(p + 5), u32(p + 9));
    else if (p[3] == 7)
        n = snprintf(text, sizeof(text), "G:%u", u32(p + 13));
    else if (p[3] == 6 && p[4])
        n = snprintf(text, sizeof(text), "p");
    append(t.back, text, (size_t)n);
}

/* Takes what the session has to send, in writes of any size, and notes the
 * frames of interest. */
static void pull_all(size_t write)
{
    struct ms_span run;

    while (t.h->ops->pull(t.h, &run, 1)) {
        size_t n = run.n < write ? run.n : write;
        frame_put(&t.out, run.p, n);
        t.h->ops->sent(t.h, n);
    }
    while (ms_buf_len(&t.out) >= 9) {
        const char *p = ms_buf_span(&t.out).p;
        size_t n = 9 + (u32(p) >> 8);
        if (ms_buf_len(&t.out) < n)
            break;
        note_frame(p);
        ms_buf_consume(&t.out, n);
    }
}

static ms_err feed_once(const char *p, size_t n)
{
    size_t used;
    ms_err err = t.h->ops->feed(t.h, ms_span(p, n), &used);

    CHECK(used == n);
    return err;
}

/* What is due is told; paused streams go on. */
static ms_err settle(ms_err err)
{
    for (int i = 0; i < 2; i++) {
        struct side *side = &t.side[i];
        while (!err && side->paused && side->stream.session) {
            side->paused = false;
            t.h->ops->resume(t.h, &side->stream);
            CHECK(t.h->due);
            err = feed_once(NULL, 0);
        }
    }
    return err;
}

/* Feeds a copy of its own, so that a look beyond its end is seen. */
static ms_err feed(const char *p, size_t n)
{
    char *copy = ms_memdup(p, n);

    CHECK(copy);
    ms_err err = settle(feed_once(copy, n));
    ms_free(copy);
    pull_all(SIZE_MAX);
    while (!err && t.h->due)
        err = feed_once(NULL, 0);
    return err;
}

static struct ms_fields no_fields;

static void open_stream(int i, const char *method, const char *body)
{
    struct side *s = &t.side[i];
    struct ms_request req = {
        .method = ms_span_text(method),
        .target = MS_SPAN("/x"),
        .authority = MS_SPAN("h"),
        .list = &no_fields,
        .body = ms_span_text(body ? body : ""),
        .has_body = body != NULL,
    };

    s->log[0] = '\0';
    s->paused = false;
    s->detail = NULL;
    s->stream = (struct ms_stream){.ops = &ops,
                                   .head = &s->head,
                                   .trailers = &s->trailers,
                                   .max_head_bytes = 4096};
    CHECK(!t.h->ops->open(t.h, &s->stream, &req));
    CHECK(s->stream.session == t.h && !s->stream.asked);
}

static void start_session(void)
{
    struct ms_h2_config config = {
        .grown = &grown, .secure = false, .max_streams = 4};
    struct ms_buf hello = {0};

    CHECK(!ms_h2_new(&t.h, &config));
    t.back[0] = '\0';
    ms_buf_clear(&t.out);
    CHECK(t.h->ops->room(t.h) == MS_H2_EARLY_STREAMS);
    frames(&hello, "S\ns\n");
    CHECK(!feed_once(hello.p, ms_buf_len(&hello)));
    ms_buf_free(&hello);
    CHECK(t.h->ops->room(t.h) == 4);
    /* The preface is no frame. */
    struct ms_span run;
    CHECK(t.h->ops->pull(t.h, &run, 1) == 1 &&
          !memcmp(run.p, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24));
    t.h->ops->sent(t.h, 24);
    pull_all(SIZE_MAX);
    t.back[0] = '\0';
}

static void start(const char *method)
{
    start_session();
    open_stream(0, method, NULL);
    open_stream(1, "GET", NULL);
    pull_all(7);
    CHECK(t.side[0].stream.asked && t.side[1].stream.asked);
    CHECK(t.h->ops->room(t.h) == 2);
}

static void stop(void)
{
    for (int i = 0; i < 2; i++)
        if (t.side[i].stream.session) {
            append(t.side[i].log, "+", 1);
            t.h->ops->cancel(t.h, &t.side[i].stream);
        }
    if (!t.h->ops->done(t.h))
        pull_all(SIZE_MAX);
    char room[16];
    int n = snprintf(room, sizeof(room), "room%zu", t.h->ops->room(t.h));
    append(t.back, room, (size_t)n);
    t.h->ops->free(t.h);
}

static void free_all(void)
{
    for (int i = 0; i < 2; i++) {
        ms_head_free(&t.side[i].head);
        ms_fields_free(&t.side[i].trailers);
    }
    ms_buf_free(&t.in);
    ms_buf_free(&t.out);
}

/* `cut` 0: byte by byte. */
static void run(const struct vector *v, size_t cut)
{
    size_t at = 0;

    start(v->method);
    ms_buf_clear(&t.in);
    frames(&t.in, v->frames);
    size_t n = ms_buf_len(&t.in);
    while (at < n) {
        size_t step = !cut ? 1 : at < cut ? cut - at : n - at;
        if (feed(t.in.p + at, step))
            break;
        at += step;
    }
    stop();
}

static void check_vector(const struct vector *v, size_t cut)
{
    run(v, cut);
    CHECK_THAT(!strcmp(t.side[0].log, v->first),
               "%s, cut at %zu: 1: %s, not %s", v->name, cut, t.side[0].log,
               v->first);
    CHECK_THAT(!strcmp(t.side[1].log, v->third),
               "%s, cut at %zu: 3: %s, not %s", v->name, cut, t.side[1].log,
               v->third);
    CHECK_THAT(!strcmp(t.back, v->back), "%s, cut at %zu: back: %s, not %s",
               v->name, cut, t.back, v->back);
}

static size_t size_of(const struct vector *v)
{
    ms_buf_clear(&t.in);
    frames(&t.in, v->frames);
    return ms_buf_len(&t.in);
}

TEST(every_vector_gives_its_logs_at_every_split)
{
    for (size_t i = 0; i < MS_COUNT(vectors); i++) {
        size_t n = size_of(&vectors[i]);
        check_vector(&vectors[i], n);
        for (size_t cut = 0; cut < n; cut++)
            check_vector(&vectors[i], cut);
    }
    free_all();
}

/* An error does not wait until a paused stream has taken what came before. */
TEST(streams_that_pause_get_the_same_bytes)
{
    t.pausing = true;
    for (size_t i = 0; i < MS_COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        size_t n = strstr(v->first, "MS_OK") ? size_of(v) : 0;
        for (size_t cut = 0; cut < n; cut++)
            check_vector(v, cut);
    }
    t.pausing = false;
    free_all();
}

/* ---- what vectors do not say ------------------------------------------- */

static ms_err feed_text(const char *text)
{
    ms_buf_clear(&t.in);
    frames(&t.in, text);
    return feed(t.in.p, ms_buf_len(&t.in));
}

static bool logs(int side, const char *log)
{
    return !strcmp(t.side[side].log, log);
}

TEST(a_connection_that_ends_ends_every_stream)
{
    static const struct {
        const char *frames, *first;
        ms_err why, err;
    } ends[] = {
        {"P", "", MS_OK, MS_EEOF},
        {"H 1 h :status=200\nD 1 - x", "H200/0;x", MS_OK, MS_EEOF},
        {"H 1 h :status=200", "H200/0;", MS_ERESET, MS_ERESET},
        {"G 3 0", "", MS_OK, MS_EEOF},
        {"G 3 11", "", MS_OK, MS_EHTTP2},
    };
    char log[64];

    for (size_t i = 0; i < MS_COUNT(ends); i++) {
        start("GET");
        CHECK(!feed_text(ends[i].frames));
        t.h->ops->eof(t.h, ends[i].why);
        snprintf(log, sizeof(log), "%s[%s]", ends[i].first,
                 ms_err_name(ends[i].err));
        CHECK_THAT(logs(0, log), "%zu: %s", i, t.side[0].log);
        CHECK(t.h->ops->done(t.h) && t.h->ops->room(t.h) == 0);
        stop();
    }
    free_all();
}

TEST(a_peer_that_does_not_speak_http2_is_named)
{
    static const char *const greetings[] = {
        "! HTTP/1.1 400 Bad Request%0d%0aContent-Length: 0%0d%0a%0d%0a",
        "! 220 mail.example ESMTP%0d%0a", "! %15%03%01%00%02%02%46%00%00%00",
        "P"};
    struct ms_h2_config config = {.grown = &grown, .max_streams = 4};
    struct ms_buf in = {0};
    ms_err err;

    for (size_t i = 0; i < MS_COUNT(greetings); i++) {
        ms_buf_clear(&in);
        frames(&in, greetings[i]);
        CHECK(!ms_h2_new(&t.h, &config));
        open_stream(0, "GET", NULL);
        struct ms_span run;
        CHECK(t.h->ops->pull(t.h, &run, 1) == 1);
        t.h->ops->sent(t.h, run.n);
        err = feed_once(in.p, ms_buf_len(&in));
        CHECK(err == MS_EHTTP2 && logs(0, "[MS_EHTTP2]"));
        CHECK(strstr(t.side[0].detail, "does not speak HTTP/2"));
        t.h->ops->free(t.h);
    }
    ms_buf_free(&in);
    free_all();
}

TEST(errors_carry_their_http2_names)
{
    start("GET");
    CHECK(feed_text("R 1 11\nS 4=2147483648") == MS_EHTTP2);
    CHECK(strstr(t.side[0].detail, "ENHANCE_YOUR_CALM"));
    CHECK(strstr(t.side[1].detail, "FLOW_CONTROL_ERROR"));
    stop();
    start("GET");
    CHECK(!feed_text("R 1 4660\nG 1 2"));
    CHECK(strstr(t.side[0].detail, "does not have"));
    CHECK(strstr(t.side[1].detail, "INTERNAL_ERROR"));
    stop();
    free_all();
}

TEST(goaway_tells_whether_others_were_served)
{
    start("GET");
    CHECK(!feed_text("G 1 0"));
    CHECK(logs(1, "[MS_EREFUSEDSTREAM]?") && t.side[1].stream.passed_over);
    stop();
    start("GET");
    CHECK(!feed_text("R 3 7\nG 0 0"));
    CHECK(!t.side[1].stream.passed_over && !t.side[0].stream.passed_over);
    stop();
    /* One that GOAWAY takes and RST_STREAM refuses is not left out for others:
     * a peer that always says so would be asked for ever. */
    start("GET");
    CHECK(!feed_text("G 2147483647 0\nR 1 7"));
    CHECK(logs(0, "[MS_EREFUSEDSTREAM]?") && !t.side[0].stream.passed_over);
    stop();
    free_all();
}

TEST(the_limit_on_a_head_is_exact)
{
    start("GET");
    t.side[0].stream.max_head_bytes = 7 + 3 + 32 + 1 + 1 + 32;
    t.side[1].stream.max_head_bytes = 7 + 3 + 32 + 1 + 1 + 31;
    CHECK(!feed_text("H 1 eh :status=200 a=b\nH 3 eh :status=200 a=b"));
    CHECK(logs(0, "H200/1;[MS_OK]") && logs(1, "[MS_EHEADERS]"));
    stop();
    free_all();
}

/* 60 bytes on the wire say 4 KiB each, out of HPACK's table. */
TEST(an_hpack_bomb_is_stopped_and_the_others_go_on)
{
    struct ms_buf bomb = {0};
    char value[4000];

    start("GET");
    t.side[0].stream.max_head_bytes = 256 * 1024;
    memset(value, 'x', sizeof(value));
    frame_byte(&bomb, 0x88); /* :status 200 */
    frame_put(&bomb,
              "\x40\x01"
              "a\x7f\xa1\x1e",
              6);
    frame_put(&bomb, value, sizeof(value));
    for (int i = 0; i < 8000; i++)
        frame_byte(&bomb, 0x80 | 62);
    ms_buf_clear(&t.in);
    frame_add(&t.in, 1, 4, 1, ms_buf_span(&bomb));
    frames(&t.in, OK3);
    CHECK(!feed(t.in.p, ms_buf_len(&t.in)));
    CHECK(logs(0, "[MS_EHEADERS]") && logs(1, OK));
    CHECK(t.side[0].head.fields.text.cap == 0 ||
          !ms_buf_len(&t.side[0].head.fields.text));
    stop();
    ms_buf_free(&bomb);
    free_all();
}

/* ---- floods -------------------------------------------------------------- */

/* Feeds it in pieces of an ordinary read; the session's clock stands. */
static ms_err flood(const char *text)
{
    ms_err err = MS_OK;

    ms_buf_clear(&t.in);
    frames(&t.in, text);
    for (size_t at = 0; !err && at < ms_buf_len(&t.in); at += 16384) {
        size_t n = ms_buf_len(&t.in) - at;
        err = feed(t.in.p + at, n < 16384 ? n : 16384);
    }
    return err;
}

TEST(floods_of_frames_without_content_end_the_connection)
{
    static const char *const floods[] = {"*1200 P",
                                         "*1200 p",
                                         "*1200 S",
                                         "*1200 S 4=65535",
                                         "*1200 D 3 - ",
                                         "*1200 W 0 1",
                                         "*1200 W 3 1",
                                         "*1200 X 250 0 0 text",
                                         "*1200 X 2 0 3 %00%00%00%00%01",
                                         "*1200 R 1 8",
                                         "*1200 G 3 0",
                                         "H 3 - a=b\n*1200 C 3 -",
                                         "*7000 D 1 - x"};

    for (size_t i = 0; i < MS_COUNT(floods); i++) {
        start("GET");
        CHECK(!feed_text("H 3 h :status=200\nH 1 eh :status=204"));
        ms_err err = flood(floods[i]);
        CHECK_THAT(err == MS_EHTTP2, "%s: %s", floods[i], ms_err_name(err));
        CHECK_THAT(strstr(t.side[1].detail, "ENHANCE_YOUR_CALM"), "%s: %s",
                   floods[i], t.side[1].detail);
        CHECK(strstr(t.back, "G:11"));
        stop();
    }
    free_all();
}

TEST(frames_without_content_that_come_slowly_are_fine)
{
    start("GET");
    for (int i = 0; i < 2000; i++) {
        t.h->now_us += 100 * 1000;
        CHECK(!feed_text("P\nS"));
    }
    CHECK(!feed_text(OK1 OK3));
    CHECK(logs(0, OK) && logs(1, OK));
    t.back[0] = '\0';
    stop();
    free_all();
}

TEST(frames_with_content_make_up_for_others)
{
    start("GET");
    CHECK(!feed_text("H 1 h :status=200"));
    for (int i = 0; i < 20000; i++) {
        t.side[0].log[0] = '\0';
        t.back[0] = '\0';
        CHECK(!feed_text("D 1 - x\nP"));
    }
    stop();
    free_all();
}

/* What a peer had on its way when it heard of the end is not held against it.
 */
TEST(a_stream_given_up_may_still_send)
{
    start("GET");
    CHECK(!feed_text("H 1 h :status=200"));
    t.h->ops->cancel(t.h, &t.side[0].stream);
    CHECK(t.h->wants_pull);
    CHECK(!flood("*30000 D 1 - x"));
    CHECK(!feed_text("D 1 e \n" OK3));
    CHECK(logs(0, "H200/0;") && logs(1, OK));
    CHECK(strstr(t.back, "R1:8"));
    stop();
    free_all();
}
