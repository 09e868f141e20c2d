/* SPDX-License-Identifier: MIT
 *
 * poll.h - poll(2) over a list that is made anew for each wait, for programs
 * that have no event library.
 */
#ifndef MS_NET_POLL_H
#define MS_NET_POLL_H

#include "base/err.h"

struct pollfd;

struct ms_poll {
    struct pollfd *fds; /* owned */
    size_t used, cap;
};

void ms_poll_init(struct ms_poll *p);
void ms_poll_fini(struct ms_poll *p);

/* Empties the list; its memory is kept for the next. */
void ms_poll_clear(struct ms_poll *p);

/* Waits for `want` (MS_POLL_IN, OUT, both, 0: for errors only) of `fd`, too.
 * MS_ENOMEM. */
ms_err ms_poll_add(struct ms_poll *p, int fd, unsigned want) MS_MUST_CHECK;

/* Until one is ready, `timeout_ms` have passed (-1: no limit) or a signal came;
 * returns how many are. */
size_t ms_poll_wait(struct ms_poll *p, int64_t timeout_ms);

int ms_poll_fd(const struct ms_poll *p, size_t index);
/* MS_CSELECT_* bits of the `index`th, counted from 0. */
unsigned ms_poll_ready(const struct ms_poll *p, size_t index);

#endif
