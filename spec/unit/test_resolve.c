/* SPDX-License-Identifier: MIT */
#include "resolve_world.h"

/* ---- without DNS --------------------------------------------------------- */

TEST(literals_are_answered_at_once)
{
    static const char *const texts[][2] = {
        {"127.0.0.1", "127.0.0.1:0"}, {"::1", "[::1]:0"}, {"[::1]", "[::1]:0"}};
    struct client c;

    open_world(NULL, NULL);
    for (size_t i = 0; i < MS_COUNT(texts); i++) {
        ask(&c, texts[i][0]);
        CHECK(c.done && !c.err && c.calls == 1 && c.v4 + c.v6 == 1);
        CHECK(first_is(&c, texts[i][1]));
    }
    CHECK(ms_resolver_lookups(w.resolver) == 0 && w.announced == 0);
    close_world();
}

static const char *const local_names[] = {
    "localhost", "localhost.", "LocalHost", "a.localhost", "a.b.localhost."};

TEST(localhost_never_leaves_the_machine)
{
    struct client c;

    open_world(NULL, &(struct setting){.hosts = "10.0.0.1 localhost\n"});
    for (size_t i = 0; i < MS_COUNT(local_names); i++) {
        ask(&c, local_names[i]);
        CHECK_THAT(c.done && !c.err, "%s", local_names[i]);
        CHECK(c.calls == 1 && c.v4 == 1 && c.v6 == 1);
        CHECK(first_is(&c, "127.0.0.1:0"));
    }
    CHECK(w.announced == 0 && w.server.asked == 0);
    close_world();
}

TEST(localhost_is_what_the_hosts_file_says)
{
    struct client c;

    open_world(NULL, &(struct setting){.hosts = "127.0.0.2 localhost x\n"
                                                "::1 a.localhost\n"});
    ask(&c, "localhost");
    CHECK(c.done && c.v4 == 1 && !c.v6 && first_is(&c, "127.0.0.2:0"));
    ask(&c, "a.localhost");
    CHECK(c.done && !c.v4 && c.v6 == 1);
    close_world();
}

TEST(the_hosts_file_comes_before_dns)
{
    static const struct rule rules[] = {{"a.test", 0, ANSWER, 1}, {0}};
    struct client c;

    open_world(rules, &(struct setting){.hosts = "10.9.9.9 a.test\n"
                                                 "fd00::9 a.test\n"});
    ask(&c, "a.test");
    CHECK(c.done && !c.err && c.calls == 1 && c.v4 == 1 && c.v6 == 1);
    CHECK(first_is(&c, "10.9.9.9:0"));
    ask(&c, "A.TEST.");
    CHECK(c.done && c.v4 == 1);
    CHECK(w.announced == 0);
    close_world();
}

/* Two labels of 63 bytes, which the names below are made of. */
#define L63 "a123456789b123456789c123456789d123456789e123456789f123456789abc"

TEST(what_cannot_be_a_name_is_not_asked_for)
{
    static const char *const names[] = {
        "",          ".",           "..",         ".a",
        "a..b",      "a b",         "a\\.b",      "a\tb",
        "a\x7f",     "\xc3\xa4",    L63 "d.test", L63 "." L63 "." L63 "." L63,
        "abc.onion", "x.abc.onion."};
    struct client c;

    open_world(NULL, &(struct setting){.resolv = "search test\n"});
    for (size_t i = 0; i < MS_COUNT(names); i++) {
        ask(&c, names[i]);
        CHECK_THAT(c.done && c.err == MS_EHOST, "%s", names[i]);
    }
    init_client(&c);
    enter();
    CHECK(!ms_resolve_start(w.resolver, &c.asker, ms_span("a\0b", 3)));
    leave();
    CHECK(c.done && c.err == MS_EHOST);
    CHECK(ms_resolver_lookups(w.resolver) == 0 && w.announced == 0);
    close_world();
}

