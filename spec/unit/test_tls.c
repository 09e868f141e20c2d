/* SPDX-License-Identifier: MIT
 *
 * TLS as bytes in and bytes out, against OpenSSL's own server side in memory:
 * whole and byte by byte, cut short, with each allocation failing in turn; and
 * the values it is asked with.
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
static bool prepare_client(const char *pins)
{
    struct ms_tls_settings s;
    struct ms_tls_profile *profile = NULL;
    const char *why = NULL;

    ms_tls_settings_init(&s);
    w.err = w.env ? MS_OK : ms_tls_env_new(&w.env);
    if (!w.err)
        w.err = ms_buf_add(&s.text[MS_TLS_CA_FILE], identity.file,
                           strlen(identity.file));
    if (!w.err && pins)
        w.err = ms_buf_add(&s.text[MS_TLS_PINS], pins, strlen(pins));
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
    if (!w.ctx && !prepare_client(NULL))
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

/* ---- ends ---------------------------------------------------------------- */

TEST(an_end_in_order_is_told_in_both_directions)
{
    char text[64];

    for (size_t v = 0; v < 2; v++) {
        begin_world(versions[v]);
        talk(65536);
        say("bye");
        SSL_shutdown(w.server);
        CHECK(listen_to(text, 3) == MS_TLS_CLOSED);
        CHECK(strcmp(text, "bye") == 0);
        ms_tls_close(w.tls);
        CHECK(ms_buf_len(&w.env->out) > 0);
        deliver();
        CHECK(!hears("x"));
        CHECK(SSL_get_shutdown(w.server) & SSL_RECEIVED_SHUTDOWN);
        end_world();
    }
}

TEST(what_is_cut_short_is_no_end)
{
    static char buf[64 * 1024];
    char text[64];
    size_t n;

    begin_world(TLS1_3_VERSION);
    talk(65536);
    say("half");
    CHECK(lend(buf, sizeof(buf)) > 5);
    w.env->in.n--;
    CHECK(ms_tls_read(w.tls, text, sizeof(text), &n) == MS_TLS_AGAIN);
    CHECK(n == 0);
    CHECK(ms_tls_read(w.tls, text, sizeof(text), &n) == MS_TLS_AGAIN);
    end_world();
}

/* Turns a bit over in what the server says next. */
static enum ms_tls_what read_changed(size_t at, size_t *n)
{
    static char buf[64 * 1024];
    char text[64];

    say("changed");
    CHECK(lend(buf, sizeof(buf)) > at);
    buf[at] = (char)(buf[at] ^ 1);
    return ms_tls_read(w.tls, text, sizeof(text), n);
}

TEST(a_changed_byte_fails_and_says_why)
{
    for (size_t v = 0; v < 2; v++) {
        const char *text, *reason;
        size_t n;
        begin_world(versions[v]);
        talk(65536);
        CHECK(read_changed(9, &n) == MS_TLS_FAILED && n == 0);
        CHECK(ms_tls_error(w.tls, &text, &reason) == MS_ETLS);
        CHECK(text && strstr(text, "localhost") && reason);
        CHECK(ERR_peek_error() == 0);
        CHECK(ms_buf_len(&w.env->out) > 0); /* an alert */
        CHECK(ms_tls_write(w.tls, MS_SPAN("x")) == MS_TLS_FAILED);
        end_world();
    }
}

TEST(errors_of_others_on_the_same_thread_are_not_ours)
{
    char text[64];

    begin_world(TLS1_3_VERSION);
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_EXTENSION);
    CHECK(meet("localhost"));
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_EXTENSION);
    CHECK(shake(100) == MS_TLS_DONE);
    settle();
    say("fine");
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_EXTENSION);
    CHECK(listen_to(text, 100) == MS_TLS_AGAIN && strcmp(text, "fine") == 0);
    say("cut"); /* asks the library what it waits for */
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_EXTENSION);
    CHECK(listen_to(text, 10) == MS_TLS_AGAIN && strcmp(text, "cut") == 0);
    ERR_clear_error();
    end_world();
}

