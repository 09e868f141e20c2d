/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#ifdef MS_FAIL_ALLOC

/* Test builds only; tests that fail allocations run in one thread. */
static long asked, fail_from, fail_count;

void ms_mem_fail(long nth, long count)
{
    asked = 0;
    fail_from = nth;
    fail_count = count;
}

long ms_mem_count(void)
{
    return asked;
}

bool ms_mem_failing(void)
{
    return fail_from != 0;
}

static bool refused(void)
{
    asked++;
    return fail_from && asked >= fail_from && asked < fail_from + fail_count;
}

#else

static inline bool refused(void)
{
    return false;
}

#endif

void *ms_alloc(size_t size)
{
    assert(size > 0);
    return refused() ? NULL : malloc(size);
}

void *ms_zalloc(size_t size)
{
    assert(size > 0);
    return refused() ? NULL : calloc(1, size);
}

void *ms_realloc(void *p, size_t size)
{
    assert(size > 0);
    return refused() ? NULL : realloc(p, size);
}

void ms_free(void *p)
{
    free(p);
}

char *ms_memdup(const void *p, size_t n)
{
    char *copy = ms_alloc(n + 1);

    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}
