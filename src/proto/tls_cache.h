/* SPDX-License-Identifier: MIT
 *
 * tls_cache.h - sessions to resume: what the peers of one endpoint gave.
 *
 * A ticket of TLS 1.3 is used once (RFC 8446, C.4): it is taken. A session of
 * TLS 1.2 stays. Sessions are references; the peer's certificate is not parsed
 * again.
 */
#ifndef MS_PROTO_TLS_CACHE_H
#define MS_PROTO_TLS_CACHE_H

#include <openssl/ssl.h>

#include "base/err.h"

/* Servers give two for a full handshake and one for a resumed one. This many
 * serve a hundred connections at a time. */
#define MS_TLS_TICKETS 128

struct ms_tls_cache {
    SSL_SESSION **list; /* oldest first; owned */
    unsigned count, cap;
};

/* Takes over the caller's reference. Without room the oldest one goes; without
 * memory this one. */
void ms_tls_cache_add(struct ms_tls_cache *c, SSL_SESSION *session);

/* The newest that is still good, with a reference for the caller; NULL when
 * there is none. */
SSL_SESSION *ms_tls_cache_take(struct ms_tls_cache *c);

void ms_tls_cache_clear(struct ms_tls_cache *c);

#endif
