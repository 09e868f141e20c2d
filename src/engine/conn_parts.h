/* SPDX-License-Identifier: MIT
 *
 * conn_parts.h - what the three files of a connection share: conn_open.c
 * brings it up, conn_io.c moves bytes, conn_end.c takes it down. For nobody
 * else.
 */
#ifndef MS_ENGINE_CONN_PARTS_H
#define MS_ENGINE_CONN_PARTS_H

#include "engine/conn.h"

static inline struct ms_loop *ms_conn_loop(const struct ms_conn *c)
{
    return c->env->loop;
}

static inline bool ms_conn_is_open(const struct ms_conn *c)
{
    return c->state == MS_CONN_OPEN;
}

/* Whether the one stream of HTTP/1 is there. */
static inline bool ms_conn_is_attached(const struct ms_conn *c)
{
    return c->stream && c->stream->session;
}

/* Forgets it. */
static inline void ms_conn_detach(struct ms_conn *c)
{
    c->stream = NULL;
    c->hold_recv = c->hold_send = false;
}

/* States only move forward. */
void ms_conn_set_state(struct ms_conn *c, enum ms_conn_state state);

/* The transport is up and its session is there: conn_io.c takes the socket. */
void ms_conn_take_over(struct ms_conn *c);

/* The timer of a connection that is saying goodbye has fired. */
void ms_conn_give_up_goodbye(struct ms_conn *c);

/* Ends it; says why it never opened, when it had not. */
void ms_conn_end(struct ms_conn *c, const struct ms_conn_end *end);

#endif
