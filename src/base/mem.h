/* SPDX-License-Identifier: MIT
 *
 * mem.h - the one door to the heap.
 *
 * Every allocation of the engine goes through here, so that a test build
 * (-DMS_FAIL_ALLOC) can make the n-th one fail. Nothing here aborts: running
 * out of memory is an ordinary error, for we live in somebody's process.
 */
#ifndef MS_BASE_MEM_H
#define MS_BASE_MEM_H

#include "base/def.h"

/* Uninitialised memory, NULL when there is none. `size` may not be 0. */
void *ms_alloc(size_t size) MS_MUST_CHECK;

/* Zeroed memory, NULL when there is none. */
void *ms_zalloc(size_t size) MS_MUST_CHECK;

/* As realloc(): on NULL the old block is untouched. */
void *ms_realloc(void *p, size_t size) MS_MUST_CHECK;

/* `p` may be NULL. */
void ms_free(void *p);

/* A NUL-terminated copy of `n` bytes, NULL when there is no memory. */
char *ms_memdup(const void *p, size_t n) MS_MUST_CHECK;

#ifdef MS_FAIL_ALLOC
/* Makes the `nth` allocation from now (1 = the next) and the `count - 1`
 * after it fail; 0 switches failing off. */
void ms_mem_fail(long nth, long count);

/* Allocations asked for since the last ms_mem_fail(). */
long ms_mem_count(void);

/* Whether one is to fail: what keeps blocks to spare allocations does not, so
 * that each of them can. */
bool ms_mem_failing(void);
#else
static inline bool ms_mem_failing(void)
{
    return false;
}
#endif

#endif
