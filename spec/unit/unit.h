/* SPDX-License-Identifier: MIT
 *
 * unit.h - the smallest test frame that does the job.
 *
 *     #include "unit.h"
 *
 *     TEST(an_empty_buffer_owns_nothing)
 *     {
 *         struct ms_buf b = {0};
 *         CHECK(ms_buf_len(&b) == 0);
 *     }
 *
 * Every spec/unit/test_*.c becomes a program of its own, linked with unit.c
 * and the engine. A failed CHECK prints its place, ends the test and fails
 * the program. The program
 * takes part of a test's name to run only those.
 */
#ifndef MS_SPEC_UNIT_H
#define MS_SPEC_UNIT_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

struct unit_test {
    const char *name;
    void (*run)(void);
    struct unit_test *next;
};

void unit_register(struct unit_test *t);
_Noreturn void unit_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define TEST(test_name)                                                        \
    static void test_name(void);                                               \
    __attribute__((constructor)) static void register_##test_name(void)        \
    {                                                                          \
        static struct unit_test this_test = {#test_name, test_name, NULL};     \
        unit_register(&this_test);                                             \
    }                                                                          \
    static void test_name(void)

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition))                                                      \
            unit_fail(__FILE__, __LINE__, "not true: %s", #condition);         \
    } while (0)

/* CHECK with a message in printf's manner, for tables and loops. */
#define CHECK_THAT(condition, ...)                                             \
    do {                                                                       \
        if (!(condition))                                                      \
            unit_fail(__FILE__, __LINE__, __VA_ARGS__);                        \
    } while (0)

#endif
