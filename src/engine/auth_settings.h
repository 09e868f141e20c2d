/* SPDX-License-Identifier: MIT
 *
 * auth_settings.h - what options say about who one is.
 *
 * What can be said at once, Basic and Bearer, is a header line made when the
 * options are compiled; the rest is engine/credentials' work per request.
 */
#ifndef MS_ENGINE_AUTH_SETTINGS_H
#define MS_ENGINE_AUTH_SETTINGS_H

#include "proto/auth.h"
#include "proto/auth_proof.h"

/* A text that was not set has no memory. */
struct ms_auth_settings {
    struct ms_buf user, password, bearer;
    struct ms_buf netrc; /* a path; empty: $NETRC, or .netrc in $HOME */
    bool digest;         /* wait for a challenge, and answer Digest only */
};

/* Who a hop's URL or the netrc file says one is, and how often a server was
 * answered. All zero is a good start. */
struct ms_credentials {
    struct ms_buf user, password;
    unsigned hop;    /* how many redirects led to it */
    uint8_t answers; /* challenges taken in this hop */
    bool looked, known;
    bool answered;         /* the request carries an answer */
    struct ms_proof proof; /* what the server can prove, then */
};

/* Empty again, and without memory. */
void ms_credentials_free(struct ms_credentials *c);

/* Appends the value of the Authorization that every request of these settings
 * has; nothing when it depends on the request. MS_EOPTION with `*why`, a
 * static text; MS_ENOMEM. */
ms_err ms_auth_settings_value(const struct ms_auth_settings *s,
                              struct ms_buf *out,
                              const char **why) MS_MUST_CHECK;

/* Who one is by the options; false: they do not say. Lent. */
bool ms_auth_settings_login(const struct ms_auth_settings *s,
                            struct ms_login *login);

/* Credentials depend on the request: on a challenge, or on the host. */
static inline bool ms_auth_settings_ask(const struct ms_auth_settings *s)
{
    return s->netrc.p || (s->digest && s->user.p && !s->bearer.p);
}

#endif
