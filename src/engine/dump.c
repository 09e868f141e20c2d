/* SPDX-License-Identifier: MIT
 *
 * dump.c - the state of a multi as lines of text: what there is, and what each
 * part of it waits for.
 */
#include <stdio.h>

#include "engine/agent.h"
#include "engine/multi.h"

/* Longer lines are cut: it is the URL that is long. */
#define MAX_LINE 400

struct dump {
    struct ms_multi *m;
    ms_dump_cb *cb;
    void *user;
};

#define LINE(d, depth, ...)                                                    \
    do {                                                                       \
        char line_[MAX_LINE];                                                  \
        int n_ = snprintf(line_, sizeof(line_), __VA_ARGS__);                  \
        emit(d, depth, line_, n_);                                             \
    } while (0)

static void emit(const struct dump *d, unsigned depth, const char *text, int n)
{
    size_t most = MAX_LINE - 1, len = n > 0 ? (size_t)n : 0;

    d->cb(text, len < most ? len : most, depth, d->user);
}

static const char *direction(unsigned want)
{
    static const char *const names[] = {"nothing", "in", "out", "in and out"};

    return names[want & MS_POLL_INOUT];
}

/* What an open connection waits for, beside its requests. */
static const char *hindrance(const struct ms_conn *c)
{
    if (c->peer_gone)
        return ", peer gone";
    if (c->hold_recv)
        return ", held";
    if (c->blocked)
        return ", blocked";
    if (c->last_exchange)
        return ", last exchange";
    return ms_list_empty(&c->lru) ? "" : ", idle";
}

static void dump_conn(const struct dump *d, const struct ms_conn *c)
{
    const struct ms_sock *s = c->link.sock;
    struct ms_span host = c->endpoint->key.host;
    char addr[MS_ADDR_TEXT];

    if (!s) {
        LINE(d, 1, "#c%u %s to %.*s:%u%s", c->id, ms_conn_state_name(c),
             (int)host.n, host.p, c->endpoint->key.port,
             c->wanted_by ? "" : ", for nobody in particular");
        return;
    }
    LINE(d, 1, "#c%u %s to %.*s at %s, fd %d, waits for %s, %u streams%s",
         c->id, ms_conn_state_name(c), (int)host.n, host.p,
         ms_addr_text(&c->remote, addr), s->fd, direction(ms_sock_wants(s)),
         c->session ? c->session->streams : 0, hindrance(c));
}

/* It said goodbye and belongs to no endpoint any more. */
static void dump_closing(const struct dump *d, const struct ms_conn *c)
{
    char addr[MS_ADDR_TEXT];

    LINE(d, 1, "#c%u %s at %s, fd %d, waits for %s", c->id,
         ms_conn_state_name(c), ms_addr_text(&c->remote, addr),
         c->link.sock->fd, direction(ms_sock_wants(c->link.sock)));
}

static void dump_endpoint(struct ms_map_node *node, void *user)
{
    const struct dump *d = user;
    const struct ms_endpoint *e = MS_CONTAINER(node, struct ms_endpoint, node);

    LINE(d, 1, "%.*s:%u %u connections, %u of them connecting, %u waiting",
         (int)e->key.host.n, e->key.host.p, e->key.port, e->conns,
         e->connecting, e->waiters);
}

static const char *pause_of(const struct ms_easy *e)
{
    switch (e->pause) {
    case MS_PAUSE_RECV:
        return ", receiving paused";
    case MS_PAUSE_SEND:
        return ", sending paused";
    default:
        return e->pause ? ", paused" : "";
    }
}

/* A few words and a number. */
#define MAX_WHERE 48

/* Its connection, or what it waits for without one. */
static void where_is(const struct dump *d, const struct ms_easy *e,
                     char text[MAX_WHERE])
{
    struct ms_loop *l = &d->m->loop;

    *text = '\0';
    if (e->state == MS_RUN_ACTIVE && e->conn)
        snprintf(text, MAX_WHERE, " on #c%u", e->conn->id);
    else if (e->state == MS_RUN_QUEUED && e->agent &&
             e->agent->wake_us != MS_NEVER)
        snprintf(text, MAX_WHERE, " again in %lld ms",
                 (long long)ms_loop_ms_until(l, e->agent->wake_us));
}

static void dump_easy(const struct dump *d, const struct ms_easy *e)
{
    bool moved = e->agent && e->agent->moved;
    struct ms_span url =
        moved ? ms_buf_span(&ms_agent_url(e)->href) : ms_run_url_text(e);
    char where[MAX_WHERE];
    size_t from, to;

    where_is(d, e, where);
    ms_url_userinfo(url.p, url.n, &from, &to);
    LINE(d, 1, "x%u %s%s%s%s%s: %.*s%.*s", e->id, ms_run_state_name(e), where,
         pause_of(e), ms_run_under_way(e) ? ", phase " : "",
         ms_run_under_way(e) ? ms_phase_name(ms_run_phase(e)) : "", (int)from,
         url.p, (int)(url.n - to), url.p + to);
}

static void dump_conns(const struct dump *d, const struct ms_list *conns)
{
    ms_list_each (n, conns)
        dump_conn(d, MS_CONTAINER(n, struct ms_conn, all));
}

void ms_multi_dump(struct ms_multi *m, ms_dump_cb *cb, void *user)
{
    struct dump d = {m, cb, user};
    int64_t timeout = ms_multi_timeout(m);

    LINE(&d, 0, "%s %d running, %u waiting, %d messages, wake in %lld ms",
         m->closed ? "closed" : "multi", m->running, m->pool.waiting, m->unread,
         (long long)timeout);
    LINE(&d, 0, "endpoints");
    ms_map_walk(&m->pool.endpoints, dump_endpoint, &d);
    LINE(&d, 0, "connections");
    dump_conns(&d, &m->pool.opening);
    dump_conns(&d, &m->pool.open);
    dump_conns(&d, &m->pool.leaving);
    ms_list_each (n, &m->pool.env.closing)
        dump_closing(&d, MS_CONTAINER(n, struct ms_conn, all));
    LINE(&d, 0, "transfers");
    ms_list_each (n, &m->members)
        dump_easy(&d, MS_CONTAINER(n, struct ms_easy, member));
}
