/* SPDX-License-Identifier: MIT
 *
 * model_server.h - the other side of test_model.c, in the same process: h1 and
 * HTTP/2, plain and over TLS, on sockets that never block. It does a step when
 * it is told to, and does some of them wrong on purpose.
 *
 * A request for /n is answered with n bytes, server_byte(i) at i.
 */
#ifndef MS_SPEC_MODEL_SERVER_H
#define MS_SPEC_MODEL_SERVER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "unit.h"

#define SERVER_PEERS 32
#define SERVER_READ  16384

/* Streams of a peer at once, and those that ended lately. */
#define SERVER_REPLIES 64

enum server_kind { PLAIN_H1, PLAIN_H2, TLS_H1, TLS_H2, SERVER_KINDS };

/* How long an answer is, and what of it has left. */
struct reply {
    size_t size, at;
};

struct peer {
    int fd; /* -1: free */
    enum server_kind kind;
    SSL *ssl;
    nghttp2_session *ng;
    struct ms_buf in, out;
    int64_t body_left; /* h1: of the request that is coming; -1: none is */
    int32_t last_id;
    bool leaving; /* sent GOAWAY */
    struct reply replies[SERVER_REPLIES];
};

static struct {
    int listeners[SERVER_KINDS];
    unsigned short ports[SERVER_KINDS];
    SSL_CTX *tls[SERVER_KINDS];
    struct peer peers[SERVER_PEERS];
    unsigned (*any)(unsigned n); /* the schedule's numbers */
    /* What happened. */
    unsigned long answered, parts, closes, resets, goaways, farewells;
} server;

static char server_byte(size_t i)
{
    return (char)('a' + i % 26);
}

static bool is_h2(const struct peer *p)
{
    return p->kind == PLAIN_H2 || p->kind == TLS_H2;
}

/* ---- start and end ------------------------------------------------------- */

static int pick_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                     const unsigned char *in, unsigned int in_n, void *user)
{
    unsigned char *found;

    (void)ssl;
    if (SSL_select_next_proto(&found, n, user, (unsigned)strlen(user), in,
                              in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();

    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

static SSL_CTX *make_tls(char *alpn)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = make_certificate(key);

    CHECK(SSL_CTX_use_certificate(ctx, x) == 1);
    CHECK(SSL_CTX_use_PrivateKey(ctx, key) == 1);
    SSL_CTX_set_alpn_select_cb(ctx, pick_alpn, alpn);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    X509_free(x);
    EVP_PKEY_free(key);
    return ctx;
}

static void listen_as(enum server_kind kind)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK(!bind(fd, (struct sockaddr *)&a, sizeof(a)));
    CHECK(!listen(fd, 64));
    CHECK(!getsockname(fd, (struct sockaddr *)&a, &n));
    server.listeners[kind] = fd;
    server.ports[kind] = ntohs(a.sin_port);
}

static void server_start(unsigned (*any)(unsigned n))
{
    static char http1[] = "\x08http/1.1", http2[] = "\x02h2";

    server.any = any;
    server.answered = server.parts = server.closes = server.resets = 0;
    server.goaways = server.farewells = 0;
    for (int kind = 0; kind < SERVER_KINDS; kind++)
        listen_as((enum server_kind)kind);
    for (int i = 0; i < SERVER_PEERS; i++)
        server.peers[i].fd = -1;
    server.tls[TLS_H1] = make_tls(http1);
    server.tls[TLS_H2] = make_tls(http2);
}

static void drop_peer(struct peer *p)
{
    SSL_free(p->ssl);
    nghttp2_session_del(p->ng);
    ms_buf_free(&p->in);
    ms_buf_free(&p->out);
    close(p->fd);
    *p = (struct peer){.fd = -1};
}

static void server_close_peer(struct peer *p)
{
    struct linger hard = {1, 0};

    server.closes++;
    if (server.any(3) == 0) /* a reset */
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    else if (p->ssl && server.any(2))
        SSL_shutdown(p->ssl);
    drop_peer(p);
}

/* All connections, those that nobody accepted too. */
static void server_end_peers(void)
{
    for (int i = 0; i < SERVER_PEERS; i++)
        if (server.peers[i].fd >= 0)
            drop_peer(&server.peers[i]);
    for (int kind = 0; kind < SERVER_KINDS; kind++)
        for (int fd; (fd = accept(server.listeners[kind], NULL, NULL)) >= 0;)
            close(fd);
}

static void server_stop(void)
{
    for (int kind = 0; kind < SERVER_KINDS; kind++) {
        close(server.listeners[kind]);
        SSL_CTX_free(server.tls[kind]);
    }
}

/* ---- bytes --------------------------------------------------------------- */

enum { PEER_AGAIN = -1, PEER_GONE = 0 };

static ssize_t peer_read(struct peer *p, char *to, size_t cap)
{
    ssize_t n;

    if (!p->ssl) {
        n = recv(p->fd, to, cap, 0);
        return n < 0 ? (errno == EAGAIN ? PEER_AGAIN : PEER_GONE) : n;
    }
    n = SSL_read(p->ssl, to, (int)cap);
    if (n > 0)
        return n;
    int why = SSL_get_error(p->ssl, (int)n);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE
               ? PEER_AGAIN
               : PEER_GONE;
}

static ssize_t peer_write(struct peer *p, const char *from, size_t n)
{
    if (!p->ssl)
        return send(p->fd, from, n, MSG_NOSIGNAL);
    return SSL_write(p->ssl, from, (int)n);
}

/* All of it, or now and then a part: that breaks lines, records and frames. */
static void peer_flush(struct peer *p)
{
    struct ms_span all = ms_buf_span(&p->out);

    if (!all.n)
        return;
    size_t part = server.any(3) ? all.n : 1 + server.any((unsigned)all.n);
    server.parts += part < all.n;
    ssize_t n = peer_write(p, all.p, part);
    if (n > 0)
        ms_buf_consume(&p->out, (size_t)n);
}

/* ---- HTTP/1 -------------------------------------------------------------- */

static void answer_h1(struct peer *p, const char *head)
{
    char text[128];
    size_t size = strtoul(strchr(head, '/') + 1, NULL, 10);
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);

    CHECK(!ms_buf_add(&p->out, text, (size_t)n));
    for (size_t i = 0; i < size; i++) {
        char byte = server_byte(i);
        CHECK(!ms_buf_add(&p->out, &byte, 1));
    }
    server.answered++;
}

