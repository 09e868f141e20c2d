/* SPDX-License-Identifier: MIT */
#include "net/resolve_set.h"

#include "base/mem.h"
#include "resolve_world.h"

static struct ms_resolve_set set;

static void open_set(void)
{
    open_world(NULL, NULL);
    enter();
    ms_resolve_set_init(&set, &w.loop);
}

static void close_set(void)
{
    ms_resolve_set_close(&set);
    leave();
    CHECK(set.count == 0);
    close_world();
}

static struct ms_resolver *get(const struct ms_resolver_config *c)
{
    struct ms_resolver *r;

    CHECK(ms_resolve_set_get(&set, c, &r) == MS_OK);
    return r;
}

TEST(equal_configurations_share_a_resolver)
{
    static const struct ms_resolver_config configs[] = {
        {0},
        {.servers = "127.0.0.1"},
        {.tries = 1},
        {.servers = "127.0.0.2"},
        {.cache_ms = -1},
        {.timeout_ms = 7},
        {.hosts_file = "/h"},
        {.resolv_conf = "/r"}};
    struct ms_resolver *r[MS_COUNT(configs)];

    open_set();
    for (size_t i = 0; i < MS_COUNT(configs); i++) {
        r[i] = get(&configs[i]);
        for (size_t j = 0; j <= i; j++)
            CHECK((get(&configs[j]) == r[i]) == (i == j));
    }
    CHECK(get(NULL) == r[0]);
    CHECK(get(&(struct ms_resolver_config){.tries = 3,
                                           .timeout_ms = 2000,
                                           .resolv_conf = "/etc/resolv.conf",
                                           .hosts_file = "/etc/hosts"}) ==
          r[0]);
    close_set();
}

TEST(resolvers_that_nobody_uses_make_room)
{
    open_set();
    for (int i = 1; i < 100; i++) {
        get(&(struct ms_resolver_config){.timeout_ms = i});
        get(NULL);
        CHECK(set.count <= MS_RESOLVERS_MAX);
    }
    close_set();
}

TEST(a_resolver_in_use_stays)
{
    struct client c;
    struct ms_resolver_config held = {.servers = "127.0.0.1:9"};

    open_set();
    struct ms_resolver *r = get(&held);
    init_client(&c);
    CHECK(ms_resolve_start(r, &c.asker, MS_SPAN("a.test")) == MS_OK);
    for (int i = 1; i < 20; i++)
        get(&(struct ms_resolver_config){.timeout_ms = i});
    CHECK(get(&held) == r && ms_resolve_set_lookups(&set) == 1);
    ms_resolve_cancel(&c.asker);
    close_set();
    CHECK(ms_resolve_set_lookups(&set) == 1);
}

TEST(a_set_needs_memory)
{
    struct ms_resolver *r;

    open_set();
    for (long nth = 1; nth <= 5; nth++) {
        ms_mem_fail(nth, 1);
        CHECK(ms_resolve_set_get(&set, NULL, &r) ==
              (nth <= 4 ? MS_ENOMEM : MS_OK));
        ms_mem_fail(0, 0);
    }
    close_set();
}
