/* SPDX-License-Identifier: MIT
 *
 * cookies.h - a run with the option `cookies`: what its requests carry and
 * what its responses bring, each for the URL of its hop.
 *
 * A policy of engine/policy.h; the jar itself is proto/jar.
 */
#ifndef MS_ENGINE_COOKIES_H
#define MS_ENGINE_COOKIES_H

#include "engine/agent.h"

/* Adds the hop's Cookie line: the jar's, then what the user gave by hand, in
 * one line (RFC 6265, 5.4). The fields are rendered, but for Cookie.
 * MS_ENOMEM. */
ms_err ms_cookies_before_hop(struct ms_easy *e) MS_MUST_CHECK;

/* Takes what the response's Set-Cookie fields say, the first
 * MS_JAR_RESPONSE_MAX of them. MS_ENOMEM: some are not taken. */
ms_err ms_cookies_after_head(struct ms_easy *e) MS_MUST_CHECK;

#endif
