/* SPDX-License-Identifier: MIT
 *
 * test_jar.c - the cookie jar by RFC 6265bis, 5.7 and 5.8: what it takes from
 * whom, what it keeps and sends; its limits; its file; memory that runs out.
 */
#include "proto/jar.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "proto/host.h"
#include "proto/jar_file.h"
#include "proto/suffix.h"
#include "unit.h"

#define NOW INT64_C(1700000000)

/* ---- a jar with words
 * -------------------------------------------------------- */

struct world {
    struct ms_jar jar;
    struct ms_url url;
    struct ms_buf line;
    int64_t now_s;
};

static void begin(struct world *w)
{
    *w = (struct world){.now_s = NOW};
    ms_jar_init(&w->jar);
}

static void end(struct world *w)
{
    ms_jar_fini(&w->jar);
    ms_url_free(&w->url);
    ms_buf_free(&w->line);
}

static void go_to(struct world *w, const char *url)
{
    CHECK_THAT(!ms_url_parse(&w->url, ms_span_text(url), NULL, NULL), "%s",
               url);
}

/* Why the cookie is refused; NULL: it is not. */
static const char *take_span(struct world *w, const char *url,
                             struct ms_span line)
{
    const char *why;

    go_to(w, url);
    CHECK(!ms_jar_take(&w->jar, &w->url, line, w->now_s, &why));
    CHECK_THAT(!ms_jar_check(&w->jar), "%s", ms_jar_check(&w->jar));
    return why;
}

static const char *take(struct world *w, const char *url, const char *line)
{
    return take_span(w, url, ms_span_text(line));
}

/* What is sent to `url`, as text that the next call changes. */
static const char *sent(struct world *w, const char *url)
{
    go_to(w, url);
    ms_buf_clear(&w->line);
    CHECK(!ms_jar_line(&w->jar, &w->url, w->now_s, &w->line));
    CHECK(!ms_buf_add(&w->line, "", 1));
    CHECK_THAT(!ms_jar_check(&w->jar), "%s", ms_jar_check(&w->jar));
    return w->line.p + w->line.from;
}

#define CHECK_SENT(w, url, want)                                               \
    CHECK_THAT(!strcmp(sent(w, url), want), "%s gets %s", url, sent(w, url))

/* ---- whose cookies (5.7, steps 7 to 10)
 * ---------------------------------------- */

struct row {
    const char *from, *line, *to, *want;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct world w;
        begin(&w);
        take(&w, rows[i].from, rows[i].line);
        const char *got = sent(&w, rows[i].to);
        CHECK_THAT(!strcmp(got, rows[i].want), "%s from %s: %s gets \"%s\"",
                   rows[i].line, rows[i].from, rows[i].to, got);
        end(&w);
    }
}

#define AT "http://a.example.org/"

TEST(a_cookie_is_its_hosts_unless_a_domain_says_more)
{
    static const struct row rows[] = {
        {AT, "a=b", AT, "a=b"},
        {AT, "a=b", "http://x.a.example.org/", ""},
        {AT, "a=b", "http://example.org/", ""},
        {AT, "a=b", "http://A.Example.ORG:81/x", "a=b"}, /* no port */
        {AT, "a=b", "https://a.example.org/", "a=b"},    /* no scheme */
        {AT, "a=b; domain=", AT, "a=b"},
        {AT, "a=b; domain=.", "http://x.a.example.org/", ""},
        {AT, "a=b; domain=a.example.org", "http://x.a.example.org/", "a=b"},
        {AT, "a=b; domain=.example.org", "http://b.example.org/", "a=b"},
        {AT, "a=b; domain=eXample.ORG", "http://example.org/", "a=b"},
        {AT, "a=b; domain=example.org", "http://badexample.org/", ""},
        {AT, "a=b; domain=..example.org", AT, ""},
        {AT, "a=b; domain=example..org", AT, ""},
        {AT, "a=b; domain=b.example.org", "http://b.example.org/", ""},
        {AT, "a=b; domain=x.a.example.org", "http://x.a.example.org/", ""},
        {AT, "a=b; domain=example.com", "http://example.com/", ""},
        {AT, "a=b; domain=\"example.org\"", AT, ""},
        {AT, "a=b; domain=example.org:80", AT, ""},
        {AT, "a=b; domain=http://a.example.org", AT, ""},
        {AT, "a=b; domain=\xc3\xa9.org", AT, ""},
        {AT, "a=b; domain=org", AT, ""}, /* public suffix */
        {AT, "a=b; domain=.org", "http://b.org/", ""},
        {AT, "a=b; domain=example.com; domain=example.org", AT, "a=b"},
        {AT, "a=b; domain=example.org; domain=example.com", AT, ""},
        {"http://localhost/", "a=b; domain=localhost", "http://localhost/",
         "a=b"},
        {"http://localhost/", "a=b; domain=localhost", "http://x.localhost/",
         ""},
    };

    check_rows(rows, MS_COUNT(rows));
}

