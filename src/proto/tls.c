/* SPDX-License-Identifier: MIT */
#include "proto/tls.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "proto/tls_verify.h"

/* The longest name of DNS, and an address in brackets is shorter. */
#define MAX_HOST 255

struct ms_tls {
    struct ms_tls_ctx *ctx;
    SSL *ssl;
    struct ms_tls_cache *cache; /* lent; NULL: none, or not any more */
    struct ms_tls_fault fault;
    struct ms_tls_verdict *verdict; /* owned; NULL: nothing failed */
    bool asked;  /* for a client certificate, and there was none */
    bool up;     /* the handshake is through; the library forgets that when
                  * something fails */
    char host[]; /* whose certificate it should be; ends with NUL */
};

static struct ms_tls *tls_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

static bool wants(const struct ms_tls *t, enum ms_tls_flag flag)
{
    return ms_tls_profile_flag(t->ctx->profile, flag);
}

/* ---- callbacks of the library ----------------------------------------------
 */

/* Notes where the verification stopped; decides nothing. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct ms_tls_fault *fault = &tls_of(ssl)->fault;

    if (good || fault->result != X509_V_OK)
        return good;
    fault->result = X509_STORE_CTX_get_error(store);
    fault->depth = X509_STORE_CTX_get_error_depth(store);
    fault->cert = X509_STORE_CTX_get_current_cert(store);
    if (fault->cert)
        X509_up_ref(fault->cert);
    return good;
}

/* Before anything is looked at, so that what is verified is what stays. Whom it
 * verifies is the library's business as ever. */
static int on_chain(X509_STORE_CTX *store, void *user)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
    struct ms_tls *t = tls_of(ssl);

    (void)user;
    if (t->cache && sent) {
        ms_tls_cache_share(t->cache, sent);
        X509_STORE_CTX_set_cert(store, sk_X509_value(sent, 0));
        ERR_clear_error();
    }
    return X509_verify_cert(store);
}

static struct ms_tls_verdict *verdict_of(struct ms_tls *t)
{
    if (!t->verdict)
        t->verdict = ms_zalloc(sizeof(*t->verdict));
    return t->verdict;
}

static int on_staple(SSL *ssl, void *user)
{
    struct ms_tls *t = tls_of(ssl);
    bool required = ms_tls_profile_text(t->ctx->profile, MS_TLS_STAPLE) != NULL;
    struct ms_tls_verdict v = {0};

    (void)user;
    if (!wants(t, MS_TLS_VERIFY) || SSL_session_reused(ssl))
        return 1;
    if (ms_tls_staple_good(ssl, required, t->host, &v))
        return 1;
    if (verdict_of(t))
        *t->verdict = v;
    return 0;
}

/* The server would like a certificate of ours; called where there is none. */
static int on_asked(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
    (void)cert;
    (void)key;
    tls_of(ssl)->asked = true;
    return 0;
}

/* Takes the reference when it returns 1. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct ms_tls *t = tls_of(ssl);

    if (!t->cache || !wants(t, MS_TLS_SESSION_REUSE) ||
        !SSL_SESSION_is_resumable(session))
        return 0;
    ms_tls_cache_add(t->cache, session);
    return 1;
}

/* ---- beginning and end --------------------------------------------------- */

/* Whom to ask for: the name without brackets and without the dot of the root.
 */
static struct ms_span host_of(const struct ms_tls_ctx *ctx, struct ms_span host)
{
    const char *name = ms_tls_profile_text(ctx->profile, MS_TLS_SERVER_NAME);

