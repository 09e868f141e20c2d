/* SPDX-License-Identifier: MIT */
#include "engine/multi.h"

#include <assert.h>

#include "base/mem.h"
#include "engine/debug.h"
#include "net/dns.h"

struct ms_run_env *ms_run_env_of(const struct ms_easy *e)
{
    return &e->multi->env;
}

/* ---- calling the host -------------------------------------------------- */

static void announce(void *host, struct ms_sock *s, int what)
{
    struct ms_multi *m = host;
    void *easy = ms_sock_sole_easy(s);

    m->socket_calls++;
    MS_TRACE_MORE(&m->loop.trace, MS_TRACE_EV, 0, 0, "fd %d %s %d (%s)", s->fd,
                  what == MS_POLL_REMOVE ? "forget" : "watch", what, s->role);
    if (m->socket_cb(easy, s->fd, what, m->socket_user, s->value))
        return;
    m->loop.refused = !MS_MUTANT_IS(39);
    if (!s->closing && !MS_MUTANT_IS(38))
        ms_ev_queue(s, MS_EV_REFUSED);
}

static void wake_me(void *engine, int64_t timeout_ms)
{
    struct ms_multi *m = engine;

    m->timer_calls++;
    if (m->timer_cb(m, timeout_ms, m->timer_user))
        return;
    m->timer_lost = !MS_MUTANT_IS(63);
    m->loop.refused = !MS_MUTANT_IS(39);
}

static void forget_member(struct ms_easy *e)
{
    ms_list_unlink(&e->member);
    e->multi = NULL;
}

/* One transfer that ended: counted, put in the queue, told. */
static void tell_end(struct ms_multi *m, struct ms_easy *e)
{
    m->running--;
    m->done++;
    if (e->oneshot) {
        ms_run_drop(e);
        forget_member(e);
    } else {
        e->told = true;
        if (MS_MUTANT_IS(85))
            ms_list_push_front(&m->messages, &e->ended);
        else
            ms_list_push(&m->messages, &e->ended);
        m->unread++;
    }
    if (!m->done_cb || (MS_MUTANT_IS(89) && m->unread > 1) ||
        (MS_MUTANT_IS(90) && e->error.err))
        return;
    m->done_cb(m, e, m->done_user);
    ms_loop_touch(&m->loop);
}

static void end_all(struct ms_multi *m, ms_err err)
{
    ms_list_each (node, &m->members)
        ms_run_end(MS_CONTAINER(node, struct ms_easy, member), err, NULL);
}

static void finish_one(struct ms_multi *m, struct ms_easy *e)
{
    if (!e->debug || ms_debug_end(e))
        tell_end(m, e);
}

static void finish(void *engine)
{
    struct ms_multi *m = engine;
    struct ms_list now, *node;

    if (m->timer_lost) {
        m->timer_lost = false;
        end_all(m, MS_ECALLBACK);
    }
    ms_list_init(&now);
    ms_list_splice(&now, &m->finished);
    while ((node = ms_list_pop(&now)))
        finish_one(m, MS_CONTAINER(node, struct ms_easy, ended));
}

static void on_run_end(struct ms_easy *e)
{
    struct ms_multi *m = e->multi;

    ms_list_push(&m->finished, &e->ended);
    ms_task_post(&m->loop, &m->ended);
}

/* Nothing to do: that it is posted makes the loop come round to finish(). */
static void on_ended(struct ms_task *t)
{
    (void)t;
}

/* ---- life -------------------------------------------------------------- */