TEST(a_domain_longer_than_a_name_is_refused_as_that)
{
    struct world w;
    char line[MS_HOST_MAX + 32] = "a=b; domain=";
    size_t from = strlen(line);

    begin(&w);
    memset(line + from, 'x', MS_HOST_MAX + 1);
    const char *why = take(&w, AT, line);
    CHECK(why && !strcmp(why, "its domain is too long"));
    line[from + MS_HOST_MAX] = 0;
    why = take(&w, AT, line);
    CHECK(why && !strcmp(why, "its domain is not that of the URL"));
    end(&w);
}

/* The two words have one hash, and so have whatever begins with them. */
TEST(one_hash_makes_no_two_hosts_or_names_the_same)
{
    struct world w;

    CHECK(ms_span_hash(MS_SPAN("costarring.org"), 0) ==
          ms_span_hash(MS_SPAN("liquid.org"), 0));
    begin(&w);
    CHECK(!take(&w, "https://costarring.org/", "liquid=1; secure"));
    CHECK_SENT(&w, "https://liquid.org/", "");
    CHECK(!take(&w, "http://costarring.org/", "costarring=2"));
    CHECK(!take(&w, "http://liquid.org/", "liquid=3"));
    CHECK(take(&w, "http://costarring.org/", "liquid=4"));
    CHECK_SENT(&w, "https://costarring.org/", "liquid=1; costarring=2");
    CHECK_SENT(&w, "http://liquid.org/", "liquid=3");
    end(&w);
}

/* E2: dots and case. */
TEST(a_dot_at_the_end_of_a_host_is_nothing)
{
    static const struct row rows[] = {
        {"http://a.example.org./", "a=b", AT, "a=b"},
        {AT, "a=b", "http://a.example.org./", "a=b"},
        {"http://a.example.org./", "a=b; domain=example.org", AT, "a=b"},
        /* In a Domain it names nobody (CVE-2022-27779). */
        {"http://a.example.org./", "a=b; domain=example.org.", AT, ""},
        {AT, "a=b; domain=a.example.org.", AT, ""},
        {"http://a.org./", "a=b; domain=org.", "http://b.org./", ""},
        {"http://a.org./", "a=b; domain=.org.", "http://b.org/", ""},
        {"http://a.org./", "a=b; domain=OrG", "http://b.org/", ""},
    };

    check_rows(rows, MS_COUNT(rows));
}

/* E2: addresses. */
TEST(addresses_have_no_subdomains)
{
    static const struct row rows[] = {
        {"http://127.0.0.1/", "a=b", "http://127.0.0.1/", "a=b"},
        {"http://127.0.0.1/", "a=b", "http://127.0.0.2/", ""},
        {"http://127.0.0.1/", "a=b; domain=127.0.0.1", "http://127.0.0.1/",
         "a=b"},
        {"http://127.0.0.1/", "a=b; domain=0.0.1", "http://127.0.0.1/", ""},
        {"http://127.0.0.1/", "a=b; domain=.1", "http://127.0.0.1/", ""},
        {"http://127.1/", "a=b", "http://0x7f000001/", "a=b"},
        {"http://[::1]/", "a=b", "http://[0:0::1]/", "a=b"},
        {"http://[::1]/", "a=b; domain=[::1]", "http://[::1]/", "a=b"},
        {"http://[::1]/", "a=b; domain=::1", "http://[::1]/", ""},
    };

    check_rows(rows, MS_COUNT(rows));
}

/* E2: suffixes. */
TEST(suffixes_of_the_list_get_no_cookies)
{
    static const struct row rows[] = {
        {"http://a.co.uk/", "a=b; domain=co.uk", "http://b.co.uk/", ""},
        {"http://a.co.uk/", "a=b; domain=.CO.uK", "http://b.co.uk/", ""},
        {"http://a.co.uk/", "a=b; domain=co.uk", "http://a.co.uk/", ""},
        {"http://a.co.uk/", "a=b; domain=a.co.uk", "http://b.a.co.uk/", "a=b"},
        /* From the suffix itself it is the host's alone (step 9). */
        {"http://co.uk/", "a=b; domain=co.uk", "http://co.uk/", "a=b"},
        {"http://co.uk/", "a=b; domain=co.uk", "http://b.co.uk/", ""},
        {"http://a.xn--55qx5d.cn/", "a=b; domain=xn--55qx5d.cn",
         "http://b.xn--55qx5d.cn/", ""},
    };

    if (ms_suffix_version())
        check_rows(rows, MS_COUNT(rows));
}

