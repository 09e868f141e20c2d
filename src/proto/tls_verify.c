/* SPDX-License-Identifier: MIT */
#include "proto/tls_verify.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

/* Clocks differ: an answer counts that much before and after its time. */
#define OCSP_SKEW_SECONDS 300
/* base64 of 32 bytes, and a NUL */
#define PIN_BYTES 45
/* Names of a certificate that a message lists. */
#define LISTED_NAMES 4

bool ms_tls_is_address(const char *host)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    bool is = address != NULL;

    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return is;
}

ms_err ms_tls_expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (ms_tls_is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) ? MS_OK : MS_ENOMEM;
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) ? MS_OK : MS_ENOMEM;
}

/* ---- words ------------------------------------------------------------------
 */

static void add(char *to, const char *text)
{
    size_t n = strlen(to);

    snprintf(to + n, MS_TLS_TEXT_BYTES - n, "%s", text);
}

/* "2026-11-21 10:00 UTC" */
static void add_time(char *to, const ASN1_TIME *t)
{
    struct tm tm;
    char text[64];

    if (!t || !ASN1_TIME_to_tm(t, &tm))
        return;
    snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d UTC",
             tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min);
    add(to, text);
}

/* Bytes of a certificate are the peer's: only what is harmless in a message
 * goes there. */
static void add_clean(char *to, const unsigned char *p, int n)
{
    char text[128];
    size_t used = 0;

    for (int i = 0; i < n && used < sizeof(text) - 1; i++)
        text[used++] = p[i] > ' ' && p[i] < 0x7f ? (char)p[i] : '?';
    text[used] = '\0';
    add(to, text);
}

static void add_address6(char *to, const unsigned char *p)
{
    char text[8];

    for (int i = 0; i < 16; i += 2) {
        snprintf(text, sizeof(text), "%s%x", i ? ":" : "",
                 p[i] << 8 | p[i + 1]);
        add(to, text);
    }
}

static void add_address(char *to, const ASN1_OCTET_STRING *address)
{
    const unsigned char *p = ASN1_STRING_get0_data(address);
    char text[64];

    if (ASN1_STRING_length(address) == 4) {
        snprintf(text, sizeof(text), "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
        add(to, text);
    } else if (ASN1_STRING_length(address) == 16) {
        add_address6(to, p);
    }
}

static bool add_name(char *to, const GENERAL_NAME *name, bool first)
{
    if (name->type != GEN_DNS && name->type != GEN_IPADD)
        return false;
    if (!first)
        add(to, ", ");
    if (name->type == GEN_IPADD)
        add_address(to, name->d.iPAddress);
    else
        add_clean(to, ASN1_STRING_get0_data(name->d.dNSName),
                  ASN1_STRING_length(name->d.dNSName));
    return true;
}

/* What the certificate is for, the first `most` of them. */
static void add_names(char *to, X509 *cert, int most)
{
    GENERAL_NAMES *names =
        cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;
    int count = sk_GENERAL_NAME_num(names), listed = 0;

    for (int i = 0; i < count && listed < most; i++)
        listed += add_name(to, sk_GENERAL_NAME_value(names, i), listed == 0);
    if (!listed)
        add(to, "no name at all");
    else if (count > most)
        add(to, ", ...");
    GENERAL_NAMES_free(names);
}

void ms_tls_names_text(X509 *cert, char *to)
{
    add_names(to, cert, INT_MAX);
}

static ms_err code_of(long result)
{
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return MS_ECERTEXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return MS_ECERTEARLY;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return MS_ECERTHOST;
    case X509_V_ERR_CERT_REVOKED:
        return MS_ECERTREVOKED;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REJECTED:
        return MS_ECERTUNTRUSTED;
    case X509_V_ERR_OUT_OF_MEM:
        return MS_ENOMEM;
    default:
        return MS_ECERTINVALID;
    }
}

void ms_tls_explain(const struct ms_tls_fault *fault, const char *host,
                    struct ms_tls_verdict *v)
{
    X509 *cert = fault->cert;

    v->err = code_of(fault->result);
    v->reason = X509_verify_cert_error_string(fault->result);
    snprintf(v->text, sizeof(v->text), "the certificate of %s%s ",
             fault->depth ? "an issuer of " : "", host);
    switch (v->err) {
    case MS_ECERTEXPIRED:
        add(v->text, "expired on ");
        add_time(v->text, cert ? X509_get0_notAfter(cert) : NULL);
        break;
    case MS_ECERTEARLY:
        add(v->text, "is not valid before ");
        add_time(v->text, cert ? X509_get0_notBefore(cert) : NULL);
        break;
    case MS_ECERTHOST:
        add(v->text, "is for another name; it has ");
        add_names(v->text, cert, LISTED_NAMES);
        break;
    case MS_ECERTUNTRUSTED:
        add(v->text, "comes from nobody who is trusted (");
        add(v->text, v->reason);
        add(v->text,
            "); tls.ca_file says whom to trust instead of the system's");
        break;
    case MS_ECERTREVOKED:
        add(v->text, "was revoked");
        break;
    default:
        add(v->text, "will not do: ");
        add(v->text, v->reason);
    }
}

