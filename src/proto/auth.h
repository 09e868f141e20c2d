/* SPDX-License-Identifier: MIT
 *
 * auth.h - credentials as header text: Basic and Bearer whole, Digest as far
 * as choosing what to answer.
 *
 * Who gets credentials, when and how often is the engine's to decide.
 */
#ifndef MS_PROTO_AUTH_H
#define MS_PROTO_AUTH_H

#include "proto/auth_digest.h"
#include "proto/header.h"

/* Challenges looked at in one response. A server offers a handful. */
#define MS_AUTH_CHALLENGES 32

/* Appends "Basic dXNlcjpwdw==" to `out` (RFC 7617). The bytes go as they are;
 * who has text in UTF-8 sends UTF-8. MS_EOPTION: a user with a colon, or
 * control bytes; `*why` (static text) says which. MS_ENOMEM. */
ms_err ms_auth_basic(const struct ms_login *login, struct ms_buf *out,
                     const char **why) MS_MUST_CHECK;

/* Appends "Bearer TOKEN" (RFC 6750, 2.1). Any visible ASCII passes: tokens
 * outside the RFC's letters are in use. MS_EOPTION with `*why`, MS_ENOMEM. */
ms_err ms_auth_bearer(struct ms_span token, struct ms_buf *out,
                      const char **why) MS_MUST_CHECK;

/* NULL when Digest can carry these; otherwise why not, static text. */
const char *ms_auth_refusal(const struct ms_login *login);

/* The strongest Digest challenge among the fields called `name`, taken into
 * `d`. `*found` is false, and `d` as it was, when none can be answered.
 * MS_EINTERNAL, MS_ENOMEM: as ms_digest_take(). */
ms_err ms_auth_choose(const struct ms_fields *fields, struct ms_span name,
                      bool whole_body, struct ms_digest *d,
                      bool *found) MS_MUST_CHECK;

#endif
