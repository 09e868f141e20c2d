/* SPDX-License-Identifier: MIT */
#include "net/resolve_cache.h"

#include <assert.h>

#include "base/mem.h"

static void on_timer(struct ms_timer *t);

/* Number of the stretch of time that `at_us` falls into. */
static uint64_t stretch_of(const struct ms_resolve_cache *c, uint64_t at_us)
{
    return at_us / c->slot_us;
}

void ms_resolve_cache_init(struct ms_resolve_cache *c, struct ms_loop *loop,
                           int most_ms)
{
    *c = (struct ms_resolve_cache){.loop = loop, .most_ms = most_ms};
    for (size_t i = 0; i < MS_CACHE_SLOTS; i++)
        ms_list_init(&c->slots[i]);
    ms_list_init(&c->by_use);
    ms_timer_init(&c->timer, on_timer);
    /* One slot is being emptied and one is begun: the longest life must not
     * reach round to either. */
    c->slot_us = (uint64_t)most_ms * 1000u / (MS_CACHE_SLOTS - 2) + 1;
    c->swept = stretch_of(c, loop->now_us);
}

static void drop(struct ms_resolve_cache *c, struct ms_cached *e)
{
    ms_list_unlink(&e->slot);
    ms_list_unlink(&e->use);
    ms_map_remove(&c->by_name, &e->node);
    ms_free(e);
}

static struct ms_cached *least_used(const struct ms_resolve_cache *c)
{
    return MS_CONTAINER(c->by_use.next, struct ms_cached, use);
}

void ms_resolve_cache_clear(struct ms_resolve_cache *c)
{
    ms_timer_cancel(c->loop, &c->timer);
    while (!ms_list_empty(&c->by_use))
        drop(c, least_used(c));
}

void ms_resolve_cache_fini(struct ms_resolve_cache *c)
{
    assert(!ms_timer_active(&c->timer));
    ms_map_fini(&c->by_name);
}

/* ---- the wheel ----------------------------------------------------------- */

static struct ms_list *slot_of(struct ms_resolve_cache *c, uint64_t stretch)
{
    return &c->slots[stretch % MS_CACHE_SLOTS];
}

/* Wakes us when `stretch` is over, or earlier. */
static void arm(struct ms_resolve_cache *c, uint64_t stretch)
{
    uint64_t at_us = (stretch + 1) * c->slot_us;

    if (!ms_timer_active(&c->timer) || c->timer.node.key > at_us)
        ms_timer_start(c->loop, &c->timer, at_us);
}

static void sweep(struct ms_resolve_cache *c, struct ms_list *slot)
{
    ms_list_each (node, slot) {
        struct ms_cached *e = MS_CONTAINER(node, struct ms_cached, slot);
        if (e->ends_us <= c->loop->now_us)
            drop(c, e);
    }
}

/* Empties the slots that time has passed, all of them at most once, and goes
 * back to sleep until the next one with anything in it. */
static void on_timer(struct ms_timer *t)
{
    struct ms_resolve_cache *c =
        MS_CONTAINER(t, struct ms_resolve_cache, timer);
    uint64_t now = stretch_of(c, c->loop->now_us);

    for (unsigned i = 0; i < MS_CACHE_SLOTS && c->swept < now; i++)
        sweep(c, slot_of(c, c->swept++));
    c->swept = now;
    for (uint64_t i = now; i < now + MS_CACHE_SLOTS; i++)
        if (!ms_list_empty(slot_of(c, i))) {
            arm(c, i);
            return;
        }
}

/* ---- entries ------------------------------------------------------------- */

static struct ms_cached *find(const struct ms_resolve_cache *c,
                              struct ms_span name, unsigned families)
{
    struct ms_map_node *n =
        ms_map_first(&c->by_name, ms_span_hash(name, families));

    for (; n; n = ms_map_next(n)) {
        struct ms_cached *e = MS_CONTAINER(n, struct ms_cached, node);
        if (e->families == families &&
            ms_span_equal(ms_span(e->name, e->name_len), name))
            return e;
    }
    return NULL;
}

const struct ms_cached *ms_resolve_cache_find(struct ms_resolve_cache *c,
                                              struct ms_span name,
                                              unsigned families)
{
    struct ms_cached *e = find(c, name, families);

    if (!e || e->ends_us <= c->loop->now_us)
        return NULL;
    ms_list_push(&c->by_use, &e->use);
    return e;
}

static int64_t bounded(const struct ms_resolve_cache *c, int64_t ttl_ms)
{
    if (ttl_ms < MS_CACHE_LEAST_MS)
        ttl_ms = MS_CACHE_LEAST_MS;
    return ttl_ms < c->most_ms ? ttl_ms : c->most_ms;
}

static struct ms_cached *new_entry(const struct ms_cache_news *news)
{
    size_t count = news->v6_count + news->v4_count;
    struct ms_cached *e =
        ms_zalloc(sizeof(*e) + count * sizeof(*e->list) + news->name.n);

    if (!e)
        return NULL;
    ms_list_init(&e->slot);
    ms_list_init(&e->use);
    e->families = news->families;
    e->v6_count = news->v6_count;
    e->count = count;
    for (size_t i = 0; i < news->v6_count; i++)
        e->list[i] = news->v6[i];
    for (size_t i = 0; i < news->v4_count; i++)
        e->list[news->v6_count + i] = news->v4[i];
    e->name = memcpy(&e->list[count], news->name.p, news->name.n);
    e->name_len = news->name.n;
    return e;
}

void ms_resolve_cache_put(struct ms_resolve_cache *c,
                          const struct ms_cache_news *news)
{
    struct ms_cached *old = find(c, news->name, news->families);

    if (old)
        drop(c, old);
    if (!c->most_ms || MS_MUTANT_IS(132))
        return;
    struct ms_cached *e = new_entry(news);
    if (!e)
        return;
    if (ms_map_add(&c->by_name, &e->node,
                   ms_span_hash(news->name, news->families))) {
        ms_free(e);
        return;
    }
    e->ends_us = c->loop->now_us + (uint64_t)bounded(c, news->ttl_ms) * 1000u;
    uint64_t stretch = stretch_of(c, e->ends_us);
    ms_list_push(slot_of(c, stretch), &e->slot);
    ms_list_push(&c->by_use, &e->use);
    arm(c, stretch);
    if (c->by_name.count > MS_CACHE_MAX)
        drop(c, least_used(c));
}
