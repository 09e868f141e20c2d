/* SPDX-License-Identifier: MIT */
#include "base/heap.h"

#include <assert.h>

/* Joins two roots; the one with the larger key becomes the first child. */
static struct ms_heap_node *meld(struct ms_heap_node *a, struct ms_heap_node *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->key < a->key) {
        struct ms_heap_node *t = a;
        a = b;
        b = t;
    }
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    b->prev = a;
    a->child = b;
    return a;
}

/* Joins a list of siblings into one root: pairs from left to right, then the
 * pairs from right to left, which is what makes removal O(log n) amortised. */
static struct ms_heap_node *meld_siblings(struct ms_heap_node *first)
{
    struct ms_heap_node *pairs = NULL;

    while (first) {
        struct ms_heap_node *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }

    struct ms_heap_node *root = NULL;
    while (pairs) {
        struct ms_heap_node *rest = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = rest;
    }
    return root;
}

void ms_heap_push(struct ms_heap *h, struct ms_heap_node *n, uint64_t key)
{
    assert(!ms_heap_linked(n));

    n->key = key;
    n->child = n->next = n->prev = NULL;
    h->root = meld(h->root, n);
}

void ms_heap_remove(struct ms_heap *h, struct ms_heap_node *n)
{
    assert(ms_heap_linked(n));

    if (n != h->root) {
        if (n->prev->child == n)
            n->prev->child = n->next;
        else
            n->prev->next = n->next;
        if (n->next)
            n->next->prev = n->prev;
    }
    struct ms_heap_node *below = meld_siblings(n->child);
    if (below)
        below->prev = NULL;
    h->root = n == h->root ? below : meld(h->root, below);
    ms_heap_node_init(n);
}

bool ms_heap_check(const struct ms_heap *h, size_t *count)
{
    const struct ms_heap_node *n = h->root;

    if (!n)
        return true;
    if (n->prev || n->next)
        return false;
    /* Depth first without a stack: down, else right, else up and right. */
    while (n) {
        ++*count;
        if (n->child && n->child->prev != n)
            return false;
        if (n->next && n->next->prev != n)
            return false;
        for (const struct ms_heap_node *c = n->child; c; c = c->next)
            if (c->key < n->key)
                return false;
        if (n->child) {
            n = n->child;
            continue;
        }
        while (n && !n->next) {
            while (n->prev && n->prev->child != n)
                n = n->prev;
            n = n->prev;
        }
        n = n ? n->next : NULL;
    }
    return true;
}
