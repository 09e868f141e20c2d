/* SPDX-License-Identifier: MIT
 *
 * openssl_client.c - the floor under every TLS client of the benchmark: bare
 * OpenSSL on a non-blocking socket, with the same loop and the same
 * verification. Connect, SSL_connect, a request, its answer, close.
 *
 * It is no HTTP client: it looks for Content-Length and counts. One
 * connection per slot, kept unless new ones are asked for.
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_FD = 20000, HOST_BYTES = 64, ANSWER_BYTES = 512 };

/* Tickets that wait for the next connection; each is used once. */
enum { MAX_SESSIONS = 128 };

struct conn {
    struct client_slot *slot; /* NULL while nothing is asked */
    SSL *ssl;                 /* NULL: not connected */
    int fd;
    uint32_t watched;
    bool asked;
    size_t len;
    char answer[ANSWER_BYTES];
};

struct bare {
    struct client base;
    SSL_CTX *ctx;
    struct sockaddr_in to;
    char host[HOST_BYTES], request[256];
    struct conn *by_fd[MAX_FD];
    SSL_SESSION *sessions[MAX_SESSIONS];
    unsigned session_count;
};

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "openssl_client: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(2);
}

static struct bare *of(struct client *c)
{
    return (struct bare *)(void *)c;
}

/* ---- sessions ------------------------------------------------------------ */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct bare *b = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (b->session_count == MAX_SESSIONS)
        return 0;
    b->sessions[b->session_count++] = session;
    return 1;
}

static void resume(struct bare *b, SSL *ssl)
{
    if (b->base.no_resume || !b->session_count)
        return;
    SSL_SESSION *s = b->sessions[--b->session_count];
    SSL_set_session(ssl, s);
    SSL_SESSION_free(s);
}

static void make_ctx(struct bare *b)
{
    SSL_CTX *ctx = b->ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        die("SSL_CTX_new");
    SSL_CTX_set_app_data(ctx, b);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL);
    if (!b->base.no_resume)
        SSL_CTX_sess_set_new_cb(ctx, on_session);
    if (!(b->base.ca_file
              ? SSL_CTX_load_verify_locations(ctx, b->base.ca_file, NULL)
              : SSL_CTX_set_default_verify_paths(ctx)))
        die("whom to trust");
}

/* ---- one connection ------------------------------------------------------ */

static void watch(struct client *c, struct conn *n, uint32_t events)
{
    if (n->watched == events)
        return;
    client_watch(c, n->fd, events, n->watched != 0);
    n->watched = events;
}

static void hang_up(struct client *c, struct conn *n)
{
    if (!n->ssl)
        return;
    SSL_shutdown(n->ssl);
    SSL_free(n->ssl);
    n->ssl = NULL;
    watch(c, n, 0);
    of(c)->by_fd[n->fd] = NULL;
    close(n->fd);
}

static void finish(struct client *c, struct conn *n, bool ok)
{
    struct client_slot *slot = n->slot;
    n->slot = NULL;
    if (!ok || c->new_connections)
        hang_up(c, n);
    client_ended(c, slot, ok);
}

/* Bytes of the answer's body; -1 while it is not whole. */
static long body_of(struct conn *n)
{
    n->answer[n->len] = '\0';
    const char *end = strstr(n->answer, "\r\n\r\n");
    const char *length = strstr(n->answer, "Content-Length: ");
    if (!end || !length)
        return -1;
    long expected = strtol(length + 16, NULL, 10);
    size_t have = n->len - (size_t)(end + 4 - n->answer);
    return have < (size_t)expected ? -1 : expected;
}

