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

/* How a connection begins on this side. */
struct ms_net_options {
    bool nodelay;
    bool keepalive;        /* the system asks silent peers whether they live */
    const char *interface; /* its name, or an address of this machine; NULL:
                            * whatever leads there */
    uint16_t port_from, port_to; /* local ports, both included; 0: any */
    unsigned port_turn; /* where in that range to begin, from 0 round */
};

/* A TCP socket on its way to `to`. MS_OK with `*fd`: connecting or connected.
 * Otherwise nothing is left open and `*os_errno` says why. */
ms_err ms_net_connect(const struct ms_addr *to, const struct ms_net_options *o,
                      int *fd, int *os_errno) MS_MUST_CHECK;

/* The same to a Unix socket: a path, or an abstract name after a '@' or NUL.
 * MS_OK with `*fd` -1: its queue is full, try again later. */
ms_err ms_net_connect_unix(struct ms_span path, int *fd,
                           int *os_errno) MS_MUST_CHECK;

/* Whether there can be a Unix socket of that name: it is neither empty nor
 * longer than the system takes, and no path has a NUL in it. */
bool ms_net_is_unix_path(struct ms_span path);

/* The address of this machine that a connection to `to` would begin at, unless
 * it is told otherwise. Sends nothing and leaves nothing open. False: nothing
 * leads there. */
bool ms_net_source(const struct ms_addr *to, struct ms_addr *from);

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
