/* SPDX-License-Identifier: MIT
 *
 * h2 with every allocation failing in turn: scripts of what the owner does and
 * the peer sends. Whatever fails, each stream hears one end at most, with a
 * reason that is true, and everything is given back.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "h2_frames.h"
#include "proto/h2.h"
#include "unit.h"

static int64_t grown;

#define STREAMS    3
#define MANY       5000 /* allocations; no script has so many */
#define UPLOAD     70000
#define LENT       "a body"
#define LONG_VALUE "%61%62%63%64%65%66%67%68%69%6a%6b%6c%6d%6e%6f%70%71%72%73"

/* One step a line. "o 1 GET": stream 1 asks; "o 1 PUT": with a body that comes
 * by on_pull; "o 1 POST": with one that is lent. "e 1 PUT": keeps it back for a
 * 100; "y 1" lets it go. "/": what is to be sent is taken. "z 1": its reader
 * pauses from now on; "r 1": resumes. "x 1": cancelled. "i": ping. "g": drain.
 * "t": rest. "q": the peer closed. Other lines are frames that come
 * (h2_frames.h), after a "<". `ends` are the streams' ends when nothing fails.
 */
static const struct script {
    const char *name, *steps, *ends;
} scripts[] = {
    {"heads, bodies, trailers",
     "o 1 GET\n/\n< S 3=100\no 3 GET\n/\n"
     "< H 1 h :status=103 link=" LONG_VALUE "\n"
     "< H 1 h :status=200 a=b x-long=" LONG_VALUE "\n"
     "< H 3 - :status=200\n< C 3 h c=d\n< D 1 - hello\n< D 3 e you\n"
     "< D 1 - more\n< H 1 eh x-sum=" LONG_VALUE "\n/",
     "[MS_OK][MS_OK]"},
    {"a paused reader, and one that goes",
     "o 1 GET\n/\n< S 3=100\no 3 GET\n/\nz 1\nz 3\n"
     "< H 1 h :status=200\n< D 1 - hello\n< H 3 h :status=200\n< D 3 - you\n"
     "< D 1 - more\nx 3\n/\n< D 1 e end\nr 1\n/",
     "[MS_OK]"},
    {"uploads",
     "o 1 PUT\n/\n< S 3=100 4=100000\no 3 POST\n/\n/\n< W 0 100000\n/\n/\n/\n"
     "< H 3 eh :status=200\n< H 1 eh :status=200\n/",
     "[MS_OK][MS_OK]"},
    {"an upload that waits for a 100",
     "e 1 PUT\n/\n< S 3=100 4=100000\n< H 1 h :status=100\ny 1\n/\n/\n"
     "< H 1 eh :status=200\n/",
     "[MS_OK]"},
    {"an early answer",
     "o 1 PUT\n/\n< S 3=100\n/\n< H 1 h :status=413\n< D 1 e no\n/\n"
     "o 3 GET\n/\n< H 3 eh :status=200\n/",
     "[MS_OK][MS_OK]"},
    {"GOAWAY",
     "o 1 GET\n/\n< S 3=100\no 3 GET\no 5 GET\n/\n< G 3 0\n"
     "< H 1 eh :status=200\n< H 3 h :status=200\n< D 3 - x\nq",
     "[MS_EREFUSEDSTREAM][MS_OK][MS_EEOF]"},
    {"resets",
     "o 1 GET\n/\n< S 3=100\no 3 GET\no 5 GET\n/\n< R 1 7\n"
     "< H 3 h :status=200\n< D 3 - x\n< R 3 2\n< H 5 h :status=2\n/",
     "[MS_EREFUSEDSTREAM][MS_ESTREAM][MS_EPROTO]"},
    {"rules broken", "o 1 GET\n/\n< S 3=100\no 3 GET\n/\n< D 0 - x\n/",
     "[MS_EHTTP2][MS_EHTTP2]"},
    {"requests, one at a time, with rests",
     "o 1 GET\n/\n< S 3=100\n< H 1 eh :status=200\n/\nt\no 3 PUT\n/\n"
     "< H 3 h :status=200\n/\n/\n< D 3 e you\n/\nt\ni\n/\nt\no 5 POST\n/\n"
     "< H 5 h :status=200\n< D 5 e you\n/\nt",
     "[MS_OK][MS_OK][MS_OK]"},
    {"PING, SETTINGS and a farewell",
     "o 1 GET\n/\n< S 3=100 1=0\n/\ni\n/\n< P\n< p\n< S 1=4096 4=10\n/\n"
     "< X 250 0 0 text\ng\n/\n< H 1 eh :status=200\n/",
     "[MS_OK]"},
};

