/* SPDX-License-Identifier: MIT
 *
 * options: a copy of a frozen set borrows from it, and nobody can tell; a set
 * that an easy has for one run is made anew for the next.
 */
#include "engine/options.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "engine/easy.h"
#include "unit.h"

static void set(struct ms_options *o, enum ms_option id, const char *value)
{
    CHECK(!ms_options_set_string(o, id, value, value ? strlen(value) : 0));
}

static void header(struct ms_options *o, enum ms_header_mode mode,
                   const char *name, const char *value)
{
    CHECK(
        !ms_options_header(o, mode, name, strlen(name), value, strlen(value)));
}

static bool is(const struct ms_buf *text, const char *what)
{
    return text->p && ms_span_equal(ms_buf_span(text), ms_span_text(what));
}

static bool sends(const struct ms_options *o, const char *lines)
{
    return ms_span_equal(ms_buf_span(&o->asked.sent.text), ms_span_text(lines));
}

/* One with a text, a header, a way and a profile. */
static struct ms_options *new_base(void)
{
    struct ms_options *o;

    CHECK(!ms_options_new(&o, NULL));
    set(o, MS_OPT_USER_AGENT, "me");
    set(o, MS_OPT_CONNECT_TO, "a=b");
    set(o, MS_OPT_TLS_CIPHERS, "HIGH");
    header(o, MS_HEADER_SET, "X-Base", "1");
    CHECK(!ms_options_set_bool(o, MS_OPT_DECOMPRESS, false));
    return o;
}

TEST(a_copy_of_a_frozen_set_borrows_its_texts_and_its_way)
{
    struct ms_options *base = new_base(), *o;

    ms_options_freeze(base);
    CHECK(!ms_options_new(&o, base));
    CHECK(o->lender == base && base->refs == 2);
    CHECK(o->user_agent.p == base->user_agent.p);
    CHECK(o->headers.text.p != base->headers.text.p);
    ms_options_free(base);
    ms_options_freeze(o);
    CHECK(!o->err && o->route == base->route);
    CHECK(o->tls_profile == base->tls_profile && o->tls_profile);
    CHECK(sends(o, "User-Agent: me\r\nAccept: */*\r\nX-Base: 1\r\n"));
    ms_options_free(o);
}

TEST(what_a_copy_sets_is_its_own)
{
    struct ms_options *base = new_base(), *o;

    ms_options_freeze(base);
    CHECK(!ms_options_new(&o, base));
    set(o, MS_OPT_USER_AGENT, "you");
    set(o, MS_OPT_CONNECT_TO, NULL);
    set(o, MS_OPT_METHOD, "PUT");
    header(o, MS_HEADER_SET, "x-base", "2");
    header(o, MS_HEADER_REMOVE, "Accept", "");
    ms_options_freeze(o);
    CHECK(is(&base->user_agent, "me") && is(&o->user_agent, "you"));
    CHECK(base->route && !o->route && o->tls_profile);
    CHECK(o->asked.has_body && !base->asked.has_body);
    CHECK(sends(o, "User-Agent: you\r\nx-base: 2\r\n"));
    CHECK(sends(base, "User-Agent: me\r\nAccept: */*\r\nX-Base: 1\r\n"));
    ms_options_free(o);
    CHECK(base->refs == 1 && is(&base->user_agent, "me"));
    ms_options_free(base);
}

TEST(a_copy_of_what_borrows_borrows_from_the_same)
{
    struct ms_options *base = new_base(), *o, *again;

    ms_options_freeze(base);
    CHECK(!ms_options_new(&o, base));
    set(o, MS_OPT_METHOD, "PUT");
    ms_options_freeze(o);
    CHECK(!ms_options_new(&again, o));
    CHECK(again->lender == base);
    ms_options_free(o);
    ms_options_free(base);
    CHECK(is(&again->user_agent, "me") && is(&again->method, "PUT"));
    ms_options_free(again);
}

TEST(a_copy_of_what_may_change_borrows_nothing)
{
    struct ms_options *base = new_base(), *o;

    CHECK(!ms_options_new(&o, base));
    CHECK(!o->lender && !o->same_way);
    set(base, MS_OPT_USER_AGENT, "other");
    CHECK(is(&o->user_agent, "me"));
    ms_options_free(base);
    ms_options_freeze(o);
    CHECK(!o->err && o->route && o->tls_profile);
    ms_options_free(o);
}

