/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the reading of challenges, and the answers to those that are taken:
 * what is answered is one field value, and says what was asked.
 *
 * Input: the value of a WWW-Authenticate field.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/auth.h"
#include "proto/auth_proof.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static ms_err zeros(void *p, size_t n)
{
    memset(p, 0, n);
    return MS_OK;
}

static bool lies_in(struct ms_span inner, struct ms_span outer)
{
    return inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n;
}

/* The value of our own `name`, through the same reader, is `want`. */
static void expect_text(const struct ms_challenge *c, struct ms_span name,
                        const struct ms_buf *want)
{
    const struct ms_param *p = ms_challenge_find(c, name);
    struct ms_buf text = {0};

    expect(p && p->quoted && !ms_param_text(p, &text));
    expect(ms_span_equal(ms_buf_span(&text), ms_buf_span(want)));
    ms_buf_free(&text);
}

static const struct ms_login login = {{"u\"\xc3\xa4", 4}, {"p", 1}};

static void check_answer(struct ms_digest *d)
{
    struct ms_digest_request req = {MS_SPAN("GET"), MS_SPAN("/"), MS_SPAN(""),
                                    true};
    struct ms_buf out = {0};
    struct ms_challenge c;

    expect(!ms_digest_answer(d, &login, &req, &out));
    struct ms_span line = ms_buf_span(&out);
    expect(ms_wire_is_value(line));
    expect(ms_challenge_next(&line, &c) && !line.n);
    expect_text(&c, MS_SPAN("realm"), &d->realm);
    expect_text(&c, MS_SPAN("nonce"), &d->nonce);
    if (d->opaque.p)
        expect_text(&c, MS_SPAN("opaque"), &d->opaque);
    expect(!d->named == !ms_challenge_find(&c, MS_SPAN("algorithm")));
    ms_buf_free(&out);
}

/* What nobody with the password said is refused if it claims to be a proof. */
static void check_proof(const struct ms_digest *d, struct ms_span info)
{
    struct ms_proof p = {.hash = 0};
    struct ms_challenge c;
    bool wrong, claims = false;

    expect(!ms_proof_begin(&p, d, &login, MS_SPAN("/")));
    if (ms_proof_has_body(&p))
        expect(!ms_proof_add(&p, info.p, info.n) && !ms_proof_end(&p));
    if (ms_challenge_params(info, &c))
        for (size_t i = 0; i < c.count; i++)
            claims |=
                ms_span_equal_nocase(c.params[i].name, MS_SPAN("rspauth"));
    expect(!ms_proof_check(&p, info, &wrong) && wrong == claims);
    ms_proof_free(&p);
}

/* Parameters alone, as Authentication-Info has them. */
static struct ms_span params_of(struct ms_span all)
{
    const char *space = memchr(all.p, ' ', all.n);

    return space ? ms_span(space + 1, (size_t)(all.p + all.n - space) - 1)
                 : all;
}

static void check_challenge(const struct ms_challenge *c, struct ms_span all)
{
    struct ms_digest d = {0};

    expect(ms_wire_is_token(c->scheme) && lies_in(c->scheme, all));
    expect(!c->token68.n || (!c->count && lies_in(c->token68, all)));
    for (size_t i = 0; i < c->count; i++) {
        expect(ms_wire_is_token(c->params[i].name));
        expect(lies_in(c->params[i].value, all));
        expect(c->params[i].quoted || ms_wire_is_token(c->params[i].value));
    }
    if (ms_digest_strength(c, true) < 0)
        return;
    expect(!ms_digest_take(&d, c, true, zeros));
    check_answer(&d);
    check_proof(&d, params_of(all));
    expect(!ms_digest_info(&d, params_of(all), zeros));
    check_answer(&d);
    ms_digest_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *p = malloc(size + !size);
    struct ms_challenge c;

    expect(p);
    if (size)
        memcpy(p, data, size);
    struct ms_span all = ms_span(p, size), left = all;
    if (ms_wire_is_value(all))
        while (ms_challenge_next(&left, &c)) {
            expect(lies_in(left, all));
            check_challenge(&c, all);
        }
    free(p);
    return 0;
}
