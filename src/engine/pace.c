/* SPDX-License-Identifier: MIT */
#include "engine/pace.h"

#include <assert.h>

#define SECOND_US 1e6
/* Bursts of an eighth of a second look even to people and to routers' queues,
 * and are some sixteen wakings in a second. */
#define BURSTS_PER_S 8
/* Who is late for one finds the next one saved up. */
#define LEAST_BURST 2

void ms_pace_start(struct ms_pace *p, int64_t per_s, int64_t burst)
{
    assert(per_s != 0 && burst >= 1);

    *p = (struct ms_pace){0};
    if (per_s < 0)
        return;
    p->rate = (double)per_s / SECOND_US;
    p->span_us = (double)burst / p->rate;
}

void ms_pace_start_bytes(struct ms_pace *p, int64_t per_s)
{
    int64_t burst = per_s / BURSTS_PER_S;

    ms_pace_start(p, per_s, burst > LEAST_BURST ? burst : LEAST_BURST);
}

/* A thousandth of a unit is lost in computing. */
#define ROUNDING 0.001

size_t ms_pace_room(const struct ms_pace *p, uint64_t now_us)
{
    if (p->rate == 0)
        return SIZE_MAX;
    double from = p->paid_us > (double)now_us ? p->paid_us : (double)now_us;
    double room = ((double)now_us + p->span_us - from) * p->rate + ROUNDING;

    if (room < 1)
        return 0;
    return room < (double)(SIZE_MAX / 2) ? (size_t)room : SIZE_MAX / 2;
}

void ms_pace_spend(struct ms_pace *p, size_t n, uint64_t now_us)
{
    if (p->rate == 0)
        return;
    if (p->paid_us < (double)now_us)
        p->paid_us = (double)now_us;
    p->paid_us += (double)n / p->rate;
}

uint64_t ms_pace_next_us(const struct ms_pace *p)
{
    double half = p->span_us / 2, one = p->rate == 0 ? 0 : 1 / p->rate;
    double at = p->paid_us - p->span_us + (half > one ? half : one);

    return at > 0 ? (uint64_t)at + 1 : 0;
}
