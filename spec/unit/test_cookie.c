/* SPDX-License-Identifier: MIT
 *
 * test_cookie.c - reading Set-Cookie by RFC 6265bis, a table per algorithm;
 * dates; which host and path a cookie is for; public suffixes.
 */
#include "proto/cookie.h"

#include <stdio.h>

#include "proto/cookie_date.h"
#include "proto/host.h"
#include "proto/suffix.h"
#include "unit.h"

#define NOW INT64_C(1700000000) /* 14 November 2023, 22:13:20 */

static bool is(struct ms_span s, const char *text)
{
    return ms_span_equal(s, ms_span_text(text));
}

/* ---- dates (RFC 6265, 5.1.1) ----------------------------------------------
 */

#define NO_DATE INT64_MIN

TEST(dates_are_read_in_any_order_and_dress)
{
    static const struct {
        const char *text;
        int64_t want;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"08:49:37 1994 November 6", 784111777},
        {"6/Nov\\1994\t8:49:37", 784111777},
        {"Nov 6 94 08:49:37", 784111777},
        {"6th noVEMbre 1994x 08:49:37z", 784111777},
        {"\"Sun, 6-Nov-94\"08:49:37", 784111777},
        {"6 Nov 1994 08:49:37 09:50:38", 784111777}, /* the first counts */
        {"6 Nov 1994 7 Dec 1995 08:49:37", 784111777},
        {"6 Nov 1994 08:49:37 GMT-0500 (EST)", 784111777}, /* no zones */
        {"6 Nov 1994 ::1 08:49:37", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
        {"1 Jan 1601 00:00:00", INT64_C(-11644473600)},
        {"31 Dec 9999 23:59:59", INT64_C(253402300799)},
        {"29 Feb 2000 00:00:00", 951782400},
        {"1 Mar 2000 00:00:00", 951868800},
        {"29 Feb 2024 12:00:00", 1709208000},
        {"1 Jan 70 00:00:00", 0}, /* 70 to 99: 19xx */
        {"1 Jan 99 00:00:00", 915148800},
        {"1 Jan 00 00:00:00", 946684800}, /* 00 to 69: 20xx */
        {"1 Jan 69 00:00:00", INT64_C(3124224000)},
        {"1 Jan 2038 0:0:7", 2145916807},
        /* whatever day of the week, or none */
        {", 6-Nov-1994 08:49:37 GMT", 784111777},
        {" 6-Nov-1994 08:49:37 GMT", 784111777},
        {"Sun,06-Nov-94 08:49:37 GMT", 784111777},
        {"Washday  , 06-nov-94   08:49:37", 784111777},
        {"Sund, 6- November-94 08:49:37", 784111777},
        {"Fri, 6 - Novem-94 08:49:37", 784111777},
        /* whatever behind the time */
        {"06-Nov-94 08:49:37 GMT-3", 784111777},
        {"06-Nov-94 08:49:37 GMT+0100 (CET)", 784111777},
        {"06-Nov-94 08:49:37 -0500", 784111777},
        {"06-Nov-94 08:49:37 CEST", 784111777},
        {"06-Nov-94 08:49:37 GMT or so", 784111777},
        {"06-Nov-94 08:49:37 (so there)", 784111777},
        {"06-Nov-94 8:49:37pm", 784111777},
        {"06-Nov-94 x:y 08:49:37", 784111777}, /* no time yet */
        /* in whatever order, but for a short year: behind the day */
        {"08:49:37 Sun Nov 6 1994 GMT", 784111777},
        {"Sun 08:49:37 Nov 6 1994 GMT", 784111777},
        {"Sun Nov 08:49:37 6 1994 GMT", 784111777},
        {"Sun Nov 6 08:49:37 1994 GMT", 784111777},
        {"Sun Nov 6 1994 GMT 08:49:37", 784111777},
        {"06-Sun, Nov-94 08:49:37 GMT", 784111777},
        {"06-Sun, Nov 08:49:37 GMT 94", 784111777},
        {"06-Sun, Nov 08:49:37 GMT 1994", 784111777},
        {"6 94 Nov 08:49:37", 784111777},
        {"Nov 6 08:49:37 94", 784111777},
        {"1994 Nov 6 08:49:37", 784111777},
        {"1994 6 08:49:37 Nov", 784111777},
        {"6 Nov 1994 8:9:7", 784109347},
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        int64_t got = NO_DATE;
        CHECK_THAT(ms_cookie_date(ms_span_text(cases[i].text), &got) &&
                       got == cases[i].want,
                   "%s: %lld", cases[i].text, (long long)got);
    }
}

