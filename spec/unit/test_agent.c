/* SPDX-License-Identifier: MIT
 *
 * Runs of several requests, against a server in this very program and with a
 * clock of its own: delays to the millisecond, and memory that ends at any
 * point.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/agent.h"
#include "engine/multi.h"
#include "unit.h"

#define OK                                                                     \
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"                             \
    "ok"
#define BUSY "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
#define MOVED                                                                  \
    "HTTP/1.1 302 There\r\nLocation: b#c\r\nContent-Length: 4\r\n\r\ngone"

enum { CONNS = 32 };

static struct {
    int listener;
    int conns[CONNS];
    bool once; /* a connection is answered once, then not read any more */
    bool answered[CONNS];
    size_t count;
    const char *const *answers; /* one for each request; the last one again */
    size_t asked;
    uint64_t clock_us;
    struct ms_multi *multi;
    struct ms_easy *easy;
} w;

static uint64_t our_clock(void)
{
    return w.clock_us;
}

/* ---- the server -------------------------------------------------------- */

static void serve_one(size_t i)
{
    char request[4096];
    int *fd = &w.conns[i];

    if (w.once && w.answered[i])
        return;
    ssize_t n = recv(*fd, request, sizeof(request) - 1, MSG_DONTWAIT);

    if (n == 0) {
        close(*fd);
        *fd = -1;
    }
    if (n <= 0)
        return;
    w.answered[i] = true;
    const char *answer = w.answers[w.asked];
    w.asked++;
    if (!w.answers[w.asked])
        w.asked--;
    if (*answer) {
        CHECK(send(*fd, answer, strlen(answer), MSG_NOSIGNAL) > 0);
        return;
    }
    close(*fd);
    *fd = -1;
}

static void serve(void)
{
    int fd = accept4(w.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        CHECK(w.count < CONNS);
        w.conns[w.count++] = fd;
    }
    for (size_t i = 0; i < w.count; i++)
        if (w.conns[i] >= 0)
            serve_one(i);
}

/* ---- the client -------------------------------------------------------- */

static void begin(const char *const *answers)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(&w, 0, sizeof(w));
    w.answers = answers;
    w.clock_us = 1000000;
    w.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(!bind(w.listener, (struct sockaddr *)&a, sizeof(a)));
    CHECK(!listen(w.listener, CONNS));
    CHECK(!ms_multi_new(&w.multi));
    w.multi->loop.clock = our_clock;
    ms_loop_touch(&w.multi->loop);
    w.multi->env.retries.at_us = w.clock_us;
}

static void close_server(void)
{
    for (size_t i = 0; i < w.count; i++)
        if (w.conns[i] >= 0)
            close(w.conns[i]);
    close(w.listener);
}

static void end(void)
{
    ms_easy_close(w.easy);
    ms_multi_free(w.multi);
    close_server();
}

static ms_err make_easy(struct ms_options *o)
{
    struct sockaddr_in a;
    socklen_t n = sizeof(a);
    char url[64];

    CHECK(!getsockname(w.listener, (struct sockaddr *)&a, &n));
    int len =
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/a", ntohs(a.sin_port));
    ms_err err = ms_easy_new(&w.easy);
    if (err)
        return err;
    ms_easy_set_options(w.easy, o);
    return ms_easy_set_url(w.easy, url, (size_t)len);
}

static struct ms_options *retrying(int64_t max, int64_t budget)
{
    struct ms_options *o;

    CHECK(!ms_options_new(&o, NULL));
    CHECK(!ms_options_set_int(o, MS_OPT_RETRY_MAX, max));
    CHECK(!ms_options_set_int(o, MS_OPT_RETRY_BUDGET, budget));
    return o;
}

/* Works until the transfer is over or waits for a time of its own. */
static void work(void)
{
    for (int i = 0; i < 10000; i++) {
        ms_err err = ms_multi_perform(w.multi, NULL);
        CHECK(!err || err == MS_ENOMEM);
        const char *wrong = ms_multi_check(w.multi);
        CHECK_THAT(!wrong, "%s", wrong);
        serve();
        if (!ms_multi_running(w.multi) ||
            (w.easy->agent && w.easy->agent->wake_us != MS_NEVER &&
             w.easy->state == MS_RUN_QUEUED))
            return;
    }
    CHECK_THAT(false, "it takes for ever");
}

