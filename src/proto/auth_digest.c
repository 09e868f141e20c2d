/* SPDX-License-Identifier: MIT */
#include "proto/auth_digest.h"

#include <assert.h>
#include <stdio.h>

void ms_digest_free(struct ms_digest *d)
{
    ms_buf_free(&d->realm);
    ms_buf_free(&d->nonce);
    ms_buf_free(&d->opaque);
    *d = (struct ms_digest){0};
}

/* ---- what the server asks for ----------------------------------------- */

struct algorithm {
    const char *name;
    uint8_t hash;
    bool session;
};

static const struct algorithm algorithms[] = {
    {"MD5", MS_HASH_MD5, false},
    {"MD5-sess", MS_HASH_MD5, true},
    {"SHA-256", MS_HASH_SHA256, false},
    {"SHA-256-sess", MS_HASH_SHA256, true},
    {"SHA-512-256", MS_HASH_SHA512_256, false},
    {"SHA-512-256-sess", MS_HASH_SHA512_256, true},
};

/* NULL: one nobody knows. None at all means MD5 (RFC 7616, 3.3). */
static const struct algorithm *find_algorithm(const struct ms_challenge *c)
{
    const struct ms_param *p = ms_challenge_find(c, MS_SPAN("algorithm"));

    if (!p)
        return &algorithms[0];
    for (size_t i = 0; i < MS_COUNT(algorithms); i++)
        if (ms_span_equal_nocase(ms_span_trim(p->value),
                                 ms_span_text(algorithms[i].name)))
            return &algorithms[i];
    if (MS_MUTANT_IS(439))
        return &algorithms[0];
    return NULL;
}

/* The one to use of those offered; auth-int only where nothing else is, for
 * it needs all of the body at once. False: none of them can be. */
static bool choose_qop(const struct ms_challenge *c, bool whole_body,
                       uint8_t *qop)
{
    const struct ms_param *p = ms_challenge_find(c, MS_SPAN("qop"));
    struct ms_span list, item;
    bool integrity = false;

    *qop = MS_QOP_NONE;
    if (!p)
        return true;
    list = p->value;
    while (ms_span_next_item(&list, &item)) {
        if (ms_span_equal_nocase(item, MS_SPAN("auth")))
            *qop = MS_QOP_AUTH;
        integrity |= ms_span_equal_nocase(item, MS_SPAN("auth-int"));
    }
    if (*qop == MS_QOP_NONE && integrity && whole_body)
        *qop = MS_QOP_AUTH_INT;
    return *qop != MS_QOP_NONE;
}

static bool is_usable(const struct ms_challenge *c, struct ms_span name,
                      bool needed)
{
    const struct ms_param *p = ms_challenge_find(c, name);

    return p ? p->value.n <= MS_DIGEST_TEXT_MAX : !needed;
}

/* Of two values for one name, neither can be believed. */
static bool has_twins(const struct ms_challenge *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!ms_challenge_find(c, c->params[i].name) && !MS_MUTANT_IS(440))
            return true;
    return false;
}

int ms_digest_strength(const struct ms_challenge *c, bool whole_body)
{
    uint8_t qop;

    if (!ms_span_equal_nocase(c->scheme, MS_SPAN("Digest")) || has_twins(c))
        return -1;
    const struct algorithm *a = find_algorithm(c);
    if (!a || !choose_qop(c, whole_body, &qop) ||
        !is_usable(c, MS_SPAN("realm"), true) ||
        !is_usable(c, MS_SPAN("nonce"), true) ||
        !is_usable(c, MS_SPAN("opaque"), false))
        return -1;
    return a->hash;
}

static ms_err new_cnonce(struct ms_digest *d, ms_random_fn *random)
{
    unsigned char bytes[MS_DIGEST_CNONCE];
    ms_err err = random(bytes, sizeof(bytes));

    if (err)
        return err;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(d->cnonce + 2 * i, 3, "%02x", bytes[i]);
    d->count = 0;
    return MS_OK;
}

