/* SPDX-License-Identifier: MIT */
#include "proto/auth.h"

#include "proto/wire.h"

static bool has_control(struct ms_span s)
{
    for (size_t i = MS_MUTANT_IS(438) ? s.n : 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

const char *ms_auth_refusal(const struct ms_login *login)
{
    /* RFC 7617, 2; and what Digest quotes is a field's value. */
    return has_control(login->user) || has_control(login->password)
               ? "user and password may not hold control characters"
               : NULL;
}

/* ---- base64 (RFC 4648, 4) ---------------------------------------------- */

struct base64 {
    struct ms_buf *out;
    uint32_t bits;
    unsigned count; /* bytes in `bits` */
};

static void put_digits(struct base64 *b, unsigned digits)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789+/";

    for (unsigned i = 0; i < 4; i++) {
        const char *letter = letters + (b->bits >> 18 & 63);
        ms_buf_put(b->out, i < digits ? ms_span(letter, 1) : MS_SPAN("="));
        b->bits <<= 6;
    }
    b->bits = b->count = 0;
}

static void encode(struct base64 *b, struct ms_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        b->bits |= (uint32_t)(unsigned char)s.p[i] << (16 - 8 * b->count);
        if (++b->count == 3)
            put_digits(b, 4);
    }
}

static void encode_end(struct base64 *b)
{
    if (b->count)
        put_digits(b, b->count + 1);
}

/* ------------------------------------------------------------------------ */

ms_err ms_auth_basic(const struct ms_login *login, struct ms_buf *out,
                     const char **why)
{
    struct base64 b = {.out = out};

    *why = ms_auth_refusal(login);
    if (memchr(login->user.n ? login->user.p : "", ':', login->user.n))
        *why = "a user with a colon in it has no place in Basic";
    if (*why)
        return MS_EOPTION;
    size_t n = login->user.n + login->password.n + 1;
    ms_err err = ms_buf_reserve(out, sizeof("Basic ") + (n + 2) / 3 * 4);
    if (err)
        return err;
    ms_buf_put(out, MS_SPAN("Basic "));
    encode(&b, login->user);
    encode(&b, MS_SPAN(":"));
    encode(&b, login->password);
    encode_end(&b);
    return MS_OK;
}

ms_err ms_auth_bearer(struct ms_span token, struct ms_buf *out,
                      const char **why)
{
    *why = NULL;
    if (!ms_wire_is_target(token)) {
        *why = "a bearer token is made of visible ASCII";
        return MS_EOPTION;
    }
    ms_err err = ms_buf_reserve(out, sizeof("Bearer ") + token.n);
    if (err)
        return err;
    ms_buf_put(out, MS_SPAN("Bearer "));
    ms_buf_put(out, token);
    return MS_OK;
}

/* ---- the best challenge ------------------------------------------------ */

struct choice {
    struct ms_challenge best;
    int strength;  /* -1: none yet */
    unsigned left; /* challenges that are still looked at */
    bool whole_body;
};

static void look_at_line(struct choice *ch, struct ms_span line)
{
    struct ms_challenge c;

    while (ch->left && ms_challenge_next(&line, &c)) {
        int strength = ms_digest_strength(&c, ch->whole_body);
        if (strength > ch->strength &&
            !(MS_MUTANT_IS(431) && ch->strength >= 0)) {
            ch->best = c;
            ch->strength = strength;
        }
        ch->left--;
    }
}

ms_err ms_auth_choose(const struct ms_fields *fields, struct ms_span name,
                      bool whole_body, struct ms_digest *d, bool *found)
{
    struct choice ch = {
        .strength = -1, .left = MS_AUTH_CHALLENGES, .whole_body = whole_body};

    for (size_t i = 0; (i = ms_fields_find(fields, name, i)) != SIZE_MAX; i++)
        look_at_line(&ch, ms_fields_value(fields, i));
    *found = ch.strength >= 0;
    return *found ? ms_digest_take(d, &ch.best, whole_body, ms_random_bytes)
                  : MS_OK;
}
