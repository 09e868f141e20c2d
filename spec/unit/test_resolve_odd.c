/* SPDX-License-Identifier: MIT
 *
 * Answers nobody should give, and configurations that change.
 */
#include "resolve_world.h"

/* ---- answers nobody should give ------------------------------------------ */

static const struct rule rules[] = {
    {"loop.test", 0, LOOP},           {"chain.test", 0, CHAIN, 1},
    {"other.test", 0, OTHER_NAME, 1}, {"cut.test", 0, CUT, 3},
    {"long.test", 0, BAD_RDLENGTH},   {"self.test", 0, SELF_POINTER},
    {"formerr.test", 0, RCODE, 1},    {"notimp.test", 0, RCODE, 4},
    {"refused.test", 0, RCODE, 5},    {"code15.test", 0, RCODE, 15},
    {"old.test", 0, OLD, 2},          {"oldbig.test", 0, OLD, 300},
    {"big.test", 0, ANSWER, 30},      {"many.test", 0, TRUNCATED, 1500},
    {"good.test", 0, ANSWER, 1},      {0}};

static const struct {
    const char *name;
    unsigned v4;
    ms_err err;
} odd_cases[] = {
    {"loop.test", 0, MS_EHOST},
    {"chain.test", 1, MS_OK},
    {"other.test", 1, MS_OK},
    {"cut.test", 0, MS_ERESOLVE},
    {"long.test", 0, MS_ERESOLVE},
    {"self.test", 0, MS_ERESOLVE},
    {"formerr.test", 0, MS_ERESOLVE},
    {"notimp.test", 0, MS_ERESOLVE},
    {"refused.test", 0, MS_ERESOLVE},
    /* c-ares takes a code it does not know for an empty answer. */
    {"code15.test", 0, MS_EHOST},
    {"old.test", 2, MS_OK},
    {"big.test", 30, MS_OK},
    {"many.test", MS_DNS_MAX_ADDRESSES, MS_OK},
    {"good.test", 1, MS_OK},
};

static void check_odd(size_t i, const struct client *c)
{
    CHECK_THAT(c->err == odd_cases[i].err, "%s: %s", odd_cases[i].name,
               ms_err_code(c->err));
    CHECK_THAT(c->v4 == odd_cases[i].v4, "%s: %u", odd_cases[i].name, c->v4);
    CHECK(c->v6 == c->v4);
    if (c->calls)
        CHECK(first_is(c, "10.0.0.0:0") || first_is(c, "[fd00::]:0"));
}

TEST(odd_answers_one_by_one)
{
    struct client c;

    open_world(rules, &(struct setting){.timeout_ms = 300, .tries = 1});
    for (size_t i = 0; i < MS_COUNT(odd_cases); i++) {
        resolve(&c, odd_cases[i].name);
        check_odd(i, &c);
        CHECK(watched() == 0);
    }
    close_world();
}

TEST(odd_answers_all_at_once)
{
    struct client c[MS_COUNT(odd_cases)];

    open_world(rules, &(struct setting){.timeout_ms = 300, .tries = 1});
    for (size_t i = 0; i < MS_COUNT(c); i++)
        ask(&c[i], odd_cases[i].name);
    for (size_t i = 0; i < MS_COUNT(c); i++) {
        UNTIL(c[i].done);
        check_odd(i, &c[i]);
    }
    close_world();
}

TEST(edns_keeps_a_dozen_addresses_off_tcp)
{
    struct client c;

    open_world(rules, NULL);
    resolve(&c, "big.test");
    CHECK(c.v4 == 30 && w.server.asked == 2 && w.server.with_edns == 2);
    close_world();
}

TEST(a_server_without_edns_is_asked_without_it)
{
    struct client c;

    open_world(rules, WITHOUT_CACHE);
    resolve(&c, "old.test");
    CHECK(!c.err && c.v4 == 2 && c.v6 == 2);
    CHECK(w.server.asked <= 4 && w.server.with_edns <= 2);
    unsigned before = w.server.with_edns;
    resolve(&c, "old.test");
    CHECK(!c.err && w.server.with_edns == before);
    close_world();
}

/* ---- servers ------------------------------------------------------------- */

/* A server that swallows what it is sent. */
static int open_silent(char *servers, size_t cap)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && bind(fd, (void *)&at, sizeof(at)) == 0);
    CHECK(getsockname(fd, (void *)&at, &len) == 0);
    snprintf(servers, cap, "127.0.0.1:%u,127.0.0.1:%u", ntohs(at.sin_port),
             w.server.port);
    return fd;
}

