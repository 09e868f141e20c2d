/* SPDX-License-Identifier: MIT
 *
 * How WWW-Authenticate is taken apart: lines against what they mean, written
 * as "Scheme(token68)" or "Scheme{name=value;...}".
 */
#include "proto/challenge.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "unit.h"

static char shown[4096];

static void show(struct ms_span s)
{
    size_t n = strlen(shown);

    CHECK(n + s.n < sizeof(shown));
    memcpy(shown + n, s.p, s.n);
    shown[n + s.n] = '\0';
}

static void show_param(const struct ms_param *p)
{
    struct ms_buf text = {0};

    CHECK(!ms_param_text(p, &text));
    show(p->name);
    show(MS_SPAN("="));
    show(ms_buf_span(&text));
    show(MS_SPAN(";"));
    ms_buf_free(&text);
}

static void show_challenge(const struct ms_challenge *c)
{
    show(c->scheme);
    if (c->token68.n) {
        show(MS_SPAN("("));
        show(c->token68);
        show(MS_SPAN(")"));
    }
    if (!c->count)
        return;
    show(MS_SPAN("{"));
    for (size_t i = 0; i < c->count; i++)
        show_param(&c->params[i]);
    show(MS_SPAN("}"));
}

/* Reads a copy that ends where the line does, for the sanitizers. */
static const char *read_line(const char *text)
{
    struct ms_challenge c;
    size_t n = strlen(text);
    char *copy = malloc(n + !n);

    CHECK(copy);
    memcpy(copy, text, n);
    struct ms_span line = ms_span(copy, n);
    shown[0] = '\0';
    while (ms_challenge_next(&line, &c)) {
        show_challenge(&c);
        show(MS_SPAN(" "));
    }
    free(copy);
    return shown;
}

static const struct {
    const char *line, *want;
} lines[] = {
    {"", ""},
    {" ,\t, ", ""},
    {"Basic", "Basic "},
    {"Basic realm=\"x\"", "Basic{realm=x;} "},
    {"basic realm=x", "basic{realm=x;} "},
    {"Basic realm=\"\"", "Basic{realm=;} "},
    /* RFC 9110, 11.6.1 */
    {"Basic realm=\"simple\", Newauth realm=\"apps\", type=1, "
     "title=\"Login to \\\"apps\\\"\"",
     "Basic{realm=simple;} Newauth{realm=apps;type=1;"
     "title=Login to \"apps\";} "},
    {"Digest realm=\"a, Basic realm=b\",nonce=\"n\"",
     "Digest{realm=a, Basic realm=b;nonce=n;} "},
    {"Negotiate, NTLM, Basic realm=\"x\"", "Negotiate NTLM Basic{realm=x;} "},
    {"Negotiate YII=, Basic realm=\"x\"", "Negotiate(YII=) Basic{realm=x;} "},
    {"Negotiate abc, x", "Negotiate(abc) x "},
    {"A a==,B b=", "A(a==) B(b=) "},
    {"A a-._~+/9==", "A(a-._~+/9==) "},
    /* odd spacing */
    {" \tDigest \t realm \t= \t\"a\" \t, \t,nonce\t=b ,, , Basic realm=c, ",
     "Digest{realm=a;nonce=b;} Basic{realm=c;} "},
    {"Basic ,, Digest realm=a", "Basic Digest{realm=a;} "},
    {"A b=\"\\\\\\\"\"", "A{b=\\\";} "},
    {"A b=c, b=d", "A{b=c;b=d;} "},
    {"A , b=c", "A "},
    /* malformed: what came before counts, what follows does not */
    {"Basic realm=\"x", ""},
    {"Basic realm=\"x\\", ""},
    {"Basic realm=\"x\\\"", ""},
    {"Basic realm=", "Basic(realm=) "},
    {"Basic realm=a b=c", ""},
    {"Basic realm=\"a\"b", ""},
    {"Basic realm=\"a\" b=c", ""},
    {"Basic =a", ""},
    {"Basic @", ""},
    {"Basic a @", ""},
    {"Basic realm=a, =b, C d=e", ""},
    {"A b=c, Basic realm=\"x", "A{b=c;} "},
    {"@, Basic realm=x", ""},
    {"\"A\" b=c", ""},
    {"A:b=c", ""},
    {"A=b", ""},
};

TEST(lines_mean_what_the_grammar_says)
{
    for (size_t i = 0; i < MS_COUNT(lines); i++)
        CHECK_THAT(!strcmp(read_line(lines[i].line), lines[i].want),
                   "'%s' is read as '%s'", lines[i].line, shown);
}

TEST(there_are_only_so_many_parameters)
{
    char text[1024] = "Digest a=b";
    struct ms_challenge c;

    for (int i = 1; i < MS_CHALLENGE_PARAMS; i++)
        strcat(text, ", a=b");
    struct ms_span line = ms_span_text(text);
    CHECK(ms_challenge_next(&line, &c) && c.count == MS_CHALLENGE_PARAMS);
    strcat(text, ", a=b");
    line = ms_span_text(text);
    CHECK(!ms_challenge_next(&line, &c));
}

TEST(a_parameter_counts_when_it_is_there_once)
{
    struct ms_span line = MS_SPAN("Digest Stale=TRUE, a=1, A=2, q=\"tRue\"");
    struct ms_challenge c;

    CHECK(ms_challenge_next(&line, &c));
    CHECK(ms_challenge_says(&c, MS_SPAN("stale"), MS_SPAN("true")));
    CHECK(ms_challenge_says(&c, MS_SPAN("Q"), MS_SPAN("true")));
    CHECK(!ms_challenge_find(&c, MS_SPAN("a")));
    CHECK(!ms_challenge_find(&c, MS_SPAN("b")));
    CHECK(!ms_challenge_says(&c, MS_SPAN("a"), MS_SPAN("1")));
}

TEST(parameters_may_stand_alone)
{
    struct ms_challenge c;

    CHECK(ms_challenge_params(MS_SPAN("nextnonce=\"x\", qop=auth"), &c));
    CHECK(c.count == 2 && !c.scheme.n);
    CHECK(ms_challenge_params(MS_SPAN(""), &c) && !c.count);
    CHECK(!ms_challenge_params(MS_SPAN("nextnonce=\"x"), &c));
    CHECK(!ms_challenge_params(MS_SPAN("nextnonce=x, word"), &c));
}

TEST(a_text_without_memory_says_so)
{
    struct ms_span line = MS_SPAN("A b=c");
    struct ms_challenge c;
    struct ms_buf text = {0};

    CHECK(ms_challenge_next(&line, &c));
    ms_mem_fail(1, 1);
    CHECK(ms_param_text(&c.params[0], &text) == MS_ENOMEM);
    ms_mem_fail(0, 0);
    CHECK(!ms_param_text(&c.params[0], &text));
    CHECK(ms_span_equal(ms_buf_span(&text), MS_SPAN("c")));
    ms_buf_free(&text);
}
