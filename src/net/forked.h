/* SPDX-License-Identifier: MIT
 *
 * forked.h - are we a child that got this object by fork()?
 *
 * The sockets of such an object are the parent's: a child that wrote to one,
 * or took it out of a shared epoll set, would break what the parent does. The
 * mark is a page that the kernel clears in every child, so asking is one load
 * and nothing global is needed.
 *
 * It is not a process id, and says nothing about threads.
 */
#ifndef MS_NET_FORKED_H
#define MS_NET_FORKED_H

#include "base/def.h"
#include "multisocket.h"

struct ms_fork_mark {
    volatile unsigned char *page; /* NULL: the kernel has no such pages */
};

/* MS_ENOMEM when there is no page to be had. */
ms_err ms_fork_mark_init(struct ms_fork_mark *mark) MS_MUST_CHECK;
void ms_fork_mark_fini(struct ms_fork_mark *mark);

static inline bool ms_forked(const struct ms_fork_mark *mark)
{
    return mark->page && *mark->page == 0;
}

#endif
