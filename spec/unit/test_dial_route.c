/* SPDX-License-Identifier: MIT
 *
 * Dials that are sent elsewhere, guarded, or begin at a certain place.
 */
#include <sys/un.h>

#include "dial_world.h"

/* ---- routes -------------------------------------------------------------- */

static struct ms_route_spec wish;

/* From here on dials go by `wish`, which a test has filled. */
static void use_route(void)
{
    CHECK(ms_route_new(&route, &wish) == MS_OK && route);
}

static void open_route(const char *hosts)
{
    open_dials(NULL, hosts);
    wish = ms_route_defaults;
}

static void close_route(void)
{
    ms_route_unref(route);
    route = NULL;
    close_dials();
}

static struct ms_addr local_addr(const struct party *p)
{
    struct ms_addr a;
    socklen_t len = sizeof(a);

    CHECK(getsockname(p->sock->fd, &a.any, &len) == 0);
    return a;
}

TEST(given_addresses_are_not_asked_for)
{
    struct party p;

    open_route("");
    listen_at("127.0.0.1", 8);
    wish.text[MS_ROUTE_RESOLVE] = MS_SPAN("a.test=::ffff:127.0.0.9,127.0.0.1");
    use_route();
    dial(&p, "a.test");
    UNTIL(p.connected);
    CHECK(!ms_addr_is_v6(&p.addr) && w.server.asked == 0 && p.resolved == 1);
    CHECK(tried(&p, "[::ffff:127.0.0.9]"));
    hang_up(&p);
    close_route();
}

TEST(another_host_may_be_connected_to)
{
    struct party p;
    char to[64];

    open_route("127.0.0.1 b\n");
    listen_at("127.0.0.1", 8);
    snprintf(to, sizeof(to), "a.test=b:%u", peers.port);
    wish.text[MS_ROUTE_CONNECT_TO] = ms_span_text(to);
    use_route();
    dial(&p, "a.test");
    UNTIL(p.connected);
    hang_up(&p);
    close_route();
}

TEST(one_family_may_be_wanted)
{
    static const int64_t ips[] = {4, 6};
    struct party p;

    for (size_t i = 0; i < MS_COUNT(ips); i++) {
        open_route("127.0.0.2 a\n::1 a\n127.0.0.3 four\n");
        wish.number[MS_ROUTE_IP] = ips[i];
        use_route();
        dial(&p, "a");
        UNTIL(p.failed);
        CHECK(p.err == MS_EREFUSED);
        CHECK(tried(&p, ips[i] == 4 ? "127.0.0.2" : "[::1]"));
        hang_up(&p);
        dial(&p, "four");
        UNTIL(p.failed);
        CHECK(p.err == (ips[i] == 4 ? MS_EREFUSED : MS_EHOST));
        hang_up(&p);
        close_route();
    }
}

TEST(the_delay_may_be_set)
{
    struct party p;

    open_route("127.0.0.2 a\n127.0.0.1 a\n");
    black_hole_at("127.0.0.2");
    listen_at("127.0.0.1", 8);
    wish.number[MS_ROUTE_DELAY_MS] = 40;
    use_route();
    dial(&p, "a");
    settle();
    advance(39);
    CHECK(!p.connected && in_flight() == 1);
    advance(1);
    UNTIL(p.connected);
    hang_up(&p);
    close_route();
}

static struct party *guarded;
static bool guard_ends_dial;
static unsigned guard_calls;

static ms_err not_two(struct ms_multi *multi, void *user, const char *address,
                      uint16_t port)
{
    (void)multi;
    (void)user;
    CHECK(port == peers.port);
    guard_calls++;
    if (guard_ends_dial)
        ms_dial_free(guarded->dial);
    return strcmp(address, "127.0.0.2") ? MS_OK : MS_EADDRESS;
}

static void use_guard(struct party *p)
{
    struct ms_guard *g = ms_zalloc(sizeof(*g));

    CHECK(g);
    *g = (struct ms_guard){.refs = 1, .allow = not_two};
    guarded = p;
    guard_calls = 0;
    wish.guard = g;
    use_route();
    ms_guard_unref(g);
}

