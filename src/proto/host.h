/* SPDX-License-Identifier: MIT
 *
 * host.h - the host of an http or https URL, as the WHATWG URL standard
 * reads it: an IPv4 address in any spelling, an IPv6 address in brackets, or
 * a domain name.
 *
 * This is text to text: what comes out is the one spelling of a host that
 * everybody compares and prints. It neither resolves names nor makes socket
 * addresses. International names come out in their punycode form (proto/idn).
 */
#ifndef MS_PROTO_HOST_H
#define MS_PROTO_HOST_H

#include "base/buf.h"

/* A name of DNS on the wire is no longer, nor one of its labels (RFC 1035,
 * 2.3.4). The standard has no such limits, but no such host can be found. */
#define MS_HOST_MAX  255
#define MS_LABEL_MAX 63

/* What the longest address (IPv6 in full, with its brackets) takes. */
#define MS_HOST_ROOM 41

/* Appends the host `in` to `out`, which must have room for in.n or for
 * MS_HOST_ROOM bytes, whichever is more; what is free behind that stays so
 * however long the host becomes. MS_EURL: `out` is as it was, `*why` a static
 * text for people. MS_ENOMEM. */
ms_err ms_host_put(struct ms_buf *out, struct ms_span in,
                   const char **why) MS_MUST_CHECK;

/* How many bytes at the front of `s` are a host that ms_host_put() would copy
 * as it is, the usual case. 0 when there is none, or when telling it needs
 * more than a look. The caller sees to it that the host ends there. */
size_t ms_host_plain(struct ms_span s);

/* Whether `host`, as ms_host_put() put it out, is an address rather than a
 * name. A dot at its end does not count. */
bool ms_host_is_address(struct ms_span host);

#endif
