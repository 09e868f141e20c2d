/* SPDX-License-Identifier: MIT */
#include "net/resolve_file.h"

struct ms_file_version ms_file_version_of(const struct stat *st)
{
    return (struct ms_file_version){.dev = st->st_dev,
                                    .ino = st->st_ino,
                                    .size = st->st_size,
                                    .seconds = st->st_mtim.tv_sec,
                                    .nanoseconds = st->st_mtim.tv_nsec};
}

struct ms_file_version ms_file_version_at(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct ms_file_version){0};
    return ms_file_version_of(&st);
}

bool ms_file_same(const struct ms_file_version *a,
                  const struct ms_file_version *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->seconds == b->seconds && a->nanoseconds == b->nanoseconds;
}
