/* SPDX-License-Identifier: MIT
 *
 * cookie.h - what one Set-Cookie line says, and which hosts and paths a
 * cookie is for (RFC 6265bis: draft-ietf-httpbis-rfc6265bis, 5.1 and 5.6).
 *
 * Reading only: whether the cookie is taken, and where it is kept, is the
 * jar's business (proto/jar).
 */
#ifndef MS_PROTO_COOKIE_H
#define MS_PROTO_COOKIE_H

#include "base/span.h"

/* Name and value together (5.6, step 5). */
#define MS_COOKIE_PAIR_MAX 4096
/* A longer attribute counts as absent (5.6, step 6 of the attributes). */
#define MS_COOKIE_ATTRIBUTE_MAX 1024
/* Nothing is kept longer than 400 days (5.5). */
#define MS_COOKIE_AGE_MAX_S (INT64_C(400) * 24 * 3600)

/* The expiry of a cookie that has none: it lives as long as its jar. */
#define MS_COOKIE_SESSION INT64_MAX
/* That of one that was to be gone before it came. */
#define MS_COOKIE_GONE INT64_MIN

enum ms_same_site {
    MS_SAME_SITE_DEFAULT, /* not said, or a word nobody knows */
    MS_SAME_SITE_NONE,
    MS_SAME_SITE_LAX,
    MS_SAME_SITE_STRICT
};

/* Text is lent from the line. */
struct ms_set_cookie {
    struct ms_span name, value; /* never both empty */
    struct ms_span domain; /* as written, without a dot in front; or empty */
    struct ms_span path;   /* begins with '/', or empty: the default path */
    int64_t expires_s;     /* unix seconds, see above */
    bool has_path, secure, http_only;
    uint8_t same_site; /* enum ms_same_site */
};

/* Reads the value of a Set-Cookie field at the time `now_s`. NULL when it is
 * a cookie; otherwise why not, as static text. */
const char *ms_cookie_parse(struct ms_span line, int64_t now_s,
                            struct ms_set_cookie *out) MS_MUST_CHECK;

/* The host as cookies compare it: without the dot at its end, by which a name
 * is no other host. */
struct ms_span ms_cookie_host(struct ms_span host);

/* Whether such a host can have cookies: it is not empty, nor a label of it,
 * which DNS could not carry. */
bool ms_cookie_host_counts(struct ms_span host);

/* Whether a cookie for `domain` goes to `host` (5.1.3): it is the same, or
 * one below it and not an address. Both are as ms_cookie_host() has them. */
bool ms_cookie_domain_match(struct ms_span host, struct ms_span domain);

/* The path of a cookie that was set without one from a URL with the path
 * `url_path` (5.1.4): up to its last slash. */
struct ms_span ms_cookie_default_path(struct ms_span url_path);

/* Whether a cookie for `path` goes to `url_path` (5.1.4). */
bool ms_cookie_path_match(struct ms_span url_path, struct ms_span path);

/* Whether `text` begins with `prefix`, but for case: "__Host-". */
bool ms_cookie_has_prefix(struct ms_span text, struct ms_span prefix);

/* Whether a control character other than the tab is in `text`. */
bool ms_cookie_has_control(struct ms_span text);

#endif
