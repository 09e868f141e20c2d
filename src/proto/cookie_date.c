/* SPDX-License-Identifier: MIT
 *
 * cookie_date.c - the algorithm of RFC 6265, 5.1.1: the text is cut at
 * delimiters, and each piece is the first of time, day, month and year that
 * is still missing and that it looks like.
 */
#include "proto/cookie_date.h"

#include "proto/date.h"

/* Years before it are refused by the algorithm: the Gregorian calendar is
 * younger than 1601's predecessors. */
#define FIRST_YEAR 1601

enum { HAS_TIME = 1, HAS_DAY = 2, HAS_MONTH = 4, HAS_YEAR = 8, HAS_ALL = 15 };

struct parts {
    unsigned has;
    unsigned hour, minute, second, day, month, year; /* month from 1 */
};

static bool is_delimiter(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c <= 0x2f) || (c >= 0x3b && c <= 0x40) ||
           (c >= 0x5b && c <= 0x60) || (c >= 0x7b && c <= 0x7e);
}

/* Takes the next piece off the front of `text`; false when none is left. */
static bool next_piece(struct ms_span *text, struct ms_span *piece)
{
    const char *p = text->p, *end = text->p + text->n;

    while (p < end && is_delimiter((unsigned char)*p))
        p++;
    piece->p = p;
    while (p < end && !is_delimiter((unsigned char)*p))
        p++;
    piece->n = (size_t)(p - piece->p);
    *text = ms_span(p, (size_t)(end - p));
    return piece->n > 0;
}

/* Takes `least` to `most` digits off the front; more of them are none. */
static bool take_number(struct ms_span *s, size_t least, size_t most,
                        unsigned *value)
{
    size_t n = 0;
    unsigned v = 0;

    while (n < s->n && n < most && ms_is_digit((unsigned char)s->p[n]))
        v = v * 10 + (unsigned)(s->p[n++] - '0');
    if (n < least || (n < s->n && ms_is_digit((unsigned char)s->p[n])))
        return false;
    *s = ms_span(s->p + n, s->n - n);
    *value = v;
    return true;
}

static bool take_colon(struct ms_span *s)
{
    if (s->n == 0 || *s->p != ':')
        return false;
    *s = ms_span(s->p + 1, s->n - 1);
    return true;
}

static bool read_time(struct ms_span s, struct parts *d)
{
    unsigned hour, minute, second;

    if (!take_number(&s, 1, 2, &hour) || !take_colon(&s) ||
        !take_number(&s, 1, 2, &minute) || !take_colon(&s) ||
        !take_number(&s, 1, 2, &second))
        return false;
    d->hour = hour;
    d->minute = minute;
    d->second = second;
    return true;
}

static bool read_month(struct ms_span s, struct parts *d)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    if (s.n < 3)
        return false;
    for (unsigned i = 0; i < 12; i++) {
        if (ms_span_equal_nocase(ms_span(s.p, 3), ms_span(names + 3 * i, 3))) {
            d->month = i + 1;
            return true;
        }
    }
    return false;
}

static unsigned whole_year(unsigned year)
{
    if (year >= 70 && year <= 99)
        return year + 1900;
    return year <= 69 ? year + 2000 : year;
}

static void read_piece(struct ms_span s, struct parts *d)
{
    struct ms_span rest = s;

    if (!(d->has & HAS_TIME) && read_time(s, d)) {
        d->has |= HAS_TIME;
    } else if (!(d->has & HAS_DAY) && take_number(&rest, 1, 2, &d->day)) {
        d->has |= HAS_DAY;
    } else if (!(d->has & HAS_MONTH) && read_month(s, d)) {
        d->has |= HAS_MONTH;
    } else if (!(d->has & HAS_YEAR) && take_number(&rest, 2, 4, &d->year)) {
        d->year = whole_year(d->year);
        d->has |= HAS_YEAR;
    }
}

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned days_of(unsigned month, unsigned year)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30,
                                         31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

static bool exists(const struct parts *d)
{
    return d->has == HAS_ALL && d->year >= FIRST_YEAR && d->day >= 1 &&
           d->day <= days_of(d->month, d->year) && d->hour <= 23 &&
           d->minute <= 59 && d->second <= 59;
}

static int64_t to_seconds(const struct parts *d)
{
    int64_t days = ms_date_days(d->year, d->month, d->day);

    return ((days * 24 + d->hour) * 60 + d->minute) * 60 + d->second;
}

bool ms_cookie_date(struct ms_span text, int64_t *unix_s)
{
    struct parts d = {0};
    struct ms_span piece;

    while (next_piece(&text, &piece))
        read_piece(piece, &d);
    if (!exists(&d))
        return false;
    *unix_s = to_seconds(&d);
    return true;
}
