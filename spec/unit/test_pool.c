/* SPDX-License-Identifier: MIT
 *
 * Who gets which connection, and how long one is kept that nobody uses.
 */
#include "pool_world.h"

/* ------------------------------------------------------------------------ */

TEST(the_latest_used_connection_comes_first)
{
    begin();
    for (int i = 0; i < 3; i++) {
        ask(i);
        wait_for(i);
    }
    struct ms_conn *last = w.guests[1].conn;
    give_back(0);
    give_back(2);
    give_back(1);
    CHECK(w.pool.idle == 3 && w.pool.opened == 3);
    ask(3);
    CHECK(w.guests[3].conn == last);
    CHECK(w.pool.reused == 1 && w.pool.idle == 2);
    give_back(3);
    end();
}

TEST(connections_are_for_their_endpoint_only)
{
    begin();
    ask(0);
    wait_for(0);
    give_back(0);
    ask_of(1, "127.0.0.2", w.port, false);
    CHECK(!w.guests[1].conn);
    wait_for(1);
    CHECK(w.guests[1].err == MS_EREFUSED); /* the listener is on .1 */
    CHECK(w.guests[1].phase == MS_PHASE_CONNECT);
    CHECK(w.pool.idle == 1);
    end();
}

TEST(one_that_wants_a_fresh_connection_gets_no_used_one)
{
    begin();
    ask(0);
    wait_for(0);
    give_back(0);
    ask_of(1, "127.0.0.1", w.port, true);
    CHECK(!w.guests[1].conn);
    wait_for(1);
    CHECK(w.guests[1].conn && w.guests[1].conn->exchanges == 0);
    give_back(1);
    end();
}

TEST(who_waits_longest_is_served_first)
{
    begin();
    ask(0);
    wait_for(0);
    for (int i = 1; i < 4; i++)
        ask(i);
    CHECK(w.pool.waiting == 3);
    struct ms_conn *used = w.guests[0].conn;
    give_back(0); /* before any attempt of theirs is through */
    CHECK(w.guests[1].conn == used);
    for (int i = 2; i < 4; i++)
        wait_for(i);
    CHECK(w.guests[1].order < w.guests[2].order);
    CHECK(w.guests[1].order < w.guests[3].order);
    for (int i = 1; i < 4; i++)
        give_back(i);
    end();
}

TEST(an_attempt_that_lost_its_waiter_serves_the_next)
{
    begin();
    ask(0);
    wait_for(0);
    ask(1);
    give_back(0); /* 1 has that one now; its attempt is spare */
    CHECK(w.guests[1].conn && w.pool.connecting == 1);
    ask(2);
    CHECK(w.pool.connecting == 1 && w.pool.conns == 2);
    wait_for(2);
    CHECK(w.pool.opened == 2);
    give_back(1);
    give_back(2);
    end();
}

TEST(a_cancelled_waiter_ends_its_attempt_unless_another_waits)
{
    begin();
    ask(0);
    CHECK(w.pool.connecting == 1);
    cancel(0);
    CHECK(w.pool.connecting == 0 && w.pool.conns == 0);
    ask(0);
    ask(1);
    CHECK(w.pool.connecting == 2);
    cancel(1);
    CHECK(w.pool.connecting == 1);
    wait_for(0);
    CHECK(w.guests[0].conn && !w.guests[1].conn);
    cancel(0); /* it waits no more: nothing happens */
    give_back(0);
    end();
}

TEST(idle_connections_end_after_their_time)
{
    begin();
    w.pool.idle_timeout_ms = 10000;
    for (int i = 0; i < 2; i++) {
        ask(i);
        wait_for(i);
    }
    give_back(0);
    pass_time(4 * SECOND);
    give_back(1);
    pass_time(5 * SECOND);
    CHECK(w.pool.idle == 2);
    pass_time(2 * SECOND);
    CHECK(w.pool.idle == 1 && w.pool.closed == 1);
    pass_time(4 * SECOND);
    CHECK(w.pool.idle == 0 && w.pool.closed == 2);
    CHECK(ms_loop_deadline(&w.loop) == MS_NEVER);
    end();
}

TEST(the_oldest_go_when_there_are_too_many)
{
    begin();
    w.pool.max_idle = 2;
    for (int i = 0; i < 3; i++) {
        ask(i);
        wait_for(i);
    }
    struct ms_conn *newest = w.guests[2].conn;
    for (int i = 0; i < 3; i++)
        give_back(i);
    CHECK(w.pool.idle == 2 && w.pool.closed == 1);
    w.pool.max_idle = 1;
    ms_loop_enter(&w.loop);
    ms_pool_trim(&w.pool);
    ms_loop_leave(&w.loop);
    check();
    CHECK(w.pool.idle == 1);
    ask(3);
    CHECK(w.guests[3].conn == newest);
    w.pool.max_idle = 0;
    give_back(3);
    CHECK(w.pool.conns == 0);
    end();
}

