/* SPDX-License-Identifier: MIT
 *
 * The blocks that a session keeps for nghttp2.
 */
#include "proto/h2_mem.h"

#include <string.h>

#include "base/mem.h"
#include "unit.h"

static struct ms_h2_mem mem;

static void *take(size_t n)
{
    return mem.functions.malloc(n, mem.functions.mem_user_data);
}

static void give(void *p)
{
    mem.functions.free(p, mem.functions.mem_user_data);
}

static void *resize(void *p, size_t n)
{
    return mem.functions.realloc(p, n, mem.functions.mem_user_data);
}

TEST(a_block_is_used_again_for_its_size)
{
    ms_h2_mem_init(&mem);
    char *p = take(40);
    CHECK(p && (uintptr_t)p % 16 == 0);
    memset(p, 'x', 40);
    give(p);
    CHECK(mem.kept == 64);
    ms_mem_fail(1, 1);
    CHECK(!take(64)); /* counts as an allocation, so it can be made to fail */
    ms_mem_fail(0, 0);
    char *small = take(32);
    CHECK(small != p);
    CHECK(take(64) == p && mem.kept == 0);
    give(small);
    give(p);
    give(NULL);
    CHECK(mem.kept == 96);
    ms_h2_mem_trim(&mem);
    CHECK(mem.kept == 0);
}

TEST(zeroed_memory_is_zeroed_when_it_was_used_before)
{
    static const char zeros[48];

    ms_h2_mem_init(&mem);
    char *p = take(48);
    memset(p, 'x', 48);
    give(p);
    char *q = mem.functions.calloc(3, 16, mem.functions.mem_user_data);
    CHECK(q == p && !memcmp(q, zeros, sizeof(zeros)));
    CHECK(!mem.functions.calloc(SIZE_MAX / 2, 3, mem.functions.mem_user_data));
    give(q);
    ms_h2_mem_trim(&mem);
}

TEST(blocks_grow_and_keep_what_they_hold)
{
    ms_h2_mem_init(&mem);
    char *p = resize(NULL, 10);
    memcpy(p, "0123456789", 10);
    CHECK(resize(p, 32) == p);
    for (size_t n = 33; n < 5000; n += 61) {
        ms_mem_fail(1, 1);
        char *none = resize(p, n);
        ms_mem_fail(0, 0);
        p = none ? none : resize(p, n);
        CHECK(p && !memcmp(p, "0123456789", 10));
    }
    CHECK(resize(p, 20) == p);
    CHECK(!resize(p, SIZE_MAX));
    give(p);
    ms_h2_mem_trim(&mem);
}

TEST(what_is_kept_is_bounded)
{
    static void *blocks[2 * MS_H2_MEM_KEPT / 512];

    ms_h2_mem_init(&mem);
    for (size_t i = 0; i < MS_COUNT(blocks); i++)
        CHECK((blocks[i] = take(512)));
    for (size_t i = 0; i < MS_COUNT(blocks); i++)
        give(blocks[i]);
    CHECK(mem.kept == MS_H2_MEM_KEPT);
    void *large = take(513), *nothing = take(0);
    CHECK(large && nothing);
    give(large);
    CHECK(mem.kept == MS_H2_MEM_KEPT);
    give(nothing);
    ms_h2_mem_trim(&mem);
    CHECK(mem.kept == 0);
    CHECK(!take(SIZE_MAX));
}