TEST(paths_come_from_the_line_or_from_the_url)
{
    static const struct row rows[] = {
        {AT "x/y", "a=b", AT "x/z", "a=b"},
        {AT "x/y", "a=b", AT "x", "a=b"},
        {AT "x/y", "a=b", AT "xy", ""},
        {AT "x/y", "a=b", AT, ""},
        {AT "x", "a=b", AT, "a=b"},
        {AT "x?q=/y/z", "a=b", AT, "a=b"},
        {AT "x/y", "a=b; path=/", AT, "a=b"},
        {AT "x/y", "a=b; path=z", AT "x/z", "a=b"},
        {AT "x/y", "a=b; path=/q; path=", AT "x/z", "a=b"},
        {AT, "a=b; path=/other", AT "other/1", "a=b"},
        {AT, "a=b; path=/f%6fo", AT "foo", ""},
        {AT, "a=b; path=/foo?", AT "foo", ""},
    };

    check_rows(rows, MS_COUNT(rows));
}

/* ---- Secure, prefixes
 * --------------------------------------------------------- */

#define TLS "https://a.example.org/"

TEST(secure_cookies_come_and_go_by_tls_only)
{
    static const struct row rows[] = {
        {TLS, "a=b; secure", TLS, "a=b"},
        {TLS, "a=b; secure", AT, ""},
        {AT, "a=b; secure", TLS, ""},
        {TLS, "a=b", AT, "a=b"},
        {TLS, "a=b; HttpOnly; SameSite=Strict", AT, "a=b"},
        {"http://localhost/", "a=b; secure", "http://localhost/", ""},
    };

    check_rows(rows, MS_COUNT(rows));
}

TEST(without_tls_nobody_hides_a_secure_cookie)
{
    static const struct {
        const char *secure, *url, *line;
        bool refused;
    } cases[] = {
        {"a=1; secure", AT, "a=2", true},
        {"a=1; secure", AT, "a=; max-age=0", true},
        {"a=1; secure", AT, "A=2", false}, /* names have case */
        {"a=1; secure", "http://b.example.org/", "a=2", false},
        {"a=1; secure", AT, "a=2; domain=example.org", true},
        {"a=1; secure; domain=example.org", AT, "a=2", true},
        {"a=1; secure; domain=example.org", "http://b.example.org/", "a=2",
         true},
        {"a=1; secure; path=/x", AT, "a=2; path=/", false},
        {"a=1; secure; path=/x", AT, "a=2; path=/x/y", true},
        {"a=1; secure; path=/x", AT, "a=2; path=/x", true},
        {"a=1; secure; path=/x", AT, "a=2; path=/xy", false},
        {"a=1; secure", TLS, "a=2", false},
        {"a=1", AT, "a=2", false},
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        struct world w;
        begin(&w);
        CHECK(!take(&w, TLS, cases[i].secure));
        const char *why = take(&w, cases[i].url, cases[i].line);
        CHECK_THAT(!why == !cases[i].refused, "%s, then %s from %s",
                   cases[i].secure, cases[i].line, cases[i].url);
        end(&w);
    }
}

/* E3: prefixes. */
TEST(names_that_promise_are_held_to_it)
{
    static const struct row rows[] = {
        {TLS, "__Secure-a=b; secure", TLS, "__Secure-a=b"},
        {TLS, "__Secure-a=b", TLS, ""},
        {TLS, "__sEcUrE-a=b", TLS, ""},
        {AT, "__Secure-a=b; secure", TLS, ""},
        {TLS, "__Secure-a=b; secure; domain=example.org; path=/x", TLS "x",
         "__Secure-a=b"},
        {TLS, "__Host-a=b; secure; path=/", TLS, "__Host-a=b"},
        {TLS, "__Host-a=b; secure; path=/; domain=", TLS, "__Host-a=b"},
        {TLS, "__Host-a=b; path=/", TLS, ""},
        {TLS, "__Host-a=b; secure", TLS, ""}, /* the default does not do */
        {TLS, "__Host-a=b; secure; path=", TLS, "__Host-a=b"},
        {TLS, "__Host-a=b; secure; path=/x", TLS "x", ""},
        {TLS, "__hOsT-a=b; secure; path=/x", TLS "x", ""},
        {TLS, "__Host-a=b; secure; path=/; domain=a.example.org", TLS, ""},
        {"https://127.0.0.1/", "__Host-a=b; secure; path=/; domain=127.0.0.1",
         "https://127.0.0.1/", ""},
        {TLS, "=__Host-a=b; secure; path=/", TLS, ""},
        {TLS, "__secure-a; secure", TLS, ""},
        {TLS, "_Host-a=b", TLS, "_Host-a=b"},
    };

    check_rows(rows, MS_COUNT(rows));
}

/* Nobody who asks to be sent by any site's requests may be read on the way
 * (5.7, step 19). */
