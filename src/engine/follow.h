/* SPDX-License-Identifier: MIT
 *
 * follow.h - where a redirect leads, and what of the request goes there (RFC
 * 9110, 15.4, and where that leaves a choice what browsers do: the Fetch
 * standard). Not: the request itself.
 */
#ifndef MS_ENGINE_FOLLOW_H
#define MS_ENGINE_FOLLOW_H

#include "engine/agent.h"

/* Looks at the head of a final response. Where it is a redirect that is to be
 * followed the agent, which is made if need be, has moved and `*then` is
 * MS_THEN_AGAIN. Otherwise nothing was changed. `*why` is a static text for
 * people, with an error:
 * MS_EREDIRECTS; MS_EBLOCKED: it leads to another scheme, or from https to
 * http; MS_EPROTO: it leads to no URL, or to several; MS_EREPLAY: it is to be
 * followed with the body, which cannot be sent again; MS_EOPTION, MS_ENOMEM.
 */
ms_err ms_follow(struct ms_easy *e, enum ms_then *then,
                 const char **why) MS_MUST_CHECK;

#endif
