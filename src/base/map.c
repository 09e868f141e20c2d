/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include <assert.h>

#include "base/mem.h"

#define FIRST_SLOTS 16

void ms_map_fini(struct ms_map *m)
{
    assert(m->count == 0);

    ms_free(m->slots);
    *m = (struct ms_map){0};
}

static struct ms_map_node **slot_of(const struct ms_map *m, uint32_t hash)
{
    return &m->slots[hash & (m->cap - 1)];
}

static struct ms_map_node *same_hash(struct ms_map_node *n, uint32_t hash)
{
    while (n && n->hash != hash)
        n = n->next;
    return n;
}

struct ms_map_node *ms_map_first(const struct ms_map *m, uint32_t hash)
{
    return m->cap ? same_hash(*slot_of(m, hash), hash) : NULL;
}

struct ms_map_node *ms_map_next(const struct ms_map_node *n)
{
    return same_hash(n->next, n->hash);
}

static ms_err resize(struct ms_map *m, size_t cap)
{
    struct ms_map bigger = {.cap = cap};

    bigger.slots = ms_zalloc(cap * sizeof(*bigger.slots));
    if (!bigger.slots)
        return MS_ENOMEM;
    for (size_t i = 0; i < m->cap; i++) {
        for (struct ms_map_node *n = m->slots[i], *next; n; n = next) {
            next = n->next;
            struct ms_map_node **slot = slot_of(&bigger, n->hash);
            n->next = *slot;
            *slot = n;
        }
    }
    bigger.count = m->count;
    ms_free(m->slots);
    *m = bigger;
    return MS_OK;
}

ms_err ms_map_add(struct ms_map *m, struct ms_map_node *n, uint32_t hash)
{
    if (m->count >= m->cap) {
        ms_err err = resize(m, m->cap ? m->cap * 2 : FIRST_SLOTS);
        if (err && !m->cap)
            return err;
    }
    struct ms_map_node **slot = slot_of(m, hash);
    n->hash = hash;
    n->next = *slot;
    *slot = n;
    m->count++;
    return MS_OK;
}

void ms_map_remove(struct ms_map *m, struct ms_map_node *n)
{
    struct ms_map_node **at = slot_of(m, n->hash);

    while (*at != n) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = n->next;
    n->next = NULL;
    m->count--;
}

void ms_map_walk(struct ms_map *m,
                 void (*visit)(struct ms_map_node *n, void *user), void *user)
{
    for (size_t i = 0; i < m->cap; i++) {
        for (struct ms_map_node *n = m->slots[i], *next; n; n = next) {
            next = n->next;
            visit(n, user);
        }
    }
}
