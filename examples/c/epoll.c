/* SPDX-License-Identifier: MIT
 *
 * epoll.c - fetches all its arguments at once, on a raw epoll set.
 *
 *     cc epoll.c $(pkg-config --cflags --libs multisocket) -o epoll
 *     ./epoll http://localhost:8080/a http://localhost:8080/b
 *
 * An event loop in the smallest sense: one set of sockets, one deadline. All
 * events of a turn are handed over in one call.
 */
#include <multisocket.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#define MAX_EVENTS 256

struct loop {
    struct ms_multi *multi;
    int set;
    int64_t due_ms; /* -1: no deadline */
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what the engine asks for ------------------------------------------- */

/* `value` is what we assigned: not NULL once the socket is in the set. */
static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    struct loop *loop = user;
    struct epoll_event ev = {.data.fd = fd};

    (void)easy;
    if (what & MS_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & MS_POLL_OUT)
        ev.events |= EPOLLOUT;
    int op = what == MS_POLL_REMOVE ? EPOLL_CTL_DEL
             : value                ? EPOLL_CTL_MOD
                                    : EPOLL_CTL_ADD;
    if (epoll_ctl(loop->set, op, fd, &ev))
        return false; /* ends the transfers of this socket */
    return op != EPOLL_CTL_ADD || !ms_multi_assign(loop->multi, fd, loop);
}

static bool on_timer(struct ms_multi *multi, int64_t timeout_ms, void *user)
{
    struct loop *loop = user;

    (void)multi;
    loop->due_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    return true;
}

static void on_done(struct ms_multi *multi, struct ms_easy *easy, void *user)
{
    const struct ms_response *r = ms_easy_response(easy);
    char message[256];
    size_t n;

    (void)multi;
    (void)user;
    if (ms_easy_error(easy)->err) {
        ms_easy_error_message(easy, message, sizeof(message));
        printf("failed: %s\n", message);
        return;
    }
    ms_response_body(r, &n);
    printf("%d, %zu bytes\n", ms_response_status(r), n);
}

/* ---- what it is told ---------------------------------------------------- */

static unsigned mask_of(uint32_t events)
{
    return (events & EPOLLIN ? MS_CSELECT_IN : 0u) |
           (events & EPOLLOUT ? MS_CSELECT_OUT : 0u) |
           (events & (EPOLLERR | EPOLLHUP) ? MS_CSELECT_ERR : 0u);
}

static void turn(struct loop *loop)
{
    struct epoll_event ready[MAX_EVENTS];
    struct ms_event events[MAX_EVENTS];
    int64_t wait = -1;

    if (loop->due_ms >= 0)
        wait = loop->due_ms > now_ms() ? loop->due_ms - now_ms() : 0;
    int n = epoll_wait(loop->set, ready, MAX_EVENTS, (int)wait);
    for (int i = 0; i < n; i++)
        events[i] =
            (struct ms_event){ready[i].data.fd, mask_of(ready[i].events)};
    if (n > 0)
        ms_multi_socket_actions(loop->multi, events, (size_t)n);
    if (loop->due_ms >= 0 && loop->due_ms <= now_ms()) {
        loop->due_ms = -1; /* a deadline is told once */
        ms_multi_socket_action(loop->multi, MS_SOCKET_TIMEOUT, 0);
    }
}

static ms_err start(struct ms_multi *multi, const char *url)
{
    struct ms_easy *easy;
    ms_err err = ms_easy_new(&easy);

    if (!err)
        err = ms_easy_set_url(easy, url, strlen(url));
    return err ? err : ms_multi_add(multi, easy);
}

static void end(struct ms_multi *multi)
{
    struct ms_message done;

    while (ms_multi_info_read(multi, &done))
        ms_easy_close(done.easy);
    ms_multi_close(multi); /* the last sockets are withdrawn */
    ms_multi_free(multi);
}

int main(int argc, char **argv)
{
    struct loop loop = {NULL, epoll_create1(EPOLL_CLOEXEC), -1};

    if (loop.set < 0 || ms_multi_new(&loop.multi))
        return 1;
    ms_multi_on_socket(loop.multi, on_socket, &loop);
    ms_multi_on_timer(loop.multi, on_timer, &loop);
    ms_multi_on_done(loop.multi, on_done, NULL);
    for (int i = 1; i < argc; i++)
        if (start(loop.multi, argv[i]))
            return 1;
    while (ms_multi_running(loop.multi))
        turn(&loop);
    end(loop.multi);
    return 0;
}
