/* SPDX-License-Identifier: MIT */
#include "net/poll.h"

#include <assert.h>
#include <limits.h>
#include <poll.h>

#include "base/mem.h"

/* The list starts with room for a small program's worth of sockets. */
#define FIRST_FDS 16

void ms_poll_init(struct ms_poll *p)
{
    *p = (struct ms_poll){0};
}

void ms_poll_fini(struct ms_poll *p)
{
    ms_free(p->fds);
    ms_poll_init(p);
}

void ms_poll_clear(struct ms_poll *p)
{
    p->used = 0;
}

static ms_err grow(struct ms_poll *p)
{
    if (p->used < p->cap)
        return MS_OK;
    size_t cap = p->cap ? p->cap * 2 : FIRST_FDS;
    struct pollfd *fds = ms_realloc(p->fds, cap * sizeof(*fds));
    if (!fds)
        return MS_ENOMEM;
    p->fds = fds;
    p->cap = cap;
    return MS_OK;
}

ms_err ms_poll_add(struct ms_poll *p, int fd, unsigned want)
{
    assert(!(want & ~(unsigned)MS_POLL_INOUT));

    ms_err err = grow(p);
    if (err)
        return err;
    int events =
        (want & MS_POLL_IN ? POLLIN : 0) | (want & MS_POLL_OUT ? POLLOUT : 0);
    p->fds[p->used++] = (struct pollfd){.fd = fd, .events = (short)events};
    return MS_OK;
}

size_t ms_poll_wait(struct ms_poll *p, int64_t timeout_ms)
{
    int timeout = timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;
    int n = poll(p->fds, (nfds_t)p->used, timeout < 0 ? -1 : timeout);

    /* A failed call has reported nothing. */
    for (size_t i = 0; n < 0 && i < p->used; i++)
        p->fds[i].revents = 0;
    return n > 0 ? (size_t)n : 0;
}

int ms_poll_fd(const struct ms_poll *p, size_t index)
{
    assert(index < p->used);

    return p->fds[index].fd;
}

unsigned ms_poll_ready(const struct ms_poll *p, size_t index)
{
    assert(index < p->used);

    int r = p->fds[index].revents;
    return (r & POLLIN ? (unsigned)MS_CSELECT_IN : 0u) |
           (r & POLLOUT ? (unsigned)MS_CSELECT_OUT : 0u) |
           (r & (POLLERR | POLLHUP | POLLNVAL) ? (unsigned)MS_CSELECT_ERR : 0u);
}
