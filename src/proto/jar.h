/* SPDX-License-Identifier: MIT
 *
 * jar.h - a cookie jar: keeps cookies and says which go to a URL
 * (RFC 6265bis, 5.7 and 5.8).
 *
 *   by_host   "example.org"       cookies, least recently sent first
 *             "www.example.org"   cookies ...
 *   used      all cookies, least recently sent first
 *   deadlines those that expire, soonest first
 *   secure    the Secure ones by name: what HTTP without TLS may not replace
 *
 * A host's cookies are found by one look for each of its labels. Cookies that
 * are over are dropped before anything else happens, so that a jar never
 * holds one. There is no clock here: every call is told the time, in unix
 * seconds. A jar is counted by its users and belongs to one thread.
 */
#ifndef MS_PROTO_JAR_H
#define MS_PROTO_JAR_H

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "proto/cookie.h"
#include "proto/url.h"

/* As many as Chrome keeps for one domain; RFC 6265bis, 6.1, asks for 50. */
#define MS_JAR_HOST_MAX 180
/* What RFC 6265bis, 6.1, asks for. */
#define MS_JAR_MAX 3000
/* In one response: more is no session but an attack on the jar. */
#define MS_JAR_RESPONSE_MAX 50
/* What a Cookie line may hold; servers refuse longer ones. */
#define MS_JAR_LINE_MAX 8190

struct ms_cookie {
    struct ms_list in_host, in_used; /* less recently sent ones before it */
    struct ms_heap_node deadline;    /* of those that expire */
    struct ms_map_node by_name;      /* of those that are secure */
    struct ms_jar_host *host;
    uint64_t serial;   /* order of creation; a replaced one hands it on */
    int64_t created_s; /* unix seconds, likewise */
    int64_t expires_s; /* MS_COOKIE_SESSION: never */
    uint32_t name_len, value_len, path_len;
    bool host_only, secure, http_only;
    uint8_t same_site; /* enum ms_same_site */
    char text[];       /* name, value, path, one after the other */
};

struct ms_jar_host {
    struct ms_map_node node;
    struct ms_list cookies;
    uint32_t count;
    uint32_t name_len;
    char name[]; /* lower case, without a dot at its end */
};

/* Some of a jar's cookies, in an order. */
struct ms_jar_found {
    struct ms_cookie **list; /* owned */
    size_t count, cap;
};

struct ms_jar {
    struct ms_map by_host, secure;
    struct ms_list used;
    struct ms_heap deadlines;
    struct ms_jar_found scratch; /* of ms_jar_line() */
    uint64_t serial;
    uint32_t count;
    uint32_t users;
};

static inline struct ms_span ms_cookie_name(const struct ms_cookie *c)
{
    return ms_span(c->text, c->name_len);
}

static inline struct ms_span ms_cookie_value(const struct ms_cookie *c)
{
    return ms_span(c->text + c->name_len, c->value_len);
}

static inline struct ms_span ms_cookie_path(const struct ms_cookie *c)
{
    return ms_span(c->text + c->name_len + c->value_len, c->path_len);
}

static inline struct ms_span ms_cookie_domain(const struct ms_cookie *c)
{
    return ms_span(c->host->name, c->host->name_len);
}

void ms_jar_init(struct ms_jar *j);
/* Drops every cookie; the jar stays usable. */
void ms_jar_empty(struct ms_jar *j);
void ms_jar_fini(struct ms_jar *j);

/* A cookie to be kept, all of it decided. Text is copied. */
struct ms_cookie_spec {
    struct ms_span name, value, path, domain;
    int64_t expires_s;
    bool host_only, secure, http_only;
    uint8_t same_site;
};

/* Keeps a cookie, in place of the one of the same name, domain and path; one
 * that is over takes that away, nothing more. Others may have to go for it.
 * MS_ENOMEM: the jar is as it was. */
ms_err ms_jar_put(struct ms_jar *j, const struct ms_cookie_spec *spec,
                  int64_t now_s) MS_MUST_CHECK;

/* Takes the Set-Cookie field `line` of a response from `url`. `*why` is NULL,
 * or why the cookie is refused, as static text: that is no error.
 * MS_ENOMEM: the jar is as it was. */
ms_err ms_jar_take(struct ms_jar *j, const struct ms_url *url,
                   struct ms_span line, int64_t now_s,
                   const char **why) MS_MUST_CHECK;

/* Why no jar keeps such a cookie, from wherever it comes: it is for a public
 * suffix, or its name promises what it does not keep. NULL: nothing is wrong.
 * `says_path`: its path was given, not derived. */
const char *ms_jar_refuses(const struct ms_cookie_spec *spec, bool says_path);

/* Finds what goes to `url`, in the order it is sent in: longest path first,
 * then oldest. Pointers hold until the jar changes. To be freed also after
 * MS_ENOMEM. */
ms_err ms_jar_find(struct ms_jar *j, const struct ms_url *url, int64_t now_s,
                   struct ms_jar_found *out) MS_MUST_CHECK;
void ms_jar_found_free(struct ms_jar_found *f);

/* Appends "a=1; b=2", what goes to `url`, to `out`, and counts those cookies
 * as used. Those that no longer fit in MS_JAR_LINE_MAX are left out. Nothing
 * is appended when there are none. MS_ENOMEM: `out` is as it was. */
ms_err ms_jar_line(struct ms_jar *j, const struct ms_url *url, int64_t now_s,
                   struct ms_buf *out) MS_MUST_CHECK;

/* All cookies in the order of their creation. As ms_jar_find(). */
ms_err ms_jar_all(struct ms_jar *j, int64_t now_s,
                  struct ms_jar_found *out) MS_MUST_CHECK;

/* What does not hold in the jar, NULL when all does; for tests. */
const char *ms_jar_check(const struct ms_jar *j);

#endif