static unsigned swallowed(int fd)
{
    char in[512];
    unsigned n = 0;

    while (recv(fd, in, sizeof(in), MSG_DONTWAIT) > 0)
        n++;
    return n;
}

TEST(a_silent_first_server_costs_one_name_its_timeout)
{
    char servers[64];
    struct client c;

    open_world(rules, NULL);
    free_resolver();
    int silent = open_silent(servers, sizeof(servers));
    CHECK(make_resolver(&(struct setting){
              .servers = servers, .timeout_ms = 100, .cache_ms = -1}) == MS_OK);
    resolve(&c, "good.test");
    CHECK(!c.err && swallowed(silent) == 2);
    for (int i = 0; i < 3; i++) {
        resolve(&c, "good.test");
        CHECK(!c.err && c.v4 == 1 && swallowed(silent) == 0);
    }
    close(silent);
    close_world();
}

/* ---- resolv.conf --------------------------------------------------------- */

#define A_SECOND 1000

static void open_search(const char *resolv)
{
    static const struct rule found[] = {{"www.a.test", 0, ANSWER, 1},
                                        {"www.b.test", 0, ANSWER, 2},
                                        {"slow.a.test", 0, HOLD, 1},
                                        {"slow.b.test", 0, ANSWER, 2},
                                        {0}};

    open_world(found, &(struct setting){.resolv = resolv});
    stop_the_clock();
}

TEST(resolv_conf_is_read_again_when_it_changes)
{
    struct client c;

    open_search("search a.test\n");
    resolve(&c, "www");
    CHECK(c.v4 == 1);
    write_file(w.resolv, "search b.test\n\n");
    resolve(&c, "www");
    CHECK(c.v4 == 1 && "it is not looked at all the time");
    w.fake_ms += A_SECOND;
    resolve(&c, "www");
    CHECK(c.v4 == 2 && "what the cache knew is void");
    unlink(w.resolv);
    w.fake_ms += A_SECOND;
    resolve(&c, "www.a.test");
    CHECK(c.v4 == 1 && "a missing file is an empty one");
    write_file(w.resolv, "search a.test\n");
    w.fake_ms += A_SECOND;
    resolve(&c, "www");
    CHECK(c.v4 == 1);
    close_world();
}

TEST(what_is_under_way_ends_under_the_old_configuration)
{
    struct client old, fresh;

    open_search("search a.test\n");
    ask(&old, "slow");
    UNTIL(w.server.held[1].n);
    write_file(w.resolv, "search b.test\n\n");
    w.fake_ms += A_SECOND;
    resolve(&fresh, "www");
    CHECK(fresh.v4 == 2 && !old.done);
    dns_server_release(&w.server);
    UNTIL(old.done);
    CHECK(!old.err && old.v4 == 1);
    resolve(&fresh, "slow");
    CHECK(fresh.v4 == 2 && "the old answer is not kept");
    close_world();
}

TEST(freeing_with_two_configurations_in_use)
{
    struct client old, fresh;

    open_search("search a.test\n");
    ask(&old, "slow");
    UNTIL(w.server.held[1].n);
    write_file(w.resolv, "search a.test \n");
    w.fake_ms += A_SECOND;
    ask(&fresh, "slow.a.test");
    UNTIL(w.server.held[3].n);
    cancel(&old);
    cancel(&fresh);
    close_world();
}

TEST(another_network_begins_anew)
{
    struct client c;

    open_search("search a.test\n");
    resolve(&c, "www");
    unsigned before = w.server.asked;
    enter();
    ms_resolver_network_changed(w.resolver);
    leave();
    resolve(&c, "www");
    CHECK(!c.err && w.server.asked > before);
    enter();
    ms_resolver_network_changed(w.resolver);
    ms_resolver_network_changed(w.resolver);
    leave();
    close_world();
}

TEST(a_network_may_change_under_those_who_wait)
{
    enum { NAMES = 70 }; /* more than are asked at a time */
    struct client c[NAMES];
    char name[24];

    open_search("search a.test\n");
    enter();
    for (int i = 0; i < NAMES; i++) {
        init_client(&c[i]);
        snprintf(name, sizeof(name), "n%d.test", i);
        CHECK(start(&c[i], name) == MS_OK);
    }
    ms_resolver_network_changed(w.resolver);
    leave();
    for (int i = 0; i < NAMES; i++) {
        UNTIL(c[i].done);
        CHECK(c[i].err == MS_EHOST);
    }
    close_world();
}
