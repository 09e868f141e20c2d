/* SPDX-License-Identifier: MIT
 *
 * tls_peer.c - the process behind spec/support/tls_peer.lua: a TLS server that
 * plays a list of steps per connection. It reads its job from stdin, a word
 * and its arguments a line, prints its port, and writes its report, one Lua
 * table a line. Every connection has a thread of its own, so that a step may
 * simply block. It lives for one spec: what is allocated for the job is never
 * freed, and it exits when memory is short.
 */
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_SIZE = 16384, /* a TLS record */
    BACKLOG = 4096,    /* specs connect by the hundred */
};

struct conn;
struct step;

/* False: the connection is over. */
typedef bool step_fn(struct conn *c, const struct step *s);

struct step_kind {
    const char *name;
    step_fn *run;
    bool before_tls; /* does not need a handshake, and does not make one */
};

struct step {
    const struct step_kind *kind;
    unsigned char *data;
    size_t len;
    long number;
};

struct script {
    struct step *steps;
    size_t count;
};

static struct job {
    struct script *scripts;
    size_t script_count;
    SSL_CTX *ctx;
    FILE *report;
    char *host, *port, *key, *password;
    unsigned char *alpn, *staple;
    size_t alpn_len, staple_len;
    bool alpn_force, alpn_strict, count_only;
} job;

struct conn {
    int id, fd;
    SSL *ssl;
    bool secure; /* the handshake is done */
    bool ended;  /* nothing more comes from the client, and why is reported */
    int renegotiations;
    size_t at;
    long rounds;
    char *input; /* what was read and no step has taken */
    size_t len, size;
};

static void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void *grow(void *p, size_t size)
{
    p = realloc(p, size > 0 ? size : 1);
    if (!p)
        die("out of memory");
    return p;
}

/* ---- report ------------------------------------------------------------- */

static pthread_mutex_t report_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_begin(const struct conn *c, const char *event)
{
    pthread_mutex_lock(&report_lock);
    fprintf(job.report, "{connection=%d,event=\"%s\"", c->id, event);
}

static void note_text(const char *key, const void *data, size_t len)
{
    const unsigned char *p = data;

    fprintf(job.report, ",%s=\"", key);
    for (size_t i = 0; i < len; i++) {
        if (p[i] >= ' ' && p[i] < 127 && p[i] != '"' && p[i] != '\\')
            fputc(p[i], job.report);
        else
            fprintf(job.report, "\\%03d", p[i]);
    }
    fputc('"', job.report);
}

static void note_string(const char *key, const char *text)
{
    if (text)
        note_text(key, text, strlen(text));
}

static void note_end(void)
{
    fputs("}\n", job.report);
    fflush(job.report);
    pthread_mutex_unlock(&report_lock);
}

static void note(const struct conn *c, const char *event)
{
    note_begin(c, event);
    note_end();
}

static void note_data(const struct conn *c, const char *event, const void *data,
                      size_t len)
{
    note_begin(c, event);
    if (!job.count_only)
        note_text("data", data, len);
    fprintf(job.report, ",size=%zu", len);
    note_end();
}

/* Why an SSL_ call failed: an end of some kind, or an error. */
static void note_failure(struct conn *c, int result)
{
    int saved = errno, kind = SSL_get_error(c->ssl, result);
    unsigned long code = ERR_peek_last_error();

    c->ended = true;
    if (kind == SSL_ERROR_ZERO_RETURN) {
        note(c, "close_notify");
        return;
    }
    if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
        (code == 0 && saved == 0)) {
        note(c, "eof");
        return;
    }
    note_begin(c, "error");
    note_string("name", code != 0              ? ERR_reason_error_string(code)
                        : saved == ECONNRESET ? "ECONNRESET"
                                              : strerror(saved));
    note_end();
}

static void note_handshake(struct conn *c)
{
    const unsigned char *alpn;
    unsigned alpn_len;
    X509 *cert = SSL_get0_peer_certificate(c->ssl);
    char name[256];

    SSL_get0_alpn_selected(c->ssl, &alpn, &alpn_len);
    note_begin(c, "handshake");
    note_string("version", SSL_get_version(c->ssl));
    note_string("cipher", SSL_get_cipher_name(c->ssl));
    note_string("sni", SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name));
    if (alpn)
        note_text("alpn", alpn, alpn_len);
    if (cert && X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
                                          NID_commonName, name,
                                          sizeof(name)) > 0)
        note_string("client", name);
    fprintf(job.report, ",resumed=%s",
            SSL_session_reused(c->ssl) ? "true" : "false");
    note_end();
}

/* ---- reading and writing ------------------------------------------------ */

static void forget_errors(void)
{
    ERR_clear_error();
    errno = 0;
}

static bool handshake(struct conn *c)
{
    int result;

    if (c->secure)
        return true;
    forget_errors();
    result = SSL_accept(c->ssl);
    if (result != 1) {
        note_failure(c, result);
        return false;
    }
    c->secure = true;
    note_handshake(c);
    return true;
}

/* Reads once, adds it to the input and reports it; false at the end. */
static bool read_more(struct conn *c)
{
    int n;

    if (c->ended)
        return false;
    if (c->size - c->len < READ_SIZE) {
        c->size = c->size * 2 + READ_SIZE;
        c->input = grow(c->input, c->size);
    }
    forget_errors();
    n = SSL_read(c->ssl, c->input + c->len, READ_SIZE);
    if (SSL_num_renegotiations(c->ssl) > c->renegotiations) {
        c->renegotiations++;
        note(c, "renegotiated");
    }
    if (n <= 0) {
        note_failure(c, n);
        return false;
    }
    note_data(c, "data", c->input + c->len, (size_t)n);
    c->len += (size_t)n;
    return true;
}

static void take(struct conn *c, size_t n)
{
    memmove(c->input, c->input + n, c->len - n);
    c->len -= n;
}

/* In records of at most `piece` bytes, 0 for as large as they get. */
static bool write_all(struct conn *c, const void *data, size_t len,
                      size_t piece)
{
    const char *p = data;

    while (len > 0) {
        size_t n = piece > 0 && piece < len ? piece : len, written;

        forget_errors();
        if (SSL_write_ex(c->ssl, p, n, &written) != 1) {
            note_failure(c, 0);
            return false;
        }
        p += written;
        len -= written;
    }
    return true;
}

static bool write_raw(struct conn *c, const unsigned char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(c->fd, p, len);

        if (n < 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}
