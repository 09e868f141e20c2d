/* SPDX-License-Identifier: MIT */
#include "engine/conn_parts.h"

#include <assert.h>

#include "base/mem.h"

/* Reads and writes per event are bounded, so that one fast peer cannot keep
 * the others waiting: four full buffers are some 50 microseconds of work. */
#define MAX_READS_PER_TURN 4
#define MAX_WRITE_PER_TURN (256 * 1024)
/* A stash is read in small steps: a stream that paused once pauses again. */
#define STASH_RUNS 16

void ms_conn_set_state(struct ms_conn *c, enum ms_conn_state state)
{
    assert(state > c->state && "states only move forward");

    c->state = (unsigned char)state;
    MS_TRACE(&ms_conn_loop(c)->trace, MS_TRACE_CONN, c->id, 0, "%s",
             ms_conn_state_name(c));
}

const char *ms_conn_state_name(const struct ms_conn *c)
{
    static const char *const names[] = {"new",      "resolving", "connecting",
                                        "securing", "open",      "closing",
                                        "closed"};

    return names[c->state];
}

/* What the socket is to be watched for; an idle one for the peer's close. */
static void update_wish(struct ms_conn *c)
{
    bool deaf = c->hold_recv && !MS_MUTANT_IS(83);
    unsigned want = deaf || c->peer_gone ? 0u : (unsigned)MS_POLL_IN;

    if ((c->blocked && !c->hold_send) || ms_link_pending(&c->link))
        want = (MS_MUTANT_IS(23) ? 0u : want) | (unsigned)MS_POLL_OUT;
    if (MS_MUTANT_IS(22))
        want = MS_POLL_INOUT;
    ms_interest_set(&c->wish, c->link.sock, want);
}

/* Whose transfer the socket is watched for: that of the only stream. */
static void update_label(struct ms_conn *c, void *easy)
{
    if (c->session->streams != 1 && !MS_MUTANT_IS(46))
        ms_interest_label(&c->wish, NULL);
    else if (easy)
        ms_interest_label(&c->wish, easy);
}

size_t ms_conn_room(const struct ms_conn *c)
{
    if (!ms_conn_is_open(c) || c->last_exchange || c->out_dead ||
        c->peer_gone || ms_buf_len(&c->link.stash))
        return 0;
    return c->session->ops->room(c->session);
}

/* Whether nothing waits to be read behind a response that filled the buffer
 * to its last byte. */
static bool is_drained(struct ms_conn *c)
{
    struct ms_io_result r =
        ms_link_read(&c->link, c->env->scratch, MS_SCRATCH_BYTES);

    return r.what == MS_IO_AGAIN;
}

bool ms_conn_is_over(const struct ms_conn *c)
{
    return c->session->ops->done(c->session) || c->last_exchange ||
           c->out_dead || c->peer_gone || ms_buf_len(&c->link.stash);
}

/* Nobody uses it, and nobody can. */
static bool is_of_no_use(struct ms_conn *c)
{
    if (c->session->streams)
        return false;
    if (c->many)
        return ms_conn_is_over(c);
    return !ms_conn_room(c) || (MS_UNLIKELY(c->link.more) && !is_drained(c));
}

/* Streams came or went: what becomes of the connection. */
static void settle(struct ms_conn *c)
{
    if (!ms_conn_is_attached(c) && !(MS_MUTANT_IS(127) && c->many))
        ms_conn_detach(c);
    update_label(c, NULL);
    update_wish(c);
    if (is_of_no_use(c))
        ms_conn_close(c, MS_OK, 0);
    else
        c->events->on_change(c);
}

/* What is left of what came: a paused stream's, or nobody's. */
static void keep_rest(struct ms_conn *c, struct ms_span rest)
{
    if (!rest.n)
        return;
    if (!c->session->streams) {
        /* Bytes that belong to nobody: no later request may get them. */
        c->last_exchange = !MS_MUTANT_IS(144);
        return;
    }
    ms_err err = ms_buf_add(&c->link.stash, rest.p, rest.n);
    if (err)
        ms_conn_close(c, err, 0);
}

