/* SPDX-License-Identifier: MIT
 *
 * url_api.c - URLs and dates for applications: the public functions over
 * proto/url and proto/date.
 */
#include "base/mem.h"
#include "multisocket.h"
#include "net/loop.h"
#include "proto/date.h"
#include "proto/url.h"
#include "proto/userinfo.h"

struct ms_url_info {
    struct ms_url url;
    struct ms_buf origin;
};

/* Scheme, host and port (URL standard, 4.7): what credentials are for. */
static ms_err make_origin(struct ms_url_info *i)
{
    struct ms_span authority = ms_url_authority(&i->url);
    struct ms_span scheme = ms_url_part(&i->url, 0, i->url.scheme_end);
    ms_err err = ms_buf_reserve(&i->origin, scheme.n + 3 + authority.n);

    if (err)
        return err;
    ms_buf_put(&i->origin, scheme);
    ms_buf_put(&i->origin, MS_SPAN("://"));
    ms_buf_put(&i->origin, authority);
    return MS_OK;
}

static ms_err parse(struct ms_url_info *i, struct ms_span text,
                    struct ms_span base, const char **why)
{
    struct ms_url b = {0};
    ms_err err = MS_OK;

    if (base.p)
        err = ms_url_parse(&b, base, NULL, why);
    if (!err)
        err = ms_url_parse(&i->url, text, base.p ? &b : NULL, why);
    ms_url_free(&b);
    return err ? err : make_origin(i);
}

ms_err ms_url_info_new(struct ms_url_info **out, const char *text, size_t n,
                       const char *base, size_t base_n, const char **why)
{
    struct ms_url_info *i = ms_zalloc(sizeof(*i));

    *why = NULL;
    if (!i)
        return MS_ENOMEM;
    ms_err err = parse(i, ms_span(text, n), ms_span(base, base_n), why);
    if (err) {
        ms_url_info_free(i);
        return err;
    }
    *out = i;
    return MS_OK;
}

void ms_url_info_free(struct ms_url_info *i)
{
    if (!i)
        return;
    ms_url_free(&i->url);
    ms_buf_free(&i->origin);
    ms_free(i);
}

/* A lone "?" or "#" reads as nothing. */
static struct ms_span with_mark(const struct ms_url *u, uint32_t from,
                                uint32_t to)
{
    return to - from > 1 ? ms_url_part(u, from, to) : MS_SPAN("");
}

static struct ms_span part_of(const struct ms_url_info *i,
                              enum ms_url_member member)
{
    const struct ms_url *u = &i->url;

    switch (member) {
    case MS_URL_HREF:
        return ms_buf_span(&u->href);
    case MS_URL_PROTOCOL:
        return ms_url_part(u, 0, u->scheme_end + 1);
    case MS_URL_USERNAME:
        return ms_url_part(u, u->username, u->username_end);
    case MS_URL_PASSWORD:
        return ms_url_part(u, u->password, u->password_end);
    case MS_URL_HOST:
        return ms_url_authority(u);
    case MS_URL_HOSTNAME:
        return ms_url_part(u, u->host, u->host_end);
    case MS_URL_PORT:
        return ms_url_part(u, u->port, u->port_end);
    case MS_URL_PATHNAME:
        return ms_url_part(u, u->path, u->path_end);
    case MS_URL_SEARCH:
        return with_mark(u, u->query, u->query_end);
    case MS_URL_HASH:
        return with_mark(u, u->fragment, u->fragment_end);
    case MS_URL_ORIGIN:
        return ms_buf_span(&i->origin);
    default:
        return MS_SPAN("");
    }
}

const char *ms_url_info_get(const struct ms_url_info *i,
                            enum ms_url_member member, size_t *n)
{
    struct ms_span s = part_of(i, member);

    *n = s.n;
    return s.n ? s.p : "";
}

void ms_url_userinfo(const char *text, size_t n, size_t *from, size_t *to)
{
    ms_userinfo_find(ms_span(text, n), NULL, from, to);
}

bool ms_http_date(const char *text, size_t n, int64_t *seconds)
{
    return ms_date_parse(ms_span(text, n), ms_wall_seconds(), seconds);
}
