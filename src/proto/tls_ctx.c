/* SPDX-License-Identifier: MIT */
#include "proto/tls_ctx.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "proto/tls_trust.h"

/* Contexts that nobody uses are kept for the next connection, so many. */
#define MAX_UNUSED 64

/* What Debian asks for, whatever the machine's openssl.cnf says: no keys
 * below 112 bits of strength. */
#define SECURITY_LEVEL 2

/* ---- bytes in and out -----------------------------------------------------
 */

static int bio_write(BIO *b, const char *p, size_t n, size_t *written)
{
    struct ms_tls_env *env = BIO_get_data(b);

    env->full = ms_buf_add(&env->out, p, n) != MS_OK;
    if (env->full)
        return 0;
    *written = n;
    return 1;
}

static int bio_read(BIO *b, char *p, size_t cap, size_t *n)
{
    struct ms_tls_env *env = BIO_get_data(b);

    BIO_clear_retry_flags(b);
    if (!env->in.n) {
        BIO_set_retry_read(b);
        return 0;
    }
    *n = env->in.n < cap ? env->in.n : cap;
    memcpy(p, env->in.p, *n);
    env->in = ms_span(env->in.p + *n, env->in.n - *n);
    return 1;
}

static long bio_ctrl(BIO *b, int what, long number, void *p)
{
    (void)b;
    (void)number;
    (void)p;
    return what == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

static BIO_METHOD *new_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "multisocket");

    if (!m)
        return NULL;
    BIO_meth_set_write_ex(m, bio_write);
    BIO_meth_set_read_ex(m, bio_read);
    BIO_meth_set_ctrl(m, bio_ctrl);
    BIO_meth_set_create(m, bio_create);
    return m;
}

ms_err ms_tls_env_new(struct ms_tls_env **out)
{
    struct ms_tls_env *env = ms_zalloc(sizeof(*env));

    if (!env)
        return MS_ENOMEM;
    env->method = new_method();
    if (!env->method) {
        ms_free(env);
        return MS_ENOMEM;
    }
    ms_trust_hold();
    *out = env;
    return MS_OK;
}

static void free_ctx(struct ms_tls_ctx *ctx)
{
    ms_map_remove(&ctx->env->ctxs, &ctx->node);
    SSL_CTX_free(ctx->ssl);
    ms_tls_profile_free(ctx->profile);
    if (ctx->keys)
        fclose(ctx->keys);
    ms_free(ctx);
}

static void free_unused(struct ms_map_node *n, void *user)
{
    struct ms_tls_ctx *ctx = MS_CONTAINER(n, struct ms_tls_ctx, node);

    (void)user;
    if (!ctx->refs)
        free_ctx(ctx);
}

void ms_tls_env_free(struct ms_tls_env *env)
{
    if (!env)
        return;
    ms_map_walk(&env->ctxs, free_unused, NULL);
    ms_map_fini(&env->ctxs);
    BIO_meth_free(env->method);
    ms_buf_free(&env->out);
    ms_trust_release();
    ms_free(env);
}

/* What is no fault of a setting; known by its address. */
static const char no_memory[] = "out of memory";

/* ---- settings --------------------------------------------------------------
 */

static const char *text_of(const struct ms_tls_ctx *ctx, enum ms_tls_text which)
{
    return ms_tls_profile_text(ctx->profile, which);
}

/* "1.2": checked when the profile was made. */
static int version_of(const char *text)
{
    return text ? TLS1_VERSION + (text[2] - '0') : 0;
}

static const char *set_versions(struct ms_tls_ctx *ctx)
{
    int min = version_of(text_of(ctx, MS_TLS_MIN));
    int max = version_of(text_of(ctx, MS_TLS_MAX));

    if (!min)
        min = max && max < TLS1_2_VERSION ? max : TLS1_2_VERSION;
    if (max && max < min)
        return "tls.max_version is below tls.min_version";
    if (!SSL_CTX_set_min_proto_version(ctx->ssl, min) ||
        !SSL_CTX_set_max_proto_version(ctx->ssl, max))
        return "this OpenSSL has no such TLS version";
    return NULL;
}

