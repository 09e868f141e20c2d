/* SPDX-License-Identifier: MIT
 *
 * pool_parts.h - what the files of the pool share: pool_give.c says who gets
 * which connection, pool_idle.c keeps those that nobody uses, pool_look.c says
 * which of them can be used again, pool_slots.c holds the limits, pool_check.c
 * looks whether all of it adds up. For nobody
 * else.
 */
#ifndef MS_ENGINE_POOL_PARTS_H
#define MS_ENGINE_POOL_PARTS_H

#include "engine/pool.h"

static inline struct ms_pool *ms_pool_of(const struct ms_conn *c)
{
    return MS_CONTAINER(c->env, struct ms_pool, env);
}

static inline bool ms_pool_is_idle(const struct ms_conn *c)
{
    return !ms_list_empty(&c->lru);
}

static inline struct ms_conn *ms_pool_oldest_idle(const struct ms_pool *p)
{
    if (ms_list_empty(&p->lru))
        return NULL;
    return MS_CONTAINER(p->lru.next, struct ms_conn, lru);
}

/* ---- pool_give.c --------------------------------------------------------- */

/* Lets go of an endpoint that may be unused now. */
void ms_pool_put_endpoint(struct ms_pool *p, struct ms_endpoint *e);

/* Opens a connection for the first waiter that needs one of its own, or for
 * all that share. It may have failed when this returns, and they been told. */
void ms_pool_start(struct ms_pool *p, struct ms_endpoint *e);

/* The attempt is going to end so that others can have its slot: whoever waits
 * for it waits on. */
void ms_pool_take_back(struct ms_pool *p, struct ms_conn *attempt);

/* Open, and not to be used again: closed now, or when nobody uses it. */
void ms_pool_retire(struct ms_pool *p, struct ms_conn *c);

/* ---- pool_idle.c --------------------------------------------------------- */

/* `c` has opened: it counts its age from now on. */
void ms_pool_start_age(struct ms_pool *p, struct ms_conn *c);
bool ms_pool_is_aged(const struct ms_pool *p, const struct ms_conn *c);

/* Nobody uses `c`. It may be closed when this returns. */
void ms_pool_keep_idle(struct ms_pool *p, struct ms_conn *c);
void ms_pool_leave_idle(struct ms_pool *p, struct ms_conn *c);

/* Offers `c`, which serves many, where it belongs: idle, in use with room for
 * more, or nowhere. It may be closed when this returns. */
void ms_pool_place(struct ms_pool *p, struct ms_conn *c);

void ms_pool_init_idle(struct ms_pool *p);
void ms_pool_stop_idle(struct ms_pool *p);

/* ---- pool_look.c --------------------------------------------------------- */

/* The socket of `c` was read empty, as far as one can say. */
void ms_pool_heard_out(struct ms_pool *p, struct ms_conn *c);

/* Whether the next request may go by `c`, which is idle or has room. Since it
 * became idle the peer may have closed or spoken, and the host not told of it
 * yet; one that is in use hears of it anyway. False: it may be closed. */
bool ms_pool_is_usable(struct ms_pool *p, struct ms_conn *c);

void ms_pool_init_look(struct ms_pool *p);
void ms_pool_fini_look(struct ms_pool *p);

/* ---- pool_slots.c -------------------------------------------------------- */

/* Waiters or connections of `e` came or went: whether it queues for a slot is
 * looked at again. */
void ms_pool_refresh(struct ms_pool *p, struct ms_endpoint *e);

/* Gives out what slots there are. Endpoints may be gone when this returns. */
void ms_pool_serve(struct ms_pool *p);

/* Whose turn it is to get a slot; NULL: nobody lacks one. */
struct ms_endpoint *ms_pool_next_in_turn(const struct ms_pool *p);

/* Whether `c`, which could be used again, is to go instead: there are more
 * than allowed, or others have less. */
bool ms_pool_must_go(const struct ms_pool *p, const struct ms_conn *c);

void ms_pool_init_slots(struct ms_pool *p);
void ms_pool_stop_slots(struct ms_pool *p);

/* Whether one more connection to `e` would serve somebody, and whether its own
 * limit allows that. */
bool ms_pool_wants_one(const struct ms_pool *p, const struct ms_endpoint *e);
bool ms_pool_has_own_room(const struct ms_pool *p, const struct ms_endpoint *e);

#endif
