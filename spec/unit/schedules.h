/* SPDX-License-Identifier: MIT
 *
 * schedules.h - runs of a randomised test: how many, and from which seed. The
 * environment decides: SEED=n begins there and names each run, so that one
 * that fails can be repeated; SCHEDULES=n is how many.
 */
#ifndef SPEC_SCHEDULES_H
#define SPEC_SCHEDULES_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs `one` with a seed each time, `usual` times if nobody says otherwise.
 * Returns how often. */
static inline unsigned schedules_run(const char *name, unsigned usual,
                                     void (*one)(unsigned seed))
{
    const char *given = getenv("SEED"), *count = getenv("SCHEDULES");
    unsigned first =
        given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid() * 7919u;
    unsigned n = count ? (unsigned)strtoul(count, NULL, 10) : usual;

    printf("%s: %u schedules from SEED=%u\n", name, n, first);
    fflush(stdout);
    for (unsigned i = 0; i < n; i++) {
        if (given)
            printf("seed %u\n", first + i);
        one(first + i);
    }
    return n;
}

/* How many descriptors below `max` are open. */
static inline int schedules_open_fds(int max)
{
    int n = 0;

    for (int fd = 0; fd < max; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

#endif