static void cancel_self(struct client *c)
{
    ms_resolve_cancel(&c->asker);
}

TEST(nothing_comes_after_a_cancel_in_an_answer_at_once)
{
    struct client c;

    open_world(NULL, NULL);
    init_client(&c);
    c.at_addresses = cancel_self;
    enter();
    CHECK(start(&c, "::1") == MS_OK);
    leave();
    CHECK(c.calls == 1 && !c.done);
    close_world();
}

static void ask_other_literal(struct client *c)
{
    CHECK(start(c->other, "127.0.0.1") == MS_OK);
    CHECK(c->other->done);
}

TEST(answers_at_once_nest)
{
    struct client a, b;

    open_world(NULL, NULL);
    init_client(&a);
    init_client(&b);
    a.other = &b;
    a.at_addresses = ask_other_literal;
    enter();
    CHECK(start(&a, "::1") == MS_OK);
    leave();
    CHECK(a.done == 1 && b.done == 1 && a.v6 == 1 && b.v4 == 1);
    close_world();
}

TEST(the_defaults_will_do)
{
    struct client c;

    open_world(NULL, NULL);
    free_resolver();
    CHECK(ms_resolver_new(&w.resolver, &w.loop, NULL) == MS_OK);
    ask(&c, "localhost");
    CHECK(c.done && !c.err);
    close_world();
}

/* ---- answers ------------------------------------------------------------- */

struct answer_case {
    const char *name;
    unsigned v4, v6;
    ms_err err;
};

static const struct rule answer_rules[] = {
    {"both.test", 0, ANSWER, 2},
    {"v4.test", TYPE_A, ANSWER, 3},
    {"v4.test", TYPE_AAAA, NODATA, 0},
    {"v6.test", TYPE_AAAA, ANSWER, 1},
    {"v6.test", TYPE_A, NODATA, 0},
    {"odd.test", TYPE_A, ANSWER, 1}, /* and no AAAA: NXDOMAIN */
    {"half.test", TYPE_A, ANSWER, 1},
    {"half.test", TYPE_AAAA, SERVFAIL, 0},
    {"none.test", 0, NODATA, 0},
    {"servfail.test", 0, SERVFAIL, 0},
    {"formerr.test", 0, FORMERR, 0},
    {"mixed.test", TYPE_A, SERVFAIL, 0},
    {"mixed.test", TYPE_AAAA, NODATA, 0},
    {"gone.test", TYPE_A, SERVFAIL, 0},     /* AAAA: NXDOMAIN */
    {"gone6.test", TYPE_AAAA, SERVFAIL, 0}, /* A: NXDOMAIN */
    {"alias.test", 0, ALIAS, 2},
    {"noaddr.test", 0, ALIAS, 0},
    {"forged.test", 0, WRONG_ID, 1},
    {"garbage.test", 0, GARBAGE, 1},
    {"additional.test", TYPE_A, ADDITIONAL, 2},
    {"additional.test", TYPE_AAAA, NODATA, 0},
    {"many.test", 0, TRUNCATED, 500},
    {"few.test", 0, TRUNCATED, 1},
    {"under_score.test", 0, ANSWER, 1},
    {"notlocalhost", 0, ANSWER, 1},
    {0},
};

