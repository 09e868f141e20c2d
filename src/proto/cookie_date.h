/* SPDX-License-Identifier: MIT
 *
 * cookie_date.h - dates in the Expires attribute of cookies, read as
 * leniently as browsers do (RFC 6265, 5.1.1).
 *
 * This is not the strict date of HTTP's own headers: the parts may come in
 * nearly any order and spelling.
 */
#ifndef MS_PROTO_COOKIE_DATE_H
#define MS_PROTO_COOKIE_DATE_H

#include "base/span.h"

/* Seconds since 1970 of the date in `text`; false when it is none. */
bool ms_cookie_date(struct ms_span text, int64_t *unix_s);

#endif