/* Waits for what OpenSSL waits for; false when it has failed. */
static bool wait_for(struct client *c, struct conn *n, int result)
{
    switch (SSL_get_error(n->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        watch(c, n, EPOLLIN);
        return true;
    case SSL_ERROR_WANT_WRITE:
        watch(c, n, EPOLLIN | EPOLLOUT);
        return true;
    default:
        ERR_print_errors_fp(stderr);
        return false;
    }
}

static void read_answer(struct client *c, struct conn *n)
{
    int got =
        SSL_read(n->ssl, n->answer + n->len, (int)(ANSWER_BYTES - 1 - n->len));
    if (got <= 0) {
        if (!wait_for(c, n, got))
            finish(c, n, false);
        return;
    }
    n->len += (size_t)got;
    long body = body_of(n);
    if (body < 0) {
        read_answer(c, n);
        return;
    }
    client_received(n->slot, (size_t)body);
    finish(c, n, !strncmp(n->answer, "HTTP/1.1 200 ", 13));
}

static void ask(struct client *c, struct conn *n)
{
    const char *request = of(c)->request;
    n->asked = true;
    n->len = 0;
    watch(c, n, EPOLLIN);
    if (SSL_write(n->ssl, request, (int)strlen(request)) <= 0)
        finish(c, n, false);
}

static void on_ready(struct client *c, int fd, uint32_t events)
{
    struct conn *n = fd < 0 ? NULL : of(c)->by_fd[fd];
    (void)events;
    if (!n)
        return;
    ERR_clear_error();
    if (!n->slot) { /* idle: the peer says something */
        char rest[ANSWER_BYTES];
        int got = SSL_read(n->ssl, rest, sizeof(rest));
        if (got <= 0 && !wait_for(c, n, got))
            hang_up(c, n);
        return;
    }
    if (n->asked) {
        read_answer(c, n);
        return;
    }
    int done = SSL_connect(n->ssl);
    if (done == 1)
        ask(c, n);
    else if (!wait_for(c, n, done))
        finish(c, n, false);
}

static void dial(struct client *c, struct conn *n)
{
    struct bare *b = of(c);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || fd >= MAX_FD)
        die("socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&b->to, sizeof(b->to)) &&
        errno != EINPROGRESS)
        die("connect");
    c->opened++;
    n->fd = fd;
    b->by_fd[fd] = n;
    n->ssl = SSL_new(b->ctx);
    if (!n->ssl || !SSL_set_fd(n->ssl, fd))
        die("SSL_new");
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(n->ssl), b->host);
    resume(b, n->ssl);
    SSL_set_connect_state(n->ssl);
    watch(c, n, EPOLLOUT);
}

static void start(struct client *c, struct client_slot *slot)
{
    struct conn *n = slot->easy;
    n->slot = slot;
    n->asked = false;
    if (n->ssl)
        ask(c, n);
    else
        dial(c, n);
}

static void after_batch(struct client *c)
{
    (void)c;
}

static bool prepare(struct client *c, struct client_slot *slot, const char *url)
{
    (void)c;
    (void)url; /* they are all the same */
    slot->easy = calloc(1, sizeof(struct conn));
    return slot->easy;
}

/* The connections are the slots' here and stay; OpenSSL keeps the buffer of a
 * read that found nothing more. */
static void drop(struct client *c)
{
    for (unsigned i = 0; i < c->concurrency; i++) {
        struct conn *n = c->slots[i].easy;
        if (n->ssl)
            SSL_free_buffers(n->ssl);
    }
}

static void read_url(struct bare *b)
{
    unsigned port = 0;
    char path[128] = "/";
    if (sscanf(b->base.url, "https://%63[0-9.]:%u%127s", b->host, &port, path) <
            2 ||
        !inet_pton(AF_INET, b->host, &b->to.sin_addr))
        die("the URL has to be https://ADDRESS:PORT/...");
    b->to.sin_family = AF_INET;
    b->to.sin_port = htons((uint16_t)port);
    snprintf(b->request, sizeof(b->request),
             "GET %s HTTP/1.1\r\nHost: %s:%u\r\n%s\r\n", path, b->host, port,
             b->base.new_connections ? "Connection: close\r\n" : "");
}

static void fini(struct bare *b)
{
    for (unsigned i = 0; i < b->base.concurrency; i++) {
        struct conn *n = b->base.slots[i].easy;
        hang_up(&b->base, n);
        free(n);
    }
    while (b->session_count)
        SSL_SESSION_free(b->sessions[--b->session_count]);
    SSL_CTX_free(b->ctx);
}

int main(int argc, char **argv)
{
    static struct bare b;
    client_init(&b.base, argc, argv);
    read_url(&b);
    make_ctx(&b);
    b.base.prepare = prepare;
    b.base.start = start;
    b.base.on_ready = on_ready;
    b.base.after_batch = after_batch;
    b.base.drop = drop;
    int code = client_run(&b.base);
    fini(&b);
    return code;
}
