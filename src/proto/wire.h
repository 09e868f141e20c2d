/* SPDX-License-Identifier: MIT
 *
 * wire.h - which bytes may stand where in HTTP, one table for reading and
 * writing.
 *
 * It knows bytes, not messages: where a name stops and what a line means is
 * the protocol's.
 */
#ifndef MS_PROTO_WIRE_H
#define MS_PROTO_WIRE_H

#include "base/span.h"

/* A token (RFC 9110, 5.6.2), at least one byte: methods, field names. */
bool ms_wire_is_token(struct ms_span s);

/* A field value (RFC 9110, 5.5): visible bytes, spaces, tabs and bytes from
 * 0x80; no CR, LF, NUL or other control. May be empty. */
bool ms_wire_is_value(struct ms_span s);

/* What may stand in a request target: visible ASCII, at least one byte. */
bool ms_wire_is_target(struct ms_span s);

/* The first byte in [p, end) that may not stand in a token, or in a value;
 * `end` when all may. */
const char *ms_wire_token_end(const char *p, const char *end);
const char *ms_wire_value_end(const char *p, const char *end);

#endif
