/* SPDX-License-Identifier: MIT
 *
 * h2_mem: what nghttp2 gives back is kept, within bounds, and given out again.
 */
#include <string.h>

#include "base/mem.h"
#include "proto/h2_mem.h"
#include "unit.h"

#define MOST  1024
#define LARGE (MS_H2_MEM_STEP * MS_H2_MEM_CLASSES)

static struct h2_mem m;
static nghttp2_mem mem;

static void begin(size_t most)
{
    m = (struct h2_mem){.most = most};
    mem = ms_h2_mem_for(&m);
    ms_mem_fail(0, 0);
}

static void *take(size_t n)
{
    return mem.malloc(n, mem.mem_user_data);
}

static void give(void *p)
{
    mem.free(p, mem.mem_user_data);
}

static void *resize(void *p, size_t n)
{
    return mem.realloc(p, n, mem.mem_user_data);
}

TEST(a_block_given_back_serves_the_next_of_its_size)
{
    begin(MOST);
    void *p = take(33);
    give(p);
    CHECK(m.bytes == 64);
    CHECK(take(64) == p && !m.bytes);
    CHECK(ms_mem_count() == 1);
    void *q = take(32);
    CHECK(q != p && ms_mem_count() == 2);
    give(p);
    give(q);
    ms_h2_mem_free(&m);
    CHECK(!m.bytes);
}

TEST(no_more_is_kept_than_may_be)
{
    void *p[2 * MOST / 64];

    begin(MOST);
    for (size_t i = 0; i < MS_COUNT(p); i++)
        CHECK((p[i] = take(64)) != NULL);
    for (size_t i = 0; i < MS_COUNT(p); i++)
        give(p[i]);
    CHECK(m.bytes == MOST);
    ms_mem_fail(0, 0);
    for (size_t i = 0; i < MS_COUNT(p); i++)
        CHECK((p[i] = take(64)) != NULL);
    CHECK(ms_mem_count() == MOST / 64);
    for (size_t i = 0; i < MS_COUNT(p); i++)
        give(p[i]);
    ms_h2_mem_free(&m);
}

TEST(large_blocks_are_not_kept)
{
    begin(SIZE_MAX);
    give(take(LARGE + 1));
    CHECK(!m.bytes);
    give(take(LARGE));
    CHECK(m.bytes == LARGE);
    ms_h2_mem_free(&m);
}

TEST(resizing_keeps_what_is_in_a_block)
{
    begin(MOST);
    char *p = resize(NULL, 5);
    memcpy(p, "12345", 5);
    CHECK(resize(p, MS_H2_MEM_STEP) == p);
    char *q = resize(p, 200);
    CHECK(q != p && !memcmp(q, "12345", 5));
    CHECK(m.bytes == MS_H2_MEM_STEP);
    CHECK(resize(q, 7) == q);
    ms_mem_fail(1, 1);
    CHECK(!resize(q, 2000) && !memcmp(q, "12345", 5));
    ms_mem_fail(0, 0);
    give(q);
    ms_h2_mem_free(&m);
}

TEST(zeroed_memory_is_zeroed_also_when_it_served_before)
{
    begin(MOST);
    char *p = take(64);
    memset(p, 'x', 64);
    give(p);
    char *q = mem.calloc(8, 8, mem.mem_user_data);
    CHECK(q == p);
    for (int i = 0; i < 64; i++)
        CHECK(!q[i]);
    give(q);
    ms_h2_mem_free(&m);
}

TEST(sizes_beyond_all_are_refused)
{
    begin(MOST);
    CHECK(!take(SIZE_MAX) && !take(SIZE_MAX - MS_H2_MEM_STEP));
    CHECK(!mem.calloc(SIZE_MAX / 2, 3, mem.mem_user_data));
    CHECK(!mem.calloc(SIZE_MAX, 1, mem.mem_user_data));
    give(NULL);
    CHECK(!ms_mem_count() && !m.bytes);
    void *p = take(0);
    CHECK(p);
    give(p);
    ms_h2_mem_free(&m);
}
