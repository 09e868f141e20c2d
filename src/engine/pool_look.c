/* SPDX-License-Identifier: MIT */
#include "engine/pool_parts.h"

/* How long a connection whose socket was empty is used again without another
 * look. What comes in that time would as well have crossed the request on its
 * way; a hundred completions in a row take less. */
#define TRUSTED_US 1000

/* Connections looked at with one call, when one entry uses many. */
#define MAX_AT_ONCE 64

void ms_pool_heard_out(struct ms_pool *p, struct ms_conn *c)
{
    c->quiet_us = p->env.loop->now_us;
}

static bool look_at_one(struct ms_pool *p, struct ms_conn *c)
{
    if (!ms_conn_look(c))
        return false;
    ms_pool_heard_out(p, c);
    return true;
}

/* Asks for `c` and those that are to be used next. Those that stir keep the
 * time of their last look: they get one of their own when it is their turn. */
static void look_at_many(struct ms_pool *p, struct ms_conn *c, unsigned count)
{
    struct ms_list *all = &c->endpoint->idle;
    struct ms_list *end = &c->idle;
    size_t i = 0;

    ms_poll_clear(&p->look);
    for (; end != all && p->look.used < count; end = end->next) {
        const struct ms_conn *next = MS_CONTAINER(end, struct ms_conn, idle);
        if (ms_poll_add(&p->look, next->link.sock->fd, MS_POLL_IN))
            break;
    }
    (void)ms_poll_wait(&p->look, 0);
    for (struct ms_list *node = &c->idle; node != end; node = node->next, i++)
        if (!ms_poll_ready(&p->look, i))
            ms_pool_heard_out(p, MS_CONTAINER(node, struct ms_conn, idle));
}

static bool is_trusted(const struct ms_pool *p, const struct ms_conn *c)
{
    return p->env.loop->now_us - c->quiet_us < TRUSTED_US;
}

static bool look(struct ms_pool *p, struct ms_conn *c)
{
    unsigned entry = p->env.loop->entries;
    unsigned count = p->look_entry == entry ? p->look_count * 2 : 1;

    p->look_entry = entry;
    p->look_count = count < MAX_AT_ONCE ? count : MAX_AT_ONCE;
    if (count > 1)
        look_at_many(p, c, p->look_count);
    return is_trusted(p, c) || look_at_one(p, c);
}

bool ms_pool_is_usable(struct ms_pool *p, struct ms_conn *c)
{
    if (MS_LIKELY(is_trusted(p, c)) || MS_MUTANT_IS(107))
        return true;
    return !ms_pool_is_aged(p, c) && (!ms_pool_is_idle(c) || look(p, c));
}

void ms_pool_init_look(struct ms_pool *p)
{
    ms_poll_init(&p->look);
}

void ms_pool_fini_look(struct ms_pool *p)
{
    ms_poll_fini(&p->look);
}
