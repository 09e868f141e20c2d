/* SPDX-License-Identifier: MIT
 *
 * Limits on connections: who waits, who is next, and who gives way. The last
 * test runs random schedules.
 */
#define WAITERS 16
#include "pool_world.h"

#include <stdio.h>
#include <stdlib.h>

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
