/* SPDX-License-Identifier: MIT
 *
 * resolve_name.h - what may be a name, and under which names to ask for it.
 */
#ifndef MS_NET_RESOLVE_NAME_H
#define MS_NET_RESOLVE_NAME_H

#include "base/span.h"
#include "net/dns.h"

/* A name in text, without the root's dot (RFC 1035, 2.3.4: 255 on the wire,
 * with length bytes). */
#define MS_NAME_MAX 253

/* A candidate: a name, the root's dot and the NUL. */
#define MS_NAME_CANDIDATE (MS_NAME_MAX + 2)

/* Without the dot that makes a name absolute. */
struct ms_span ms_name_without_dot(struct ms_span name);

/* Writes `host` in lower case to `out`, with its dot at the end if it has
 * one; no NUL. False: no name in DNS looks so, or c-ares would take it for an
 * escape sequence. */
bool ms_name_normalise(struct ms_span host, char out[MS_NAME_MAX + 1]);

/* `name` is `top` or ends in a dot and `top`. */
bool ms_name_is_within(struct ms_span name, struct ms_span top);

/* The next name to ask for on the way of `name` through the search list, the
 * `*next`-th (which begins with 0 and is moved on), absolute and with a NUL.
 * The name itself comes first when it has enough dots and last otherwise; an
 * absolute one is the only candidate. False: there are no more. */
bool ms_name_candidate(struct ms_span name, const struct ms_dns_search *search,
                       size_t *next, char out[MS_NAME_CANDIDATE]);

#endif
