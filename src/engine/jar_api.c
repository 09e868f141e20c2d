/* SPDX-License-Identifier: MIT
 *
 * jar_api.c - cookie jars for applications: the public functions over
 * proto/jar, with the clock and the files that proto does not have.
 */
#include <assert.h>

#include "base/mem.h"
#include "multisocket.h"
#include "net/file.h"
#include "net/loop.h"
#include "proto/host.h"
#include "proto/jar.h"
#include "proto/jar_file.h"
#include "proto/suffix.h"

/* Larger files are refused: four times what a full jar can take. */
#define MAX_FILE ((size_t)64 * 1024 * 1024)

_Static_assert((int)MS_COOKIE_SITE_NONE == (int)MS_SAME_SITE_NONE &&
                   (int)MS_COOKIE_SITE_LAX == (int)MS_SAME_SITE_LAX &&
                   (int)MS_COOKIE_SITE_STRICT == (int)MS_SAME_SITE_STRICT,
               "one enum inside and outside");

ms_err ms_jar_new(struct ms_jar **out)
{
    struct ms_jar *j = ms_alloc(sizeof(*j));

    if (!j)
        return MS_ENOMEM;
    ms_jar_init(j);
    *out = j;
    return MS_OK;
}

struct ms_jar *ms_jar_ref(struct ms_jar *jar)
{
    if (jar)
        jar->users++;
    return jar;
}

void ms_jar_free(struct ms_jar *jar)
{
    if (!jar || --jar->users)
        return;
    ms_jar_fini(jar);
    ms_free(jar);
}

void ms_jar_clear(struct ms_jar *jar)
{
    ms_jar_empty(jar);
}

ms_err ms_jar_set(struct ms_jar *jar, const char *url, size_t url_len,
                  const char *line, size_t line_len, const char **why)
{
    struct ms_url u = {0};

    ms_err err = ms_url_parse(&u, ms_span(url, url_len), NULL, why);
    if (!err)
        err = ms_jar_take(jar, &u, ms_span(line, line_len), ms_wall_seconds(),
                          why);
    if (!err && *why)
        err = MS_ECOOKIE;
    ms_url_free(&u);
    return err;
}

/* ---- lists: infos, then the texts they point to, in one block ------------ */

struct ms_cookie_list {
    size_t count;
    struct ms_cookie_info info[];
};

static size_t text_len(const struct ms_cookie *c)
{
    return (size_t)c->name_len + c->value_len + c->path_len + c->host->name_len;
}

static const char *copy(char **to, struct ms_span s)
{
    char *p = *to;

    if (s.n)
        memcpy(p, s.p, s.n);
    *to += s.n;
    return p;
}

static void describe(struct ms_cookie_info *i, const struct ms_cookie *c,
                     char **text)
{
    *i = (struct ms_cookie_info){
        .name = copy(text, ms_cookie_name(c)),
        .value = copy(text, ms_cookie_value(c)),
        .domain = copy(text, ms_cookie_domain(c)),
        .path = copy(text, ms_cookie_path(c)),
        .name_len = c->name_len,
        .value_len = c->value_len,
        .domain_len = c->host->name_len,
        .path_len = c->path_len,
        .created = c->created_s,
        .expires = c->expires_s,
        .same_site = (enum ms_cookie_same_site)c->same_site,
        .host_only = c->host_only,
        .secure = c->secure,
        .http_only = c->http_only,
    };
}

static ms_err make_list(const struct ms_jar_found *f,
                        struct ms_cookie_list **out)
{
    size_t size = sizeof(**out) + f->count * sizeof(struct ms_cookie_info);

    for (size_t i = 0; i < f->count; i++)
        size += text_len(f->list[i]);
    struct ms_cookie_list *list = ms_alloc(size);
    if (!list)
        return MS_ENOMEM;
    list->count = f->count;
    char *text = (char *)&list->info[f->count];
    for (size_t i = 0; i < f->count; i++)
        describe(&list->info[i], f->list[i], &text);
    assert(text == (char *)list + size);
    *out = list;
    return MS_OK;
}

