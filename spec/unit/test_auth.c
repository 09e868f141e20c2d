/* SPDX-License-Identifier: MIT
 *
 * Credentials against the examples of RFC 2069, 2617, 6750, 7616 and 7617;
 * what they leave out was computed with Python's hashlib.
 */
#include "proto/auth.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "unit.h"

#define NONCE_7616  "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
#define CNONCE_7616 "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
#define REALM_7616  "http-auth@example.org"
#define NONCE_2617  "dcd98b7102dd2f0e8b11d0f600bfb0c093"
#define REALM_2617  "testrealm@host.com"

static struct ms_login login_of(const char *user, const char *password)
{
    return (struct ms_login){ms_span_text(user), ms_span_text(password)};
}

static ms_err zeros(void *p, size_t n)
{
    memset(p, 0, n);
    return MS_OK;
}

static ms_err no_random(void *p, size_t n)
{
    (void)p;
    (void)n;
    return MS_EINTERNAL;
}

static void take(struct ms_digest *d, const char *text)
{
    struct ms_span line = ms_span_text(text);
    struct ms_challenge c;

    CHECK_THAT(ms_challenge_next(&line, &c), "%s", text);
    CHECK_THAT(ms_digest_strength(&c, true) >= 0, "%s", text);
    CHECK(!ms_digest_take(d, &c, true, zeros));
}

/* ---- Basic and Bearer ---------------------------------------------------- */

