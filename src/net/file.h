/* SPDX-License-Identifier: MIT
 *
 * file.h - small files, read whole and replaced whole.
 *
 * For what an application keeps from run to run. These calls wait for the
 * disk: they are made because the application asked for the file, never on
 * the way of a transfer.
 */
#ifndef MS_NET_FILE_H
#define MS_NET_FILE_H

#include "base/buf.h"

/* Appends the regular file at `path`, which has at most `most` bytes (else
 * EFBIG), to `out`. MS_EFILE: `*os_errno` says why. MS_ENOMEM. `out` may hold
 * part of it then. */
ms_err ms_file_read(const char *path, size_t most, struct ms_buf *out,
                    int *os_errno) MS_MUST_CHECK;

/* Puts a file with `text` in the place of what is at `path`, for its owner
 * only (mode 0600). At any time there is the old one or the new one, whole. A
 * symbolic link is replaced, not followed; what is neither file nor link is
 * left alone. MS_EFILE, MS_ENOMEM: nothing has changed. */
ms_err ms_file_replace(const char *path, struct ms_span text,
                       int *os_errno) MS_MUST_CHECK;

#endif