    if (name)
        host = ms_span_text(name);
    if (host.n > 2 && host.p[0] == '[')
        host = ms_span(host.p + 1, host.n - 2);
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

static ms_err expect_peer(struct ms_tls *t)
{
    bool address = ms_tls_is_address(t->host);

    if (!address && !SSL_set_tlsext_host_name(t->ssl, t->host))
        return MS_EOPTION;
    if (!wants(t, MS_TLS_VERIFY))
        return MS_OK;
    SSL_set_verify(t->ssl, SSL_VERIFY_PEER, on_verify);
    SSL_set_tlsext_status_type(t->ssl, TLSEXT_STATUSTYPE_ocsp);
    return wants(t, MS_TLS_VERIFY_HOST) ? ms_tls_expect_host(t->ssl, t->host)
                                        : MS_OK;
}

/* Where sessions are not wanted there is none. */
static void resume(struct ms_tls *t)
{
    SSL_SESSION *session = t->cache ? ms_tls_cache_take(t->cache) : NULL;

    if (!session)
        return;
    SSL_set_session(t->ssl, session);
    SSL_SESSION_free(session);
}

static ms_err begin(struct ms_tls *t, struct ms_tls_cache *cache)
{
    SSL_CTX_set_tlsext_status_cb(t->ctx->ssl, on_staple);
    SSL_CTX_sess_set_new_cb(t->ctx->ssl, on_session);
    SSL_CTX_set_cert_verify_callback(t->ctx->ssl, on_chain, NULL);
    SSL_CTX_set_client_cert_cb(t->ctx->ssl, on_asked);
    t->ssl = SSL_new(t->ctx->ssl);
    BIO *bio = t->ssl ? BIO_new(t->ctx->env->method) : NULL;
    if (!bio)
        return MS_ENOMEM;
    BIO_set_data(bio, t->ctx->env);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    SSL_set_connect_state(t->ssl);
    ms_err err = expect_peer(t);
    t->cache = cache;
    if (!err)
        resume(t);
    return err;
}

ms_err ms_tls_new(struct ms_tls **out, struct ms_tls_ctx *ctx,
                  const struct ms_tls_peer *peer)
{
    struct ms_span host = host_of(ctx, peer->host);

    if (!host.n || host.n > MAX_HOST)
        return MS_EOPTION;
    struct ms_tls *t = ms_zalloc(sizeof(*t) + host.n + 1);
    if (!t)
        return MS_ENOMEM;
    memcpy(t->host, host.p, host.n);
    t->ctx = ms_tls_ctx_use(ctx);
    ERR_clear_error();
    ms_err err = begin(t, peer->cache);
    ERR_clear_error();
    if (err) {
        ms_tls_free(t);
        return err;
    }
    *out = t;
    return MS_OK;
}

/* The library drops the session of a connection that was not closed in
 * order; ours is cached already, and good. */
void ms_tls_free(struct ms_tls *t)
{
    if (!t)
        return;
    if (t->ssl)
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    X509_free(t->fault.cert);
    ms_free(t->verdict);
    ms_tls_ctx_put(t->ctx);
    ms_free(t);
}

/* ---- what went wrong ----------------------------------------------------- */

struct cause {
    int reason;
    bool late; /* may come after our side of the handshake is through */
    ms_err err;
    const char *text;
};

/* What people do something about. SSL_R_* of alerts are 1000 and their number
 * (RFC 8446, 6). In TLS 1.3 a server looks at the client's certificate when
 * the client is through already. */
static const struct cause causes[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, false, MS_ETLSVERSION, "chose"},
    {SSL_R_WRONG_SSL_VERSION, false, MS_ETLSVERSION, "chose"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, false, MS_ETLSVERSION, "has"},
    {SSL_R_WRONG_VERSION_NUMBER, false, MS_EHANDSHAKE,
     "does not speak TLS on this port"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, false, MS_EHANDSHAKE,
     "found nothing in common (handshake_failure)"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, true, MS_EHANDSHAKE,
     "wants a certificate of the client (tls.cert)"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, true, MS_EHANDSHAKE,
     "refused the client's certificate (bad_certificate)"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, true, MS_EHANDSHAKE,
     "refused the client's certificate (unsupported_certificate)"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, true, MS_EHANDSHAKE,
     "refused the client's certificate (certificate_revoked)"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, true, MS_EHANDSHAKE,
     "refused the client's certificate (certificate_expired)"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, true, MS_EHANDSHAKE,
     "refused the client's certificate (certificate_unknown)"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, true, MS_EHANDSHAKE,
     "refused the client's certificate (unknown_ca)"},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, true, MS_EHANDSHAKE,
     "refused the client's certificate (access_denied)"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, false, MS_EHANDSHAKE,
     "does not serve that name (unrecognized_name)"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, false, MS_EHANDSHAKE,
     "speaks none of the protocols offered: "},
};

static const struct cause *find_cause(unsigned long e, bool up)
{
    if (ERR_GET_LIB(e) != ERR_LIB_SSL)
        return NULL;
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
        if (causes[i].reason == ERR_GET_REASON(e))
            return !up || causes[i].late ? &causes[i] : NULL;
    return NULL;
}

/* "TLS 1.2" */
static int number_of(long version)
{
    return (int)(version & 0xff) - 1;
}

static void describe_versions(const struct ms_tls *t, const char *verb,
                              struct ms_tls_verdict *v)
{
    long min = SSL_get_min_proto_version(t->ssl);
    long max = SSL_get_max_proto_version(t->ssl);

    if (!max)
        max = TLS1_3_VERSION;
    snprintf(v->text, sizeof(v->text),
             "%s %s no TLS version that is allowed here: TLS 1.%d to 1.%d "
             "(tls.min_version, tls.max_version)",
             t->host, verb, number_of(min), number_of(max));
}

