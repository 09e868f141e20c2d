/* SPDX-License-Identifier: MIT
 *
 * h1_request.h - the head of a request as HTTP/1.1 writes it (RFC 9112, 3).
 *
 * The one place where request heads are written. What could break the line
 * apart is refused here, whoever checked it before.
 */
#ifndef MS_PROTO_H1_REQUEST_H
#define MS_PROTO_H1_REQUEST_H

#include "base/buf.h"
#include "proto/session.h"

/* Replaces what is in `b` with the head of `req`, framing fields included.
 * MS_EHEADER: method, target or authority hold bytes that cannot be sent.
 * MS_EOPTION: the method is CONNECT. MS_ENOMEM. */
ms_err ms_h1_render(struct ms_buf *b,
                    const struct ms_request *req) MS_MUST_CHECK;

#endif
