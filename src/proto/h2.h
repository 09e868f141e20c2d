/* SPDX-License-Identifier: MIT
 *
 * h2.h - HTTP/2 (RFC 9113) as a session: many streams on one connection.
 *
 * Frames and HPACK are nghttp2's. What a message may look like is checked
 * here, as strictly as HTTP/1 is, and every way in which a peer could make us
 * work or store without end has a bound. A malformed response ends its stream
 * alone (MS_EPROTO); a peer that breaks the rules of the connection ends it
 * with MS_EHTTP2 and the name of the HTTP/2 error.
 *
 * Windows follow consumption: what a paused stream does not take is kept here,
 * at most its window, and only that stream's peer has to wait. The window of a
 * stream that it holds up grows, for long fat networks, within bounds for the
 * connection and for all of them.
 */
#ifndef MS_PROTO_H2_H
#define MS_PROTO_H2_H

#include "proto/h2_limits.h"
#include "proto/session.h"

struct ms_h2_config {
    bool secure;        /* what :scheme says */
    size_t max_streams; /* at a time, whatever more the peer takes */
    int64_t *grown;     /* lent: by how much the windows of all sessions that
                         * share it have grown */
};

/* A session for a fresh connection; its preface is there to pull. MS_ENOMEM. */
ms_err ms_h2_new(struct ms_session **out,
                 const struct ms_h2_config *config) MS_MUST_CHECK;

#endif
