/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <assert.h>

#include "base/mem.h"

void ms_buf_free(struct ms_buf *b)
{
    ms_free(b->p);
    *b = (struct ms_buf){0};
}

static void slide_to_front(struct ms_buf *b)
{
    memmove(b->p, b->p + b->from, ms_buf_len(b));
    b->to -= b->from;
    b->from = 0;
}

ms_err ms_buf_reserve(struct ms_buf *b, size_t n)
{
    if (n <= b->cap - b->to)
        return MS_OK;
    size_t len = ms_buf_len(b);
    if (n > SIZE_MAX / 4 - len)
        return MS_ENOMEM;
    /* Sliding is paid for by what was consumed since the last time. */
    if (b->from >= len && n <= b->cap - len) {
        slide_to_front(b);
        return MS_OK;
    }

    /* The first allocation is exact: many a buffer is filled once. */
    size_t cap = b->cap * 2;
    if (cap < b->to + n)
        cap = b->to + n;
    char *p = ms_realloc(b->p, cap);
    if (!p)
        return MS_ENOMEM;
    b->p = p;
    b->cap = cap;
    return MS_OK;
}

ms_err ms_buf_add(struct ms_buf *b, const void *p, size_t n)
{
    ms_err err = ms_buf_reserve(b, n);

    if (!err)
        ms_buf_put(b, ms_span(p, n));
    return err;
}

void ms_buf_consume(struct ms_buf *b, size_t n)
{
    assert(n <= ms_buf_len(b));

    b->from += n;
    if (b->from == b->to)
        ms_buf_clear(b);
}
