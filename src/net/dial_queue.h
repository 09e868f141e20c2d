/* SPDX-License-Identifier: MIT
 *
 * dial_queue.h - the addresses of a host that were not tried yet, in the order
 * to try them: each family by RFC 6724, the families taking turns (RFC 8305,
 * 4), first of all the address that worked last.
 *
 * It neither connects nor knows time.
 */
#ifndef MS_NET_DIAL_QUEUE_H
#define MS_NET_DIAL_QUEUE_H

#include "net/addr.h"
#include "net/addr_order.h"

/* Of one family. */
struct ms_dial_family {
    struct ms_addr *list; /* owned */
    size_t count, next;
};

/* For embedding; all zero is an empty one that begins with IPv6. */
struct ms_dial_queue {
    struct ms_dial_family v6, v4;
    struct ms_addr favourite; /* worked last; its family AF_UNSPEC: none */
    bool v4_is_next;
    bool begun; /* an address was taken: the families' turns go on */
};

void ms_dial_queue_fini(struct ms_dial_queue *q);

/* Adds what came for the host, in the order it came. MS_ENOMEM: those before
 * it were added. */
ms_err ms_dial_queue_add(struct ms_dial_queue *q,
                         const struct ms_addr *a) MS_MUST_CHECK;

/* Sorts what was not tried, and lets the better family begin unless the
 * favourite's does or one has begun. */
void ms_dial_queue_sort(struct ms_dial_queue *q, ms_addr_source_fn *source);

/* Takes the next address; false when there is none. */
bool ms_dial_queue_next(struct ms_dial_queue *q, struct ms_addr *out);

/* There is one. */
bool ms_dial_queue_left(const struct ms_dial_queue *q);

/* There never was one. */
bool ms_dial_queue_empty(const struct ms_dial_queue *q);

/* There is one of the family whose turn it is. */
bool ms_dial_queue_has_preferred(const struct ms_dial_queue *q);

#endif
