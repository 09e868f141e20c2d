/* SPDX-License-Identifier: MIT */
#include "net/addr.h"
#include "net/addr_policy.h"

#include <string.h>

#include "unit.h"

struct literal_case {
    const char *text;
    const char *printed; /* NULL: not a literal */
};

static const struct literal_case literals[] = {
    {"127.0.0.1", "127.0.0.1:0"},
    {"0.0.0.0", "0.0.0.0:0"},
    {"255.255.255.255", "255.255.255.255:0"},
    {"::", "[::]:0"},
    {"::1", "[::1]:0"},
    {"[::1]", "[::1]:0"},
    {"FE80::A", "[fe80::a]:0"},
    {"2001:db8:0:0:0:0:0:1", "[2001:db8::1]:0"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:0"},
    {"::ffff:127.0.0.1", "[::ffff:127.0.0.1]:0"},
    {"fe80::1%1", "[fe80::1%1]:0"},
    {"[fe80::1%1]", "[fe80::1%1]:0"},
    {"fe80::1%lo", "[fe80::1%1]:0"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:0"},
    {"", NULL},
    {".", NULL},
    {"1", NULL},
    {"127.1", NULL},
    {"127.0.0.1.", NULL},
    {"127.0.0.1.1", NULL},
    {"127.0.0.256", NULL},
    {"0x7f.0.0.1", NULL},
    {"0177.0.0.1", NULL},
    {"2130706433", NULL},
    {" 127.0.0.1", NULL},
    {"127.0.0.1 ", NULL},
    {"127.0.0.1:80", NULL},
    {"+1.0.0.1", NULL},
    {"[127.0.0.1]", NULL},
    {"[]", NULL},
    {"[", NULL},
    {"[::1", NULL},
    {"::1]", NULL},
    {"[[::1]]", NULL},
    {"[::1]:80", NULL},
    {":::", NULL},
    {"1::2::3", NULL},
    {"12345::", NULL},
    {"fe80::1%", NULL},
    {"fe80::1%nosuchif", NULL},
    {"fe80::1%4294967296", NULL},
    {"fe80::1%averyveryverylonginterfacename", NULL},
    {"%1", NULL},
    {"127.0.0.1%1", NULL},
    {"localhost", NULL},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
};

TEST(literals_are_told_from_names)
{
    for (size_t i = 0; i < MS_COUNT(literals); i++) {
        const struct literal_case *c = &literals[i];
        char buf[MS_ADDR_TEXT];
        struct ms_addr a;
        bool is_one = ms_addr_parse(ms_span_text(c->text), &a);
        CHECK_THAT(is_one == (c->printed != NULL), "%s", c->text);
        if (is_one)
            CHECK_THAT(!strcmp(ms_addr_text(&a, buf), c->printed),
                       "%s becomes %s", c->text, buf);
    }
}

TEST(nothing_is_read_past_the_end_or_a_nul)
{
    struct ms_addr a;

    CHECK(ms_addr_parse(ms_span("127.0.0.12", 9), &a));
    CHECK(a.v4.sin_addr.s_addr == htonl(0x7f000001));
    CHECK(!ms_addr_parse(ms_span("127.0.0.1\0x", 11), &a));
    CHECK(!ms_addr_parse(ms_span("::1\0", 4), &a));
    CHECK(!ms_addr_parse(ms_span(NULL, 0), &a));
}

TEST(bytes_and_ports_come_out_as_they_went_in)
{
    unsigned char v4[4] = {10, 1, 2, 3}, v6[16] = {0xfd, [15] = 7};
    struct ms_addr a = ms_addr_v4(v4), b = ms_addr_v6(v6);
    char buf[MS_ADDR_TEXT];

    ms_addr_set_port(&a, 80);
    ms_addr_set_port(&b, 65535);
    CHECK(ms_addr_port(&a) == 80 && ms_addr_port(&b) == 65535);
    CHECK(a.v4.sin_port == htons(80));
    CHECK(!ms_addr_is_v6(&a) && ms_addr_is_v6(&b));
    CHECK(ms_addr_len(&a) == sizeof(struct sockaddr_in));
    CHECK(ms_addr_len(&b) == sizeof(struct sockaddr_in6));
    CHECK(!strcmp(ms_addr_text(&a, buf), "10.1.2.3:80"));
    CHECK(!strcmp(ms_addr_text(&b, buf), "[fd00::7]:65535"));
}

static struct ms_addr literal(const char *text, uint16_t port)
{
    struct ms_addr a;

    CHECK(ms_addr_parse(ms_span_text(text), &a));
    ms_addr_set_port(&a, port);
    return a;
}

TEST(equality_sees_address_zone_and_port)
{
    static const char *const texts[] = {"1.2.3.4", "1.2.3.5",        "::1",
                                        "::2",     "::ffff:1.2.3.4", "::1%1"};

    for (size_t i = 0; i < MS_COUNT(texts); i++) {
        for (size_t j = 0; j < MS_COUNT(texts); j++) {
            struct ms_addr a = literal(texts[i], 80), b = literal(texts[j], 80);
            CHECK_THAT(ms_addr_equal(&a, &b) == (i == j), "%s, %s", texts[i],
                       texts[j]);
            ms_addr_set_port(&b, 81);
            CHECK(!ms_addr_equal(&a, &b));
        }
    }
}

TEST(loopback_is_recognised)
{
    static const char *const yes[] = {"127.0.0.1", "127.255.1.2", "::1"};
    static const char *const no[] = {
        "128.0.0.1", "126.0.0.1", "1.0.0.127", "::2", "::ffff:127.0.0.1", "::"};

    for (size_t i = 0; i < MS_COUNT(yes); i++) {
        struct ms_addr a = literal(yes[i], 0);
        CHECK_THAT(ms_addr_is_loopback(&a), "%s", yes[i]);
    }
    for (size_t i = 0; i < MS_COUNT(no); i++) {
        struct ms_addr a = literal(no[i], 0);
        CHECK_THAT(!ms_addr_is_loopback(&a), "%s", no[i]);
    }
}

/* ---- which addresses are public ------------------------------------------ */

/* The first and the last of each range, and its neighbours outside where
 * those are public. */
TEST(addresses_of_no_public_use_are_not_public)
{
    static const char *const texts[] = {"0.0.0.0",
                                        "0.255.255.255",
                                        "10.0.0.0",
                                        "10.255.255.255",
                                        "100.64.0.0",
                                        "100.127.255.255",
                                        "127.0.0.1",
                                        "127.255.255.255",
                                        "169.254.0.0",
                                        "169.254.169.254",
                                        "172.16.0.0",
                                        "172.31.255.255",
                                        "192.0.0.1",
                                        "192.0.2.255",
                                        "192.88.99.1",
                                        "192.168.0.0",
                                        "192.168.255.255",
                                        "198.18.0.0",
                                        "198.19.255.255",
                                        "198.51.100.7",
                                        "203.0.113.7",
                                        "224.0.0.1",
                                        "239.255.255.255",
                                        "240.0.0.1",
                                        "255.255.255.255",
                                        "::",
                                        "::1",
                                        "::7f00:1",
                                        "::808:808",
                                        "::ffff:127.0.0.1",
                                        "::ffff:10.1.2.3",
                                        "64:ff9b::7f00:1",
                                        "64:ff9b::a9fe:a9fe",
                                        "64:ff9b:1::1",
                                        "100::1",
                                        "2001::1",
                                        "2001:1ff:ffff::1",
                                        "2001:db8::1",
                                        "2002:7f00:1::1",
                                        "2002:a01:203::",
                                        "3fff::1",
                                        "3fff:fff:ffff::1",
                                        "4000::1",
                                        "5f00::1",
                                        "fc00::1",
                                        "fdff::1",
                                        "fe80::1",
                                        "fe80::1%1",
                                        "febf::1",
                                        "fec0::1",
                                        "ff02::1",
                                        "2600::1%1"};
    struct ms_addr a;

    for (size_t i = 0; i < MS_COUNT(texts); i++) {
        CHECK(ms_addr_parse(ms_span_text(texts[i]), &a));
        CHECK_THAT(!ms_addr_is_public(&a), "%s", texts[i]);
    }
}

TEST(public_addresses_are_public)
{
    static const char *const texts[] = {
        "1.0.0.0",          "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",   "100.128.0.0",     "126.255.255.255",
        "128.0.0.0",        "169.253.255.255", "169.255.0.0",
        "172.15.255.255",   "172.32.0.0",      "192.0.1.0",
        "192.0.3.0",        "192.88.98.255",   "192.167.255.255",
        "192.169.0.0",      "198.17.255.255",  "198.20.0.0",
        "223.255.255.255",  "8.8.8.8",         "::ffff:8.8.8.8",
        "64:ff9b::808:808", "2002:808:808::1", "2000::1",
        "2001:200::1",      "2001:db7::1",     "2001:db9::1",
        "2600::1",          "3fff:1000::1",    "3ffe::1"};
    struct ms_addr a;

    for (size_t i = 0; i < MS_COUNT(texts); i++) {
        CHECK(ms_addr_parse(ms_span_text(texts[i]), &a));
        CHECK_THAT(ms_addr_is_public(&a), "%s", texts[i]);
    }
}

TEST(an_address_without_its_port)
{
    static const char *const texts[] = {"127.0.0.1", "::1", "fe80::1%7"};
    char buf[MS_ADDR_TEXT];
    struct ms_addr a;

    for (size_t i = 0; i < MS_COUNT(texts); i++) {
        CHECK(ms_addr_parse(ms_span_text(texts[i]), &a));
        CHECK(strcmp(ms_addr_host_text(&a, buf), texts[i]) == 0);
    }
}
