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

/* The same certificate from an earlier handshake, or NULL. */
static X509 *find(const struct ms_tls_cache *c, const X509 *cert)
{
    for (int i = 0; i < sk_X509_num(c->chain); i++)
        if (X509_cmp(sk_X509_value(c->chain, i), cert) == 0)
            return sk_X509_value(c->chain, i);
    return NULL;
}

static bool share_one(const struct ms_tls_cache *c, STACK_OF(X509) * sent,
                      int i)
{
    X509 *mine = sk_X509_value(sent, i), *known = find(c, mine);

    if (!known)
        return false;
    if (known != mine) {
        X509_up_ref(known);
        (void)sk_X509_set(sent, i, known);
        X509_free(mine);
    }
    return true;
}

void ms_tls_cache_share(struct ms_tls_cache *c, STACK_OF(X509) * sent)
{
    int count = sk_X509_num(sent), shared = 0;

    if (count <= 0 || count > MS_TLS_SHARED_CHAIN)
        return;
    for (int i = 0; i < count; i++)
        shared += share_one(c, sent, i);
    if (shared == count)
        return;
    sk_X509_pop_free(c->chain, X509_free);
    c->chain = X509_chain_up_ref(sent);
}

void ms_tls_cache_clear(struct ms_tls_cache *c)
{
    while (c->count)
        SSL_SESSION_free(c->list[--c->count]);
    ms_free(c->list);
    sk_X509_pop_free(c->chain, X509_free);
    *c = (struct ms_tls_cache){0};
}
