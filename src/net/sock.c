/* SPDX-License-Identifier: MIT */
#include "net/sock.h"

#include <assert.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* Runs of bytes handed to one sendmsg(): a head, a body and some frames. */
#define MAX_RUNS 16

/* Minutes of silence say nothing of a connection in use, but a peer that is
 * gone is noticed in two and a half, and routers that forget connections after
 * five see that this one is alive. */
#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 10

/* Local ports that are tried for one connection; whoever needs more has no
 * ports left. */
#define MAX_PORTS 1024

static void set_int(int fd, int level, int name, int value)
{
    /* Each makes the connection better, none makes it work. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static int open_socket(const struct ms_addr *to, const struct ms_net_options *o)
{
    int fd = socket(to->any.sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && o->nodelay)
        set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (fd >= 0 && o->keepalive) {
        set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
        set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    }
    return fd;
}

/* ---- the local end ------------------------------------------------------- */

static struct ms_addr any_addr(sa_family_t family)
{
    struct ms_addr a;

    memset(&a, 0, sizeof(a));
    a.any.sa_family = family;
    return a;
}

/* An address that the interface has. */
static bool find_interface(const char *name, sa_family_t family,
                           struct ms_addr *out)
{
    struct ifaddrs *list, *i;

    if (getifaddrs(&list) != 0)
        return false;
    for (i = list; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == family &&
            strcmp(i->ifa_name, name) == 0)
            break;
    if (i)
        memcpy(out, i->ifa_addr,
               ms_addr_len(&(struct ms_addr){.any.sa_family = family}));
    freeifaddrs(list);
    return i != NULL;
}

/* `*from` becomes the address to bind to, when that is what it takes; the
 * errno otherwise. */
static int use_interface(int fd, const char *name, struct ms_addr *from)
{
    sa_family_t family = from->any.sa_family;
    struct ms_addr own;

    if (ms_addr_parse(ms_span_text(name), &own)) {
        *from = own;
        return own.any.sa_family == family ? 0 : EAFNOSUPPORT;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name,
                   (socklen_t)strlen(name)) == 0)
        return 0;
    if (errno != EPERM)
        return errno;
    return find_interface(name, family, from) ? 0 : ENODEV;
}

/* Without a port of ours it is chosen with the connection, which leaves more
 * of them to choose from. */
static int bind_local(int fd, const struct ms_addr *to,
                      const struct ms_net_options *o, uint16_t port)
{
    struct ms_addr from = any_addr(to->any.sa_family);
    struct ms_addr any = from;
    int err = o->interface ? use_interface(fd, o->interface, &from) : 0;

    if (err)
        return err;
    if (!port && ms_addr_equal(&from, &any))
        return 0;
    if (port)
        set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    else
        set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    ms_addr_set_port(&from, port);
    return bind(fd, &from.any, ms_addr_len(&from)) == 0 ? 0 : errno;
}

/* ---- connecting ---------------------------------------------------------- */

static int begin_connect(int fd, const struct sockaddr *to, socklen_t len)
{
    int rc;

    do
        rc = connect(fd, to, len);
    while (rc < 0 && errno == EINTR);
    return rc == 0 || errno == EINPROGRESS || errno == EALREADY ? 0 : errno;
}

/* 0 with `*fd`, or an errno. */
static int connect_from(const struct ms_addr *to,
                        const struct ms_net_options *o, uint16_t port, int *fd)
{
    int s = open_socket(to, o), err;

    if (s < 0)
        return errno;
    err = o->interface || port ? bind_local(s, to, o, port) : 0;
    if (!err)
        err = begin_connect(s, &to->any, ms_addr_len(to));
    if (err)
        close(s);
    else
        *fd = s;
    return err;
}

static bool is_port_taken(int os_errno)
{
    return os_errno == EADDRINUSE || os_errno == EADDRNOTAVAIL;
}

/* From one port after the other, until one is free. */
static int connect_from_range(const struct ms_addr *to,
                              const struct ms_net_options *o, int *fd)
{
    unsigned span = o->port_to - o->port_from + 1u;
    unsigned tries = span < MAX_PORTS ? span : MAX_PORTS;
    int err = EADDRNOTAVAIL;

    for (unsigned i = 0; i < tries && is_port_taken(err); i++)
        err = connect_from(
            to, o, (uint16_t)(o->port_from + (o->port_turn + i) % span), fd);
    return err;
}

ms_err ms_net_connect(const struct ms_addr *to, const struct ms_net_options *o,
                      int *fd, int *os_errno)
{
    assert(o->port_from <= o->port_to);

    int err = o->port_from ? connect_from_range(to, o, fd)
                           : connect_from(to, o, 0, fd);
    if (!err)
        return MS_OK;
    *os_errno = err;
    return ms_err_from_errno(err);
}

bool ms_net_is_unix_path(struct ms_span path)
{
    struct sockaddr_un a;
    bool abstract = path.n && (path.p[0] == '@' || path.p[0] == '\0');

    if (abstract)
        return path.n > 1 && path.n <= sizeof(a.sun_path);
    return path.n && path.n < sizeof(a.sun_path) &&
           !memchr(path.p, '\0', path.n);
}

/* An abstract name is as long as it is said to be, zeros are part of it. */
static socklen_t unix_addr(struct ms_span path, struct sockaddr_un *a)
{
    bool abstract = path.p[0] == '@' || path.p[0] == '\0';

    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(a->sun_path, path.p, path.n);
    if (abstract)
        a->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n +
                       !abstract);
}

bool ms_net_source(const struct ms_addr *to, struct ms_addr *from)
{
    int fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*from);

    if (fd < 0)
        return false;
    /* A datagram socket only looks up the way. */
    bool known = connect(fd, &to->any, ms_addr_len(to)) == 0 &&
                 getsockname(fd, &from->any, &len) == 0;
    close(fd);
    return known;
}

ms_err ms_net_connect_unix(struct ms_span path, int *fd, int *os_errno)
{
    struct sockaddr_un a;

    assert(ms_net_is_unix_path(path));
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err = s < 0 ? errno : 0;
    if (!err)
        err = begin_connect(s, (void *)&a, unix_addr(path, &a));
    if (!err) {
        *fd = s;
        return MS_OK;
    }
    if (s >= 0)
        close(s);
    *fd = -1;
    *os_errno = err;
    return err == EAGAIN ? MS_OK : ms_err_from_errno(err);
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
