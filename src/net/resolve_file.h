/* SPDX-License-Identifier: MIT
 *
 * resolve_file.h - whether a configuration file is still the one that was
 * read.
 */
#ifndef MS_NET_RESOLVE_FILE_H
#define MS_NET_RESOLVE_FILE_H

#include <sys/stat.h>

#include "base/def.h"

/* Microseconds during which a file is not looked at again. */
#define MS_FILE_CHECK_US 1000000u

/* Which file it was, and in which state; zeroed: none. */
struct ms_file_version {
    dev_t dev;
    ino_t ino;
    off_t size;
    int64_t seconds, nanoseconds; /* of the last change */
};

struct ms_file_version ms_file_version_of(const struct stat *st);
/* That of what is at `path` now. */
struct ms_file_version ms_file_version_at(const char *path);
bool ms_file_same(const struct ms_file_version *a,
                  const struct ms_file_version *b);

#endif
