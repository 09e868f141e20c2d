/* SPDX-License-Identifier: MIT
 *
 * Limits on connections: who waits, who is next, and who gives way. The last
 * test runs random schedules.
 */
#define WAITERS 16
#include "pool_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "schedules.h"

#define SCHEDULES 2000
#define STEPS     120
#define HOSTS     3

static struct {
    int listeners[HOSTS];
    unsigned short ports[HOSTS];
    int dead, clogs[2]; /* a listener whose queue is full */
    unsigned short dead_port;
} net;

static void begin_net(void)
{
    begin();
    for (int i = 0; i < HOSTS; i++)
        net.listeners[i] = listen_at(&net.ports[i], 64);
}

static void end_net(void)
{
    for (int i = 0; i < WAITERS; i++)
        if (w.guests[i].conn)
            give_back(i);
    end();
    for (int i = 0; i < HOSTS; i++)
        close(net.listeners[i]);
}

/* The kernel drops what else comes: who connects there waits. */
static void begin_dead(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    net.dead = listen_at(&net.dead_port, 0);
    a.sin_port = htons(net.dead_port);
    for (int i = 0; i < 2; i++) {
        net.clogs[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(net.clogs[i], (struct sockaddr *)&a, sizeof(a));
    }
}

static void end_dead(void)
{
    close(net.clogs[0]);
    close(net.clogs[1]);
    close(net.dead);
}

static void ask_host(int i, int host)
{
    ask_of(i, "127.0.0.1", net.ports[host], false);
}

static void ask_dead(int i)
{
    ask_of(i, "127.0.0.1", net.dead_port, false);
}

static void limit(int64_t all, int64_t per_host)
{
    ms_loop_enter(&w.loop);
    w.pool.max_conns = all < 0 ? MS_POOL_NO_LIMIT : all;
    w.pool.max_per_host = per_host < 0 ? MS_POOL_NO_LIMIT : per_host;
    ms_pool_trim(&w.pool);
    ms_loop_leave(&w.loop);
    check();
}

static bool has(int i)
{
    return w.guests[i].conn != NULL;
}

/* ---- one endpoint -------------------------------------------------------- */

TEST(an_endpoint_has_no_more_connections_than_it_may)
{
    begin_net();
    limit(-1, 2);
    for (int i = 0; i < 6; i++)
        ask_host(i, 0);
    CHECK(w.pool.conns == 2 && w.pool.waiting == 6 && w.pool.stuck == 4);
    wait_for(0);
    wait_for(1);
    CHECK(w.pool.conns == 2 && w.pool.stuck == 4);
    for (int i = 2; i < 6; i++) { /* in the order they came */
        CHECK(!has(i));
        give_back(i - 2);
        CHECK(has(i));
    }
    CHECK(w.pool.opened == 2 && w.pool.stuck == 0);
    end_net();
}

TEST(who_is_cancelled_loses_the_place_in_line_only)
{
    begin_net();
    limit(-1, 1);
    for (int i = 0; i < 4; i++)
        ask_host(i, 0);
    wait_for(0);
    cancel(1);
    CHECK(w.pool.stuck == 2);
    give_back(0);
    CHECK(!has(1) && has(2));
    give_back(2);
    CHECK(has(3));
    end_net();
}

TEST(the_attempt_of_who_is_cancelled_goes_to_the_next_in_line)
{
    begin_net();
    limit(-1, 1);
    ask_host(0, 0);
    ask_host(1, 0);
    CHECK(w.pool.connecting == 1 && w.pool.stuck == 1);
    cancel(0);
    CHECK(w.pool.connecting == 1 && w.pool.stuck == 0);
    wait_for(1);
    CHECK(w.pool.opened == 1);
    end_net();
}

TEST(a_closed_connection_makes_room_for_the_next_in_line)
{
    begin_net();
    limit(-1, 1);
    ask_host(0, 0);
    ask_host(1, 0);
    wait_for(0);
    lose(0);
    CHECK(w.pool.connecting == 1);
    wait_for(1);
    CHECK(w.pool.opened == 2 && w.pool.closed == 1);
    end_net();
}

TEST(one_that_wants_it_fresh_has_an_idle_one_closed)
{
    begin_net();
    limit(-1, 1);
    ask_host(0, 0);
    wait_for(0);
    ask_of(1, "127.0.0.1", net.ports[0], true);
    CHECK(w.pool.connecting == 0 && w.pool.stuck == 1);
    give_back(0);
    CHECK(!has(1) && w.pool.connecting == 1 && w.pool.closed == 1);
    wait_for(1);
    CHECK(w.guests[1].conn->exchanges == 0);
    end_net();
}

TEST(a_failed_attempt_is_not_the_end_of_the_line)
{
    unsigned short port;
    int gone = listen_at(&port, 1);

    begin_net();
    close(gone);
    limit(-1, 1);
    for (int i = 0; i < 3; i++)
        ask_of(i, "127.0.0.1", port, false);
    for (int i = 0; i < 3; i++) {
        wait_for(i);
        CHECK(w.guests[i].err == MS_EREFUSED);
    }
    CHECK(w.pool.waiting == 0 && w.pool.conns == 0);
    end_net();
}

/* ---- several endpoints --------------------------------------------------- */

TEST(an_endpoint_at_its_limit_holds_up_no_other)
{
    begin_net();
    limit(4, 1);
    for (int i = 0; i < 5; i++)
        ask_host(i, 0);
    ask_host(5, 1);
    ask_host(6, 2);
    CHECK(w.pool.conns == 3 && w.pool.stuck == 4);
    wait_for(5);
    wait_for(6);
    end_net();
}

TEST(an_idle_connection_is_closed_for_another_endpoint_the_oldest_first)
{
    begin_net();
    limit(2, -1);
    ask_host(0, 0);
    ask_host(1, 1);
    wait_for(0);
    wait_for(1);
    struct ms_conn *kept = w.guests[0].conn;
    give_back(1);
    give_back(0);
    ask_host(2, 2);
    CHECK(w.pool.conns == 2 && w.pool.closed == 1 && w.pool.idle == 1);
    wait_for(2);
    ask_host(3, 0);
    CHECK(w.guests[3].conn == kept);
    end_net();
}

TEST(what_becomes_idle_goes_to_who_waits_elsewhere)
{
    begin_net();
    limit(1, -1);
    ask_host(0, 0);
    ask_host(1, 1);
    wait_for(0);
    CHECK(w.pool.stuck == 1);
    give_back(0);
    CHECK(w.pool.closed == 1 && w.pool.connecting == 1 && w.pool.stuck == 0);
    wait_for(1);
    end_net();
}

TEST(endpoints_that_wait_get_slots_in_turn)
{
    static const int asked[] = {0, 0, 0, 1, 1, 2};

    begin_net();
    limit(1, -1);
    ask_host(6, 0);
    wait_for(6);
    for (int i = 0; i < 6; i++)
        ask_host(i, asked[i]);
    /* The one that has the slot keeps it for its turn. */
    give_back(6);
    CHECK(has(0));
    pass_time(2 * SECOND);
    give_back(0);
    CHECK(!has(1));
    wait_for(3); /* endpoint 1 */
    pass_time(2 * SECOND);
    give_back(3);
    wait_for(5); /* endpoint 2 */
    give_back(5);
    wait_for(1); /* endpoint 0 again */
    give_back(1);
    CHECK(has(2));
    give_back(2);
    wait_for(4);
    end_net();
}

TEST(who_has_two_more_gives_one_away)
{
    begin_net();
    limit(4, -1);
    for (int i = 0; i < 4; i++) {
        ask_host(i, 0);
        wait_for(i);
    }
    for (int i = 4; i < 10; i++)
        ask_host(i, i % 2);
    give_back(0);
    CHECK(w.pool.connecting == 1); /* endpoint 1 has its first */
    wait_for(5);
    give_back(1);
    wait_for(7); /* two and two */
    give_back(2);
    CHECK(has(4) && !has(9));
    give_back(5);
    CHECK(has(9));
    end_net();
}

TEST(a_dead_host_gives_way_to_others)
{
    begin_net();
    begin_dead();
    limit(4, -1);
    for (int i = 0; i < 8; i++)
        ask_dead(i);
    CHECK(w.pool.connecting == 4 && w.pool.stuck == 4);
    ask_host(8, 0);
    ask_host(9, 0);
    wait_for(8); /* and no time passed */
    wait_for(9);
    CHECK(w.pool.conns == 4 && w.pool.stuck == 6);
    for (int i = 0; i < 8; i++) {
        CHECK(!has(i) && !w.guests[i].err);
        cancel(i);
    }
    CHECK(w.pool.conns == 2);
    end_net();
    end_dead();
}

TEST(an_attempt_that_leads_nowhere_has_the_only_slot_for_its_turn)
{
    begin_net();
    begin_dead();
    limit(1, -1);
    ask_dead(0);
    ask_host(1, 0);
    CHECK(w.pool.connecting == 1 && w.pool.stuck == 1);
    pass_time(SECOND);
    CHECK(w.guests[0].waiter.attempt);
    pass_time(SECOND);
    CHECK(!w.guests[0].waiter.attempt && !w.guests[0].err);
    wait_for(1);
    give_back(1);
    CHECK(w.guests[0].waiter.attempt); /* it is tried again */
    cancel(0);
    end_net();
    end_dead();
}

/* connect_timeout_ms of all the attempts together. */
TEST(who_gave_way_goes_on_with_the_time_that_is_left)
{
    begin_net();
    begin_dead();
    limit(1, -1);
    w.connect_timeout_ms = 3000;
    ask_dead(0);
    ask_host(1, 0);
    pass_time(2 * SECOND);
    wait_for(1);
    pass_time(10 * SECOND);
    CHECK(!w.guests[0].err);
    give_back(1);
    pass_time(SECOND / 2);
    CHECK(!w.guests[0].err);
    pass_time(SECOND / 2);
    CHECK(w.guests[0].err == MS_ETIMEOUT);
    end_net();
    end_dead();
}

/* ---- limits that change -------------------------------------------------- */

TEST(a_raised_limit_counts_at_once)
{
    begin_net();
    limit(-1, 1);
    for (int i = 0; i < 3; i++)
        ask_host(i, 0);
    CHECK(w.pool.connecting == 1);
    limit(-1, 2);
    CHECK(w.pool.connecting == 2 && w.pool.stuck == 1);
    limit(2, -1);
    CHECK(w.pool.connecting == 2 && w.pool.stuck == 1);
    limit(-1, -1);
    CHECK(w.pool.connecting == 3 && w.pool.stuck == 0);
    for (int i = 0; i < 3; i++)
        wait_for(i);
    end_net();
}

TEST(a_lowered_limit_closes_what_is_idle_and_then_what_is_free)
{
    begin_net();
    for (int i = 0; i < 4; i++) {
        ask_host(i, 0);
        wait_for(i);
    }
    give_back(0);
    limit(-1, 2);
    CHECK(w.pool.conns == 3 && w.pool.idle == 0);
    give_back(1);
    CHECK(w.pool.conns == 2 && w.pool.idle == 0);
    give_back(2);
    CHECK(w.pool.conns == 2 && w.pool.idle == 1);
    limit(1, -1);
    CHECK(w.pool.conns == 1 && w.pool.idle == 0);
    ask_host(4, 0);
    give_back(3);
    CHECK(has(4) && w.pool.conns == 1);
    end_net();
}

/* ---- age ----------------------------------------------------------------- */

static void live_for(int64_t ms)
{
    ms_loop_enter(&w.loop);
    w.pool.max_age_ms = ms;
    ms_pool_trim(&w.pool);
    ms_loop_leave(&w.loop);
    check();
}

TEST(a_connection_that_is_too_old_is_not_used_again)
{
    begin_net();
    live_for(10000);
    for (int i = 0; i < 3; i++) {
        ask_host(i, 0);
        wait_for(i);
    }
    give_back(0);
    give_back(1);
    pass_time(6 * SECOND);
    ask_host(0, 0);
    CHECK(has(0) && w.pool.idle == 1);
    pass_time(4 * SECOND);
    CHECK(w.pool.idle == 0 && w.pool.conns == 2 && w.pool.closed == 1);
    give_back(0); /* and what was in use, when it is free */
    CHECK(w.pool.conns == 1 && w.pool.closed == 2);
    ask_host(1, 0);
    wait_for(1);
    give_back(2);
    give_back(1);
    CHECK(w.pool.idle == 1);
    pass_time(9 * SECOND);
    CHECK(w.pool.idle == 1);
    pass_time(SECOND);
    CHECK(w.pool.idle == 0);
    CHECK(!ms_timer_active(&w.pool.age_timer));
    end_net();
}

/* The host was late: nobody had told that time has passed. */
TEST(the_age_is_looked_at_before_a_connection_is_used)
{
    begin_net();
    live_for(10000);
    ask_host(0, 0);
    wait_for(0);
    give_back(0);
    w.now += 10 * SECOND;
    ask_host(1, 0);
    CHECK(!has(1) && w.pool.closed == 1);
    wait_for(1);
    end_net();
}

TEST(another_age_counts_at_once)
{
    begin_net();
    ask_host(0, 0);
    wait_for(0);
    give_back(0);
    pass_time(5 * SECOND);
    live_for(4000);
    pass_time(1); /* never at once */
    CHECK(w.pool.idle == 0);
    ask_host(0, 0);
    wait_for(0);
    give_back(0);
    live_for(MS_POOL_NO_LIMIT);
    pass_time(30 * SECOND);
    CHECK(w.pool.idle == 1);
    end_net();
}

/* ---- random schedules ---------------------------------------------------- */

static struct {
    unsigned seed;
    int host[WAITERS]; /* whose endpoint it asked for, -1: it does nothing */
    bool fresh[WAITERS], late[WAITERS]; /* late: to be served before the end */
    int64_t ceiling, host_ceiling[HOSTS]; /* connections that may be there */
    unsigned long served, stuck;
} r;

static unsigned any(unsigned n)
{
    r.seed = r.seed * 1103515245u + 12345u;
    return (r.seed >> 16) % n;
}

static bool waits(int i)
{
    return r.host[i] >= 0 && w.guests[i].waiter.endpoint;
}

static unsigned conns_of(int host)
{
    unsigned n = 0;

    for (int list = 0; list < 3; list++) {
        struct ms_list *const lists[] = {&w.pool.opening, &w.pool.open,
                                         &w.pool.leaving};
        ms_list_each (node, lists[list])
            n += MS_CONTAINER(node, struct ms_conn, all)->endpoint->key.port ==
                 net.ports[host];
    }
    return n;
}

static int64_t lower_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t upper_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A limit that was lowered is reached as connections end, and kept then. */
static void check_limits(void)
{
    CHECK_THAT(w.pool.conns <= r.ceiling, "%u connections", w.pool.conns);
    r.ceiling = upper_of(w.pool.max_conns, lower_of(r.ceiling, w.pool.conns));
    for (int h = 0; h < HOSTS; h++) {
        int64_t *ceiling = &r.host_ceiling[h], n = conns_of(h);
        CHECK_THAT(n <= *ceiling, "%d connections to a host", (int)n);
        *ceiling = upper_of(w.pool.max_per_host, lower_of(*ceiling, n));
    }
    r.stuck += w.pool.stuck;
}

static void change_limits(void)
{
    int64_t all = any(4) ? (int64_t)any(6) + 1 : MS_POOL_NO_LIMIT;
    int64_t host = any(2) ? (int64_t)any(4) + 1 : MS_POOL_NO_LIMIT;

    r.ceiling = upper_of(all, w.pool.conns);
    for (int h = 0; h < HOSTS; h++)
        r.host_ceiling[h] = upper_of(host, conns_of(h));
    limit(all, host);
}

/* Of those that take a used connection to `host`; -1: nobody. */
static int first_in_line(int host)
{
    int first = -1;

    for (int i = 0; i < WAITERS; i++)
        if (waits(i) && r.host[i] == host && !r.fresh[i] &&
            (first < 0 ||
             w.guests[i].waiter.ticket < w.guests[first].waiter.ticket))
            first = i;
    return first;
}

/* A connection that is free goes to who waits longest, or to nobody. */
static void release_one(int i)
{
    int first = first_in_line(r.host[i]);
    struct ms_conn *c = w.guests[i].conn;
    r.host[i] = -1;
    give_back(i);
    for (int k = 0; k < WAITERS; k++)
        CHECK_THAT(k == first || w.guests[k].conn != c || r.host[k] < 0,
                   "guest %d came before %d", k, first);
    r.served++;
}

static void ask_any(int i)
{
    r.host[i] = (int)any(HOSTS);
    r.fresh[i] = any(6) == 0;
    ask_of(i, "127.0.0.1", net.ports[r.host[i]], r.fresh[i]);
}

static void step(void)
{
    int i = (int)any(WAITERS);

    switch (any(10)) {
    case 0:
        if (any(4) == 0)
            change_limits();
        break;
    case 1:
        pass_time(any(2) ? SECOND / 10 : 3 * SECOND);
        break;
    case 2:
        if (waits(i)) {
            cancel(i);
            r.host[i] = -1;
        }
        break;
    case 3:
        if (has(i) && any(3) == 0) {
            lose(i);
            r.host[i] = -1;
        }
        break;
    case 4:
    case 5:
        turn();
        break;
    default:
        if (has(i))
            release_one(i);
        else if (!waits(i))
            ask_any(i);
        break;
    }
}

/* Everybody's connection is free; in a crowd each asks at once for the next. */
static void release_all(bool crowd)
{
    for (int i = 0; i < WAITERS; i++) {
        int host = r.host[i];
        if (!has(i))
            continue;
        r.late[i] = false;
        release_one(i);
        check_limits();
        if (!crowd)
            continue;
        r.host[i] = host;
        ask_of(i, "127.0.0.1", net.ports[host], r.fresh[i]);
    }
}

/* Everybody who waits is served, whoever else asks without an end. */
static void settle(void)
{
    int rounds = 0;

    for (int i = 0; i < WAITERS; i++)
        r.late[i] = waits(i);
    for (int i = 0; i < WAITERS; rounds++) {
        CHECK_THAT(rounds < 5000, "guest %d waits for ever", i);
        turn();
        release_all(true);
        pass_time(SECOND / 4);
        while (i < WAITERS && !r.late[i])
            i++;
        if (rounds > 100)
            poll(NULL, 0, 1);
    }
    for (rounds = 0; w.pool.waiting; rounds++) {
        CHECK_THAT(rounds < 5000, "%u guests wait for ever", w.pool.waiting);
        turn();
        release_all(false);
        if (rounds > 10)
            poll(NULL, 0, 1);
    }
}

static void run_schedule(unsigned seed)
{
    begin_net();
    r.seed = seed;
    r.ceiling = MS_POOL_NO_LIMIT;
    for (int h = 0; h < HOSTS; h++)
        r.host_ceiling[h] = MS_POOL_NO_LIMIT;
    for (int i = 0; i < WAITERS; i++)
        r.host[i] = -1;
    change_limits();
    for (int n = 0; n < STEPS; n++) {
        step();
        check_limits();
        for (int i = 0; i < WAITERS; i++)
            CHECK(!w.guests[i].err);
    }
    settle();
    end_net();
}

TEST(nobody_is_forgotten_or_passed_over_in_any_order_of_events)
{
    r.served = r.stuck = 0;
    unsigned n = schedules_run("pool", SCHEDULES, run_schedule);
    CHECK(n < SCHEDULES || (r.served > n && r.stuck > n));
}