/* ---- pins -------------------------------------------------------------------
 */

/* base64 of the SHA-256 of the key's DER (RFC 7469, 2.4). */
static bool pin_of(X509 *cert, char *pin)
{
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    int len = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : -1;
    bool done =
        len > 0 && EVP_Digest(der, (size_t)len, digest, &n, EVP_sha256(), NULL);

    OPENSSL_free(der);
    if (done)
        EVP_EncodeBlock((unsigned char *)pin, digest, (int)n);
    return done;
}

void ms_tls_pin_text(X509 *cert, char *to)
{
    char pin[PIN_BYTES] = "";

    *to = '\0';
    if (pin_of(cert, pin))
        snprintf(to, MS_TLS_TEXT_BYTES, "sha256//%s", pin);
}

bool ms_tls_pins_match(const SSL *ssl, const char *pins, const char *host,
                       struct ms_tls_verdict *v)
{
    const char *const prefix = "sha256//";
    char pin[PIN_BYTES] = "";

    if (pin_of(SSL_get0_peer_certificate(ssl), pin))
        for (const char *p = pins; p; p = strchr(p, ';')) {
            p += *p == ';';
            if (strncmp(p + strlen(prefix), pin, PIN_BYTES - 1) == 0)
                return true;
        }
    v->err = MS_ECERTPIN;
    v->reason = NULL;
    snprintf(v->text, sizeof(v->text),
             "the key of %s is %s%s, which tls.pinned_public_key has not", host,
             prefix, pin);
    return false;
}

/* ---- stapled answers ----------------------------------------------------- */

/* `result` is one of X509_V_ERR_*. */
static bool refuse(struct ms_tls_verdict *v, const char *host, int result,
                   const char *what)
{
    v->err = code_of(result);
    v->reason = X509_verify_cert_error_string(result);
    snprintf(v->text, sizeof(v->text), "the OCSP answer for %s %s", host, what);
    return false;
}

/* The certificate that issued the peer's, from the chain that was built. */
static OCSP_CERTID *id_of_peer(SSL *ssl)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

    if (sk_X509_num(chain) < 2)
        return NULL;
    return OCSP_cert_to_id(NULL, sk_X509_value(chain, 0),
                           sk_X509_value(chain, 1));
}

static bool is_signed(SSL *ssl, OCSP_BASICRESP *answer)
{
    return OCSP_basic_verify(answer, SSL_get_peer_cert_chain(ssl),
                             SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)),
                             0) > 0;
}

static bool judge(SSL *ssl, OCSP_BASICRESP *answer, const char *host,
                  struct ms_tls_verdict *v)
{
    ASN1_GENERALIZEDTIME *this_update, *next_update;
    OCSP_CERTID *id = id_of_peer(ssl);
    int status = V_OCSP_CERTSTATUS_UNKNOWN;
    bool there = id && OCSP_resp_find_status(answer, id, &status, NULL, NULL,
                                             &this_update, &next_update);

    OCSP_CERTID_free(id);
    if (!is_signed(ssl, answer))
        return refuse(v, host, X509_V_ERR_OCSP_VERIFY_FAILED,
                      "is not signed by its issuer");
    if (!there)
        return refuse(v, host, X509_V_ERR_OCSP_CERT_UNKNOWN,
                      "is about another certificate");
    if (!OCSP_check_validity(this_update, next_update, OCSP_SKEW_SECONDS, -1))
        return refuse(v, host, X509_V_ERR_OCSP_VERIFY_FAILED, "is out of date");
    if (status == V_OCSP_CERTSTATUS_REVOKED)
        return refuse(v, host, X509_V_ERR_CERT_REVOKED,
                      "says that the certificate was revoked");
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return refuse(v, host, X509_V_ERR_OCSP_CERT_UNKNOWN,
                      "does not know the certificate");
    return true;
}

bool ms_tls_staple_good(SSL *ssl, bool required, const char *host,
                        struct ms_tls_verdict *v)
{
    const unsigned char *der;
    long n = SSL_get_tlsext_status_ocsp_resp(ssl, &der);

    if (n <= 0)
        return !required || refuse(v, host, X509_V_ERR_OCSP_VERIFY_NEEDED,
                                   "did not come, and tls.staple requires one");
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, n);
    OCSP_BASICRESP *answer = response && OCSP_response_status(response) ==
                                             OCSP_RESPONSE_STATUS_SUCCESSFUL
                                 ? OCSP_response_get1_basic(response)
                                 : NULL;
    bool good = answer ? judge(ssl, answer, host, v)
                       : refuse(v, host, X509_V_ERR_OCSP_VERIFY_FAILED,
                                "cannot be read");
    OCSP_BASICRESP_free(answer);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return good;
}
