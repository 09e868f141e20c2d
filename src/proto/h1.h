/* SPDX-License-Identifier: MIT
 *
 * h1.h - HTTP/1.1 (RFC 9112) as a session: one stream at a time.
 *
 * Parses strictly. What other clients read in two ways is refused
 * (MS_EPROTO), because a message that two parsers frame differently is how
 * requests are smuggled. The outcome does not depend on how the input was cut
 * into pieces.
 */
#ifndef MS_PROTO_H1_H
#define MS_PROTO_H1_H

#include "proto/session.h"

/* The longest status line, its reason included. Servers send a few dozen
 * bytes; curl allows 100 KiB for any line. */
#define MS_H1_MAX_STATUS_LINE 8192
/* The longest single header line. Cookies may have 4 KiB (RFC 6265, 6.1) and
 * policies like CSP grow to some 10 KiB. */
#define MS_H1_MAX_LINE 65536
/* Header fields in one head, curl's limit. */
#define MS_H1_MAX_FIELDS 5000
/* Bytes of all trailers together. */
#define MS_H1_MAX_TRAILERS 16384
/* The longest chunk-size line with its extensions (RFC 9112, 7.1.1). */
#define MS_H1_MAX_CHUNK_LINE 4096
/* Bytes of chunk extensions in one body: they cost work and carry nothing. */
#define MS_H1_MAX_EXTENSIONS 65536
/* 1xx responses before the final one. */
#define MS_H1_MAX_INFORMATIONAL 32

/* A session for a fresh connection. MS_ENOMEM. */
ms_err ms_h1_new(struct ms_session **out) MS_MUST_CHECK;

#endif
