/* SPDX-License-Identifier: MIT */
#include "net/dial_history.h"

#include "base/mem.h"

struct memory {
    struct ms_map_node node;
    struct ms_list age;
    uint64_t noted_us;
    struct ms_addr addr; /* without port */
    size_t len;
    char name[];
};

void ms_dial_history_init(struct ms_dial_history *h)
{
    *h = (struct ms_dial_history){0};
    ms_list_init(&h->by_age);
}

static void forget(struct ms_dial_history *h, struct memory *m)
{
    ms_list_unlink(&m->age);
    ms_map_remove(&h->by_name, &m->node);
    ms_free(m);
}

static struct memory *oldest(const struct ms_dial_history *h)
{
    return MS_CONTAINER(h->by_age.next, struct memory, age);
}

void ms_dial_history_clear(struct ms_dial_history *h)
{
    while (!ms_list_empty(&h->by_age))
        forget(h, oldest(h));
}

void ms_dial_history_fini(struct ms_dial_history *h)
{
    ms_dial_history_clear(h);
    ms_map_fini(&h->by_name);
}

static struct memory *find(const struct ms_dial_history *h, struct ms_span name)
{
    struct ms_map_node *n = ms_map_first(&h->by_name, ms_span_hash(name, 0));

    for (; n; n = ms_map_next(n)) {
        struct memory *m = MS_CONTAINER(n, struct memory, node);
        if (ms_span_equal(ms_span(m->name, m->len), name))
            return m;
    }
    return NULL;
}

static bool is_fresh(const struct memory *m, uint64_t now_us)
{
    return now_us - m->noted_us < MS_HISTORY_US;
}

bool ms_dial_history_find(const struct ms_dial_history *h, struct ms_span name,
                          uint64_t now_us, struct ms_addr *out)
{
    const struct memory *m = find(h, name);

    if (!m || !is_fresh(m, now_us))
        return false;
    *out = m->addr;
    return true;
}

static struct memory *add(struct ms_dial_history *h, struct ms_span name)
{
    struct memory *m = ms_zalloc(sizeof(*m) + name.n);

    if (!m)
        return NULL;
    ms_list_init(&m->age);
    m->len = name.n;
    memcpy(m->name, name.p, name.n);
    if (ms_map_add(&h->by_name, &m->node, ms_span_hash(name, 0))) {
        ms_free(m);
        return NULL;
    }
    return m;
}

void ms_dial_history_note(struct ms_dial_history *h, struct ms_span name,
                          const struct ms_addr *addr, uint64_t now_us)
{
    struct ms_addr bare = *addr;
    struct memory *m = find(h, name);

    ms_addr_set_port(&bare, 0);
    if (m && is_fresh(m, now_us) && ms_addr_equal(&m->addr, &bare))
        return;
    if (!m)
        m = add(h, name);
    if (!m)
        return;
    m->addr = bare;
    m->noted_us = now_us;
    ms_list_push(&h->by_age, &m->age);
    if (h->by_name.count > MS_HISTORY_MAX)
        forget(h, oldest(h));
}
