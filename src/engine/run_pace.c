/* SPDX-License-Identifier: MIT
 *
 * run_pace.c - holds a run's bodies to the speeds that its options allow.
 *
 * A direction that used up what it may move rests: what comes stays in the
 * session and then in the socket, so that the peer slows down, and nothing is
 * asked of who sends. The run's one timer ends the rest.
 */
#include "engine/run_parts.h"

void ms_run_hold(struct ms_easy *e)
{
    bool rests = (ms_run_options(e)->paced && e->watch->recv_us) ||
                 (e->decoding && ms_decoding_rests(e->decoding));

    /* What is told its end is active, and has no stream any more. */
    if (e->state == MS_RUN_ACTIVE && e->stream.session)
        ms_conn_hold(e->conn, &e->stream, rests || e->pause & MS_PAUSE_RECV,
                     e->pause & MS_PAUSE_SEND);
}

void ms_run_pace_begin(struct ms_easy *e)
{
    const struct ms_options *o = ms_run_options(e);
    struct ms_watch *w = e->watch;

    ms_pace_start_bytes(&w->send, o->max_send_speed);
    ms_pace_start_bytes(&w->recv, o->max_recv_speed);
    w->send_us = w->recv_us = 0;
    w->sent_bytes = 0;
}

static uint64_t wake_us(uint64_t at_us)
{
    return at_us ? at_us : MS_NEVER;
}

uint64_t ms_run_pace_us(const struct ms_easy *e)
{
    uint64_t send = wake_us(e->watch->send_us);
    uint64_t recv = wake_us(e->watch->recv_us);

    if (e->state != MS_RUN_ACTIVE)
        return MS_NEVER;
    return send < recv ? send : recv;
}

/* A direction moves again, or rests until there is room to speak of. */
static size_t may_move(struct ms_easy *e, const struct ms_pace *p,
                       uint64_t *until_us, size_t n)
{
    uint64_t now = ms_run_loop(e)->now_us;
    size_t room = *until_us > now ? 0 : ms_pace_room(p, now);

    if (room) {
        *until_us = 0;
        return room < n ? room : n;
    }
    if (*until_us <= now) {
        uint64_t next = ms_pace_next_us(p);
        *until_us = next > now ? next : now + 1;
        ms_run_arm(e);
    }
    return 0;
}

size_t ms_run_may_recv(struct ms_easy *e, size_t n)
{
    size_t room = may_move(e, &e->watch->recv, &e->watch->recv_us, n);

    if (!room)
        ms_run_hold(e);
    return room;
}

size_t ms_run_may_send(struct ms_easy *e, size_t n)
{
    return may_move(e, &e->watch->send, &e->watch->send_us, n);
}

void ms_run_did_recv(struct ms_easy *e, size_t n)
{
    ms_pace_spend(&e->watch->recv, n, ms_run_loop(e)->now_us);
}

void ms_run_did_send(struct ms_easy *e, size_t n)
{
    ms_pace_spend(&e->watch->send, n, ms_run_loop(e)->now_us);
}

void ms_run_pace_wake(struct ms_easy *e)
{
    struct ms_watch *w = e->watch;
    uint64_t now = ms_run_loop(e)->now_us;
    bool any = false;

    if (w->send_us && w->send_us <= now) {
        w->send_us = 0;
        any = true;
    }
    if (w->recv_us && w->recv_us <= now) {
        w->recv_us = 0;
        any = true;
    }
    if (any)
        w->progress.at_us = now;
    ms_run_arm(e);
    if (any)
        ms_run_hold(e);
}