static void refuses(const char *host, ms_err err, const char *words)
{
    const char *text, *reason;

    begin_world(TLS1_3_VERSION);
    CHECK(meet(host));
    CHECK(shake(100) == MS_TLS_FAILED);
    CHECK(ms_tls_error(w.tls, &text, &reason) == err);
    CHECK_THAT(text && strstr(text, words), "%s", text ? text : "no text");
    CHECK(reason);
    end_world();
}

TEST(another_name_is_refused)
{
    refuses("other.test", MS_ECERTHOST, "localhost, 127.0.0.1");
    refuses("127.0.0.2", MS_ECERTHOST, "127.0.0.2");
    refuses("[::1]", MS_ECERTHOST, "certificate of ::1");
}

TEST(names_that_cannot_be_are_no_option)
{
    char longest[300];

    memset(longest, 'a', sizeof(longest));
    begin_world(TLS1_3_VERSION);
    CHECK(meet("localhost."));
    part();
    CHECK(!meet("") && w.err == MS_EOPTION);
    struct ms_tls_peer peer = {ms_span(longest, sizeof(longest)), NULL};
    CHECK(ms_tls_new(&w.tls, w.ctx, &peer) == MS_EOPTION);
    w.tls = NULL;
    end_world();
}

/* ---- out of memory ------------------------------------------------------- */

static bool out_of_memory(void)
{
    const char *text, *reason;

    CHECK(ms_tls_error(w.tls, &text, &reason) == MS_ENOMEM);
    return false;
}

/* All that one connection does; false: it ran out of memory, and said so. */
static bool live(void)
{
    static char buf[64 * 1024];
    char text[64];
    size_t n;

    if (!meet("localhost")) {
        CHECK(w.err == MS_ENOMEM);
        return false;
    }
    if (shake(65536) != MS_TLS_DONE)
        return out_of_memory();
    settle();
    struct ms_tls_info *info = ms_tls_info(w.tls);
    if (!info)
        return false;
    ms_tls_info_free(info);
    if (ms_tls_write(w.tls, MS_SPAN("question")) != MS_TLS_DONE)
        return out_of_memory();
    deliver();
    CHECK(hears("question"));
    say("answer");
    CHECK(lend(buf, sizeof(buf)));
    CHECK(ms_tls_read(w.tls, text, sizeof(text), &n) == MS_TLS_AGAIN);
    CHECK(n == 6 && memcmp(text, "answer", 6) == 0);
    ms_tls_close(w.tls);
    return true;
}

/* A ticket that finds no memory is one less, and that is all. */
TEST(every_allocation_may_fail)
{
    for (size_t v = 0; v < 2; v++) {
        long asked = 1;
        for (long nth = 1; nth <= asked; nth++) {
            begin_world(versions[v]);
            ms_mem_fail(nth, 1);
            bool lived = live();
            asked = lived ? ms_mem_count() : nth + 1;
            ms_mem_fail(0, 0);
            CHECK_THAT(lived || !w.tls || nth > 1, "at %ld", nth);
            part();
            CHECK_THAT(live(), "after %ld", nth); /* nothing is the worse */
            end_world();
        }
        CHECK(asked > 10);
    }
}

TEST(a_refusal_without_memory_for_its_words_is_out_of_memory)
{
    begin_world(TLS1_3_VERSION);
    CHECK(meet("other.test"));
    CHECK(ms_tls_handshake(w.tls) == MS_TLS_AGAIN);
    deliver();
    SSL_do_handshake(w.server);
    static char buf[64 * 1024];
    CHECK(lend(buf, sizeof(buf)));
    ms_mem_fail(1, 1000);
    CHECK(ms_tls_handshake(w.tls) == MS_TLS_FAILED);
    ms_mem_fail(0, 0);
    CHECK(!out_of_memory());
    end_world();
}

/* ---- profiles ------------------------------------------------------------ */

static const char *const good[MS_TLS_TEXTS] = {
    [MS_TLS_MIN] = "1.1",
    [MS_TLS_MAX] = "1.3",
    [MS_TLS_STAPLE] = "require",
    [MS_TLS_PINS] = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
};

static void set(struct ms_tls_settings *s, unsigned which, const char *text)
{
    ms_buf_clear(&s->text[which]);
    CHECK(!ms_buf_reserve(&s->text[which], strlen(text) + 1));
    ms_buf_put(&s->text[which], ms_span_text(text));
}

