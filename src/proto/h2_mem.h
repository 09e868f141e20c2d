/* SPDX-License-Identifier: MIT
 *
 * h2_mem.h - memory for nghttp2, which takes and gives back a dozen small
 * blocks with every stream.
 *
 * Blocks that come back are kept by size, up to a bound, and handed out again
 * without the general allocator. It is one session's, so nobody else is in its
 * lists. Everything comes from base/mem.
 */
#ifndef MS_PROTO_H2_MEM_H
#define MS_PROTO_H2_MEM_H

#include <nghttp2/nghttp2.h>

#include "base/def.h"

/* Sizes are rounded up to multiples of this; a block's own note of its size is
 * as large as malloc()'s alignment. */
#define MS_H2_MEM_STEP 32
/* A stream of nghttp2's, the largest thing there is many of, has 250 bytes. */
#define MS_H2_MEM_SIZES 16
/* What a hundred streams come to; beyond it blocks are given back. */
#define MS_H2_MEM_KEPT (160 * 1024)

struct ms_h2_block;

struct ms_h2_mem {
    nghttp2_mem functions; /* for nghttp2 */
    struct ms_h2_block *free[MS_H2_MEM_SIZES];
    size_t kept; /* bytes in there */
};

/* Does not allocate. `m` must stay where it is while `functions` are in use. */
void ms_h2_mem_init(struct ms_h2_mem *m);

/* Gives back what is not in use. It can go on being used. */
void ms_h2_mem_trim(struct ms_h2_mem *m);

#endif
