/* SPDX-License-Identifier: MIT */
#include "net/route.h"

#include <string.h>

#include "base/mem.h"
#include "unit.h"

static struct ms_route_spec spec_of(enum ms_route_text which, const char *text)
{
    struct ms_route_spec s = ms_route_defaults;

    s.text[which] = ms_span_text(text);
    return s;
}

static ms_err try_text(enum ms_route_text which, const char *text)
{
    struct ms_route_spec s = spec_of(which, text);
    struct ms_route *r;
    ms_err err = ms_route_new(&r, &s);

    ms_route_unref(r);
    return err;
}

static struct ms_route *make(enum ms_route_text which, const char *text)
{
    struct ms_route_spec s = spec_of(which, text);
    struct ms_route *r;

    CHECK(ms_route_new(&r, &s) == MS_OK);
    return r;
}

TEST(who_asks_for_nothing_has_no_route)
{
    struct ms_route *r;

    CHECK(ms_route_new(&r, &ms_route_defaults) == MS_OK && !r);
    CHECK(ms_route_same(NULL, NULL) && ms_route_hash(NULL) == 0);
    CHECK(ms_route_ref(NULL) == NULL);
}

TEST(nonsense_is_refused)
{
    static const struct {
        enum ms_route_text which;
        const char *text;
    } cases[] = {{MS_ROUTE_RESOLVE, "a"},
                 {MS_ROUTE_RESOLVE, "a="},
                 {MS_ROUTE_RESOLVE, "a=b"},
                 {MS_ROUTE_RESOLVE, "=127.0.0.1"},
                 {MS_ROUTE_RESOLVE, "a:0=::1"},
                 {MS_ROUTE_RESOLVE, "a:65536=::1"},
                 {MS_ROUTE_RESOLVE, "a:x=::1"},
                 {MS_ROUTE_RESOLVE, "a=::1,127.1"},
                 {MS_ROUTE_RESOLVE, "a=::1\n\n"},
                 {MS_ROUTE_RESOLVE, "[::1=::1"},
                 {MS_ROUTE_RESOLVE, "[]=::1"},
                 {MS_ROUTE_RESOLVE, "a=::1;"},
                 {MS_ROUTE_RESOLVE, "a=::1;0"},
                 {MS_ROUTE_RESOLVE, "a=::1;x"},
                 {MS_ROUTE_RESOLVE, "a=;5"},
                 {MS_ROUTE_RESOLVE, "a=::1;99999999999"},
                 {MS_ROUTE_CONNECT_TO, "a=b;5"},
                 {MS_ROUTE_RESOLVE, "[::1]x=::1"},
                 {MS_ROUTE_CONNECT_TO, "a=:"},
                 {MS_ROUTE_CONNECT_TO, "a=:80"},
                 {MS_ROUTE_CONNECT_TO, "a=b:0"},
                 {MS_ROUTE_LOCAL_PORT, "0"},
                 {MS_ROUTE_LOCAL_PORT, "x"},
                 {MS_ROUTE_LOCAL_PORT, "5-4"},
                 {MS_ROUTE_LOCAL_PORT, "4-70000"},
                 {MS_ROUTE_LOCAL_PORT, "-4"},
                 {MS_ROUTE_UNIX, "@"},
                 {MS_ROUTE_ALLOW, "publik"}};
    char long_path[200];

    for (size_t i = 0; i < MS_COUNT(cases); i++)
        CHECK_THAT(try_text(cases[i].which, cases[i].text) == MS_EOPTION, "%s",
                   cases[i].text);
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    CHECK(try_text(MS_ROUTE_UNIX, long_path) == MS_EOPTION);
}

static uint64_t now_s;

/* "host[:port]" of the question, "address address..." of the answer. */
static void check_lookup(const struct ms_route *r, const char *host,
                         uint16_t port, const char *expected)
{
    struct ms_route_host h = {ms_span_text(host), port};
    struct ms_route_found found;
    char got[256] = "", text[MS_ADDR_TEXT];
    size_t n = ms_route_lookup(r, &h, now_s * 1000000u, &found);

    for (size_t i = 0; i < n; i++) {
        strcat(got, i ? " " : "");
        strcat(got, ms_addr_host_text(&found.list[i], text));
    }
    CHECK_THAT(strcmp(got, expected) == 0, "%s:%u: %s", host, port, got);
}

TEST(names_stand_for_what_was_given)
{
    struct ms_route *r =
        make(MS_ROUTE_RESOLVE, "a.test=127.0.0.1\n"
                               "a.test:443=127.0.0.2,::2,[::3]\n"
                               "::1=127.0.0.4\n"
                               "[::2]:80=127.0.0.5\n"
                               "many=::1,::2,::3,::4,::5\n");

    check_lookup(r, "a.test", 80, "127.0.0.1");
    check_lookup(r, "a.test", 443, "127.0.0.2 ::2 ::3");
    check_lookup(r, "A.TEST", 80, "127.0.0.1");
    check_lookup(r, "b.a.test", 80, "");
    check_lookup(r, "[::1]", 80, "127.0.0.4");
    check_lookup(r, "[::2]", 80, "127.0.0.5");
    check_lookup(r, "[::2]", 81, "");
    check_lookup(r, "many", 80, "::1 ::2 ::3 ::4 ::5");
    ms_route_unref(r);
}

static struct ms_route *make_for_a_time(const char *text)
{
    struct ms_route_spec spec = ms_route_defaults;
    struct ms_route *r = NULL;

    spec.text[MS_ROUTE_RESOLVE] = ms_span_text(text);
    CHECK(ms_route_has_lifetimes(spec.text[MS_ROUTE_RESOLVE]));
    CHECK(!ms_first_use_new(&spec.use));
    CHECK(!ms_route_new(&r, &spec));
    ms_first_use_unref(spec.use);
    return r;
}

