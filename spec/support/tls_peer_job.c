/* SPDX-License-Identifier: MIT
 *
 * tls_peer_job.c - the scripted TLS server's job, from the lines of its stdin:
 * "set KEY HEX", "script", and "step NAME NUMBER HEX" of the script before.
 */
#include "tls_peer.h"

#include <stdlib.h>
#include <string.h>

/* What only the callbacks of OpenSSL look at. */
static struct tls {
    unsigned char *alpn, *staple;
    size_t alpn_len, staple_len;
    bool alpn_force, alpn_strict;
    char *password, *key;
} tls;

static struct job job;

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *p = c ? strchr(digits, c) : NULL;

    return p ? (int)(p - digits) : -1;
}

/* Decodes hexadecimal digits up to the end of the line; adds a NUL. */
static unsigned char *decode_hex(const char *text, size_t *len)
{
    unsigned char *bytes = grow(NULL, strlen(text) / 2 + 1);
    size_t n = 0;

    for (; hex_digit(text[0]) >= 0 && hex_digit(text[1]) >= 0; text += 2)
        bytes[n++] =
            (unsigned char)(hex_digit(text[0]) * 16 + hex_digit(text[1]));
    bytes[n] = '\0';
    *len = n;
    return bytes;
}

static unsigned char *read_file(const char *path, size_t *len)
{
    unsigned char *bytes = NULL;
    FILE *f = fopen(path, "rb");

    if (!f)
        die("cannot read %s", path);
    *len = 0;
    do {
        bytes = grow(bytes, *len + READ_SIZE);
        *len += fread(bytes + *len, 1, READ_SIZE, f);
    } while (!feof(f) && !ferror(f));
    fclose(f);
    return bytes;
}

static void add_script(void)
{
    job.scripts =
        grow(job.scripts, (job.script_count + 1) * sizeof(*job.scripts));
    job.scripts[job.script_count++] = (struct script){NULL, 0};
}

/* "NAME NUMBER HEX", the last two of which may be missing. */
static void add_step(const char *line)
{
    struct script *script = &job.scripts[job.script_count - 1];
    size_t length = strcspn(line, " \n");
    struct step step = {0};
    char *rest;

    step.kind = find_step(line, length);
    if (!step.kind)
        die("unknown step %.*s", (int)length, line);
    step.number = strtol(line + length, &rest, 10);
    step.data = decode_hex(rest + strspn(rest, " "), &step.len);
    script->steps =
        grow(script->steps, (script->count + 1) * sizeof(*script->steps));
    script->steps[script->count++] = step;
}

static void check(int ok, const char *what)
{
    if (!ok)
        die("OpenSSL does not take this %s", what);
}

static int give_password(char *buf, int size, int writing, void *arg)
{
    (void)writing, (void)arg;
    return snprintf(buf, (size_t)size, "%s", tls.password ? tls.password : "");
}

static int choose_alpn(SSL *ssl, const unsigned char **out,
                       unsigned char *out_len, const unsigned char *offered,
                       unsigned offered_len, void *arg)
{
    unsigned char *chosen;

    (void)ssl, (void)arg;
    if (tls.alpn_force) { /* whatever was offered */
        *out = tls.alpn + 1;
        *out_len = tls.alpn[0];
        return SSL_TLSEXT_ERR_OK;
    }
    if (SSL_select_next_proto(&chosen, out_len, tls.alpn,
                              (unsigned)tls.alpn_len, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED)
        return tls.alpn_strict ? SSL_TLSEXT_ERR_ALERT_FATAL
                               : SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int give_staple(SSL *ssl, void *arg)
{
    unsigned char *copy = OPENSSL_memdup(tls.staple, tls.staple_len);

    (void)arg;
    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)tls.staple_len);
    return SSL_TLSEXT_ERR_OK;
}

