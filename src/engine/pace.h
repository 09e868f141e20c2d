/* SPDX-License-Identifier: MIT
 *
 * pace.h - how many bytes may move now, so that they average out to a rate.
 *
 * A bucket that fills at the rate and holds what an eighth of a second brings,
 * or two bytes where that is less. What was spent is kept as the time at which
 * it is paid for, so nothing has to be done while nobody asks. It has neither
 * clock nor timer: whoever has them asks when to look again.
 */
#ifndef MS_ENGINE_PACE_H
#define MS_ENGINE_PACE_H

#include "base/def.h"

struct ms_pace {
    double rate;    /* units per microsecond; 0: no limit */
    double span_us; /* what the bucket holds, in time */
    double paid_us; /* when all that was spent is paid for */
};

/* `per_s` units each second, a burst of `burst` of them at first and after a
 * rest; at least 1 of both. `per_s` < 0: no limit. */
void ms_pace_start(struct ms_pace *p, int64_t per_s, int64_t burst);

/* A rate of bytes: short bursts. */
void ms_pace_start_bytes(struct ms_pace *p, int64_t per_s);

/* How many units may move now. */
size_t ms_pace_room(const struct ms_pace *p, uint64_t now_us);

/* `n` units moved; no more than there was room for is expected, but any number
 * is paid for. */
void ms_pace_spend(struct ms_pace *p, size_t n, uint64_t now_us);

/* When there will be room enough for looking again to be worth it: for half of
 * what the bucket holds, at least for one. */
uint64_t ms_pace_next_us(const struct ms_pace *p);

#endif
