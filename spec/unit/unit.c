/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct unit_test *first, **last = &first;
static jmp_buf test_end;

void unit_register(struct unit_test *t)
{
    *last = t;
    last = &t->next;
}

void unit_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    longjmp(test_end, 1);
}

static bool passes(const struct unit_test *t)
{
    if (setjmp(test_end))
        return false;
    t->run();
    return true;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;

    for (struct unit_test *t = first; t; t = t->next) {
        if (argc > 1 && !strstr(t->name, argv[1]))
            continue;
        if (passes(t)) {
            passed++;
        } else {
            failed++;
            fprintf(stderr, "FAILED %s\n", t->name);
        }
    }
    const char *base = strrchr(argv[0], '/');
    printf("%s: %d passed, %d failed\n", base ? base + 1 : argv[0], passed,
           failed);
    return failed || !passed ? EXIT_FAILURE : EXIT_SUCCESS;
}
