/* SPDX-License-Identifier: MIT
 *
 * Happy Eyeballs on loopback.
 */
#include "dial_world.h"

/* ---- one after the other ------------------------------------------------- */

TEST(the_first_address_will_do)
{
    struct party p;

    open_dials(NULL, "127.0.0.1 a\n127.0.0.2 a\n");
    listen_at("127.0.0.1", 8);
    listen_at("127.0.0.2", 8);
    dial(&p, "a");
    UNTIL(p.connected);
    struct ms_addr first = peer_addr("127.0.0.1");
    CHECK(ms_addr_equal(&p.addr, &first) && p.resolved == 1);
    hang_up(&p);
    close_dials();
}

TEST(families_take_turns_and_failures_lose_no_time)
{
    struct party p;
    char text[MS_REPORT_TEXT];

    open_dials(NULL, "127.0.0.2 a\n127.0.0.3 a\n::ffff:127.0.0.4 a\n"
                     "127.0.0.5 a\n::1 a\n");
    dial(&p, "a");
    UNTIL(p.failed);
    CHECK(p.err == MS_EREFUSED && p.os_errno == ECONNREFUSED);
    CHECK(tried(&p, "[::1] 127.0.0.2 [::ffff:127.0.0.4] 127.0.0.3 127.0.0.5"));
    CHECK(!strchr(ms_dial_tried(p.dial, text), '('));
    hang_up(&p);
    close_dials();
}

TEST(an_attempt_without_an_answer_gets_company_after_the_delay)
{
    struct party p;

    open_dials(NULL, "127.0.0.2 a\n127.0.0.1 a\n");
    black_hole_at("127.0.0.2");
    listen_at("127.0.0.1", 8);
    dial(&p, "a");
    settle();
    advance(MS_ROUTE_DELAY_DEFAULT_MS - 1);
    settle();
    CHECK(!p.connected && in_flight() == 1 && tried(&p, "127.0.0.2"));
    advance(1);
    UNTIL(p.connected);
    CHECK(in_flight() == 0 && watched() == 0);
    hang_up(&p);
    close_dials();
}

TEST(six_at_a_time_and_no_more)
{
    struct party p;
    char hosts[256] = "", text[MS_REPORT_TEXT];

    for (int i = 2; i < 10; i++) {
        char line[32];
        snprintf(line, sizeof(line), "127.0.0.%d a\n", i);
        strcat(hosts, line);
    }
    open_dials(NULL, hosts);
    for (int i = 2; i < 10; i++) {
        char addr[32];
        snprintf(addr, sizeof(addr), "127.0.0.%d", i);
        black_hole_at(addr);
    }
    dial(&p, "a");
    for (unsigned i = 0; i < 10; i++) {
        CHECK(in_flight() == (i < 6 ? i + 1 : 6));
        advance(MS_ROUTE_DELAY_DEFAULT_MS);
    }
    CHECK(strstr(ms_dial_tried(p.dial, text), "127.0.0.7:"));
    CHECK(strstr(text, " (no answer)") && !strstr(text, "127.0.0.8:"));
    hang_up(&p);
    CHECK(in_flight() == 0 && watched() == 0);
    close_dials();
}

/* ---- families that come apart -------------------------------------------- */

TEST(ipv6_is_given_a_moment_to_come)
{
    static const struct rule rules[] = {
        {"a.test", TYPE_A, ANSWER, 0, "127.0.0.1"},
        {"a.test", TYPE_AAAA, HOLD, 0, "::1"},
        {0}};
    struct party p;

    open_dials(rules, "");
    listen_at("::1", 8);
    dial(&p, "a.test");
    UNTIL(p.resolved);
    advance(MS_DIAL_RESOLUTION_DELAY_MS - 1);
    CHECK(in_flight() == 0);
    dns_server_release(&w.server);
    UNTIL(p.connected);
    CHECK(ms_addr_is_v6(&p.addr) && tried(&p, ""));
    hang_up(&p);
    close_dials();
}

