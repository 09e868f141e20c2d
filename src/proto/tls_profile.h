/* SPDX-License-Identifier: MIT
 *
 * tls_profile.h - what is asked of TLS, as one value.
 *
 * Settings are what options collect. A profile is made of them once; it never
 * changes and is hashed and compared as a whole, so that a connection or a
 * session made under one can never serve another.
 */
#ifndef MS_PROTO_TLS_PROFILE_H
#define MS_PROTO_TLS_PROFILE_H

#include "base/buf.h"

enum ms_tls_text {
    MS_TLS_CA_FILE,     /* PEM: trusted certificates; default the system's */
    MS_TLS_CA_PATH,     /* folder of them, hashed names */
    MS_TLS_CRL_FILE,    /* PEM: revocation lists; every issuer needs one */
    MS_TLS_CERT,        /* PEM: the client's certificate, its chain behind */
    MS_TLS_KEY,         /* PEM; default: in the certificate's file */
    MS_TLS_PASSWORD,    /* of the key */
    MS_TLS_MIN,         /* "1.0" to "1.3", default "1.2" */
    MS_TLS_MAX,         /* the same, default none */
    MS_TLS_CIPHERS,     /* as OpenSSL names them, TLS 1.3 suites among them */
    MS_TLS_ALPN,        /* comma-separated; default as the HTTP version asks */
    MS_TLS_PINS,        /* "sha256//BASE64", several with ";" between */
    MS_TLS_SERVER_NAME, /* for SNI and for the certificate; default the host */
    MS_TLS_STAPLE,      /* "require": no connection without an OCSP answer */
    MS_TLS_TEXTS
};

enum ms_tls_flag {
    MS_TLS_VERIFY,      /* the certificate's chain and name */
    MS_TLS_VERIFY_HOST, /* its name */
    MS_TLS_SESSION_REUSE,
    MS_TLS_FLAGS
};

struct ms_tls_settings {
    struct ms_buf text[MS_TLS_TEXTS]; /* no memory: not set */
    bool flag[MS_TLS_FLAGS];          /* all true by default */
};

struct ms_tls_profile {
    unsigned refs;
    uint32_t hash;
    unsigned char flags; /* bit by enum ms_tls_flag */
    uint32_t end[MS_TLS_TEXTS];
    size_t bytes;
    char texts[]; /* one behind the other, each with a NUL */
};

void ms_tls_settings_init(struct ms_tls_settings *s);
void ms_tls_settings_free(struct ms_tls_settings *s);
/* To an initialised one. MS_ENOMEM. */
ms_err ms_tls_settings_copy(struct ms_tls_settings *to,
                            const struct ms_tls_settings *from) MS_MUST_CHECK;

/* The profile of those settings with one reference; NULL when they are the
 * defaults. MS_EOPTION: `*why` names the setting and what it takes. MS_ENOMEM.
 */
ms_err ms_tls_profile_new(struct ms_tls_profile **out,
                          const struct ms_tls_settings *s,
                          const char **why) MS_MUST_CHECK;
/* All take NULL, the defaults, too. */
struct ms_tls_profile *ms_tls_profile_use(struct ms_tls_profile *p);
void ms_tls_profile_free(struct ms_tls_profile *p);
bool ms_tls_profile_same(const struct ms_tls_profile *a,
                         const struct ms_tls_profile *b);
static inline uint32_t ms_tls_profile_hash(const struct ms_tls_profile *p)
{
    return p ? p->hash : 0;
}

/* NUL-terminated; NULL when it was not set. */
const char *ms_tls_profile_text(const struct ms_tls_profile *p,
                                enum ms_tls_text which);
bool ms_tls_profile_flag(const struct ms_tls_profile *p,
                         enum ms_tls_flag which);

#endif