ms_err ms_multi_new(struct ms_multi **out)
{
    static const struct ms_loop_hooks hooks = {.finish = finish};
    struct ms_multi *m = ms_zalloc(sizeof(*m));

    if (!m)
        return MS_ENOMEM;
    ms_err err = ms_fork_mark_init(&m->fork_mark);
    if (err)
        goto fail_mark;
    ms_loop_init(&m->loop, &hooks, m);
    ms_waker_init(&m->waker);
    ms_poll_init(&m->poll);
    ms_list_init(&m->members);
    ms_list_init(&m->finished);
    ms_list_init(&m->messages);
    ms_task_init(&m->ended, on_ended);
    m->env = (struct ms_run_env){
        .loop = &m->loop,
        .pool = &m->pool,
        .on_end = on_run_end,
        .random = m->loop.now_us ^ (uint64_t)(uintptr_t)m,
    };
    ms_auth_store_init(&m->env.logins);
    ms_gate_init(&m->env.gate, &m->loop);
    err = ms_options_new(&m->env.defaults, NULL);
    if (err)
        goto fail_options;
    err = ms_pool_init(&m->pool, &m->loop);
    if (err)
        goto fail_pool;
    *out = m;
    return MS_OK;
fail_pool:
    ms_options_free(m->env.defaults);
fail_options:
    ms_loop_fini(&m->loop);
    ms_fork_mark_fini(&m->fork_mark);
fail_mark:
    ms_free(m);
    return err;
}

static void destroy(struct ms_multi *m)
{
    struct ms_list *node;

    ms_pool_stop(&m->pool);
    while ((node = ms_list_pop(&m->members))) {
        struct ms_easy *e = MS_CONTAINER(node, struct ms_easy, member);
        ms_list_unlink(&e->ended);
        ms_run_drop(e);
        e->multi = NULL;
    }
    if (!m->closed)
        ms_pool_close(&m->pool);
    ms_task_cancel(&m->ended);
    ms_gate_fini(&m->env.gate);
    ms_ev_flush(&m->loop.ev);
    ms_loop_fini(&m->loop);
    ms_pool_fini(&m->pool);
    ms_auth_store_fini(&m->env.logins);
    ms_options_free(m->env.defaults);
    ms_waker_fini(&m->waker, ms_multi_forked(m));
    ms_poll_fini(&m->poll);
    ms_fork_mark_fini(&m->fork_mark);
    ms_free(m);
}

int ms_multi_leave(struct ms_multi *m, bool work)
{
    if (work)
        ms_loop_leave(&m->loop);
    else
        ms_loop_settle(&m->loop);
    int running = m->running;
    if (m->doomed && !ms_loop_inside(&m->loop))
        destroy(m);
    return running;
}

void ms_multi_free(struct ms_multi *m)
{
    if (!m || m->doomed)
        return;
    m->doomed = true;
    m->pool.env.mute |= ms_multi_forked(m);
    m->done_cb = NULL;
    m->loop.hooks.wake_me = NULL;
    ms_ev_set_host(&m->loop.ev, NULL, NULL, true);
    if (!ms_loop_inside(&m->loop))
        destroy(m);
}

bool ms_multi_forked(const struct ms_multi *m)
{
    return ms_forked(&m->fork_mark) && !MS_MUTANT_IS(212);
}

/* In a child, the host's watching is shared with the parent: it is not told
 * of what is closed here. */
static void silence_in_child(struct ms_multi *m)
{
    if (!ms_multi_forked(m))
        return;
    m->pool.env.mute = true;
    m->loop.hooks.wake_me = NULL;
    ms_ev_set_host(&m->loop.ev, NULL, NULL, true);
}

void ms_multi_close(struct ms_multi *m)
{
    if (m->closed)
        return;
    silence_in_child(m);
    ms_loop_enter(&m->loop);
    m->closed = true;
    ms_pool_stop(&m->pool);
    m->loop.ended = true;
    if (!MS_MUTANT_IS(15))
        end_all(m, MS_ECANCELLED);
    ms_pool_close(&m->pool);
    ms_multi_leave(m, true);
}

/* ---- names ------------------------------------------------------------- */

void ms_multi_network_changed(struct ms_multi *m)
{
    if (m->closed || m->doomed || ms_multi_forked(m))
        return;
    ms_loop_enter(&m->loop);
    ms_pool_network_changed(&m->pool);
    ms_multi_leave(m, true);
}

static ms_err parse_addresses(const char *const *texts, size_t count,
                              struct ms_addr *out)
{
    for (size_t i = 0; i < count; i++)
        if (!ms_addr_parse(ms_span_text(texts[i]), &out[i]))
            return MS_EOPTION;
    return MS_OK;
}

