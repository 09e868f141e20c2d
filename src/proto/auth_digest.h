/* SPDX-License-Identifier: MIT
 *
 * auth_digest.h - Digest access authentication (RFC 7616), also as RFC 2617
 * and RFC 2069 had it.
 *
 * Keeps what a server said in a challenge and answers it for request after
 * request. Which request is answered, and whether again, the engine decides;
 * `domain` is not looked at, an answer is for the origin that asked.
 */
#ifndef MS_PROTO_AUTH_DIGEST_H
#define MS_PROTO_AUTH_DIGEST_H

#include "proto/challenge.h"
#include "proto/digest.h"

/* Bytes of one text of a challenge. They come back with every request, and
 * servers refuse heads of more than 8 KiB. */
#define MS_DIGEST_TEXT_MAX 2048

/* Random bytes in a cnonce: no two will ever meet. */
#define MS_DIGEST_CNONCE 24

/* Where a cnonce's bytes come from: ms_random_bytes(), or a test. */
typedef ms_err ms_random_fn(void *p, size_t n);

enum ms_digest_qop { MS_QOP_NONE, MS_QOP_AUTH, MS_QOP_AUTH_INT };

struct ms_digest {
    struct ms_buf realm, nonce, opaque; /* opaque.p NULL: none was sent */
    char cnonce[2 * MS_DIGEST_CNONCE + 1];
    uint32_t count;      /* answers given with this nonce */
    uint8_t hash;        /* enum ms_hash */
    uint8_t qop;         /* enum ms_digest_qop */
    bool session;        /* the -sess variant */
    bool named;          /* the challenge named its algorithm */
    bool utf8, userhash; /* what it says about names */
    bool stale;          /* only the nonce of the last answer was wrong */
};

struct ms_login {
    struct ms_span user, password;
};

/* What is authenticated: the method, the target as it is sent, and the body
 * where it is known beforehand. */
struct ms_digest_request {
    struct ms_span method, target, body;
    bool whole; /* `body` is all of it; auth-int needs that */
};

void ms_digest_free(struct ms_digest *d);

/* Can this challenge be answered, and how well? -1: no; more is better: by
 * the hash. */
int ms_digest_strength(const struct ms_challenge *c, bool whole_body);

/* Takes a challenge that can be answered into `d`, which loses what it had.
 * MS_EINTERNAL: no random bytes. MS_ENOMEM. `d` is to be freed either way. */
ms_err ms_digest_take(struct ms_digest *d, const struct ms_challenge *c,
                      bool whole_body, ms_random_fn *random) MS_MUST_CHECK;

/* Appends the credentials, "Digest username=...", to `out` and counts them.
 * MS_EINTERNAL: the hash is not to be had. MS_ENOMEM. */
ms_err ms_digest_answer(struct ms_digest *d, const struct ms_login *login,
                        const struct ms_digest_request *req,
                        struct ms_buf *out) MS_MUST_CHECK;

/* H(A1), and the name of the qop, "" for none: what is in an answer and in the
 * server's proof. MS_EINTERNAL, MS_ENOMEM: as ms_digest_answer(). */
ms_err ms_digest_secret(const struct ms_digest *d, const struct ms_login *login,
                        struct ms_hash_text *out) MS_MUST_CHECK;
struct ms_span ms_digest_qop_name(uint8_t qop);

/* What Authentication-Info says: a nextnonce is taken for the answers to
 * come (RFC 7616, 3.5). MS_EINTERNAL, MS_ENOMEM: as ms_digest_take(). */
ms_err ms_digest_info(struct ms_digest *d, struct ms_span line,
                      ms_random_fn *random) MS_MUST_CHECK;

#endif
