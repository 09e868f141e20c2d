/* SPDX-License-Identifier: MIT
 *
 * test_send_file.c - bytes of a file to a socket: which, how many, and that
 * nobody hears SIGPIPE.
 */
#include "net/send_file.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

static char buffer[4096];
static volatile sig_atomic_t heard;

static void hear(int sig)
{
    (void)sig;
    heard++;
}

/* A file of that text that has no name; it is written at its end. */
static int file_of(const char *text)
{
    char name[] = "/tmp/multisocket-send-XXXXXX";
    int fd = mkstemp(name);

    CHECK(fd >= 0 && !unlink(name));
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    return fd;
}

static void pair_of(int s[2])
{
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
}

static struct ms_io_result send_slice(int to, int fd, int64_t at, size_t n,
                                      const char **why)
{
    struct ms_file_slice slice = {fd, at, n, buffer, sizeof(buffer)};

    *why = NULL;
    return ms_net_send_file(to, &slice, why);
}

TEST(what_is_asked_for_is_sent_and_the_position_stays)
{
    int s[2], fd = file_of("0123456789");
    const char *why;
    char got[16];

    pair_of(s);
    struct ms_io_result r = send_slice(s[0], fd, 3, 4, &why);
    CHECK(r.what == MS_IO_DONE && r.n == 4 && !why);
    CHECK(read(s[1], got, sizeof(got)) == 4 && !memcmp(got, "3456", 4));
    CHECK(lseek(fd, 0, SEEK_CUR) == 10);
    r = send_slice(s[0], fd, 8, 100, &why);
    CHECK(r.what == MS_IO_DONE && r.n == 2 && !why);
    CHECK(read(s[1], got, sizeof(got)) == 2 && !memcmp(got, "89", 2));
    close(s[0]);
    close(s[1]);
    close(fd);
}

TEST(a_file_that_ends_too_early_is_to_blame)
{
    int s[2], fd = file_of("0123456789");
    const char *why;

    pair_of(s);
    struct ms_io_result r = send_slice(s[0], fd, 10, 1, &why);
    CHECK(r.what == MS_IO_ERROR && !r.os_errno && !r.n);
    CHECK(strstr(why, "shorter"));
    r = send_slice(s[0], fd, 0, 1, &why);
    CHECK(r.what == MS_IO_DONE && r.n == 1 && !why);
    close(s[0]);
    close(s[1]);
    close(fd);
}

TEST(a_descriptor_that_cannot_be_read_is_to_blame)
{
    int s[2], fd = open("/dev/null", O_WRONLY);
    const char *why;

    pair_of(s);
    struct ms_io_result r = send_slice(s[0], fd, 0, 1, &why);
    CHECK(r.what == MS_IO_ERROR && !r.os_errno);
    CHECK(strstr(why, "cannot be read"));
    close(s[0]);
    close(s[1]);
    close(fd);
}

/* The kernel does not sendfile() these: they go through the buffer. */
TEST(a_file_that_is_made_up_while_it_is_read_is_sent)
{
    int s[2], fd = open("/proc/self/status", O_RDONLY);
    const char *why;
    char got[8];

    pair_of(s);
    struct ms_io_result r = send_slice(s[0], fd, 0, 5, &why);
    CHECK(r.what == MS_IO_DONE && r.n == 5 && !why);
    CHECK(read(s[1], got, sizeof(got)) == 5 && !memcmp(got, "Name:", 5));
    close(s[0]);
    close(s[1]);
    close(fd);
}

TEST(a_full_socket_takes_what_it_can_and_then_nothing)
{
    int s[2], fd = file_of("");
    const char *why;
    size_t sent = 0;
    struct ms_io_result r;

    CHECK(!ftruncate(fd, 16 << 20));
    pair_of(s);
    while ((r = send_slice(s[0], fd, (int64_t)sent, 1 << 20, &why)).what ==
           MS_IO_DONE)
        sent += r.n;
    CHECK(r.what == MS_IO_AGAIN && !r.n && !why);
    CHECK(sent > 0 && sent < 16 << 20);
    close(s[0]);
    close(s[1]);
    close(fd);
}

