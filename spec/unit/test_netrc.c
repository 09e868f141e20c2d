/* SPDX-License-Identifier: MIT
 *
 * What a .netrc file says about a machine: "login:password", "-" for nothing,
 * "line why" for an error.
 */
#include "proto/netrc.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "unit.h"

static char shown[512];

static ms_err find(struct ms_netrc *n, const char *text, const char *login)
{
    const char *why;
    unsigned line;
    size_t size = strlen(text);
    char *copy = malloc(size + !size);

    CHECK(copy);
    memcpy(copy, text, size);
    ms_err err = ms_netrc_find(
        n, ms_span(copy, size), MS_SPAN("h.example"),
        login ? ms_span_text(login) : (struct ms_span){0}, &why, &line);
    free(copy);
    CHECK((err == MS_EOPTION) == (why != NULL));
    snprintf(shown, sizeof(shown), "%u %.20s", line, why ? why : "");
    return err;
}

static const char *ask(const char *text, const char *login)
{
    struct ms_netrc n = {0};

    if (!find(&n, text, login))
        snprintf(shown, sizeof(shown), n.found ? "%.*s:%.*s" : "-",
                 (int)ms_buf_len(&n.login), ms_buf_span(&n.login).p,
                 (int)ms_buf_len(&n.password), ms_buf_span(&n.password).p);
    ms_netrc_free(&n);
    return shown;
}

#define H "machine h.example "

static const struct {
    const char *text, *login, *want;
} files[] = {
    {"", NULL, "-"},
    {"\n \t\r\n", NULL, "-"},
    {H "login a password b", NULL, "a:b"},
    {H "password b login a\n", NULL, "a:b"},
    {"machine\th.EXAMPLE\r\n\tlogin a\r\n\tpassword b\r\n", NULL, "a:b"},
    {"machine other login x password y\n" H "login a password b", NULL, "a:b"},
    {"machine h.example.org login x password y", NULL, "-"},
    {"machine x.h.example login x password y", NULL, "-"},
    {H "login a password b\n" H "login c password d", NULL, "a:b"},
    {H "login a password b\n" H "login c password d", "c", "c:d"},
    {H "login a password b\n" H "login c password d", "e", "-"},
    {H "login a password b\ndefault login a password c", "a", "a:b"},
    {H "login a password b", "A", "-"},
    {H "password b", "a", "-"},
    {"default login a password b", NULL, "a:b"},
    {"default login a password b\n" H "login c password d", NULL, "a:b"},
    {"machine x login c password d default login a password b", NULL, "a:b"},
    /* what belongs to one entry never leaks into another */
    {H "login a\nmachine other password b", NULL, "a:"},
    {H "\nmachine other login x password y", NULL, "-"},
    {"machine other login x password y\n" H, NULL, "-"},
    {H "account z login a account q password b account r", NULL, "a:b"},
    {"# machine h.example login x password y\n" H "login a password b", NULL,
     "a:b"},
    {H "# login x\nlogin a #password y\npassword b", NULL, "a:b"},
    {H "login a password #b", NULL, "a:#b"},
    /* macros are skipped, as far as the next empty line */
    {"macdef init\nlogin x\n" H "login x\n\n" H "login a password b", NULL,
     "a:b"},
    {H "login a password b\nmacdef init\nput x", NULL, "a:b"},
    {"macdef init", NULL, "-"},
    {"macdef init\r\nput\r\n\r\n" H "login a password b", NULL, "a:b"},
    /* quotes */
    {H "login \"a b\" password \"c\\\"d\\\\e\\n\\r\\t\\x\"", NULL,
     "a b:c\"d\\e\n\r\tx"},
    {"\tmachine \"h.example\" login \"\" password \"\"", NULL, ":"},
    {H "login machine password default", NULL, "machine:default"},
    {H "login a\\b password c\"d", NULL, "a\\b:c\"d"},
    {H "login a\npassword \"b", NULL, "2 a quote is not close"},
    {H "login a\npassword \"b\n\"", NULL, "2 a quote is not close"},
    {H "login a\npassword \"b\\", NULL, "2 a quote is not close"},
    {H "\n\nlogin", NULL, "3 the file ends behind"},
    {"machine", NULL, "1 the file ends behind"},
    {H "login a\nport 80\npassword b", NULL, "2 not a keyword: machi"},
    {"Machine h.example", NULL, "1 not a keyword: machi"},
    {"\"machine\" h.example", NULL, "1 not a keyword: machi"},
};

TEST(files_say_what_they_say)
{
    for (size_t i = 0; i < MS_COUNT(files); i++) {
        const char *got = ask(files[i].text, files[i].login);
        CHECK_THAT(!strcmp(got, files[i].want), "%s: %s", files[i].text, got);
    }
}

TEST(memory_may_run_out_anywhere)
{
    ms_err err = MS_ENOMEM;

    for (long nth = 1; err; nth++) {
        struct ms_netrc n = {0};
        CHECK(nth < 20);
        ms_mem_fail(nth, 1);
        err = find(&n, "machine x login y " H "login a password b", NULL);
        ms_mem_fail(0, 0);
        CHECK(err ? err == MS_ENOMEM && !n.found : n.found);
        ms_netrc_free(&n);
    }
}
