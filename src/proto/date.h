/* SPDX-License-Identifier: MIT
 *
 * date.h - dates in HTTP fields (RFC 9110, 5.6.7). No locale and no time zone
 * takes part. Cookies have another, looser algorithm.
 */
#ifndef MS_PROTO_DATE_H
#define MS_PROTO_DATE_H

#include "base/span.h"

/* Seconds since 1970 of any of the three forms:
 *
 *     Sun, 06 Nov 1994 08:49:37 GMT      as it is written today
 *     Sunday, 06-Nov-94 08:49:37 GMT     RFC 850; 50 years ahead at most
 *     Sun Nov  6 08:49:37 1994           asctime()
 *
 * `now` (the same unit) is what a year of two digits is read by. The day of
 * the week must be one; that it is the right one is not looked at. False for
 * anything else, also for days and times that do not exist. */
bool ms_date_parse(struct ms_span text, int64_t now, int64_t *out);

/* Days since 1970 of a date in the Gregorian calendar, `month` and `day` from
 * 1. */
int64_t ms_date_days(int64_t year, unsigned month, unsigned day);

#endif