/* Takes a head from what came; false while there is none. */
static bool take_head(struct peer *p)
{
    struct ms_span in = ms_buf_span(&p->in);
    const char *end = in.n ? memmem(in.p, in.n, "\r\n\r\n", 4) : NULL;
    char head[2048];
    const char *length;

    if (!end)
        return false;
    size_t n = (size_t)(end - in.p);
    CHECK(n < sizeof(head));
    memcpy(head, in.p, n);
    head[n] = '\0';
    length = strcasestr(head, "content-length: ");
    p->body_left = length ? strtol(length + 16, NULL, 10) : 0;
    p->last_id = (int32_t)strtol(strchr(head, '/') + 1, NULL, 10);
    ms_buf_consume(&p->in, n + 4);
    return true;
}

static void serve_h1(struct peer *p)
{
    char head[32];

    for (;;) {
        if (p->body_left < 0 && !take_head(p))
            return;
        size_t have = ms_buf_len(&p->in);
        size_t taken =
            have < (size_t)p->body_left ? have : (size_t)p->body_left;
        ms_buf_consume(&p->in, taken);
        p->body_left -= (int64_t)taken;
        if (p->body_left > 0)
            return;
        p->body_left = -1;
        snprintf(head, sizeof(head), "/%d", (int)p->last_id);
        answer_h1(p, head);
    }
}

/* ---- HTTP/2 -------------------------------------------------------------- */