static const struct answer_case answer_cases[] = {
    {"both.test", 2, 2, MS_OK},
    {"BOTH.test.", 2, 2, MS_OK},
    {"v4.test", 3, 0, MS_OK},
    {"v6.test", 0, 1, MS_OK},
    {"odd.test", 1, 0, MS_OK},
    {"half.test", 1, 0, MS_OK},
    {"none.test", 0, 0, MS_EHOST},
    {"nobody.test", 0, 0, MS_EHOST},
    {"servfail.test", 0, 0, MS_ERESOLVE},
    {"formerr.test", 0, 0, MS_ERESOLVE},
    {"mixed.test", 0, 0, MS_ERESOLVE},
    {"gone.test", 0, 0, MS_EHOST},
    {"gone6.test", 0, 0, MS_EHOST},
    {"notlocalhost", 1, 1, MS_OK},
    {"alias.test", 2, 2, MS_OK},
    {"noaddr.test", 0, 0, MS_EHOST},
    {"forged.test", 1, 1, MS_OK},
    {"garbage.test", 1, 1, MS_OK},
    {"additional.test", 2, 0, MS_OK},
    {"many.test", MS_DNS_MAX_ADDRESSES, MS_DNS_MAX_ADDRESSES, MS_OK},
    {"few.test", 1, 1, MS_OK},
    {"under_score.test", 1, 1, MS_OK},
};

static void check_answer(const struct answer_case *a, const struct client *c)
{
    CHECK_THAT(c->err == a->err, "%s: %s", a->name, ms_err_code(c->err));
    CHECK_THAT(c->v4 == a->v4 && c->v6 == a->v6, "%s: %u and %u addresses",
               a->name, c->v4, c->v6);
    CHECK(c->calls == (a->v4 ? 1u : 0u) + (a->v6 ? 1u : 0u));
    if (c->calls)
        CHECK_THAT(first_is(c, "10.0.0.0:0") || first_is(c, "[fd00::]:0"), "%s",
                   a->name);
}

TEST(answers_of_all_kinds_one_by_one)
{
    struct client c;

    open_world(answer_rules, WITHOUT_CACHE);
    for (size_t i = 0; i < MS_COUNT(answer_cases); i++) {
        resolve(&c, answer_cases[i].name);
        check_answer(&answer_cases[i], &c);
        CHECK(watched() == 0 && "an idle resolver keeps no socket");
        CHECK(ms_loop_deadline(&w.loop) == MS_NEVER);
    }
    CHECK(ms_resolver_lookups(w.resolver) == MS_COUNT(answer_cases));
    close_world();
}

TEST(answers_of_all_kinds_all_at_once)
{
    struct client c[MS_COUNT(answer_cases)];

    open_world(answer_rules, NULL);
    enter();
    for (size_t i = 0; i < MS_COUNT(c); i++) {
        init_client(&c[i]);
        CHECK(start(&c[i], answer_cases[i].name) == MS_OK);
    }
    leave();
    for (size_t i = 0; i < MS_COUNT(c); i++) {
        UNTIL(c[i].done);
        check_answer(&answer_cases[i], &c[i]);
    }
    close_world();
}

TEST(a_name_is_asked_for_twice_and_no_more)
{
    struct client c;

    open_world(answer_rules, NULL);
    resolve(&c, "both.test");
    CHECK(w.server.asked == 2);
    CHECK(asked("A both.test") == 1 && asked("AAAA both.test") == 1);
    resolve(&c, "many.test");
    CHECK(asked("tcp A many.test") == 1 && asked("tcp AAAA many.test") == 1);
    close_world();
}

/* Asks for one family only. */
static void resolve_one(struct client *c, const char *host,
                        enum ms_families families)
{
    init_client(c);
    c->asker.families = families;
    enter();
    CHECK(start(c, host) == MS_OK);
    leave();
    UNTIL(c->done);
}

TEST(what_nobody_wants_is_not_asked_for)
{
    struct client c;

    open_world(answer_rules, NULL);
    resolve_one(&c, "both.test", MS_RESOLVE_V4);
    CHECK(!c.err && c.v4 == 2 && c.v6 == 0);
    CHECK(w.server.asked == 1 && asked("A both.test") == 1);
    resolve_one(&c, "both.test", MS_RESOLVE_V4);
    CHECK(!c.err && w.server.asked == 1);
    resolve_one(&c, "both.test", MS_RESOLVE_V6);
    CHECK(!c.err && c.v4 == 0 && c.v6 == 2 && w.server.asked == 2);
    resolve_one(&c, "v6.test", MS_RESOLVE_V4);
    CHECK(c.err == MS_EHOST && !asked("AAAA v6.test"));
    resolve_one(&c, "servfail.test", MS_RESOLVE_V6);
    CHECK(c.err == MS_ERESOLVE && !asked("A servfail.test"));
    close_world();
}

