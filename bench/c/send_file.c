/* SPDX-License-Identifier: MIT
 *
 * send_file.c - the least that an upload can cost: one PUT over HTTP/1.1,
 * its body by sendfile(2) on a socket that waits in epoll. No HTTP client.
 *
 *     send_file ADDRESS PORT PATH FILE
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define AT_ONCE (256 * 1024)

static void must(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static int connect_to(const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port))};
    int s = socket(AF_INET, SOCK_STREAM, 0);

    must(inet_pton(AF_INET, address, &to.sin_addr) == 1, address);
    must(s >= 0 && !connect(s, (struct sockaddr *)&to, sizeof(to)), "connect");
    return s;
}

static void send_all(int s, int file, off_t size)
{
    int ep = epoll_create1(0);
    struct epoll_event out = {.events = EPOLLOUT};

    must(ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, s, &out), "epoll");
    must(!fcntl(s, F_SETFL, O_NONBLOCK), "fcntl");
    for (off_t at = 0; at < size;) {
        ssize_t n = sendfile(s, file, &at, AT_ONCE);
        must(n > 0 || (n < 0 && errno == EAGAIN), "sendfile");
        if (n < 0)
            epoll_wait(ep, &out, 1, -1);
    }
    must(!fcntl(s, F_SETFL, 0), "fcntl");
}

int main(int argc, char **argv)
{
    char text[512];
    struct stat st;

    if (argc != 5) {
        fprintf(stderr, "usage: %s ADDRESS PORT PATH FILE\n", argv[0]);
        return 2;
    }
    int file = open(argv[4], O_RDONLY);
    must(file >= 0 && !fstat(file, &st), argv[4]);
    int s = connect_to(argv[1], argv[2]);
    int n = snprintf(text, sizeof(text),
                     "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %lld\r\n"
                     "\r\n",
                     argv[3], argv[1], (long long)st.st_size);
    must(send(s, text, (size_t)n, MSG_NOSIGNAL) == n, "send");
    send_all(s, file, st.st_size);
    ssize_t got = recv(s, text, sizeof(text) - 1, 0);
    must(got > 0, "recv");
    text[got] = '\0';
    return strncmp(text, "HTTP/1.1 20", 11) ? 1 : 0;
}