ms_err ms_digest_take(struct ms_digest *d, const struct ms_challenge *c,
                      bool whole_body, ms_random_fn *random)
{
    const struct ms_param *opaque = ms_challenge_find(c, MS_SPAN("opaque"));
    const struct algorithm *a = find_algorithm(c);
    ms_err err;

    assert(ms_digest_strength(c, whole_body) >= 0);

    ms_buf_free(&d->opaque);
    d->hash = a->hash;
    d->session = a->session;
    d->named = ms_challenge_find(c, MS_SPAN("algorithm")) != NULL;
    d->utf8 = ms_challenge_says(c, MS_SPAN("charset"), MS_SPAN("UTF-8"));
    d->userhash = ms_challenge_says(c, MS_SPAN("userhash"), MS_SPAN("true"));
    d->stale = ms_challenge_says(c, MS_SPAN("stale"), MS_SPAN("true"));
    (void)choose_qop(c, whole_body, &d->qop);
    err = ms_param_text(ms_challenge_find(c, MS_SPAN("realm")), &d->realm);
    if (!err)
        err = ms_param_text(ms_challenge_find(c, MS_SPAN("nonce")), &d->nonce);
    if (!err && opaque)
        err = ms_param_text(opaque, &d->opaque);
    return err ? err : new_cnonce(d, random);
}

ms_err ms_digest_info(struct ms_digest *d, struct ms_span line,
                      ms_random_fn *random)
{
    struct ms_challenge c;

    if (!ms_challenge_params(line, &c) ||
        !is_usable(&c, MS_SPAN("nextnonce"), true))
        return MS_OK;
    ms_err err =
        ms_param_text(ms_challenge_find(&c, MS_SPAN("nextnonce")), &d->nonce);
    return err ? err : new_cnonce(d, random);
}

/* ---- the answer (RFC 7616, 3.4) ---------------------------------------- */

static ms_err hash_of(const struct ms_digest *d, const struct ms_span *parts,
                      size_t count, struct ms_hash_text *out)
{
    return ms_hash_joined((enum ms_hash)d->hash, parts, count, out);
}

/* H(A1). The cnonce is the same for all answers with a nonce, so that it does
 * not matter which of them a server believes -sess to be about. */
ms_err ms_digest_secret(const struct ms_digest *d, const struct ms_login *login,
                        struct ms_hash_text *out)
{
    const struct ms_span parts[] = {login->user, ms_buf_span(&d->realm),
                                    login->password};
    ms_err err = hash_of(d, parts, MS_COUNT(parts), out);

    if (err || !d->session)
        return err;
    struct ms_hash_text first = *out;
    const struct ms_span session[] = {
        ms_hash_span(&first), ms_buf_span(&d->nonce), ms_span_text(d->cnonce)};
    return hash_of(d, session, MS_COUNT(session), out);
}

/* H(A2) */
static ms_err hash_request(const struct ms_digest *d,
                           const struct ms_digest_request *req,
                           struct ms_hash_text *out)
{
    struct ms_span parts[3] = {req->method, req->target};
    struct ms_hash_text body;

    if (d->qop != MS_QOP_AUTH_INT)
        return hash_of(d, parts, 2, out);
    ms_err err = hash_of(d, &req->body, 1, &body);
    if (err)
        return err;
    parts[2] = ms_hash_span(&body);
    return hash_of(d, parts, 3, out);
}

/* "nc=00000001": exactly eight digits. */
struct count_text {
    char hex[9];
};

struct ms_span ms_digest_qop_name(uint8_t qop)
{
    static const char *const names[] = {"", "auth", "auth-int"};

    return ms_span_text(names[qop]);
}

static ms_err hash_answer(const struct ms_digest *d,
                          const struct ms_login *login,
                          const struct ms_digest_request *req,
                          struct ms_hash_text *out)
{
    struct ms_hash_text secret, request;
    struct count_text nc;
    ms_err err = ms_digest_secret(d, login, &secret);

    if (!err)
        err = hash_request(d, req, &request);
    if (err)
        return err;
    snprintf(nc.hex, sizeof(nc.hex), "%08x", (unsigned)d->count);
    const struct ms_span with_qop[] = {
        ms_hash_span(&secret),      ms_buf_span(&d->nonce),
        ms_span_text(nc.hex),       ms_span_text(d->cnonce),
        ms_digest_qop_name(d->qop), ms_hash_span(&request)};
    const struct ms_span without[] = {with_qop[0], with_qop[1], with_qop[5]};
    return d->qop == MS_QOP_NONE
               ? hash_of(d, without, MS_COUNT(without), out)
               : hash_of(d, with_qop, MS_COUNT(with_qop), out);
}

/* ---- its text ---------------------------------------------------------- */

static ms_err add_text(struct ms_buf *out, const char *text)
{
    return ms_buf_add_span(out, ms_span_text(text));
}

