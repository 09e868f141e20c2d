/* SPDX-License-Identifier: MIT
 *
 * TLS as bytes in and bytes out, against OpenSSL's own server side in memory:
 * whole and byte by byte, cut short, with each allocation failing in turn; and
 * the values it is asked with: profiles, sessions.
 */
#include "proto/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "unit.h"

/* ---- a server ------------------------------------------------------------ */

static struct {
    X509 *cert;
    EVP_PKEY *key;
    char file[32]; /* the certificate, in PEM */
} identity;

static void remove_file(void)
{
    unlink(identity.file);
    X509_free(identity.cert);
    EVP_PKEY_free(identity.key);
}

static void add_names(X509 *cert)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
                                            "DNS:localhost,IP:127.0.0.1");

    CHECK(e && X509_add_ext(cert, e, -1));
    X509_EXTENSION_free(e);
}

static void sign(X509 *cert, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(cert);

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)"unit", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    add_names(cert);
    CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
}

/* Made once: a key takes its time. */
static void need_identity(void)
{
    if (identity.cert)
        return;
    identity.key = EVP_EC_gen("P-256");
    identity.cert = X509_new();
    sign(identity.cert, identity.key);
    snprintf(identity.file, sizeof(identity.file), "/tmp/test_tls.XXXXXX");
    FILE *f = fdopen(mkstemp(identity.file), "w");
    CHECK(f && PEM_write_X509(f, identity.cert));
    fclose(f);
    atexit(remove_file);
}

static SSL_CTX *new_server(int version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    need_identity();
    SSL_CTX_set_max_proto_version(ctx, version);
    CHECK(SSL_CTX_use_certificate(ctx, identity.cert) &&
          SSL_CTX_use_PrivateKey(ctx, identity.key));
    return ctx;
}

/* ---- a world ------------------------------------------------------------- */

static struct world {
    SSL_CTX *server_ctx;
    SSL *server;
    BIO *to_server, *from_server; /* the server's */
    struct ms_tls_env *env;
    struct ms_tls_ctx *ctx;
    struct ms_tls *tls;
    struct ms_tls_cache cache;
    ms_err err; /* why a step of the client's failed */
} w;

static void begin_world(int version)
{
    w = (struct world){.server_ctx = new_server(version)};
}

/* The client's share; false: w.err. */
static bool prepare_client(void)
{
    struct ms_tls_settings s;
    struct ms_tls_profile *profile = NULL;
    const char *why = NULL;

    ms_tls_settings_init(&s);
    w.err = w.env ? MS_OK : ms_tls_env_new(&w.env);
    if (!w.err)
        w.err = ms_buf_add(&s.text[MS_TLS_CA_FILE], identity.file,
                           strlen(identity.file));
    if (!w.err)
        w.err = ms_tls_profile_new(&profile, &s, &why);
    if (!w.err)
        w.err = ms_tls_ctx_get(w.env, profile, "http/1.1", &w.ctx, &why);
    ms_tls_profile_free(profile);
    ms_tls_settings_free(&s);
    return !w.err;
}

/* A connection of the two. */
static bool meet(const char *host)
{
    struct ms_tls_peer peer = {ms_span_text(host), &w.cache};

    w.server = SSL_new(w.server_ctx);
    w.to_server = BIO_new(BIO_s_mem());
    w.from_server = BIO_new(BIO_s_mem());
    SSL_set_bio(w.server, w.to_server, w.from_server);
    SSL_set_accept_state(w.server);
    if (!w.ctx && !prepare_client())
        return false;
    w.err = ms_tls_new(&w.tls, w.ctx, &peer);
    return !w.err;
}

static void part(void)
{
    ms_tls_free(w.tls);
    SSL_free(w.server);
    w.tls = NULL;
    w.server = NULL;
    if (w.env)
        ms_buf_clear(&w.env->out);
}

static void end_world(void)
{
    part();
    ms_tls_ctx_put(w.ctx);
    ms_tls_cache_clear(&w.cache);
    ms_tls_env_free(w.env);
    SSL_CTX_free(w.server_ctx);
}

/* ---- bytes --------------------------------------------------------------- */

/* What the client put out reaches the server. */
static void deliver(void)
{
    struct ms_span out = ms_buf_span(&w.env->out);

    if (out.n)
        CHECK(BIO_write(w.to_server, out.p, (int)out.n) == (int)out.n);
    ms_buf_clear(&w.env->out);
}