TEST(ipv6_is_not_given_more_than_that)
{
    static const struct rule rules[] = {
        {"a.test", TYPE_A, ANSWER, 0, "127.0.0.1"},
        {"a.test", TYPE_AAAA, SILENT},
        {0}};
    struct party p;

    open_dials(rules, "");
    listen_at("127.0.0.1", 8);
    dial(&p, "a.test");
    UNTIL(p.resolved);
    advance(MS_DIAL_RESOLUTION_DELAY_MS);
    UNTIL(p.connected);
    hang_up(&p);
    close_dials();
}

TEST(a_family_that_has_nothing_is_not_waited_for)
{
    static const enum how hows[] = {NODATA, NXDOMAIN, SERVFAIL, FORMERR};
    struct rule rules[] = {{"a.test", TYPE_A, ANSWER, 0, "127.0.0.1"},
                           {"a.test", TYPE_AAAA, NODATA},
                           {0}};
    struct party p;

    for (size_t i = 0; i < MS_COUNT(hows); i++) {
        rules[1].how = hows[i];
        open_dials(rules, "");
        listen_at("127.0.0.1", 8);
        dial(&p, "a.test");
        UNTIL(p.connected);
        hang_up(&p);
        close_dials();
    }
}

TEST(the_other_family_joins_when_it_comes)
{
    static const struct rule rules[] = {
        {"a.test", TYPE_AAAA, ANSWER, 0, "::ffff:127.0.0.2"},
        {"a.test", TYPE_A, HOLD, 0, "127.0.0.1"},
        {0}};
    struct party p;

    open_dials(rules, "");
    black_hole_at("127.0.0.2");
    listen_at("127.0.0.1", 8);
    dial(&p, "a.test");
    UNTIL(in_flight() == 1);
    advance(MS_ROUTE_DELAY_DEFAULT_MS - 1);
    dns_server_release(&w.server);
    UNTIL(ms_loop_deadline(&w.loop) == w.loop.now_us + 1000);
    CHECK(in_flight() == 1 && !p.connected);
    advance(1);
    UNTIL(p.connected);
    hang_up(&p);
    close_dials();
}

TEST(a_latecomer_starts_at_once_when_the_delay_is_over)
{
    static const struct rule rules[] = {
        {"a.test", TYPE_AAAA, ANSWER, 0, "::ffff:127.0.0.2"},
        {"a.test", TYPE_A, HOLD, 0, "127.0.0.1"},
        {0}};
    struct party p;

    open_dials(rules, "");
    black_hole_at("127.0.0.2");
    listen_at("127.0.0.1", 8);
    dial(&p, "a.test");
    UNTIL(in_flight() == 1);
    advance(MS_ROUTE_DELAY_DEFAULT_MS + 1);
    dns_server_release(&w.server);
    UNTIL(p.connected);
    hang_up(&p);
    close_dials();
}

TEST(all_failed_is_said_only_when_all_is_known)
{
    static const struct rule rules[] = {
        {"a.test", TYPE_AAAA, ANSWER, 0, "::1"},
        {"a.test", TYPE_A, HOLD, 0, "127.0.0.1"},
        {0}};
    struct party p;

    open_dials(rules, "");
    listen_at("127.0.0.1", 8);
    dial(&p, "a.test");
    UNTIL(p.resolved);
    settle();
    CHECK(!p.failed && tried(&p, "[::1]"));
    dns_server_release(&w.server);
    UNTIL(p.connected);
    hang_up(&p);
    close_dials();
}

/* ---- what worked last ---------------------------------------------------- */

#define BROKEN_V6 "::ffff:127.0.0.2 a b\n127.0.0.3 a b\n127.0.0.1 a b\n"

/* IPv6 and the first IPv4 address are black holes. */
static void open_broken_v6(void)
{
    open_dials(NULL, BROKEN_V6);
    black_hole_at("127.0.0.2");
    black_hole_at("127.0.0.3");
    listen_at("127.0.0.1", 8);
}

