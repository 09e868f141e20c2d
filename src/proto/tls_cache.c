/* SPDX-License-Identifier: MIT */
#include "proto/tls_cache.h"

#include <string.h>

#include "base/mem.h"

static bool make_room(struct ms_tls_cache *c)
{
    if (c->count == MS_TLS_TICKETS) {
        SSL_SESSION_free(c->list[0]);
        memmove(c->list, c->list + 1, --c->count * sizeof(*c->list));
    }
    if (c->count < c->cap)
        return true;
    unsigned cap = c->cap ? c->cap * 2 : 4;
    SSL_SESSION **list = ms_realloc(c->list, cap * sizeof(*list));
    if (!list)
        return false;
    c->list = list;
    c->cap = cap;
    return true;
}

void ms_tls_cache_add(struct ms_tls_cache *c, SSL_SESSION *session)
{
    if (make_room(c))
        c->list[c->count++] = session;
    else
        SSL_SESSION_free(session);
}

SSL_SESSION *ms_tls_cache_take(struct ms_tls_cache *c)
{
    while (c->count) {
        SSL_SESSION *s = c->list[c->count - 1];
        bool once = SSL_SESSION_get_protocol_version(s) >= TLS1_3_VERSION;
        if (SSL_SESSION_is_resumable(s) && !once) {
            SSL_SESSION_up_ref(s);
            return s;
        }
        c->count--;
        if (SSL_SESSION_is_resumable(s))
            return s;
        SSL_SESSION_free(s);
    }
    return NULL;
}

void ms_tls_cache_clear(struct ms_tls_cache *c)
{
    while (c->count)
        SSL_SESSION_free(c->list[--c->count]);
    ms_free(c->list);
    *c = (struct ms_tls_cache){0};
}
