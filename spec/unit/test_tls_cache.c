/* SPDX-License-Identifier: MIT
 *
 * What connections of one endpoint have from each other: sessions, each taken
 * once or as often as one likes, and certificates that are held once.
 */
#include "proto/tls_cache.h"

#include <string.h>

#include <openssl/x509v3.h>

#include "base/mem.h"
#include "unit.h"

/* ---- sessions ------------------------------------------------------------ */

static SSL_SESSION *new_session(unsigned id, int version)
{
    SSL_SESSION *s = SSL_SESSION_new();

    SSL_SESSION_set_protocol_version(s, version);
    SSL_SESSION_set1_id(s, (const unsigned char *)&id, sizeof(id));
    CHECK(SSL_SESSION_is_resumable(s));
    return s;
}

static unsigned id_of(SSL_SESSION *s)
{
    unsigned id = 0, n;

    if (s)
        memcpy(&id, SSL_SESSION_get_id(s, &n), sizeof(id));
    SSL_SESSION_free(s);
    return id;
}

TEST(the_newest_sessions_are_kept_and_no_more)
{
    struct ms_tls_cache c = {0};

    for (unsigned i = 1; i <= 3 * MS_TLS_TICKETS; i++) {
        ms_tls_cache_add(&c, new_session(i, TLS1_3_VERSION));
        CHECK(c.count <= MS_TLS_TICKETS);
    }
    for (unsigned i = 0; i < MS_TLS_TICKETS; i++)
        CHECK(id_of(ms_tls_cache_take(&c)) == 3 * MS_TLS_TICKETS - i);
    CHECK(!ms_tls_cache_take(&c));
    ms_tls_cache_clear(&c);
}

TEST(a_session_of_an_older_version_stays)
{
    struct ms_tls_cache c = {0};

    ms_tls_cache_add(&c, new_session(1, TLS1_2_VERSION));
    CHECK(id_of(ms_tls_cache_take(&c)) == 1);
    CHECK(id_of(ms_tls_cache_take(&c)) == 1);
    ms_tls_cache_add(&c, new_session(2, TLS1_3_VERSION));
    CHECK(id_of(ms_tls_cache_take(&c)) == 2);
    CHECK(id_of(ms_tls_cache_take(&c)) == 1);
    ms_tls_cache_clear(&c);
    CHECK(!ms_tls_cache_take(&c));
}

TEST(a_session_without_memory_is_lost_and_no_other)
{
    struct ms_tls_cache c = {0};

    ms_tls_cache_add(&c, new_session(1, TLS1_3_VERSION));
    ms_mem_fail(1, 1000);
    for (unsigned i = 2; i < 100; i++)
        ms_tls_cache_add(&c, new_session(i, TLS1_3_VERSION));
    ms_mem_fail(0, 0);
    CHECK(c.count >= 1 && c.count < 99);
    ms_tls_cache_clear(&c);
}

TEST(a_session_that_is_no_good_is_passed_over)
{
    struct ms_tls_cache c = {0};

    ms_tls_cache_add(&c, new_session(1, TLS1_3_VERSION));
    ms_tls_cache_add(&c, SSL_SESSION_new());
    CHECK(id_of(ms_tls_cache_take(&c)) == 1);
    CHECK(c.count == 0);
    ms_tls_cache_clear(&c);
}

/* ---- certificates --------------------------------------------------------
 */

/* The same bytes for the same number. */
static X509 *new_cert(int number)
{
    static EVP_PKEY *key;
    static X509 *made[MS_TLS_SHARED_CHAIN + 2];

    if (!key)
        key = EVP_EC_gen("P-256");
    if (!made[number]) {
        X509 *cert = made[number] = X509_new();
        ASN1_INTEGER_set(X509_get_serialNumber(cert), number);
        X509_gmtime_adj(X509_getm_notBefore(cert), 0);
        X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
        X509_set_pubkey(cert, key);
        CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
    }
    unsigned char *der = NULL;
    int n = i2d_X509(made[number], &der);
    const unsigned char *p = der;
    X509 *copy = d2i_X509(NULL, &p, n);
    CHECK(copy);
    OPENSSL_free(der);
    return copy;
}

