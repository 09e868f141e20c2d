/* SPDX-License-Identifier: MIT
 *
 * How a body that is produced while it is sent is framed.
 */
#include "proto/upload.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "unit.h"

static char wire[64 * 1024];
static size_t wired;

/* Takes what is ready, `step` bytes at a time. */
static void take(struct ms_upload *u, size_t step)
{
    struct ms_span s;

    while ((s = ms_upload_ready(u)).n) {
        size_t n = s.n < step ? s.n : step;
        CHECK(wired + n <= sizeof(wire));
        memcpy(wire + wired, s.p, n);
        wired += n;
        ms_upload_sent(u, n);
    }
}

static ms_err put(struct ms_upload *u, const char *text, bool end)
{
    const char *why = NULL;
    size_t cap, n = strlen(text);
    char *p = ms_upload_room(u, &cap);

    CHECK(n <= cap);
    memcpy(p, text, n);
    ms_err err = ms_upload_put(u, n, end, &why);
    CHECK(!err == !why);
    return err;
}

static bool wrote(const char *text)
{
    return ms_span_equal(ms_span(wire, wired), ms_span_text(text));
}

TEST(chunks_have_their_size_in_front_and_end_with_an_empty_one)
{
    for (size_t step = 1; step < 40; step++) {
        struct ms_upload *u;
        wired = 0;
        CHECK(!ms_upload_new(&u, -1));
        CHECK(!put(u, "hello", false));
        take(u, step);
        CHECK(!put(u, "0123456789abcdef", false));
        take(u, step);
        CHECK(!ms_upload_ended(u));
        CHECK(!put(u, "", true));
        take(u, step);
        CHECK(ms_upload_ended(u));
        CHECK(wrote("5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"));
        ms_upload_free(u);
    }
}

TEST(the_last_piece_may_have_data)
{
    struct ms_upload *u;

    wired = 0;
    CHECK(!ms_upload_new(&u, -1));
    CHECK(!put(u, "x", true));
    take(u, 100);
    CHECK(ms_upload_ended(u) && wrote("1\r\nx\r\n0\r\n\r\n"));
    ms_upload_free(u);
}

TEST(the_largest_piece_fits)
{
    static char text[MS_UPLOAD_PIECE + 1];
    struct ms_upload *u;
    size_t cap;

    memset(text, 'a', MS_UPLOAD_PIECE);
    wired = 0;
    CHECK(!ms_upload_new(&u, -1));
    ms_upload_room(u, &cap);
    CHECK(cap == MS_UPLOAD_PIECE);
    CHECK(!put(u, text, true));
    take(u, 1000);
    CHECK(wired == 6 + MS_UPLOAD_PIECE + 2 + 5);
    CHECK(memcmp(wire, "4000\r\na", 7) == 0);
    CHECK(memcmp(wire + wired - 8, "a\r\n0\r\n\r\n", 8) == 0);
    ms_upload_free(u);
}

TEST(a_known_length_is_met_without_being_told)
{
    struct ms_upload *u;

    wired = 0;
    CHECK(!ms_upload_new(&u, 5));
    CHECK(!put(u, "he", false));
    take(u, 1);
    CHECK(!ms_upload_ended(u));
    CHECK(!put(u, "llo", false));
    CHECK(ms_upload_ended(u));
    take(u, 1);
    CHECK(wrote("hello"));
    ms_upload_free(u);
    CHECK(!ms_upload_new(&u, 0));
    CHECK(ms_upload_ended(u) && !ms_upload_ready(u).n);
    ms_upload_free(u);
}

TEST(a_body_of_another_length_than_was_said_fails)
{
    struct ms_upload *u;

    CHECK(!ms_upload_new(&u, 5));
    CHECK(put(u, "hello!", false) == MS_EUPLOAD);
    ms_upload_free(u);
    CHECK(!ms_upload_new(&u, 5));
    CHECK(put(u, "hell", true) == MS_EUPLOAD);
    ms_upload_free(u);
}

TEST(no_memory_is_an_error)
{
    struct ms_upload *u = NULL;

    ms_mem_fail(1, 1);
    CHECK(ms_upload_new(&u, 1) == MS_ENOMEM);
    ms_mem_fail(0, 0);
    ms_upload_free(NULL);
}

TEST(bytes_elsewhere_are_counted_and_pointed_to_by_nobody)
{
    struct ms_upload *u;
    const char *why = NULL;

    CHECK(!ms_upload_new(&u, 100000));
    CHECK(!ms_upload_put_elsewhere(u, 70000, false, &why) && !why);
    CHECK(!ms_upload_ready(u).p && ms_upload_ready(u).n == 70000);
    ms_upload_sent(u, 30000);
    CHECK(!ms_upload_ready(u).p && ms_upload_ready(u).n == 40000);
    ms_upload_sent(u, 40000);
    CHECK(!ms_upload_ready(u).n && !ms_upload_ended(u));
    CHECK(!put(u, "in memory", false));
    CHECK(ms_span_equal(ms_upload_ready(u), MS_SPAN("in memory")));
    ms_upload_sent(u, 9);
    CHECK(!ms_upload_put_elsewhere(u, 100000 - 70009, false, &why));
    CHECK(ms_upload_ended(u));
    ms_upload_free(u);
}

TEST(bytes_elsewhere_have_to_be_as_many_as_was_said)
{
    struct ms_upload *u;
    const char *why = NULL;

    CHECK(!ms_upload_new(&u, 10));
    CHECK(ms_upload_put_elsewhere(u, 11, false, &why) == MS_EUPLOAD);
    CHECK(strstr(why, "longer"));
    ms_upload_free(u);
    CHECK(!ms_upload_new(&u, 10));
    CHECK(ms_upload_put_elsewhere(u, 9, true, &why) == MS_EUPLOAD);
    CHECK(strstr(why, "shorter"));
    ms_upload_free(u);
}