TEST(what_no_calendar_has_is_no_date)
{
    static const char *const cases[] = {
        "",
        "soon",
        "Sun, 06 Nov 1994",     /* no time */
        "06 1994 08:49:37",     /* no month */
        "Nov 1994 08:49:37",    /* no day */
        "06 Nov 08:49:37",      /* no year */
        "31 Apr 2024 00:00:00", /* no such days */
        "30 Feb 2024 00:00:00",
        "29 Feb 2023 00:00:00",
        "29 Feb 1900 00:00:00",
        "00 Jan 2024 00:00:00",
        "32 Jan 2024 00:00:00",
        "1 Jan 1600 00:00:00", /* before the calendar */
        "1 Jan 100 00:00:00",
        "1 Jan 2024 24:00:00", /* no such times */
        "1 Jan 2024 00:60:00",
        "1 Jan 2024 00:00:60",
        "91:22:33 1 Jan 2024 01:01:01",
        "1 Jan 2024 001:00:00", /* three digits */
        "1 Jan 2024 00:00:000",
        "1 Jan 2024 00:00",
        "012 Jan 2024 00:00:00",
        "1 Jan 31841 00:00:00", /* five */
        "1 Ja 2024 00:00:00",
        "94 Nov 6 08:49:37", /* the first short number is the day */
        "1 Jan 2024 00: 00:00",
        "1 Jan 2024 00:00: 00",
        "1 Jan 2024 00:61:99999999999",
        "1 Jan 9999999999 00:00:00",
        "999999999999 Jan 2024 00:00:00",
        "2024-01-01T00:00:00Z", /* months have names */
        "1 1 2024 00:00:00",
        "1704067200",
        "GMT",
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        int64_t got = 7;
        CHECK_THAT(!ms_cookie_date(ms_span_text(cases[i]), &got) && got == 7,
                   "%s: %lld", cases[i], (long long)got);
    }
}

/* Step 1: which bytes are between the pieces of a date. */
TEST(dates_are_cut_at_delimiters_only)
{
    char text[] = "6?Nov 1994 08:49:37";

    for (int byte = 0; byte < 256; byte++) {
        bool delimits = byte == '\t' || (byte >= ' ' && byte <= '/') ||
                        (byte >= ';' && byte <= '@') ||
                        (byte >= '[' && byte <= '`') ||
                        (byte >= '{' && byte <= '~');
        int64_t got;
        text[1] = (char)byte;
        CHECK_THAT(ms_cookie_date(ms_span(text, sizeof(text) - 1), &got) ==
                       delimits,
                   "byte %d", byte);
    }
}

TEST(dates_end_where_their_text_ends)
{
    static const struct {
        const char *text;
        size_t behind; /* bytes that are not of it */
        int64_t want;
    } cases[] = {
        {"6 Nov 1994 08:49:37", 1, 784111743},
        {"6 Nov 1994 08:49:377", 1, 784111777},
        {"1994 08:49:37 Nov 6", 2, NO_DATE},
        {"1994 08:49:37 Nov 66", 1, 784111777},
        {"1994 08:49:37 6 Nov", 1, NO_DATE},
        {"6 Nov 1994 08:49:37", 6, NO_DATE},
        {"6 Nov 1994 08:49:37", 7, NO_DATE},
        {"6 Nov 08:49:37 1994", 3, NO_DATE},
        {"6 Nov 08:49:37 19941", 1, 784111777},
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        const char *text = cases[i].text;
        int64_t got = NO_DATE;
        bool any =
            ms_cookie_date(ms_span(text, strlen(text) - cases[i].behind), &got);
        CHECK_THAT(any == (cases[i].want != NO_DATE) && got == cases[i].want,
                   "%s, %zu less: %lld", text, cases[i].behind, (long long)got);
    }
}

/* ---- the line (5.6) ---------------------------------------------------------
 */

