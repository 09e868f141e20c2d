/* SPDX-License-Identifier: MIT
 *
 * libevent.c - fetches all its arguments at once, on a libevent base.
 *
 *     cc libevent.c $(pkg-config --cflags --libs multisocket libevent_core)
 *     ./a.out http://localhost:8080/a http://localhost:8080/b
 *
 * A persistent event for each socket, and one timer.
 */
#include <event2/event.h>
#include <multisocket.h>
#include <stdio.h>
#include <string.h>

struct loop {
    struct ms_multi *multi;
    struct event_base *base;
    struct event *timer;
};

/* ---- what it is told ---------------------------------------------------- */

static void on_event(evutil_socket_t fd, short what, void *user)
{
    struct loop *loop = user;
    unsigned mask = (what & EV_READ ? MS_CSELECT_IN : 0u) |
                    (what & EV_WRITE ? MS_CSELECT_OUT : 0u);

    if (what & EV_TIMEOUT)
        ms_multi_socket_action(loop->multi, MS_SOCKET_TIMEOUT, 0);
    else
        ms_multi_socket_action(loop->multi, (int)fd, mask);
}

/* ---- what the engine asks for ------------------------------------------- */

/* `value` is the socket's event. An event cannot be changed: a new one takes
 * its place. */
static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    struct loop *loop = user;
    short events = (short)((what & MS_POLL_IN ? EV_READ : 0) |
                           (what & MS_POLL_OUT ? EV_WRITE : 0));

    (void)easy;
    if (value)
        event_free(value);
    if (what == MS_POLL_REMOVE)
        return true;
    struct event *ev =
        event_new(loop->base, fd, (short)(events | EV_PERSIST), on_event, loop);
    ms_multi_assign(loop->multi, fd, ev);
    return ev && event_add(ev, NULL) == 0; /* false ends its transfers */
}

static bool on_timer(struct ms_multi *multi, int64_t timeout_ms, void *user)
{
    struct loop *loop = user;
    struct timeval t = {(time_t)(timeout_ms / 1000),
                        (suseconds_t)(timeout_ms % 1000 * 1000)};

    (void)multi;
    if (timeout_ms < 0)
        return event_del(loop->timer) == 0;
    return event_add(loop->timer, &t) == 0;
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

/* ---- main -----------------------------------------------------------------
 */

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
    struct loop loop = {.base = event_base_new()};

    if (!loop.base || ms_multi_new(&loop.multi))
        return 1;
    loop.timer = event_new(loop.base, -1, 0, on_event, &loop);
    ms_multi_on_socket(loop.multi, on_socket, &loop);
    ms_multi_on_timer(loop.multi, on_timer, &loop);
    ms_multi_on_done(loop.multi, on_done, NULL);
    for (int i = 1; i < argc; i++)
        if (start(loop.multi, argv[i]))
            return 1;
    while (ms_multi_running(loop.multi))
        event_base_loop(loop.base, EVLOOP_ONCE);
    end(loop.multi);
    event_free(loop.timer);
    event_base_free(loop.base);
    return 0;
}
