/* SPDX-License-Identifier: MIT */
#include "proto/date.h"

#define SECONDS_PER_DAY 86400
/* A year of two digits that seems further ahead is one of the last century. */
#define MAX_YEARS_AHEAD 50

/* What is left of the text; `bad` once something was not as expected. */
struct cursor {
    struct ms_span rest;
    bool bad;
};

struct parts {
    unsigned year, month, day, hour, minute, second;
};

static void expect(struct cursor *c, struct ms_span text)
{
    if (c->rest.n < text.n ||
        !ms_span_equal(ms_span(c->rest.p, text.n), text)) {
        c->bad = true;
        return;
    }
    c->rest.p += text.n;
    c->rest.n -= text.n;
}

/* Exactly `count` digits. */
static unsigned number(struct cursor *c, size_t count)
{
    uint64_t value;

    if (c->rest.n < count ||
        !ms_span_decimal(ms_span(c->rest.p, count), UINT16_MAX, &value)) {
        c->bad = true;
        return 0;
    }
    c->rest.p += count;
    c->rest.n -= count;
    return (unsigned)value;
}

/* Passes over the name that the text begins with; its index. */
static unsigned name(struct cursor *c, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ms_span wanted = ms_span_text(names[i]);
        if (c->rest.n < wanted.n ||
            !ms_span_equal(ms_span(c->rest.p, wanted.n), wanted))
            continue;
        expect(c, wanted);
        return (unsigned)i;
    }
    c->bad = true;
    return 0;
}

static unsigned month_name(struct cursor *c)
{
    static const char *const names[] = {"Jan", "Feb", "Mar", "Apr",
                                        "May", "Jun", "Jul", "Aug",
                                        "Sep", "Oct", "Nov", "Dec"};

    return name(c, names, MS_COUNT(names)) + 1;
}

static void time_of_day(struct cursor *c, struct parts *p)
{
    p->hour = number(c, 2);
    expect(c, MS_SPAN(":"));
    p->minute = number(c, 2);
    expect(c, MS_SPAN(":"));
    p->second = number(c, 2);
}

/* "06 Nov 1994 08:49:37 GMT", with what stands between day, month and year. */
static void day_first(struct cursor *c, struct parts *p, struct ms_span between,
                      size_t year_digits)
{
    p->day = number(c, 2);
    expect(c, between);
    p->month = month_name(c);
    expect(c, between);
    p->year = number(c, year_digits);
    expect(c, MS_SPAN(" "));
    time_of_day(c, p);
    expect(c, MS_SPAN(" GMT"));
}

/* "Nov  6 08:49:37 1994" */
static void month_first(struct cursor *c, struct parts *p)
{
    p->month = month_name(c);
    expect(c, MS_SPAN(" "));
    if (c->rest.n && *c->rest.p == ' ') {
        expect(c, MS_SPAN(" "));
        p->day = number(c, 1);
    } else {
        p->day = number(c, 2);
    }
    expect(c, MS_SPAN(" "));
    time_of_day(c, p);
    expect(c, MS_SPAN(" "));
    p->year = number(c, 4);
}

/* Howard Hinnant's days_from_civil: years begin in March, so that the day that
 * is sometimes there is the last one. */
int64_t ms_date_days(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year =
        (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool exists(const struct parts *p)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30,
                                         31, 31, 30, 31, 30, 31};
    unsigned last =
        p->month == 2 && is_leap(p->year) ? 29u : days[p->month - 1];

    /* 60 is a leap second. */
    return p->day >= 1 && p->day <= last && p->hour < 24 && p->minute < 60 &&
           p->second <= 60;
}

static int64_t seconds_of(const struct parts *p)
{
    return ms_date_days(p->year, p->month, p->day) * SECONDS_PER_DAY +
           (int64_t)p->hour * 3600 + (int64_t)p->minute * 60 + p->second;
}

static unsigned year_of(int64_t now)
{
    /* By the mean length of a year: a day's error does not matter here. */
    return (unsigned)(1970 + now / (SECONDS_PER_DAY * INT64_C(146097) / 400));
}

/* The year with those two digits that is not too far ahead. */
static unsigned full_year(unsigned digits, int64_t now)
{
    unsigned this_year = year_of(now);
    unsigned year = this_year - this_year % 100 + 100 + digits;

    while (year > this_year + MAX_YEARS_AHEAD)
        year -= 100;
    return year;
}

/* Behind the short name of the day; what follows says which form it is. */
static void read_form(struct cursor *c, struct parts *p, unsigned weekday,
                      int64_t now)
{
    static const char *const rests[] = {"day", "sday",  "nesday", "rsday",
                                        "day", "urday", "day"};

    if (c->rest.n && *c->rest.p == ' ') {
        expect(c, MS_SPAN(" "));
        month_first(c, p);
    } else if (c->rest.n && *c->rest.p == ',') {
        expect(c, MS_SPAN(", "));
        day_first(c, p, MS_SPAN(" "), 4);
    } else {
        expect(c, ms_span_text(rests[weekday]));
        expect(c, MS_SPAN(", "));
        day_first(c, p, MS_SPAN("-"), 2);
        p->year = full_year(p->year, now);
    }
}

bool ms_date_parse(struct ms_span text, int64_t now, int64_t *out)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu",
                                       "Fri", "Sat", "Sun"};
    struct cursor c = {ms_span_trim(text), false};
    struct parts p = {0};

    read_form(&c, &p, name(&c, days, MS_COUNT(days)), now);
    if (c.bad || c.rest.n || !exists(&p))
        return false;
    *out = seconds_of(&p);
    return true;
}
