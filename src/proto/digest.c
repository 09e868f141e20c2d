/* SPDX-License-Identifier: MIT */
#include "proto/digest.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

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

static bool add_parts(EVP_MD_CTX *ctx, const struct ms_span *parts,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i && !EVP_DigestUpdate(ctx, ":", 1))
            return false;
        if (parts[i].n && !EVP_DigestUpdate(ctx, parts[i].p, parts[i].n))
            return false;
    }
    return true;
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

ms_err ms_hash_joined(enum ms_hash hash, const struct ms_span *parts,
                      size_t count, struct ms_hash_text *out)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx)
        return MS_ENOMEM;
    bool done = EVP_DigestInit_ex(ctx, method_of(hash), NULL) &&
                add_parts(ctx, parts, count) &&
                EVP_DigestFinal_ex(ctx, sum, &n);
    EVP_MD_CTX_free(ctx);
    if (!done)
        return MS_EINTERNAL;
    assert(2 * n < MS_HASH_HEX);
    to_hex(sum, n, out->hex);
    return MS_OK;
}

ms_err ms_random_bytes(void *p, size_t n)
{
    assert(n <= INT_MAX);

    return RAND_bytes(p, (int)n) == 1 ? MS_OK : MS_EINTERNAL;
}