static STACK_OF(X509) * new_chain(int first, int count)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    for (int i = 0; i < count; i++)
        CHECK(sk_X509_push(chain, new_cert(first + i)) > 0);
    return chain;
}

static void free_chain(STACK_OF(X509) * chain)
{
    sk_X509_pop_free(chain, X509_free);
}

static X509 *at(STACK_OF(X509) * chain, int i)
{
    return sk_X509_value(chain, i);
}

TEST(equal_chains_are_held_once)
{
    struct ms_tls_cache c = {0};
    STACK_OF(X509) *a = new_chain(0, 2), *b = new_chain(0, 2);

    CHECK(at(a, 0) != at(b, 0));
    ms_tls_cache_share(&c, a);
    ms_tls_cache_share(&c, b);
    CHECK(at(a, 0) == at(b, 0) && at(a, 1) == at(b, 1));
    free_chain(a);
    ms_tls_cache_clear(&c);
    CHECK(X509_cmp(at(b, 0), at(b, 1)) != 0); /* still there */
    free_chain(b);
}

TEST(a_chain_may_be_shared_in_part)
{
    struct ms_tls_cache c = {0};
    STACK_OF(X509) *a = new_chain(0, 2), *b = new_chain(1, 2);

    ms_tls_cache_share(&c, a);
    X509 *other = at(b, 1);
    ms_tls_cache_share(&c, b);
    CHECK(at(b, 0) == at(a, 1));
    CHECK(at(b, 1) == other);
    CHECK(at(c.chain, 1) == other && sk_X509_num(c.chain) == 2);
    ms_tls_cache_clear(&c);
    free_chain(a);
    free_chain(b);
}

/* The same names, key and dates: only the serial number and the signature
 * differ. */
TEST(a_chain_of_others_is_left_alone)
{
    struct ms_tls_cache c = {0};
    STACK_OF(X509) *a = new_chain(0, 1), *b = new_chain(1, 1);
    X509 *mine = at(b, 0);

    ms_tls_cache_share(&c, a);
    ms_tls_cache_share(&c, b);
    CHECK(at(b, 0) == mine && at(b, 0) != at(a, 0));
    ms_tls_cache_clear(&c);
    free_chain(a);
    free_chain(b);
}

TEST(a_signature_that_differs_makes_another_certificate)
{
    struct ms_tls_cache c = {0};
    STACK_OF(X509) *a = new_chain(0, 1), *b = new_chain(0, 1);
    const ASN1_BIT_STRING *signature;
    X509 *tampered = at(b, 0);

    X509_get0_signature(&signature, NULL, tampered);
    signature->data[signature->length - 1] ^= 1;
    ms_tls_cache_share(&c, a);
    ms_tls_cache_share(&c, b);
    CHECK(at(b, 0) == tampered);
    ms_tls_cache_clear(&c);
    free_chain(a);
    free_chain(b);
}

TEST(a_chain_that_is_long_is_not_shared)
{
    struct ms_tls_cache c = {0};
    STACK_OF(X509) *none = sk_X509_new_null();
    STACK_OF(X509) *longest = new_chain(0, MS_TLS_SHARED_CHAIN);
    STACK_OF(X509) *longer = new_chain(0, MS_TLS_SHARED_CHAIN + 1);

    ms_tls_cache_share(&c, none);
    ms_tls_cache_share(&c, longer);
    CHECK(!c.chain);
    ms_tls_cache_share(&c, longest);
    CHECK(sk_X509_num(c.chain) == MS_TLS_SHARED_CHAIN);
    ms_tls_cache_share(&c, longer);
    CHECK(at(longer, 0) != at(longest, 0));
    ms_tls_cache_clear(&c);
    free_chain(none);
    free_chain(longest);
    free_chain(longer);
}