/* Dials `host`; true when the last address was reached without any delay. */
static bool is_reached_at_once(const char *host)
{
    struct party p;

    dial(&p, host);
    settle();
    bool at_once = p.connected;
    while (!p.connected)
        advance(MS_ROUTE_DELAY_DEFAULT_MS);
    hang_up(&p);
    return at_once;
}

TEST(what_worked_last_is_tried_first)
{
    open_broken_v6();
    CHECK(!is_reached_at_once("a"));
    CHECK(is_reached_at_once("a") && is_reached_at_once("a"));
    CHECK(!is_reached_at_once("b"));
    ms_dial_history_clear(&history);
    CHECK(!is_reached_at_once("a"));
    close_dials();
}

TEST(what_worked_is_forgotten_in_time)
{
    open_broken_v6();
    CHECK(!is_reached_at_once("a"));
    w.fake_ms += (int64_t)MS_HISTORY_US / 1000 - 1000;
    CHECK(is_reached_at_once("a"));
    w.fake_ms += 1000;
    CHECK(!is_reached_at_once("a"));
    CHECK(is_reached_at_once("a"));
    close_dials();
}

TEST(a_family_that_worked_is_not_kept_waiting)
{
    struct rule rules[] = {{"a.test", TYPE_A, ANSWER, 0, "127.0.0.1"},
                           {"a.test", TYPE_AAAA, NODATA},
                           {0}};

    open_dials(rules, "");
    listen_at("127.0.0.1", 8);
    struct party p;
    dial(&p, "a.test");
    UNTIL(p.connected);
    hang_up(&p);
    rules[1].how = SILENT;
    dial(&p, "a.test");
    UNTIL(p.connected);
    hang_up(&p);
    close_dials();
}

TEST(an_address_that_is_gone_is_not_tried)
{
    struct rule rules[] = {{"a.test", TYPE_A, ANSWER, 0, "127.0.0.1"},
                           {"a.test", TYPE_AAAA, NODATA},
                           {0}};
    struct party p;

    open_dials(rules, "");
    listen_at("127.0.0.1", 8);
    dial(&p, "a.test");
    UNTIL(p.connected);
    hang_up(&p);
    rules[0].list = "127.0.0.2";
    dial(&p, "a.test");
    UNTIL(p.failed);
    CHECK(tried(&p, "127.0.0.2"));
    hang_up(&p);
    close_dials();
}

TEST(the_history_is_bounded)
{
    struct ms_dial_history h;
    struct ms_addr a = peer_addr("127.0.0.1"), found;
    char name[16];

    ms_dial_history_init(&h);
    for (unsigned i = 0; i <= MS_HISTORY_MAX; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        ms_dial_history_note(&h, ms_span_text(name), &a, i);
    }
    CHECK(h.by_name.count == MS_HISTORY_MAX);
    CHECK(!ms_dial_history_find(&h, MS_SPAN("n0"), 2000, &found));
    CHECK(ms_dial_history_find(&h, MS_SPAN("n1"), 2000, &found));
    CHECK(ms_addr_port(&found) == 0);
    ms_dial_history_fini(&h);
}

/* ---- failures ------------------------------------------------------------ */

TEST(the_most_informative_error_is_given)
{
    static const ms_err in_order[] = {MS_ENETWORK, MS_ETIMEOUT, MS_EUNREACHABLE,
                                      MS_ECONNECT, MS_ERESET,   MS_EREFUSED,
                                      MS_EFILES};
    struct ms_addr a = peer_addr("127.0.0.1");

    for (size_t i = 0; i < MS_COUNT(in_order); i++)
        for (size_t j = 0; j <= i; j++) {
            struct ms_dial_report r = {0};
            ms_dial_report_add(&r, &a, in_order[j], (int)j + 1);
            ms_dial_report_add(&r, &a, in_order[i], (int)i + 1);
            ms_dial_report_add(&r, &a, in_order[j], (int)j + 1);
            CHECK(r.err == in_order[i] && r.os_errno == (int)i + 1);
        }
}