TEST(what_is_not_allowed_is_not_connected_to)
{
    struct party p;

    open_route("127.0.0.2 a b\n127.0.0.1 a\n");
    listen_at("127.0.0.1", 8);
    listen_at("127.0.0.2", 8);
    use_guard(&p);
    dial(&p, "a");
    UNTIL(p.connected);
    CHECK(guard_calls == 2 && tried(&p, "127.0.0.2"));
    hang_up(&p);
    dial(&p, "b");
    UNTIL(p.failed);
    CHECK(p.err == MS_EADDRESS && p.os_errno == 0);
    hang_up(&p);
    dial(&p, "127.0.0.2");
    CHECK(p.failed && p.err == MS_EADDRESS);
    hang_up(&p);
    close_route();
}

TEST(a_guard_may_end_the_dial)
{
    struct party p = {0};
    struct ms_dial_config c = {.host = MS_SPAN("a"),
                               .on_resolved = on_resolved,
                               .on_connected = on_connected,
                               .on_failed = on_failed,
                               .owner = &p};

    open_route("127.0.0.1 a\n127.0.0.3 a\n");
    use_guard(&p);
    c.port = peers.port;
    c.route = route;
    guard_ends_dial = true;
    enter();
    CHECK(ms_dial_start(&p.dial, &w.loop, w.resolver, &c) == MS_OK);
    leave();
    guard_ends_dial = false;
    CHECK(guard_calls == 1 && !p.failed && !p.connected && watched() == 0);
    close_route();
}

TEST(a_name_that_was_rebound_is_refused)
{
    struct rule rules[] = {{"a.test", TYPE_A, ANSWER, 0, "127.0.0.1"},
                           {"a.test", TYPE_AAAA, NODATA},
                           {0}};
    struct party p;

    open_dials(rules, "");
    wish = ms_route_defaults;
    listen_at("127.0.0.1", 8);
    listen_at("127.0.0.2", 8);
    use_guard(&p);
    dial(&p, "a.test");
    UNTIL(p.connected);
    hang_up(&p);
    rules[0].list = "127.0.0.2";
    dial(&p, "a.test");
    UNTIL(p.failed);
    CHECK(p.err == MS_EADDRESS);
    hang_up(&p);
    close_route();
}

/* ---- the local end ------------------------------------------------------- */

TEST(an_address_of_this_machine_may_be_asked_for)
{
    struct party p;

    open_route("127.0.0.1 a\n::1 six\n");
    listen_at("127.0.0.1", 8);
    listen_at("::1", 8);
    wish.text[MS_ROUTE_INTERFACE] = MS_SPAN("127.0.0.77");
    use_route();
    dial(&p, "a");
    UNTIL(p.connected);
    struct ms_addr from = local_addr(&p), wanted = peer_addr("127.0.0.77");
    ms_addr_set_port(&wanted, ms_addr_port(&from));
    CHECK(ms_addr_equal(&from, &wanted));
    hang_up(&p);
    dial(&p, "six");
    UNTIL(p.failed);
    CHECK(p.os_errno == EAFNOSUPPORT);
    hang_up(&p);
    close_route();
}

TEST(an_interface_may_be_asked_for)
{
    static const struct ms_span names[] = {{"lo", 2}, {"ms-none", 7}};
    struct party p;

    for (size_t i = 0; i < MS_COUNT(names); i++) {
        open_route("127.0.0.1 a\n");
        listen_at("127.0.0.1", 8);
        wish.text[MS_ROUTE_INTERFACE] = names[i];
        use_route();
        dial(&p, "a");
        UNTIL(p.connected || p.failed);
        CHECK(i == 0 ? p.connected : p.os_errno == ENODEV);
        hang_up(&p);
        close_route();
    }
}