/* ---- SIGPIPE ------------------------------------------------------------- */

static bool is_pending(void)
{
    sigset_t set;

    CHECK(!sigpending(&set));
    return sigismember(&set, SIGPIPE) == 1;
}

static sigset_t only_sigpipe(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

/* Sends to a peer that is gone, which is the result. */
static void send_to_nobody(void)
{
    int s[2], fd = file_of("0123456789");
    const char *why;

    pair_of(s);
    close(s[1]);
    struct ms_io_result r = send_slice(s[0], fd, 0, 10, &why);
    CHECK(r.what == MS_IO_ERROR && r.os_errno == EPIPE && !why);
    close(s[0]);
    close(fd);
}

TEST(nobody_hears_sigpipe)
{
    struct sigaction catch = {.sa_handler = hear}, before;

    heard = 0;
    CHECK(!sigaction(SIGPIPE, &catch, &before));
    send_to_nobody();
    CHECK(!heard && !is_pending());
    raise(SIGPIPE); /* and the thread is open to it as before */
    CHECK(heard == 1);
    CHECK(!sigaction(SIGPIPE, &before, NULL));
}

/* A TCP socket whose peer has closed in an orderly way, and says no (RST) to
 * the first bytes that come. */
static int socket_that_is_left(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(to);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(!bind(listener, (struct sockaddr *)&to, len) && !listen(listener, 1));
    CHECK(!getsockname(listener, (struct sockaddr *)&to, &len));
    CHECK(!connect(fd, (struct sockaddr *)&to, len));
    close(accept(listener, NULL, NULL));
    close(listener);
    char c;
    CHECK(read(fd, &c, 1) == 0 && !fcntl(fd, F_SETFL, O_NONBLOCK));
    return fd;
}

/* The kernel sends a long slice bit by bit, and tells of the bits that went
 * when a later one failed. */
TEST(nobody_hears_sigpipe_behind_a_part_that_was_sent)
{
    struct sigaction catch = {.sa_handler = hear}, before;
    int fd = file_of("");
    const char *why;

    heard = 0;
    CHECK(!ftruncate(fd, 1 << 20));
    CHECK(!sigaction(SIGPIPE, &catch, &before));
    int to = socket_that_is_left();
    struct ms_io_result r = send_slice(to, fd, 0, 1 << 20, &why);
    CHECK(r.what == MS_IO_DONE && r.n > 0 && r.n < 1 << 20 && !why);
    CHECK(!heard && !is_pending());
    CHECK(!sigaction(SIGPIPE, &before, NULL));
    close(to);
    close(fd);
}

TEST(where_it_is_blocked_none_is_left_behind)
{
    sigset_t set = only_sigpipe(), before, after;

    CHECK(!pthread_sigmask(SIG_BLOCK, &set, &before));
    send_to_nobody();
    CHECK(!is_pending());
    CHECK(!pthread_sigmask(SIG_SETMASK, &before, &after));
    CHECK(sigismember(&after, SIGPIPE));
}

TEST(one_that_waited_before_still_waits)
{
    struct sigaction catch = {.sa_handler = hear}, old;
    sigset_t set = only_sigpipe(), before;

    heard = 0;
    CHECK(!sigaction(SIGPIPE, &catch, &old));
    CHECK(!pthread_sigmask(SIG_BLOCK, &set, &before));
    raise(SIGPIPE);
    send_to_nobody();
    CHECK(is_pending() && !heard);
    CHECK(!pthread_sigmask(SIG_SETMASK, &before, NULL));
    CHECK(heard == 1);
    CHECK(!sigaction(SIGPIPE, &old, NULL));
}
