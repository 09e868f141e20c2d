/* SPDX-License-Identifier: MIT */
#include "engine/endpoint.h"

#include <assert.h>

#include "base/mem.h"

uint32_t ms_endpoint_host_hash(const struct ms_url *url)
{
    return ms_span_hash(ms_url_part(url, url->host, url->host_end), 0);
}

struct ms_endpoint_key ms_endpoint_key_of(const struct ms_url *url,
                                          uint32_t host_hash,
                                          const struct ms_options *o)
{
    return (struct ms_endpoint_key){
        .host = ms_url_part(url, url->host, url->host_end),
        .host_hash = host_hash,
        .port = url->port_number,
        .secure = url->secure,
        .tcp_nodelay = o->tcp_nodelay,
        /* Without TLS there is no choice to be made. */
        .version = url->secure || o->version == MS_VERSION_2_PRIOR
                       ? o->version
                       : (uint8_t)MS_VERSION_1_1,
        .route = o->route,
        .profile = url->secure && !MS_MUTANT_IS(106) ? o->tls_profile : NULL,
    };
}

bool ms_endpoint_may_share(const struct ms_endpoint *e)
{
    bool by_alpn = e->key.secure && e->key.version != MS_VERSION_1_1;

    return (by_alpn || e->key.version == MS_VERSION_2_PRIOR) &&
           e->protocol != MS_SPEAKS_1;
}

static uint32_t hash_of(const struct ms_endpoint_key *k)
{
    /* The multiplier spreads what is small over all bits (Knuth). */
    uint32_t rest = (uint32_t)k->port << 4 | (uint32_t)k->version << 2 |
                    (uint32_t)k->secure << 1 | (uint32_t)k->tcp_nodelay;

    return k->host_hash ^ rest * UINT32_C(2654435761) ^
           ms_tls_profile_hash(k->profile) ^ ms_route_hash(k->route);
}

bool ms_endpoint_key_same(const struct ms_endpoint_key *a,
                          const struct ms_endpoint_key *b)
{
#define VALUE(name) &&a->name == b->name
#define TEXT(name)  &&ms_span_equal(a->name, b->name)
#define PROFILE(name)                                                          \
    &&(a->name == b->name || ms_tls_profile_same(a->name, b->name))
#define ROUTE(name) &&ms_route_same(a->name, b->name)
#define DERIVED(name)
#define COMPARE(type, name, rule) rule(name)
    return true MS_ENDPOINT_KEY(COMPARE);
#undef COMPARE
#undef DERIVED
#undef ROUTE
#undef PROFILE
#undef TEXT
#undef VALUE
}

static ms_err make(struct ms_map *map, const struct ms_endpoint_key *key,
                   uint32_t hash, struct ms_endpoint **out)
{
    struct ms_endpoint *e = ms_zalloc(sizeof(*e) + key->host.n);

    if (!e)
        return MS_ENOMEM;
    e->key = *key;
    e->key.host.p = memcpy(e + 1, key->host.p, key->host.n);
    ms_list_init(&e->idle);
    ms_list_init(&e->roomy);
    ms_list_init(&e->spare);
    ms_list_init(&e->waiting);
    ms_list_init(&e->choosy);
    ms_list_init(&e->bare);
    ms_list_init(&e->turn);
    ms_list_init(&e->remembered);
    ms_err err = ms_map_add(map, &e->node, hash);
    if (err) {
        ms_free(e);
        return err;
    }
    ms_route_ref(e->key.route);
    ms_tls_profile_use(e->key.profile);
    *out = e;
    return MS_OK;
}

ms_err ms_endpoint_get(struct ms_map *map, const struct ms_endpoint_key *key,
                       struct ms_endpoint **out)
{
    uint32_t hash = hash_of(key);
    struct ms_map_node *n;

    for (n = ms_map_first(map, hash); n; n = ms_map_next(n)) {
        *out = MS_CONTAINER(n, struct ms_endpoint, node);
        if (ms_endpoint_key_same(&(*out)->key, key))
            return MS_OK;
    }
    return make(map, key, hash, out);
}

bool ms_endpoint_unused(const struct ms_endpoint *e)
{
    return !e->conns && !e->waiters && !e->held;
}

bool ms_endpoint_worth_keeping(const struct ms_endpoint *e)
{
    return e->key.secure && e->protocol != MS_SPEAKS_UNKNOWN;
}

void ms_endpoint_free(struct ms_map *map, struct ms_endpoint *e)
{
    assert(ms_endpoint_unused(e) && ms_list_empty(&e->turn));

    ms_map_remove(map, &e->node);
    ms_route_unref(e->key.route);
    ms_list_unlink(&e->remembered);
    ms_tls_cache_clear(&e->sessions);
    ms_tls_ctx_put(e->tls);
    ms_tls_profile_free(e->key.profile);
    ms_free(e);
}

static const char *protocols(const struct ms_endpoint *e)
{
    switch ((enum ms_http_choice)e->key.version) {
    case MS_VERSION_AUTO:
        return "h2,http/1.1";
    case MS_VERSION_1_1:
        return "http/1.1";
    case MS_VERSION_2:
    case MS_VERSION_2_PRIOR:
        break;
    }
    return "h2";
}

ms_err ms_endpoint_secure(struct ms_endpoint *e, struct ms_link_env *env,
                          const char **why)
{
    ms_err err = ms_link_env_secure(env);

    if (err || e->tls)
        return err;
    return ms_tls_ctx_get(env->tls, e->key.profile, protocols(e), &e->tls, why);
}