static void describe(struct ms_tls *t, struct ms_tls_verdict *v,
                     unsigned long e)
{
    const struct cause *cause = find_cause(e, t->up);
    bool alpn = ERR_GET_REASON(e) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL;

    v->err = cause ? cause->err : t->up ? MS_ETLS : MS_EHANDSHAKE;
    v->reason = ERR_reason_error_string(e);
    if (!cause)
        snprintf(v->text, sizeof(v->text), "TLS with %s failed: %s", t->host,
                 v->reason ? v->reason : "no reason given");
    else if (cause->err == MS_ETLSVERSION)
        describe_versions(t, cause->text, v);
    else if (t->asked && cause->reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
        snprintf(v->text, sizeof(v->text),
                 "%s wants a certificate of the client (tls.cert)", t->host);
    else
        snprintf(v->text, sizeof(v->text), "%s %s%s", t->host, cause->text,
                 alpn ? ms_tls_ctx_alpn(t->ctx) : "");
}

/* Notes why, once; the error queue is everybody's and is left empty. */
static enum ms_tls_what fail(struct ms_tls *t)
{
    unsigned long e = ERR_peek_error();
    bool full = t->ctx->env->full;
    struct ms_tls_verdict *v;

    t->ctx->env->full = false;
    ERR_clear_error();
    if (t->verdict || !(v = verdict_of(t)))
        return MS_TLS_FAILED;
    if (ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE || full)
        v->err = MS_ENOMEM;
    else if (t->fault.result != X509_V_OK && !t->up)
        ms_tls_explain(&t->fault, t->host, v);
    else
        describe(t, v, e);
    return MS_TLS_FAILED;
}

ms_err ms_tls_error(const struct ms_tls *t, const char **text,
                    const char **reason)
{
    const struct ms_tls_verdict *v = t->verdict;

    *text = v && v->text[0] ? v->text : NULL;
    *reason = v ? v->reason : NULL;
    return v ? v->err : MS_ENOMEM;
}

/* What a call that did not succeed means. */
static enum ms_tls_what outcome(struct ms_tls *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return MS_TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return MS_TLS_CLOSED;
    default:
        return fail(t);
    }
}

/* What other users of the library left in the thread's queue would be taken
 * for the reason of ours. Emptying an empty one costs more than looking. */
static void clear_errors(void)
{
    if (MS_UNLIKELY(ERR_peek_error()))
        ERR_clear_error();
}

/* ---- bytes --------------------------------------------------------------- */

enum ms_tls_what ms_tls_handshake(struct ms_tls *t)
{
    const char *pins = ms_tls_profile_text(t->ctx->profile, MS_TLS_PINS);

    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    if (result != 1) {
        enum ms_tls_what what = outcome(t, result);
        return what == MS_TLS_CLOSED ? fail(t) : what;
    }
    t->up = true;
    if (!pins)
        return MS_TLS_DONE;
    if (!verdict_of(t) || !ms_tls_pins_match(t->ssl, pins, t->host, t->verdict))
        return MS_TLS_FAILED;
    ms_free(t->verdict);
    t->verdict = NULL;
    return MS_TLS_DONE;
}

/* Another call would only find that out, at the price of one that reads. */
static bool is_drained(const struct ms_tls *t)
{
    return !t->ctx->env->in.n && !SSL_has_pending(t->ssl);
}

enum ms_tls_what ms_tls_read(struct ms_tls *t, char *p, size_t cap, size_t *n)
{
    *n = 0;
    clear_errors();
    while (*n < cap) {
        size_t got = 0;
        int result = SSL_read_ex(t->ssl, p + *n, cap - *n, &got);
        if (result != 1)
            return outcome(t, result);
        *n += got;
        if (is_drained(t))
            return MS_TLS_AGAIN;
    }
    return MS_TLS_DONE;
}

enum ms_tls_what ms_tls_write(struct ms_tls *t, struct ms_span s)
{
    size_t written;

    clear_errors();
    if (SSL_write_ex(t->ssl, s.p, s.n, &written) == 1)
        return MS_TLS_DONE;
    return fail(t);
}

void ms_tls_close(struct ms_tls *t)
{
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

void ms_tls_release_buffers(struct ms_tls *t)
{
    (void)SSL_free_buffers(t->ssl);
}

void ms_tls_forget_cache(struct ms_tls *t)
{
    t->cache = NULL;
}

/* ---- what is known ------------------------------------------------------- */

static void take_alpn(struct ms_tls_info *i, const SSL *ssl)
{
    const unsigned char *p;
    unsigned n;

    SSL_get0_alpn_selected(ssl, &p, &n);
    if (n >= sizeof(i->alpn))
        n = sizeof(i->alpn) - 1;
    if (n)
        memcpy(i->alpn, p, n);
}

struct ms_tls_info *ms_tls_info(const struct ms_tls *t)
{
    struct ms_tls_info *i = ms_zalloc(sizeof(*i));

    if (!i)
        return NULL;
    i->refs = 1;
    i->version = SSL_get_version(t->ssl);
    snprintf(i->cipher, sizeof(i->cipher), "%s", SSL_get_cipher_name(t->ssl));
    take_alpn(i, t->ssl);
    i->verified =
        wants(t, MS_TLS_VERIFY) && SSL_get_verify_result(t->ssl) == X509_V_OK;
    i->resumed = SSL_session_reused(t->ssl);
    i->cert = SSL_get1_peer_certificate(t->ssl);
    return i;
}
