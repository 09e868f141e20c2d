/* SPDX-License-Identifier: MIT
 *
 * tls_peer_io.c - the scripted TLS server's reading and writing, and its
 * report: one Lua table a line, written before anything is done in return.
 */
#include "tls_peer.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

_Noreturn void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    ERR_print_errors_fp(stderr);
    exit(1);
}

void *grow(void *p, size_t size)
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
    fprintf(c->job->report, "{connection=%d,event=\"%s\"", c->id, event);
}

static void note_text(const struct conn *c, const char *key, const void *data,
                      size_t len)
{
    const unsigned char *p = data;

    fprintf(c->job->report, ",%s=\"", key);
    for (size_t i = 0; i < len; i++) {
        if (p[i] >= ' ' && p[i] < 127 && p[i] != '"' && p[i] != '\\')
            fputc(p[i], c->job->report);
        else
            fprintf(c->job->report, "\\%03d", p[i]);
    }
    fputc('"', c->job->report);
}

static void note_string(const struct conn *c, const char *key, const char *text)
{
    if (text)
        note_text(c, key, text, strlen(text));
}

static void note_end(const struct conn *c)
{
    fputs("}\n", c->job->report);
    fflush(c->job->report);
    pthread_mutex_unlock(&report_lock);
}

void note(const struct conn *c, const char *event)
{
    note_begin(c, event);
    note_end(c);
}

static void note_data(const struct conn *c, const char *event, const void *data,
                      size_t len)
{
    note_begin(c, event);
    if (!c->job->count_only)
        note_text(c, "data", data, len);
    fprintf(c->job->report, ",size=%zu", len);
    note_end(c);
}

/* Why an SSL_ call failed: an end of some kind, or an error. */
void note_failure(struct conn *c, int result)
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
    note_string(c, "name",
                code != 0             ? ERR_reason_error_string(code)
                : saved == ECONNRESET ? "ECONNRESET"
                                      : strerror(saved));
    note_end(c);
}

static void note_handshake(struct conn *c)
{
    const unsigned char *alpn;
    unsigned alpn_len;
    X509 *cert = SSL_get0_peer_certificate(c->ssl);
    char name[256];

    SSL_get0_alpn_selected(c->ssl, &alpn, &alpn_len);
    note_begin(c, "handshake");
    note_string(c, "version", SSL_get_version(c->ssl));
    note_string(c, "cipher", SSL_get_cipher_name(c->ssl));
    note_string(c, "sni",
                SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name));
    if (alpn)
        note_text(c, "alpn", alpn, alpn_len);
    if (cert &&
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
                                  name, sizeof(name)) > 0)
        note_string(c, "client", name);
    fprintf(c->job->report, ",resumed=%s",
            SSL_session_reused(c->ssl) ? "true" : "false");
    note_end(c);
}

/* ---- reading and writing ------------------------------------------------ */

void forget_errors(void)
{
    ERR_clear_error();
    errno = 0;
}

bool handshake(struct conn *c)
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

bool read_more(struct conn *c)
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

void take(struct conn *c, size_t n)
{
    memmove(c->input, c->input + n, c->len - n);
    c->len -= n;
}

bool write_all(struct conn *c, const void *data, size_t len, size_t piece)
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

bool write_raw(struct conn *c, const unsigned char *p, size_t len)
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

/* ---- requests ----------------------------------------------------------- */

/* Length of the head with its empty line, 0 while it is incomplete. */
static size_t head_length(const struct conn *c)
{
    const char *end =
        c->len >= 4 ? memmem(c->input, c->len, "\r\n\r\n", 4) : NULL;

    return end ? (size_t)(end - c->input) + 4 : 0;
}

/* The value of a field of the head, NULL when it is not there. */
static const char *field(const struct conn *c, size_t head, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i + n + 2 < head; i++)
        if (c->input[i] == '\n' && c->input[i + 1 + n] == ':' &&
            strncasecmp(c->input + i + 1, name, n) == 0)
            return c->input + i + n + 2;
    return NULL;
}

/* End of a chunked body that starts at `at`, 0 while it is incomplete.
 * Trailers are not for us: the body ends with an empty line. */
static size_t chunked_end(const struct conn *c, size_t at)
{
    for (;;) {
        const char *line = c->input + at;
        const char *end = memmem(line, c->len - at, "\r\n", 2);
        size_t size;

        if (!end)
            return 0;
        size = strtoul(line, NULL, 16);
        at = (size_t)(end - c->input) + 2 + size + 2;
        if (at > c->len)
            return 0;
        if (size == 0)
            return at;
    }
}

/* Length of the request the input starts with, 0 while it is incomplete. */
static size_t request_length(const struct conn *c)
{
    size_t head = head_length(c), length = 0;
    const char *value;

    if (head == 0)
        return 0;
    if (field(c, head, "transfer-encoding"))
        return chunked_end(c, head);
    value = field(c, head, "content-length");
    if (value)
        length = strtoul(value, NULL, 10);
    return c->len >= head + length ? head + length : 0;
}

static bool wait_for(struct conn *c, size_t (*measure)(const struct conn *))
{
    size_t n;

    while ((n = measure(c)) == 0)
        if (!read_more(c))
            return false;
    note_data(c, "request", c->input, n);
    take(c, n);
    return true;
}

bool take_request(struct conn *c)
{
    return wait_for(c, request_length);
}

bool take_head(struct conn *c)
{
    return wait_for(c, head_length);
}
