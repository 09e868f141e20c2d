/* SPDX-License-Identifier: MIT */
#include "engine/auth_store.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"

void ms_auth_store_init(struct ms_auth_store *s)
{
    *s = (struct ms_auth_store){.count = 0};
    ms_list_init(&s->recent);
}

void ms_auth_store_forget(struct ms_auth_store *s, struct ms_auth_entry *e)
{
    ms_map_remove(&s->entries, &e->node);
    ms_list_unlink(&e->recent);
    s->count--;
    ms_buf_free(&e->key);
    ms_digest_free(&e->digest);
    ms_free(e);
}

static struct ms_auth_entry *oldest(struct ms_auth_store *s)
{
    return MS_CONTAINER(s->recent.next, struct ms_auth_entry, recent);
}

void ms_auth_store_fini(struct ms_auth_store *s)
{
    while (!ms_list_empty(&s->recent))
        ms_auth_store_forget(s, oldest(s));
    ms_map_fini(&s->entries);
}

/* "s 4 443 host anna secret": the lengths keep the texts apart. */
static ms_err make_key(struct ms_buf *key, const struct ms_url *url,
                       const struct ms_login *login)
{
    struct ms_span host = ms_url_part(url, url->host, url->host_end);
    char numbers[64];
    int n = snprintf(numbers, sizeof(numbers), "%d %u %zu %zu ", url->secure,
                     (unsigned)url->port_number, host.n, login->user.n);
    struct ms_span parts[] = {ms_span(numbers, (size_t)n), host, login->user,
                              login->password};

    for (size_t i = MS_MUTANT_IS(436) ? 2 : 0; i < MS_COUNT(parts); i++) {
        ms_err err = ms_buf_add_span(key, parts[i]);
        if (err)
            return err;
    }
    return MS_OK;
}

static struct ms_auth_entry *look_up(struct ms_auth_store *s,
                                     struct ms_span key, uint32_t hash)
{
    for (struct ms_map_node *n = ms_map_first(&s->entries, hash); n;
         n = ms_map_next(n)) {
        struct ms_auth_entry *e = MS_CONTAINER(n, struct ms_auth_entry, node);
        if (ms_span_equal(ms_buf_span(&e->key), key))
            return e;
    }
    return NULL;
}

/* Takes `key` over on success. */
static ms_err add_entry(struct ms_auth_store *s, struct ms_buf *key,
                        uint32_t hash, struct ms_auth_entry **out)
{
    struct ms_auth_entry *e = ms_zalloc(sizeof(*e));

    if (!e)
        return MS_ENOMEM;
    ms_err err = ms_map_add(&s->entries, &e->node, hash);
    if (err) {
        ms_free(e);
        return err;
    }
    e->key = *key;
    *key = (struct ms_buf){0};
    ms_list_init(&e->recent);
    if (++s->count > MS_AUTH_ENTRIES)
        ms_auth_store_forget(s, oldest(s));
    *out = e;
    return MS_OK;
}

ms_err ms_auth_store_find(struct ms_auth_store *s, const struct ms_url *url,
                          const struct ms_login *login, bool make,
                          struct ms_auth_entry **out)
{
    struct ms_buf key = {0};
    ms_err err = make_key(&key, url, login);

    *out = NULL;
    if (!err) {
        uint32_t hash = ms_span_hash(ms_buf_span(&key), 0);
        *out = look_up(s, ms_buf_span(&key), hash);
        if (!*out && make)
            err = add_entry(s, &key, hash, out);
    }
    ms_buf_free(&key);
    if (*out)
        ms_list_push(&s->recent, &(*out)->recent);
    return err;
}
