/* SPDX-License-Identifier: MIT
 *
 * multisocket_url.h - the part of the public interface that is about URLs and
 * dates, as HTTP has them.
 *
 * multisocket.h includes it; programs include that one.
 */
#ifndef MULTISOCKET_URL_H
#define MULTISOCKET_URL_H

#ifndef MULTISOCKET_H
#error "include multisocket.h"
#endif

/* The parts of an http or https URL by the names and rules of the URL standard
 * (url.spec.whatwg.org): the one parser that connections, Host headers and
 * applications share. */
struct ms_url_info;

enum ms_url_member {
    MS_URL_HREF,     /* all of it, serialised */
    MS_URL_PROTOCOL, /* "https:" */
    MS_URL_USERNAME,
    MS_URL_PASSWORD,
    MS_URL_HOST,     /* "example.org:8080" */
    MS_URL_HOSTNAME, /* "example.org", "[::1]" */
    MS_URL_PORT,     /* "8080", empty when it is the scheme's own */
    MS_URL_PATHNAME, /* "/a/b" */
    MS_URL_SEARCH,   /* "?q=1" */
    MS_URL_HASH,     /* "#top" */
    MS_URL_ORIGIN,   /* "https://example.org:8080" */
    MS_URL_MEMBER_COUNT
};

/* Parses `text`, relative to `base` unless that is NULL. `*why` gets a static
 * text for people, or NULL. MS_EURL, MS_ESCHEME, MS_ENOMEM. */
MS_API ms_err ms_url_info_new(struct ms_url_info **out, const char *text,
                              size_t n, const char *base, size_t base_n,
                              const char **why);
/* NULL is allowed. */
MS_API void ms_url_info_free(struct ms_url_info *info);
/* Not NUL-terminated; lives as long as `info`. */
MS_API const char *ms_url_info_get(const struct ms_url_info *info,
                                   enum ms_url_member member, size_t *n);

/* Where user and password stand in a URL as somebody wrote it: text[*from,
 * *to), with the '@' behind them. Equal: nowhere. In what is no valid URL they
 * reach to its last '@': a password may hold a "/" that was not escaped.
 * What is said of a URL, in messages and lists, leaves them out. */
MS_API void ms_url_userinfo(const char *text, size_t n, size_t *from,
                            size_t *to);

/* Seconds since 1970 of a date as HTTP fields have it, in any of its three
 * forms (RFC 9110, 5.6.7); false: it is none. */
MS_API bool ms_http_date(const char *text, size_t n, int64_t *seconds);

#endif