ms_err ms_multi_answer(struct ms_multi *m, uint64_t question,
                       const char *const *addresses, size_t count, ms_err err)
{
    struct ms_addr list[2 * MS_DNS_MAX_ADDRESSES];

    if (m->closed || m->doomed || ms_multi_forked(m))
        return MS_EUSAGE;
    count = count < MS_COUNT(list) ? count : MS_COUNT(list);
    if (!err && parse_addresses(addresses, count, list))
        return MS_EOPTION;
    ms_loop_enter(&m->loop);
    bool waited = ms_resolve_set_answer(&m->pool.env.resolvers, question, list,
                                        err ? 0 : count, err);
    ms_multi_leave(m, true);
    return waited ? MS_OK : MS_EUSAGE;
}

/* ---- transfers --------------------------------------------------------- */

ms_err ms_multi_add(struct ms_multi *m, struct ms_easy *e)
{
    if (m->closed || m->doomed || e->closing)
        return MS_ECLOSED;
    if (e->multi && !MS_MUTANT_IS(5))
        return MS_EADDED;
    if (MS_MUTANT_IS(93) && ms_loop_inside(&m->loop))
        return MS_ECONTEXT;
    if (ms_multi_forked(m))
        return MS_EFORKED;
    ms_loop_enter(&m->loop);
    e->multi = m;
    ms_err err = ms_run_queue(e);
    if (err) {
        e->multi = NULL;
        m->running += MS_MUTANT_IS(16);
    } else {
        ms_list_push(&m->members, &e->member);
        e->id = ++m->last_id;
        m->running++;
        m->added++;
    }
    if (MS_MUTANT_IS(64))
        ms_loop_forget_told(&m->loop);
    ms_multi_leave(m, MS_MUTANT_IS(7));
    return err;
}

ms_err ms_multi_remove(struct ms_multi *m, struct ms_easy *e)
{
    if (!e->multi)
        return MS_OK;
    if (e->multi != m)
        return MS_MUTANT_IS(6) ? MS_OK : MS_EUSAGE;
    silence_in_child(m);
    ms_loop_enter(&m->loop);
    if (!e->told)
        m->running--;
    else if (!ms_list_empty(&e->ended) && !MS_MUTANT_IS(10))
        m->unread--;
    if (!MS_MUTANT_IS(10) || !e->told)
        ms_list_unlink(&e->ended);
    if (MS_MUTANT_IS(4) && m->done_cb)
        m->done_cb(m, e, m->done_user);
    ms_run_drop(e);
    forget_member(e);
    m->removed += !MS_MUTANT_IS(91);
    ms_multi_leave(m, false);
    return MS_OK;
}

int ms_multi_socket_action(struct ms_multi *m, int fd, unsigned mask)
{
    if (ms_multi_is_over(m))
        return 0;
    ms_loop_enter(&m->loop);
    m->actions++;
    if (fd == MS_SOCKET_TIMEOUT)
        ms_loop_woken(&m->loop);
    else
        ms_loop_dispatch(&m->loop, fd, mask);
    return ms_multi_leave(m, true);
}

int ms_multi_socket_actions(struct ms_multi *m, const struct ms_event *events,
                            size_t count)
{
    if (ms_multi_is_over(m))
        return 0;
    ms_loop_enter(&m->loop);
    m->actions++;
    for (size_t i = 0; i < count; i++)
        ms_loop_dispatch(&m->loop, events[i].fd, events[i].mask);
    return ms_multi_leave(m, true);
}

bool ms_multi_info_peek(struct ms_multi *m, struct ms_message *out)
{
    if (ms_list_empty(&m->messages))
        return false;
    struct ms_easy *e = MS_CONTAINER(m->messages.next, struct ms_easy, ended);
    *out = (struct ms_message){e, e->error.err, m->unread - !MS_MUTANT_IS(86)};
    return true;
}

bool ms_multi_info_read(struct ms_multi *m, struct ms_message *out)
{
    if (!ms_multi_info_peek(m, out))
        return false;
    ms_list_unlink(&out->easy->ended);
    m->unread--;
    if (MS_MUTANT_IS(9))
        forget_member(out->easy);
    return true;
}

