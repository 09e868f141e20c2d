/* SPDX-License-Identifier: MIT
 *
 * sock.h - the operating system's socket calls, made safe: sockets are
 * non-blocking and close-on-exec, sending never raises SIGPIPE, EINTR is
 * retried. What happened comes back as one of four outcomes.
 */
#ifndef MS_NET_SOCK_H
#define MS_NET_SOCK_H

#include "base/span.h"
#include "net/addr.h"

enum ms_io {
    MS_IO_DONE,  /* n bytes were moved, at least one */
    MS_IO_AGAIN, /* nothing now */
    MS_IO_EOF,   /* the peer closed (receiving only) */
    MS_IO_ERROR  /* os_errno says why */
};

struct ms_io_result {
    enum ms_io what;
    int os_errno;
    size_t n;
};

/* A TCP socket on its way to `to`. MS_OK with `*fd`: connecting or connected.
 * Otherwise nothing is left open and `*os_errno` says why. */
ms_err ms_net_connect(const struct ms_addr *to, bool nodelay, int *fd,
                      int *os_errno) MS_MUST_CHECK;

/* How an attempt fares: MS_IO_DONE connected, MS_IO_AGAIN not yet. */
struct ms_io_result ms_net_connected(int fd);

/* Nothing more is sent; the peer's end can still be read. */
void ms_net_half_close(int fd);

/* For a descriptor that no ms_sock owns. */
void ms_net_close(int fd);

struct ms_io_result ms_net_recv(int fd, void *p, size_t cap);

/* At most 16 runs are looked at. */
struct ms_io_result ms_net_send(int fd, const struct ms_span *runs,
                                size_t count);

#endif