static const struct {
    const char *user, *password, *want; /* NULL: refused */
} basics[] = {
    {"Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
    {"test", "123\xc2\xa3", "Basic dGVzdDoxMjPCow=="},
    {"", "", "Basic Og=="},
    {"a", "", "Basic YTo="},
    {"a", "b", "Basic YTpi"},
    {"a", "b:c", "Basic YTpiOmM="},
    {"\xff\xfe", "\xfb\xf0", "Basic //46+/A="},
    {"a:b", "c", NULL},
    {"a\n", "b", NULL},
    {"a", "b\r", NULL},
    {"a", "b\x7f", NULL},
    {"a\t", "b", NULL},
};

TEST(basic_is_base64_of_user_and_password)
{
    for (size_t i = 0; i < MS_COUNT(basics); i++) {
        struct ms_login login = login_of(basics[i].user, basics[i].password);
        struct ms_buf out = {0};
        const char *why;
        ms_err err = ms_auth_basic(&login, &out, &why);
        CHECK(!err == !why && !err == !!basics[i].want);
        CHECK(err == MS_OK || (err == MS_EOPTION && !ms_buf_len(&out)));
        if (!err)
            CHECK(
                ms_span_equal(ms_buf_span(&out), ms_span_text(basics[i].want)));
        ms_buf_free(&out);
    }
}

TEST(a_nul_is_refused)
{
    struct ms_login login = {MS_SPAN("a\0b"), MS_SPAN("c")};
    struct ms_buf out = {0};
    const char *why;

    CHECK(ms_auth_basic(&login, &out, &why) == MS_EOPTION && why);
    CHECK(ms_auth_refusal(&login));
    CHECK(ms_auth_bearer(MS_SPAN("a\0b"), &out, &why) == MS_EOPTION && why);
}

TEST(bearer_is_the_token)
{
    static const char *const bad[] = {"", "a b", "a\n", "\r", "\xc3\xa4"};
    struct ms_buf out = {0};
    const char *why;

    CHECK(!ms_auth_bearer(MS_SPAN("mF_9.B5f-4.1JqM"), &out, &why) && !why);
    CHECK(ms_span_equal(ms_buf_span(&out), MS_SPAN("Bearer mF_9.B5f-4.1JqM")));
    ms_buf_clear(&out);
    CHECK(!ms_auth_bearer(MS_SPAN("1|ab=="), &out, &why));
    for (size_t i = 0; i < MS_COUNT(bad); i++)
        CHECK(ms_auth_bearer(ms_span_text(bad[i]), &out, &why) == MS_EOPTION &&
              why);
    ms_buf_free(&out);
}

/* ---- Digest: the examples ------------------------------------------------ */

#define C_7616(more)                                                           \
    "Digest realm=\"" REALM_7616 "\", nonce=\"" NONCE_7616 "\"" more
#define C_2617(more)                                                           \
    "Digest realm=\"" REALM_2617 "\", nonce=\"" NONCE_2617 "\"" more

static const struct {
    const char *challenge, *password, *cnonce, *response;
} examples[] = {
    /* RFC 7616, 3.9.1 */
    {C_7616(", qop=\"auth, auth-int\", algorithm=MD5"), "Circle of Life",
     CNONCE_7616, "8ca523f5e9506fed4657c9700eebdbec"},
    {C_7616(", qop=\"auth, auth-int\", algorithm=SHA-256"), "Circle of Life",
     CNONCE_7616,
     "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
    {C_7616(", qop=auth, algorithm=SHA-512-256"), "Circle of Life", CNONCE_7616,
     "430d05014cecc49cab6fbe03176d41a1da86cbfe24a16580e22aaad928d960d0"},
    {C_7616(", qop=auth, algorithm=\"md5-SESS\""), "Circle of Life",
     CNONCE_7616, "e783283f46242139c486a698fec7211d"},
    {C_7616(", qop=auth, algorithm=SHA-256-sess"), "Circle of Life",
     CNONCE_7616,
     "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7"},
    {C_7616(", qop=auth, algorithm=SHA-512-256-sess"), "Circle of Life",
     CNONCE_7616,
     "3f2a34f923c38b0fb26dce2fdfc2ce326c23cecf86fbb1444f3e51fbbc2cb92e"},
    /* the body is "hello" */
    {C_7616(", qop=auth-int"), "Circle of Life", CNONCE_7616,
     "1707eaf5c6ed1a8f6ff2e49286b06bc2"},
    {C_7616(", qop=auth-int, algorithm=SHA-256"), "Circle of Life", CNONCE_7616,
     "887bb8d7a6c4cc95528278df0ec68f641244105a1d6a3aa8769488086b20e097"},
    {C_7616(", qop=auth-int, algorithm=SHA-512-256-sess"), "Circle of Life",
     CNONCE_7616,
     "624a95ce6eb0c4d02a07dac0bb173ab759426c02a61f702aa580f06705bd6bfd"},
    /* RFC 2617, 3.5 */
    {C_2617(", qop=\"auth,auth-int\""), "Circle Of Life", "0a4f113b",
     "6629fae49393a05397450978507c4ef1"},
    /* RFC 2069, 2.4, as its errata have it */
    {C_2617(""), "CircleOfLife", "", "1949323746fe6a43ef61f9606e7febea"},
    {C_2617(", algorithm=MD5-sess"), "CircleOfLife", CNONCE_7616,
     "a8e25743e4a743ed566f246f183a1df5"},
};

static bool has(const struct ms_buf *out, const char *text)
{
    struct ms_span s = ms_buf_span(out);

    return memmem(s.p, s.n, text, strlen(text)) != NULL;
}

static void answer(struct ms_digest *d, const struct ms_login *login,
                   struct ms_buf *out)
{
    struct ms_digest_request req = {MS_SPAN("GET"), MS_SPAN("/dir/index.html"),
                                    MS_SPAN("hello"), true};

    ms_buf_clear(out);
    CHECK(!ms_digest_answer(d, login, &req, out));
}

TEST(digest_answers_as_the_examples_do)
{
    for (size_t i = 0; i < MS_COUNT(examples); i++) {
        struct ms_login login = login_of("Mufasa", examples[i].password);
        struct ms_digest d = {0};
        struct ms_buf out = {0};
        char want[128];
        take(&d, examples[i].challenge);
        snprintf(d.cnonce, sizeof(d.cnonce), "%s", examples[i].cnonce);
        answer(&d, &login, &out);
        snprintf(want, sizeof(want), ", response=\"%s\"", examples[i].response);
        CHECK_THAT(has(&out, want), "%s: %.*s", examples[i].challenge,
                   (int)ms_buf_len(&out), ms_buf_span(&out).p);
        ms_buf_free(&out);
        ms_digest_free(&d);
    }
}

TEST(an_answer_is_written_as_the_rfc_writes_it)
{
    struct ms_login login = login_of("Mufasa", "Circle of Life");
    struct ms_digest d = {0};
    struct ms_buf out = {0};

    take(&d, C_7616(", qop=auth, algorithm=SHA-256, opaque=\"FQhe\""));
    strcpy(d.cnonce, CNONCE_7616);
    answer(&d, &login, &out);
    CHECK(ms_span_equal(
        ms_buf_span(&out),
        MS_SPAN("Digest username=\"Mufasa\", realm=\"" REALM_7616
                "\", nonce=\"" NONCE_7616 "\", uri=\"/dir/index.html\", "
                "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697"
                "cf8db5856cb6c1\", algorithm=SHA-256, cnonce=\"" CNONCE_7616
                "\", qop=auth, nc=00000001, opaque=\"FQhe\"")));
    ms_buf_free(&out);
    ms_digest_free(&d);
}

TEST(without_qop_and_algorithm_an_answer_is_that_of_rfc_2069)
{
    struct ms_login login = login_of("Mufasa", "CircleOfLife");
    struct ms_digest d = {0};
    struct ms_buf out = {0};

    take(&d, C_2617(", opaque=\"\""));
    answer(&d, &login, &out);
    CHECK(has(&out, "response=\"1949323746fe6a43ef61f9606e7febea\", "
                    "opaque=\"\""));
    CHECK(!has(&out, "cnonce") && !has(&out, "nc=") && !has(&out, "qop") &&
          !has(&out, "algorithm"));
    ms_buf_free(&out);
    ms_digest_free(&d);
}

/* RFC 7616, 3.9.2, whose own numbers are of another hash (errata 4897). */
TEST(names_beyond_ascii_are_hashed_spelled_out_or_sent_as_they_are)
{
    static const struct {
        const char *more, *want;
    } ways[] = {
        {", charset=UTF-8, userhash=true",
         "username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed0"
         "6ece9b0b\""},
        {", charset=utf-8", "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, "},
        {", userhash=false", "username=\"J\xc3\xa4s\xc3\xb8n Doe\", "},
    };
    struct ms_login login =
        login_of("J\xc3\xa4s\xc3\xb8n Doe", "Secret, or not?");
    struct ms_digest_request req = {MS_SPAN("GET"), MS_SPAN("/doe.json"),
                                    MS_SPAN(""), true};

    for (size_t i = 0; i < MS_COUNT(ways); i++) {
        struct ms_digest d = {0};
        struct ms_buf out = {0};
        char text[512];
        snprintf(text, sizeof(text),
                 "Digest realm=\"api@example.org\", qop=\"auth\", "
                 "algorithm=SHA-512-256, "
                 "nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\"%s",
                 ways[i].more);
        take(&d, text);
        strcpy(d.cnonce, "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm");
        CHECK(!ms_digest_answer(&d, &login, &req, &out));
        CHECK_THAT(has(&out, ways[i].want), "%s", ways[i].more);
        CHECK(has(&out, "userhash=true") == (i == 0));
        CHECK(has(&out, "response=\"7a4e1192babbba02e91182d2895bfdbf7adafc6e48"
                        "d4e517ca301974843d840c\""));
        ms_buf_free(&out);
        ms_digest_free(&d);
    }
}

TEST(quotes_and_backslashes_are_escaped_and_hashed_without)
{
    struct ms_login login = login_of("a\"b\\c:d", "p");
    struct ms_span parts[] = {login.user, MS_SPAN("r\"\\s"), login.password};
    struct ms_hash_text secret, want, request;
    struct ms_digest d = {0};
    struct ms_buf out = {0};
    char text[128];

    take(&d, "Digest realm=\"r\\\"\\\\\\s\", nonce=n");
    answer(&d, &login, &out);
    CHECK(has(&out, "Digest username=\"a\\\"b\\\\c:d\", "
                    "realm=\"r\\\"\\\\s\", nonce=\"n\", "));
    CHECK(!ms_hash_joined(MS_HASH_MD5, parts, 3, &secret));
    parts[0] = MS_SPAN("GET");
    parts[1] = MS_SPAN("/dir/index.html");
    CHECK(!ms_hash_joined(MS_HASH_MD5, parts, 2, &request));
    parts[0] = ms_hash_span(&secret);
    parts[1] = MS_SPAN("n");
    parts[2] = ms_hash_span(&request);
    CHECK(!ms_hash_joined(MS_HASH_MD5, parts, 3, &want));
    snprintf(text, sizeof(text), "response=\"%s\"", want.hex);
    CHECK(has(&out, text));
    ms_buf_free(&out);
    ms_digest_free(&d);
}

TEST(answers_with_a_nonce_are_counted_and_a_new_one_begins_again)
{
    struct ms_login login = login_of("a", "b");
    struct ms_digest d = {0};
    struct ms_buf out = {0};

    take(&d, "Digest realm=r, nonce=n, qop=auth");
    answer(&d, &login, &out);
    CHECK(has(&out, "nc=00000001"));
    d.count = 0xfe;
    answer(&d, &login, &out);
    CHECK(has(&out, "nc=000000ff") && has(&out, "nonce=\"n\""));
    CHECK(!ms_digest_info(&d, MS_SPAN("rspauth=\"00\", qop=auth"), zeros));
    answer(&d, &login, &out);
    CHECK(has(&out, "nc=00000100") && has(&out, "nonce=\"n\""));
    CHECK(!ms_digest_info(&d, MS_SPAN("nextnonce=\"m\", broken=\""), zeros));
    CHECK(!ms_digest_info(&d, MS_SPAN("qop=auth, NextNonce=\"m\""), zeros));
    answer(&d, &login, &out);
    CHECK(has(&out, "nc=00000001") && has(&out, "nonce=\"m\""));
    take(&d, "Digest realm=r, nonce=o, stale=true, qop=auth");
    CHECK(d.stale);
    answer(&d, &login, &out);
    CHECK(has(&out, "nc=00000001") && has(&out, "nonce=\"o\""));
    ms_buf_free(&out);
    ms_digest_free(&d);
}

/* ---- Digest: which challenge is answered -------------------------------- */

static const struct {
    const char *challenge;
    int with_body, without; /* how strong; -1: cannot be answered */
} strengths[] = {
    {"Digest realm=r, nonce=n", MS_HASH_MD5, MS_HASH_MD5},
    {"digest realm=r, nonce=n, algorithm=sha-256", MS_HASH_SHA256,
     MS_HASH_SHA256},
    {"Digest realm=r, nonce=n, algorithm=SHA-512-256-sess, qop=auth",
     MS_HASH_SHA512_256, MS_HASH_SHA512_256},
    {"Digest realm=r, nonce=n, qop=auth-int", MS_HASH_MD5, -1},
    {"Digest realm=r, nonce=n, qop=\" auth-int ,auth\"", MS_HASH_MD5,
     MS_HASH_MD5},
    {"Digest realm=r, nonce=n, qop=other", -1, -1},
    {"Digest realm=r, nonce=n, qop=\"\"", -1, -1},
    {"Digest realm=r, nonce=n, algorithm=SHA-1", -1, -1},
    {"Digest realm=r, nonce=n, algorithm=MD5, algorithm=SHA-256", -1, -1},
    {"Digest nonce=n", -1, -1},
    {"Digest realm=r", -1, -1},
    {"Digest realm=r, nonce=n, nonce=m", -1, -1},
    {"Digest", -1, -1},
    {"Basic realm=r, nonce=n", -1, -1},
};

TEST(only_what_is_understood_is_answered)
{
    for (size_t i = 0; i < MS_COUNT(strengths); i++) {
        struct ms_span line = ms_span_text(strengths[i].challenge);
        struct ms_challenge c;
        CHECK(ms_challenge_next(&line, &c));
        CHECK_THAT(ms_digest_strength(&c, true) == strengths[i].with_body &&
                       ms_digest_strength(&c, false) == strengths[i].without,
                   "%s", strengths[i].challenge);
    }
}

TEST(texts_have_a_length_that_may_be_sent_back)
{
    char text[MS_DIGEST_TEXT_MAX + 64];

    for (int more = 0; more < 2; more++) {
        int n = snprintf(text, sizeof(text), "Digest realm=r, nonce=%0*d",
                         MS_DIGEST_TEXT_MAX + more, 0);
        struct ms_span line = ms_span(text, (size_t)n);
        struct ms_challenge c;
        CHECK(ms_challenge_next(&line, &c));
        CHECK(ms_digest_strength(&c, true) == (more ? -1 : MS_HASH_MD5));
    }
}

#define WWW MS_SPAN("WWW-Authenticate")

TEST(the_strongest_challenge_of_all_lines_is_answered)
{
    struct ms_fields f = {0};
    struct ms_digest d = {0};
    bool found;

    CHECK(!ms_fields_add(&f, WWW, MS_SPAN("Basic realm=b, Negotiate")));
    CHECK(!ms_auth_choose(&f, WWW, true, &d, &found) && !found && !d.nonce.p);
    CHECK(!ms_fields_add(&f, WWW, MS_SPAN("Digest realm=r, nonce=1")));
    CHECK(!ms_fields_add(&f, MS_SPAN("www-authenticate"),
                         MS_SPAN("Digest realm=r, nonce=2, algorithm=SHA-256, "
                                 "Digest realm=r, nonce=3, algorithm=MD5")));
    CHECK(!ms_fields_add(&f, MS_SPAN("Proxy-Authenticate"),
                         MS_SPAN("Digest realm=r, nonce=4, "
                                 "algorithm=SHA-512-256")));
    CHECK(!ms_auth_choose(&f, WWW, true, &d, &found) && found);
    CHECK(d.hash == MS_HASH_SHA256 &&
          ms_span_equal(ms_buf_span(&d.nonce), MS_SPAN("2")));
    CHECK(strlen(d.cnonce) == 2 * MS_DIGEST_CNONCE);
    ms_digest_free(&d);
    ms_fields_free(&f);
}

TEST(only_so_many_challenges_are_looked_at)
{
    struct ms_fields f = {0};
    struct ms_digest d = {0};
    bool found;

    for (int i = 0; i < MS_AUTH_CHALLENGES; i++)
        CHECK(!ms_fields_add(&f, WWW, MS_SPAN("Negotiate")));
    CHECK(!ms_fields_add(&f, WWW, MS_SPAN("Digest realm=r, nonce=1")));
    CHECK(!ms_auth_choose(&f, WWW, true, &d, &found) && !found);
    ms_fields_free(&f);
}

TEST(without_random_bytes_nothing_is_taken_for_granted)
{
    struct ms_span line = MS_SPAN("Digest realm=r, nonce=n");
    struct ms_challenge c;
    struct ms_digest d = {0};

    CHECK(ms_challenge_next(&line, &c));
    CHECK(ms_digest_take(&d, &c, true, no_random) == MS_EINTERNAL);
    ms_digest_free(&d);
}

/* Fails every allocation in turn until all succeeds. */
TEST(memory_may_run_out_anywhere)
{
    struct ms_span text = MS_SPAN("Digest realm=r, nonce=n, opaque=\"o\", "
                                  "qop=auth, algorithm=MD5, userhash=true");
    struct ms_login login = login_of("\xc3\xa4", "b");
    struct ms_digest_request req = {MS_SPAN("GET"), MS_SPAN("/"), MS_SPAN(""),
                                    true};
    ms_err err = MS_ENOMEM;

    for (long nth = 1; err; nth++) {
        struct ms_challenge c;
        struct ms_span line = text;
        struct ms_digest d = {0};
        struct ms_buf out = {0};
        CHECK(nth < 50 && ms_challenge_next(&line, &c));
        ms_mem_fail(nth, 1);
        err = ms_digest_take(&d, &c, true, zeros);
        if (!err)
            err = ms_digest_answer(&d, &login, &req, &out);
        ms_mem_fail(0, 0);
        CHECK(!err || err == MS_ENOMEM);
        ms_buf_free(&out);
        ms_digest_free(&d);
    }
}
