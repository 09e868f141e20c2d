/* SPDX-License-Identifier: MIT
 *
 * How lookups end before their time: cancelled, freed, out of memory.
 */
#include "base/mem.h"
#include "resolve_world.h"

static const struct rule rules[] = {
    {"both.test", 0, ANSWER, 2},
    {"half.test", TYPE_A, ANSWER, 1},
    {"half.test", TYPE_AAAA, SILENT, 0},
    {"silent.test", 0, SILENT, 0},
    {"notcp.test", 0, NO_TCP, 0},
    {"good.test", 0, ANSWER, 1},
    {0},
};

static const struct setting quick = {.timeout_ms = 40, .tries = 2};

static void cancel_self(struct client *c)
{
    ms_resolve_cancel(&c->asker);
}

/* ---- cancelling ---------------------------------------------------------- */

TEST(a_cancelled_asker_hears_nothing_more)
{
    struct client a, b;

    open_world(rules, &quick);
    /* before anything came */
    ask(&a, "good.test");
    ask(&b, "good.test");
    cancel(&a);
    cancel(&a);
    UNTIL(b.done);
    CHECK(!a.calls && !a.done && !b.err && b.calls == 2);
    /* between the families */
    ask(&a, "half.test");
    ask(&b, "half.test");
    UNTIL(a.calls && b.calls);
    cancel(&a);
    UNTIL(b.done);
    CHECK(a.calls == 1 && !a.done && !b.err);
    /* while it waits for nothing */
    cancel(&b);
    close_world();
}

static void cancel_other(struct client *c)
{
    ms_resolve_cancel(&c->other->asker);
}

TEST(callbacks_may_cancel_anybody)
{
    struct client a, b;

    open_world(rules, WITHOUT_CACHE);
    ask(&a, "both.test");
    ask(&b, "both.test");
    a.other = &b;
    a.at_addresses = cancel_other;
    UNTIL(a.done);
    CHECK(!b.calls && !b.done);

    ask(&a, "both.test");
    ask(&b, "both.test");
    a.other = &b;
    a.at_done = cancel_other;
    UNTIL(a.done);
    CHECK(b.calls == 2 && !b.done);

    ask(&a, "both.test");
    ask(&b, "both.test");
    a.at_addresses = cancel_self;
    UNTIL(b.done);
    CHECK(a.calls == 1 && !a.done && b.calls == 2);
    close_world();
}

TEST(a_lookup_nobody_waits_for_can_be_joined)
{
    struct client a, b;

    open_world(rules, NULL);
    ask(&a, "both.test");
    cancel(&a);
    ask(&b, "both.test");
    UNTIL(b.done);
    CHECK(!b.err && w.server.asked == 2 && !a.calls);
    close_world();
}

/* ---- freeing ------------------------------------------------------------- */

TEST(freeing_in_the_entry_that_asked)
{
    struct client c;

    open_world(rules, NULL);
    init_client(&c);
    enter();
    CHECK(start(&c, "silent.test") == MS_OK);
    ms_resolve_cancel(&c.asker);
    ms_resolver_free(w.resolver);
    w.resolver = NULL;
    leave();
    CHECK(w.announced == 0 && !c.calls && !c.done);
    close_world();
}

TEST(freeing_while_questions_are_out)
{
    static const char *const names[] = {"silent.test", "notcp.test",
                                        "half.test"};
    struct client c;

    for (size_t i = 0; i < MS_COUNT(names); i++) {
        open_world(rules, NULL);
        ask(&c, names[i]);
        /* UDP, for notcp.test TCP too; for half.test one answer. */
        UNTIL(w.server.asked >= (i == 1 ? 4 : 2) && (i < 2 || c.calls));
        cancel(&c);
        CHECK(watched() > 0);
        close_world();
        CHECK(!c.done);
    }
}

TEST(freeing_while_a_connection_is_made)
{
    struct client c;

    open_world(rules, NULL);
    ask(&c, "notcp.test");
    while (w.announced < 2) {
        dns_server_pump(&w.server);
        turn(false);
    }
    cancel(&c);
    close_world();
}

