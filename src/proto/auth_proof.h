/* SPDX-License-Identifier: MIT
 *
 * auth_proof.h - whether the server that answers knows the password, too:
 * `rspauth` of Authentication-Info (RFC 7616, 3.5).
 *
 * Belongs to one request, for it is about the nonce and the count which that
 * had, whatever the server said since. Servers need not prove anything: what
 * is looked at is a proof that was given.
 */
#ifndef MS_PROTO_AUTH_PROOF_H
#define MS_PROTO_AUTH_PROOF_H

#include "proto/auth_digest.h"

/* All zero: nothing is expected. */
struct ms_proof {
    struct ms_hash_text secret; /* H(A1) */
    struct ms_buf middle;       /* nonce, count, cnonce and qop */
    struct ms_buf target;
    struct ms_hasher *body; /* of the response; auth-int only */
    struct ms_hash_text body_hash;
    uint8_t hash; /* enum ms_hash */
};

/* What to expect after an answer that was just made of `d`; `p` is all zero.
 * MS_EINTERNAL, MS_ENOMEM: as ms_digest_answer(); `p` is to be freed. */
ms_err ms_proof_begin(struct ms_proof *p, const struct ms_digest *d,
                      const struct ms_login *login,
                      struct ms_span target) MS_MUST_CHECK;
/* All zero again. */
void ms_proof_free(struct ms_proof *p);

/* The response's body counts, which has to be given to ms_proof_add() as it
 * was received, before content codings are undone. */
static inline bool ms_proof_has_body(const struct ms_proof *p)
{
    return p->body != NULL;
}

ms_err ms_proof_add(struct ms_proof *p, const char *bytes,
                    size_t n) MS_MUST_CHECK;
/* All of the body was added. MS_EINTERNAL: the library gave up. */
ms_err ms_proof_end(struct ms_proof *p) MS_MUST_CHECK;

/* Looks at a line of Authentication-Info, with a body after ms_proof_end().
 * `*wrong` is true when it holds an rspauth that somebody without the password
 * made. One that is malformed holds none. MS_EINTERNAL, MS_ENOMEM. */
ms_err ms_proof_check(const struct ms_proof *p, struct ms_span line,
                      bool *wrong) MS_MUST_CHECK;

#endif
