/* SPDX-License-Identifier: MIT
 *
 * tls_verify.h - whether the peer is who it should be: name, pins, stapled
 * OCSP answer; and what to say when it is not.
 *
 * The chain itself is OpenSSL's to verify. No callback of the application's
 * runs in here.
 */
#ifndef MS_PROTO_TLS_VERIFY_H
#define MS_PROTO_TLS_VERIFY_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/span.h"

#define MS_TLS_TEXT_BYTES 512

/* Why a certificate will not do. */
struct ms_tls_verdict {
    ms_err err;
    const char *reason; /* OpenSSL's words; static, or NULL */
    char text[MS_TLS_TEXT_BYTES];
};

/* Whether `host` is an IP address: no name is sent for those, and only an
 * address in the certificate will do (RFC 9110, 4.3.5). */
bool ms_tls_is_address(const char *host);

/* Has the handshake check the certificate's name or address; CN never counts,
 * a wildcard stands for a whole first label (RFC 6125, 6.4). MS_ENOMEM. */
ms_err ms_tls_expect_host(SSL *ssl, const char *host) MS_MUST_CHECK;

/* Where the verification of a chain stopped. */
struct ms_tls_fault {
    X509 *cert; /* the one at fault; a reference, NULL: not known */
    int depth;  /* 0: the peer's own, above: an issuer's */
    int result; /* X509_V_ERR_*, X509_V_OK: it did not stop */
};

/* What it means for `host`. */
void ms_tls_explain(const struct ms_tls_fault *fault, const char *host,
                    struct ms_tls_verdict *v);

/* The names and addresses a certificate is for, as a line of at most
 * MS_TLS_TEXT_BYTES; its key as a pin, "" without memory. */
void ms_tls_names_text(X509 *cert, char *to);
void ms_tls_pin_text(X509 *cert, char *to);

/* Whether one of the pins is the key of the peer's certificate; false: `v`. */
bool ms_tls_pins_match(const SSL *ssl, const char *pins, const char *host,
                       struct ms_tls_verdict *v);

/* Looks at the stapled OCSP answer (RFC 6066, 8), inside the status callback.
 * False: `v`. Without an answer it is false only if it is `required`. */
bool ms_tls_staple_good(SSL *ssl, bool required, const char *host,
                        struct ms_tls_verdict *v);

#endif
