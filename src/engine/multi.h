/* SPDX-License-Identifier: MIT
 *
 * multi.h - the inside of a multi handle: the frame of every public call, the
 * list of transfers, and the only place where the host is called.
 */
#ifndef MS_ENGINE_MULTI_H
#define MS_ENGINE_MULTI_H

#include "engine/run.h"
#include "net/forked.h"
#include "net/poll.h"
#include "net/wake.h"

struct ms_multi {
    struct ms_loop loop;
    struct ms_fork_mark fork_mark;
    struct ms_pool pool;
    struct ms_run_env env;
    struct ms_list members;  /* of struct ms_easy, added */
    struct ms_list finished; /* of struct ms_easy, ended but not told */
    struct ms_list messages; /* of struct ms_easy, told, not read */
    int running, unread;
    unsigned last_id;
    ms_socket_cb *socket_cb;
    ms_timer_cb *timer_cb;
    ms_done_cb *done_cb;
    void *socket_user, *timer_user, *done_user, *user;
    uint64_t added, done, removed;
    uint64_t socket_calls, timer_calls, actions;
    struct ms_waker waker;
    struct ms_poll poll;  /* for programs that have no event loop */
    struct ms_task ended; /* posted while `finished` holds any */
    bool closed;          /* ends every transfer from now on */
    bool doomed;          /* freed when the outermost call returns */
    bool timer_lost;      /* the timer callback failed: all transfers end */
};

/* Leaves a public call; `work` says whether it may run transfers. Returns
 * how many have not ended. `m` may be gone afterwards. */
int ms_multi_leave(struct ms_multi *m, bool work);

/* Nothing can be driven: closed, about to be freed, or the parent's. */
static inline bool ms_multi_is_over(const struct ms_multi *m)
{
    return m->closed || m->doomed || ms_forked(&m->fork_mark);
}

#endif