TEST(same_site_none_asks_for_secure)
{
    static const struct row rows[] = {
        {TLS, "a=b; secure; SameSite=None", TLS, "a=b"},
        {TLS, "a=b; SameSite=None", TLS, ""},
        {AT, "a=b; samesite=nOnE", AT, ""},
        {AT, "a=b; secure; SameSite=None", TLS, ""},
        {AT, "a=b; SameSite=None; SameSite=Lax", AT, "a=b"},
        {AT, "a=b; SameSite=Lax; SameSite=None", AT, ""},
        {AT, "a=b; SameSite=None; SameSite=odd", AT, "a=b"},
        {AT, "a=b; SameSite=Nones", AT, "a=b"},
        {AT, "a=b; SameSite=Strict", AT, "a=b"},
    };

    check_rows(rows, MS_COUNT(rows));
}

/* ---- keeping and sending (5.7, 5.8)
 * --------------------------------------------- */

TEST(the_same_name_domain_and_path_are_one_cookie)
{
    struct world w;

    begin(&w);
    CHECK(!take(&w, AT, "a=1"));
    CHECK(!take(&w, AT, "b=2"));
    w.now_s++;
    CHECK(!take(&w, AT, "a=3; HttpOnly"));
    CHECK_SENT(&w, AT, "a=3; b=2"); /* its age is that of the first */
    CHECK(w.jar.count == 2);
    CHECK(!take(&w, AT, "a=4; path=/x"));
    CHECK(!take(&w, AT, "a=5; domain=a.example.org")); /* not host-only */
    CHECK_SENT(&w, AT "x", "a=4; a=3; b=2; a=5");
    CHECK(!take(&w, AT, "a=; max-age=0"));
    CHECK_SENT(&w, AT "x", "a=4; b=2; a=5");
    CHECK(!take(&w, AT, "a=6"));
    CHECK_SENT(&w, AT, "b=2; a=5; a=6"); /* a new one is young again */
    end(&w);
}

/* 5.7, step 23: the old one's age, all else is the new one's. */
TEST(a_cookie_that_is_set_again_keeps_only_its_age)
{
    struct world w;
    struct ms_jar_found all = {0};

    begin(&w);
    CHECK(!take(&w, TLS, "a=1; secure; HttpOnly; max-age=9; samesite=lax"));
    w.now_s += 3;
    CHECK(!take(&w, TLS, "a=22"));
    CHECK(!ms_jar_all(&w.jar, w.now_s, &all) && all.count == 1);
    const struct ms_cookie *c = all.list[0];
    CHECK(c->created_s == NOW && c->expires_s == MS_COOKIE_SESSION);
    CHECK(!c->secure && !c->http_only && c->same_site == MS_SAME_SITE_DEFAULT);
    CHECK(ms_span_equal(ms_cookie_value(c), MS_SPAN("22")));
    ms_jar_found_free(&all);
    w.now_s += 100; /* nor does the old end come for it */
    CHECK_SENT(&w, AT, "a=22");
    end(&w);
}

TEST(longer_paths_go_first_then_older_ones)
{
    struct world w;

    begin(&w);
    CHECK(!take(&w, AT "p/q", "a=1"));
    CHECK(!take(&w, AT, "c=2; path=/p"));
    CHECK(!take(&w, AT, "b=3; path=/"));
    CHECK(!take(&w, AT, "b=4; path=/; domain=example.org"));
    CHECK(!take(&w, AT, "b=5; path=/p/q; domain=example.org"));
    CHECK(!take(&w, AT, "a=6; path=/p/"));
    CHECK_SENT(&w, AT "p/q/r", "b=5; a=6; a=1; c=2; b=3; b=4");
    CHECK_SENT(&w, AT "p/q/r", "b=5; a=6; a=1; c=2; b=3; b=4");
    end(&w);
}

TEST(nameless_cookies_are_their_value)
{
    struct world w;

    begin(&w);
    CHECK(!take(&w, AT, "x"));
    CHECK(!take(&w, AT, "a="));
    CHECK(!take(&w, AT, "=y"));
    CHECK_SENT(&w, AT, "y; a=");
    CHECK(w.jar.count == 2);
    end(&w);
}

TEST(cookies_end_with_their_time)
{
    struct world w;

    begin(&w);
    CHECK(!take(&w, AT, "a=1; max-age=10"));
    CHECK(!take(&w, AT, "b=2; max-age=20"));
    CHECK(!take(&w, AT, "c=3"));
    CHECK(!take(&w, AT, "d=4; expires=Thu, 01 Jan 1970 00:00:00 GMT"));
    CHECK(!take(&w, AT, "e=5; expires=Mon, 01 Jan 1601 00:00:00 GMT"));
    w.now_s = NOW + 9;
    CHECK_SENT(&w, AT, "a=1; b=2; c=3");
    w.now_s = NOW + 10;
    CHECK_SENT(&w, AT, "b=2; c=3");
    CHECK(w.jar.count == 2);
    CHECK(!take(&w, AT, "f=6; expires=Tue, 14 Nov 2023 22:13:30 GMT"));
    CHECK(w.jar.count == 2); /* that is now */
    w.now_s = NOW - 3600;    /* the clock was put back */
    CHECK_SENT(&w, AT, "b=2; c=3");
    w.now_s = NOW + MS_COOKIE_AGE_MAX_S;
    CHECK_SENT(&w, AT, "c=3");
    end(&w);
}

