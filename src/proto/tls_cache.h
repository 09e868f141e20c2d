/* SPDX-License-Identifier: MIT
 *
 * tls_cache.h - what connections of one endpoint have from each other:
 * sessions to resume, and the peer's certificates.
 *
 * A ticket of TLS 1.3 is used once (RFC 8446, C.4): it is taken. A session of
 * TLS 1.2 stays. Sessions are references; the peer's certificate is not parsed
 * again.
 *
 * A certificate that was parsed takes 6 KiB, and every full handshake parses
 * all that the peer sends. Who keeps many connections to one endpoint would
 * keep as many copies; so they share the latest.
 */
#ifndef MS_PROTO_TLS_CACHE_H
#define MS_PROTO_TLS_CACHE_H

#include <openssl/ssl.h>

#include "base/err.h"

/* Servers give two for a full handshake and one for a resumed one. This many
 * serve a hundred connections at a time. */
#define MS_TLS_TICKETS 128

/* A longer chain is not worth the comparing. Two or three are usual. */
#define MS_TLS_SHARED_CHAIN 8

struct ms_tls_cache {
    SSL_SESSION **list; /* oldest first; owned */
    unsigned count, cap;
    STACK_OF(X509) * chain; /* what the peer sent last; owned, may be NULL */
};

/* Takes over the caller's reference. Without room the oldest one goes; without
 * memory this one. */
void ms_tls_cache_add(struct ms_tls_cache *c, SSL_SESSION *session);

/* The newest that is still good, with a reference for the caller; NULL when
 * there is none. */
SSL_SESSION *ms_tls_cache_take(struct ms_tls_cache *c);

/* Puts those that were there before in the place of certificates in `sent` that
 * are the same to the byte, and keeps the others for the next. Without memory
 * nothing is shared. */
void ms_tls_cache_share(struct ms_tls_cache *c, STACK_OF(X509) * sent);

void ms_tls_cache_clear(struct ms_tls_cache *c);

#endif