TEST(a_long_list_is_cut_and_counted)
{
    static const unsigned char bytes[16] = {0xfe, 0x80, 1, 1, 0x11, 0x11,
                                            0x11, 0x11, 1, 1, 0x11, 0x11,
                                            0x11, 0x11, 1, 1};
    struct ms_addr a = ms_addr_v6(bytes);
    struct ms_dial_report r = {0};
    char text[MS_REPORT_TEXT];

    a.v6.sin6_scope_id = UINT32_MAX;
    ms_addr_set_port(&a, 65535);
    CHECK(strcmp(ms_dial_report_text(&r, text), "") == 0);
    for (int i = 0; i < MS_REPORT_ATTEMPTS + 3; i++)
        ms_dial_report_add(&r, &a, MS_ERESET, 0);
    CHECK(strstr(ms_dial_report_text(&r, text), ", and 3 more"));
}

TEST(a_name_without_addresses_is_the_resolvers_error)
{
    static const struct rule rules[] = {{"b.test", 0, SERVFAIL}, {0}};
    struct party p;
    char text[MS_REPORT_TEXT];

    open_dials(rules, "");
    dial(&p, "a.test");
    UNTIL(p.failed);
    CHECK(p.err == MS_EHOST && !p.os_errno && !p.resolved);
    CHECK(strcmp(ms_dial_tried(p.dial, text), "") == 0);
    hang_up(&p);
    dial(&p, "b.test");
    UNTIL(p.failed);
    CHECK(p.err == MS_ERESOLVE && !p.os_errno && !p.resolved);
    hang_up(&p);
    close_dials();
}

TEST(a_dial_may_be_given_up_at_every_step)
{
    static const struct rule rules[] = {{"silent.test", 0, SILENT}, {0}};
    struct party p;

    open_dials(rules, "127.0.0.2 hole\n127.0.0.1 good\n127.0.0.3 bad\n");
    black_hole_at("127.0.0.2");
    listen_at("127.0.0.1", 8);
    dial(&p, "silent.test");
    settle();
    CHECK(ms_dial_resolving(p.dial));
    hang_up(&p);
    dial(&p, "hole");
    settle();
    CHECK(in_flight() == 1);
    hang_up(&p);
    dial(&p, "good");
    hang_up(&p);
    dial(&p, "bad");
    UNTIL(p.failed);
    hang_up(&p);
    CHECK(in_flight() == 0);
    close_dials();
}

TEST(a_lack_of_files_is_said_so)
{
    struct party p;
    int hoard[4096], n = 0;

    open_dials(NULL, "127.0.0.1 a\n::1 a\n");
    while (n < 4096 && (hoard[n] = dup(0)) >= 0)
        n++;
    if (n < 4096) {
        dial(&p, "a");
        CHECK(p.failed && p.err == MS_EFILES && p.os_errno == EMFILE);
        hang_up(&p);
    }
    while (n)
        close(hoard[--n]);
    close_dials();
}

/* Dials with the `nth` allocation failing; false: there were not so many. */
static bool dial_without_memory(long nth)
{
    struct party p = {0};
    struct ms_dial_config c = {
        .host = MS_SPAN("a"),
        .port = peers.port,
        .history = &history,
        .route = route,
        .on_resolved = on_resolved,
        .on_connected = on_connected,
        .on_failed = on_failed,
        .owner = &p,
    };

    ms_mem_fail(nth, 1);
    enter();
    ms_err err = ms_dial_start(&p.dial, &w.loop, w.resolver, &c);
    leave();
    if (!err)
        UNTIL(p.connected || p.failed);
    bool failed = ms_mem_count() >= nth;
    ms_mem_fail(0, 0);
    CHECK(failed || p.connected);
    CHECK(p.connected || err == MS_ENOMEM || p.err == MS_ENOMEM);
    hang_up(&p);
    ms_dial_history_clear(&history);
    return failed;
}

TEST(every_allocation_of_a_dial_may_fail)
{
    long nth = 1;

    open_dials(NULL, "127.0.0.1 a\n");
    listen_at("127.0.0.1", 64);
    while (dial_without_memory(nth))
        CHECK(++nth < 100);
    CHECK(nth > 3);
    close_dials();
}
