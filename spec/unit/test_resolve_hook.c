/* SPDX-License-Identifier: MIT */
#include "net/resolve_hook.h"

#include "base/mem.h"
#include "resolve_world.h"

/* ---- a program that is asked --------------------------------------------- */

#define MAX_QUESTIONS 16

static struct {
    char asked[MAX_QUESTIONS][64]; /* "4 a.test" */
    uint64_t numbers[MAX_QUESTIONS];
    unsigned count, released;
    ms_err refuse;
    bool at_once;
} program;

static struct ms_addr loopback(int family)
{
    static const unsigned char v4[4] = {127, 0, 0, 1};

    return family == 4 ? ms_addr_v4(v4) : ms_addr_v6(&in6addr_loopback);
}

static bool answer(unsigned i, int family, ms_err err)
{
    struct ms_addr a = loopback(family);

    enter();
    bool waited = ms_resolver_answer(w.resolver, program.numbers[i], &a,
                                     err ? 0 : 1, err);
    leave();
    return waited;
}

static ms_err on_ask(struct ms_multi *multi, void *user, const char *host,
                     int family, uint64_t question)
{
    CHECK(!multi && user == &program && program.count < MAX_QUESTIONS);
    snprintf(program.asked[program.count], sizeof(program.asked[0]), "%d %.50s",
             family, host);
    program.numbers[program.count++] = question;
    if (program.at_once)
        CHECK(answer(program.count - 1, family, MS_OK));
    return program.refuse;
}

static void on_release(void *user)
{
    CHECK(user == &program);
    program.released++;
}

static void open_hooked(void)
{
    struct ms_resolve_hook *h = ms_zalloc(sizeof(*h));

    CHECK(h);
    memset(&program, 0, sizeof(program));
    *h = (struct ms_resolve_hook){1, on_ask, &program, &program, on_release};
    open_world(NULL, &(struct setting){.hosts = "127.0.0.9 hosts.test\n"});
    free_resolver();
    CHECK(ms_resolver_new(&w.resolver, &w.loop,
                          &(struct ms_resolver_config){.hosts_file = w.hosts,
                                                       .hook = h}) == MS_OK);
    ms_resolve_hook_unref(h);
}

static void close_hooked(void)
{
    unsigned asked_before = w.server.asked;

    close_world();
    CHECK(asked_before == 0 && program.released == 1);
}

/* ---- tests --------------------------------------------------------------- */

TEST(the_program_is_asked_for_both_families)
{
    struct client c;

    open_hooked();
    ask(&c, "Hosts.TEST");
    CHECK(program.count == 2 && !c.done);
    CHECK(!strcmp(program.asked[0], "4 hosts.test"));
    CHECK(!strcmp(program.asked[1], "6 hosts.test"));
    CHECK(answer(1, 6, MS_OK) && c.v6 == 1 && !c.done);
    CHECK(!answer(1, 6, MS_OK) && "it is answered once");
    CHECK(answer(0, 4, MS_OK) && c.v4 == 1 && c.done && !c.err);
    ask(&c, "hosts.test");
    CHECK(program.count == 4 && "its answers are not kept");
    CHECK(answer(2, 6, MS_OK) && answer(3, 4, MS_OK));
    CHECK(c.done && c.err == MS_EHOST && "of the other family");
    close_hooked();
}

TEST(an_answer_inside_the_question)
{
    struct client c;

    open_hooked();
    program.at_once = true;
    ask(&c, "a.test");
    CHECK(c.done && !c.err && c.v4 == 1 && c.v6 == 1);
    close_hooked();
}

TEST(what_is_known_is_not_asked_for)
{
    static const char *const names[] = {"127.0.0.1", "::1", "localhost",
                                        "a.localhost."};
    struct client c;

    open_hooked();
    for (size_t i = 0; i < MS_COUNT(names); i++) {
        ask(&c, names[i]);
        CHECK_THAT(c.done && !c.err, "%s", names[i]);
    }
    ask(&c, "abc.onion");
    CHECK(c.err == MS_EHOST && program.count == 0);
    close_hooked();
}

TEST(refusals_and_failures)
{
    struct client c;

    open_hooked();
    program.refuse = MS_ECALLBACK;
    ask(&c, "a.test");
    CHECK(c.done && c.err == MS_ECALLBACK && program.count == 2);
    program.refuse = MS_OK;
    ask(&c, "a.test");
    CHECK(answer(2, 4, MS_ERESOLVE) && answer(3, 6, MS_EHOST));
    CHECK(c.done && c.err == MS_ERESOLVE);
    ask(&c, "b.test");
    CHECK(answer(4, 4, MS_ERESOLVE) && answer(5, 6, MS_OK));
    CHECK(c.done && !c.err && c.v6 == 1);
    close_hooked();
}

TEST(one_question_for_all_and_for_nobody)
{
    struct client a, b;

    open_hooked();
    ask(&a, "a.test");
    ask(&b, "a.test");
    CHECK(program.count == 2);
    cancel(&a);
    CHECK(answer(0, 4, MS_OK) && b.v4 == 1 && !a.calls);
    cancel(&b);
    CHECK(answer(1, 6, MS_OK) && !b.v6 && !b.done);
    ask(&a, "never.test");
    cancel(&a);
    close_hooked();
}

TEST(every_allocation_may_fail)
{
    for (long nth = 1, used = nth; used >= nth; nth++) {
        struct client c;
        open_hooked();
        program.at_once = true;
        init_client(&c);
        ms_mem_fail(nth, 1);
        enter();
        ms_err err = start(&c, "a.test");
        leave();
        used = ms_mem_count();
        ms_mem_fail(0, 0);
        CHECK(err == MS_OK || err == MS_ENOMEM);
        CHECK(err || (c.done && (!c.err || c.err == MS_ENOMEM)));
        close_hooked();
    }
}
