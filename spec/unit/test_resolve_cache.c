/* SPDX-License-Identifier: MIT */
#include "base/mem.h"
#include "net/resolve_cache.h"
#include "resolve_world.h"

/* ---- the cache alone ----------------------------------------------------- */

static struct ms_loop loop;
static struct ms_resolve_cache cache;

static void open_cache(int most_ms)
{
    static const struct ms_loop_hooks hooks = {no_finish, NULL};

    memset(&w, 0, sizeof(w));
    w.fake_ms = 5000;
    ms_loop_init(&loop, &hooks, NULL);
    loop.clock = fake_clock;
    ms_loop_touch(&loop);
    ms_resolve_cache_init(&cache, &loop, most_ms);
}

static void close_cache(void)
{
    ms_resolve_cache_clear(&cache);
    CHECK(ms_loop_deadline(&loop) == MS_NEVER);
    ms_resolve_cache_fini(&cache);
    ms_loop_fini(&loop);
}

static void pass(int64_t ms)
{
    w.fake_ms += ms;
    ms_loop_enter(&loop);
    ms_loop_woken(&loop);
    ms_loop_leave(&loop);
}

static void put_name(const char *name, int64_t ttl_ms)
{
    static const unsigned char bytes[16] = {127, 0, 0, 1};
    struct ms_addr v4 = ms_addr_v4(bytes), v6 = ms_addr_v6(bytes);

    ms_resolve_cache_put(&cache, &(struct ms_cache_news){
                                     .name = ms_span_text(name),
                                     .v4 = &v4,
                                     .v4_count = 1,
                                     .v6 = &v6,
                                     .v6_count = 1,
                                     .ttl_ms = ttl_ms,
                                 });
}

static bool knows(const char *name)
{
    const struct ms_cached *e =
        ms_resolve_cache_find(&cache, ms_span_text(name), 0);

    if (e)
        CHECK(e->count == 2 && e->v6_count == 1 && ms_addr_is_v6(&e->list[0]));
    return e != NULL;
}

/* G8: all that follows. */
TEST(an_entry_holds_for_its_time)
{
    static const struct {
        int64_t ttl_ms, holds_ms;
    } cases[] = {{0, MS_CACHE_LEAST_MS},
                 {-5, MS_CACHE_LEAST_MS},
                 {60000, 60000},
                 {INT64_C(2147483647) * 1000, MS_CACHE_MOST_MS}};

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        open_cache(MS_CACHE_MOST_MS);
        put_name("a", cases[i].ttl_ms);
        pass(cases[i].holds_ms - 1);
        CHECK(knows("a") && !knows("b"));
        pass(1);
        CHECK(!knows("a"));
        close_cache();
    }
}

TEST(what_ended_is_freed_by_the_timer)
{
    open_cache(MS_CACHE_MOST_MS);
    put_name("long", 3600000);
    put_name("short", 1000);
    CHECK(cache.by_name.count == 2);
    while (cache.by_name.count == 2) {
        uint64_t at = ms_loop_deadline(&loop);
        CHECK(at <= (uint64_t)(6000 + MS_CACHE_MOST_MS / 60) * 1000);
        pass(ms_loop_ms_until(&loop, at));
    }
    CHECK(knows("long"));
    pass(3 * MS_CACHE_MOST_MS);
    CHECK(cache.by_name.count == 0 && ms_loop_deadline(&loop) == MS_NEVER);
    close_cache();
}

/* Every moment of a long time: what holds is known, what ended is gone a
 * slot later, and the timer sleeps in between. */
TEST(names_come_and_go)
{
    char name[16];
    int64_t ends[40] = {0};
    uint32_t seed = 1;

    open_cache(60000);
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned i = seed >> 16 & 31;
        snprintf(name, sizeof(name), "n%u", i);
        CHECK(knows(name) == (ends[i] > w.fake_ms));
        if (seed >> 24 & 1) {
            int64_t ttl = (int64_t)(seed >> 8 & 0xffff) + 1;
            put_name(name, ttl);
            ttl = ttl < MS_CACHE_LEAST_MS ? MS_CACHE_LEAST_MS : ttl;
            ends[i] = w.fake_ms + (ttl > 60000 ? 60000 : ttl);
        }
        pass(seed >> 20 & 255);
        size_t alive = 0;
        for (int j = 0; j < 32; j++)
            alive += ends[j] + 1000 > w.fake_ms;
        CHECK(cache.by_name.count <= alive);
    }
    close_cache();
}

TEST(the_least_used_entry_makes_room)
{
    char name[16];

    open_cache(MS_CACHE_MOST_MS);
    for (unsigned i = 0; i < MS_CACHE_MAX; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        put_name(name, 60000);
    }
    CHECK(knows("n0"));
    put_name("one more", 60000);
    CHECK(cache.by_name.count == MS_CACHE_MAX);
    CHECK(knows("n0") && !knows("n1") && knows("n2") && knows("one more"));
    close_cache();
}

TEST(nothing_is_kept_where_none_is_wanted_or_there_is_no_memory)
{
    open_cache(0);
    put_name("a", 60000);
    CHECK(!knows("a"));
    close_cache();
    open_cache(MS_CACHE_MOST_MS);
    for (long nth = 1; nth <= 2; nth++) {
        ms_mem_fail(nth, 1);
        put_name("a", 60000);
        ms_mem_fail(0, 0);
        CHECK(!knows("a"));
    }
    put_name("a", 60000);
    CHECK(knows("a"));
    close_cache();
}

/* ---- behind the resolver ------------------------------------------------- */

