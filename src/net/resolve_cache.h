/* SPDX-License-Identifier: MIT
 *
 * resolve_cache.h - answers of DNS, for as long as they hold.
 *
 * An entry lives for the time its records were given, within bounds. Finding,
 * adding and removing are O(1): entries hang in a wheel of slots by the time
 * they end, and a timer of the cache's own empties one slot after the other,
 * so no transfer ever pays for cleaning up. When the cache is full the entry
 * that was not asked for the longest makes room.
 *
 * It asks nobody and calls nobody back.
 */
#ifndef MS_NET_RESOLVE_CACHE_H
#define MS_NET_RESOLVE_CACHE_H

#include "base/map.h"
#include "net/addr.h"
#include "net/loop.h"

/* What a server says holds for no less than this: a burst asks once, also
 * where the time to live is 0. */
#define MS_CACHE_LEAST_MS 1000
/* Nor for more than this unless told otherwise: after an hour we look. */
#define MS_CACHE_MOST_MS 3600000
/* That there is nothing is believed for this long, whatever is said: a burst
 * asks once, and nobody waits for a name that was just made. */
#define MS_CACHE_NEGATIVE_MS 3000

/* Some 4 MiB with a few addresses each. */
#define MS_CACHE_MAX 16384u

/* The timer runs at most this often in a longest life. */
#define MS_CACHE_SLOTS 64u

struct ms_cached {
    struct ms_map_node node;
    struct ms_list slot; /* on cache->slots[] */
    struct ms_list use;  /* on cache->by_use */
    uint64_t ends_us;
    unsigned families;      /* that were asked for */
    size_t v6_count, count; /* IPv6 first; none: there is no such host */
    size_t name_len;
    const char *name;      /* behind the addresses */
    struct ms_addr list[]; /* without ports */
};

/* For embedding; the fields are the module's own. */
struct ms_resolve_cache {
    struct ms_loop *loop;
    struct ms_map by_name; /* of struct ms_cached */
    struct ms_list slots[MS_CACHE_SLOTS];
    struct ms_list by_use; /* the one not used for the longest first */
    struct ms_timer timer;
    uint64_t slot_us; /* what one slot covers */
    uint64_t swept;   /* the stretch of that length to be emptied next */
    int most_ms;      /* 0: nothing is kept */
};

/* What is known of a name; the lists are lent. */
struct ms_cache_news {
    struct ms_span name;
    unsigned families; /* what was asked for; each has entries of its own */
    const struct ms_addr *v6, *v4;
    size_t v6_count, v4_count;
    int64_t ttl_ms; /* as it was given, whatever the bounds */
};

/* `most_ms`: nothing is kept for longer, 0 keeps nothing. */
void ms_resolve_cache_init(struct ms_resolve_cache *c, struct ms_loop *loop,
                           int most_ms);
/* Stops the timer and forgets everything; the cache can go on to be used. */
void ms_resolve_cache_clear(struct ms_resolve_cache *c);
/* After ms_resolve_cache_clear(), also when there is no loop any more. */
void ms_resolve_cache_fini(struct ms_resolve_cache *c);

/* What is known of `name` now to those who asked for `families`, NULL: nothing.
 * Good until the next call. */
const struct ms_cached *ms_resolve_cache_find(struct ms_resolve_cache *c,
                                              struct ms_span name,
                                              unsigned families);

/* Replaces what was known. Without memory nothing is known. */
void ms_resolve_cache_put(struct ms_resolve_cache *c,
                          const struct ms_cache_news *news);

#endif
