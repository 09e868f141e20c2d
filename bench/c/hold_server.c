/* SPDX-License-Identifier: MIT
 *
 * hold_server.c - a server that lets clients wait.
 *
 *     hold_server PROCESSES      prints "port N", serves until it is ended
 *
 * GET /delay/MS  the answer comes MS milliseconds after the request
 * GET /hold      the first byte of the answer comes at once, the rest never
 * GET anything   the answer comes at once
 *
 * Every process has a listening socket of its own on the same port of all
 * loopback addresses, and of no others; the kernel spreads connections over
 * them. It serves the
 * benchmark's clients and nobody else: requests have no body, fit a small
 * buffer, and are not pipelined; answers always fit the socket's buffer. A
 * connection that breaks these rules is closed.
 */
#include "base/list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 512,
    BACKLOG = 4096,       /* what net.core.somaxconn usually allows */
    REQUEST_BYTES = 1024, /* a benchmark client's request head */
    MAX_PROCESSES = 64,
    MAX_DELAY_MS = 1 << 16, /* one slot of the wheel per millisecond */
};

struct conn {
    struct ms_list due; /* on a slot of the wheel while an answer is owed */
    int fd;
    size_t len;
    char request[REQUEST_BYTES];
};

struct server {
    int epoll_fd, listen_fd;
    size_t waiting;   /* connections on the wheel */
    int64_t wheel_ms; /* slots up to here have been answered */
    struct ms_list wheel[MAX_DELAY_MS];
};

static const char ANSWER[] = "HTTP/1.1 200 OK\r\n"
                             "Server: hold\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 6\r\n"
                             "\r\n"
                             "hello\n";
static const char HALF_ANSWER[] = "HTTP/1.1 200 OK\r\n"
                                  "Server: hold\r\n"
                                  "Content-Type: text/plain\r\n"
                                  "Content-Length: 6\r\n"
                                  "\r\n"
                                  "h";

_Noreturn static void die(const char *what)
{
    perror(what);
    exit(2);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- connections ----------------------------------------------------- */

static void drop(struct server *s, struct conn *c)
{
    if (!ms_list_empty(&c->due))
        s->waiting--;
    ms_list_unlink(&c->due);
    close(c->fd);
    free(c);
}

/* False: the peer is gone and so is `c`. */
static bool answer(struct server *s, struct conn *c, const char *text, size_t n)
{
    if (send(c->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n)
        return true;
    drop(s, c);
    return false;
}

static void answer_later(struct server *s, struct conn *c, long delay_ms)
{
    int64_t now = now_ms(), due = now + delay_ms;
    ms_list_push(&s->wheel[due % MAX_DELAY_MS], &c->due);
    if (!s->waiting++)
        s->wheel_ms = now;
}

static bool starts_with(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

static void serve(struct server *s, struct conn *c)
{
    static const char DELAY[] = "GET /delay/";
    const char *r = c->request;
    c->len = 0;
    if (starts_with(r, "GET /hold ")) {
        answer(s, c, HALF_ANSWER, sizeof(HALF_ANSWER) - 1);
        return;
    }
    long ms = 0;
    if (starts_with(r, DELAY))
        ms = strtol(r + sizeof(DELAY) - 1, NULL, 10);
    if (ms < 0 || ms >= MAX_DELAY_MS)
        drop(s, c);
    else if (ms)
        answer_later(s, c, ms);
    else
        answer(s, c, ANSWER, sizeof(ANSWER) - 1);
}

static void on_readable(struct server *s, struct conn *c)
{
    size_t room = sizeof(c->request) - 1 - c->len;
    ssize_t n = recv(c->fd, c->request + c->len, room, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || (size_t)n == room || !ms_list_empty(&c->due)) {
        drop(s, c);
        return;
    }
    c->len += (size_t)n;
    c->request[c->len] = '\0';
    if (c->len >= 4 && !memcmp(c->request + c->len - 4, "\r\n\r\n", 4))
        serve(s, c);
}

static void on_connection(struct server *s)
{
    int fd;
    while ((fd = accept4(s->listen_fd, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof(*c));
        if (!c)
            die("calloc");
        c->fd = fd;
        ms_list_init(&c->due);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e))
            die("epoll_ctl");
    }
    if (errno != EAGAIN && errno != ECONNABORTED)
        die("accept4");
}

/* ---- time ------------------------------------------------------------ */

static void answer_slot(struct server *s, struct ms_list *slot)
{
    struct ms_list *n;
    while ((n = ms_list_pop(slot))) {
        s->waiting--;
        answer(s, MS_CONTAINER(n, struct conn, due), ANSWER,
               sizeof(ANSWER) - 1);
    }
}

static void advance(struct server *s)
{
    int64_t now = now_ms();
    while (s->waiting && s->wheel_ms < now)
        answer_slot(s, &s->wheel[++s->wheel_ms % MAX_DELAY_MS]);
}

static void serve_forever(struct server *s)
{
    struct epoll_event events[BATCH];
    for (;;) {
        int n = epoll_wait(s->epoll_fd, events, BATCH, s->waiting ? 1 : -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_readable(s, events[i].data.ptr);
            else
                on_connection(s);
        }
        advance(s);
    }
}

/* ---- processes ------------------------------------------------------- */

static int listen_on(uint16_t *port)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(*port),
                            .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t len = sizeof(a);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)&a, &len))
        die("listen");
    *port = ntohs(a.sin_port);
    return fd;
}

_Noreturn static void run_process(int listen_fd)
{
    static struct server s;
    for (size_t i = 0; i < MAX_DELAY_MS; i++)
        ms_list_init(&s.wheel[i]);
    s.listen_fd = listen_fd;
    s.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (s.epoll_fd < 0 || epoll_ctl(s.epoll_fd, EPOLL_CTL_ADD, listen_fd, &e))
        die("epoll");
    serve_forever(&s);
    exit(0);
}

static void raise_fd_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l))
        return;
    l.rlim_cur = l.rlim_max;
    setrlimit(RLIMIT_NOFILE, &l);
}

/* The first process is the parent: ending it ends the others. */
static void fork_others(const int *fds, int count)
{
    pid_t parent = getpid();
    for (int i = 1; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (pid)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            exit(0);
        for (int k = 0; k < count; k++)
            if (k != i)
                close(fds[k]);
        run_process(fds[i]);
    }
    for (int k = 1; k < count; k++)
        close(fds[k]);
}

int main(int argc, char **argv)
{
    int fds[MAX_PROCESSES];
    long count = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    uint16_t port = 0;
    if (count < 1 || count > MAX_PROCESSES) {
        fprintf(stderr, "usage: %s PROCESSES\n", argv[0]);
        return 2;
    }
    raise_fd_limit();
    for (int i = 0; i < count; i++)
        fds[i] = listen_on(&port);
    printf("port %u\n", port);
    fflush(stdout);
    fork_others(fds, (int)count);
    run_process(fds[0]);
}
