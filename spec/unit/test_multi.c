/* SPDX-License-Identifier: MIT
 *
 * What the calls of a multi handle answer in C, where the Lua binding asks
 * first and never gets there: wrong adds and removals, values of sockets.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "multisocket.h"
#include "unit.h"

static struct {
    int listener, fd;
    struct ms_multi *multi;
    struct ms_easy *easy;
    void *values[8]; /* as the socket callback was told */
    int calls;
} w;

static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    (void)easy;
    (void)what;
    (void)user;
    CHECK(w.calls < 8);
    w.fd = fd;
    w.values[w.calls++] = value;
    return true;
}

static struct ms_easy *new_easy(void)
{
    struct sockaddr_in a;
    socklen_t n = sizeof(a);
    struct ms_easy *e;
    char url[64];

    CHECK(!getsockname(w.listener, (struct sockaddr *)&a, &n));
    int len =
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(a.sin_port));
    CHECK(!ms_easy_new(&e));
    CHECK(!ms_easy_set_url(e, url, (size_t)len));
    return e;
}

/* A transfer that nobody answers. */
static void begin(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    w.calls = 0;
    w.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(!bind(w.listener, (struct sockaddr *)&a, sizeof(a)));
    CHECK(!listen(w.listener, 8));
    CHECK(!ms_multi_new(&w.multi));
    ms_multi_on_socket(w.multi, on_socket, NULL);
    w.easy = new_easy();
    CHECK(!ms_multi_add(w.multi, w.easy));
}

static void end(void)
{
    ms_easy_close(w.easy);
    ms_multi_close(w.multi);
    ms_multi_free(w.multi);
    close(w.listener);
}

static int open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static bool close_and_swap(struct ms_easy *easy, int fd, int what, void *user,
                           void *value)
{
    (void)easy, (void)fd, (void)user, (void)value;
    if (what != MS_POLL_REMOVE)
        ms_multi_close(w.multi);
    else if (w.calls++ < 8)
        ms_multi_on_socket(w.multi, close_and_swap, &w);
    return true;
}

/* Found by test_model.c: what was put off while the host set other callbacks
 * waited for a call that a closed multi ignores. */
TEST(closing_leaves_no_descriptor_open_whatever_callbacks_do)
{
    struct ms_easy *more[3];
    int before = open_fds() + 1; /* the listener */

    begin();
    for (int i = 0; i < 3; i++) {
        more[i] = new_easy();
        CHECK(!ms_multi_add(w.multi, more[i]));
    }
    ms_multi_on_socket(w.multi, close_and_swap, &w);
    ms_multi_socket_action(w.multi, MS_SOCKET_TIMEOUT, 0);
    CHECK(w.calls > 0);
    CHECK(open_fds() == before);
    for (int i = 0; i < 3; i++)
        ms_easy_close(more[i]);
    end();
}

TEST(what_is_added_cannot_be_added_again)
{
    struct ms_multi *other;

    begin();
    CHECK(!ms_multi_new(&other));
    CHECK(ms_multi_add(w.multi, w.easy) == MS_EADDED);
    CHECK(ms_multi_add(other, w.easy) == MS_EADDED);
    CHECK(ms_multi_running(w.multi) == 1 && ms_multi_running(other) == 0);
    CHECK(!ms_multi_check(w.multi) && !ms_multi_check(other));
    ms_multi_free(other);
    end();
}

TEST(a_wrong_removal_is_refused_and_one_of_nothing_is_fine)
{
    struct ms_multi *other;
    struct ms_easy *none;

    begin();
    none = new_easy();
    CHECK(!ms_multi_new(&other));
    CHECK(!ms_multi_remove(w.multi, none));
    CHECK(ms_multi_remove(other, w.easy) == MS_EUSAGE);
    CHECK(ms_multi_running(w.multi) == 1);
    ms_multi_free(other);
    ms_easy_close(none);
    end();
}

#ifdef MS_FAIL_ALLOC
TEST(a_failed_add_changes_nothing)
{
    struct ms_stats before, after;
    struct ms_easy *e;

    begin();
    e = new_easy();
    ms_multi_stats(w.multi, &before);
    ms_mem_fail(1, 1);
    CHECK(ms_multi_add(w.multi, e) == MS_ENOMEM);
    ms_mem_fail(0, 0);
    ms_multi_stats(w.multi, &after);
    CHECK(after.running == before.running && after.added == before.added);
    CHECK(ms_multi_running(w.multi) == 1 && !ms_easy_multi(e));
    CHECK(!ms_multi_check(w.multi));
    CHECK(!ms_multi_add(w.multi, e));
    ms_easy_close(e);
    end();
}

#endif

/* The connect, its end and the removal; then the number again. */
static void one_life(void *mark)
{
    struct ms_stats stats;
    struct pollfd p;

    w.calls = 0;
    ms_multi_socket_action(w.multi, MS_SOCKET_TIMEOUT, 0);
    CHECK(w.calls == 1 && !w.values[0]);
    p = (struct pollfd){w.fd, POLLOUT, 0};
    CHECK(!ms_multi_assign(w.multi, w.fd, &w));
    CHECK(!ms_multi_assign(w.multi, w.fd, mark));
    CHECK(ms_multi_assign(w.multi, w.fd + 1, mark) == MS_EUSAGE);
    CHECK(poll(&p, 1, 5000) == 1);
    ms_multi_socket_action(w.multi, w.fd, MS_CSELECT_OUT);
    ms_multi_stats(w.multi, &stats);
    CHECK(stats.bytes_out > 0);
    CHECK(!ms_multi_remove(w.multi, w.easy));
    CHECK(w.calls == 3 && w.values[1] == mark && w.values[2] == mark);
}

TEST(a_value_is_the_last_one_assigned_and_goes_with_its_socket)
{
    int marks[2], fd;

    begin();
    one_life(&marks[0]);
    fd = w.fd;
    CHECK(!ms_multi_add(w.multi, w.easy));
    one_life(&marks[1]);
    CHECK(w.fd == fd); /* the same number, and nothing of what it was */
    end();
}
