/* SPDX-License-Identifier: MIT */
#include "net/sock.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

/* Runs of bytes handed to one sendmsg(): a head, a body and some frames. */
#define MAX_RUNS 16

static int open_socket(const struct ms_addr *to, bool nodelay)
{
    int fd = socket(to->any.sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    /* Latency only: without it the transfer still works. */
    if (fd >= 0 && nodelay)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

ms_err ms_net_connect(const struct ms_addr *to, bool nodelay, int *fd,
                      int *os_errno)
{
    int s = open_socket(to, nodelay), rc;

    if (s < 0) {
        *os_errno = errno;
        return ms_err_from_errno(errno);
    }
    do
        rc = connect(s, &to->any, ms_addr_len(to));
    while (rc < 0 && errno == EINTR);
    if (rc < 0 && errno != EINPROGRESS && errno != EALREADY) {
        *os_errno = errno;
        close(s);
        return ms_err_from_errno(*os_errno);
    }
    *fd = s;
    return MS_OK;
}

static struct ms_io_result failed(int os_errno)
{
    bool again = os_errno == EAGAIN || os_errno == EWOULDBLOCK;

    return (struct ms_io_result){again ? MS_IO_AGAIN : MS_IO_ERROR, os_errno,
                                 0};
}

struct ms_io_result ms_net_connected(int fd)
{
    struct ms_addr peer;
    socklen_t peer_len = sizeof(peer);
    int os_errno = 0;
    socklen_t n = sizeof(os_errno);

    /* Only a connected socket has a peer: one call in the usual case. */
    if (getpeername(fd, &peer.any, &peer_len) == 0)
        return (struct ms_io_result){MS_IO_DONE, 0, 0};
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &os_errno, &n) < 0)
        return failed(errno);
    return failed(os_errno ? os_errno : EAGAIN);
}

void ms_net_half_close(int fd)
{
    (void)shutdown(fd, SHUT_WR);
}

void ms_net_close(int fd)
{
    close(fd);
}

struct ms_io_result ms_net_recv(int fd, void *p, size_t cap)
{
    ssize_t n;

    assert(cap > 0);
    do
        n = recv(fd, p, cap, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return (struct ms_io_result){MS_IO_DONE, 0, (size_t)n};
    if (n == 0)
        return (struct ms_io_result){MS_IO_EOF, 0, 0};
    return failed(errno);
}

static ssize_t send_runs(int fd, const struct ms_span *runs, size_t count)
{
    struct iovec iov[MAX_RUNS];
    struct msghdr msg = {.msg_iov = iov};

    if (count == 1)
        return send(fd, runs->p, runs->n, MSG_NOSIGNAL);
    if (count > MAX_RUNS)
        count = MAX_RUNS;
    for (size_t i = 0; i < count; i++) {
        iov[i].iov_base = (void *)(uintptr_t)runs[i].p;
        iov[i].iov_len = runs[i].n;
    }
    msg.msg_iovlen = count;
    return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

struct ms_io_result ms_net_send(int fd, const struct ms_span *runs,
                                size_t count)
{
    ssize_t n;

    assert(count > 0);
    do
        n = send_runs(fd, runs, count);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return failed(errno);
    return (struct ms_io_result){MS_IO_DONE, 0, (size_t)n};
}
