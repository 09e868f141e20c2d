/* SPDX-License-Identifier: MIT
 *
 * jar_take.c - which cookies of a response a jar takes (RFC 6265bis, 5.7):
 * whose they may be, and which must be left alone.
 */
#include "proto/host.h"
#include "proto/jar.h"
#include "proto/suffix.h"

/* Where a response came from. */
struct source {
    struct ms_span host, path;
    bool secure;
};

/* In lower case, into `room`; empty when it is longer than a name can be. */
static struct ms_span lower_case(struct ms_span s, char room[MS_HOST_MAX])
{
    if (s.n > MS_HOST_MAX)
        return MS_SPAN("");
    for (size_t i = 0; i < s.n; i++)
        room[i] =
            MS_MUTANT_IS(507) ? s.p[i] : (char)ms_lower((unsigned char)s.p[i]);
    return ms_span(room, s.n);
}

/* Steps 7 to 10: whose cookie it is. `spec->domain` is the attribute in lower
 * case on entry. A Domain with a dot at its end names no host. */
static const char *settle_domain(struct ms_cookie_spec *spec,
                                 const struct source *from)
{
    bool same = ms_span_equal(spec->domain, from->host);

    if (same && ms_suffix_is_public(from->host) && !MS_MUTANT_IS(505))
        spec->domain = MS_SPAN("");
    spec->host_only = spec->domain.n == 0;
    if (spec->host_only)
        spec->domain = from->host;
    if (!ms_cookie_domain_match(from->host, spec->domain) && !MS_MUTANT_IS(501))
        return "its domain is not that of the URL";
    return NULL;
}

/* Steps 20 to 22: names that promise something. */
static const char *check_prefix(const struct ms_cookie_spec *spec,
                                bool says_path)
{
    bool host = ms_cookie_has_prefix(spec->name, MS_SPAN("__Host-"));
    bool secure = ms_cookie_has_prefix(spec->name, MS_SPAN("__Secure-"));

    if ((host || secure) && !spec->secure && !MS_MUTANT_IS(511))
        return "its name asks for Secure";
    if (host && !MS_MUTANT_IS(512) &&
        (!spec->host_only || !says_path ||
         !ms_span_equal(spec->path, MS_SPAN("/"))))
        return "its name asks for Path=/ and no Domain";
    if (spec->name.n == 0 && !MS_MUTANT_IS(513) &&
        (ms_cookie_has_prefix(spec->value, MS_SPAN("__Host-")) ||
         ms_cookie_has_prefix(spec->value, MS_SPAN("__Secure-"))))
        return "it has no name and looks as if it had one";
    return NULL;
}

const char *ms_jar_refuses(const struct ms_cookie_spec *spec, bool says_path)
{
    if (!spec->host_only && ms_suffix_is_public(spec->domain) &&
        !MS_MUTANT_IS(504))
        return "its domain is a public suffix";
    return check_prefix(spec, says_path);
}

/* Step 16: without TLS nobody hides a cookie that was set with it. */
static bool hides_secure(const struct ms_jar *j,
                         const struct ms_cookie_spec *spec)
{
    struct ms_map_node *n =
        ms_map_first(&j->secure, ms_span_hash(spec->name, 0));

    for (; n; n = ms_map_next(n)) {
        struct ms_cookie *c = MS_CONTAINER(n, struct ms_cookie, by_name);
        struct ms_span domain = ms_cookie_domain(c);
        if (ms_span_equal(ms_cookie_name(c), spec->name) &&
            (ms_cookie_domain_match(domain, spec->domain) ||
             ms_cookie_domain_match(spec->domain, domain)) &&
            ms_cookie_path_match(spec->path, ms_cookie_path(c)))
            return true;
    }
    return false;
}

static const char *check(const struct ms_jar *j, struct ms_cookie_spec *spec,
                         const struct source *from, bool says_path)
{
    const char *why = settle_domain(spec, from);

    if (why)
        return why;
    if (spec->path.n > MS_COOKIE_ATTRIBUTE_MAX)
        return "its path is longer than 1024 bytes";
    if (spec->secure && !from->secure && !MS_MUTANT_IS(508))
        return "it is Secure and came without TLS";
    if (!from->secure && !MS_MUTANT_IS(510) && hides_secure(j, spec))
        return "it would hide a cookie that is Secure";
    if (spec->same_site == MS_SAME_SITE_NONE && !spec->secure)
        return "it is SameSite=None and not Secure"; /* step 19 */
    why = ms_jar_refuses(spec, says_path);
    /* Nobody may set a cookie for a part of an address. */
    spec->host_only |= ms_host_is_address(from->host) && !MS_MUTANT_IS(503);
    return why;
}

static struct ms_cookie_spec spec_of(const struct ms_set_cookie *c,
                                     const struct source *from)
{
    return (struct ms_cookie_spec){
        .name = c->name,
        .value = c->value,
        .path = c->path.n ? c->path : ms_cookie_default_path(from->path),
        .expires_s = c->expires_s,
        .secure = c->secure,
        .http_only = c->http_only,
        .same_site = c->same_site,
    };
}

ms_err ms_jar_take(struct ms_jar *j, const struct ms_url *url,
                   struct ms_span line, int64_t now_s, const char **why)
{
    struct source from = {
        .host = ms_cookie_host(ms_url_part(url, url->host, url->host_end)),
        .path = ms_url_part(url, url->path, url->path_end),
        .secure = url->secure,
    };
    struct ms_set_cookie c;
    char room[MS_HOST_MAX];

    *why = "its URL has no host";
    if (ms_cookie_host_counts(from.host))
        *why = ms_cookie_parse(line, now_s, &c);
    if (*why)
        return MS_OK;
    struct ms_cookie_spec spec = spec_of(&c, &from);
    spec.domain = lower_case(c.domain, room);
    *why = c.domain.n && !spec.domain.n ? "its domain is too long"
                                        : check(j, &spec, &from, c.has_path);
    return *why ? MS_OK : ms_jar_put(j, &spec, now_s);
}
