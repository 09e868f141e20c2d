/* SPDX-License-Identifier: MIT
 *
 * heap.h - intrusive pairing heap, smallest key first.
 *
 * Nodes live inside the objects they order, so no call allocates or fails.
 * Push and peek are O(1), removal is O(log n) amortised. Equal keys come out
 * in no particular order.
 */
#ifndef MS_BASE_HEAP_H
#define MS_BASE_HEAP_H

#include "base/def.h"

struct ms_heap_node {
    uint64_t key;
    /* `prev` is the left sibling, or the parent of a first child; a node
     * that is in no heap has itself there. The root's `prev` is NULL. */
    struct ms_heap_node *child, *next, *prev;
};

struct ms_heap {
    struct ms_heap_node *root; /* NULL when empty */
};

static inline void ms_heap_node_init(struct ms_heap_node *n)
{
    n->prev = n;
}

static inline bool ms_heap_linked(const struct ms_heap_node *n)
{
    return n->prev != n;
}

/* `n` must be in no heap. */
void ms_heap_push(struct ms_heap *h, struct ms_heap_node *n, uint64_t key);

/* `n` must be in `h`. */
void ms_heap_remove(struct ms_heap *h, struct ms_heap_node *n);

/* True when every node's key is at most its children's and all links agree;
 * for tests. Walks the whole heap, adding its size to `*count`. */
bool ms_heap_check(const struct ms_heap *h, size_t *count);

#endif