TEST(what_is_known_of_both_families_does_for_one)
{
    struct client c;

    open_world(answer_rules, NULL);
    resolve(&c, "both.test");
    resolve(&c, "v4.test");
    CHECK(w.server.asked == 4);
    resolve_one(&c, "both.test", MS_RESOLVE_V6);
    CHECK(!c.err && c.v6 == 2 && w.server.asked == 4);
    resolve_one(&c, "v4.test", MS_RESOLVE_V4);
    CHECK(!c.err && c.v4 == 3 && w.server.asked == 4);
    /* and what one family has says nothing about the other */
    resolve_one(&c, "half.test", MS_RESOLVE_V4);
    resolve(&c, "half.test");
    CHECK(!c.err && asked("A half.test") == 2 && asked("AAAA half.test") > 0);
    close_world();
}

TEST(a_flood_takes_several_turns)
{
    static const struct rule rules[] = {{"flood.test", TYPE_A, FLOOD, 1},
                                        {"flood.test", TYPE_AAAA, NODATA, 0},
                                        {0}};
    struct client c;

    open_world(rules, NULL);
    resolve(&c, "flood.test");
    CHECK(!c.err && c.v4 == 1);
    CHECK_THAT(w.events >= FLOOD_PACKETS / 64 + 1, "%u events", w.events);
    close_world();
}

/* ---- time ---------------------------------------------------------------- */

static const struct rule slow_rules[] = {
    {"half.test", TYPE_A, ANSWER, 1},
    {"half.test", TYPE_AAAA, SILENT, 0},
    {"late.test", TYPE_AAAA, ANSWER, 1},
    {"late.test", TYPE_A, SILENT, 0},
    {"empty.test", TYPE_A, NODATA, 0},
    {"empty.test", TYPE_AAAA, SILENT, 0},
    {"silent.test", 0, SILENT, 0},
    {"notcp.test", 0, NO_TCP, 0},
    {"hangup.test", 0, HANG_UP, 0},
    {"good.test", 0, ANSWER, 1},
    {0},
};

static const struct setting quick = {.timeout_ms = 40, .tries = 2};

TEST(one_family_is_handed_on_while_the_other_is_silent)
{
    struct client c;

    open_world(slow_rules, &quick);
    ask(&c, "half.test");
    UNTIL(c.calls);
    CHECK(c.v4 == 1 && !c.done);
    UNTIL(c.done);
    CHECK(!c.err && c.calls == 1);

    ask(&c, "late.test");
    UNTIL(c.calls);
    CHECK(c.v6 == 1 && !c.done);
    UNTIL(c.done);
    CHECK(!c.err && c.calls == 1);
    close_world();
}

TEST(silence_ends_in_a_timeout)
{
    static const char *const names[] = {"silent.test", "empty.test",
                                        "notcp.test"};
    struct client c;

    open_world(slow_rules, &quick);
    for (size_t i = 0; i < MS_COUNT(names); i++) {
        int64_t before = now_ms();
        ask(&c, names[i]);
        CHECK(ms_loop_deadline(&w.loop) <= w.loop.now_us + 41000u);
        UNTIL(c.done);
        CHECK_THAT(c.err == MS_ETIMEOUT, "%s: %s", names[i],
                   ms_err_code(c.err));
        CHECK(now_ms() - before >= 40);
        CHECK(watched() == 0);
    }
    CHECK(asked("A silent.test") == 2 && asked("AAAA silent.test") == 2);
    close_world();
}