/* `before`, then the value in quotes. */
static ms_err add_quoted(struct ms_buf *out, const char *before,
                         struct ms_span value)
{
    size_t before_len = strlen(before);
    ms_err err = ms_buf_reserve(out, before_len + 2 * value.n + 2);

    if (err)
        return err;
    ms_buf_put(out, ms_span(before, before_len));
    ms_buf_put(out, MS_SPAN("\""));
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            ms_buf_put(out, MS_SPAN("\\"));
        ms_buf_put(out, ms_span(value.p + i, 1));
    }
    ms_buf_put(out, MS_SPAN("\""));
    return MS_OK;
}

/* attr-char (RFC 8187, 3.2.1) */
static bool is_plain(unsigned char c)
{
    unsigned char lower = ms_lower(c);

    return ms_is_digit(c) || (lower >= 'a' && lower <= 'z') ||
           (c && strchr("!#$&+-.^_`|~", c));
}

/* username*=UTF-8''J%C3%A4s: how a name beyond ASCII is written plainly. */
static ms_err add_extended(struct ms_buf *out, struct ms_span user)
{
    ms_err err = add_text(out, "Digest username*=UTF-8''");

    if (!err)
        err = ms_buf_reserve(out, 3 * user.n + 1); /* and snprintf's NUL */
    for (size_t i = 0; !err && i < user.n; i++) {
        char text[4];
        unsigned char c = (unsigned char)user.p[i];
        snprintf(text, sizeof(text), is_plain(c) ? "%c" : "%%%02X", c);
        ms_buf_put(out, ms_span_text(text));
    }
    return err;
}

static bool is_ascii(struct ms_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

static ms_err add_user(const struct ms_digest *d, struct ms_span user,
                       struct ms_buf *out)
{
    struct ms_hash_text hidden;
    const struct ms_span parts[] = {user, ms_buf_span(&d->realm)};

    if (d->userhash) {
        ms_err err = hash_of(d, parts, MS_COUNT(parts), &hidden);
        return err ? err
                   : add_quoted(out, "Digest username=", ms_hash_span(&hidden));
    }
    if (d->utf8 && !is_ascii(user))
        return add_extended(out, user);
    return add_quoted(out, "Digest username=", user);
}

static const char *algorithm_text(const struct ms_digest *d)
{
    for (size_t i = 0; i < MS_COUNT(algorithms); i++)
        if (algorithms[i].hash == d->hash &&
            algorithms[i].session == d->session)
            return algorithms[i].name;
    return algorithms[0].name;
}

/* What may be missing. A server of RFC 2069 need not know an algorithm it did
 * not name, nor a cnonce without a qop. */
static ms_err add_options(const struct ms_digest *d, struct ms_buf *out)
{
    char text[64];
    ms_err err = MS_OK;

    if (d->named) {
        snprintf(text, sizeof(text), ", algorithm=%s", algorithm_text(d));
        err = add_text(out, text);
    }
    if (!err && (d->qop || d->session))
        err = add_quoted(out, ", cnonce=", ms_span_text(d->cnonce));
    if (!err && d->qop) {
        snprintf(text, sizeof(text), ", qop=%s, nc=%08x",
                 ms_digest_qop_name(d->qop).p, (unsigned)d->count);
        err = add_text(out, text);
    }
    if (!err && d->opaque.p)
        err = add_quoted(out, ", opaque=", ms_buf_span(&d->opaque));
    if (!err && d->userhash)
        err = add_text(out, ", userhash=true");
    return err;
}

ms_err ms_digest_answer(struct ms_digest *d, const struct ms_login *login,
                        const struct ms_digest_request *req, struct ms_buf *out)
{
    struct ms_hash_text answer;
    ms_err err;

    assert(d->nonce.p && (d->qop != MS_QOP_AUTH_INT || req->whole));

    d->count += !MS_MUTANT_IS(432) || !d->count;
    err = hash_answer(d, login, req, &answer);
    if (!err)
        err = add_user(d, login->user, out);
    if (!err)
        err = add_quoted(out, ", realm=", ms_buf_span(&d->realm));
    if (!err)
        err = add_quoted(out, ", nonce=", ms_buf_span(&d->nonce));
    if (!err)
        err = add_quoted(out, ", uri=", req->target);
    if (!err)
        err = add_quoted(out, ", response=", ms_hash_span(&answer));
    return err ? err : add_options(d, out);
}
