/* SPDX-License-Identifier: MIT
 *
 * drive.c - driving a multi with no event library: it waits by itself, with
 * poll(2), for its sockets and for those that the program has besides.
 *
 * This costs a look at every socket each time. Everything else is as with
 * events: perform hands what is ready to the engine as a host would.
 */
#include <assert.h>

#include "engine/multi.h"

/* ---- perform ------------------------------------------------------------ */

static ms_err add_sockets(struct ms_multi *m)
{
    struct ms_ev *ev = &m->loop.ev;
    ms_err err = MS_OK;

    ms_poll_clear(&m->poll);
    for (int fd = 0; fd < ev->cap && !err; fd++) {
        struct ms_sock *s = ms_ev_find(ev, fd);
        if (MS_MUTANT_IS(104) && s && s->role[0] == 's')
            continue; /* "shutdown" */
        if (s && ms_sock_wants(s))
            err = ms_poll_add(&m->poll, fd, ms_sock_wants(s));
    }
    return err;
}

/* Hands over the events of the sockets that the wait was for. What one of them
 * closes is closed in the flush: no number changes its owner meanwhile. */
static void dispatch(struct ms_multi *m)
{
    for (size_t i = 0; i < m->poll.used; i++) {
        unsigned events = ms_poll_ready(&m->poll, i);
        if (events)
            ms_loop_dispatch(&m->loop, ms_poll_fd(&m->poll, i), events);
    }
}

ms_err ms_multi_perform(struct ms_multi *m, int *running)
{
    int left = 0;

    if (ms_loop_inside(&m->loop))
        return MS_ECONTEXT;
    if (!ms_multi_is_over(m)) {
        ms_err err = add_sockets(m);
        if (err)
            return err;
        bool any = ms_poll_wait(&m->poll, 0) > 0;
        ms_loop_enter(&m->loop);
        m->actions++;
        if (any)
            dispatch(m);
        m->loop.timed_out = true;
        left = ms_multi_leave(m, true);
    }
    if (running)
        *running = left;
    return MS_OK;
}

/* ---- poll --------------------------------------------------------------- */

ms_err ms_multi_waitfds(struct ms_multi *m, struct ms_waitfd *list, size_t cap,
                        size_t *count)
{
    struct ms_ev *ev = &m->loop.ev;

    *count = 0;
    if (ms_loop_inside(&m->loop))
        return MS_ECONTEXT;
    for (int fd = 0; fd < ev->cap; fd++) {
        struct ms_sock *s = ms_ev_find(ev, fd);
        if (!s || !ms_sock_wants(s))
            continue;
        if (*count < cap)
            list[*count] = (struct ms_waitfd){
                fd, MS_MUTANT_IS(101) ? MS_POLL_INOUT : ms_sock_wants(s), 0};
        ++*count;
    }
    return MS_OK;
}

static ms_err add_extra(struct ms_multi *m, struct ms_waitfd *extra, size_t n)
{
    ms_err err = MS_OK;

    for (size_t i = 0; i < n && !err; i++) {
        extra[i].revents = 0;
        err =
            ms_poll_add(&m->poll, extra[i].fd, extra[i].events & MS_POLL_INOUT);
    }
    return err;
}

/* No longer than the engine can wait. */
static int64_t shortest(const struct ms_multi *m, int64_t timeout_ms)
{
    int64_t own = ms_multi_timeout(m);

    return own >= 0 && !MS_MUTANT_IS(100) &&
                   (timeout_ms < 0 || own < timeout_ms)
               ? own
               : timeout_ms;
}

/* The list is: our sockets, the waker, then `extra`. */
static ms_err fill(struct ms_multi *m, struct ms_waitfd *extra, size_t n,
                   size_t *waker)
{
    int fd;
    ms_err err = add_sockets(m);

    *waker = m->poll.used;
    if (!err)
        err = ms_waker_open(&m->waker, &fd);
    if (!err)
        err = ms_poll_add(&m->poll, fd, MS_POLL_IN);
    return err ? err : add_extra(m, extra, n);
}

ms_err ms_multi_poll(struct ms_multi *m, struct ms_waitfd *extra, size_t n,
                     int64_t timeout_ms, size_t *ready)
{
    size_t waker;

    *ready = 0;
    if (ms_loop_inside(&m->loop))
        return MS_ECONTEXT;
    if (ms_multi_is_over(m))
        return MS_OK;
    ms_err err = fill(m, extra, n, &waker);
    if (err)
        return err;
    if (ms_waker_take(&m->waker) && !MS_MUTANT_IS(95))
        timeout_ms = 0;
    *ready = ms_poll_wait(&m->poll, shortest(m, timeout_ms));
    if (*ready && ms_poll_ready(&m->poll, waker)) {
        (void)ms_waker_take(&m->waker);
        --*ready;
    }
    for (size_t i = 0; i < n; i++)
        extra[i].revents = ms_poll_ready(&m->poll, waker + 1 + i);
    return MS_OK;
}

/* ---- wakers ------------------------------------------------------------- */

void ms_multi_wakeup(struct ms_multi *m)
{
    ms_waker_wake(&m->waker);
}

int64_t ms_multi_waker(struct ms_multi *m)
{
    return ms_multi_is_over(m) ? 0 : ms_waker_publish(&m->waker);
}