TEST(name_and_value_are_what_is_round_the_first_equals_sign)
{
    static const struct {
        const char *line, *name, *value;
    } cases[] = {
        {"a=b", "a", "b"},
        {"a=b;c=d", "a", "b"},
        {" \ta \t=\t b c \t; x", "a", "b c"},
        {"a==b=", "a", "=b="},
        {"a=", "a", ""},
        {"a= ;", "a", ""},
        {"=b", "", "b"},
        {" = b", "", "b"},
        {"b", "", "b"},
        {"b;a=c", "", "b"},
        {"a=\"b;c\"", "a", "\"b"},
        {"a=\" b \"", "a", "\" b \""},
        {"a b=c", "a b", "c"},
        {"a=b, c=d", "a", "b, c=d"},
        {"\"a=b\"=c", "\"a", "b\"=c"},
        {"\xe6\x98\xa5=\xe8\x8a\x82", "\xe6\x98\xa5", "\xe8\x8a\x82"},
        {"a=b\tc", "a", "b\tc"},
        {"$Version=1; a=b", "$Version", "1"},
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        struct ms_set_cookie c;
        const char *why = ms_cookie_parse(ms_span_text(cases[i].line), NOW, &c);
        CHECK_THAT(!why, "%s: %s", cases[i].line, why);
        CHECK_THAT(is(c.name, cases[i].name), "%s: name", cases[i].line);
        CHECK_THAT(is(c.value, cases[i].value), "%s: value", cases[i].line);
        CHECK(c.expires_s == MS_COOKIE_SESSION && !c.secure && !c.http_only);
    }
}

TEST(a_line_without_name_and_value_is_no_cookie)
{
    static const char *const cases[] = {"",  " \t",   "=",        " = ",
                                        ";", "; a=b", "=; path=/"};
    struct ms_set_cookie c;

    for (size_t i = 0; i < MS_COUNT(cases); i++)
        CHECK_THAT(ms_cookie_parse(ms_span_text(cases[i]), NOW, &c), "%s",
                   cases[i]);
}

/* E6: control characters. */
TEST(control_characters_anywhere_refuse_the_line)
{
    struct ms_set_cookie c;
    char line[] = "a=b; path=/x";

    for (int byte = 0; byte < 256; byte++) {
        bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        for (size_t at = 0; at < sizeof(line) - 1; at++) {
            char kept = line[at];
            line[at] = (char)byte;
            const char *why =
                ms_cookie_parse(ms_span(line, sizeof(line) - 1), NOW, &c);
            CHECK_THAT(control ? why != NULL : byte == ';' || !why || at < 3,
                       "byte %d at %zu", byte, at);
            line[at] = kept;
        }
    }
}

/* E5: caps. */
TEST(name_and_value_have_4096_bytes_together)
{
    static char line[MS_COOKIE_PAIR_MAX + 2];
    struct ms_set_cookie c;

    memset(line, 'x', sizeof(line));
    line[5] = '=';
    CHECK(!ms_cookie_parse(ms_span(line, MS_COOKIE_PAIR_MAX + 1), NOW, &c));
    CHECK(c.name.n + c.value.n == MS_COOKIE_PAIR_MAX);
    CHECK(ms_cookie_parse(ms_span(line, MS_COOKIE_PAIR_MAX + 2), NOW, &c));
    line[5] = 'x';
    CHECK(ms_cookie_parse(ms_span(line, MS_COOKIE_PAIR_MAX + 1), NOW, &c));
}