/* How long it waits for its next try, in us; the clock has come that far
 * then. 0: it is over. */
static uint64_t next_wait(void)
{
    work();
    if (!ms_easy_running(w.easy))
        return 0;
    uint64_t wait = w.easy->agent->wake_us - w.clock_us;
    w.clock_us += wait - 1;
    work();
    CHECK(ms_easy_running(w.easy) && w.easy->state == MS_RUN_QUEUED);
    w.clock_us++;
    return wait;
}

/* ---- callbacks that come late ------------------------------------------- */

static enum ms_verdict count_data(struct ms_easy *easy, const char *p, size_t n,
                                  void *user)
{
    (void)easy;
    (void)p;
    *(size_t *)user += n;
    return MS_GO_ON;
}

static enum ms_verdict ask_for_data(struct ms_easy *easy,
                                    const struct ms_response *head, void *user)
{
    (void)head;
    ms_easy_on_data(easy, count_data, user);
    return MS_GO_ON;
}

TEST(a_head_may_decide_where_a_limited_body_goes)
{
    static const char *const fine[] = {OK, NULL};
    struct ms_options *o;
    size_t came = 0;

    begin(fine);
    CHECK(!ms_options_new(&o, NULL));
    CHECK(!ms_options_set_int(o, MS_OPT_MAX_BODY, 1));
    CHECK(!make_easy(o));
    ms_options_free(o);
    ms_easy_on_headers(w.easy, ask_for_data, &came);
    CHECK(!ms_multi_add(w.multi, w.easy));
    work();
    CHECK(ms_easy_error(w.easy)->err == MS_ETOOLARGE && came == 0);
    end();
}

/* Two pieces; with the first comes a wish for the next run. */
static enum ms_verdict two_pieces(struct ms_easy *easy, char *p, size_t cap,
                                  size_t *n, bool *end, void *user)
{
    int *calls = user;

    CHECK(cap > 0);
    *p = 'x';
    *n = 1;
    *end = ++*calls == 2;
    CHECK(!ms_easy_on_body(easy, NULL, NULL, 0));
    return MS_GO_ON;
}

TEST(another_body_is_for_the_next_run)
{
    static const char *const fine[] = {OK, NULL};
    int calls = 0;

    begin(fine);
    CHECK(!make_easy(NULL));
    CHECK(!ms_easy_on_body(w.easy, two_pieces, &calls, 2));
    for (int run = 0; run < 2; run++) {
        CHECK(!ms_multi_add(w.multi, w.easy));
        work();
        CHECK(!ms_easy_error(w.easy)->err && calls == 2);
        CHECK(!ms_multi_remove(w.multi, w.easy));
    }
    end();
}

/* ---- delays ------------------------------------------------------------ */

static const char *const always_busy[] = {BUSY, NULL};

static void start(int64_t max, int64_t budget)
{
    struct ms_options *o = retrying(max, budget);

    CHECK(!make_easy(o));
    ms_options_free(o);
    CHECK(!ms_multi_add(w.multi, w.easy));
}

/* The waits of a run with that seed. */
static void take_waits(uint64_t seed, uint64_t *waits, size_t count)
{
    begin(always_busy);
    w.multi->env.random = seed;
    start((int64_t)count, -1);
    for (size_t i = 0; i < count; i++)
        waits[i] = next_wait();
    CHECK(next_wait() == 0);
    CHECK(ms_response_status(ms_easy_response(w.easy)) == 503);
    end();
}