/* Hands bytes to the session. False when the connection is not to be read any
 * further now: closed, paused or given to somebody else. */
static bool feed(struct ms_conn *c, struct ms_span in)
{
    struct ms_session *session = c->session;
    size_t used = 0;

    session->now_us = ms_conn_loop(c)->now_us;
    c->feeding = true;
    ms_err err = session->ops->feed(session, in, &used);
    c->feeding = false;
    if (!ms_conn_is_open(c))
        return false;
    if (err) {
        ms_conn_close(c, err, 0);
        return false;
    }
    if (session->wants_pull)
        ms_task_post_at_exit(ms_conn_loop(c), &c->service);
    keep_rest(c, ms_span(in.p + used, in.n - used));
    if (!ms_conn_is_open(c) || ms_conn_is_attached(c))
        return used == in.n && ms_conn_is_open(c);
    settle(c);
    return c->many && ms_conn_is_open(c);
}

/* What a paused stream left over goes first. True when nothing is left. */
static bool feed_stash(struct ms_conn *c)
{
    struct ms_buf all = c->link.stash;

    if (!ms_buf_len(&all))
        return true;
    c->link.stash = (struct ms_buf){0};
    bool more = feed(c, ms_buf_span(&all));
    ms_buf_free(&all);
    return more;
}

/* Only readers that paused with all they need in the session may stay. */
static void peer_is_gone(struct ms_conn *c, ms_err why, int os_errno)
{
    MS_TRACE(&ms_conn_loop(c)->trace, MS_TRACE_CONN, c->id, 0, "peer %s",
             why ? ms_err_code(why) : "closed");
    c->feeding = true;
    c->session->ops->eof(c->session, why);
    c->feeding = false;
    c->peer_gone = true;
    if (!ms_conn_is_open(c))
        return;
    if (c->session->streams)
        settle(c);
    else
        ms_conn_close(c, why, os_errno);
}

/* Nothing more comes. After sending failed that is no orderly end: what reset
 * the connection was told to the sender and is not told again. */
static void end_of_input(struct ms_conn *c, struct ms_io_result r)
{
    if (r.what == MS_IO_EOF && c->out_dead)
        peer_is_gone(c, ms_err_from_errno(c->out_errno), c->out_errno);
    else
        peer_is_gone(c, ms_link_verdict(&c->link, r), r.os_errno);
}

/* True when anything came. What a paused stream left over is older: an event
 * may be told before the task runs that was to deliver it. */
static bool read_some(struct ms_conn *c)
{
    if (!feed_stash(c) || c->hold_recv)
        return true;
    for (int i = 0; i < MAX_READS_PER_TURN || MS_MUTANT_IS(81); i++) {
        struct ms_io_result r =
            ms_link_read(&c->link, c->env->scratch, MS_SCRATCH_BYTES);
        if (r.what == MS_IO_AGAIN && MS_MUTANT_IS(73))
            r.what = MS_IO_EOF;
        if (r.what == MS_IO_AGAIN)
            return i > 0;
        if (r.what != MS_IO_DONE) {
            end_of_input(c, r);
            return true;
        }
        c->heard_us = ms_conn_loop(c)->now_us;
        c->pinged = false;
        /* A short read has emptied the socket. */
        if (!feed(c, ms_span(c->env->scratch, r.n)) ||
            (!c->link.more && !MS_MUTANT_IS(81)) || c->hold_recv)
            return true;
    }
    return true;
}

/* Sending failed. The peer may have answered before it hung up, so what it
 * said is read first; only its silence makes this the error. */
static void send_failed(struct ms_conn *c, struct ms_io_result r)
{
    c->out_dead = true;
    c->out_errno = r.os_errno;
    c->last_exchange = true;
    c->blocked = false;
    if (!c->hold_recv)
        read_some(c);
    if (ms_conn_is_open(c) && !(c->stream && c->stream->answered))
        peer_is_gone(c, ms_link_verdict(&c->link, r), r.os_errno);
}

