/* SPDX-License-Identifier: MIT
 *
 * file.c - reading with a limit, and replacing by rename(2).
 */
#include "net/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* Of one read(2). */
#define STEP 65536

static ms_err failed(int *os_errno)
{
    *os_errno = errno;
    return MS_EFILE;
}

static ms_err read_all(int fd, size_t most, struct ms_buf *out, int *os_errno)
{
    for (size_t total = 0;;) {
        ms_err err = ms_buf_reserve(out, STEP);
        if (err)
            return err;
        ssize_t n = read(fd, out->p + out->to, STEP);
        if (n == 0)
            return MS_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(os_errno);
        out->to += (size_t)n;
        total += (size_t)n;
        if (total > most) {
            *os_errno = EFBIG;
            return MS_EFILE;
        }
    }
}

/* A FIFO or a terminal would keep us waiting: O_NONBLOCK until we know. */
static ms_err check_regular(int fd, int *os_errno)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return failed(os_errno);
    if (S_ISREG(st.st_mode))
        return MS_OK;
    *os_errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    return MS_EFILE;
}

ms_err ms_file_read(const char *path, size_t most, struct ms_buf *out,
                    int *os_errno)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return failed(os_errno);
    ms_err err = check_regular(fd, os_errno);
    if (!err)
        err = read_all(fd, most, out, os_errno);
    close(fd);
    return err;
}

static ms_err write_all(int fd, struct ms_span text, int *os_errno)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed(os_errno);
        text = ms_span(text.p + n, text.n - (size_t)n);
    }
    /* Or the new name may outlive a crash and its content not. */
    return fsync(fd) == 0 ? MS_OK : failed(os_errno);
}

/* Renaming over /dev/null would be the end of it. */
static ms_err check_replaceable(const char *path, int *os_errno)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? MS_OK : failed(os_errno);
    if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
        return MS_OK;
    *os_errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    return MS_EFILE;
}

/* Writes `text` to a new file with a name made of `template`, mode 0600. */
static ms_err write_new(char *template, struct ms_span text, int *os_errno)
{
    int fd = MS_MUTANT_IS(530)
                 ? open(template, O_WRONLY | O_TRUNC | O_CREAT, 0600)
                 : mkostemp(template, O_CLOEXEC);

    if (fd < 0)
        return failed(os_errno);
    if (MS_MUTANT_IS(528))
        (void)!fchmod(fd, 0644);
    ms_err err = write_all(fd, text, os_errno);
    if (close(fd) != 0 && !err)
        err = failed(os_errno);
    if (err && !MS_MUTANT_IS(531))
        unlink(template);
    return err;
}

ms_err ms_file_replace(const char *path, struct ms_span text, int *os_errno)
{
    static const char suffix[] = ".XXXXXX";

    if (MS_MUTANT_IS(529))
        path = realpath(path, NULL);
    size_t n = strlen(path);
    ms_err err = check_replaceable(path, os_errno);
    if (err)
        return err;
    char *template = ms_alloc(n + sizeof(suffix));
    if (!template)
        return MS_ENOMEM;
    memcpy(template, path, n);
    memcpy(template + n, suffix, sizeof(suffix));
    if (MS_MUTANT_IS(530))
        template[n] = 0;
    err = write_new(template, text, os_errno);
    if (!err && rename(template, path) != 0) {
        err = failed(os_errno);
        unlink(template);
    }
    ms_free(template);
    return err;
}
