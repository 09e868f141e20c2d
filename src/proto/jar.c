/* SPDX-License-Identifier: MIT
 *
 * jar.c - keeping cookies: put in, replaced, over, pushed out, found again.
 * What a response may put in is decided in jar_take.c.
 */
#include "proto/jar.h"

#include <assert.h>

#include "base/mem.h"

void ms_jar_init(struct ms_jar *j)
{
    *j = (struct ms_jar){.users = 1};
    ms_list_init(&j->used);
}

void ms_jar_fini(struct ms_jar *j)
{
    ms_jar_empty(j);
    ms_map_fini(&j->by_host);
    ms_map_fini(&j->secure);
    ms_jar_found_free(&j->scratch);
}

/* ---- hosts ------------------------------------------------------------- */

static struct ms_jar_host *find_host(const struct ms_jar *j,
                                     struct ms_span name)
{
    struct ms_map_node *n = ms_map_first(&j->by_host, ms_span_hash(name, 0));

    for (; n; n = ms_map_next(n)) {
        struct ms_jar_host *h = MS_CONTAINER(n, struct ms_jar_host, node);
        if (ms_span_equal(ms_span(h->name, h->name_len), name))
            return h;
    }
    return NULL;
}

static struct ms_jar_host *add_host(struct ms_jar *j, struct ms_span name)
{
    struct ms_jar_host *h = ms_zalloc(sizeof(*h) + name.n);

    if (!h)
        return NULL;
    ms_list_init(&h->cookies);
    h->name_len = (uint32_t)name.n;
    memcpy(h->name, name.p, name.n);
    if (ms_map_add(&j->by_host, &h->node, ms_span_hash(name, 0))) {
        ms_free(h);
        return NULL;
    }
    return h;
}

static void drop_host_if_empty(struct ms_jar *j, struct ms_jar_host *h)
{
    if (!ms_list_empty(&h->cookies))
        return;
    ms_map_remove(&j->by_host, &h->node);
    ms_free(h);
}

/* ---- cookies ----------------------------------------------------------- */

static void drop(struct ms_jar *j, struct ms_cookie *c)
{
    struct ms_jar_host *h = c->host;

    ms_list_unlink(&c->in_host);
    ms_list_unlink(&c->in_used);
    if (ms_heap_linked(&c->deadline))
        ms_heap_remove(&j->deadlines, &c->deadline);
    if (c->secure)
        ms_map_remove(&j->secure, &c->by_name);
    j->count--;
    h->count--;
    ms_free(c);
    drop_host_if_empty(j, h);
}

static struct ms_cookie *least_used(const struct ms_jar *j)
{
    return MS_CONTAINER(j->used.next, struct ms_cookie, in_used);
}

void ms_jar_empty(struct ms_jar *j)
{
    while (j->count)
        drop(j, least_used(j));
}

/* The heap orders unsigned keys, times before 1970 are negative. */
static uint64_t heap_key(int64_t at_s)
{
    return (uint64_t)at_s ^ (UINT64_C(1) << 63);
}

static void drop_expired(struct ms_jar *j, int64_t now_s)
{
    uint64_t now = heap_key(now_s);

    while (j->deadlines.root && j->deadlines.root->key <= now)
        drop(j, MS_CONTAINER(j->deadlines.root, struct ms_cookie, deadline));
}

static struct ms_cookie *find_same(const struct ms_jar_host *h,
                                   const struct ms_cookie_spec *s)
{
    ms_list_each (it, &h->cookies) {
        struct ms_cookie *c = MS_CONTAINER(it, struct ms_cookie, in_host);
        if (c->host_only == s->host_only &&
            ms_span_equal(ms_cookie_name(c), s->name) &&
            ms_span_equal(ms_cookie_path(c), s->path))
            return c;
    }
    return NULL;
}

/* A cookie on no list yet. */
static struct ms_cookie *make(const struct ms_cookie_spec *s)
{
    struct ms_cookie *c =
        ms_zalloc(sizeof(*c) + s->name.n + s->value.n + s->path.n);

    if (!c)
        return NULL;
    c->name_len = (uint32_t)s->name.n;
    c->value_len = (uint32_t)s->value.n;
    c->path_len = (uint32_t)s->path.n;
    if (s->name.n)
        memcpy(c->text, s->name.p, s->name.n);
    if (s->value.n)
        memcpy(c->text + s->name.n, s->value.p, s->value.n);
    memcpy(c->text + s->name.n + s->value.n, s->path.p, s->path.n);
    c->expires_s = s->expires_s;
    c->host_only = s->host_only;
    c->secure = s->secure;
    c->http_only = s->http_only;
    c->same_site = s->same_site;
    ms_list_init(&c->in_host);
    ms_list_init(&c->in_used);
    ms_heap_node_init(&c->deadline);
    return c;
}

