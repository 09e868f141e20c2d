/* SPDX-License-Identifier: MIT
 *
 * upload.h - a request body that is produced while it is sent: a piece of it
 * at a time, framed as HTTP/1 wants it.
 *
 * A body of known length goes out as it is and has to have that length; one
 * of unknown length goes out in chunks (RFC 9112, 7.1). It asks nobody: the
 * session fills it by a call up to the stream.
 */
#ifndef MS_PROTO_UPLOAD_H
#define MS_PROTO_UPLOAD_H

#include "base/err.h"
#include "base/span.h"

/* A piece. Large enough that framing costs nothing, and as much as a paused
 * upload keeps in memory. */
#define MS_UPLOAD_PIECE (16 * 1024)

struct ms_upload;

/* `length` is the body's, -1: not known. MS_ENOMEM. */
ms_err ms_upload_new(struct ms_upload **out, int64_t length) MS_MUST_CHECK;
/* NULL is allowed. */
void ms_upload_free(struct ms_upload *u);

/* Where the next piece goes, which is allowed only when nothing waits to be
 * sent and the body has not ended; `*cap` is how much fits. */
char *ms_upload_room(struct ms_upload *u, size_t *cap);
/* `n` bytes were put there; `end`: they are the last. MS_EUPLOAD: the body is
 * not as long as was said, `*why` says which way. */
ms_err ms_upload_put(struct ms_upload *u, size_t n, bool end,
                     const char **why) MS_MUST_CHECK;

/* In place of that, for a body of known length: the next `n` bytes, at least
 * one, are elsewhere and are sent from there. */
ms_err ms_upload_put_elsewhere(struct ms_upload *u, size_t n, bool end,
                               const char **why) MS_MUST_CHECK;

/* What waits to be sent; lent until the next call. It points nowhere while the
 * bytes are elsewhere. */
struct ms_span ms_upload_ready(const struct ms_upload *u);
/* The first `n` bytes of that were sent. */
void ms_upload_sent(struct ms_upload *u, size_t n);

/* The end was put, or the length is reached; all of it was sent when nothing
 * is ready either. */
bool ms_upload_ended(const struct ms_upload *u);

#endif