static size_t total_of(const struct ms_span *runs, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += runs[i].n;
    return n;
}

/* Asks the session for what is to leave. A streamed body asks its transfer,
 * which may end in there. */
static size_t pull(struct ms_conn *c, struct ms_span *runs)
{
    struct ms_session *session = c->session;

    if (c->hold_send || c->out_dead || c->peer_gone)
        return 0;
    session->now_us = ms_conn_loop(c)->now_us;
    c->feeding = true;
    size_t count = session->ops->pull(session, runs, STASH_RUNS);
    c->feeding = false;
    if (!ms_conn_is_open(c) || !c->stream || ms_conn_is_attached(c))
        return ms_conn_is_open(c) ? count : 0;
    settle(c);
    return 0;
}

/* Whether there is more to pull, when all of the last was sent. */
static bool has_more(struct ms_conn *c, size_t sent)
{
    bool whole = c->session->ops->sent(c->session, sent);

    return c->many ? c->session->wants_pull : !whole;
}

/* Writes what was pulled; a run that points nowhere is in the stream's file. */
static struct ms_io_result write_runs(struct ms_conn *c,
                                      const struct ms_span *runs, size_t count)
{
    if (MS_LIKELY(runs->p))
        return ms_link_write(&c->link, runs, count);
    assert(count == 1 && c->stream->file->n == runs->n);
    struct ms_body_file *file = c->stream->file;
    struct ms_io_result r =
        ms_link_write_file(&c->link, file, c->env->scratch, &file->why);
    if (file->why) /* the session ends the stream when it is asked again */
        r = (struct ms_io_result){MS_IO_DONE, 0, 0};
    return r;
}

/* Writes what the session has. True when anything left. */
static bool flush(struct ms_conn *c)
{
    struct ms_span runs[STASH_RUNS];
    size_t written = 0, count;

    c->blocked = false;
    while (ms_conn_is_open(c) && (count = pull(c, runs))) {
        size_t all = total_of(runs, count);
        struct ms_io_result r = write_runs(c, runs, count);
        /* The file failed, not the socket, which has nothing to tell. */
        if (MS_UNLIKELY(r.what == MS_IO_DONE && !r.n))
            continue;
        if (r.what == MS_IO_ERROR) {
            send_failed(c, r);
            return true;
        }
        written += r.n;
        bool over = r.n && !has_more(c, r.n) && r.n == all;
        c->blocked = !over && (r.n < all || written >= MAX_WRITE_PER_TURN);
        if (over || c->blocked || ms_link_pending(&c->link))
            break;
    }
    if (ms_conn_is_open(c))
        update_wish(c);
    return written > 0;
}

/* What TLS has encrypted goes before anything else. */
static bool flush_pending(struct ms_conn *c)
{
    struct ms_io_result r = ms_link_flush(&c->link);

    if (r.what == MS_IO_ERROR)
        send_failed(c, r);
    else if (r.what == MS_IO_DONE)
        flush(c);
    return r.what != MS_IO_AGAIN;
}

/* The session has to tell what no byte will bring, or its streams that were
 * given up are gone only now that the peer was told. */
static void catch_up(struct ms_conn *c)
{
    if (ms_conn_is_open(c) && !c->hold_recv && feed_stash(c) && c->session->due)
        feed(c, ms_span(NULL, 0));
    if (ms_conn_is_open(c) && c->many)
        settle(c);
}

static bool may_read(const struct ms_conn *c)
{
    return ms_conn_is_open(c) && !c->hold_recv && !c->peer_gone;
}

/* A host that tells readiness once does not tell of what is left: it is tried
 * until nothing moves. */
static void ask_again(struct ms_conn *c)
{
    if (c->env->edge_triggered && !MS_MUTANT_IS(84) && ms_conn_is_open(c))
        ms_ev_queue(c->link.sock, 0);
}