static const char *set_trust(struct ms_tls_ctx *ctx)
{
    struct ms_trust_source from = {
        text_of(ctx, MS_TLS_CA_FILE),
        text_of(ctx, MS_TLS_CA_PATH),
        text_of(ctx, MS_TLS_CRL_FILE),
    };
    const char *why = NULL;
    X509_STORE *store;

    if (!ms_tls_profile_flag(ctx->profile, MS_TLS_VERIFY))
        return NULL;
    ms_err err = ms_trust_get(&from, &store, &why);
    if (err)
        return err == MS_ENOMEM ? no_memory : why;
    SSL_CTX_set_cert_store(ctx->ssl, store);
    return NULL;
}

/* Never asks at the terminal. */
static int give_password(char *to, int cap, int writing, void *user)
{
    const char *password = user;
    size_t n = password ? strlen(password) : 0;

    (void)writing;
    if (!password || n > (size_t)cap)
        return -1;
    memcpy(to, password, n);
    return (int)n;
}

static const char *set_client_certificate(struct ms_tls_ctx *ctx)
{
    const char *cert = text_of(ctx, MS_TLS_CERT);
    const char *key = text_of(ctx, MS_TLS_KEY);
    const char *password = text_of(ctx, MS_TLS_PASSWORD);

    if (!cert)
        return key ? "tls.key needs tls.cert" : NULL;
    SSL_CTX_set_default_passwd_cb(ctx->ssl, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx->ssl,
                                           (void *)(uintptr_t)password);
    if (SSL_CTX_use_certificate_chain_file(ctx->ssl, cert) != 1)
        return "tls.cert cannot be read, or holds no certificate in PEM";
    if (SSL_CTX_use_PrivateKey_file(ctx->ssl, key ? key : cert,
                                    SSL_FILETYPE_PEM) != 1) {
        unsigned long e = ERR_peek_last_error();
        if (ERR_GET_LIB(e) == ERR_LIB_X509)
            return "tls.key does not belong to tls.cert";
        return password ? "tls.key cannot be read with this tls.key_password"
                        : "tls.key cannot be read, holds no key in PEM, or "
                          "needs tls.key_password";
    }
    /* A key of another kind was taken, and is of no use. */
    return SSL_CTX_check_private_key(ctx->ssl)
               ? NULL
               : "tls.key does not belong to tls.cert";
}

/* Whoever asks for these by name must not get a peer nobody knows, or text in
 * the clear (RFC 5246, F.1.1.1 and A.5). */
static const char never[] = "!aNULL:!eNULL";

/* Suites of TLS 1.3 are set apart from the ciphers of older versions. */
static bool split_ciphers(const char *all, char *suites, char *ciphers)
{
    while (*all) {
        size_t n = strcspn(all, ":, ");
        char *to = strncmp(all, "TLS_", 4) == 0 ? suites : ciphers;
        size_t used = strlen(to);
        if (n && used)
            to[used++] = ':';
        memcpy(to + used, all, n);
        to[used + n] = '\0';
        all += n + (all[n] != '\0');
    }
    return *suites || *ciphers;
}

static const char *set_ciphers(struct ms_tls_ctx *ctx)
{
    const char *all = text_of(ctx, MS_TLS_CIPHERS);
    const char *why = NULL;

    if (!all)
        return NULL;
    size_t n = strlen(all) + sizeof(never) + 1;
    char *suites = ms_zalloc(n * 2), *ciphers = suites + n;
    if (!suites)
        return no_memory;
    bool any = split_ciphers(all, suites, ciphers);
    if (*ciphers)
        strcat(strcat(ciphers, ":"), never);
    if (!any || (*suites && !SSL_CTX_set_ciphersuites(ctx->ssl, suites)) ||
        (*ciphers && !SSL_CTX_set_cipher_list(ctx->ssl, ciphers)))
        why = "tls.ciphers names no cipher that this OpenSSL has";
    ms_free(suites);
    return why;
}

const char *ms_tls_ctx_alpn(const struct ms_tls_ctx *ctx)
{
    const char *list = text_of(ctx, MS_TLS_ALPN);

    return list ? list : ctx->alpn;
}

