/* SPDX-License-Identifier: MIT
 *
 * The classic multi_socket loop with poll(2) as the event library: curl.c on
 * libcurl, multisocket.c on this engine. docs/multi-socket.md shows the
 * difference.
 */
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>

#define MAX_SOCKETS 1024

static CURLM *multi;
static int running;
static struct pollfd watched[MAX_SOCKETS]; /* by descriptor; fd -1: not */
static long timeout = -1;                  /* ms, what the timer is set to */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userp,
                     void *socketp)
{
    static const short events[] = {0, POLLIN, POLLOUT, POLLIN | POLLOUT, 0};

    (void)easy, (void)userp, (void)socketp;
    watched[fd].fd = what == CURL_POLL_REMOVE ? -1 : fd;
    watched[fd].events = events[what];
    return 0;
}

static int on_timer(CURLM *m, long timeout_ms, void *userp)
{
    (void)m, (void)userp;
    timeout = timeout_ms;
    return 0;
}

static size_t on_data(char *p, size_t size, size_t n, void *userp)
{
    (void)p, (void)userp;
    return size * n;
}

static void start(const char *url)
{
    CURL *easy = curl_easy_init();

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_multi_add_handle(multi, easy);
}

static void report(void)
{
    long status;
    int left;
    CURLMsg *done;

    while ((done = curl_multi_info_read(multi, &left))) {
        CURL *easy = done->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        printf("%ld %s\n", status, done->data.result ? "failed" : "fine");
        curl_multi_remove_handle(multi, easy);
        curl_easy_cleanup(easy);
    }
}

static void turn(void)
{
    int n = poll(watched, MAX_SOCKETS, (int)timeout);

    if (n == 0) {
        timeout = -1;
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    for (int fd = 0; n > 0 && fd < MAX_SOCKETS; fd++) {
        int got = watched[fd].fd < 0 ? 0 : watched[fd].revents;
        int mask = got & POLLIN ? CURL_CSELECT_IN : CURL_CSELECT_OUT;
        if (got)
            curl_multi_socket_action(multi, fd, mask, &running);
    }
}

int main(int argc, char **argv)
{
    multi = curl_multi_init();
    for (int fd = 0; fd < MAX_SOCKETS; fd++)
        watched[fd].fd = -1;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    running = argc - 1;
    for (int i = 1; i < argc; i++)
        start(argv[i]);
    while (running) {
        turn();
        report();
    }
    curl_multi_cleanup(multi);
    return 0;
}