ms_err ms_jar_get(struct ms_jar *jar, const char *url, size_t url_len,
                  struct ms_cookie_list **out, const char **why)
{
    struct ms_jar_found found = {0};
    struct ms_url u = {0};

    ms_err err = ms_url_parse(&u, ms_span(url, url_len), NULL, why);
    if (!err)
        err = ms_jar_find(jar, &u, ms_wall_seconds(), &found);
    if (!err)
        err = make_list(&found, out);
    ms_jar_found_free(&found);
    ms_url_free(&u);
    return err;
}

ms_err ms_jar_list(struct ms_jar *jar, struct ms_cookie_list **out)
{
    struct ms_jar_found found = {0};

    ms_err err = ms_jar_all(jar, ms_wall_seconds(), &found);
    if (!err)
        err = make_list(&found, out);
    ms_jar_found_free(&found);
    return err;
}

size_t ms_cookie_list_count(const struct ms_cookie_list *list)
{
    return list->count;
}

const struct ms_cookie_info *ms_cookie_list_at(
    const struct ms_cookie_list *list, size_t index)
{
    return index < list->count ? &list->info[index] : NULL;
}

void ms_cookie_list_free(struct ms_cookie_list *list)
{
    ms_free(list);
}

/* ---- files ------------------------------------------------------------------
 */

ms_err ms_jar_save(struct ms_jar *jar, const char *path,
                   struct ms_jar_error *error)
{
    struct ms_buf text = {0};

    *error = (struct ms_jar_error){0};
    ms_err err = ms_jar_write(jar, ms_wall_seconds(), &text);
    if (!err)
        err = ms_file_replace(path, ms_buf_span(&text), &error->os_errno);
    ms_buf_free(&text);
    return err;
}

ms_err ms_jar_load(struct ms_jar *jar, const char *path,
                   struct ms_jar_error *error)
{
    struct ms_jar_fault fault = {0};
    struct ms_buf text = {0};

    *error = (struct ms_jar_error){0};
    ms_err err = ms_file_read(path, MAX_FILE, &text, &error->os_errno);
    if (!err)
        err = ms_jar_read(jar, ms_buf_span(&text), ms_wall_seconds(), &fault);
    if (err == MS_ECOOKIE) {
        error->line = fault.line;
        error->reason = fault.why;
    }
    ms_buf_free(&text);
    return err;
}

/* ---- without a jar
 * ------------------------------------------------------------ */

ms_err ms_cookie_read(const char *line, size_t n, struct ms_cookie_info *out,
                      const char **why)
{
    struct ms_set_cookie c;

    *why = ms_cookie_parse(ms_span(line, n), ms_wall_seconds(), &c);
    if (*why)
        return MS_ECOOKIE;
    *out = (struct ms_cookie_info){
        .name = c.name.p,
        .value = c.value.p,
        .domain = c.domain.p,
        .path = c.path.p,
        .name_len = c.name.n,
        .value_len = c.value.n,
        .domain_len = c.domain.n,
        .path_len = c.path.n,
        .expires = c.expires_s,
        .same_site = (enum ms_cookie_same_site)c.same_site,
        .host_only = c.domain.n == 0,
        .secure = c.secure,
        .http_only = c.http_only,
    };
    return MS_OK;
}

ms_err ms_registrable_domain(const char *host, size_t n,
                             char out[MS_DOMAIN_ROOM])
{
    struct ms_buf put = {0};
    const char *why;
    size_t room = n > MS_HOST_ROOM ? n : MS_HOST_ROOM;

    *out = 0;
    if (n == 0)
        return MS_OK;
    ms_err err = ms_buf_reserve(&put, room);
    if (!err)
        err = ms_host_put(&put, ms_span(host, n), &why);
    if (!err && ms_buf_len(&put) < MS_DOMAIN_ROOM) {
        struct ms_span found =
            ms_suffix_registrable(ms_cookie_host(ms_buf_span(&put)));
        memcpy(out, found.p, found.n);
        out[found.n] = 0;
    }
    ms_buf_free(&put);
    return err == MS_ENOMEM ? err : MS_OK;
}

const char *ms_psl_version(void)
{
    return ms_suffix_version();
}
