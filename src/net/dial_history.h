/* SPDX-License-Identifier: MIT
 *
 * dial_history.h - which address of a name worked last.
 *
 * A hint for the next dial (RFC 8305, 4): where IPv6 is broken, or one of
 * several addresses, only the first connection pays for finding out. A hint
 * is forgotten after MS_HISTORY_US, so that what was repaired gets its chance
 * again, and when too many others were noted after it. It decides an order
 * and nothing else: an address that DNS does not give any more is not tried.
 */
#ifndef MS_NET_DIAL_HISTORY_H
#define MS_NET_DIAL_HISTORY_H

#include "base/list.h"
#include "base/map.h"
#include "net/addr.h"

/* Ten minutes (RFC 6555, 4.2). */
#define MS_HISTORY_US UINT64_C(600000000)

/* Names remembered: some 100 KiB. Who talks to more of them at a time loses
 * the hint and nothing else. */
#define MS_HISTORY_MAX 1024u

/* For embedding; the fields are the module's own. */
struct ms_dial_history {
    struct ms_map by_name; /* of struct memory */
    struct ms_list by_age; /* the same, the oldest first */
};

void ms_dial_history_init(struct ms_dial_history *h);
/* Forgets everything; the history can go on to be used. */
void ms_dial_history_clear(struct ms_dial_history *h);
void ms_dial_history_fini(struct ms_dial_history *h);

/* The address, without port, that worked last for `name`; false: not known.
 * `now_us` is the loop's clock. */
bool ms_dial_history_find(const struct ms_dial_history *h, struct ms_span name,
                          uint64_t now_us, struct ms_addr *out);

/* `addr` has worked. What is known already keeps its age: only a dial that
 * tries all families anew may lengthen its life. Without memory it is not
 * noted. */
void ms_dial_history_note(struct ms_dial_history *h, struct ms_span name,
                          const struct ms_addr *addr, uint64_t now_us);

#endif