static void trust_clients_of(const char *path)
{
    check(SSL_CTX_load_verify_locations(job.ctx, path, NULL), "client_ca");
    SSL_CTX_set_client_CA_list(job.ctx, SSL_load_client_CA_file(path));
    SSL_CTX_set_verify(job.ctx,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static void set_alpn(unsigned char *value, size_t len)
{
    tls.alpn = value;
    tls.alpn_len = len;
    SSL_CTX_set_alpn_select_cb(job.ctx, choose_alpn, NULL);
}

static void set_staple(const char *path)
{
    tls.staple = read_file(path, &tls.staple_len);
    SSL_CTX_set_tlsext_status_cb(job.ctx, give_staple);
}

static void set_tickets(long n)
{
    SSL_CTX_set_num_tickets(job.ctx, (size_t)n);
    if (n == 0) {
        SSL_CTX_set_options(job.ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(job.ctx, SSL_SESS_CACHE_OFF);
    }
}

/* Settings of the TLS context. False: there is none of that name. */
static bool set_tls(const char *key, unsigned char *value, size_t len)
{
    char *text = (char *)value;
    SSL_CTX *ctx = job.ctx;

    if (strcmp(key, "cert") == 0)
        check(SSL_CTX_use_certificate_chain_file(ctx, text), "certificate");
    else if (strcmp(key, "min") == 0)
        check((int)SSL_CTX_set_min_proto_version(ctx,
                                                 (int)strtol(text, NULL, 10)),
              key);
    else if (strcmp(key, "max") == 0)
        check((int)SSL_CTX_set_max_proto_version(ctx,
                                                 (int)strtol(text, NULL, 10)),
              key);
    else if (strcmp(key, "ciphers") == 0)
        check(SSL_CTX_set_cipher_list(ctx, text), key);
    else if (strcmp(key, "client_ca") == 0)
        trust_clients_of(text);
    else if (strcmp(key, "tickets") == 0)
        set_tickets(strtol(text, NULL, 10));
    else if (strcmp(key, "alpn") == 0)
        set_alpn(value, len);
    else if (strcmp(key, "staple") == 0)
        set_staple(text);
    else
        return false;
    return true;
}

static void set(const char *key, unsigned char *value, size_t len)
{
    char *text = (char *)value;

    if (strcmp(key, "report") == 0)
        job.report = fopen(text, "ab");
    else if (strcmp(key, "host") == 0)
        job.host = text;
    else if (strcmp(key, "port") == 0)
        job.port = text;
    else if (strcmp(key, "key") == 0)
        tls.key = text;
    else if (strcmp(key, "password") == 0)
        tls.password = text;
    else if (strcmp(key, "alpn_force") == 0)
        tls.alpn_force = true;
    else if (strcmp(key, "alpn_strict") == 0)
        tls.alpn_strict = true;
    else if (strcmp(key, "count_only") == 0)
        job.count_only = true;
    else if (!set_tls(key, value, len))
        die("unknown setting %s", key);
}

static void read_line(char *line)
{
    if (strncmp(line, "script", 6) == 0) {
        add_script();
    } else if (strncmp(line, "step ", 5) == 0) {
        add_step(line + 5);
    } else if (strncmp(line, "set ", 4) == 0) {
        char *key = line + 4, *end = key + strcspn(key, " \n");
        size_t len;
        unsigned char *value = decode_hex(*end == ' ' ? end + 1 : "", &len);

        *end = '\0';
        set(key, value, len);
    }
}

static void make_context(void)
{
    static const unsigned char name[] = "spec";

    job.ctx = SSL_CTX_new(TLS_server_method());
    if (!job.ctx)
        die("no context");
    check((int)SSL_CTX_set_min_proto_version(job.ctx, 0), "version");
    /* who asks for client certificates must name the sessions */
    SSL_CTX_set_session_id_context(job.ctx, name, sizeof(name));
}

static void load_key(void)
{
    SSL_CTX_set_default_passwd_cb(job.ctx, give_password);
    check(SSL_CTX_use_PrivateKey_file(job.ctx, tls.key, SSL_FILETYPE_PEM),
          "key");
}

const struct job *read_job(void)
{
    char *line = NULL;
    size_t size = 0;

    make_context();
    while (getline(&line, &size, stdin) > 0)
        read_line(line);
    free(line);
    if (!job.report || !tls.key || job.script_count == 0)
        die("the job is incomplete");
    load_key();
    return &job;
}
