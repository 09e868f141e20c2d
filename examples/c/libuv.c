/* SPDX-License-Identifier: MIT
 *
 * libuv.c - fetches all its arguments at once, on a libuv loop.
 *
 *     cc libuv.c $(pkg-config --cflags --libs multisocket libuv) -o libuv
 *     ./libuv http://localhost:8080/a http://localhost:8080/b
 *
 * A poll handle for each socket, and one timer.
 */
#include <multisocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct loop {
    struct ms_multi *multi;
    uv_timer_t timer;
};

/* ---- what it is told ---------------------------------------------------- */

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct loop *loop = uv_default_loop()->data;
    unsigned mask = (events & UV_READABLE ? MS_CSELECT_IN : 0u) |
                    (events & UV_WRITABLE ? MS_CSELECT_OUT : 0u) |
                    (status < 0 ? MS_CSELECT_ERR : 0u);
    uv_os_fd_t fd;

    if (!uv_fileno((uv_handle_t *)poll, &fd))
        ms_multi_socket_action(loop->multi, fd, mask);
}

static void on_expire(uv_timer_t *timer)
{
    struct loop *loop = timer->data;

    ms_multi_socket_action(loop->multi, MS_SOCKET_TIMEOUT, 0);
}

/* ---- what the engine asks for ------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

/* `value` is the socket's poll handle. It is closed before the socket is. */
static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    struct loop *loop = user;
    uv_poll_t *poll = value;
    int events = (what & MS_POLL_IN ? UV_READABLE : 0) |
                 (what & MS_POLL_OUT ? UV_WRITABLE : 0);

    (void)easy;
    if (what == MS_POLL_REMOVE) {
        uv_close((uv_handle_t *)poll, on_closed);
        return true;
    }
    if (!poll) {
        poll = malloc(sizeof(*poll));
        if (!poll || uv_poll_init(uv_default_loop(), poll, fd))
            return false; /* ends the transfers of this socket */
        ms_multi_assign(loop->multi, fd, poll);
    }
    return uv_poll_start(poll, events, on_ready) == 0;
}

static bool on_timer(struct ms_multi *multi, int64_t timeout_ms, void *user)
{
    struct loop *loop = user;

    (void)multi;
    if (timeout_ms < 0)
        return uv_timer_stop(&loop->timer) == 0;
    uv_update_time(uv_default_loop());
    return uv_timer_start(&loop->timer, on_expire, (uint64_t)timeout_ms, 0) ==
           0;
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
    struct loop loop;

    if (ms_multi_new(&loop.multi))
        return 1;
    uv_default_loop()->data = &loop;
    uv_timer_init(uv_default_loop(), &loop.timer);
    loop.timer.data = &loop;
    ms_multi_on_socket(loop.multi, on_socket, &loop);
    ms_multi_on_timer(loop.multi, on_timer, &loop);
    ms_multi_on_done(loop.multi, on_done, NULL);
    for (int i = 1; i < argc; i++)
        if (start(loop.multi, argv[i]))
            return 1;
    while (ms_multi_running(loop.multi))
        uv_run(uv_default_loop(), UV_RUN_ONCE);
    end(loop.multi);
    uv_run(uv_default_loop(), UV_RUN_NOWAIT); /* closes the last handles */
    return 0;
}