TEST(what_is_wrong_with_a_base_is_not_inherited)
{
    struct ms_options *base = new_base(), *o;

    set(base, MS_OPT_LOCAL_PORT, "nonsense");
    ms_options_freeze(base);
    CHECK(base->err == MS_EOPTION);
    CHECK(!ms_options_new(&o, base));
    set(o, MS_OPT_LOCAL_PORT, NULL);
    ms_options_freeze(o);
    CHECK(!o->err && o->route && o->tls_profile);
    ms_options_free(o);
    CHECK(!ms_options_new(&o, base));
    ms_options_freeze(o);
    CHECK(o->err == MS_EOPTION);
    ms_options_free(o);
    ms_options_free(base);
}

/* ---- sets for one run -----------------------------------------------------
 */

static struct ms_options *once(struct ms_easy *e, struct ms_options *base)
{
    struct ms_options *o;

    CHECK(!ms_easy_options_once(e, base, &o));
    CHECK(ms_easy_options(e) == o && !o->frozen && o->once);
    return o;
}

TEST(a_set_for_one_run_is_made_anew)
{
    struct ms_options *base = new_base();
    struct ms_easy *e;

    CHECK(!ms_easy_new(&e));
    ms_options_freeze(base);
    struct ms_options *o = once(e, base);
    set(o, MS_OPT_METHOD, "PUT");
    set(o, MS_OPT_CONNECT_TO, "c=d");
    header(o, MS_HEADER_SET, "X-Mine", "1");
    CHECK(!ms_options_set_int(o, MS_OPT_TIMEOUT_TOTAL, 5));
    ms_options_freeze(o);
    CHECK(o->route != base->route);

    CHECK(once(e, base) == o);
    CHECK(!o->method.p && o->timeout_total == -1);
    ms_options_freeze(o);
    CHECK(!o->err && o->route == base->route && !o->asked.has_body);
    CHECK(sends(o, "User-Agent: me\r\nAccept: */*\r\nX-Base: 1\r\n"));
    CHECK(base->refs == 2);
    ms_easy_close(e);
    CHECK(base->refs == 1);
    ms_options_free(base);
}

TEST(a_set_for_one_run_is_left_to_who_else_uses_it)
{
    struct ms_options *base = new_base();
    struct ms_easy *e, *other;

    CHECK(!ms_easy_new(&e) && !ms_easy_new(&other));
    struct ms_options *o = once(e, base);
    set(o, MS_OPT_METHOD, "PUT");
    ms_easy_set_options(other, o);
    CHECK(once(e, base) != o);
    CHECK(is(&o->method, "PUT") && o->refs == 1);
    ms_easy_set_options(e, base);
    CHECK(base->refs == 2);
    CHECK(once(e, base) != base && base->refs == 2); /* lent now */
    ms_easy_close(other);
    ms_easy_close(e);
    ms_options_free(base);
}

/* ---- copies of responses --------------------------------------------------
 */

/* What a response tells of its request, as lines. */
static void tell(const struct ms_response *r, char *buf, size_t cap)
{
    struct ms_field f;
    size_t n, at;

    const char *method = ms_response_method(r, &n);
    at = (size_t)snprintf(buf, cap, "%.*s\n", (int)n, method);
    for (size_t i = 0; ms_response_request_header(r, i, &f); i++)
        at += (size_t)snprintf(buf + at, cap - at, "%.*s: %.*s\n",
                               (int)f.name_len, f.name, (int)f.value_len,
                               f.value);
}

TEST(a_copy_with_its_request_depends_on_no_set)
{
    struct ms_options *o = new_base();
    struct ms_response *r = ms_response_new();
    char before[512], after[512];

    CHECK(r);
    set(o, MS_OPT_METHOD, "PATCH");
    set(o, MS_OPT_BODY, "body");
    header(o, MS_HEADER_SET, "Host", "by.hand");
    r->options = ms_options_use(o);
    r->url = MS_SPAN("http://a/");
    for (int by_hand = 0; by_hand < 2; by_hand++) {
        r->authority = by_hand ? o->asked.host : ms_span(r->url.p + 7, 1);
        tell(r, before, sizeof(before));
        void *block = ms_alloc(ms_response_copy_bytes(r, MS_COPY_REQUEST));
        CHECK(block);
        struct ms_response *copy = ms_response_copy(r, block, MS_COPY_REQUEST);
        if (by_hand)
            ms_response_free(r), ms_options_free(o);
        tell(copy, after, sizeof(after));
        CHECK_THAT(strcmp(before, after) == 0, "%s\n%s", before, after);
        CHECK(strncmp(after, "PATCH\nHost: ", 12) == 0);
        CHECK(strstr(after, by_hand ? "by.hand" : "Host: a\n"));
        CHECK(strstr(after, "Content-Length: 4\n"));
        ms_free(block);
    }
}