TEST(freeing_when_answers_have_come_but_are_not_handed_on)
{
    struct client c;

    open_world(rules, NULL);
    ask(&c, "both.test");
    dns_server_pump(&w.server);
    enter();
    for (int fd = 0; fd < MAX_FDS; fd++)
        if (w.watch[fd])
            ms_loop_dispatch(&w.loop, fd, 0);
    CHECK(!c.calls && "never inside the dispatch");
    ms_resolve_cancel(&c.asker);
    ms_resolver_free(w.resolver);
    w.resolver = NULL;
    leave();
    CHECK(!c.calls && !c.done);
    close_world();
}

TEST(freeing_while_lookups_wait_for_their_turn)
{
    enum { NAMES = 70 };
    static struct client c[NAMES];
    char name[24];

    open_world(NULL, NULL);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "n%d.test", i);
        ask(&c[i], name);
        cancel(&c[i]);
    }
    CHECK(ms_resolver_lookups(w.resolver) == 64);
    close_world();
}

TEST(the_numbers_of_its_sockets_may_be_reused_at_once)
{
    struct client c;
    int fd = 0;

    open_world(rules, NULL);
    ask(&c, "silent.test");
    while (!w.watch[fd])
        fd++;
    cancel(&c);
    w.want_stranger = true;
    free_resolver();
    CHECK(w.stranger == fd && fcntl(fd, F_GETFD) >= 0);
    close(w.stranger);
    close_world();
}

static void free_from_callback(struct client *c)
{
    if (c->other->calls) {
        c->other->calls = 0;
        return;
    }
    ms_resolve_cancel(&c->asker);
    ms_resolve_cancel(&c->other->asker);
    ms_resolver_free(w.resolver);
    w.resolver = NULL;
}

TEST(freeing_from_a_callback)
{
    struct client a, b;

    /* With the first addresses, the last ones, and at the end. */
    for (unsigned when = 0; when < 3; when++) {
        open_world(rules, NULL);
        ask(&a, "good.test");
        ask(&b, "silent.test");
        a.other = &b;
        b.calls = when == 1; /* to be passed over */
        *(when == 2 ? &a.at_done : &a.at_addresses) = free_from_callback;
        UNTIL(!w.resolver);
        CHECK(a.calls == (when ? 2 : 1) && a.done == (when == 2));
        CHECK(!b.calls && !b.done);
        close_world();
    }
}

TEST(freeing_from_an_answer_at_once)
{
    struct client a, b;

    open_world(rules, NULL);
    init_client(&a);
    ask(&b, "silent.test");
    a.other = &b;
    a.at_addresses = free_from_callback;
    enter();
    CHECK(start(&a, "::1") == MS_OK);
    leave();
    CHECK(!w.resolver && a.calls == 1 && !a.done);
    close_world();
}

/* ---- memory -------------------------------------------------------------- */

#ifdef MS_FAIL_ALLOC

static const struct rule torture_rules[] = {
    {"a.b.test", 0, ANSWER, 1}, {"many.test", 0, TRUNCATED, 40}, {0}};

static bool acceptable(ms_err err)
{
    return err == MS_OK || err == MS_ENOMEM;
}

/* Two names by different ways, `count` allocations failing from the nth. */
static void torture(long nth, long count)
{
    struct client c[2];
    static const char *const names[] = {"a", "many.test"};

    ms_mem_fail(nth, count);
    ms_err err = make_resolver(&(struct setting){0});
    CHECK(acceptable(err));
    for (int i = 0; !err && i < 2; i++) {
        init_client(&c[i]);
        enter();
        ms_err started = start(&c[i], names[i]);
        leave();
        CHECK(acceptable(started));
        if (!started)
            UNTIL(c[i].done);
        CHECK_THAT(acceptable(c[i].err), "%ld: %s", nth, ms_err_code(c[i].err));
    }
}

TEST(every_allocation_may_fail)
{
    static const long counts[] = {1, 1000000};

    for (size_t i = 0; i < MS_COUNT(counts); i++) {
        long nth = 0, used;
        do {
            open_world(torture_rules,
                       &(struct setting){.hosts = "10.0.0.1 x y z\n",
                                         .resolv = "search b.test\n"});
            free_resolver();
            torture(++nth, counts[i]);
            used = ms_mem_count();
            ms_mem_fail(0, 0);
            close_world();
        } while (used >= nth);
        CHECK(nth > 20);
    }
}

#endif