/* "cN=xN" for `url`, with `more` behind. */
static void take_numbered(struct world *w, const char *url, unsigned n,
                          const char *more)
{
    char line[64];

    snprintf(line, sizeof(line), "c%u=x%u%s", n, n, more);
    CHECK(!take(w, url, line));
}

/* E5: per host. */
TEST(a_host_has_180_cookies_and_secure_ones_stay)
{
    struct world w;

    begin(&w);
    take_numbered(&w, TLS, 1000, "; secure");
    for (unsigned i = 0; i < MS_JAR_HOST_MAX + 9; i++)
        take_numbered(&w, AT "p/", i, "");
    CHECK(w.jar.count == MS_JAR_HOST_MAX);
    CHECK_SENT(&w, TLS, "c1000=x1000"); /* the oldest of all */
    const char *line = sent(&w, AT "p/");
    CHECK(strstr(line, "c10=") == line); /* 0 to 9 had to go */
    for (unsigned i = 0; i < MS_JAR_HOST_MAX; i++)
        take_numbered(&w, TLS, i, "; path=/; secure");
    CHECK(w.jar.count == MS_JAR_HOST_MAX);
    CHECK_SENT(&w, AT "p/", "");
    end(&w);
}

/* Who goes when a host has too many: what is over, then the one that was not
 * sent for longest of those that are not Secure, then of those that are
 * (5.7, the end). */
TEST(a_host_loses_what_was_not_sent_for_long)
{
    struct world w;

    begin(&w);
    CHECK(!take(&w, TLS, "s=1; secure"));
    CHECK(!take(&w, AT, "over=1; max-age=5"));
    for (unsigned i = 2; i < MS_JAR_HOST_MAX; i++)
        take_numbered(&w, AT, i, i % 2 ? "; path=/odd" : "; path=/even");
    CHECK(w.jar.count == MS_JAR_HOST_MAX);
    CHECK(strstr(sent(&w, AT "odd"), "c3=x3")); /* and so all odd ones */
    w.now_s += 5;
    CHECK(!take(&w, AT, "a=1; path=/new")); /* for the one that is over */
    CHECK(strstr(sent(&w, AT "even"), "c2=x2; c4=x4;"));
    CHECK(!take(&w, AT, "b=1; path=/new")); /* for c3: sent before c2 */
    CHECK(!strstr(sent(&w, AT "odd"), "c3=x3"));
    CHECK_SENT(&w, AT "new", "a=1; b=1");
    CHECK_SENT(&w, TLS, "s=1");
    for (unsigned i = 0; i < 2 * MS_JAR_HOST_MAX; i++)
        take_numbered(&w, TLS, i, "; secure; path=/tls");
    CHECK(w.jar.count == MS_JAR_HOST_MAX);
    CHECK_SENT(&w, TLS, ""); /* s in its turn */
    CHECK_SENT(&w, AT "new", "");
    end(&w);
}

/* It is what nobody without TLS can bring that stays. */
TEST(a_host_full_of_secure_ones_takes_no_other)
{
    struct world w;

    begin(&w);
    for (unsigned i = 0; i < MS_JAR_HOST_MAX; i++)
        take_numbered(&w, TLS, i, "; secure; path=/tls");
    CHECK(!take(&w, AT, "a=1"));
    CHECK_SENT(&w, TLS, "");
    CHECK(w.jar.count == MS_JAR_HOST_MAX);
    CHECK(!take(&w, "http://b.example.org/", "a=1; domain=example.org"));
    CHECK_SENT(&w, TLS, "a=1"); /* another domain */
    end(&w);
}

/* E5: in all. */
TEST(what_was_not_sent_for_long_goes_first)
{
    struct world w;
    char url[64];

    begin(&w);
    CHECK(!take(&w, AT, "first=1"));
    CHECK(!take(&w, AT, "over=1; max-age=5"));
    for (unsigned i = 2; i < MS_JAR_MAX; i++) {
        snprintf(url, sizeof(url), "http://h%u.org/", i / 100);
        take_numbered(&w, url, i, "");
    }
    CHECK(w.jar.count == MS_JAR_MAX);
    CHECK_SENT(&w, AT, "first=1; over=1");
    w.now_s += 5;
    CHECK(!take(&w, "http://new.org/", "a=1")); /* for one that is over */
    CHECK(w.jar.count == MS_JAR_MAX);
    CHECK(!take(&w, "http://new.org/", "b=1")); /* for c2 */
    CHECK(w.jar.count == MS_JAR_MAX);
    CHECK_SENT(&w, AT, "first=1");
    const char *line = sent(&w, "http://h0.org/");
    CHECK(strstr(line, "c3=") == line);
    end(&w);
}

