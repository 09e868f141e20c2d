/* SPDX-License-Identifier: MIT */
#include "net/send_file.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/sendfile.h>
#endif

size_t ms_file_read_at(int fd, int64_t at, char *p, size_t cap,
                       const char **why)
{
    ssize_t n;

    assert(cap > 0 && at >= 0);
    do
        n = pread(fd, p, cap, (off_t)at);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return (size_t)n;
    *why = n ? "the file of the request body cannot be read"
             : "the request body is shorter than was said";
    return 0;
}

/* The way through memory, which also finds out what is wrong with a file. */
static struct ms_io_result copy(int fd, const struct ms_file_slice *from,
                                const char **why)
{
    size_t most = from->n < from->cap ? from->n : from->cap;
    size_t n = ms_file_read_at(from->fd, from->at, from->buffer, most, why);
    struct ms_span run = ms_span(from->buffer, n);

    if (!n)
        return (struct ms_io_result){MS_IO_ERROR, 0, 0};
    return ms_net_send(fd, &run, 1);
}

#if defined(__linux__)

/* sendfile() has no MSG_NOSIGNAL: the signal is kept from this thread for the
 * call, and taken back when there was none before. One that had been let
 * through cannot have been pending, so mostly nobody needs to ask. */
struct quiet {
    sigset_t before;
    bool pending;
};

static void be_quiet(struct quiet *q)
{
    sigset_t pipe, pending;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(MS_MUTANT_IS(341) ? SIG_UNBLOCK : SIG_BLOCK, &pipe,
                    &q->before);
    q->pending = false;
    if (sigismember(&q->before, SIGPIPE) && sigpending(&pending) == 0)
        q->pending = sigismember(&pending, SIGPIPE) == 1;
}

static void take_back_sigpipe(void)
{
    static const struct timespec now = {0, 0};
    sigset_t pipe;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
        continue;
}

/* The errno, 0 when `*n` says how much was sent. */
static int send_quietly(int fd, const struct ms_file_slice *from, ssize_t *n)
{
    struct quiet q;
    off_t at = (off_t)from->at;
    int err;

    be_quiet(&q);
    do
        *n = sendfile(fd, from->fd, &at, from->n);
    while (*n < 0 && errno == EINTR);
    err = *n < 0 ? errno : 0;
    /* The kernel sends bit by bit: behind a part there may be a failure that
     * only the next call tells. */
    bool cut_off = *n > 0 && (size_t)*n < from->n;
    if ((err == EPIPE || cut_off) && !q.pending)
        take_back_sigpipe();
    pthread_sigmask(SIG_SETMASK, &q.before, NULL);
    return err;
}

/* What a connection fails with, and no file: asking the socket again would
 * not tell it again. */
static bool is_of_socket(int os_errno)
{
    static const int all[] = {EPIPE,        ECONNRESET, ECONNABORTED,
                              ECONNREFUSED, ETIMEDOUT,  EHOSTUNREACH,
                              ENETUNREACH,  EHOSTDOWN,  ENETDOWN,
                              ENETRESET,    ENOTCONN,   EPROTO};

    for (size_t i = 0; i < MS_COUNT(all); i++)
        if (os_errno == all[i])
            return true;
    return false;
}

struct ms_io_result ms_net_send_file(int fd, const struct ms_file_slice *from,
                                     const char **why)
{
    ssize_t n;

    assert(from->n > 0 && from->at >= 0);
    int err = send_quietly(fd, from, &n);
    if (!err && n > 0)
        return (struct ms_io_result){MS_IO_DONE, 0, (size_t)n};
    if (err == EAGAIN)
        return (struct ms_io_result){MS_IO_AGAIN, err, 0};
    if (err && is_of_socket(err))
        return (struct ms_io_result){MS_IO_ERROR, err, 0};
    /* Nothing more there, or a file that the kernel cannot send like that. */
    return copy(fd, from, why);
}

#else

struct ms_io_result ms_net_send_file(int fd, const struct ms_file_slice *from,
                                     const char **why)
{
    assert(from->n > 0 && from->at >= 0);

    return copy(fd, from, why);
}

#endif