/* Lifetimes count from the first use and do not run before it. */
TEST(names_stand_for_it_as_long_as_was_said)
{
    const char text[] = "a.test:80=127.0.0.2,::2;20\na.test=127.0.0.1\n"
                        "b.test=127.0.0.3;10\n";
    struct ms_route *r = make_for_a_time(text);
    struct ms_route *again = make_for_a_time(text);

    CHECK(ms_route_same(r, again));
    now_s = 100;
    ms_route_renew(r, r, now_s * 1000000u);
    now_s = 109;
    ms_route_renew(r, r, now_s * 1000000u);
    check_lookup(r, "b.test", 80, "127.0.0.3");
    now_s = 110;
    check_lookup(r, "b.test", 80, "");
    check_lookup(r, "a.test", 80, "127.0.0.2 ::2");
    ms_route_renew(r, again, now_s * 1000000u);
    check_lookup(r, "b.test", 80, "127.0.0.3");
    now_s = 130;
    check_lookup(r, "a.test", 80, "127.0.0.1");
    ms_route_unref(again);
    ms_route_unref(r);
}

static void check_redirect(const struct ms_route *r, const char *host,
                           uint16_t port, const char *to, uint16_t to_port)
{
    struct ms_route_host h = {ms_span_text(host), port};

    ms_route_redirect(r, &h);
    CHECK_THAT(ms_span_equal(h.name, ms_span_text(to)) && h.port == to_port,
               "%s:%u: %.*s:%u", host, port, (int)h.name.n, h.name.p, h.port);
}

TEST(connections_go_where_they_are_sent)
{
    struct ms_route *r =
        make(MS_ROUTE_CONNECT_TO, "a:80=b:8080\na=c\nd:1=[::1]:2\ne=::1");

    check_redirect(r, "a", 80, "b", 8080);
    check_redirect(r, "a", 81, "c", 81);
    check_redirect(r, "d", 1, "::1", 2);
    check_redirect(r, "d", 2, "d", 2);
    check_redirect(r, "e", 9, "::1", 9);
    ms_route_unref(r);
}

static ms_err only_loopback_port_80(struct ms_multi *multi, void *user,
                                    const char *address, uint16_t port)
{
    CHECK(!multi);
    ++*(int *)user;
    return strcmp(address, "127.0.0.1") == 0 && port == 80 ? MS_OK
                                                           : MS_EADDRESS;
}

static void count_release(void *user)
{
    *(int *)user += 100;
}

static struct ms_guard *new_guard(int *calls)
{
    struct ms_guard *g = ms_zalloc(sizeof(*g));

    CHECK(g);
    *g = (struct ms_guard){1, only_loopback_port_80, calls, calls,
                           count_release};
    return g;
}

static bool allows(const struct ms_route *r, const char *address, uint16_t port)
{
    struct ms_addr a;

    CHECK(ms_addr_parse(ms_span_text(address), &a));
    ms_addr_set_port(&a, port);
    return ms_route_check(r, NULL, &a) == MS_OK;
}

TEST(a_guard_is_asked_and_released)
{
    int calls = 0;
    struct ms_route_spec s = ms_route_defaults;
    struct ms_route *r;

    s.guard = new_guard(&calls);
    CHECK(ms_route_new(&r, &s) == MS_OK && r);
    ms_guard_unref(s.guard);
    CHECK(allows(r, "127.0.0.1", 80) && !allows(r, "127.0.0.1", 81));
    CHECK(!allows(r, "::ffff:127.0.0.1", 80) && calls == 3);
    ms_route_unref(r);
    CHECK(calls == 103);
}

TEST(the_public_policy)
{
    struct ms_route *r = make(MS_ROUTE_ALLOW, "public");

    CHECK(allows(r, "8.8.8.8", 80) && !allows(r, "127.0.0.1", 80));
    ms_route_unref(r);
    CHECK(try_text(MS_ROUTE_ALLOW, "any") == MS_OK);
}

/* Whatever is set makes another route, and an equal one where it is the
 * same. */
TEST(every_member_counts)
{
    static const char *const texts[MS_ROUTE_TEXTS] = {
        "a=::1", "a=b", "127.0.0.1", "lo", "4000-4001", "/tmp/x", "public"};
    struct ms_route *all[MS_ROUTE_NUMBERS + MS_ROUTE_TEXTS], *again;

    for (size_t i = 0; i < MS_COUNT(all); i++) {
        struct ms_route_spec s = ms_route_defaults;
        if (i < MS_ROUTE_NUMBERS)
            s.number[i] = 6;
        else
            s.text[i - MS_ROUTE_NUMBERS] =
                ms_span_text(texts[i - MS_ROUTE_NUMBERS]);
        CHECK(ms_route_new(&all[i], &s) == MS_OK && all[i]);
        CHECK(ms_route_new(&again, &s) == MS_OK);
        CHECK(ms_route_same(all[i], again) && !ms_route_same(all[i], NULL));
        CHECK(ms_route_hash(all[i]) == ms_route_hash(again));
        ms_route_unref(again);
        for (size_t j = 0; j < i; j++)
            CHECK(!ms_route_same(all[i], all[j]));
    }
    for (size_t i = 0; i < MS_COUNT(all); i++)
        ms_route_unref(all[i]);
}

TEST(a_route_needs_memory)
{
    struct ms_route_spec s = spec_of(MS_ROUTE_UNIX, "/tmp/x");
    struct ms_route *r;

    ms_mem_fail(1, 1);
    CHECK(ms_route_new(&r, &s) == MS_ENOMEM && !r);
    ms_mem_fail(0, 0);
}