/* The profile of one setting; NULL: of the defaults. */
static struct ms_tls_profile *profile_of(unsigned which, const char *text)
{
    struct ms_tls_settings s;
    struct ms_tls_profile *p;
    const char *why = NULL;

    ms_tls_settings_init(&s);
    if (which < MS_TLS_TEXTS)
        set(&s, which, text);
    else if (which < MS_TLS_TEXTS + MS_TLS_FLAGS)
        s.flag[which - MS_TLS_TEXTS] = false;
    CHECK_THAT(!ms_tls_profile_new(&p, &s, &why), "%s", why);
    ms_tls_settings_free(&s);
    return p;
}

#define KINDS (MS_TLS_TEXTS + MS_TLS_FLAGS + 1)

static struct ms_tls_profile *kind(unsigned i)
{
    return profile_of(i, i < MS_TLS_TEXTS && good[i] ? good[i] : "x");
}

/* Two are the same exactly when the same was asked for. */
TEST(each_setting_makes_another_profile)
{
    for (unsigned i = 0; i < KINDS; i++)
        for (unsigned k = 0; k < KINDS; k++) {
            struct ms_tls_profile *a = kind(i), *b = kind(k);
            CHECK_THAT(ms_tls_profile_same(a, b) == (i == k), "%u %u", i, k);
            CHECK(i != k || ms_tls_profile_hash(a) == ms_tls_profile_hash(b));
            ms_tls_profile_free(a);
            ms_tls_profile_free(b);
        }
}

TEST(a_text_does_not_run_into_the_next)
{
    struct ms_tls_settings s;
    struct ms_tls_profile *a, *b;
    const char *why;

    ms_tls_settings_init(&s);
    set(&s, MS_TLS_CA_FILE, "ab");
    set(&s, MS_TLS_CA_PATH, "");
    CHECK(!ms_tls_profile_new(&a, &s, &why));
    CHECK(strcmp(ms_tls_profile_text(a, MS_TLS_CA_FILE), "ab") == 0);
    CHECK(strcmp(ms_tls_profile_text(a, MS_TLS_CA_PATH), "") == 0);
    CHECK(!ms_tls_profile_text(a, MS_TLS_CRL_FILE));
    ms_tls_settings_free(&s);
    ms_tls_settings_init(&s);
    set(&s, MS_TLS_CA_PATH, "");
    set(&s, MS_TLS_CRL_FILE, "ab");
    CHECK(!ms_tls_profile_new(&b, &s, &why));
    CHECK(!ms_tls_profile_same(a, b));
    ms_tls_settings_free(&s);
    ms_tls_profile_free(a);
    ms_tls_profile_free(b);
}

TEST(a_copy_of_settings_is_the_same)
{
    for (unsigned i = 0; i < MS_TLS_TEXTS; i++) {
        struct ms_tls_settings a, b;
        struct ms_tls_profile *p, *q;
        const char *why;
        ms_tls_settings_init(&a);
        ms_tls_settings_init(&b);
        set(&a, i, good[i] ? good[i] : "x");
        a.flag[MS_TLS_VERIFY_HOST] = false;
        CHECK(!ms_tls_settings_copy(&b, &a));
        CHECK(!ms_tls_profile_new(&p, &a, &why));
        CHECK(!ms_tls_profile_new(&q, &b, &why));
        CHECK(ms_tls_profile_same(p, q));
        CHECK(!ms_tls_profile_flag(q, MS_TLS_VERIFY_HOST));
        CHECK(ms_tls_profile_flag(q, MS_TLS_VERIFY));
        ms_tls_profile_free(p);
        ms_tls_profile_free(q);
        ms_tls_settings_free(&a);
        ms_tls_settings_free(&b);
    }
}

