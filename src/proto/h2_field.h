/* SPDX-License-Identifier: MIT
 *
 * h2_field.h - what a header field may look like in an HTTP/2 response, and
 * what becomes of the request's (RFC 9113, 8.2 and 8.3).
 *
 * Fields only: it knows no frames and no nghttp2.
 */
#ifndef MS_PROTO_H2_FIELD_H
#define MS_PROTO_H2_FIELD_H

#include "base/err.h"
#include "base/span.h"

/* What is wrong with a field that is no pseudo-header field; NULL: nothing.
 * `known` says that the name is one of HPACK's own, which are well formed. */
const char *ms_h2_check_field(struct ms_span name, struct ms_span value,
                              bool known);

/* ":status": three digits, 100 to 599; 0 when it is not. */
unsigned ms_h2_status(struct ms_span value);

/* What a request's field becomes. */
enum ms_h2_field { MS_H2_SEND, MS_H2_DROP, MS_H2_CRUMBS };

/* Fields that concern the HTTP/1 connection are not sent, nor those that the
 * session makes itself; cookies are sent apart, for HPACK's sake. */
enum ms_h2_field ms_h2_request_field(struct ms_span name, struct ms_span value);

/* Splits the next cookie off a Cookie field's value (RFC 9113, 8.2.3). False
 * when none is left. */
bool ms_h2_next_crumb(struct ms_span *value, struct ms_span *crumb);

#endif