TEST(a_server_that_hangs_up_or_is_not_there_is_an_error)
{
    static const struct setting nobody = {.servers = "127.0.0.1:1"};
    struct client c;

    open_world(slow_rules, &quick);
    resolve(&c, "hangup.test");
    CHECK(c.err == MS_ERESOLVE);
    close_world();

    open_world(NULL, &nobody);
    resolve(&c, "a.test");
    CHECK(c.err == MS_ERESOLVE);
    CHECK(w.wakes == 0 && "it is known without waiting");
    close_world();
}

TEST(the_second_server_helps_out)
{
    static const struct rule rules[] = {{"a.test", 0, ANSWER, 1}, {0}};
    char servers[64];
    struct client c;

    open_world(rules, NULL);
    free_resolver();
    snprintf(servers, sizeof(servers), "127.0.0.1:1,127.0.0.1:%u",
             w.server.port);
    CHECK(make_resolver(&(struct setting){.servers = servers}) == MS_OK);
    resolve(&c, "a.test");
    CHECK(!c.err && c.v4 == 1 && c.v6 == 1);
    CHECK(w.wakes == 0 && "the first one is known to be dead");
    close_world();
}

TEST(servers_that_make_no_sense_are_refused_at_the_first_name)
{
    static const struct setting nonsense = {.servers = "not an address"};
    struct client c;

    open_world(NULL, &nonsense);
    init_client(&c);
    enter();
    CHECK(start(&c, "a.test") == MS_ERESOLVE);
    CHECK(start(&c, "a.test") == MS_ERESOLVE);
    CHECK(start(&c, "localhost") == MS_OK);
    leave();
    CHECK(c.done && !c.err);
    close_world();
}

TEST(events_may_come_without_reason)
{
    struct client c;

    open_world(slow_rules, NULL);
    ask(&c, "good.test");
    for (int round = 0; round < 3; round++) {
        for (int fd = 0; fd < MAX_FDS; fd++) {
            enter();
            ms_loop_dispatch(&w.loop, fd, 0);
            leave();
        }
        wake();
    }
    CHECK(!c.done);
    UNTIL(c.done);
    CHECK(!c.err && w.server.asked == 2);
    close_world();
}

TEST(a_host_that_refuses_the_socket_ends_the_lookup)
{
    struct client c;

    open_world(slow_rules, NULL);
    ask(&c, "good.test");
    enter();
    for (int fd = 0; fd < MAX_FDS; fd++)
        if (w.watch[fd])
            ms_ev_queue(ms_ev_find(&w.loop.ev, fd), MS_EV_REFUSED);
    leave();
    CHECK(c.done && c.err == MS_ECALLBACK && watched() == 0);
    resolve(&c, "good.test");
    CHECK(!c.err);
    close_world();
}

/* ---- the search list ----------------------------------------------------- */

struct search_case {
    const char *resolv, *name;
    const char *questions; /* of type A, in order */
    ms_err err;
};

static const struct rule search_rules[] = {
    {"www.b.test", 0, ANSWER, 1},
    {"www.x.b.test", 0, ANSWER, 1},
    {"plain", 0, ANSWER, 1},
    {"full.test", 0, ANSWER, 1},
    {"nodata.a.test", 0, NODATA, 0},
    {"nodata.b.test", 0, ANSWER, 1},
    {"broken.a.test", 0, SERVFAIL, 0},
    {"broken.b.test", 0, ANSWER, 1},
    {"one.a.test", TYPE_AAAA, ANSWER, 1}, /* A: NXDOMAIN */
    {"one.b.test", 0, ANSWER, 1},
    {0},
};

#define TWO "search a.test b.test\n"