TEST(attributes_are_known_in_any_case_and_the_last_counts)
{
    static const struct {
        const char *attributes, *domain, *path;
        bool has_path, secure, http_only;
        int same_site;
    } cases[] = {
        {"", "", "", 0, 0, 0, MS_SAME_SITE_DEFAULT},
        {"Domain=a.b; Path=/p; Secure; HttpOnly; SameSite=Lax", "a.b", "/p", 1,
         1, 1, MS_SAME_SITE_LAX},
        {"dOMAIN = .A.b ;pAth\t=\t/P ; seCURe = no;HTTPonly=;samesite= sTRICT",
         "A.b", "/P", 1, 1, 1, MS_SAME_SITE_STRICT},
        {"SameSite=None", "", "", 0, 0, 0, MS_SAME_SITE_NONE},
        {"SameSite=Lax; SameSite=odd", "", "", 0, 0, 0, MS_SAME_SITE_DEFAULT},
        {"SameSite", "", "", 0, 0, 0, MS_SAME_SITE_DEFAULT},
        {"\"Secure\"; Secure x; Http-Only", "", "", 0, 0, 0, 0},
        {"domain=a; domain=b", "b", "", 0, 0, 0, 0},
        {"domain=a; domain=", "", "", 0, 0, 0, 0},
        {"domain=.", "", "", 0, 0, 0, 0},
        {"domain=..a", ".a", "", 0, 0, 0, 0},
        {"path=/a; path=/b", "", "/b", 1, 0, 0, 0},
        {"path=/a; path=", "", "", 1, 0, 0, 0},
        {"path=/a; path=b", "", "", 1, 0, 0, 0},
        {"path", "", "", 1, 0, 0, 0},
        {"path=\"/a\"", "", "", 1, 0, 0, 0},
        {";;; ;=;==; = x;;secure;", "", "", 0, 1, 0, 0},
        {"Partitioned; Priority=High", "", "", 0, 0, 0, 0}, /* unknown */
        {"x=\"a; secure; b\"", "", "", 0, 1, 0, 0}, /* quotes hide nothing */
        {"path=/a=b", "", "/a=b", 1, 0, 0, 0},
        {"domain=a, path=/b", "a, path=/b", "", 0, 0, 0, 0},
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        char line[128];
        struct ms_set_cookie c;
        snprintf(line, sizeof(line), "a=b; %s", cases[i].attributes);
        CHECK(!ms_cookie_parse(ms_span_text(line), NOW, &c));
        CHECK_THAT(is(c.domain, cases[i].domain) && is(c.path, cases[i].path) &&
                       c.has_path == cases[i].has_path &&
                       c.secure == cases[i].secure &&
                       c.http_only == cases[i].http_only &&
                       c.same_site == cases[i].same_site,
                   "%s", line);
    }
}

TEST(an_attribute_of_more_than_1024_bytes_is_not_there)
{
    static char line[2048] = "a=b; path=/1; path=/";
    struct ms_set_cookie c;
    size_t from = strlen(line) - 1;

    memset(line + from + 1, 'x', sizeof(line) - from - 1);
    CHECK(!ms_cookie_parse(ms_span(line, from + 1024), NOW, &c));
    CHECK(c.path.n == 1024);
    CHECK(!ms_cookie_parse(ms_span(line, from + 1025), NOW, &c));
    CHECK(is(c.path, "/1"));
}

TEST(too_long_an_attribute_is_none_of_any_kind)
{
    static const char *const names[] = {"domain",  "path",     "max-age",
                                        "expires", "samesite", "secure",
                                        "httponly"};
    static char line[2048];

    for (size_t i = 0; i < MS_COUNT(names); i++) {
        struct ms_set_cookie c;
        int n = snprintf(line, sizeof(line), "a=b; %s=", names[i]);
        memset(line + n, i == 1 ? '/' : '1', MS_COOKIE_ATTRIBUTE_MAX + 1);
        CHECK(!ms_cookie_parse(
            ms_span(line, (size_t)n + MS_COOKIE_ATTRIBUTE_MAX + 1), NOW, &c));
        CHECK_THAT(c.domain.n == 0 && !c.has_path && !c.secure &&
                       !c.http_only && c.expires_s == MS_COOKIE_SESSION,
                   "%s", names[i]);
        CHECK(!ms_cookie_parse(
            ms_span(line, (size_t)n + MS_COOKIE_ATTRIBUTE_MAX), NOW, &c));
        CHECK_THAT(c.domain.n || c.has_path || c.secure || c.http_only ||
                       c.expires_s != MS_COOKIE_SESSION || i == 3 || i == 4,
                   "%s", names[i]);
    }
}

