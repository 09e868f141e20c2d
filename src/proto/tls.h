/* SPDX-License-Identifier: MIT
 *
 * tls.h - one TLS connection, as bytes in and bytes out.
 *
 * It has no socket. What arrived is lent in env->in before a call, what is to
 * leave is in env->out behind it; both are the multi's, so nothing may stay
 * there: all of `in` is used unless a call ends the connection or begins it
 * (the first application data may follow the handshake), and whoever called
 * sends or keeps `out`.
 */
#ifndef MS_PROTO_TLS_H
#define MS_PROTO_TLS_H

#include "proto/tls_cache.h"
#include "proto/tls_ctx.h"

struct ms_tls;

enum ms_tls_what {
    MS_TLS_DONE,
    MS_TLS_AGAIN,  /* more has to arrive */
    MS_TLS_CLOSED, /* the peer said that nothing follows */
    MS_TLS_FAILED  /* ms_tls_error() says why; `out` may hold an alert */
};

struct ms_tls_peer {
    struct ms_span host;        /* of the URL; an IPv6 address in brackets */
    struct ms_tls_cache *cache; /* sessions to resume; lent */
};

/* What is known of a connection once it is up; outlives it. multisocket.h has
 * what can be done with it. */
struct ms_tls_info {
    unsigned refs;
    const char *version; /* "TLSv1.3"; static */
    char cipher[64];     /* "TLS_AES_256_GCM_SHA384" */
    char alpn[16];       /* "" when none was agreed on */
    bool verified;       /* the chain and, unless switched off, the name */
    bool resumed;
    X509 *cert; /* the peer's; a reference, NULL: none */
};

/* The client's side; `ctx` is used as long as it lives. MS_EOPTION: the name
 * cannot be sent. MS_ENOMEM. */
ms_err ms_tls_new(struct ms_tls **out, struct ms_tls_ctx *ctx,
                  const struct ms_tls_peer *peer) MS_MUST_CHECK;
void ms_tls_free(struct ms_tls *t);

/* Goes on with the handshake. DONE: it is through, the peer is verified. */
enum ms_tls_what ms_tls_handshake(struct ms_tls *t);

/* As many bytes as there are, up to `cap`, which holds all of `in` when it is
 * MS_TLS_RECORD larger. `*n` counts also what came before an end. */
enum ms_tls_what ms_tls_read(struct ms_tls *t, char *p, size_t cap, size_t *n);

/* Encrypts all of it. DONE or FAILED. */
enum ms_tls_what ms_tls_write(struct ms_tls *t, struct ms_span s);

/* Queues the word that nothing follows. */
void ms_tls_close(struct ms_tls *t);

/* Gives back what the library buffers while nothing is under way; it comes back
 * with the next record. */
void ms_tls_release_buffers(struct ms_tls *t);

/* The cache it was given is used no more. */
void ms_tls_forget_cache(struct ms_tls *t);

/* Why a call FAILED. `*text` is a line for people, `*reason` the library's
 * words, or NULL; both live as long as `t`. */
ms_err ms_tls_error(const struct ms_tls *t, const char **text,
                    const char **reason);

/* What was agreed on, with a reference for the caller; NULL without memory. */
struct ms_tls_info *ms_tls_info(const struct ms_tls *t);

#endif
