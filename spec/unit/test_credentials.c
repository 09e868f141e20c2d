/* SPDX-License-Identifier: MIT
 *
 * Credentials from hop to hop without a network, and without memory at every
 * place in turn: a run that fails leaves nothing, and the next one works.
 */
#include "engine/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/policy.h"
#include "engine/run_parts.h"
#include "unit.h"

#define CHALLENGE                                                              \
    "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", opaque=\"o\", "            \
    "algorithm=SHA-256"

static struct ms_multi *multi;
static struct ms_easy *easy;
static char netrc_path[] = "/tmp/netrc.XXXXXX";

static void set(struct ms_options *o, enum ms_option id, const char *text)
{
    CHECK(!ms_options_set_string(o, id, text, strlen(text)));
}

/* An easy that is added and will never be driven. */
static void open_world(const char *url, bool digest, const char *user,
                       const char *netrc)
{
    struct ms_options *o;

    CHECK(!ms_multi_new(&multi) && !ms_easy_new(&easy));
    CHECK(!ms_options_new(&o, NULL));
    CHECK(!ms_options_set_bool(o, MS_OPT_AUTH_DIGEST, digest));
    if (user) {
        set(o, MS_OPT_AUTH_USER, user);
        set(o, MS_OPT_AUTH_PASSWORD, "secret");
    }
    if (netrc)
        set(o, MS_OPT_NETRC, netrc);
    ms_easy_set_options(easy, o);
    ms_options_free(o);
    CHECK(!ms_easy_set_url(easy, url, strlen(url)));
    CHECK(!ms_multi_add(multi, easy));
    CHECK(!ms_url_parse(&easy->url, ms_span_text(url), NULL, NULL));
    CHECK(!ms_agent_need(easy));
}

static void close_world(void)
{
    ms_easy_close(easy);
    ms_multi_free(multi);
}

/* The response of the hop. */
static void respond(uint16_t status, const char *name, const char *value)
{
    struct ms_head *h = &easy->response->head;

    ms_head_clear(h);
    h->status = status;
    if (name)
        CHECK(!ms_fields_add(&h->fields, ms_span_text(name),
                             ms_span_text(value)));
}

/* The Authorization of the hop, no p: none. */
static struct ms_span sent(void)
{
    const struct ms_fields *f = &easy->response->trip->sent;
    size_t i = ms_fields_find(f, MS_SPAN("authorization"), 0);

    return i == SIZE_MAX ? (struct ms_span){0} : ms_fields_value(f, i);
}

static bool begins(struct ms_span s, const char *text)
{
    return s.n >= strlen(text) && memcmp(s.p, text, strlen(text)) == 0;
}

/* Without, challenged, with, accepted and told the next nonce, with. */
static ms_err exchange(void)
{
    enum ms_then then = MS_THEN_DELIVER;
    const char *why = NULL;
    ms_err err = ms_policy_before_hop(easy, &why);

    if (err)
        return err;
    CHECK(!sent().p);
    if ((err = ms_credentials_after_head(easy, &then, &why)))
        return err;
    CHECK(then == MS_THEN_AGAIN);
    if ((err = ms_policy_before_hop(easy, &why)))
        return err;
    CHECK(begins(sent(), "Digest username=\"anna\", realm=\"r\", nonce=\"n\""));
    return MS_OK;
}

static ms_err accepted(void)
{
    enum ms_then then = MS_THEN_DELIVER;
    const char *why = NULL;
    ms_err err = ms_credentials_after_head(easy, &then, &why);

    CHECK(then == MS_THEN_DELIVER);
    return err ? err : ms_policy_before_hop(easy, &why);
}

TEST(digest_does_without_memory_anywhere)
{
    ms_err err = MS_ENOMEM;

    for (long nth = 1; err; nth++) {
        CHECK(nth < 100);
        open_world("http://h/", true, "anna", NULL);
        respond(401, "WWW-Authenticate", CHALLENGE);
        ms_mem_fail(nth, 1);
        err = exchange();
        ms_mem_fail(0, 0);
        CHECK(!err || err == MS_ENOMEM);
        close_world();
    }
    err = MS_ENOMEM;
    for (long nth = 1; err; nth++) {
        CHECK(nth < 100);
        open_world("http://h/", true, "anna", NULL);
        respond(401, "WWW-Authenticate", CHALLENGE);
        CHECK(!exchange());
        respond(200, "Authentication-Info", "nextnonce=\"m\"");
        ms_mem_fail(nth, 1);
        err = accepted();
        ms_mem_fail(0, 0);
        CHECK(!err || err == MS_ENOMEM);
        if (!err)
            CHECK(memmem(sent().p, sent().n, "nonce=\"m\"", 9));
        close_world();
    }
}

/* One hop with credentials from elsewhere. */
static void check_hop(const char *url, const char *netrc, const char *want)
{
    ms_err err = MS_ENOMEM;

    for (long nth = 1; err; nth++) {
        const char *why = NULL;
        CHECK(nth < 100);
        open_world(url, false, NULL, netrc);
        ms_mem_fail(nth, 1);
        err = ms_policy_before_hop(easy, &why);
        ms_mem_fail(0, 0);
        CHECK_THAT(!err || err == MS_ENOMEM, "%s", why ? why : "");
        if (!err)
            CHECK(ms_span_equal(sent(), ms_span_text(want)));
        close_world();
    }
}

TEST(a_url_and_a_file_do_without_memory_anywhere)
{
    int fd = mkstemp(netrc_path);

    CHECK(fd >= 0 && dprintf(fd, "machine h login anna password b") > 0);
    close(fd);
    check_hop("http://an%6ea:b@h/", NULL, "Basic YW5uYTpi");
    check_hop("http://h/", netrc_path, "Basic YW5uYTpi");
    check_hop("http://anna@h/", netrc_path, "Basic YW5uYTpi");
    unlink(netrc_path);
}
