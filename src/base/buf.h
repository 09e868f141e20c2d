/* SPDX-License-Identifier: MIT
 *
 * buf.h - a growing run of bytes that is filled at its end and consumed from
 * its front.
 *
 * An empty buffer (all zero) owns nothing. Growth doubles, so appending is
 * amortised O(1); consuming moves an index. Offsets stay valid over growth,
 * pointers do not.
 */
#ifndef MS_BASE_BUF_H
#define MS_BASE_BUF_H

#include <assert.h>

#include "base/err.h"
#include "base/span.h"

struct ms_buf {
    char *p;         /* owned; NULL while nothing was ever put in */
    size_t from, to; /* the content is p[from..to) */
    size_t cap;
};

/* Frees the memory; the buffer is empty and usable again. */
void ms_buf_free(struct ms_buf *b);

/* Empties the buffer and keeps its memory. */
static inline void ms_buf_clear(struct ms_buf *b)
{
    b->from = b->to = 0;
}

static inline size_t ms_buf_len(const struct ms_buf *b)
{
    return b->to - b->from;
}

/* The content; valid until the next call that changes the buffer. */
static inline struct ms_span ms_buf_span(const struct ms_buf *b)
{
    return (struct ms_span){b->p ? b->p + b->from : NULL, b->to - b->from};
}

/* Room for `n` more bytes at the end. MS_ENOMEM leaves all as it was. */
ms_err ms_buf_reserve(struct ms_buf *b, size_t n) MS_MUST_CHECK;

/* Appends a copy. MS_ENOMEM leaves all as it was. */
ms_err ms_buf_add(struct ms_buf *b, const void *p, size_t n) MS_MUST_CHECK;

static inline ms_err ms_buf_add_span(struct ms_buf *b, struct ms_span s)
{
    return ms_buf_add(b, s.p, s.n);
}

/* Appends without a check; the room was reserved before. */
static inline void ms_buf_put(struct ms_buf *b, struct ms_span s)
{
    assert(s.n <= b->cap - b->to);

    if (s.n)
        memcpy(b->p + b->to, s.p, s.n);
    b->to += s.n;
}

/* Drops the first `n` bytes of the content. */
void ms_buf_consume(struct ms_buf *b, size_t n);

#endif