TEST(local_ports_are_used_one_after_the_other_until_there_are_none)
{
    enum { PORTS = 4 };
    struct party p[PORTS + 1];
    char range[16];
    unsigned from;

    open_route("127.0.0.1 a\n");
    listen_at("127.0.0.1", 8);
    /* Below the ports that the system gives out. */
    from = 20000u + (unsigned)getpid() % 10000u;
    snprintf(range, sizeof(range), "%u-%u", from, from + PORTS - 1);
    wish.text[MS_ROUTE_LOCAL_PORT] = ms_span_text(range);
    use_route();
    for (unsigned i = 0; i < PORTS; i++) {
        dial(&p[i], "a");
        UNTIL(p[i].connected || p[i].failed);
        CHECK_THAT(p[i].connected, "%s", strerror(p[i].os_errno));
        struct ms_addr a = local_addr(&p[i]);
        CHECK(ms_addr_port(&a) == from + i);
    }
    dial(&p[PORTS], "a");
    UNTIL(p[PORTS].failed);
    CHECK(p[PORTS].err == MS_ECONNECT);
    CHECK(p[PORTS].os_errno == EADDRNOTAVAIL ||
          p[PORTS].os_errno == EADDRINUSE);
    for (unsigned i = 0; i <= PORTS; i++)
        hang_up(&p[i]);
    close_route();
}

TEST(keepalive_may_be_switched_off)
{
    struct party p;

    for (int on = 0; on <= 1; on++) {
        int got = -1;
        socklen_t len = sizeof(got);
        open_route("127.0.0.1 a\n");
        listen_at("127.0.0.1", 8);
        wish.number[MS_ROUTE_KEEPALIVE] = on;
        if (!on)
            use_route();
        dial(&p, "a");
        UNTIL(p.connected);
        CHECK(!getsockopt(p.sock->fd, SOL_SOCKET, SO_KEEPALIVE, &got, &len));
        CHECK(got == on);
        hang_up(&p);
        close_route();
    }
}

/* ---- Unix sockets -------------------------------------------------------- */

static int listen_unix(const char *path, int backlog)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    size_t n = strlen(path);

    memcpy(a.sun_path, path, n);
    if (path[0] == '@')
        a.sun_path[0] = '\0';
    CHECK(bind(keep(fd), (void *)&a,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n +
                           (path[0] != '@'))) == 0);
    CHECK(listen(fd, backlog) == 0);
    return fd;
}

TEST(a_unix_socket_may_be_asked_for)
{
    static const char *const names[] = {"file", "@ms-test"};
    struct party p;
    char path[128];

    for (size_t i = 0; i < MS_COUNT(names); i++) {
        open_route("");
        if (names[i][0] == '@')
            snprintf(path, sizeof(path), "%s-%ld", names[i], (long)getpid());
        else
            snprintf(path, sizeof(path), "%s/%s", w.dir, names[i]);
        wish.text[MS_ROUTE_UNIX] = ms_span_text(path);
        use_route();
        dial(&p, "a.test");
        CHECK(p.failed && p.resolved == 1);
        CHECK(p.err == (i ? MS_EREFUSED : MS_ECONNECT));
        hang_up(&p);
        listen_unix(path, 8);
        dial(&p, "a.test");
        UNTIL(p.connected);
        CHECK(p.addr.any.sa_family == AF_UNSPEC && w.server.asked == 0);
        hang_up(&p);
        unlink(path);
        close_route();
    }
}

TEST(a_full_unix_socket_is_tried_again)
{
    struct party p, first, second;
    char path[64];

    open_route("");
    snprintf(path, sizeof(path), "@ms-full-%ld", (long)getpid());
    int fd = listen_unix(path, 0);
    wish.text[MS_ROUTE_UNIX] = ms_span_text(path);
    use_route();
    dial(&first, "a.test");
    UNTIL(first.connected);
    dial(&p, "a.test");
    CHECK(!p.failed && in_flight() == 0);
    keep(accept(fd, NULL, NULL));
    settle();
    CHECK(!p.connected);
    advance(MS_DIAL_UNIX_RETRY_MS);
    UNTIL(p.connected);
    dial(&second, "a.test");
    hang_up(&second);
    hang_up(&p);
    hang_up(&first);
    close_route();
}