/* The wire form: each name with its length before it. */
static const char *set_alpn(struct ms_tls_ctx *ctx)
{
    const char *list = ms_tls_ctx_alpn(ctx);
    size_t n = strlen(list), start = 0;
    unsigned char *wire = ms_alloc(n + 1);
    if (!wire)
        return no_memory;
    memcpy(wire + 1, list, n);
    for (size_t i = 1; i <= n + 1; i++) {
        if (i <= n && wire[i] != ',')
            continue;
        wire[start] = (unsigned char)(i - start - 1);
        start = i;
    }
    int failed = SSL_CTX_set_alpn_protos(ctx->ssl, wire, (unsigned)n + 1);
    ms_free(wire);
    return failed ? no_memory : NULL;
}

static void log_key(const SSL *ssl, const char *line)
{
    const struct ms_tls_ctx *ctx = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    fprintf(ctx->keys, "%s\n", line);
    fflush(ctx->keys);
}

/* Secrets go nowhere unless the environment says so. */
static void log_keys(struct ms_tls_ctx *ctx)
{
    const char *path = secure_getenv("SSLKEYLOGFILE");

    if (!path || !*path || !(ctx->keys = fopen(path, "ae")))
        return;
    SSL_CTX_set_app_data(ctx->ssl, ctx);
    SSL_CTX_set_keylog_callback(ctx->ssl, log_key);
}

static const char *configure(struct ms_tls_ctx *ctx)
{
    const char *why = NULL;

    SSL_CTX_set_options(ctx->ssl,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (SSL_CTX_get_security_level(ctx->ssl) < SECURITY_LEVEL)
        SSL_CTX_set_security_level(ctx->ssl, SECURITY_LEVEL);
    SSL_CTX_set_verify(ctx->ssl,
                       ms_tls_profile_flag(ctx->profile, MS_TLS_VERIFY)
                           ? SSL_VERIFY_PEER
                           : SSL_VERIFY_NONE,
                       NULL);
    SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_CLIENT |
                                                 SSL_SESS_CACHE_NO_INTERNAL);
    if ((why = set_versions(ctx)) || (why = set_ciphers(ctx)) ||
        (why = set_alpn(ctx)) || (why = set_client_certificate(ctx)) ||
        (why = set_trust(ctx)))
        return why;
    log_keys(ctx);
    return NULL;
}

/* ---- the set of them -------------------------------------------------------
 */

static ms_err make(struct ms_tls_env *env, struct ms_tls_profile *profile,
                   const char *alpn, struct ms_tls_ctx **out, const char **why)
{
    struct ms_tls_ctx *ctx = ms_zalloc(sizeof(*ctx));

    if (!ctx)
        return MS_ENOMEM;
    ctx->env = env;
    ctx->profile = ms_tls_profile_use(profile);
    ctx->alpn = alpn;
    ctx->refs = 1;
    ctx->ssl = SSL_CTX_new(TLS_client_method());
    if (!ctx->ssl ||
        ms_map_add(&env->ctxs, &ctx->node, ms_tls_profile_hash(profile))) {
        SSL_CTX_free(ctx->ssl);
        ms_tls_profile_free(profile);
        ms_free(ctx);
        return MS_ENOMEM;
    }
    *why = configure(ctx);
    ERR_clear_error();
    if (*why) {
        free_ctx(ctx);
        return *why == no_memory ? MS_ENOMEM : MS_EOPTION;
    }
    *out = ctx;
    return MS_OK;
}

ms_err ms_tls_ctx_get(struct ms_tls_env *env, struct ms_tls_profile *profile,
                      const char *alpn, struct ms_tls_ctx **out,
                      const char **why)
{
    struct ms_map_node *n =
        ms_map_first(&env->ctxs, ms_tls_profile_hash(profile));

    for (; n; n = ms_map_next(n)) {
        struct ms_tls_ctx *ctx = MS_CONTAINER(n, struct ms_tls_ctx, node);
        if (strcmp(ctx->alpn, alpn) == 0 &&
            ms_tls_profile_same(ctx->profile, profile)) {
            *out = ms_tls_ctx_use(ctx);
            return MS_OK;
        }
    }
    ERR_clear_error();
    return make(env, profile, alpn, out, why);
}

struct ms_tls_ctx *ms_tls_ctx_use(struct ms_tls_ctx *ctx)
{
    if (!ctx->refs++)
        ctx->env->unused--;
    return ctx;
}

void ms_tls_ctx_put(struct ms_tls_ctx *ctx)
{
    if (!ctx || --ctx->refs)
        return;
    if (ctx->env->unused == MAX_UNUSED)
        free_ctx(ctx);
    else
        ctx->env->unused++;
}
