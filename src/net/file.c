/* SPDX-License-Identifier: MIT */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes asked for at a time. */
#define PIECE 4096

static int check_kind(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return errno;
    if (S_ISDIR(st.st_mode))
        return EISDIR;
    if (!S_ISREG(st.st_mode))
        return EINVAL;
    return st.st_size > MS_FILE_MAX ? EFBIG : 0;
}

/* To its end, also when it grows meanwhile. */
static enum ms_file_end read_all(int fd, struct ms_buf *out, int *os_errno)
{
    for (;;) {
        if (ms_buf_reserve(out, PIECE))
            return MS_FILE_NO_MEMORY;
        ssize_t n = read(fd, out->p + out->to, PIECE);
        if (n == 0)
            return MS_FILE_READ;
        if (n < 0 && errno == EINTR)
            continue;
        *os_errno = n < 0 ? errno : EFBIG;
        if (n < 0 || ms_buf_len(out) + (size_t)n > MS_FILE_MAX)
            return MS_FILE_UNUSABLE;
        out->to += (size_t)n;
    }
}

enum ms_file_end ms_file_text(const char *path, struct ms_buf *out,
                              int *os_errno)
{
    /* Non-blocking, in case somebody put a fifo there. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    ms_buf_clear(out);
    *os_errno = fd < 0 ? errno : check_kind(fd);
    enum ms_file_end end = MS_FILE_UNUSABLE;
    if (fd < 0)
        return *os_errno == ENOENT || *os_errno == ENOTDIR ? MS_FILE_MISSING
                                                           : end;
    if (!*os_errno)
        end = read_all(fd, out, os_errno);
    close(fd);
    return end;
}
