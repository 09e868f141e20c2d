/* SPDX-License-Identifier: MIT */
#include "net/dns.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"

/* Reads for c-ares per event: it reads while there are packets, and a peer
 * that sends faster than we parse would keep us there. */
#define MAX_READS 64

/* Pending requests of a TCP connection that go out in one call. */
#define MAX_RUNS 16

/* A question; c-ares holds the pointer until it has answered. */
struct query {
    struct ms_list node; /* on dns->answered, when it is */
    struct ms_dns *dns;
    void *user;
    sa_family_t family;
    struct ms_dns_answer answer; /* its list is owned until handed on */
};

/* A socket of c-ares. */
struct server_socket {
    struct ms_list node; /* on dns->sockets */
    struct ms_sock *sock;
    struct ms_interest interest;
    struct ms_grave grave;
    struct ms_dns *dns;
};

struct ms_dns {
    struct ms_loop *loop;
    ms_dns_answer_cb *on_answer;
    ares_channel channel;
    struct ares_options options; /* the channel's, for the search list */
    struct ms_list sockets;      /* of struct server_socket */
    struct ms_list answered;     /* of struct query */
    struct ms_task deliver;      /* hands on what is answered */
    struct ms_task rearm;        /* sets the timeout, once per exit */
    struct ms_timer timeout;     /* the nearest of c-ares */
    struct ms_grave grave;
    unsigned reads_left; /* in this event, see MAX_READS */
    bool closed;         /* c-ares still has to be destroyed */
};

/* ---- sockets ------------------------------------------------------------ */

static void on_ready(struct ms_sock *s, unsigned events);

static void free_socket(struct ms_grave *g)
{
    ms_free(MS_CONTAINER(g, struct server_socket, grave));
}

static void drop_socket(struct server_socket *s)
{
    ms_list_unlink(&s->node);
    ms_sock_close(s->sock);
    ms_loop_bury(s->dns->loop, &s->grave, free_socket);
}

static ms_err track_socket(struct ms_dns *d, int fd)
{
    struct server_socket *s = ms_zalloc(sizeof(*s));

    if (!s)
        return MS_ENOMEM;
    ms_err err =
        ms_sock_open(&d->loop->ev, fd, on_ready, s, "resolver", &s->sock);
    if (err) {
        ms_free(s);
        return err;
    }
    s->dns = d;
    ms_interest_init(&s->interest, NULL);
    ms_list_init(&s->node);
    ms_list_push(&d->sockets, &s->node);
    return MS_OK;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *user)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    int on = 1;

    (void)user;
    /* A refusal costs time and nothing else. */
    if (fd >= 0 && type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* Tracked from here on, where failing is still possible. */
static int connect_socket(ares_socket_t fd, const struct sockaddr *to,
                          ares_socklen_t len, void *user)
{
    if (connect(fd, to, len) != 0 && errno != EINPROGRESS && errno != EINTR)
        return -1;
    if (track_socket(user, fd) != MS_OK) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

static int close_socket(ares_socket_t fd, void *user)
{
    struct ms_dns *d = user;

    /* ms_dns_close() has closed them all, and the number may be somebody
     * else's by now. */
    if (d->closed)
        return 0;
    struct ms_sock *s = ms_ev_find(&d->loop->ev, fd);
    if (!s)
        return close(fd); /* never connected, never tracked */
    assert(s->on_ready == on_ready);
    drop_socket(s->owner);
    return 0;
}

static ares_ssize_t receive(ares_socket_t fd, void *p, size_t cap, int flags,
                            struct sockaddr *from, ares_socklen_t *len,
                            void *user)
{
    struct ms_dns *d = user;
    ssize_t n;

    if (d->reads_left == 0) {
        errno = EAGAIN;
        return -1;
    }
    d->reads_left--;
    do
        n = recvfrom(fd, p, cap, flags, from, len);
    while (n < 0 && errno == EINTR);
    return n;
}

static ares_ssize_t send_runs(ares_socket_t fd, const struct iovec *runs,
                              int count, void *user)
{
    struct msghdr m = {.msg_iov = (struct iovec *)runs};
    ssize_t n;

    (void)user;
    m.msg_iovlen = (size_t)(count < MAX_RUNS ? count : MAX_RUNS);
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

static const struct ares_socket_functions socket_functions = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_runs,
};

/* c-ares changes what it waits for. */
static void on_state(void *user, ares_socket_t fd, int readable, int writable)
{
    struct ms_dns *d = user;

    if (d->closed)
        return;
    struct ms_sock *sock = ms_ev_find(&d->loop->ev, fd);
    assert(sock && sock->on_ready == on_ready);
    struct server_socket *s = sock->owner;
    ms_interest_set(&s->interest, sock,
                    (readable ? (unsigned)MS_POLL_IN : 0u) |
                        (writable ? (unsigned)MS_POLL_OUT : 0u));
}

/* ---- events and time ----------------------------------------------------- */

/* With ARES_SOCKET_BAD only what is overdue is looked after. Both directions
 * are tried: what was reported is a hint. */
static void process(struct ms_dns *d, ares_socket_t fd)
{
    d->reads_left = MAX_READS;
    ares_process_fd(d->channel, fd, fd);
    ms_task_post_at_exit(d->loop, &d->rearm);
}

static void on_ready(struct ms_sock *s, unsigned events)
{
    struct server_socket *mine = s->owner;
    struct ms_dns *d = mine->dns;

    if (!(events & MS_EV_REFUSED)) {
        process(d, s->fd);
        return;
    }
    /* Nobody would tell us of an answer. */
    ares_cancel(d->channel);
    ms_task_post_at_exit(d->loop, &d->rearm);
}

/* ares_timeout() walks all queries. */
static void on_rearm(struct ms_task *t)
{
    struct ms_dns *d = MS_CONTAINER(t, struct ms_dns, rearm);
    struct timeval left;

    if (!ares_timeout(d->channel, NULL, &left)) {
        ms_timer_cancel(d->loop, &d->timeout);
        return;
    }
    /* It rounds milliseconds down; a wake too early would be in vain. */
    uint64_t us = (uint64_t)left.tv_sec * 1000000u + (uint64_t)left.tv_usec;
    ms_timer_start(d->loop, &d->timeout, d->loop->now_us + us + 1000u);
}

static void on_timeout(struct ms_timer *t)
{
    struct ms_dns *d = MS_CONTAINER(t, struct ms_dns, timeout);

    process(d, ARES_SOCKET_BAD);
    
}

