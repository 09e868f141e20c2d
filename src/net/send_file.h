/* SPDX-License-Identifier: MIT
 *
 * send_file.h - bytes of a file to a socket: by the kernel alone where it can
 * (sendfile), through a buffer otherwise. The file's position is neither used
 * nor moved, and no SIGPIPE is raised.
 */
#ifndef MS_NET_SEND_FILE_H
#define MS_NET_SEND_FILE_H

#include "net/sock.h"

/* Up to `cap` bytes from `at` on to `p`; how many. None: `*why` is a static
 * text that says what is wrong with the file. */
size_t ms_file_read_at(int fd, int64_t at, char *p, size_t cap,
                       const char **why);

/* Where the bytes are, and what they go through when they have to. */
struct ms_file_slice {
    int fd;
    int64_t at;
    size_t n;
    char *buffer; /* of `cap` bytes */
    size_t cap;
};

/* Sends as much of the slice as the socket takes, as ms_net_send() does. Where
 * it is the file that failed the result is MS_IO_ERROR with no errno, `*why`
 * says it and the socket is as it was; `*why` stays as it is otherwise. */
struct ms_io_result ms_net_send_file(int fd, const struct ms_file_slice *from,
                                     const char **why);

#endif
