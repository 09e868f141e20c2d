/* SPDX-License-Identifier: MIT */
#include "proto/h2_mem.h"

#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"

/* In front of every block. */
struct ms_h2_block {
    alignas(max_align_t) union {
        size_t size;              /* in use: of what follows */
        struct ms_h2_block *next; /* kept */
    };
};

static struct ms_h2_block *block_of(void *p)
{
    return (struct ms_h2_block *)p - 1;
}

/* Which list a block of that size is on; MS_H2_MEM_SIZES and above: none. */
static size_t list_of(size_t size)
{
    return (size - 1) / MS_H2_MEM_STEP;
}

static void *new_block(size_t size)
{
    struct ms_h2_block *b;

    if (size > SIZE_MAX - sizeof(*b) || !(b = ms_alloc(sizeof(*b) + size)))
        return NULL;
    b->size = size;
    return b + 1;
}

/* nghttp2 may ask for nothing. */
static void *mem_alloc(size_t n, void *user)
{
    struct ms_h2_mem *m = user;
    size_t list = list_of(n ? n : 1);

    if (list >= MS_H2_MEM_SIZES)
        return new_block(n);
    struct ms_h2_block *b = m->free[list];
    size_t size = (list + 1) * MS_H2_MEM_STEP;
    if (!b)
        return new_block(size);
    if (ms_mem_refused())
        return NULL;
    m->free[list] = b->next;
    m->kept -= size;
    b->size = size;
    return b + 1;
}

static void mem_free(void *p, void *user)
{
    struct ms_h2_mem *m = user;

    if (!p)
        return;
    struct ms_h2_block *b = block_of(p);
    size_t size = b->size, list = list_of(size);
    if (list >= MS_H2_MEM_SIZES || m->kept + size > MS_H2_MEM_KEPT) {
        ms_free(b);
        return;
    }
    b->next = m->free[list];
    m->free[list] = b;
    m->kept += size;
}

static void *mem_calloc(size_t count, size_t size, void *user)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    void *p = mem_alloc(count * size, user);
    return p ? memset(p, 0, count * size) : NULL;
}

/* A large block stays one, so that it can grow where it is. */
static void *grow_large(struct ms_h2_block *b, size_t n)
{
    if (n > SIZE_MAX - sizeof(*b) || !(b = ms_realloc(b, sizeof(*b) + n)))
        return NULL;
    b->size = n;
    return b + 1;
}

static void *mem_realloc(void *p, size_t n, void *user)
{
    if (!p)
        return mem_alloc(n, user);
    struct ms_h2_block *b = block_of(p);
    if (n <= b->size)
        return p;
    if (list_of(b->size) >= MS_H2_MEM_SIZES)
        return grow_large(b, n);
    void *larger = mem_alloc(n, user);
    if (!larger)
        return NULL;
    memcpy(larger, p, b->size);
    mem_free(p, user);
    return larger;
}

void ms_h2_mem_init(struct ms_h2_mem *m)
{
    *m = (struct ms_h2_mem){
        .functions = {m, mem_alloc, mem_free, mem_calloc, mem_realloc}};
}

void ms_h2_mem_trim(struct ms_h2_mem *m)
{
    for (size_t i = 0; i < MS_H2_MEM_SIZES; i++) {
        struct ms_h2_block *b;
        while ((b = m->free[i])) {
            m->free[i] = b->next;
            ms_free(b);
        }
    }
    m->kept = 0;
}
