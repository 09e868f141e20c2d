/* SPDX-License-Identifier: MIT
 *
 * pace: what moves averages out to the rate, whoever asks how often.
 */
#include "engine/pace.h"
#include "unit.h"

#define SECOND  1000000u
#define SECONDS 10

/* Moves all it may, looking again when it is told to or every `step_us`;
 * returns how many units that are. `times` counts the looks. */
static size_t run(struct ms_pace *p, uint64_t step_us, size_t most,
                  unsigned *times)
{
    const uint64_t begin = 1000000007;
    uint64_t now = begin;
    size_t moved = 0;

    for (*times = 0; now < begin + SECONDS * SECOND; ++*times) {
        size_t n = ms_pace_room(p, now);
        n = n < most ? n : most;
        ms_pace_spend(p, n, now);
        moved += n;
        uint64_t next = ms_pace_next_us(p);
        now = step_us ? now + step_us : next > now ? next : now + 1;
    }
    return moved;
}

TEST(what_moves_averages_out_to_the_rate)
{
    static const int64_t rates[] = {1, 3, 7, 100, 12345, 1000000, 1000000000};
    static const uint64_t steps[] = {0, 100, 999, 50000, 100000};
    struct ms_pace p;
    unsigned times;

    for (size_t i = 0; i < MS_COUNT(rates); i++)
        for (size_t j = 0; j < MS_COUNT(steps); j++) {
            double expected = (double)rates[i] * SECONDS;
            ms_pace_start_bytes(&p, rates[i]);
            double got = (double)run(&p, steps[j], SIZE_MAX, &times);
            CHECK_THAT(got >= expected * 0.98 - 1 && got <= expected * 1.02 + 3,
                       "%.0f at a rate of %.0f", got, expected);
            CHECK(steps[j] || times <= SECONDS * 20);
        }
}

TEST(without_a_limit_there_is_always_room)
{
    struct ms_pace p;

    ms_pace_start_bytes(&p, -1);
    ms_pace_spend(&p, 1 << 30, 5);
    CHECK(ms_pace_room(&p, 5) == SIZE_MAX && ms_pace_next_us(&p) == 0);
}

TEST(a_rest_saves_up_one_burst_and_no_more)
{
    struct ms_pace p;

    ms_pace_start(&p, 100, 10);
    CHECK(ms_pace_room(&p, SECOND) == 10);
    ms_pace_spend(&p, 10, SECOND);
    CHECK(ms_pace_room(&p, SECOND) == 0);
    CHECK(ms_pace_room(&p, SECOND + 10000) == 1);
    CHECK(ms_pace_next_us(&p) >= SECOND + 50000);
    CHECK(ms_pace_room(&p, ms_pace_next_us(&p)) == 5);
    CHECK(ms_pace_room(&p, 100 * SECOND) == 10);
}

TEST(what_is_spent_beyond_the_room_is_paid_for_later)
{
    struct ms_pace p;

    ms_pace_start(&p, 10, 1);
    ms_pace_spend(&p, 11, SECOND);
    CHECK(ms_pace_room(&p, 2 * SECOND) == 0);
    CHECK(ms_pace_room(&p, 2 * SECOND + 100001) == 1);
    CHECK(ms_pace_next_us(&p) <= 2 * SECOND + 100001);
}

TEST(small_pieces_are_counted_as_well)
{
    struct ms_pace p;
    unsigned times;

    ms_pace_start_bytes(&p, 10000000);
    size_t got = run(&p, 1, 1, &times);
    CHECK(got <= 10000000u * SECONDS && got == times);
    ms_pace_start_bytes(&p, 500000); /* one every other microsecond */
    got = run(&p, 1, 1, &times);
    CHECK(got >= 4990000 && got <= 5100000);
}
