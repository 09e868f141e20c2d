/* SPDX-License-Identifier: MIT
 *
 * file.h - a small configuration file as one text.
 *
 * Reading blocks, as long as a local disk takes; it is for files of people,
 * read where that is said.
 */
#ifndef MS_NET_FILE_H
#define MS_NET_FILE_H

#include "base/buf.h"

/* Larger files are not read: no person wrote them. */
#define MS_FILE_MAX (1024 * 1024)

enum ms_file_end {
    MS_FILE_READ,
    MS_FILE_MISSING,  /* nothing has that name */
    MS_FILE_UNUSABLE, /* may not be read, is a folder or too large: see errno */
    MS_FILE_NO_MEMORY
};

/* The content of the file at `path` into `out`, which loses what it had.
 * `*os_errno` says why a file is unusable. */
enum ms_file_end ms_file_text(const char *path, struct ms_buf *out,
                              int *os_errno) MS_MUST_CHECK;

#endif