struct side {
    struct ms_stream stream;
    struct ms_head head;
    struct ms_fields trailers;
    bool pause, opened, ended, cancelled;
    size_t left; /* of its upload */
};

static struct {
    struct ms_session *h;
    struct side side[STREAMS];
    char ends[128];
    const struct script *script;
} t;

static struct side *side_of(struct ms_stream *s)
{
    return MS_CONTAINER(s, struct side, stream);
}

static ms_err on_head(struct ms_stream *s)
{
    CHECK(s->head->status >= 100 && !side_of(s)->ended);
    return MS_OK;
}

static ms_err on_data(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken)
{
    CHECK(p && n && !side_of(s)->ended);
    *taken = side_of(s)->pause ? n / 2 : n;
    return MS_OK;
}

static ms_err on_pull(struct ms_stream *s, char *p, size_t cap, size_t *n,
                      bool *end)
{
    struct side *side = side_of(s);

    *n = cap < side->left ? cap : side->left;
    memset(p, 'u', *n);
    side->left -= *n;
    *end = side->left == 0;
    return MS_OK;
}

static void on_end(struct ms_stream *s, ms_err err, const char *detail)
{
    struct side *side = side_of(s);

    (void)detail;
    CHECK(side->opened && !side->ended && !side->cancelled && !s->session);
    side->ended = true;
    /* What could not even be sent counts as refused. */
    CHECK_THAT(err == MS_ENOMEM || (err == MS_EREFUSEDSTREAM && !s->asked) ||
                   strstr(t.script->ends, ms_err_name(err)),
               "%s: %s", t.script->name, ms_err_name(err));
    snprintf(t.ends + strlen(t.ends), sizeof(t.ends) - strlen(t.ends), "[%s]",
             ms_err_name(err));
}

static const struct ms_stream_ops ops = {.on_head = on_head,
                                         .on_data = on_data,
                                         .on_pull = on_pull,
                                         .on_end = on_end};

static struct ms_fields fields;

static ms_err open_stream(struct side *s, const char *method, bool expect)
{
    bool streamed = !strncmp(method, "PUT", 3);
    bool lent = !strncmp(method, "POST", 4);
    struct ms_request req = {
        .method = ms_span(method, lent ? 4 : 3),
        .target = MS_SPAN("/x"),
        .authority = MS_SPAN("h"),
        .list = &fields,
        .streamed = streamed,
        .expect = expect,
        .length = streamed ? -1 : 0,
        .has_body = lent,
        .body = lent ? MS_SPAN(LENT) : ms_span(NULL, 0),
    };

    s->left = UPLOAD;
    s->stream = (struct ms_stream){.ops = &ops,
                                   .head = &s->head,
                                   .trailers = &s->trailers,
                                   .max_head_bytes = 65536};
    if (!t.h->ops->room(t.h)) /* something failed before */
        return MS_ENOMEM;
    ms_err err = t.h->ops->open(t.h, &s->stream, &req);
    s->opened = !err;
    CHECK(!err == (s->stream.session == t.h));
    return err;
}

static ms_err feed(struct ms_span in)
{
    size_t used;
    ms_err err = t.h->ops->feed(t.h, in, &used);

    while (!err && t.h->due)
        err = t.h->ops->feed(t.h, ms_span(NULL, 0), &used);
    return err;
}

/* The bytes of a script's "<" lines, made before anything may fail. */
static struct ms_buf came[24];

static void prepare(const char *steps)
{
    size_t n = 0;

    for (const char *p = steps; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        ms_buf_clear(&came[n]);
        if (*p == '<') {
            char line[256];
            snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\n") - 2,
                     p + 2);
            frames(&came[n], line);
        }
        CHECK(++n < MS_COUNT(came));
    }
}

static void pull_all(void)
{
    struct ms_span run;

    while (t.h->ops->pull(t.h, &run, 1))
        t.h->ops->sent(t.h, run.n);
}

/* One of the owner's doings for a stream that is attached. */
static void act(struct side *s, char what)
{
    s->pause = what == 'z' || (s->pause && what != 'r');
    if (s->stream.session && what == 'r')
        t.h->ops->resume(t.h, &s->stream);
    if (s->stream.session && what == 'y')
        t.h->ops->proceed(t.h, &s->stream);
    if (s->stream.session && what == 'x') {
        s->cancelled = true;
        t.h->ops->cancel(t.h, &s->stream);
    }
}

