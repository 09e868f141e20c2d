/* SPDX-License-Identifier: MIT
 *
 * A server's proof that it knows the password. RFC 7616 has no example of
 * one; these were computed with Python's hashlib.
 */
#include "proto/auth_proof.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "unit.h"

static ms_err zeros(void *p, size_t n)
{
    memset(p, 0, n);
    return MS_OK;
}

static const struct ms_login login = {{"Mufasa", 6}, {"Circle of Life", 14}};
static const struct ms_digest_request req = {
    {"GET", 3}, {"/dir/index.html", 15}, {"", 0}, true};

/* Answers `challenge` and expects a proof. */
static ms_err begin(const char *challenge, struct ms_proof *p)
{
    struct ms_span line = ms_span_text(challenge);
    struct ms_digest d = {0};
    struct ms_buf out = {0};
    struct ms_challenge c;

    CHECK(ms_challenge_next(&line, &c));
    ms_err err = ms_digest_take(&d, &c, true, zeros);
    if (!err) {
        strcpy(d.cnonce, "0a4f113b");
        err = ms_digest_answer(&d, &login, &req, &out);
    }
    if (!err)
        err = ms_proof_begin(p, &d, &login, req.target);
    ms_buf_free(&out);
    ms_digest_free(&d);
    return err;
}

static bool is_wrong(const struct ms_proof *p, const char *line)
{
    bool wrong;

    CHECK(!ms_proof_check(p, ms_span_text(line), &wrong));
    return wrong;
}

#define C "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e\""

/* The body is "hello". */
static const struct {
    const char *challenge, *right;
} rows[] = {
    {C "", "9b561b59199d7eb9daac67167b28f0e7"},
    {C ", qop=auth", "2da3f56d637809cd9911f06d5711b2da"},
    {C ", qop=auth-int", "c218c6a01cf2f884841f142092d53087"},
    {C ", algorithm=SHA-256",
     "801fff850e2d53e274721663af918f23c58ce968609bacb44104a55d9e3b4815"},
    {C ", algorithm=SHA-256, qop=auth",
     "4272980f111273a1d65135fc81b422a2d358a7f923eaa1c2e7ff57faaedff54c"},
    {C ", algorithm=SHA-256, qop=auth-int",
     "f92a66671f3211f1e55e9427c89bf77018dd82d54ee4f5c266b4c90b1179a560"},
    {C ", algorithm=SHA-512-256-sess",
     "099475fdbe0df91181d94f443d6da70adad3b54b40f1e335b4b53865f70cdf50"},
    {C ", algorithm=SHA-512-256-sess, qop=auth",
     "3e1abad39760b932b7a64f3f27fe279d0691e968faac93befc6f8e2fddbc0bae"},
    {C ", algorithm=SHA-512-256-sess, qop=auth-int",
     "78a25a1d736418c4be9c47bb6a4155b807ca0d4b0a488a6b8a462c78f3a45f1e"},
};

TEST(a_proof_is_right_or_it_is_wrong)
{
    char line[128];

    for (size_t i = 0; i < MS_COUNT(rows); i++) {
        struct ms_proof p = {.hash = 0};
        CHECK(!begin(rows[i].challenge, &p));
        if (ms_proof_has_body(&p)) {
            CHECK(!ms_proof_add(&p, "hel", 3) && !ms_proof_add(&p, NULL, 0));
            CHECK(!ms_proof_add(&p, "lo", 2) && !ms_proof_end(&p));
        }
        snprintf(line, sizeof(line), "qop=auth, RSPAUTH=\"%s\"", rows[i].right);
        CHECK_THAT(!is_wrong(&p, line), "%s", rows[i].challenge);
        for (char *at = strchr(line, '"') + 1; *at != '"'; at++) {
            char was = *at;
            *at = was == '0' ? '1' : '0';
            CHECK(is_wrong(&p, line));
            *at = was;
        }
        ms_proof_free(&p);
    }
}

TEST(what_is_no_proof_is_not_wrong)
{
    static const char *const lines[] = {"",
                                        "nextnonce=x",
                                        "rspauth",
                                        "rspauth=\"00",
                                        "xrspauth=00",
                                        "a=\"rspauth=00\""};
    static const char *const wrong[] = {
        "rspauth=00", "rspauth=\"\"", "a=b, rspauth=\"x\"",
        "rspauth=2da3f56d637809cd9911f06d5711b2da, rspauth=1"};
    struct ms_proof p = {.hash = 0};

    CHECK(!begin(C ", qop=auth", &p));
    for (size_t i = 0; i < MS_COUNT(lines); i++)
        CHECK_THAT(!is_wrong(&p, lines[i]), "%s", lines[i]);
    for (size_t i = 0; i < MS_COUNT(wrong); i++)
        CHECK_THAT(is_wrong(&p, wrong[i]), "%s", wrong[i]);
    CHECK(!is_wrong(&p, "rspauth=2DA3F56D637809CD9911F06D5711B2DA"));
    ms_proof_free(&p);
}

TEST(a_proof_does_without_memory_anywhere)
{
    ms_err err = MS_ENOMEM;

    for (long nth = 1; err; nth++) {
        struct ms_proof p = {.hash = 0};
        bool wrong;
        CHECK(nth < 100);
        ms_mem_fail(nth, 1);
        err = begin(C ", qop=auth-int", &p);
        if (!err && !(err = ms_proof_add(&p, "hello", 5)))
            err = ms_proof_end(&p);
        if (!err)
            err = ms_proof_check(&p, MS_SPAN("rspauth=0"), &wrong);
        ms_mem_fail(0, 0);
        CHECK(!err || err == MS_ENOMEM);
        ms_proof_free(&p);
    }
}
