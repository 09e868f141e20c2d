/* SPDX-License-Identifier: MIT
 *
 * multisocket_jar.h - the part of the public interface that is about cookies.
 *
 * multisocket.h includes it; programs include that one.
 */
#ifndef MULTISOCKET_JAR_H
#define MULTISOCKET_JAR_H

#ifndef MULTISOCKET_H
#error "include multisocket.h"
#endif

/* A jar keeps cookies by RFC 6265bis: whose they may be, where they go, how
 * long they live, at most 180 of a host and 3000 in all. It may serve any
 * number of transfers, option sets and multis of one thread: each keeps a
 * reference. Times are unix seconds, on the clock of the wall. */
struct ms_jar;

MS_API ms_err ms_jar_new(struct ms_jar **out);
/* One more reference; returns `jar`, which may be NULL. */
MS_API struct ms_jar *ms_jar_ref(struct ms_jar *jar);
/* Gives one up; the last one frees the jar. NULL is allowed. */
MS_API void ms_jar_free(struct ms_jar *jar);

enum ms_cookie_same_site {
    MS_COOKIE_SITE_DEFAULT, /* not said */
    MS_COOKIE_SITE_NONE,
    MS_COOKIE_SITE_LAX,
    MS_COOKIE_SITE_STRICT
};

/* Text is not NUL-terminated. */
struct ms_cookie_info {
    const char *name, *value, *domain, *path;
    size_t name_len, value_len, domain_len, path_len;
    int64_t created; /* 0: it is in no jar */
    int64_t expires; /* INT64_MAX: it lives as long as the jar; INT64_MIN: it
                      * came to take one away, and is in no jar */
    enum ms_cookie_same_site same_site; /* kept, and sent all the same */
    bool host_only;                     /* not for subdomains */
    bool secure, http_only;
};

/* Takes the Set-Cookie field `line` as from a response of `url`. `*why`: NULL,
 * or why not, as static text. MS_EURL, MS_ESCHEME: the URL. MS_ECOOKIE: the
 * cookie is refused. MS_ENOMEM. */
MS_API ms_err ms_jar_set(struct ms_jar *jar, const char *url, size_t url_len,
                         const char *line, size_t line_len, const char **why);

/* Cookies as they were when asked for: copies. */
struct ms_cookie_list;

/* What a request to `url` would carry, in that order. Errors of the URL as
 * above. */
MS_API ms_err ms_jar_get(struct ms_jar *jar, const char *url, size_t url_len,
                         struct ms_cookie_list **out, const char **why);
/* All of them, oldest first. MS_ENOMEM. */
MS_API ms_err ms_jar_list(struct ms_jar *jar, struct ms_cookie_list **out);
MS_API size_t ms_cookie_list_count(const struct ms_cookie_list *list);
/* NULL when there is none of that index, which counts from 0. */
MS_API const struct ms_cookie_info *ms_cookie_list_at(
    const struct ms_cookie_list *list, size_t index);
MS_API void ms_cookie_list_free(struct ms_cookie_list *list);

/* Drops all cookies. */
MS_API void ms_jar_clear(struct ms_jar *jar);

/* Why a file could not be read or written. */
struct ms_jar_error {
    int os_errno;       /* with MS_EFILE */
    size_t line;        /* with MS_ECOOKIE: the first bad one, from 1 */
    const char *reason; /* and what is wrong with it, static */
};

/* Files in the format of Netscape's cookies.txt, which curl reads and writes.
 * Both wait for the disk. Saving replaces the file at once and whole, readable
 * by its owner only; cookies with a tab in name, value or path do not fit and
 * are left out, and SameSite is lost. Loading adds to the jar; of a malformed
 * file it takes nothing. `path` is NUL-terminated. MS_EFILE, MS_ECOOKIE,
 * MS_ENOMEM. */
MS_API ms_err ms_jar_save(struct ms_jar *jar, const char *path,
                          struct ms_jar_error *error);
MS_API ms_err ms_jar_load(struct ms_jar *jar, const char *path,
                          struct ms_jar_error *error);

/* Reads a Set-Cookie field without a jar: the texts lie in `line`, domain and
 * path are empty where it has none. MS_ECOOKIE, with the reason in `*why`. */
MS_API ms_err ms_cookie_read(const char *line, size_t n,
                             struct ms_cookie_info *out, const char **why);

/* The most bytes a host can have, and room for its NUL. */
#define MS_DOMAIN_ROOM 256

/* The part of `host` that was registered, "example.co.uk" of
 * "www.Example.co.uk", by the public suffix list, into `out`; empty when there
 * is none: a public suffix, an address, no host, or no list. MS_ENOMEM. */
MS_API ms_err ms_registrable_domain(const char *host, size_t n,
                                    char out[MS_DOMAIN_ROOM]);
/* The version of libpsl, NULL when the build has none: then only names of one
 * label count as public suffixes. */
MS_API const char *ms_psl_version(void);

/* Transfers with these options send the cookies of `jar` and put those of every
 * response into it, redirects included; sets MS_OPT_COOKIES. The option set and
 * its copies keep a reference. NULL: no jar and no cookies. MS_EUSAGE: it is
 * frozen. */
MS_API ms_err ms_options_jar(struct ms_options *o, struct ms_jar *jar);

#endif
