/* SPDX-License-Identifier: MIT */
#include "proto/h2_mem.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* What stands before each block, as aligned as malloc() would have it. */
struct h2_block {
    struct h2_block *next; /* while it is kept */
    size_t size;           /* of what follows */
};

static_assert(sizeof(struct h2_block) % _Alignof(max_align_t) == 0,
              "what follows is aligned");

static struct h2_block *block_of(void *p)
{
    return (struct h2_block *)p - 1;
}

static size_t rounded(size_t n)
{
    return n ? (n + MS_H2_MEM_STEP - 1) / MS_H2_MEM_STEP * MS_H2_MEM_STEP
             : MS_H2_MEM_STEP;
}

/* Where blocks of that rounded size are kept; NULL: nowhere. */
static struct h2_block **place_of(struct h2_mem *m, size_t size)
{
    size_t class = size / MS_H2_MEM_STEP - 1;

    return class < MS_H2_MEM_CLASSES ? &m->kept[class] : NULL;
}

static void *take(size_t n, void *user)
{
    struct h2_mem *m = user;
    size_t size = rounded(n);
    struct h2_block **place = place_of(m, size), *b;

    if (n > SIZE_MAX - MS_H2_MEM_STEP - sizeof(*b))
        return NULL;
    if (place && (b = *place)) {
        *place = b->next;
        m->bytes -= size;
        return b + 1;
    }
    b = ms_alloc(sizeof(*b) + size);
    if (!b)
        return NULL;
    b->size = size;
    return b + 1;
}

static void give(void *p, void *user)
{
    struct h2_mem *m = user;

    if (!p)
        return;
    struct h2_block *b = block_of(p);
    struct h2_block **place = place_of(m, b->size);
    if (!place || m->bytes + b->size > m->most) {
        ms_free(b);
        return;
    }
    b->next = *place;
    *place = b;
    m->bytes += b->size;
}

static void *take_zeroed(size_t count, size_t size, void *user)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    void *p = take(count * size, user);
    if (p)
        memset(p, 0, count * size);
    return p;
}

static void *resize(void *p, size_t n, void *user)
{
    if (!p)
        return take(n, user);
    if (n <= block_of(p)->size)
        return p;
    void *q = take(n, user);
    if (!q)
        return NULL;
    memcpy(q, p, block_of(p)->size);
    give(p, user);
    return q;
}

nghttp2_mem ms_h2_mem_for(struct h2_mem *m)
{
    return (nghttp2_mem){m, take, give, take_zeroed, resize};
}

void ms_h2_mem_free(struct h2_mem *m)
{
    for (size_t i = 0; i < MS_H2_MEM_CLASSES; i++)
        while (m->kept[i]) {
            struct h2_block *b = m->kept[i];
            m->kept[i] = b->next;
            ms_free(b);
        }
    m->bytes = 0;
}