static const struct search_case search_cases[] = {
    {TWO, "www", "www.a.test www.b.test", MS_OK},
    {TWO, "nodata", "nodata.a.test nodata.b.test", MS_OK},
    {TWO, "broken", "broken.a.test", MS_ERESOLVE},
    {TWO, "one", "one.a.test", MS_OK},
    {TWO, "plain", "plain.a.test plain.b.test plain", MS_OK},
    {TWO, "plain.", "plain", MS_OK},
    {TWO, "www.", "www", MS_EHOST},
    {TWO, "nobody", "nobody.a.test nobody.b.test nobody", MS_EHOST},
    {TWO, "full.test", "full.test", MS_OK},
    {TWO, "www.x", "www.x www.x.a.test www.x.b.test", MS_OK},
    {TWO "options ndots:2\n", "www.x", "www.x.a.test www.x.b.test", MS_OK},
    {TWO "options ndots:2\n", "full.test",
     "full.test.a.test full.test.b.test full.test", MS_OK},
    {TWO "options ndots:0\n", "plain", "plain", MS_OK},
    {"search .a.test. . b.test.\n", "www", "www.a.test www.b.test", MS_OK},
    {"search .\n", "plain", "plain", MS_OK},
    {"domain b.test\n", "www", "www.b.test", MS_OK},
    {TWO,
     L63 "." L63 "." L63 "."
         "abcdefghijklmnopqrstuvwxyz0123456789",
     L63 "." L63 "." L63 "."
         "abcdefghijklmnopqrstuvwxyz0123456789 " L63 "." L63 "." L63 "."
         "abcdefghijklmnopqrstuvwxyz0123456789.a.test " L63 "." L63 "." L63 "."
         "abcdefghijklmnopqrstuvwxyz0123456789.b.test",
     MS_EHOST},
    {TWO,
     L63 "." L63 "." L63 "."
         "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl"
         "mnopqrstuvwxy",
     NULL, MS_EHOST},
};

/* The names asked for their A records, in order, each cut as in the log. */
static const char *questions(void)
{
    static char out[1024];
    size_t n = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < w.server.asked; i++) {
        if (strncmp(w.server.log[i], "A ", 2) != 0)
            continue;
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s", n ? " " : "",
                              w.server.log[i] + 2);
    }
    return out;
}

TEST(the_search_list_is_walked_in_order)
{
    struct client c;

    for (size_t i = 0; i < MS_COUNT(search_cases); i++) {
        const struct search_case *s = &search_cases[i];
        open_world(search_rules,
                   &(struct setting){.resolv = s->resolv, .tries = 1});
        resolve(&c, s->name);
        CHECK_THAT(c.err == s->err, "%s: %s", s->name, ms_err_code(c.err));
        if (s->questions && strlen(s->name) < 60)
            CHECK_THAT(!strcmp(questions(), s->questions), "%s: %s", s->name,
                       questions());
        else
            CHECK_THAT(w.server.asked == (s->questions ? 6 : 2), "%u questions",
                       w.server.asked);
        CHECK(ms_resolver_lookups(w.resolver) == 1);
        close_world();
    }
}

TEST(a_search_goes_no_further_when_nobody_waits)
{
    struct client c;

    open_world(search_rules, &(struct setting){.resolv = TWO});
    ask(&c, "nobody");
    cancel(&c);
    UNTIL(watched() == 0);
    CHECK(w.server.asked == 2 && !c.done);
    close_world();
}

/* ---- sharing ------------------------------------------------------------- */

TEST(all_who_ask_for_a_name_share_one_lookup)
{
    enum { ASKERS = 100 };
    static struct client c[ASKERS];

    open_world(answer_rules, NULL);
    for (int i = 0; i < ASKERS; i++)
        ask(&c[i], i % 2 ? "both.test" : "Both.Test");
    for (int i = 0; i < ASKERS; i++) {
        UNTIL(c[i].done);
        CHECK(!c[i].err && c[i].v4 == 2 && c[i].v6 == 2);
    }
    CHECK(w.server.asked == 2 && ms_resolver_lookups(w.resolver) == 1);
    close_world();
}

