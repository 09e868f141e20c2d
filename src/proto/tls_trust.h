/* SPDX-License-Identifier: MIT
 *
 * tls_trust.h - whom to trust: certificates and revocation lists, loaded once
 * in a process.
 *
 * Reading a system's bundle takes some 20 ms of CPU; it is kept as long as
 * somebody holds the cache, and read again when a file changed. This is the
 * one mutable global of the project, guarded by a lock.
 */
#ifndef MS_PROTO_TLS_TRUST_H
#define MS_PROTO_TLS_TRUST_H

#include <openssl/x509.h>

#include "base/err.h"

struct ms_trust_source {
    const char *ca_file, *ca_path; /* both NULL: the system's, or what
                                    * SSL_CERT_FILE and SSL_CERT_DIR name */
    const char *crl_file;          /* NULL: nothing is looked up */
};

/* Whoever wants stores holds the cache; the last release empties it. */
void ms_trust_hold(void);
void ms_trust_release(void);

/* A store with a reference for the caller. MS_EOPTION: `*why` (static text)
 * says which file cannot be used. MS_ENOMEM. */
ms_err ms_trust_get(const struct ms_trust_source *from, X509_STORE **out,
                    const char **why) MS_MUST_CHECK;

#endif
