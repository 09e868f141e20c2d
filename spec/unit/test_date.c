/* SPDX-License-Identifier: MIT
 *
 * Dates in HTTP fields.
 */
#include "proto/date.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

/* 2026-11-21 12:00:00 UTC. */
#define NOW INT64_C(1795262400)

/* What `text` says by the clock of NOW, INT64_MIN when it is no date. */
static int64_t value_of(const char *text)
{
    int64_t value = 0;

    return ms_date_parse(ms_span_text(text), NOW, &value) ? value : INT64_MIN;
}

static const struct {
    const char *text;
    int64_t value;
} good[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Wed Nov 16 08:49:37 1994", 784975777},
    {"  Sun, 06 Nov 1994 08:49:37 GMT\t", 784111777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
    {"Sat, 21 Nov 2026 12:00:00 GMT", NOW},
    {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
    {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
    {"Fri, 31 Dec 1999 23:59:60 GMT", 946684800}, /* a leap second */
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
    {"Mon, 02 Mar 2026 00:00:00 GMT", 1772409600},
    /* The name of the day is one, not more. */
    {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777},
};

TEST(all_three_forms)
{
    for (size_t i = 0; i < MS_COUNT(good); i++)
        CHECK_THAT(value_of(good[i].text) == good[i].value, "%s is %lld",
                   good[i].text, (long long)value_of(good[i].text));
}

TEST(every_day_has_its_name)
{
    static const char *const days[] = {"Monday",   "Tuesday", "Wednesday",
                                       "Thursday", "Friday",  "Saturday",
                                       "Sunday"};
    char text[64];

    for (size_t i = 0; i < MS_COUNT(days); i++) {
        snprintf(text, sizeof(text), "%s, 06-Nov-94 08:49:37 GMT", days[i]);
        CHECK_THAT(value_of(text) == 784111777, "%s", text);
        snprintf(text, sizeof(text), "%.3s, 06 Nov 1994 08:49:37 GMT", days[i]);
        CHECK_THAT(value_of(text) == 784111777, "%s", text);
        snprintf(text, sizeof(text), "%.3s Nov  6 08:49:37 1994", days[i]);
        CHECK_THAT(value_of(text) == 784111777, "%s", text);
    }
}

TEST(every_month_has_its_name_and_days)
{
    static const struct {
        const char *name;
        unsigned days;
    } months[] = {{"Jan", 31}, {"Feb", 28}, {"Mar", 31}, {"Apr", 30},
                  {"May", 31}, {"Jun", 30}, {"Jul", 31}, {"Aug", 31},
                  {"Sep", 30}, {"Oct", 31}, {"Nov", 30}, {"Dec", 31}};
    int64_t expected = 1735689600; /* 2025 */
    char text[64];

    for (size_t i = 0; i < MS_COUNT(months); i++) {
        snprintf(text, sizeof(text), "Mon, 01 %s 2025 00:00:00 GMT",
                 months[i].name);
        CHECK_THAT(value_of(text) == expected, "%s", text);
        expected += 86400 * (int64_t)months[i].days;
        snprintf(text, sizeof(text), "Mon, %02u %s 2025 00:00:00 GMT",
                 months[i].days, months[i].name);
        CHECK_THAT(value_of(text) == expected - 86400, "%s", text);
        snprintf(text, sizeof(text), "Mon, %02u %s 2025 00:00:00 GMT",
                 months[i].days + 1, months[i].name);
        CHECK_THAT(value_of(text) == INT64_MIN, "%s", text);
    }
}

/* RFC 9110, 5.6.7: more than 50 years ahead is the past. */
TEST(years_of_two_digits)
{
    CHECK(value_of("Sunday, 01-Jan-26 00:00:00 GMT") == 1767225600);
    CHECK(value_of("Sunday, 01-Jan-76 00:00:00 GMT") == 3345062400);
    CHECK(value_of("Sunday, 01-Jan-77 00:00:00 GMT") == 220924800);
    CHECK(value_of("Sunday, 01-Jan-99 00:00:00 GMT") == 915148800);
    CHECK(value_of("Sunday, 01-Jan-00 00:00:00 GMT") == 946684800);
}

TEST(anything_else_is_none)
{
    static const char *const bad[] = {
        "",
        "0",
        "120",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT+1",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 Nev 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 -8:49:37 GMT",
        "Sun, 29 Feb 1900 00:00:00 GMT",
        "Sun, 29 Feb 2025 00:00:00 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday 06-Nov-94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunsday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94",
        "Xun, 06 Nov 1994 08:49:37 GMT",
    };

    for (size_t i = 0; i < MS_COUNT(bad); i++)
        CHECK_THAT(value_of(bad[i]) == INT64_MIN, "%s", bad[i]);
}

/* No byte is read that is not there: each beginning of a date is none. */
TEST(a_part_of_one_is_none)
{
    for (size_t i = 0; i < 4; i++) {
        struct ms_span all = ms_span_text(good[i].text);
        char *exact;
        int64_t value;
        for (size_t n = 0; n < all.n; n++) {
            exact = malloc(n + 1);
            CHECK(exact != NULL);
            memcpy(exact, all.p, n);
            CHECK_THAT(!ms_date_parse(ms_span(exact, n), NOW, &value),
                       "%zu bytes of %s", n, all.p);
            free(exact);
        }
    }
}