/* E5: 400 days. */
TEST(lifetimes)
{
    static const struct {
        const char *attributes;
        int64_t want;
    } cases[] = {
        {"", MS_COOKIE_SESSION},
        {"Max-Age=60", NOW + 60},
        {"Max-Age=060", NOW + 60},
        {"Max-Age=0", MS_COOKIE_GONE},
        {"Max-Age=-1", MS_COOKIE_GONE},
        {"Max-Age=-999999999999999999999999", MS_COOKIE_GONE},
        {"Max-Age=-", MS_COOKIE_GONE}, /* nothing in 5.6.2 forbids it */
        {"Max-Age=", MS_COOKIE_SESSION},
        {"Max-Age=+1", MS_COOKIE_SESSION},
        {"Max-Age=1.5", MS_COOKIE_SESSION},
        {"Max-Age=1,5", MS_COOKIE_SESSION},
        {"Max-Age=--1", MS_COOKIE_SESSION},
        {"Max-Age=1-", MS_COOKIE_SESSION},
        {"Max-Age=\"60\"", MS_COOKIE_SESSION},
        {"Max-Age=60; Max-Age=70", NOW + 70},
        {"Max-Age=60; Max-Age=x", NOW + 60},
        {"Max-Age=34560000", NOW + MS_COOKIE_AGE_MAX_S},
        {"Max-Age=34560001", NOW + MS_COOKIE_AGE_MAX_S},
        {"Max-Age=99999999999999999999999", NOW + MS_COOKIE_AGE_MAX_S},
        {"Expires=Wed, 15 Nov 2023 00:00:00 GMT", 1700006400},
        {"Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Expires=Fri, 31 Dec 9999 00:00:00 GMT", NOW + MS_COOKIE_AGE_MAX_S},
        {"Expires=never", MS_COOKIE_SESSION},
        {"Expires=15 Nov 2023 00:00:00; Expires=16 Nov 2023 00:00:00",
         1700092800},
        {"Expires=15 Nov 2023 00:00:00; Expires=soon", 1700006400},
        {"Expires=soon; Expires=15 Nov 2023 00:00:00", 1700006400},
        {"Expires=", MS_COOKIE_SESSION},
        {"Expires", MS_COOKIE_SESSION},
        {"Expires=1 Jan 1601 00:00:00", INT64_C(-11644473600)},
        {"Expires=1 Jan 1600 00:00:00", MS_COOKIE_SESSION}, /* no date */
        {"Max-Age", MS_COOKIE_SESSION},
        {"Max-Age=00", MS_COOKIE_GONE},
        {"Max-Age=1 2", MS_COOKIE_SESSION},
        {"Max-Age = 60 ", NOW + 60},
        {"mAX-aGE=60; eXPIRES=1 Jan 1970 00:00:00", NOW + 60},
        {"Max-Age=0; Expires=15 Nov 2023 00:00:00", MS_COOKIE_GONE},
        {"Max-Age=60; Max-Age=0", MS_COOKIE_GONE},
        {"Max-Age=0; Max-Age=60", NOW + 60},
        {"Max-Age=60; Expires=Wed, 15 Nov 2023 00:00:00 GMT", NOW + 60},
        {"Expires=Wed, 15 Nov 2023 00:00:00 GMT; Max-Age=60", NOW + 60},
        {"Expires=Wed, 15 Nov 2023 00:00:00 GMT; Max-Age=x", 1700006400},
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        char line[128];
        struct ms_set_cookie c;
        snprintf(line, sizeof(line), "a=b; %s", cases[i].attributes);
        CHECK(!ms_cookie_parse(ms_span_text(line), NOW, &c));
        CHECK_THAT(c.expires_s == cases[i].want, "%s: %lld", line,
                   (long long)c.expires_s);
    }
}

/* ---- hosts and paths (5.1) --------------------------------------------------
 */

TEST(domains_match_at_dots_and_addresses_only_themselves)
{
    static const struct {
        const char *host, *domain;
        bool want;
    } cases[] = {
        {"example.org", "example.org", true},
        {"www.example.org", "example.org", true},
        {"a.b.example.org", "example.org", true},
        {"example.org", "www.example.org", false},
        {"badexample.org", "example.org", false},
        {"example.org", "org", true}, /* the suffix list is asked elsewhere */
        {"example.org", "", false},
        {"example.org", ".org", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "0.0.1", false},
        {"127.0.0.1", "1", false},
        {"[::1]", "[::1]", true},
        {"[::1]", "1]", false},
        {"host.test1", "test1", true}, /* a name, for all its digit */
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++)
        CHECK_THAT(ms_cookie_domain_match(ms_span_text(cases[i].host),
                                          ms_span_text(cases[i].domain)) ==
                       cases[i].want,
                   "%s of %s", cases[i].domain, cases[i].host);
    CHECK(is(ms_cookie_host(MS_SPAN("example.org.")), "example.org"));
    CHECK(is(ms_cookie_host(MS_SPAN("example.org")), "example.org"));
    CHECK(is(ms_cookie_host(MS_SPAN("")), ""));
}