ms_err ms_multi_assign(struct ms_multi *m, int fd, void *value)
{
    struct ms_sock *s = ms_ev_find(&m->loop.ev, fd);

    if (!s || !s->told)
        return MS_MUTANT_IS(36) ? MS_OK : MS_EUSAGE;
    if (MS_MUTANT_IS(37) && s->value)
        return MS_OK;
    s->value = value;
    return MS_OK;
}

/* ---- settings ---------------------------------------------------------- */

void ms_multi_on_socket(struct ms_multi *m, ms_socket_cb *cb, void *user)
{
    ms_loop_enter(&m->loop);
    /* The old host hears of the removals before the new one is in place. */
    if (!MS_MUTANT_IS(44))
        ms_ev_set_host(&m->loop.ev, NULL, NULL, false);
    m->socket_cb = cb;
    m->socket_user = user;
    if (!MS_MUTANT_IS(44) || !cb || !m->loop.ev.announce)
        ms_ev_set_host(&m->loop.ev, cb ? announce : NULL, m, false);
    ms_multi_leave(m, false);
}

void ms_multi_on_timer(struct ms_multi *m, ms_timer_cb *cb, void *user)
{
    ms_loop_enter(&m->loop);
    if (m->timer_cb && m->loop.told_us != MS_NEVER)
        m->timer_cb(m, -1, m->timer_user);
    m->timer_cb = cb;
    m->timer_user = user;
    m->loop.hooks.wake_me = cb ? wake_me : NULL;
    ms_loop_forget_told(&m->loop);
    if (MS_MUTANT_IS(59))
        m->loop.told_us = 0;
    ms_multi_leave(m, false);
}

void ms_multi_on_done(struct ms_multi *m, ms_done_cb *cb, void *user)
{
    m->done_cb = cb;
    m->done_user = user;
}

struct setting {
    int64_t *member;
    int64_t least, none; /* what -1 stands for; -2: it is out of range */
};

static struct setting setting_of(struct ms_multi *m, enum ms_multi_option id)
{
    struct ms_pool *p = &m->pool;
    struct ms_gate *g = &m->env.gate;

    switch (id) {
    case MS_MULTI_MAX_IDLE:
        return (struct setting){&p->max_idle, 0, -2};
    case MS_MULTI_IDLE_TIMEOUT:
        return (struct setting){&p->idle_timeout_ms, 1, -2};
    case MS_MULTI_MAX_CONCURRENT_STREAMS:
        return (struct setting){&p->env.max_streams, 1, -2};
    case MS_MULTI_PING_INTERVAL:
        return (struct setting){&p->env.ping_interval_ms, 1, -1};
    case MS_MULTI_MAX_CONNECTIONS:
        return (struct setting){&p->max_conns, 1, MS_POOL_NO_LIMIT};
    case MS_MULTI_MAX_CONNECTIONS_PER_HOST:
        return (struct setting){&p->max_per_host, 1, MS_POOL_NO_LIMIT};
    case MS_MULTI_MAX_AGE:
        return (struct setting){&p->max_age_ms, 1, MS_POOL_NO_LIMIT};
    case MS_MULTI_HOST_CONCURRENCY:
        return (struct setting){&g->concurrency, 1, -1};
    case MS_MULTI_HOST_RATE:
        return (struct setting){&g->rate, 1, -1};
    case MS_MULTI_EDGE_TRIGGERED:
        return (struct setting){&p->env.edge_triggered, 0, -2};
    }
    return (struct setting){0};
}

ms_err ms_multi_set(struct ms_multi *m, enum ms_multi_option id, int64_t value)
{
    struct setting s = setting_of(m, id);
    bool none = (value == -1 && s.none != -2) ||
                (value >= MS_MOST && s.none == MS_POOL_NO_LIMIT);

    if (!s.member || m->closed || (value < s.least && !none))
        return MS_EOPTION;
    ms_loop_enter(&m->loop);
    *s.member = none ? s.none : value < MS_MOST ? value : MS_MOST;
    if (!ms_multi_forked(m)) /* a child leaves connections alone */
        ms_pool_trim(&m->pool);
    if (id == MS_MULTI_PING_INTERVAL)
        ms_pool_keep_alive(&m->pool);
    if (id == MS_MULTI_HOST_CONCURRENCY || id == MS_MULTI_HOST_RATE)
        ms_gate_changed(&m->env.gate);
    ms_multi_leave(m, false);
    return MS_OK;
}