static void link_cookie(struct ms_jar *j, struct ms_jar_host *h,
                        struct ms_cookie *c)
{
    c->host = h;
    h->count++;
    j->count++;
    ms_list_push(&h->cookies, &c->in_host);
    ms_list_push(&j->used, &c->in_used);
    if (c->expires_s != MS_COOKIE_SESSION)
        ms_heap_push(&j->deadlines, &c->deadline, heap_key(c->expires_s));
}

/* Links what is new, or nothing. */
static ms_err add(struct ms_jar *j, const struct ms_cookie_spec *s,
                  struct ms_cookie **out)
{
    struct ms_jar_host *h = find_host(j, s->domain);
    struct ms_cookie *c = make(s);

    if (c && !h)
        h = add_host(j, s->domain);
    if (!c || !h)
        goto fail;
    if (c->secure &&
        ms_map_add(&j->secure, &c->by_name, ms_span_hash(s->name, 0)))
        goto fail;
    link_cookie(j, h, c);
    *out = c;
    return MS_OK;

fail:
    ms_free(c);
    if (h)
        drop_host_if_empty(j, h);
    return MS_ENOMEM;
}

/* Who goes first when a host has too many: one that is not secure, so that
 * nobody without TLS pushes out those that are (5.7, last part). */
static struct ms_cookie *least_of(const struct ms_jar_host *h)
{
    ms_list_each (it, &h->cookies) {
        struct ms_cookie *c = MS_CONTAINER(it, struct ms_cookie, in_host);
        if (!c->secure || MS_MUTANT_IS(523))
            return c;
    }
    return MS_CONTAINER(h->cookies.next, struct ms_cookie, in_host);
}

static void make_room(struct ms_jar *j, struct ms_jar_host *h)
{
    if (h->count > MS_JAR_HOST_MAX && !MS_MUTANT_IS(519))
        drop(j, least_of(h));
    if (j->count > MS_JAR_MAX && !MS_MUTANT_IS(520))
        drop(j, least_used(j));
}

ms_err ms_jar_put(struct ms_jar *j, const struct ms_cookie_spec *s,
                  int64_t now_s)
{
    assert(s->domain.n > 0 && s->path.n > 0);

    drop_expired(j, now_s);
    struct ms_jar_host *h = find_host(j, s->domain);
    struct ms_cookie *old = h ? find_same(h, s) : NULL, *c;
    if (s->expires_s <= now_s) {
        if (old)
            drop(j, old);
        return MS_OK;
    }
    ms_err err = add(j, s, &c);
    if (err)
        return err;
    c->serial = old ? old->serial : ++j->serial;
    c->created_s = old ? old->created_s : now_s;
    if (old)
        drop(j, old);
    make_room(j, c->host);
    return MS_OK;
}

/* ---- finding ----------------------------------------------------------- */

void ms_jar_found_free(struct ms_jar_found *f)
{
    ms_free(f->list);
    *f = (struct ms_jar_found){0};
}

static ms_err note(struct ms_jar_found *f, struct ms_cookie *c)
{
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 8;
        struct ms_cookie **list =
            ms_realloc(f->list, cap * sizeof(struct ms_cookie *));
        if (!list)
            return MS_ENOMEM;
        f->list = list;
        f->cap = cap;
    }
    f->list[f->count++] = c;
    return MS_OK;
}

/* Whether `a` is sent before `b` (5.8.3, step 2). */
static bool sent_before(const struct ms_cookie *a, const struct ms_cookie *b)
{
    if (a->path_len != b->path_len)
        return a->path_len > b->path_len;
    return a->serial < b->serial;
}

static bool older(const struct ms_cookie *a, const struct ms_cookie *b)
{
    return a->serial < b->serial;
}

typedef bool before_fn(const struct ms_cookie *a, const struct ms_cookie *b);

/* Lets list[at] sink to its place in a heap of `n`, the last one on top. */
static void sink(struct ms_cookie **list, size_t at, size_t n,
                 before_fn *before)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && before(list[child], list[child + 1]))
            child++;
        if (!before(list[at], list[child]))
            return;
        struct ms_cookie *c = list[at];
        list[at] = list[child];
        list[child] = c;
    }
}

/* Heap sort: in place, unlike qsort(), which may allocate. */
static void sort(struct ms_jar_found *f, before_fn *before)
{
    for (size_t i = f->count / 2; i > 0; i--)
        sink(f->list, i - 1, f->count, before);
    for (size_t n = f->count; n > 1; n--) {
        struct ms_cookie *c = f->list[0];
        f->list[0] = f->list[n - 1];
        f->list[n - 1] = c;
        sink(f->list, 0, n - 1, before);
    }
}

struct query {
    struct ms_span host, path;
    bool secure;
};

static ms_err find_in(const struct ms_jar_host *h, const struct query *q,
                      struct ms_jar_found *out)
{
    bool same = h->name_len == q->host.n;
    ms_err err = MS_OK;