static const struct rule rules[] = {
    {"both.test", 0, ANSWER, 2},        {"v4.test", TYPE_A, ANSWER, 1},
    {"v4.test", TYPE_AAAA, NODATA},     {"half.test", TYPE_A, ANSWER, 1},
    {"half.test", TYPE_AAAA, SERVFAIL}, {"none.test", 0, NODATA},
    {"fails.test", 0, SERVFAIL},        {"www.b.test", 0, ANSWER, 1},
    {"many.test", 0, TRUNCATED, 500},   {0}};

static void open_resolver(const struct setting *s)
{
    open_world(rules, s);
    stop_the_clock();
}

/* Looks `name` up and tells whether the server was asked. */
static bool is_asked_for(const char *name, struct client *c)
{
    unsigned before = w.server.asked;

    resolve(c, name);
    return w.server.asked > before;
}

TEST(an_answer_is_asked_for_once)
{
    struct client c;

    open_resolver(NULL);
    CHECK(is_asked_for("both.test", &c) && c.v4 == 2 && c.v6 == 2);
    CHECK(!is_asked_for("both.test", &c) && !c.err && c.v4 == 2 && c.v6 == 2);
    CHECK(!is_asked_for("BOTH.test", &c) && c.calls == 2);
    CHECK(ms_resolver_lookups(w.resolver) == 1);
    w.fake_ms += 59999;
    CHECK(!is_asked_for("both.test", &c));
    w.fake_ms += 1;
    CHECK(is_asked_for("both.test", &c));
    close_world();
}

TEST(the_time_to_live_is_the_servers_within_bounds)
{
    static const struct {
        uint32_t ttl;
        int64_t holds_ms;
    } cases[] = {{0, 1000},
                 {7, 7000},
                 {0x7fffffff, MS_CACHE_MOST_MS},
                 {0x80000000, 1000},
                 {0xffffffff, 1000}};
    struct client c;

    for (size_t i = 0; i < MS_COUNT(cases); i++) {
        open_resolver(NULL);
        w.server.ttl = cases[i].ttl;
        CHECK(is_asked_for("both.test", &c));
        w.fake_ms += cases[i].holds_ms - 1;
        CHECK_THAT(!is_asked_for("both.test", &c), "%u", cases[i].ttl);
        w.fake_ms += 1;
        CHECK_THAT(is_asked_for("both.test", &c), "%u", cases[i].ttl);
        close_world();
    }
}

TEST(a_bound_may_be_set)
{
    struct client c;

    open_resolver(&(struct setting){.cache_ms = 2500});
    CHECK(is_asked_for("both.test", &c) && !is_asked_for("both.test", &c));
    w.fake_ms += 2500;
    CHECK(is_asked_for("both.test", &c));
    close_world();
}

TEST(that_there_is_nothing_is_known_for_a_moment)
{
    static const char *const names[] = {"none.test", "unknown.test"};
    struct client c;

    for (size_t i = 0; i < MS_COUNT(names); i++) {
        open_resolver(NULL);
        CHECK(is_asked_for(names[i], &c) && c.err == MS_EHOST);
        w.fake_ms += MS_CACHE_NEGATIVE_MS - 1;
        CHECK(!is_asked_for(names[i], &c) && c.err == MS_EHOST);
        w.fake_ms += 1;
        CHECK(is_asked_for(names[i], &c));
        close_world();
    }
}

TEST(a_failure_is_not_kept)
{
    struct client c;

    open_resolver(NULL);
    CHECK(is_asked_for("fails.test", &c) && c.err == MS_ERESOLVE);
    CHECK(is_asked_for("fails.test", &c) && c.err == MS_ERESOLVE);
    close_world();
}

TEST(half_an_answer_is_not_kept_for_long)
{
    struct client c;

    open_resolver(NULL);
    CHECK(is_asked_for("half.test", &c) && c.v4 == 1);
    CHECK(!is_asked_for("half.test", &c) && c.v4 == 1 && !c.err);
    CHECK(is_asked_for("v4.test", &c) && c.v4 == 1 && !c.v6);
    w.fake_ms += MS_CACHE_NEGATIVE_MS;
    CHECK(is_asked_for("half.test", &c) && !is_asked_for("v4.test", &c));
    close_world();
}

TEST(a_search_ends_in_the_cache_under_the_name_that_was_asked_for)
{
    struct client c;

    open_resolver(&(struct setting){.resolv = "search a.test b.test\n"});
    CHECK(is_asked_for("www", &c) && c.v4 == 1);
    CHECK(!is_asked_for("www", &c) && c.v4 == 1);
    CHECK(is_asked_for("www.", &c) && c.err == MS_EHOST);
    CHECK(is_asked_for("www.b.test", &c) && c.v4 == 1);
    close_world();
}

TEST(many_addresses_come_back_in_order)
{
    struct client c;

    open_resolver(NULL);
    CHECK(is_asked_for("many.test", &c) && c.v4 == MS_DNS_MAX_ADDRESSES);
    CHECK(!is_asked_for("many.test", &c) && c.v4 == MS_DNS_MAX_ADDRESSES);
    CHECK(c.v6 == MS_DNS_MAX_ADDRESSES && first_is(&c, "[fd00::]:0"));
    close_world();
}

static void free_it(struct client *c)
{
    ms_resolve_cancel(&c->asker);
    ms_resolver_free(w.resolver);
    w.resolver = NULL;
}

TEST(the_resolver_may_be_freed_from_a_cached_answer)
{
    struct client c;

    open_resolver(NULL);
    resolve(&c, "both.test");
    init_client(&c);
    c.at_addresses = free_it;
    enter();
    CHECK(start(&c, "both.test") == MS_OK);
    leave();
    CHECK(c.calls == 1 && !c.done);
    close_world();
}