static void on_ready(struct ms_sock *s, unsigned events)
{
    struct ms_conn *c = s->owner;
    bool progress = false;

    if (events & MS_EV_REFUSED) {
        peer_is_gone(c, MS_ECALLBACK, 0);
        return;
    }
    if (MS_MUTANT_IS(74) && events == MS_CSELECT_ERR)
        return;
    /* What was reported is a hint. Where it leads nowhere the other
     * direction is tried: a host may say OUT whatever happened. */
    if (ms_link_pending(&c->link))
        progress = flush_pending(c);
    else if (c->blocked && events != MS_CSELECT_IN)
        progress = flush(c);
    if (ms_conn_is_open(c) && c->many && progress)
        catch_up(c);
    if (may_read(c) && (events != MS_CSELECT_OUT || !progress))
        progress |= read_some(c);
    if (ms_conn_is_open(c) && c->blocked && !progress)
        flush(c);
    if (ms_link_pending(&c->link)) /* also TLS's own answers */
        update_wish(c);
    if (progress)
        ask_again(c);
}

void ms_conn_take_over(struct ms_conn *c)
{
    ms_sock_give(c->link.sock, on_ready, c, "connection");
    c->heard_us = ms_conn_loop(c)->now_us;
    ms_conn_keep_alive(c);
    update_wish(c);
    ms_task_post_at_exit(ms_conn_loop(c), &c->service);
    c->events->on_open(c);
    /* The peer's first bytes may have come with the end of a handshake. */
    if (may_read(c) && ms_link_has_raw(&c->link))
        read_some(c);
    if (ms_conn_is_open(c))
        update_wish(c);
}

static void on_service(struct ms_task *t)
{
    struct ms_conn *c = MS_CONTAINER(t, struct ms_conn, service);

    if (flush(c) && c->blocked) /* by its turn's end, as far as it knows */
        ask_again(c);
    if (c->many || ms_buf_len(&c->link.stash))
        catch_up(c);
}

/* ---- keeping alive ------------------------------------------------------- */

static uint64_t ping_interval_us(const struct ms_conn *c)
{
    return (uint64_t)c->env->ping_interval_ms * 1000u;
}

void ms_conn_keep_alive(struct ms_conn *c)
{
    if (!ms_conn_is_open(c) || !c->session->ops->ping)
        return;
    ms_timer_cancel(ms_conn_loop(c), &c->timer);
    c->pinged = false;
    if (c->env->ping_interval_ms >= 0)
        ms_timer_start(ms_conn_loop(c), &c->timer,
                       ms_conn_loop(c)->now_us + ping_interval_us(c));
}

/* Whoever was silent for an interval is asked, and is gone when it is silent
 * for another one. */
static void on_ping_due(struct ms_conn *c)
{
    uint64_t now = ms_conn_loop(c)->now_us;
    uint64_t due = c->heard_us + ping_interval_us(c);

    if (c->pinged) {
        peer_is_gone(c, MS_ETIMEOUT, 0);
        return;
    }
    if (due <= now) {
        c->pinged = true;
        c->session->ops->ping(c->session);
        ms_task_post(ms_conn_loop(c), &c->service);
        due = now + ping_interval_us(c);
    }
    ms_timer_start(ms_conn_loop(c), &c->timer, due);
}

static void on_timer(struct ms_timer *t)
{
    struct ms_conn *c = MS_CONTAINER(t, struct ms_conn, timer);

    if (ms_conn_is_open(c))
        on_ping_due(c);
    else if (c->state == MS_CONN_CLOSING)
        ms_conn_give_up_goodbye(c);
    else
        ms_conn_close(c, MS_ETIMEOUT, 0);
}

ms_err ms_conn_new(struct ms_conn **out, struct ms_conn_env *env,
                   const struct ms_conn_events *events,
                   struct ms_endpoint *endpoint, unsigned id)
{
    struct ms_conn *c = ms_zalloc(sizeof(*c));

    if (!c)
        return MS_ENOMEM;
    c->env = env;
    c->events = events;
    c->endpoint = endpoint;
    c->id = id;
    c->link.env = &env->link;
    ms_list_init(&c->all);
    ms_list_init(&c->idle);
    ms_list_init(&c->lru);
    ms_timer_init(&c->timer, on_timer);
    ms_interest_init(&c->wish, NULL);
    ms_task_init(&c->service, on_service);
    *out = c;
    return MS_OK;
}

