/* SPDX-License-Identifier: MIT
 *
 * tls_ctx.h - what TLS connections share: one SSL_CTX for each set of
 * settings, and the buffers through which all of a multi's connections go.
 */
#ifndef MS_PROTO_TLS_CTX_H
#define MS_PROTO_TLS_CTX_H

#include <stdio.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "base/map.h"
#include "proto/tls_profile.h"

/* The largest record of TLS 1.2, header included (RFC 5246, 6.2.3). */
#define MS_TLS_RECORD (16384 + 2048 + 5)

/* One for a multi. What comes and leaves is encrypted bytes; every connection
 * uses the two in turn, within one call. */
struct ms_tls_env {
    struct ms_span in; /* lent to the connection that reads now */
    struct ms_buf out; /* filled by it; memory kept */
    struct ms_map ctxs;
    unsigned unused; /* of them */
    bool full;       /* `out` could not grow */
    BIO_METHOD *method;
};

struct ms_tls_ctx {
    struct ms_map_node node;
    struct ms_tls_env *env;
    struct ms_tls_profile *profile; /* a reference; NULL: the defaults */
    const char *alpn;               /* what is offered by default; static */
    unsigned refs;
    SSL_CTX *ssl;
    FILE *keys; /* SSLKEYLOGFILE, NULL: nobody asked */
};

ms_err ms_tls_env_new(struct ms_tls_env **out) MS_MUST_CHECK;
/* Every ctx must have been put. NULL is allowed. */
void ms_tls_env_free(struct ms_tls_env *env);

/* The ctx of that profile, with one reference. `alpn` is a static text, a
 * comma-separated list, used unless the profile has its own. MS_EOPTION: `*why`
 * (static text) says which setting cannot be used. MS_ENOMEM. */
ms_err ms_tls_ctx_get(struct ms_tls_env *env, struct ms_tls_profile *profile,
                      const char *alpn, struct ms_tls_ctx **out,
                      const char **why) MS_MUST_CHECK;
struct ms_tls_ctx *ms_tls_ctx_use(struct ms_tls_ctx *ctx);
void ms_tls_ctx_put(struct ms_tls_ctx *ctx);

/* What it offers by ALPN, with "," between. */
const char *ms_tls_ctx_alpn(const struct ms_tls_ctx *ctx);

#endif
