/* SPDX-License-Identifier: MIT
 *
 * test_h2_window.c - receive windows: what readers that pause hold back, and
 * windows that grow.
 */
#include "h2_world.h"

/* ---- windows ------------------------------------------------------------- */

TEST(a_paused_stream_holds_back_nobody_else)
{
    begin(100, false);
    peer.give = 3 * MS_H2_STREAM_WINDOW;
    for (int i = 0; i < 10; i++) {
        CHECK(!open_side(i, "GET", no_body));
        sides[i].pause = i == 4;
    }
    CHECK(!talk());
    for (int i = 0; i < 10; i++)
        CHECK(sides[i].ended == (i != 4) && (i == 4 || !sides[i].err));
    CHECK(sides[0].got == peer.give);
    CHECK(sides[4].got == 0 && peer.given[9] <= MS_H2_STREAM_WINDOW);
    sides[4].pause = false;
    h->ops->resume(h, &sides[4].stream);
    CHECK(h->due && !to_us() && !talk());
    CHECK(sides[4].ended && sides[4].got == peer.give);
    end();
}

TEST(a_reader_that_rested_is_given_pieces)
{
    size_t before;

    begin(100, false);
    peer.give = MS_H2_STREAM_WINDOW;
    CHECK(!open_side(0, "GET", no_body));
    sides[0].pause = sides[0].sips = true;
    CHECK(!talk() && !sides[0].got);
    while (!sides[0].ended) {
        before = sides[0].got;
        sides[0].pause = false;
        h->ops->resume(h, &sides[0].stream);
        CHECK(!to_us() && !talk());
        CHECK(sides[0].ended || sides[0].got > before);
        CHECK(sides[0].got - before <= MS_H2_PIECE);
    }
    CHECK(sides[0].got == peer.give);
    sides[0].sips = false;
    end();
}

TEST(what_a_cancelled_stream_kept_is_given_back)
{
    begin(100, false);
    peer.give = MS_H2_STREAM_WINDOW;
    /* More than the connection's window in all. */
    for (int i = 0; i < MS_H2_WINDOW / MS_H2_STREAM_WINDOW + 20; i++) {
        CHECK(!open_side(0, "GET", no_body));
        sides[0].pause = true;
        CHECK(!talk());
        CHECK(peer.given[2 * i + 1] == MS_H2_STREAM_WINDOW);
        h->ops->cancel(h, &sides[0].stream);
        CHECK(!talk());
    }
    end();
}

TEST(a_response_that_is_whole_waits_for_its_paused_reader)
{
    begin(100, false);
    peer.give = 1000;
    CHECK(!open_side(0, "GET", no_body) && !open_side(1, "GET", no_body));
    sides[0].pause = true;
    CHECK(!talk() && !sides[0].ended && sides[1].ended);
    h->ops->eof(h, MS_OK);
    CHECK(!sides[0].ended && h->ops->done(h));
    sides[0].pause = false;
    h->ops->resume(h, &sides[0].stream);
    CHECK(h->due && !to_us());
    CHECK(sides[0].ended && !sides[0].err && sides[0].got == 1000);
    end();
}

/* ---- windows that grow ----------------------------------------------------
 */

/* Windows of all paused streams and what they hold of them. */
static size_t kept_of(int n)
{
    size_t kept = 0;

    for (int i = 0; i < n; i++)
        kept += peer.given[2 * i + 1] - sides[i].got;
    return kept;
}

static void begin_at(unsigned trip_us, int streams, size_t give)
{
    round_trip_us = trip_us;
    begin(100, false);
    peer.give = give;
    for (int i = 0; i < streams; i++)
        CHECK(!open_side(i, "GET", no_body));
}

static void begin_far(int streams, size_t give)
{
    begin_at(100 * 1000, streams, give);
}

static void end_far(void)
{
    end();
    round_trip_us = 0;
    CHECK(grown == 0);
}

TEST(a_window_grows_where_it_holds_a_stream_up)
{
    begin_far(1, 40 * MS_H2_MAX_STREAM_WINDOW / 16);
    CHECK(!talk() && sides[0].ended && !sides[0].err);
    /* 40 MiB would take 160 rounds with the first window. */
    CHECK_THAT(rounds < 20, "%u", rounds);
    CHECK(grown == 0);
    end_far();
}

/* 5 Gbit/s need 1.25 MB for 2 ms. */
TEST(a_window_from_nearby_grows_to_what_that_carries)
{
    ms_err err;
    int64_t most = 0;

    begin_at(2000, 1, 4 * MS_H2_MAX_STREAM_WINDOW);
    while (!sides[0].ended) {
        CHECK(step(&err) && !err);
        most = grown > most ? grown : most;
    }
    CHECK_THAT(most > 950 * 1000 && most < 1050 * 1000, "%lld",
               (long long)most);
    end_far();
}

/* The peer hears all that there is, and its next frame takes that long. */
static void one_frame(uint64_t takes_us)
{
    struct ms_span run;
    const uint8_t *p;
    size_t used;

    while (h->ops->pull(h, &run, 1)) {
        CHECK(nghttp2_session_mem_recv(peer.ng, (const uint8_t *)run.p,
                                       run.n) == (ssize_t)run.n);
        h->ops->sent(h, run.n);
    }
    ssize_t n = nghttp2_session_mem_send(peer.ng, &p);
    CHECK(n > 0);
    h->now_us += takes_us;
    CHECK(!h->ops->feed(h, ms_span((const char *)p, (size_t)n), &used));
}

/* The same at a rate that the first window allows. */
TEST(a_window_stays_where_it_does_not)
{
    begin_far(1, 4 * MS_H2_STREAM_WINDOW);
    while (!sides[0].ended) {
        one_frame(round_trip_us);
        CHECK(grown == 0);
    }
    end_far();
}

/* A peer that has much to do at first seems far away. */
TEST(a_slow_greeting_makes_no_window_grow)
{
    begin_far(1, 40 * MS_H2_STREAM_WINDOW);
    while (!sides[0].ended) {
        one_frame(sides[0].got ? 10 : round_trip_us);
        CHECK_THAT(grown <= MS_H2_STREAM_WINDOW, "%lld", (long long)grown);
    }
    end_far();
}

/* All are fast until they pause: a connection keeps no more than its window,
 * and of that, what had grown is bounded by itself. */
TEST(what_paused_streams_keep_is_bounded)
{
    size_t most = STREAMS * MS_H2_STREAM_WINDOW + MS_H2_GROWN;
    ms_err err;

    begin_far(STREAMS, 100 * MS_H2_MAX_STREAM_WINDOW);
    for (int i = 0; i < 12; i++)
        CHECK(step(&err));
    CHECK_THAT(grown > MS_H2_GROWN / 2 && grown <= MS_H2_GROWN, "%lld",
               (long long)grown);
    for (int i = 0; i < STREAMS; i++)
        sides[i].pause = true;
    CHECK(!talk());
    CHECK_THAT(kept_of(STREAMS) <= most && kept_of(STREAMS) > most / 2, "%zu",
               kept_of(STREAMS));
    CHECK(kept_of(STREAMS) <= MS_H2_WINDOW);
    end_far();
}

TEST(windows_of_all_connections_are_bounded_together)
{
    grown = MS_H2_ALL_GROWN - 1000; /* by others */
    begin_far(1, 20 * MS_H2_STREAM_WINDOW);
    CHECK(!talk() && sides[0].ended && !sides[0].err);
    CHECK_THAT(rounds > 20, "%u", rounds);
    CHECK(grown == MS_H2_ALL_GROWN - 1000);
    grown = 0;
    end_far();
}