/* Lends the client at most `step` bytes of the server's. */
static size_t lend(char *buf, size_t step)
{
    int n = BIO_read(w.from_server, buf, (int)step);

    w.env->in = ms_span(buf, n > 0 ? (size_t)n : 0);
    return w.env->in.n;
}

/* Both sides go on until the client is through or has failed. */
static enum ms_tls_what shake(size_t step)
{
    static char buf[64 * 1024];
    enum ms_tls_what what = ms_tls_handshake(w.tls);

    while (what == MS_TLS_AGAIN) {
        CHECK(w.env->in.n == 0);
        deliver();
        SSL_do_handshake(w.server);
        ERR_clear_error();
        while (what == MS_TLS_AGAIN && lend(buf, step))
            what = ms_tls_handshake(w.tls);
    }
    return what;
}

/* The server ends the handshake, too. */
static void settle(void)
{
    deliver();
    CHECK(SSL_do_handshake(w.server) == 1);
}

static void say(const char *text)
{
    CHECK(SSL_write(w.server, text, (int)strlen(text)) == (int)strlen(text));
}

/* Reads all that is there, `step` bytes at a time; `to` gets a NUL. */
static enum ms_tls_what listen_to(char *to, size_t step)
{
    static char buf[64 * 1024], plain[64 * 1024 + MS_TLS_RECORD];
    enum ms_tls_what what = MS_TLS_AGAIN;

    *to = '\0';
    while (what == MS_TLS_AGAIN && lend(buf, step)) {
        size_t n;
        what = ms_tls_read(w.tls, plain, sizeof(plain), &n);
        CHECK(what != MS_TLS_AGAIN || w.env->in.n == 0);
        strncat(to, plain, n);
    }
    return what;
}

static bool hears(const char *text)
{
    char buf[256];
    int n = SSL_read(w.server, buf, sizeof(buf));

    return n == (int)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
static const size_t steps[] = {1, 2, 5, 100, 65536};

static void talk(size_t step)
{
    char text[256];

    CHECK(meet("localhost"));
    CHECK(shake(step) == MS_TLS_DONE);
    settle();
    CHECK(ms_tls_write(w.tls, MS_SPAN("a question")) == MS_TLS_DONE);
    deliver();
    CHECK(hears("a question"));
    say("an ");
    say("answer");
    CHECK(listen_to(text, step) == MS_TLS_AGAIN);
    CHECK(strcmp(text, "an answer") == 0);
}

TEST(a_conversation_is_the_same_however_it_is_cut)
{
    for (size_t v = 0; v < 2; v++)
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            begin_world(versions[v]);
            talk(steps[i]);
            end_world();
        }
}

TEST(info_says_what_was_agreed_on)
{
    char text[256];

    begin_world(TLS1_3_VERSION);
    talk(100);
    struct ms_tls_info *info = ms_tls_info(w.tls);
    end_world(); /* it outlives the connection */
    CHECK(ms_tls_info_verified(info) && !ms_tls_info_resumed(info));
    CHECK(ms_tls_info_text(info, MS_TLS_VERSION, text, sizeof(text)) == 7);
    CHECK(strcmp(text, "TLSv1.3") == 0);
    CHECK(ms_tls_info_text(info, MS_TLS_SUBJECT, text, sizeof(text)) == 7);
    CHECK(strcmp(text, "CN=unit") == 0);
    CHECK(ms_tls_info_text(info, MS_TLS_NAMES, text, 5) == 20);
    CHECK(strcmp(text, "loca") == 0);
    ms_tls_info_free(info);
}

TEST(bytes_behind_the_handshake_wait_for_the_first_read)
{
    static char buf[64 * 1024];
    char text[64];
    size_t n;

    begin_world(TLS1_2_VERSION);
    CHECK(meet("127.0.0.1"));
    CHECK(ms_tls_handshake(w.tls) == MS_TLS_AGAIN);
    deliver();
    SSL_do_handshake(w.server);
    CHECK(lend(buf, sizeof(buf)) && ms_tls_handshake(w.tls) == MS_TLS_AGAIN);
    settle();
    say("early");
    CHECK(lend(buf, sizeof(buf)) && ms_tls_handshake(w.tls) == MS_TLS_DONE);
    CHECK(w.env->in.n > 5);
    CHECK(ms_tls_read(w.tls, text, sizeof(text), &n) == MS_TLS_AGAIN);
    CHECK(n == 5 && memcmp(text, "early", 5) == 0 && w.env->in.n == 0);
    end_world();
}
