/* SPDX-License-Identifier: MIT
 *
 * The classic multi_socket loop with poll(2) as the event library: curl.c on
 * libcurl, multisocket.c on this engine. docs/multi-socket.md shows the
 * difference.
 */
#include <multisocket.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define MAX_SOCKETS 1024

static struct ms_multi *multi;
static int running;
static struct pollfd watched[MAX_SOCKETS]; /* by descriptor; fd -1: not */
static long timeout = -1;                  /* ms, what the timer is set to */

static bool on_socket(struct ms_easy *easy, int fd, int what, void *userp,
                      void *socketp)
{
    static const short events[] = {0, POLLIN, POLLOUT, POLLIN | POLLOUT, 0};

    (void)easy, (void)userp, (void)socketp;
    watched[fd].fd = what == MS_POLL_REMOVE ? -1 : fd;
    watched[fd].events = events[what];
    return true;
}

static bool on_timer(struct ms_multi *m, int64_t timeout_ms, void *userp)
{
    (void)m, (void)userp;
    timeout = timeout_ms;
    return true;
}

static void start(const char *url)
{
    struct ms_easy *easy;

    if (ms_easy_new(&easy) || ms_easy_set_url(easy, url, strlen(url)))
        return;
    ms_multi_add(multi, easy);
}

static void report(void)
{
    long status;
    struct ms_message done;

    while (ms_multi_info_read(multi, &done)) {
        status = ms_response_status(ms_easy_response(done.easy));
        printf("%ld %s\n", status, done.err ? "failed" : "fine");
        ms_easy_close(done.easy);
    }
}

static void turn(void)
{
    int n = poll(watched, MAX_SOCKETS, (int)timeout);

    if (n == 0) {
        timeout = -1;
        running = ms_multi_socket_action(multi, MS_SOCKET_TIMEOUT, 0);
    }
    for (int fd = 0; n > 0 && fd < MAX_SOCKETS; fd++) {
        int got = watched[fd].fd < 0 ? 0 : watched[fd].revents;
        int mask = got & POLLIN ? MS_CSELECT_IN : MS_CSELECT_OUT;
        if (got)
            running = ms_multi_socket_action(multi, fd, (unsigned)mask);
    }
}

int main(int argc, char **argv)
{
    if (ms_multi_new(&multi))
        return 1;
    for (int fd = 0; fd < MAX_SOCKETS; fd++)
        watched[fd].fd = -1;
    ms_multi_on_socket(multi, on_socket, NULL);
    ms_multi_on_timer(multi, on_timer, NULL);
    running = argc - 1;
    for (int i = 1; i < argc; i++)
        start(argv[i]);
    while (running) {
        turn();
        report();
    }
    ms_multi_free(multi);
    return 0;
}
