/* SPDX-License-Identifier: MIT */
#include "engine/link.h"

struct ms_io_result ms_link_read(struct ms_link *l, void *p, size_t cap)
{
    struct ms_io_result r = ms_net_recv(l->sock->fd, p, cap);

    *l->bytes_in += r.n;
    return r;
}

struct ms_io_result ms_link_write(struct ms_link *l, const struct ms_span *runs,
                                  size_t count)
{
    struct ms_io_result r = ms_net_send(l->sock->fd, runs, count);

    *l->bytes_out += r.n;
    return r;
}

void ms_link_close(struct ms_link *l)
{
    if (l->sock)
        ms_sock_close(l->sock);
    l->sock = NULL;
    ms_buf_free(&l->stash);
}
