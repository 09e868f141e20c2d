/* SPDX-License-Identifier: MIT
 *
 * map.h - intrusive hash map with chaining.
 *
 * The node lives inside the object; keys and their comparison are the
 * owner's, who walks the nodes of one hash:
 *
 *     for (n = ms_map_first(&map, hash); n; n = ms_map_next(n))
 *         if (matches(MS_CONTAINER(n, struct thing, node), key)) ...
 *
 * The table doubles when full; when there is no memory for that the chains
 * grow instead, so adding never fails after the first success.
 */
#ifndef MS_BASE_MAP_H
#define MS_BASE_MAP_H

#include "base/err.h"

struct ms_map_node {
    struct ms_map_node *next;
    uint32_t hash;
};

struct ms_map {
    struct ms_map_node **slots; /* a power of two of them; NULL before use */
    size_t cap, count;
};

/* The map must be empty. */
void ms_map_fini(struct ms_map *m);

/* The first node with that hash, NULL when there is none. */
struct ms_map_node *ms_map_first(const struct ms_map *m, uint32_t hash);

/* The next one with the same hash as `n`. */
struct ms_map_node *ms_map_next(const struct ms_map_node *n);

/* Adds `n`, not checking for an equal key. MS_ENOMEM on the very first. */
ms_err ms_map_add(struct ms_map *m, struct ms_map_node *n,
                  uint32_t hash) MS_MUST_CHECK;

/* `n` must be in `m`. */
void ms_map_remove(struct ms_map *m, struct ms_map_node *n);

/* Calls `visit` for every node, in no particular order; it may remove the
 * node it is given and must not change the map otherwise. */
void ms_map_walk(struct ms_map *m,
                 void (*visit)(struct ms_map_node *n, void *user), void *user);

#endif
