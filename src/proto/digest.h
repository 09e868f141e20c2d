/* SPDX-License-Identifier: MIT
 *
 * digest.h - hashes and random bytes, as far as authentication needs them.
 *
 * The one door to OpenSSL's message digests. What is hashed and why is
 * proto/auth_digest's business.
 */
#ifndef MS_PROTO_DIGEST_H
#define MS_PROTO_DIGEST_H

#include "base/err.h"
#include "base/span.h"

/* Weakest first: the larger one is preferred. */
enum ms_hash { MS_HASH_MD5, MS_HASH_SHA256, MS_HASH_SHA512_256 };

/* Hexadecimal digits of the longest of them, and the NUL behind. */
#define MS_HASH_HEX (64 + 1)

/* Lower-case hexadecimal, NUL-terminated. */
struct ms_hash_text {
    char hex[MS_HASH_HEX];
};

static inline struct ms_span ms_hash_span(const struct ms_hash_text *t)
{
    return ms_span_text(t->hex);
}

/* The hash of `count` spans with a ':' between any two of them.
 * MS_EINTERNAL: the library does not offer this hash here (MD5 under a FIPS
 * policy). MS_ENOMEM. */
ms_err ms_hash_joined(enum ms_hash hash, const struct ms_span *parts,
                      size_t count, struct ms_hash_text *out) MS_MUST_CHECK;

/* A hash of what comes piece by piece. */
struct ms_hasher;

/* MS_EINTERNAL, MS_ENOMEM: as ms_hash_joined(). */
ms_err ms_hasher_new(struct ms_hasher **out, enum ms_hash hash) MS_MUST_CHECK;
void ms_hasher_free(struct ms_hasher *h); /* also NULL */
/* MS_EINTERNAL: the library gave up. */
ms_err ms_hasher_add(struct ms_hasher *h, const char *p,
                     size_t n) MS_MUST_CHECK;
/* The hash of it all; nothing is added any more. MS_EINTERNAL: as above. */
ms_err ms_hasher_end(struct ms_hasher *h,
                     struct ms_hash_text *out) MS_MUST_CHECK;

/* Fills `p` with bytes nobody can foresee. MS_EINTERNAL: the system has none
 * to give. */
ms_err ms_random_bytes(void *p, size_t n) MS_MUST_CHECK;

#endif
