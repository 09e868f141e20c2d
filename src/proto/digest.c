/* SPDX-License-Identifier: MIT */
#include "proto/digest.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/mem.h"

static const EVP_MD *method_of(enum ms_hash hash)
{
    switch (hash) {
    case MS_HASH_SHA512_256:
        return EVP_sha512_256();
    case MS_HASH_SHA256:
        return EVP_sha256();
    case MS_HASH_MD5:
        break;
    }
    return EVP_md5();
}

static void to_hex(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

/* ---- piece by piece ---------------------------------------------------- */

struct ms_hasher {
    EVP_MD_CTX *ctx;
};

void ms_hasher_free(struct ms_hasher *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    ms_free(h);
}

ms_err ms_hasher_new(struct ms_hasher **out, enum ms_hash hash)
{
    struct ms_hasher *h = ms_zalloc(sizeof(*h));

    if (!h || !(h->ctx = EVP_MD_CTX_new())) {
        ms_free(h);
        return MS_ENOMEM;
    }
    if (!EVP_DigestInit_ex(h->ctx, method_of(hash), NULL)) {
        ms_hasher_free(h);
        return MS_EINTERNAL;
    }
    *out = h;
    return MS_OK;
}

ms_err ms_hasher_add(struct ms_hasher *h, const char *p, size_t n)
{
    return !n || EVP_DigestUpdate(h->ctx, p, n) ? MS_OK : MS_EINTERNAL;
}

ms_err ms_hasher_end(struct ms_hasher *h, struct ms_hash_text *out)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (!EVP_DigestFinal_ex(h->ctx, sum, &n))
        return MS_EINTERNAL;
    assert(2 * n < MS_HASH_HEX);
    to_hex(sum, n, out->hex);
    return MS_OK;
}

/* ---- at once ----------------------------------------------------------- */

static ms_err add_parts(struct ms_hasher *h, const struct ms_span *parts,
                        size_t count)
{
    ms_err err = MS_OK;

    for (size_t i = 0; !err && i < count; i++) {
        if (i)
            err = ms_hasher_add(h, ":", 1);
        if (!err)
            err = ms_hasher_add(h, parts[i].p, parts[i].n);
    }
    return err;
}

ms_err ms_hash_joined(enum ms_hash hash, const struct ms_span *parts,
                      size_t count, struct ms_hash_text *out)
{
    struct ms_hasher *h;
    ms_err err = ms_hasher_new(&h, hash);

    if (err)
        return err;
    err = add_parts(h, parts, count);
    if (!err)
        err = ms_hasher_end(h, out);
    ms_hasher_free(h);
    return err;
}

ms_err ms_random_bytes(void *p, size_t n)
{
    assert(n <= INT_MAX);

    return RAND_bytes(p, (int)n) == 1 ? MS_OK : MS_EINTERNAL;
}