/* E5: the Cookie header. */
TEST(a_line_ends_where_servers_stop_reading)
{
    struct world w;
    static char line[3000];

    begin(&w);
    memset(line, 'x', sizeof(line));
    line[1] = '=';
    for (char c = 'a'; c < 'f'; c++) {
        line[0] = c;
        CHECK(!take_span(&w, AT, ms_span(line, sizeof(line))));
    }
    const char *got = sent(&w, AT);
    CHECK(strlen(got) == 2 * sizeof(line) + 2);
    CHECK(got[0] == 'a' && got[sizeof(line) + 2] == 'b');
    line[0] = 'c';
    size_t rest = MS_JAR_LINE_MAX - 2 * sizeof(line) - 4;
    CHECK(!take_span(&w, AT, ms_span(line, rest)));
    CHECK(strlen(sent(&w, AT)) == MS_JAR_LINE_MAX);
    CHECK(!take_span(&w, AT, ms_span(line, rest + 1)));
    CHECK(strlen(sent(&w, AT)) == 2 * sizeof(line) + 2);
    end(&w);
}

TEST(a_path_has_1024_bytes)
{
    struct world w;
    static char url[2000] = AT;
    size_t from = strlen(url);

    begin(&w);
    memset(url + from, 'x', 1023);
    strcpy(url + from + 1023, "/a");
    CHECK(!take(&w, url, "a=1"));
    memset(url + from, 'x', 1024);
    strcpy(url + from + 1024, "/a");
    CHECK(take(&w, url, "b=1"));
    end(&w);
}

TEST(emptied_jars_work_on)
{
    struct world w;

    begin(&w);
    CHECK(!take(&w, AT, "a=1; max-age=9"));
    CHECK(!take(&w, TLS, "b=1; secure"));
    ms_jar_empty(&w.jar);
    CHECK(w.jar.count == 0);
    CHECK_SENT(&w, TLS, "");
    CHECK(!take(&w, AT, "b=2"));
    CHECK_SENT(&w, TLS, "b=2");
    end(&w);
}

TEST(urls_without_a_host_name_have_no_cookies)
{
    struct world w;

    begin(&w);
    w.url = (struct ms_url){0};
    static const char *const urls[] = {"http://./", "http://a.org../",
                                       "http://.org/", "http://a..org/"};
    for (size_t i = 0; i < MS_COUNT(urls); i++) {
        if (ms_url_parse(&w.url, ms_span_text(urls[i]), NULL, NULL))
            continue;
        CHECK(take(&w, urls[i], "a=1"));
        CHECK_SENT(&w, urls[i], "");
    }
    CHECK(w.jar.count == 0);
    end(&w);
}

/* ---- the file
 * ------------------------------------------------------------------- */

static const char *written(struct world *w)
{
    ms_buf_clear(&w->line);
    CHECK(!ms_jar_write(&w->jar, w->now_s, &w->line));
    CHECK(!ms_buf_add(&w->line, "", 1));
    return w->line.p + w->line.from;
}

#define HEAD "# Netscape HTTP Cookie File\n\n"

TEST(what_is_over_is_not_written)
{
    struct world w;

    begin(&w);
    CHECK(!take(&w, AT, "a=1; max-age=5"));
    CHECK(strcmp(written(&w), HEAD));
    w.now_s += 5;
    CHECK(!strcmp(written(&w), HEAD));
    CHECK(w.jar.count == 0);
    end(&w);
}

TEST(a_jar_is_written_oldest_first)
{
    struct world w;

    begin(&w);
    CHECK(!take(&w, AT "p/q", "a=1; max-age=10"));
    CHECK(!take(&w, TLS, "b=2; secure; HttpOnly; domain=example.org"));
    CHECK(!take(&w, "http://[::1]/", "c="));
    CHECK(!take(&w, AT, "d=x\ty"));
    CHECK(!take(&w, AT, "d\te=x; path=/other"));
    CHECK(!take(&w, AT, "f=x; path=/other\t/"));
    CHECK(!take(&w, "http://127.0.0.1/", "g=3; domain=127.0.0.1"));
    CHECK(!take(&w, AT, "e"));
    CHECK_SENT(&w, TLS "p/",
               "a=1; b=2; d=x\ty; e"); /* sending changes nothing */
    CHECK_THAT(!strcmp(written(&w), HEAD
                       "a.example.org\tFALSE\t/p\tFALSE\t1700000010\ta\t1\n"
                       "#HttpOnly_.example.org\tTRUE\t/\tTRUE\t0\tb\t2\n"
                       "::1\tFALSE\t/\tFALSE\t0\tc\t\n"
                       "127.0.0.1\tFALSE\t/\tFALSE\t0\tg\t3\n"
                       "a.example.org\tFALSE\t/\tFALSE\t0\t\te\n"),
               "%s", written(&w));
    end(&w);
}