static ms_err step(const char *p, struct ms_span in)
{
    struct side *s = p[1] == ' ' ? &t.side[(p[2] - '1') / 2 % STREAMS] : t.side;

    switch (*p) {
    case '<':
        return feed(in);
    case 'o':
    case 'e':
        return open_stream(s, p + 4, *p == 'e');
    case '/':
        pull_all();
        break;
    case 'i':
        t.h->ops->ping(t.h);
        break;
    case 'g':
        t.h->ops->drain(t.h);
        break;
    case 't':
        if (!t.h->streams) /* something failed before */
            t.h->ops->rest(t.h);
        break;
    case 'q':
        t.h->ops->eof(t.h, MS_OK);
        break;
    default:
        act(s, *p);
    }
    return t.h->due ? feed(ms_span(NULL, 0)) : MS_OK;
}

/* Plays a script as far as memory lets. */
static ms_err play(const char *steps)
{
    ms_err err = MS_OK;
    size_t n = 0;

    for (const char *p = steps; p && !err; p = strchr(p, '\n'), n++) {
        p += *p == '\n';
        err = step(p, ms_buf_span(&came[n]));
    }
    return err;
}

static void give_back(void)
{
    for (int i = 0; i < STREAMS; i++) {
        struct side *s = &t.side[i];
        act(s, 'x');
        CHECK(!s->opened || s->ended != s->cancelled);
        ms_head_free(&s->head);
        ms_fields_free(&s->trailers);
    }
    pull_all();
    t.h->ops->free(t.h);
}

/* False when the `nth` allocation was never asked for. */
static bool survives(const struct script *script, long nth, long times)
{
    struct ms_h2_config config = {.grown = &grown, .max_streams = STREAMS};

    memset(&t, 0, sizeof(t));
    t.script = script;
    ms_mem_fail(nth, times);
    ms_err err = ms_h2_new(&t.h, &config);
    if (!err)
        err = play(script->steps);
    bool asked = ms_mem_count() >= nth;
    ms_mem_fail(0, 0);
    if (!asked)
        CHECK_THAT(!strcmp(t.ends, script->ends), "%s: %s", script->name,
                   t.ends);
    CHECK_THAT(!err || (asked && err == MS_ENOMEM) ||
                   strstr(script->ends, ms_err_name(err)),
               "%s, %ld: %s", script->name, nth, ms_err_name(err));
    if (t.h)
        give_back();
    return asked;
}

TEST(whatever_allocation_fails)
{
    CHECK(!ms_fields_add(&fields, MS_SPAN("user-agent"), MS_SPAN("x")));
    for (size_t i = 0; i < MS_COUNT(scripts); i++) {
        prepare(scripts[i].steps);
        for (long times = 1; times <= MANY; times += MANY - 1) {
            long nth = 1;
            while (survives(&scripts[i], nth, times)) {
                nth++;
                CHECK(nth < MANY);
            }
            CHECK_THAT(nth > 30, "%s: only %ld", scripts[i].name, nth);
        }
    }
    for (size_t i = 0; i < MS_COUNT(came); i++)
        ms_buf_free(&came[i]);
    ms_fields_free(&fields);
}

/* ---- rest ---------------------------------------------------------------- */

/* How many allocations an exchange takes that goes well. */
static long cost_of(const char *steps)
{
    for (int i = 0; i < STREAMS; i++) {
        ms_head_free(&t.side[i].head);
        ms_fields_free(&t.side[i].trailers);
        t.side[i] = (struct side){0};
    }
    prepare(steps);
    t.ends[0] = '\0';
    ms_mem_fail(0, 0);
    CHECK(!play(steps));
    CHECK_THAT(!strcmp(t.ends, "[MS_OK]"), "%s", t.ends);
    return ms_mem_count();
}

/* What was kept to be quick is given back, and got again. */
TEST(one_that_rests_keeps_less_and_works_as_before)
{
    static const struct script any = {"rest", "", "[MS_OK]"};
    struct ms_h2_config config = {.grown = &grown, .max_streams = STREAMS};

    memset(&t, 0, sizeof(t));
    t.script = &any;
    CHECK(!ms_h2_new(&t.h, &config));
    cost_of("o 1 GET\n/\n< S 3=100\n< H 1 eh :status=200\n/");
    cost_of("o 3 GET\n/\n< H 3 eh :status=200\n/");
    cost_of("o 5 GET\n/\n< H 5 eh :status=200\n/");
    long quick = cost_of("o 7 GET\n/\n< H 7 eh :status=200\n/");
    t.h->ops->rest(t.h);
    t.h->ops->rest(t.h); /* there is nothing more */
    long rested = cost_of("o 9 GET\n/\n< H 9 eh :status=200\n/");
    CHECK_THAT(rested > quick, "%ld and %ld", quick, rested);
    give_back();
    for (size_t i = 0; i < MS_COUNT(came); i++)
        ms_buf_free(&came[i]);
}
