/* SPDX-License-Identifier: MIT
 *
 * test_cookies.c - transfers with a jar, against a server in a thread that
 * redirects and sets cookies: what is sent, and what is left when memory runs
 * out anywhere on the way.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "multisocket.h"
#include "proto/jar.h"
#include "unit.h"

/* More allocations than one transfer makes. */
#define MOST 2000

static struct {
    int listener, stop[2];
    unsigned short port;
    pthread_t thread;
    struct ms_multi *multi;
    char cookie[256]; /* the last Cookie line that came */
} w;

/* ---- the server: one connection, one request -------------------------------
 */

static void note_cookie(const char *head)
{
    const char *line = strstr(head, "\r\nCookie: ");

    *w.cookie = 0;
    if (line)
        sscanf(line + 10, "%255[^\r]", w.cookie);
}

static void answer(int fd)
{
    static const char go[] =
        "HTTP/1.1 302 Go\r\nSet-Cookie: a=1; path=/\r\nSet-Cookie: no; "
        "domain=com\r\nLocation: /b\r\nContent-Length: 0\r\nConnection: "
        "close\r\n\r\n";
    static const char ok[] =
        "HTTP/1.1 200 OK\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n"
        "Connection: close\r\n\r\n";
    char head[2048];
    size_t n = 0;
    ssize_t k;

    do {
        k = recv(fd, head + n, sizeof(head) - 1 - n, 0);
        n += k > 0 ? (size_t)k : 0;
        head[n] = 0;
    } while (k > 0 && !strstr(head, "\r\n\r\n"));
    if (k > 0) {
        const char *text = strncmp(head, "GET /b", 6) ? go : ok;
        note_cookie(head);
        (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
    }
    close(fd);
}

static void *serve(void *unused)
{
    struct pollfd p[] = {{w.listener, POLLIN, 0}, {w.stop[0], POLLIN, 0}};

    while (poll(p, 2, -1) > 0 && !p[1].revents)
        answer(accept(w.listener, NULL, NULL));
    return unused;
}

static void begin(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(sa);

    w.listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(w.listener, (struct sockaddr *)&sa, n) == 0);
    CHECK(listen(w.listener, 64) == 0);
    CHECK(getsockname(w.listener, (struct sockaddr *)&sa, &n) == 0);
    w.port = ntohs(sa.sin_port);
    CHECK(pipe(w.stop) == 0);
    CHECK(pthread_create(&w.thread, NULL, serve, NULL) == 0);
    CHECK(!ms_multi_new(&w.multi));
}

static void end(void)
{
    ms_multi_free(w.multi);
    CHECK(write(w.stop[1], "x", 1) == 1);
    CHECK(pthread_join(w.thread, NULL) == 0);
    close(w.listener);
    close(w.stop[0]);
    close(w.stop[1]);
}

/* ---- the client
 * ----------------------------------------------------------------- */

static ms_err run(struct ms_easy *e)
{
    struct ms_message m;
    int running = 1;
    size_t ready;

    ms_err err = ms_multi_add(w.multi, e);
    while (!err && running) {
        err = ms_multi_perform(w.multi, &running);
        if (!err && running)
            err = ms_multi_poll(w.multi, NULL, 0, 10000, &ready);
    }
    CHECK(!ms_multi_check(w.multi));
    if (ms_multi_info_read(w.multi, &m) && !err)
        err = m.err;
    CHECK(!ms_multi_remove(w.multi, e));
    return err;
}

/* Fetches "/" with `jar`, or with one of the run's own when that is NULL. */
static ms_err fetch(struct ms_jar *jar)
{
    struct ms_options *o = NULL;
    struct ms_easy *e = NULL;
    char url[64];
    int n = snprintf(url, sizeof(url), "http://127.0.0.1:%u/", w.port);

    ms_err err = ms_options_new(&o, NULL);
    if (!err)
        err = jar ? ms_options_jar(o, jar)
                  : ms_options_set_bool(o, MS_OPT_COOKIES, true);
    if (!err)
        err = ms_options_header(o, MS_HEADER_SET, "Cookie", 6, "hand=3", 6);
    if (!err)
        err = ms_easy_new(&e);
    if (!err)
        err = ms_easy_set_url(e, url, (size_t)n);
    if (!err) {
        ms_easy_set_options(e, o);
        err = run(e);
    }
    if (e)
        ms_easy_close(e);
    ms_options_free(o);
    return err;
}

static bool last_sent(const char *cookie)
{
    return !strcmp(w.cookie, cookie);
}

TEST(each_hop_sends_what_those_before_set)
{
    struct ms_jar *jar;

    begin();
    CHECK(!ms_jar_new(&jar));
    CHECK(!fetch(jar));
    CHECK_THAT(last_sent("a=1; hand=3"), "%s", w.cookie);
    CHECK(!fetch(jar));
    CHECK_THAT(last_sent("a=1; b=2; hand=3"), "%s", w.cookie);
    CHECK(!fetch(NULL));
    CHECK_THAT(last_sent("a=1; hand=3"), "%s", w.cookie);
    CHECK(jar->count == 2);
    ms_jar_free(jar);
    end();
}

#ifdef MS_FAIL_ALLOC

TEST(memory_that_runs_out_on_the_way_is_an_error_and_leaves_a_sound_jar)
{
    long nth = 0;
    ms_err err;

    begin();
    CHECK(!fetch(NULL)); /* what is made once is there */
    do {
        struct ms_jar *jar = NULL;
        if (nth % 2)
            CHECK(!ms_jar_new(&jar));
        ms_mem_fail(++nth, 1);
        err = fetch(jar);
        long asked = ms_mem_count();
        ms_mem_fail(0, 0);
        CHECK_THAT(nth < MOST, "never enough");
        CHECK_THAT(!jar || !ms_jar_check(jar), "%s", ms_jar_check(jar));
        ms_jar_free(jar);
        CHECK(!ms_multi_check(w.multi));
        if (asked < nth)
            break;
    } while (true);
    CHECK(!err && nth > 20);
    end();
}

#endif