ms_err ms_conn_open_stream(struct ms_conn *c, struct ms_stream *s,
                           const struct ms_request *req, void *easy)
{
    assert(ms_conn_is_open(c));

    c->session->now_us = ms_conn_loop(c)->now_us;
    ms_err err = c->session->ops->open(c->session, s, req);
    if (err)
        return err;
    c->exchanges++;
    if (!c->many)
        c->stream = s;
    update_label(c, easy);
    update_wish(c);
    ms_task_post_at_exit(ms_conn_loop(c), &c->service);
    return MS_OK;
}

void ms_conn_proceed(struct ms_conn *c, struct ms_stream *s)
{
    c->session->ops->proceed(c->session, s);
    ms_task_post(ms_conn_loop(c), &c->service);
}

bool ms_conn_look(struct ms_conn *c)
{
    assert(ms_conn_is_open(c) && !c->session->streams);

    read_some(c);
    return ms_conn_is_open(c) && ms_conn_room(c) > 0;
}

void ms_conn_cancel_stream(struct ms_conn *c, struct ms_stream *s)
{
    if (MS_MUTANT_IS(17) && c->many)
        ms_conn_close(c, MS_OK, 0);
    c->broken_off |= s->session && !c->many;
    if (s->session)
        s->session->ops->cancel(s->session, s);
    ms_task_post_at_exit(ms_conn_loop(c), &c->service);
    /* Inside feed() the rest is done when the session returns. */
    if (!c->feeding && ms_conn_is_open(c))
        settle(c);
}

static void hold_one_of_many(struct ms_conn *c, struct ms_stream *s, bool recv)
{
    if (!recv || !s->hold_send)
        c->session->ops->resume(c->session, s);
}

void ms_conn_hold(struct ms_conn *c, struct ms_stream *s, bool recv, bool send)
{
    bool was = c->hold_recv;

    s->hold_send = send;
    if (MS_MUTANT_IS(127) && c->many)
        c->hold_recv = recv;
    if (c->many) {
        hold_one_of_many(c, s, recv);
    } else {
        c->hold_recv = recv;
        c->hold_send = send && !MS_MUTANT_IS(139);
        if (was && !recv)
            c->session->ops->resume(c->session, s);
        update_wish(c);
    }
    if (!MS_MUTANT_IS(138))
        ms_task_post(ms_conn_loop(c), &c->service);
    ask_again(c); /* what came meanwhile was told while nobody listened */
}

static const char *check_open(const struct ms_conn *c)
{
    unsigned streams = c->session->streams;
    bool placed = !ms_list_empty(&c->idle);

    if (c->stream && c->stream->session != c->session)
        return "a stream is not attached to its connection's session";
    if (!c->many && (c->stream != NULL) != (streams == 1))
        return "a connection and its session count streams differently";
    if ((c->wish.easy != NULL) && streams != 1)
        return "a socket is watched for a transfer that is not alone on it";
    if (!ms_list_empty(&c->lru) != (streams == 0))
        return "an open connection is neither in use nor idle";
    if (placed != (ms_conn_room(c) > 0))
        return "a connection with room is not on offer, or one without is";
    if (!ms_sock_wants(c->link.sock) && !c->hold_recv && !c->peer_gone)
        return "an open connection waits for nothing";
    return NULL;
}

const char *ms_conn_check(const struct ms_conn *c)
{
    if (c->state >= MS_CONN_CLOSING)
        return "a closed connection is still listed";
    if ((c->state >= MS_CONN_SECURING) != (c->link.sock != NULL))
        return "a connection is open without a socket, or the reverse";
    if (c->state == MS_CONN_SECURING)
        return ms_sock_wants(c->link.sock) ? NULL : "a handshake waits forever";
    if (!ms_conn_is_open(c))
        return c->dial ? NULL : "a connection opens without a dial";
    return check_open(c);
}
