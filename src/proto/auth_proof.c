/* SPDX-License-Identifier: MIT */
#include "proto/auth_proof.h"

#include <assert.h>
#include <stdio.h>

void ms_proof_free(struct ms_proof *p)
{
    ms_buf_free(&p->middle);
    ms_buf_free(&p->target);
    ms_hasher_free(p->body);
    *p = (struct ms_proof){0};
}

/* What stands between H(A1) and H(A2). */
static ms_err note_middle(struct ms_proof *p, const struct ms_digest *d)
{
    char text[96];
    ms_err err = ms_buf_add_span(&p->middle, ms_buf_span(&d->nonce));

    if (err || d->qop == MS_QOP_NONE)
        return err;
    int n = snprintf(text, sizeof(text), ":%08x:%s:%s", (unsigned)d->count,
                     d->cnonce, ms_digest_qop_name(d->qop).p);
    assert(n > 0 && (size_t)n < sizeof(text));
    return ms_buf_add(&p->middle, text, (size_t)n);
}

ms_err ms_proof_begin(struct ms_proof *p, const struct ms_digest *d,
                      const struct ms_login *login, struct ms_span target)
{
    ms_err err = ms_digest_secret(d, login, &p->secret);

    assert(!p->middle.p && d->count);

    p->hash = d->hash;
    if (!err)
        err = note_middle(p, d);
    if (!err)
        err = ms_buf_add_span(&p->target, target);
    if (!err && d->qop == MS_QOP_AUTH_INT)
        err = ms_hasher_new(&p->body, (enum ms_hash)p->hash);
    return err;
}

ms_err ms_proof_add(struct ms_proof *p, const char *bytes, size_t n)
{
    return ms_hasher_add(p->body, bytes, n);
}

ms_err ms_proof_end(struct ms_proof *p)
{
    return ms_hasher_end(p->body, &p->body_hash);
}

/* As the answer to the challenge, but for the method, which is empty. */
static ms_err make_proof(const struct ms_proof *p, struct ms_hash_text *out)
{
    enum ms_hash hash = (enum ms_hash)p->hash;
    struct ms_hash_text about;
    const struct ms_span response[] = {MS_SPAN(""), ms_buf_span(&p->target),
                                       ms_hash_span(&p->body_hash)};
    ms_err err =
        ms_hash_joined(hash, response, ms_proof_has_body(p) ? 3 : 2, &about);

    if (err)
        return err;
    const struct ms_span parts[] = {ms_hash_span(&p->secret),
                                    ms_buf_span(&p->middle),
                                    ms_hash_span(&about)};
    return ms_hash_joined(hash, parts, MS_COUNT(parts), out);
}

ms_err ms_proof_check(const struct ms_proof *p, struct ms_span line,
                      bool *wrong)
{
    struct ms_challenge c;
    struct ms_hash_text want;

    *wrong = false;
    if (!ms_challenge_params(line, &c))
        return MS_OK;
    for (size_t i = 0; i < c.count && !*wrong; i++) {
        if (!ms_span_equal_nocase(c.params[i].name, MS_SPAN("rspauth")))
            continue;
        ms_err err = make_proof(p, &want);
        if (err)
            return err;
        *wrong = !ms_span_equal_nocase(ms_span_trim(c.params[i].value),
                                       ms_hash_span(&want));
    }
    return MS_OK;
}
