/* SPDX-License-Identifier: MIT
 *
 * suffix.h - which domains are open to anybody's registration, by the public
 * suffix list (publicsuffix.org) that libpsl has built in.
 *
 * Without libpsl only names of a single label count as public suffixes: that
 * keeps cookies from "com", not from "co.uk".
 */
#ifndef MS_PROTO_SUFFIX_H
#define MS_PROTO_SUFFIX_H

#include "base/span.h"

/* Hosts are what proto/host puts out, without a trailing dot. */

/* Whether `host` is a public suffix; never true of an address. */
bool ms_suffix_is_public(struct ms_span host);

/* The part of `host` that somebody registered, "example.co.uk" of
 * "www.example.co.uk"; empty when there is none: `host` is a public suffix or
 * an address, or there is no list. */
struct ms_span ms_suffix_registrable(struct ms_span host);

/* "0.21.2"; NULL when libpsl was not there at the build. */
const char *ms_suffix_version(void);

#endif