static ssize_t give_reply(nghttp2_session *ng, int32_t id, uint8_t *to,
                          size_t cap, uint32_t *flags,
                          nghttp2_data_source *source, void *user)
{
    struct reply *r = source->ptr;
    size_t left = r->size - r->at, n = cap < left ? cap : left;

    (void)ng, (void)id, (void)user;
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)server_byte(r->at + i);
    r->at += n;
    if (r->at == r->size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static struct reply *reply_of(struct peer *p, int32_t id)
{
    return &p->replies[id / 2 % SERVER_REPLIES];
}

static int on_field(nghttp2_session *ng, const nghttp2_frame *f,
                    const uint8_t *name, size_t n, const uint8_t *value,
                    size_t m, uint8_t flags, void *user)
{
    (void)ng, (void)m, (void)flags;
    if (n == 5 && !memcmp(name, ":path", 5))
        *reply_of(user, f->hd.stream_id) =
            (struct reply){strtoul((const char *)value + 1, NULL, 10), 0};
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"200", 7, 3, 0};
    struct peer *p = user;
    int32_t id = f->hd.stream_id;

    if (f->hd.type > NGHTTP2_HEADERS ||
        !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    nghttp2_data_provider body = {.source.ptr = reply_of(p, id),
                                  .read_callback = give_reply};
    p->last_id = id;
    if (server.any(12) == 0) {
        server.resets++;
        nghttp2_submit_rst_stream(ng, 0, id,
                                  server.any(2) ? NGHTTP2_REFUSED_STREAM
                                                : NGHTTP2_INTERNAL_ERROR);
        return 0;
    }
    server.answered++;
    nghttp2_submit_response(ng, id, &status, 1, &body);
    return 0;
}

static void start_h2(struct peer *p)
{
    nghttp2_session_callbacks *cbs;
    nghttp2_settings_entry most = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
                                   1 + server.any(4)};

    CHECK(!nghttp2_session_callbacks_new(&cbs));
    nghttp2_session_callbacks_set_on_header_callback(cbs, on_field);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, on_frame);
    CHECK(!nghttp2_session_server_new(&p->ng, cbs, p));
    nghttp2_session_callbacks_del(cbs);
    CHECK(!nghttp2_submit_settings(p->ng, 0, &most, 1));
}

static void send_goaway(struct peer *p)
{
    if (p->leaving)
        return;
    p->leaving = true;
    server.goaways++;
    nghttp2_submit_goaway(p->ng, 0, p->last_id, NGHTTP2_NO_ERROR, NULL, 0);
}

static void gather_h2(struct peer *p)
{
    const uint8_t *from;
    ssize_t n;

    while ((n = nghttp2_session_mem_send(p->ng, &from)) > 0)
        CHECK(!ms_buf_add(&p->out, from, (size_t)n));
}

/* ---- a step -------------------------------------------------------------- */

static void server_accept(void)
{
    int on = 1;

    for (int i = 0; i < SERVER_PEERS; i++) {
        struct peer *p = &server.peers[i];
        if (p->fd >= 0)
            continue;
        for (int kind = 0; kind < SERVER_KINDS && p->fd < 0; kind++) {
            p->fd = accept4(server.listeners[kind], NULL, NULL,
                            SOCK_NONBLOCK | SOCK_CLOEXEC);
            p->kind = (enum server_kind)kind;
        }
        if (p->fd < 0)
            return;
        /* Answers in parts must not wait for acknowledgements. */
        setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        p->body_left = -1;
        if (is_h2(p))
            start_h2(p);
        if (!server.tls[p->kind])
            continue;
        p->ssl = SSL_new(server.tls[p->kind]);
        SSL_set_fd(p->ssl, p->fd);
        SSL_set_accept_state(p->ssl);
    }
}

/* The client ended in order, or not: so do we, or we just go. */
static void farewell(struct peer *p)
{
    if (p->ssl && SSL_get_shutdown(p->ssl) & SSL_RECEIVED_SHUTDOWN) {
        server.farewells++;
        SSL_shutdown(p->ssl);
    }
    drop_peer(p);
}

/* Reads what came, answers, sends something of it. */
static void server_serve(struct peer *p)
{
    char block[SERVER_READ];
    ssize_t n = peer_read(p, block, sizeof(block));

    if (n == PEER_GONE) {
        farewell(p);
        return;
    }
    if (n > 0 && is_h2(p) &&
        nghttp2_session_mem_recv(p->ng, (uint8_t *)block, (size_t)n) < 0) {
        drop_peer(p);
        return;
    }
    if (n > 0 && !is_h2(p))
        CHECK(!ms_buf_add(&p->in, block, (size_t)n));
    if (is_h2(p) && server.any(40) == 0)
        send_goaway(p);
    if (is_h2(p))
        gather_h2(p);
    else
        serve_h1(p);
    peer_flush(p);
}

#endif
