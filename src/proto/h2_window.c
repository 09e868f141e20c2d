/* SPDX-License-Identifier: MIT
 *
 * Receive windows: what was consumed is given back, and the window of a stream
 * that limits its own rate grows.
 *
 * A window carries at most its size in a round trip. A stream whose reader took
 * half of it in less than two round trips is held up by the window, or nearly
 * so: the window is doubled, while there is room for that on the connection
 * and in the multi. How long a round trip is the answer to our SETTINGS tells,
 * roughly, for the peer may have much to do when a connection begins; so
 * before a window grows, and each time it does, a PING measures it, and the
 * shortest counts. Otherwise whoever reads fast, from a peer that is near,
 * would be given a window to keep megabytes in as soon as he rests; and none
 * grows beyond what 5 Gbit/s need in that time. What is
 * slow or paused keeps the window it has, so only those that take data quickly
 * may ever have much under way.
 */
#include <assert.h>
#include <string.h>

#include "proto/h2_state.h"

/* What our PINGs for that hold; others hold zeros. */
static const uint8_t mark[8] = {'r', 'o', 'u', 'n', 'd'};

void ms_h2_window_sent(struct h2 *h)
{
    if (!h->greeted_us)
        h->greeted_us = h->base.now_us + 1;
}

void ms_h2_window_answered(struct h2 *h)
{
    if (h->greeted_us && !h->round_trip_us)
        h->round_trip_us = h->base.now_us + 2 - h->greeted_us;
}

static void measure(struct h2 *h)
{
    if (h->measured_us)
        return;
    h->measured_us = h->base.now_us + 1;
    h->base.wants_pull = true;
    if (nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, mark))
        ms_h2_break(h, MS_ENOMEM, NULL);
}

void ms_h2_window_measured(struct h2 *h, const uint8_t *opaque)
{
    if (!h->measured_us || memcmp(opaque, mark, sizeof(mark)) != 0)
        return;
    uint64_t took = h->base.now_us + 2 - h->measured_us;
    if (took < h->round_trip_us)
        h->round_trip_us = took;
    h->measured_us = 0;
    h->measured = true;
}

/* The window of a stream that is as quick as can be. */
static int64_t largest(const struct h2 *h)
{
    if (h->round_trip_us > MS_H2_MAX_STREAM_WINDOW / MS_H2_BYTES_PER_US)
        return MS_H2_MAX_STREAM_WINDOW;
    return (int64_t)h->round_trip_us * MS_H2_BYTES_PER_US;
}

/* By how much the window may grow now. */
static int64_t growth(const struct h2_stream *s)
{
    const struct h2 *h = s->h2;
    int64_t most = largest(h) - s->window;
    int64_t here = MS_H2_GROWN - h->grown;
    int64_t all = MS_H2_ALL_GROWN - *h->all_grown;

    most = most < s->window ? most : s->window;
    most = most < here ? most : here;
    return most < all ? most : all;
}

static void try_to_grow(struct h2_stream *s)
{
    struct h2 *h = s->h2;
    int64_t more = growth(s);

    if (more <= 0)
        return;
    measure(h);
    if (!h->measured)
        return;
    if (nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, s->id,
                                              (int32_t)(s->window + more))) {
        ms_h2_break(h, MS_ENOMEM, NULL);
        return;
    }
    s->window += more;
    h->grown += more;
    *h->all_grown += more;
}

void ms_h2_consumed(struct h2_stream *s, size_t n)
{
    struct h2 *h = s->h2;
    uint64_t now = h->base.now_us;

    h->consumed += n;
    /* Nothing more comes for a stream that ended. */
    if (!s->ended && nghttp2_session_consume_stream(h->ng, s->id, n)) {
        ms_h2_break(h, MS_ENOMEM, NULL);
        return;
    }
    s->taken += (int64_t)n;
    if (s->taken < s->window / 2)
        return;
    if (s->open && now - s->taken_since_us < 2 * h->round_trip_us)
        try_to_grow(s);
    s->taken = 0;
    s->taken_since_us = now;
}

void ms_h2_window_settle(struct h2 *h)
{
    size_t n = h->consumed;

    h->consumed = 0;
    if (n && nghttp2_session_consume_connection(h->ng, n))
        ms_h2_break(h, MS_ENOMEM, NULL);
}

void ms_h2_window_gone(struct h2_stream *s)
{
    int64_t grown = s->window - MS_H2_STREAM_WINDOW;

    assert(grown >= 0 && grown <= s->h2->grown);
    s->h2->grown -= grown;
    *s->h2->all_grown -= grown;
    s->window = MS_H2_STREAM_WINDOW;
}