void ms_multi_set_user(struct ms_multi *m, void *user)
{
    m->user = user;
}

void *ms_multi_user(const struct ms_multi *m)
{
    return m->user;
}

/* ---- looking inside ---------------------------------------------------- */

int ms_multi_running(const struct ms_multi *m)
{
    return MS_MUTANT_IS(77) ? m->running - (int)m->pool.waiting : m->running;
}

int64_t ms_multi_timeout(const struct ms_multi *m)
{
    return ms_loop_timeout(&m->loop);
}

static unsigned count_closing(const struct ms_pool *p)
{
    unsigned n = 0;

    ms_list_each (node, &p->env.closing)
        n++;
    return n;
}

void ms_multi_stats(const struct ms_multi *m, struct ms_stats *out)
{
    const struct ms_pool *p = &m->pool;

    *out = (struct ms_stats){
        .added = m->added,
        .done = m->done,
        .removed = m->removed,
        .opened = p->opened,
        .reused = p->reused,
        .closed = p->closed,
        .socket_calls = m->socket_calls,
        .timer_calls = m->timer_calls,
        .actions = m->actions,
        .bytes_in = p->env.link.bytes_in,
        .bytes_out = p->env.link.bytes_out,
        .lookups = ms_resolve_set_lookups(&p->env.resolvers),
        .running = (unsigned)m->running,
        .queued = p->waiting,
        .waiting = p->stuck,
        .connections = p->conns - p->connecting,
        .idle = p->idle,
        .connecting = p->connecting,
        .closing = count_closing(p),
    };
}

/* Easies beyond this many on one socket are counted by readers and writers
 * but not named. */
#define MAX_NAMED 256

void ms_multi_sockets(struct ms_multi *m,
                      void (*cb)(const struct ms_socket_info *info,
                                 struct ms_easy *const *easies, size_t count,
                                 void *user),
                      void *user)
{
    struct ms_easy *easies[MAX_NAMED];

    for (int fd = 0; fd < m->loop.ev.cap; fd++) {
        struct ms_sock *s = ms_ev_find(&m->loop.ev, fd);
        size_t n = 0;
        if (!s)
            continue;
        ms_list_each (node, &s->interests) {
            struct ms_interest *i =
                MS_CONTAINER(node, struct ms_interest, node);
            if (i->easy && n < MAX_NAMED)
                easies[n++] = i->easy;
        }
        struct ms_socket_info info = {fd, s->told, s->readers, s->writers,
                                      s->role};
        cb(&info, easies, n, user);
    }
}

void ms_multi_handles(struct ms_multi *m,
                      void (*cb)(struct ms_easy *easy, void *user), void *user)
{
    ms_list_each (node, &m->members) {
        struct ms_easy *e = MS_CONTAINER(node, struct ms_easy, member);
        if (!MS_MUTANT_IS(92) || !e->told)
            cb(e, user);
    }
}

static const char *check_members(struct ms_multi *m)
{
    int running = 0, unread = 0;

    ms_list_each (node, &m->members) {
        struct ms_easy *e = MS_CONTAINER(node, struct ms_easy, member);
        const char *wrong = ms_run_check(e);
        if (wrong)
            return wrong;
        if (e->multi != m)
            return "a member belongs to another multi";
        running += !e->told;
    }
    ms_list_each (node, &m->messages)
        unread++;
    if (running != m->running)
        return "the number of running transfers is off";
    return unread == m->unread ? NULL : "the number of messages is off";
}

const char *ms_multi_check(struct ms_multi *m)
{
    size_t timers = 0;
    const char *wrong = ms_ev_check(&m->loop.ev);

    if (!wrong && !ms_heap_check(&m->loop.timers, &timers))
        wrong = "the timer heap is out of order";
    if (!wrong && !m->closed)
        wrong = ms_pool_check(&m->pool);
    return wrong ? wrong : check_members(m);
}
