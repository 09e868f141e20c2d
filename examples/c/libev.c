/* SPDX-License-Identifier: MIT
 *
 * libev.c - fetches all its arguments at once, on a libev loop.
 *
 *     cc libev.c $(pkg-config --cflags --libs multisocket) -lev -o libev
 *     ./libev http://localhost:8080/a http://localhost:8080/b
 *
 * An io watcher for each socket, and one timer.
 */
#include <ev.h>
#include <multisocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state {
    struct ms_multi *multi;
    struct ev_loop *loop;
    ev_timer timer;
};

/* ---- what it is told ---------------------------------------------------- */

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
    struct state *state = ev_userdata(loop);
    unsigned mask = (events & EV_READ ? MS_CSELECT_IN : 0u) |
                    (events & EV_WRITE ? MS_CSELECT_OUT : 0u);

    ms_multi_socket_action(state->multi, io->fd, mask);
}

static void on_expire(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct state *state = ev_userdata(loop);

    (void)timer;
    (void)events;
    ms_multi_socket_action(state->multi, MS_SOCKET_TIMEOUT, 0);
}

/* ---- what the engine asks for ------------------------------------------- */

/* `value` is the socket's watcher. */
static bool on_socket(struct ms_easy *easy, int fd, int what, void *user,
                      void *value)
{
    struct state *state = user;
    ev_io *io = value ? value : calloc(1, sizeof(*io));

    (void)easy;
    if (!io)
        return false; /* ends the transfers of this socket */
    if (!value)
        ms_multi_assign(state->multi, fd, io);
    ev_io_stop(state->loop, io);
    if (what == MS_POLL_REMOVE) {
        free(io);
        return true;
    }
    ev_io_init(io, on_ready, fd,
               (what & MS_POLL_IN ? EV_READ : 0) |
                   (what & MS_POLL_OUT ? EV_WRITE : 0));
    ev_io_start(state->loop, io);
    return true;
}

static bool on_timer(struct ms_multi *multi, int64_t timeout_ms, void *user)
{
    struct state *state = user;

    (void)multi;
    ev_timer_stop(state->loop, &state->timer);
    if (timeout_ms < 0)
        return true;
    ev_now_update(state->loop);
    ev_timer_init(&state->timer, on_expire, (double)timeout_ms / 1000.0, 0.0);
    ev_timer_start(state->loop, &state->timer);
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
    struct state state = {.loop = ev_loop_new(EVFLAG_AUTO)};

    if (!state.loop || ms_multi_new(&state.multi))
        return 1;
    ev_set_userdata(state.loop, &state);
    ev_timer_init(&state.timer, on_expire, 0.0, 0.0);
    ms_multi_on_socket(state.multi, on_socket, &state);
    ms_multi_on_timer(state.multi, on_timer, &state);
    ms_multi_on_done(state.multi, on_done, NULL);
    for (int i = 1; i < argc; i++)
        if (start(state.multi, argv[i]))
            return 1;
    while (ms_multi_running(state.multi))
        ev_run(state.loop, EVRUN_ONCE);
    end(state.multi);
    ev_loop_destroy(state.loop);
    return 0;
}