TEST(what_is_written_reads_the_same)
{
    struct world w, x;
    struct ms_jar_fault fault;
    char *text;

    begin(&w);
    begin(&x);
    CHECK(!take(&w, TLS, "a=1; secure; HttpOnly; domain=example.org"));
    CHECK(!take(&w, "http://127.0.0.1/", "b=\"2 3\"; max-age=100"));
    CHECK(!take(&w, "http://[::1]/p/", "c"));
    text = strdup(written(&w));
    CHECK(!ms_jar_read(&x.jar, ms_span_text(text), NOW, &fault));
    CHECK_THAT(!strcmp(written(&x), text), "%s", written(&x));
    CHECK_SENT(&x, "https://b.example.org/", "a=1");
    CHECK_SENT(&x, "http://[::1]/p", "c");
    free(text);
    end(&w);
    end(&x);
}

TEST(files_of_others_are_read)
{
    static const char text[] =
        "# HTTP Cookie File\r\n\r\n# a comment\twith\ttabs\n#\n"
        "example.org\tfalse\t/\tFalse\t0\ta\t1\r\n"
        ".Example.COM\tTRUE\t/x\tFALSE\t1700000050\tb\t2\n"
        "example.com.\tTRUE\t/\tFALSE\t9999999999999\tc\t3\n"
        "[::1]\tFALSE\t/\tFALSE\t0\td\t4\n"
        ".127.0.0.1\tTRUE\t/\tFALSE\t0\te\t5\n"
        /* left out: over, a public suffix, broken promises */
        "example.org\tFALSE\t/\tFALSE\t1600000000\tf\t6\n"
        ".org\tTRUE\t/\tFALSE\t0\tg\t7\n"
        "example.org\tFALSE\t/\tFALSE\t0\t__Secure-h\t8\n"
        ".example.org\tTRUE\t/\tTRUE\t0\t__Host-i\t9\n"
        "#HttpOnly_example.org\tFALSE\t/\tTRUE\t0\t__Host-j\t10";
    struct world w;
    struct ms_jar_fault fault;

    begin(&w);
    CHECK(!ms_jar_read(&w.jar, MS_SPAN(text), NOW, &fault));
    CHECK_SENT(&w, "https://example.org/", "a=1; __Host-j=10");
    CHECK_SENT(&w, "http://www.example.com/x", "b=2; c=3");
    CHECK_SENT(&w, "http://[::1]/", "d=4");
    CHECK_SENT(&w, "http://127.0.0.1/", "e=5");
    CHECK(w.jar.count == 6);
    w.now_s = NOW + MS_COOKIE_AGE_MAX_S; /* nor longer from a file */
    CHECK_SENT(&w, "http://www.example.com/x", "");
    end(&w);
}

TEST(what_is_over_in_a_file_takes_nothing_away)
{
    static const char text[] =
        "a.example.org\tFALSE\t/\tFALSE\t1600000000\ta\told\n"
        "a.example.org\tFALSE\t/\tFALSE\t1700000000\ta\told\n" /* now */
        "a.example.org\tFALSE\t/\tFALSE\t0\tb\tnew\n";
    struct world w;
    struct ms_jar_fault fault;

    begin(&w);
    CHECK(!take(&w, AT, "a=1"));
    CHECK(!take(&w, AT, "b=2"));
    CHECK(!ms_jar_read(&w.jar, MS_SPAN(text), NOW, &fault));
    CHECK_SENT(&w, AT, "a=1; b=new");
    end(&w);
}

TEST(a_malformed_line_is_named_and_nothing_is_read)
{
    static const char *const lines[] = {
        "example.org\tFALSE\t/\tFALSE\t0\ta",
        "example.org\tFALSE\t/\tFALSE\t0\ta\tb\tc",
        "example.org FALSE / FALSE 0 a b",
        "\tFALSE\t/\tFALSE\t0\ta\tb",
        ".\tFALSE\t/\tFALSE\t0\ta\tb",
        "a b\tFALSE\t/\tFALSE\t0\ta\tb",
        "a/b\tFALSE\t/\tFALSE\t0\ta\tb",
        "1.2.3.999\tFALSE\t/\tFALSE\t0\ta\tb",
        "example.org\tYES\t/\tFALSE\t0\ta\tb",
        "example.org\tFALSE\t/\t0\t0\ta\tb",
        "example.org\tFALSE\tx\tFALSE\t0\ta\tb",
        "example.org\tFALSE\t\tFALSE\t0\ta\tb",
        "example.org\tFALSE\t/\tFALSE\t\ta\tb",
        "example.org\tFALSE\t/\tFALSE\t-1\ta\tb",
        "example.org\tFALSE\t/\tFALSE\t1.5\ta\tb",
        "example.org\tFALSE\t/\tFALSE\t99999999999999999999\ta\tb",
        "example.org\tFALSE\t/\tFALSE\t0\t\t",
        "example.org\tFALSE\t/\tFALSE\t0\ta\tb\x01",
        "example.org\tFALSE\t/\tFALSE\t0\ta\tb\r\r",
        "<html>",
    };
    struct world w;
    struct ms_jar_fault fault;
    char text[256];

    begin(&w);
    for (size_t i = 0; i < MS_COUNT(lines); i++) {
        snprintf(text, sizeof(text), "%s%s\n%s\n%s", HEAD,
                 "a.org\tFALSE\t/\tFALSE\t0\ta\tb", lines[i],
                 "b.org\tFALSE\t/\tFALSE\t0\ta\tb\n");
        ms_err err = ms_jar_read(&w.jar, ms_span_text(text), NOW, &fault);
        CHECK_THAT(err == MS_ECOOKIE && fault.line == 4 && fault.why, "%s",
                   lines[i]);
        CHECK(w.jar.count == 0);
    }
    end(&w);
}

