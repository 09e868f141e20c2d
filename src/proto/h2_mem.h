/* SPDX-License-Identifier: MIT
 *
 * h2_mem.h - memory for nghttp2, which takes and gives back a dozen small
 * blocks for each request: those given back are kept for the next one.
 *
 * It is no general allocator: each session has its own, and what it keeps is
 * bounded.
 */
#ifndef MS_PROTO_H2_MEM_H
#define MS_PROTO_H2_MEM_H

#include <nghttp2/nghttp2.h>

#include "base/def.h"

/* Sizes are rounded up to this, */
#define MS_H2_MEM_STEP 32
/* and larger blocks than these are left to the system. */
#define MS_H2_MEM_CLASSES 16

struct h2_mem {
    struct h2_block *kept[MS_H2_MEM_CLASSES];
    size_t bytes; /* in there */
    size_t most;  /* that may be in there */
};

/* What nghttp2 is to be given; lends `m`, which begins as zeros but for
 * `most`. */
nghttp2_mem ms_h2_mem_for(struct h2_mem *m);

/* Gives everything back that is kept. It can go on being used. */
void ms_h2_mem_free(struct h2_mem *m);

#endif