TEST(bad_settings_say_what_is_wrong)
{
    static const struct {
        unsigned which;
        const char *text, *words;
    } rows[] = {
        {MS_TLS_MIN, "1.4", "min_version"},
        {MS_TLS_MAX, "1.22", "max_version"},
        {MS_TLS_PINS, "sha256//x", "pinned_public_key"},
        {MS_TLS_ALPN, "a,,b", "alpn"},
        {MS_TLS_STAPLE, "", "staple"},
        {MS_TLS_SERVER_NAME, "", "server_name"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ms_tls_settings s;
        struct ms_tls_profile *p;
        const char *why = NULL;
        ms_tls_settings_init(&s);
        set(&s, rows[i].which, rows[i].text);
        CHECK(ms_tls_profile_new(&p, &s, &why) == MS_EOPTION && !p);
        CHECK_THAT(why && strstr(why, rows[i].words), "%s", why);
        ms_tls_settings_free(&s);
    }
}

/* ---- what connections have from each other -------------------------------
 */

TEST(sessions_are_resumed)
{
    for (size_t v = 0; v < 2; v++) {
        begin_world(versions[v]);
        for (int i = 0; i < 3; i++) {
            talk(100);
            struct ms_tls_info *info = ms_tls_info(w.tls);
            CHECK(ms_tls_info_resumed(info) == (i > 0));
            CHECK(ms_tls_info_verified(info));
            ms_tls_info_free(info);
            part();
        }
        CHECK(w.cache.count > 0);
        end_world();
    }
}

/* The engine resumes under the same settings only. Were it not so, pins would
 * hold all the same. */
TEST(pins_are_for_resumed_sessions_too)
{
    const char *text, *reason;

    for (size_t v = 0; v < 2; v++) {
        begin_world(versions[v]);
        talk(100);
        part();
        ms_tls_ctx_put(w.ctx);
        CHECK(prepare_client(
            "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
        CHECK(meet("localhost"));
        CHECK(shake(100) == MS_TLS_FAILED);
        CHECK(ms_tls_error(w.tls, &text, &reason) == MS_ECERTPIN);
        struct ms_tls_info *info = ms_tls_info(w.tls);
        CHECK(ms_tls_info_resumed(info));
        ms_tls_info_free(info);
        end_world();
    }
}

/* Sessions aside: each handshake is a full one. */
TEST(connections_share_the_certificate)
{
    for (size_t v = 0; v < 2; v++) {
        struct ms_tls_info *first = NULL, *then;
        begin_world(versions[v]);
        talk(100);
        first = ms_tls_info(w.tls);
        part();
        while (w.cache.count)
            SSL_SESSION_free(w.cache.list[--w.cache.count]);
        talk(100);
        then = ms_tls_info(w.tls);
        CHECK(!ms_tls_info_resumed(then) && ms_tls_info_verified(then));
        CHECK(first->cert == then->cert);
        ms_tls_info_free(first);
        ms_tls_info_free(then);
        end_world();
    }
}

TEST(a_connection_may_outlive_its_cache)
{
    begin_world(TLS1_3_VERSION);
    CHECK(meet("localhost"));
    CHECK(shake(100) == MS_TLS_DONE);
    ms_tls_forget_cache(w.tls);
    settle(); /* sends tickets */
    char text[16];
    CHECK(listen_to(text, 100) == MS_TLS_AGAIN);
    CHECK(w.cache.count == 0);
    end_world();
}

/* ---- contexts ------------------------------------------------------------ */

TEST(contexts_are_shared_by_those_who_ask_for_the_same)
{
    struct ms_tls_env *env;
    struct ms_tls_ctx *a, *b, *c, *d;
    struct ms_tls_profile *p = profile_of(MS_TLS_CIPHERS, "ALL");
    const char *why;

    CHECK(!ms_tls_env_new(&env));
    CHECK(!ms_tls_ctx_get(env, NULL, "h2", &a, &why));
    CHECK(!ms_tls_ctx_get(env, NULL, "h2", &b, &why));
    CHECK(!ms_tls_ctx_get(env, NULL, "http/1.1", &c, &why));
    CHECK(!ms_tls_ctx_get(env, p, "h2", &d, &why));
    CHECK(a == b && a != c && a != d && c != d);
    ms_tls_ctx_put(a);
    ms_tls_ctx_put(b);
    CHECK(!ms_tls_ctx_get(env, NULL, "h2", &b, &why));
    CHECK(a == b); /* kept a while */
    ms_tls_ctx_put(b);
    ms_tls_ctx_put(c);
    ms_tls_ctx_put(d);
    ms_tls_profile_free(p);
    ms_tls_env_free(env);
}