TEST(fields_of_a_file_are_not_too_long)
{
    struct world w;
    struct ms_jar_fault fault;
    static char text[8192];

    begin(&w);
    int n = snprintf(text, sizeof(text), "a.org\tFALSE\t/\tFALSE\t0\tn\t");
    memset(text + n, 'x', MS_COOKIE_PAIR_MAX);
    CHECK(!ms_jar_read(&w.jar, ms_span(text, (size_t)n + 4095), NOW, &fault));
    CHECK(ms_jar_read(&w.jar, ms_span(text, (size_t)n + 4096), NOW, &fault) ==
          MS_ECOOKIE);
    CHECK(w.jar.count == 1);
    n = snprintf(text, sizeof(text), "a.org\tFALSE\t/");
    memset(text + n, 'x', MS_COOKIE_ATTRIBUTE_MAX);
    memcpy(text + n + MS_COOKIE_ATTRIBUTE_MAX - 1, "\tFALSE\t0\tn\t", 11);
    CHECK(!ms_jar_read(&w.jar, ms_span(text, (size_t)n + 1034), NOW, &fault));
    CHECK(w.jar.count == 2);
    memcpy(text + n + MS_COOKIE_ATTRIBUTE_MAX, "\tFALSE\t0\tn\t", 11);
    text[n + MS_COOKIE_ATTRIBUTE_MAX - 1] = 'x';
    CHECK(ms_jar_read(&w.jar, ms_span(text, (size_t)n + 1035), NOW, &fault) ==
          MS_ECOOKIE);
    memset(text, 'x', sizeof(text));
    for (size_t i = 50; i < sizeof(text); i += 50)
        text[i] = '.';
    strcpy(text + MS_HOST_MAX + 1, "\tFALSE\t/\tFALSE\t0\tn\t1");
    CHECK(ms_jar_read(&w.jar, ms_span_text(text), NOW, &fault) == MS_ECOOKIE);
    CHECK(!strcmp(fault.why, "no domain in the first field"));
    CHECK(w.jar.count == 2);
    end(&w);
}

/* ---- memory
 * ---------------------------------------------------------------------- */

/* One run of everything that takes memory; the first error. */
static ms_err use(struct world *w)
{
    static const char *const lines[] = {"a=1; secure", "a=2; secure; path=/x",
                                        "a=3; domain=example.org; max-age=9"};
    static const char file[] =
        HEAD "a.example.org\tFALSE\t/\tTRUE\t0\ta\t1\n"
             "a.example.org\tFALSE\t/x\tTRUE\t0\ta\t2\n"
             ".example.org\tTRUE\t/\tFALSE\t1700000009\ta\t3\n";
    struct ms_jar_fault fault;
    const char *why;
    ms_err err = MS_OK;

    for (size_t i = 0; !err && i < MS_COUNT(lines); i++)
        err = ms_jar_take(&w->jar, &w->url, ms_span_text(lines[i]), NOW, &why);
    if (!err)
        err = ms_jar_line(&w->jar, &w->url, NOW, &w->line);
    CHECK(err ||
          ms_span_equal(ms_buf_span(&w->line), MS_SPAN("a=2; a=1; a=3")));
    ms_buf_clear(&w->line);
    if (!err)
        err = ms_jar_write(&w->jar, NOW, &w->line);
    CHECK(err || ms_span_equal(ms_buf_span(&w->line), MS_SPAN(file)));
    if (!err)
        err = ms_jar_read(&w->jar, ms_buf_span(&w->line), NOW, &fault);
    return err;
}

TEST(memory_that_runs_out_leaves_a_sound_jar)
{
    ms_err err = MS_ENOMEM;

    for (long nth = 1; err; nth++) {
        struct world w;
        begin(&w);
        go_to(&w, TLS "x");
        ms_mem_fail(nth, 1);
        err = use(&w);
        ms_mem_fail(0, 0);
        CHECK(!err || err == MS_ENOMEM);
        CHECK_THAT(!ms_jar_check(&w.jar), "%s", ms_jar_check(&w.jar));
        CHECK_THAT(nth < 100, "never enough");
        ms_buf_clear(&w.line);
        CHECK(!use(&w));
        end(&w);
    }
}