    ms_list_each (it, &h->cookies) {
        struct ms_cookie *c = MS_CONTAINER(it, struct ms_cookie, in_host);
        if ((c->host_only && !same && !MS_MUTANT_IS(516)) ||
            (c->secure && !q->secure && !MS_MUTANT_IS(509)) ||
            !ms_cookie_path_match(q->path, ms_cookie_path(c)))
            continue;
        err = note(out, c);
        if (err)
            break;
    }
    return err;
}

/* The host itself, then what is behind each of its dots. Addresses have no
 * hosts above them: nobody may set a cookie for "0.0.1". */
static ms_err find_all(const struct ms_jar *j, const struct query *q,
                       struct ms_jar_found *out)
{
    struct ms_span name = q->host;
    ms_err err = MS_OK;

    while (!err && name.n) {
        const struct ms_jar_host *h = find_host(j, name);
        if (h)
            err = find_in(h, q, out);
        const char *dot = memchr(name.p, '.', name.n);
        if (!dot)
            break;
        name = ms_span(dot + 1, (size_t)(name.p + name.n - dot - 1));
    }
    return err;
}

ms_err ms_jar_find(struct ms_jar *j, const struct ms_url *url, int64_t now_s,
                   struct ms_jar_found *out)
{
    struct query q = {
        .host = ms_cookie_host(ms_url_part(url, url->host, url->host_end)),
        .path = ms_url_part(url, url->path, url->path_end),
        .secure = url->secure,
    };

    out->count = 0;
    drop_expired(j, now_s);
    ms_err err = find_all(j, &q, out);
    if (err)
        return err;
    sort(out, sent_before);
    return MS_OK;
}

ms_err ms_jar_all(struct ms_jar *j, int64_t now_s, struct ms_jar_found *out)
{
    out->count = 0;
    drop_expired(j, now_s);
    ms_list_each (it, &j->used) {
        ms_err err = note(out, MS_CONTAINER(it, struct ms_cookie, in_used));
        if (err)
            return err;
    }
    sort(out, older);
    return MS_OK;
}

/* ---- sending ----------------------------------------------------------- */

/* A nameless one is its value alone (5.8.3, step 4). */
static size_t sent_len(const struct ms_cookie *c)
{
    return c->name_len + (c->name_len ? 1u : 0u) + c->value_len;
}

static void write_cookie(struct ms_buf *out, const struct ms_cookie *c)
{
    ms_buf_put(out, ms_cookie_name(c));
    if (c->name_len)
        ms_buf_put(out, MS_SPAN("="));
    ms_buf_put(out, ms_cookie_value(c));
}

static void used_now(struct ms_jar *j, struct ms_cookie *c)
{
    ms_list_push(&c->host->cookies, &c->in_host);
    ms_list_push(&j->used, &c->in_used);
}

/* How many of the front fit in a line, `*len` bytes of it. */
static size_t that_fit(const struct ms_jar_found *f, size_t *len)
{
    size_t n = 0;

    *len = 0;
    for (; n < f->count; n++) {
        size_t more = sent_len(f->list[n]) + (n ? 2 : 0);
        if (*len + more > MS_JAR_LINE_MAX && !MS_MUTANT_IS(521))
            break;
        *len += more;
    }
    return n;
}

ms_err ms_jar_line(struct ms_jar *j, const struct ms_url *url, int64_t now_s,
                   struct ms_buf *out)
{
    struct ms_jar_found *f = &j->scratch;
    size_t len;

    ms_err err = ms_jar_find(j, url, now_s, f);
    if (err)
        return err;
    size_t n = that_fit(f, &len);
    err = n ? ms_buf_reserve(out, len) : MS_OK;
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        if (i)
            ms_buf_put(out, MS_SPAN("; "));
        write_cookie(out, f->list[i]);
        used_now(j, f->list[i]);
    }
    return MS_OK;
}

/* ---- for tests ---------------------------------------------------------- */

const char *ms_jar_check(const struct ms_jar *j)
{
    size_t used = 0, hosts = 0, expiring = 0, secure = 0, in_heap = 0;

    ms_list_each (it, &j->used) {
        struct ms_cookie *c = MS_CONTAINER(it, struct ms_cookie, in_used);
        used++;
        hosts += c->host->cookies.next == &c->in_host;
        expiring += c->expires_s != MS_COOKIE_SESSION;
        secure += c->secure;
        if (find_host(j, ms_cookie_domain(c)) != c->host)
            return "a cookie's host is not in the map";
        if (c->host->count > MS_JAR_HOST_MAX || c->host->count == 0)
            return "a host has too many cookies, or none";
    }
    if (used != j->count || used > MS_JAR_MAX)
        return "the count is wrong, or too high";
    if (hosts != j->by_host.count)
        return "a host has no cookies";
    if (!ms_heap_check(&j->deadlines, &in_heap) || in_heap != expiring)
        return "the heap does not hold what expires";
    return secure == j->secure.count ? NULL : "the secure ones are not all";
}
