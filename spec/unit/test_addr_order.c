/* SPDX-License-Identifier: MIT
 *
 * test_addr_order.c - RFC 6724, 10.2: its examples for destinations, and what
 * this machine really says of its own addresses.
 */
#include "net/addr_order.h"

#include <stdlib.h>

#include "net/sock.h"
#include "unit.h"

/* "destination" or "destination<source"; without one it is out of reach. */
#define MAX_ROWS 8

static struct row {
    struct ms_addr to, from;
    bool reachable;
} rows[MAX_ROWS];
static size_t row_count, questions;

static struct ms_addr addr(struct ms_span text)
{
    struct ms_addr a;

    CHECK_THAT(ms_addr_parse(text, &a), "%.*s", (int)text.n, text.p);
    return a;
}

static bool source(const struct ms_addr *to, struct ms_addr *from)
{
    questions++;
    for (size_t i = 0; i < row_count; i++) {
        if (!ms_addr_equal(to, &rows[i].to))
            continue;
        *from = rows[i].from;
        return rows[i].reachable;
    }
    unit_fail(__FILE__, __LINE__, "an address that was not given");
}

static void add_row(struct ms_span word)
{
    const char *end = memchr(word.p, '<', word.n);
    size_t n = end ? (size_t)(end - word.p) : word.n;

    CHECK(row_count < MAX_ROWS);
    struct row *r = &rows[row_count++];
    *r = (struct row){.to = addr(ms_span(word.p, n)), .reachable = end};
    if (end)
        r->from = addr(ms_span(end + 1, word.n - n - 1));
}

static void read_rows(const char *given)
{
    row_count = questions = 0;
    while (*given) {
        size_t n = strcspn(given, " ");
        add_row(ms_span(given, n));
        given += n + (given[n] == ' ');
    }
}

/* Both are words with blanks between. */
static void check_order(const char *given, const char *expected)
{
    struct ms_addr list[MAX_ROWS];
    char got[512] = "", text[MS_ADDR_TEXT];

    read_rows(given);
    for (size_t i = 0; i < row_count; i++)
        list[i] = rows[i].to;
    ms_addr_sort(list, row_count, source);
    CHECK(questions == (row_count > 1 ? row_count : 0));
    for (size_t i = 0; i < row_count; i++) {
        strcat(got, i ? " " : "");
        strcat(got, ms_addr_host_text(&list[i], text));
    }
    CHECK_THAT(strcmp(got, expected) == 0, "%s: %s", given, got);
}

TEST(the_examples_of_the_rfc)
{
    check_order("198.51.100.121<169.254.13.78 2001:db8:1::1<2001:db8:1::2",
                "2001:db8:1::1 198.51.100.121");
    check_order("2001:db8:1::1<fe80::1 198.51.100.121<198.51.100.117",
                "198.51.100.121 2001:db8:1::1");
    check_order("10.1.2.3<10.1.2.4 2001:db8:1::1<2001:db8:1::2",
                "2001:db8:1::1 10.1.2.3");
    check_order("2001:db8:1::1<2001:db8:1::2 fe80::1<fe80::2",
                "fe80::1 2001:db8:1::1");
    check_order("2002:c633:6401::1<2002:c633:6401::2 "
                "2001:db8:1::1<2002:c633:6401::2",
                "2002:c633:6401::1 2001:db8:1::1");
    check_order("2002:c633:6401::1<2002:c633:6401::2 "
                "2001:db8:1::1<2001:db8:1::2",
                "2001:db8:1::1 2002:c633:6401::1");
}

TEST(what_is_out_of_reach_comes_last)
{
    check_order("2001:db8::1 192.0.2.1<192.0.2.9", "192.0.2.1 2001:db8::1");
    check_order("192.0.2.1 2001:db8::1<2001:db8::9", "2001:db8::1 192.0.2.1");
    check_order("192.0.2.1 2001:db8::1", "2001:db8::1 192.0.2.1");
}

TEST(old_and_local_networks_come_behind_the_real_ones)
{
    /* unique local addresses: only when we are there ourselves */
    check_order("fd00::1<2001:db8::9 192.0.2.1<192.0.2.9", "192.0.2.1 fd00::1");
    check_order("fd00::1<fd00::9 192.0.2.1<192.0.2.9", "192.0.2.1 fd00::1");
    check_order("fd00::1<fd00::9 192.0.2.1<169.254.0.9", "fd00::1 192.0.2.1");
    /* Teredo, 6to4 and the rest */
    check_order("2001::1<2001::9 192.0.2.1<192.0.2.9", "192.0.2.1 2001::1");
    check_order("3ffe::1<3ffe::9 2002:1::1<2002:1::9 192.0.2.1<192.0.2.9",
                "192.0.2.1 2002:1::1 3ffe::1");
    check_order("::192.0.2.1<2001:db8::9 fec0::1<2001:db8::9 "
                "2001:db8::1<2001:db8::9",
                "2001:db8::1 ::192.0.2.1 fec0::1");
}

TEST(equals_keep_their_order)
{
    check_order("192.0.2.3<192.0.2.9 192.0.2.1<192.0.2.9 192.0.2.2<192.0.2.9",
                "192.0.2.3 192.0.2.1 192.0.2.2");
    check_order("2001:db8::3<2001:db8::9 2001:db8:8000::1<2001:db8::9",
                "2001:db8::3 2001:db8:8000::1");
    check_order("127.0.0.2<127.0.0.1", "127.0.0.2");
    check_order("", "");
}

TEST(the_smaller_scope_is_nearer)
{
    check_order("192.0.2.1<192.0.2.9 127.0.0.1<127.0.0.1",
                "127.0.0.1 192.0.2.1");
    check_order("2001:db8::1<2001:db8::9 ff02::1<fe80::9",
                "ff02::1 2001:db8::1");
}

TEST(more_than_the_most_stay_as_they_are)
{
    struct ms_addr list[MS_ADDR_SORT_MAX + 1];

    read_rows("127.0.0.1 127.0.0.2<127.0.0.1");
    for (size_t i = 0; i < MS_COUNT(list); i++)
        list[i] = rows[0].to;
    list[MS_ADDR_SORT_MAX] = rows[1].to;
    ms_addr_sort(list, MS_COUNT(list), source);
    CHECK(ms_addr_equal(&list[MS_ADDR_SORT_MAX], &rows[1].to));
    list[MS_ADDR_SORT_MAX - 1] = rows[1].to;
    ms_addr_sort(list, MS_COUNT(list), source);
    CHECK(ms_addr_equal(&list[0], &rows[1].to));
}

TEST(the_machine_says_where_it_would_begin)
{
    struct ms_addr to = addr(MS_SPAN("127.0.0.2")), from;
    char text[MS_ADDR_TEXT];

    CHECK(ms_net_source(&to, &from));
    CHECK(strcmp(ms_addr_host_text(&from, text), "127.0.0.1") == 0);
    to = addr(MS_SPAN("240.0.0.1"));
    to.any.sa_family = AF_UNSPEC;
    CHECK(!ms_net_source(&to, &from));
}