TEST(delays_grow_at_random_within_bounds)
{
    enum { COUNT = 12, MOST_US = 30000000 };
    uint64_t waits[COUNT], again[COUNT], other[COUNT];

    for (uint64_t seed = 0; seed < 20; seed++) {
        take_waits(seed, waits, COUNT);
        uint64_t last = 100000;
        for (size_t i = 0; i < COUNT; i++) {
            CHECK(waits[i] >= 100000 && waits[i] <= MOST_US);
            CHECK(waits[i] <= 3 * last);
            last = waits[i];
        }
    }
    take_waits(7, waits, COUNT);
    take_waits(7, again, COUNT);
    take_waits(8, other, COUNT);
    CHECK(!memcmp(waits, again, sizeof(waits)));
    CHECK(memcmp(waits, other, sizeof(waits)) != 0);
}

TEST(two_multis_have_two_seeds)
{
    struct ms_multi *a, *b;

    CHECK(!ms_multi_new(&a) && !ms_multi_new(&b));
    CHECK(a->env.random != b->env.random);
    ms_multi_free(a);
    ms_multi_free(b);
}

/* ---- the budget -------------------------------------------------------- */

/* How many requests one run makes when it may make `max` retries. */
static unsigned requests_of_a_run(int64_t max, int64_t budget)
{
    start(max, budget);
    unsigned n = 1;
    while (next_wait())
        n++;
    ms_easy_close(w.easy);
    return n;
}

TEST(a_budget_comes_back_in_ten_seconds)
{
    begin(always_busy);
    CHECK(requests_of_a_run(20, 1000) == 21);
    /* The waits of those took minutes. */
    w.multi->env.retries = (struct ms_retry_account){0, w.clock_us};
    CHECK(requests_of_a_run(2, 4) == 3);
    w.multi->env.retries = (struct ms_retry_account){4000, w.clock_us};
    CHECK(requests_of_a_run(1, 4) == 1); /* 3.9 spent of 4 */
    w.multi->env.retries = (struct ms_retry_account){4000, w.clock_us};
    w.clock_us += 2300000; /* 0.92 and the request's 0.1 */
    CHECK(requests_of_a_run(1, 4) == 2);
    w.multi->env.retries = (struct ms_retry_account){4000, w.clock_us};
    w.clock_us += 2200000; /* 0.88 */
    CHECK(requests_of_a_run(1, 4) == 1);
    w.multi->env.retries = (struct ms_retry_account){1 << 30, w.clock_us};
    CHECK(requests_of_a_run(1, -1) == 2); /* no limit */
    w.easy = NULL;
    end();
}

/* ---- on the way -------------------------------------------------------- */

TEST(a_run_that_waits_can_be_removed_and_begun_again)
{
    static const char *const answers[] = {BUSY, MOVED, BUSY, OK, NULL};

    begin(answers);
    start(5, -1);
    work();
    CHECK(w.easy->state == MS_RUN_QUEUED && ms_multi_running(w.multi) == 1);
    CHECK(!ms_multi_remove(w.multi, w.easy));
    CHECK(!ms_multi_running(w.multi) && ms_multi_timeout(w.multi) != 0);
    CHECK(!ms_multi_add(w.multi, w.easy));
    while (next_wait())
        ;
    CHECK(ms_response_status(ms_easy_response(w.easy)) == 200);
    size_t n;
    const char *url = ms_response_url(ms_easy_response(w.easy), &n);
    CHECK(n > 4 && !memcmp(url + n - 4, "/b#c", 4));
    end();
}

/* ---- the response nobody gets ------------------------------------------ */

#define SLOW(status)                                                           \
    "HTTP/1.1 " status " There\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nx"

static bool is_draining(void)
{
    for (int i = 0; i < 1000 && !w.easy->unwanted; i++) {
        CHECK(!ms_multi_perform(w.multi, NULL));
        serve();
    }
    return w.easy->unwanted;
}

TEST(a_slow_one_is_read_for_a_second)
{
    static const char *const answers[] = {SLOW("302"), OK, NULL};

    begin(answers);
    start(0, -1);
    CHECK(is_draining());
    w.clock_us += 1000000 - 1;
    CHECK(!ms_multi_perform(w.multi, NULL));
    CHECK(w.easy->unwanted && w.count == 1);
    w.clock_us += 1;
    work();
    CHECK(w.count == 2);
    CHECK(ms_response_status(ms_easy_response(w.easy)) == 200);
    end();
}

