/* SPDX-License-Identifier: MIT
 *
 * What the application may ask about a TLS connection: facts as text.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "proto/tls.h"
#include "proto/tls_verify.h"

struct ms_tls_info *ms_tls_info_use(struct ms_tls_info *i)
{
    if (i)
        i->refs++;
    return i;
}

void ms_tls_info_free(struct ms_tls_info *i)
{
    if (!i || --i->refs)
        return;
    X509_free(i->cert);
    ms_free(i);
}

const char *ms_openssl_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

bool ms_tls_info_verified(const struct ms_tls_info *i)
{
    return i->verified;
}

bool ms_tls_info_resumed(const struct ms_tls_info *i)
{
    return i->resumed;
}

static void put_time(BIO *to, const ASN1_TIME *t)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(t, &tm))
        BIO_printf(to, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void put_hex(BIO *to, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        BIO_printf(to, "%02x", p[i]);
}

static void put_fingerprint(BIO *to, const X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n;

    if (X509_digest(cert, EVP_sha256(), digest, &n))
        put_hex(to, digest, n);
}

static void put_serial(BIO *to, const X509 *cert)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);

    put_hex(to, ASN1_STRING_get0_data(serial),
            (size_t)ASN1_STRING_length(serial));
}

static void put_certificate(BIO *to, X509 *cert, enum ms_tls_fact fact)
{
    char text[MS_TLS_TEXT_BYTES] = "";

    switch (fact) {
    case MS_TLS_SUBJECT:
        X509_NAME_print_ex(to, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253);
        break;
    case MS_TLS_ISSUER:
        X509_NAME_print_ex(to, X509_get_issuer_name(cert), 0, XN_FLAG_RFC2253);
        break;
    case MS_TLS_NOT_BEFORE:
        put_time(to, X509_get0_notBefore(cert));
        break;
    case MS_TLS_NOT_AFTER:
        put_time(to, X509_get0_notAfter(cert));
        break;
    case MS_TLS_SERIAL:
        put_serial(to, cert);
        break;
    case MS_TLS_FINGERPRINT:
        put_fingerprint(to, cert);
        break;
    case MS_TLS_PUBLIC_KEY_PIN:
        ms_tls_pin_text(cert, text);
        BIO_puts(to, text);
        break;
    case MS_TLS_NAMES:
        ms_tls_names_text(cert, text);
        BIO_puts(to, text);
        break;
    case MS_TLS_PEM:
        PEM_write_bio_X509(to, cert);
        break;
    case MS_TLS_VERSION:
    case MS_TLS_CIPHER:
    case MS_TLS_PROTOCOL:
        break;
    }
}

static size_t copy_out(struct ms_span s, char *buf, size_t cap)
{
    if (cap) {
        size_t n = s.n < cap ? s.n : cap - 1;
        if (n)
            memcpy(buf, s.p, n);
        buf[n] = '\0';
    }
    return s.n;
}

static size_t certificate_text(X509 *cert, enum ms_tls_fact fact, char *buf,
                               size_t cap)
{
    BIO *to = cert ? BIO_new(BIO_s_mem()) : NULL;
    char *p = NULL;

    if (!to)
        return copy_out(ms_span(NULL, 0), buf, cap);
    put_certificate(to, cert, fact);
    long n = BIO_get_mem_data(to, &p);
    size_t all = copy_out(ms_span(p, n > 0 ? (size_t)n : 0), buf, cap);
    BIO_free(to);
    ERR_clear_error();
    return all;
}

size_t ms_tls_info_text(const struct ms_tls_info *i, enum ms_tls_fact fact,
                        char *buf, size_t cap)
{
    switch (fact) {
    case MS_TLS_VERSION:
        return copy_out(ms_span_text(i->version), buf, cap);
    case MS_TLS_CIPHER:
        return copy_out(ms_span_text(i->cipher), buf, cap);
    case MS_TLS_PROTOCOL:
        return copy_out(ms_span_text(i->alpn), buf, cap);
    default:
        return certificate_text(i->cert, fact, buf, cap);
    }
}