TEST(addresses_are_told_from_names)
{
    static const char *const yes[] = {"127.0.0.1", "127.0.0.1.", "[::1]"};
    static const char *const no[] = {"a", "a1", "a.b1", "1.a", "", ".", "a."};

    for (size_t i = 0; i < MS_COUNT(yes); i++)
        CHECK_THAT(ms_host_is_address(ms_span_text(yes[i])), "%s", yes[i]);
    for (size_t i = 0; i < MS_COUNT(no); i++)
        CHECK_THAT(!ms_host_is_address(ms_span_text(no[i])), "%s", no[i]);
}

/* E4: paths. */
TEST(paths_match_at_slashes)
{
    static const struct {
        const char *url, *path;
        bool want;
    } cases[] = {
        {"/", "/", true},        {"/a", "/", true},    {"/a", "/a", true},
        {"/a/", "/a", true},     {"/a/b", "/a", true}, {"/a/b", "/a/", true},
        {"/a", "/a/", false},    {"/ab", "/a", false}, {"/A", "/a", false},
        {"/a%62", "/ab", false}, {"/", "/a", false},
    };
    static const struct {
        const char *url, *want;
    } defaults[] = {
        {"/", "/"},     {"", "/"},         {"/a", "/"},  {"/a/", "/a"},
        {"/a/b", "/a"}, {"/a/b/", "/a/b"}, {"a/b", "/"}, {"//", "/"},
    };

    for (size_t i = 0; i < MS_COUNT(cases); i++)
        CHECK_THAT(ms_cookie_path_match(ms_span_text(cases[i].url),
                                        ms_span_text(cases[i].path)) ==
                       cases[i].want,
                   "%s of %s", cases[i].path, cases[i].url);
    for (size_t i = 0; i < MS_COUNT(defaults); i++)
        CHECK_THAT(is(ms_cookie_default_path(ms_span_text(defaults[i].url)),
                      defaults[i].want),
                   "%s", defaults[i].url);
}

TEST(prefixes_are_known_in_any_case)
{
    CHECK(ms_cookie_has_prefix(MS_SPAN("__hOST-a"), MS_SPAN("__Host-")));
    CHECK(ms_cookie_has_prefix(MS_SPAN("__Host-"), MS_SPAN("__Host-")));
    CHECK(!ms_cookie_has_prefix(MS_SPAN("__Host"), MS_SPAN("__Host-")));
    CHECK(!ms_cookie_has_prefix(MS_SPAN("_Host-a"), MS_SPAN("__Host-")));
}

/* ---- public suffixes
 * ---------------------------------------------------------- */

TEST(single_labels_are_public_and_addresses_never)
{
    static const char *const never[] = {"127.0.0.1", "[::1]", "example.com",
                                        ""};

    CHECK(ms_suffix_is_public(MS_SPAN("com")));
    CHECK(ms_suffix_is_public(MS_SPAN("localhost")));
    for (size_t i = 0; i < MS_COUNT(never); i++)
        CHECK_THAT(!ms_suffix_is_public(ms_span_text(never[i])), "%s",
                   never[i]);
    CHECK(is(ms_suffix_registrable(MS_SPAN("127.0.0.1")), ""));
    CHECK(is(ms_suffix_registrable(MS_SPAN("[::1]")), ""));
    CHECK(is(ms_suffix_registrable(MS_SPAN("com")), ""));
}

TEST(the_list_knows_deeper_suffixes)
{
    if (!ms_suffix_version())
        return; /* built without it */
    CHECK(ms_suffix_is_public(MS_SPAN("co.uk")));
    CHECK(ms_suffix_is_public(MS_SPAN("xn--55qx5d.cn")));
    CHECK(ms_suffix_is_public(MS_SPAN("anything.ck")));
    CHECK(!ms_suffix_is_public(MS_SPAN("www.ck")));
    CHECK(is(ms_suffix_registrable(MS_SPAN("a.b.co.uk")), "b.co.uk"));
    CHECK(is(ms_suffix_registrable(MS_SPAN("b.co.uk")), "b.co.uk"));
    CHECK(is(ms_suffix_registrable(MS_SPAN("co.uk")), ""));
}