/* Time stands still: what is waited for never comes. */
TEST(one_that_says_it_is_long_is_not_read)
{
    static const char *const answers[] = {
        "HTTP/1.1 302 There\r\nLocation: /b\r\nContent-Length: 65537\r\n\r\nx",
        "HTTP/1.1 302 There\r\nLocation: /c\r\n\r\nx", OK, NULL};

    begin(answers);
    start(0, -1);
    work();
    CHECK(w.count == 3);
    CHECK(ms_response_status(ms_easy_response(w.easy)) == 200);
    end();
}

/* Its connection cannot be used again: the rest of the request would have to
 * be sent on it. */
TEST(one_that_came_too_early_is_not_read)
{
    enum { BYTES = 32 << 20 };
    static const char *const answers[] = {SLOW("307"), OK, NULL};
    struct ms_options *o;
    char *body = calloc(1, BYTES);

    begin(answers);
    w.once = true;
    CHECK(body && !ms_options_new(&o, NULL));
    CHECK(!ms_options_set_string(o, MS_OPT_BODY, body, BYTES));
    CHECK(!make_easy(o));
    CHECK(!ms_multi_add(w.multi, w.easy));
    work();
    CHECK(w.count == 2);
    CHECK(ms_response_status(ms_easy_response(w.easy)) == 200);
    ms_options_free(o);
    free(body);
    end();
}

/* A transfer that gives its response away is not lent to any more. */
TEST(a_response_outlives_its_agent)
{
    static const char *const answers[] = {MOVED, OK, NULL};
    struct ms_redirect hop;
    struct ms_field field;

    begin(answers);
    start(1, -1);
    CHECK(next_wait() == 0);
    CHECK(!ms_multi_remove(w.multi, w.easy));
    struct ms_response *r = ms_easy_take_response(w.easy);
    CHECK(r != NULL);
    end();
    CHECK(ms_response_redirect(r, 0, &hop) && hop.status == 302);
    CHECK(hop.location_len == 3 && !memcmp(hop.location, "b#c", 3));
    CHECK(!ms_response_redirect(r, 1, &hop));
    CHECK(ms_response_request_header(r, 0, &field));
    CHECK(field.value_len > 10 && !memcmp(field.value, "127.0.0.1:", 10));
    CHECK(ms_response_timing(r, MS_TIMING_TOTAL) >=
          ms_response_timing(r, MS_TIMING_REDIRECT));
    ms_response_free(r);
}

#ifdef MS_FAIL_ALLOC
/* A redirect, a retry, a redirect to nobody with a certificate and a cookie to
 * leave behind, and retries there: ends for want of that or of memory. */
static bool survives(long nth)
{
    static const char *const answers[] = {MOVED, BUSY,
                                          "HTTP/1.1 307 T\r\nLocation: "
                                          "http://127.0.0.1:1/\r\n"
                                          "Content-Length: 0\r\n\r\n",
                                          OK, NULL};
    struct ms_options *o;

    begin(answers);
    o = retrying(3, -1);
    CHECK(!ms_options_set_string(o, MS_OPT_TLS_CERT, "a", 1));
    CHECK(!ms_options_set_string(o, MS_OPT_CONNECT_TO, "x=y", 3));
    CHECK(!ms_options_header(o, MS_HEADER_SET, "Cookie", 6, "a", 1));
    CHECK(!make_easy(o));
    ms_options_free(o);
    ms_mem_fail(nth, 1);
    ms_err err = ms_multi_add(w.multi, w.easy);
    while (!err && next_wait())
        ;
    bool all = ms_mem_count() < nth;
    ms_mem_fail(0, 0);
    if (!err)
        err = ms_easy_error(w.easy)->err;
    CHECK_THAT(err == MS_EREFUSED || (err == MS_ENOMEM && !all), "%ld: %s", nth,
               ms_err_name(err));
    end();
    return all;
}

TEST(memory_may_end_anywhere)
{
    long nth = 1;

    while (!survives(nth))
        nth++;
    CHECK(nth > 20);
}
#endif