TEST(an_idle_connection_that_the_peer_closes_is_gone)
{
    begin();
    ask(0);
    wait_for(0);
    int peer = accept(w.listener, NULL, NULL);
    CHECK(peer >= 0);
    give_back(0);
    close(peer);
    for (int n = 0; w.pool.idle && n < 5000; n++) {
        turn();
        poll(NULL, 0, 1);
    }
    CHECK(w.pool.idle == 0 && w.pool.conns == 0);
    end();
}

/* What the host has not told of yet. */
static void nobody_gets_what(void (*happened)(int peer))
{
    begin();
    ask(0);
    wait_for(0);
    int peer = accept(w.listener, NULL, NULL);
    struct pollfd p = {w.guests[0].conn->link.sock->fd, POLLIN, 0};
    give_back(0);
    happened(peer);
    CHECK(poll(&p, 1, 5000) == 1);
    w.now += SECOND / 1000;
    ask(1);
    CHECK(!w.guests[1].conn && w.pool.idle == 0 && w.pool.conns == 1);
    wait_for(1);
    CHECK(w.pool.opened == 2 && w.pool.reused == 0);
    give_back(1);
    close(peer);
    end();
}

static void closed(int peer)
{
    CHECK(!shutdown(peer, SHUT_WR));
}

static void spoke(int peer)
{
    CHECK(send(peer, "HTTP/1.1 408 Late\r\n\r\n", 21, 0) == 21);
}

TEST(an_idle_connection_is_looked_at_before_it_is_used)
{
    nobody_gets_what(closed);
    nobody_gets_what(spoke);
}

#define MANY 7

TEST(many_idle_connections_are_looked_at_in_one_entry)
{
    int peers[MANY];

    begin();
    for (int i = 0; i < MANY; i++) {
        ask(i);
        wait_for(i);
        CHECK((peers[i] = accept(w.listener, NULL, NULL)) >= 0);
    }
    struct ms_conn *stirring[] = {w.guests[1].conn, w.guests[4].conn};
    for (int i = 0; i < MANY; i++)
        give_back(i);
    spoke(peers[1]);
    closed(peers[4]);
    for (int i = 0; i < 2; i++) {
        struct pollfd p = {stirring[i]->link.sock->fd, POLLIN, 0};
        CHECK(poll(&p, 1, 5000) == 1);
    }
    w.now += SECOND / 1000;
    ms_loop_enter(&w.loop);
    for (int i = 0; i < MANY; i++)
        ask(i);
    ms_loop_leave(&w.loop);
    CHECK(w.pool.reused == MANY - 2 && w.pool.closed == 2);
    for (int i = 0; i < MANY; i++) {
        wait_for(i);
        give_back(i);
        close(peers[i]);
    }
    end();
}

/* ---- rest ---------------------------------------------------------------- */

static int rests;

static void count_rest(struct ms_session *s)
{
    (void)s;
    rests++;
}

/* A connection whose session has something to give back. */
static struct ms_conn *restful(int i)
{
    ask(i);
    wait_for(i);
    w.ops.rest = count_rest;
    return w.guests[i].conn;
}

TEST(one_that_is_idle_for_a_second_rests_once)
{
    begin();
    rests = 0;
    struct ms_conn *c = restful(0);
    give_back(0);
    pass_time(SECOND - 1);
    CHECK(!rests && !c->resting);
    pass_time(1);
    CHECK(rests == 1 && c->resting);
    pass_time(5 * SECOND);
    CHECK(rests == 1);
    CHECK(restful(1) == c);
    give_back(1);
    CHECK(!c->resting);
    pass_time(SECOND);
    CHECK(rests == 2);
    end();
}

TEST(each_rests_in_its_own_time_and_none_in_use)
{
    begin();
    rests = 0;
    struct ms_conn *first = restful(0), *then = restful(1), *used = restful(2);
    give_back(0);
    pass_time(SECOND / 2);
    give_back(1);
    pass_time(SECOND / 2);
    CHECK(rests == 1 && first->resting && !then->resting);
    pass_time(SECOND / 2);
    CHECK(rests == 2 && then->resting && !used->resting);
    pass_time(SECOND);
    CHECK(rests == 2);
    give_back(2);
    end();
}

/* Who is used all the time is never idle for a second. */
TEST(one_that_is_used_in_between_does_not_rest)
{
    begin();
    rests = 0;
    struct ms_conn *c = restful(0);
    give_back(0);
    for (int i = 0; i < 5; i++) {
        pass_time(SECOND / 2);
        CHECK(restful(1) == c);
        give_back(1);
    }
    CHECK(!rests);
    end();
}
