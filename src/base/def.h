/* SPDX-License-Identifier: MIT
 *
 * def.h - the few macros every module may use. No functions, no state.
 */
#ifndef MS_BASE_DEF_H
#define MS_BASE_DEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The compiler warns when the caller ignores what such a function returns. */
#define MS_MUST_CHECK __attribute__((warn_unused_result))

#define MS_PRINTF(fmt_index, first_arg)                                        \
    __attribute__((format(printf, fmt_index, first_arg)))

#define MS_LIKELY(x) __builtin_expect(!!(x), 1)
/* A function that is called when something is wrong: its callers are laid out
 * as if it were not there. */
#define MS_RARE __attribute__((cold, noinline))
/* A function that is often called, but not usually: its caller is shorter for
 * the usual case. */
#define MS_APART       __attribute__((noinline))
#define MS_UNLIKELY(x) __builtin_expect(!!(x), 0)

#define MS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* True in a build that is broken on purpose, in the way that spec/mutants.txt
 * calls `n`, to see that its spec notices. Otherwise constant false, and what
 * it guards is no part of the object. */
#ifdef MS_MUTANT
#define MS_MUTANT_IS(n) (MS_MUTANT == (n))
#else
#define MS_MUTANT_IS(n) false
#endif

/* The object of `type` whose `member` `p` points to. */
#define MS_CONTAINER(p, type, member)                                          \
    ((type *)((void *)((char *)(p)-offsetof(type, member))))

#endif
