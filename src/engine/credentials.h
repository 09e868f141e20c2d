/* SPDX-License-Identifier: MIT
 *
 * credentials.h - who one is for the present hop, and the answer to a server
 * that asks for Digest.
 *
 * Where credentials come from, first one first: a header Authorization (or
 * its removal), `bearer`, `auth`, the URL, the netrc file. The first three
 * are for the origin of the run's URL; what options say at once is in their
 * fields already (engine/auth_settings). A URL's are for its origin, the
 * file's for whichever host they name.
 *
 * With Digest the first request goes without: the server's challenge is
 * answered once in a hop, once more when it says that only the nonce was too
 * old. A second 401 is the response. What a server took is used at once by
 * the requests that follow (engine/auth_store).
 */
#ifndef MS_ENGINE_CREDENTIALS_H
#define MS_ENGINE_CREDENTIALS_H

#include "engine/agent.h"

/* The run's URL, which was parsed now, says who one is. */
static inline bool ms_credentials_in(const struct ms_url *url)
{
    return url->password_end > url->username;
}

/* Adds the hop's Authorization, after ms_agent_render(). MS_EOPTION, MS_EURL:
 * credentials that cannot be sent, or a file that cannot be read; `*why` says
 * so. MS_EINTERNAL: the hash is not to be had. MS_ENOMEM. */
ms_err ms_credentials_before_hop(struct ms_easy *e,
                                 const char **why) MS_MUST_CHECK;

/* Of every final response of a run that has an agent. MS_EREPLAY: the body
 * cannot be sent again; `*why` says what to do. MS_EPROTO: the server says
 * that it knows the password, and does not. MS_EINTERNAL, MS_ENOMEM. */
ms_err ms_credentials_after_head(struct ms_easy *e, enum ms_then *then,
                                 const char **why) MS_MUST_CHECK;

/* Of the run's response, when it is whole: what trailers say, and what is said
 * of the body. MS_EPROTO, MS_EINTERNAL, MS_ENOMEM: as above. */
ms_err ms_credentials_after_body(struct ms_easy *e,
                                 const char **why) MS_MUST_CHECK;

/* The response's body is to be shown to ms_credentials_see(), as it was
 * received. */
static inline bool ms_credentials_see_body(const struct ms_easy *e)
{
    return e->agent && ms_proof_has_body(&e->agent->credentials.proof);
}

/* Some of it. MS_EINTERNAL: there is no hash any more. */
static inline ms_err ms_credentials_see(struct ms_easy *e, const char *p,
                                        size_t n)
{
    return ms_proof_add(&e->agent->credentials.proof, p, n);
}

#endif