TEST(a_latecomer_gets_what_the_others_have)
{
    struct client a, b;

    open_world(slow_rules, &quick);
    ask(&a, "half.test");
    UNTIL(a.calls);
    ask(&b, "half.test");
    CHECK(b.calls == 1 && b.v4 == 1 && !b.done);
    UNTIL(a.done && b.done);
    CHECK(b.calls == 1 && ms_resolver_lookups(w.resolver) == 1);

    ask(&a, "half.test");
    UNTIL(a.calls);
    init_client(&b);
    b.at_addresses = cancel_self;
    enter();
    CHECK(start(&b, "half.test") == MS_OK);
    leave();
    UNTIL(a.done);
    CHECK(b.calls == 1 && !b.done);
    close_world();
}

static void ask_again(struct client *c)
{
    c->at_done = NULL;
    c->done = c->calls = 0;
    CHECK(start(c, "both.test") == MS_OK);
    CHECK(c->asker.lookup);
}

TEST(who_is_done_may_ask_again_at_once)
{
    struct client a, b;

    open_world(answer_rules, WITHOUT_CACHE);
    ask(&a, "both.test");
    ask(&b, "both.test");
    a.at_done = ask_again;
    UNTIL(b.done);
    CHECK(!a.done);
    UNTIL(a.done);
    CHECK(!a.err && a.v4 == 4 && a.v6 == 4);
    CHECK(w.server.asked == 4 && ms_resolver_lookups(w.resolver) == 2);
    close_world();
}

static void start_other(struct client *c)
{
    c->at_addresses = NULL;
    CHECK(start(c->other, "both.test") == MS_OK);
}

TEST(askers_may_join_from_a_callback)
{
    struct client a, b;

    open_world(answer_rules, NULL);
    init_client(&b);
    ask(&a, "both.test");
    a.other = &b;
    a.at_addresses = start_other;
    UNTIL(a.done && b.done);
    CHECK(b.v4 == 2 && b.v6 == 2 && b.calls == 2);
    CHECK(ms_resolver_lookups(w.resolver) == 1);
    close_world();
}

TEST(a_burst_is_asked_in_portions)
{
    enum { NAMES = 300 };
    static struct client c[NAMES];
    static struct rule rules[NAMES + 1];
    static char names[NAMES][24];

    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d.test", i);
        rules[i] = (struct rule){names[i], 0, ANSWER, 1};
    }
    open_world(rules, WITHOUT_CACHE);
    enter();
    for (int i = 0; i < NAMES; i++) {
        init_client(&c[i]);
        CHECK(start(&c[i], names[i]) == MS_OK);
    }
    leave();
    dns_server_pump(&w.server);
    CHECK(w.server.asked == 128);
    for (int i = 0; i < NAMES; i++) {
        UNTIL(c[i].done);
        CHECK(!c[i].err && c[i].v4 == 1 && c[i].v6 == 1);
    }
    CHECK(w.server.asked == 2 * NAMES);
    CHECK(ms_loop_deadline(&w.loop) == MS_NEVER);
    close_world();
}

TEST(silent_names_do_not_keep_others_waiting_for_long)
{
    enum { NAMES = 64 };
    static struct client c[NAMES + 2];
    static struct rule rules[NAMES + 2];
    static char names[NAMES][24];

    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d.test", i);
        rules[i] = (struct rule){names[i], 0, SILENT, 0};
    }
    rules[NAMES] = (struct rule){"good.test", 0, ANSWER, 1};
    open_world(rules, &(struct setting){.timeout_ms = 60, .tries = 4});
    for (int i = 0; i < NAMES; i++)
        ask(&c[i], names[i]);
    ask(&c[NAMES], "good.test");
    ask(&c[NAMES + 1], "unwanted.test");
    cancel(&c[NAMES + 1]);
    UNTIL(c[NAMES].done);
    CHECK(!c[NAMES].err && !c[0].done);
    CHECK(asked("A unwanted.test") == 0);
    for (int i = 0; i < NAMES; i++)
        cancel(&c[i]);
    close_world();
}
