/* SPDX-License-Identifier: MIT
 *
 * wake.h - ends a wait from any thread.
 *
 * A waker is embedded in the object that waits. Waking is sticky: a wake that
 * comes before the wait ends that wait. Any number of wakes end one.
 *
 * Who holds no pointer, because the object may be gone by then, gets a number
 * (ms_waker_publish): ms_wake() with it is safe in every thread at any time,
 * also when the object, its descriptor and the number's owner are long gone.
 * The table behind the numbers is this library's only mutable global. Nothing
 * in it is owned and no lock guards it, so that neither a fork nor the end of
 * a thread can leave it stuck.
 */
#ifndef MS_NET_WAKE_H
#define MS_NET_WAKE_H

#include <stdatomic.h>

#include "base/def.h"
#include "multisocket.h"

struct ms_waker {
    atomic_int fd;     /* an eventfd, -1 until the first wait */
    atomic_bool woken; /* and not yet seen by a wait */
    int64_t id;        /* published as; 0: not */
};

void ms_waker_init(struct ms_waker *w);

/* No number reaches it any more. With `forked`, in a child that has the table
 * of its parent, threads that are not there are not waited for. */
void ms_waker_fini(struct ms_waker *w, bool forked);

/* From any thread, while the waker exists. */
void ms_waker_wake(struct ms_waker *w);

/* For the thread that waits: a descriptor that is readable once woken, in
 * `*fd`. MS_EFILES. */
ms_err ms_waker_open(struct ms_waker *w, int *fd) MS_MUST_CHECK;

/* Whether it was woken since the last call. To be asked before a wait, after
 * ms_waker_open(), and after it. */
bool ms_waker_take(struct ms_waker *w);

/* A number, above 0 and below 2^53, that stands for the waker in ms_wake(),
 * always the same. 0: the table is full. */
int64_t ms_waker_publish(struct ms_waker *w);

#endif
