/* SPDX-License-Identifier: MIT */
#include "engine/conn.h"

#include <assert.h>

#include "base/mem.h"
#include "proto/h1.h"

/* Reads and writes per event are bounded, so that one fast peer cannot keep
 * the others waiting: four full buffers are some 50 microseconds of work. */
#define MAX_READS_PER_TURN 4
#define MAX_WRITE_PER_TURN (256 * 1024)
/* A stash is read in small steps: a stream that paused once pauses again. */
#define STASH_RUNS 16
/* RFC 8305, 5: the delay between connection attempts. */
#define ATTEMPT_DELAY_MS 250

static void after_exchange(struct ms_conn *c);

static struct ms_loop *loop_of(const struct ms_conn *c)
{
    return c->env->loop;
}

static void set_state(struct ms_conn *c, enum ms_conn_state state)
{
    assert(state > c->state && "states only move forward");

    c->state = (unsigned char)state;
    MS_TRACE(&loop_of(c)->trace, MS_TRACE_CONN, c->id, 0, "%s",
             ms_conn_state_name(c));
}

const char *ms_conn_state_name(const struct ms_conn *c)
{
    static const char *const names[] = {"new", "resolving", "connecting",
                                        "open", "closed"};

    return names[c->state];
}

static bool is_open(const struct ms_conn *c)
{
    return c->state == MS_CONN_OPEN;
}

static bool is_attached(const struct ms_conn *c)
{
    return c->stream && c->stream->session;
}

/* What the socket is to be watched for; an idle one for the peer's close. */
static void update_wish(struct ms_conn *c)
{
    unsigned want = c->hold_recv ? 0u : (unsigned)MS_POLL_IN;

    if (c->blocked && !c->hold_send)
        want |= (unsigned)MS_POLL_OUT;
    ms_interest_set(&c->wish, c->link.sock, want);
}

static void detach(struct ms_conn *c)
{
    c->stream = NULL;
    c->progress = NULL;
    c->hold_recv = c->hold_send = false;
    ms_interest_label(&c->wish, NULL);
    if (is_open(c))
        update_wish(c);
}

static void free_conn(struct ms_grave *g)
{
    struct ms_conn *c = MS_CONTAINER(g, struct ms_conn, grave);

    if (c->session)
        c->session->ops->free(c->session);
    ms_free(c);
}

void ms_conn_close(struct ms_conn *c, ms_err err, int os_errno)
{
    bool was_open = is_open(c);

    if (c->state == MS_CONN_CLOSED)
        return;
    if (is_attached(c) && !c->feeding)
        c->session->ops->eof(c->session, err ? err : MS_EEOF);
    if (is_attached(c))
        c->session->ops->cancel(c->session, c->stream);
    set_state(c, MS_CONN_CLOSED);
    detach(c);
    ms_dial_free(c->dial);
    c->dial = NULL;
    ms_timer_cancel(loop_of(c), &c->connect_timer);
    ms_task_cancel(&c->service);
    ms_interest_drop(&c->wish);
    ms_link_close(&c->link);
    c->events->on_closed(c, was_open ? MS_OK : err, os_errno);
    ms_loop_bury(loop_of(c), &c->grave, free_conn);
}

/* Whether nothing waits to be read behind a response that filled the buffer
 * to its last byte. */
static bool is_drained(struct ms_conn *c)
{
    struct ms_io_result r =
        ms_link_read(&c->link, c->env->scratch, MS_SCRATCH_BYTES);

    c->more_to_read = false;
    return r.what == MS_IO_AGAIN;
}

static void after_exchange(struct ms_conn *c)
{
    bool again = !c->last_exchange && !ms_buf_len(&c->link.stash) &&
                 c->session->ops->room(c->session) > 0 &&
                 (MS_LIKELY(!c->more_to_read) || is_drained(c));

    detach(c);
    if (!again) {
        ms_conn_close(c, MS_OK, 0);
        return;
    }
    c->exchanges++;
    c->events->on_room(c);
}

/* Hands bytes to the session. False when the connection is not to be read any
 * further now: closed, paused or given to somebody else. */
static bool feed(struct ms_conn *c, struct ms_span in)
{
    size_t used = 0;

    if (!c->first_byte_us)
        c->first_byte_us = loop_of(c)->now_us;
    c->feeding = true;
    ms_err err = c->session->ops->feed(c->session, in, &used);
    c->feeding = false;
    if (!is_open(c))
        return false;
    if (err) {
        ms_conn_close(c, err, 0);
        return false;
    }
    if (is_attached(c)) {
        if (used == in.n)
            return true;
        err = ms_buf_add(&c->link.stash, in.p + used, in.n - used);
        if (err)
            ms_conn_close(c, err, 0);
        return false;
    }
    /* Bytes that belong to nobody: no later request may get them. */
    if (used < in.n)
        c->last_exchange = true;
    after_exchange(c);
    return false;
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

static void peer_is_gone(struct ms_conn *c, ms_err why, int os_errno)
{
    MS_TRACE(&loop_of(c)->trace, MS_TRACE_CONN, c->id, 0, "peer %s",
             why ? ms_err_code(why) : "closed");
    if (is_attached(c)) {
        c->feeding = true;
        c->session->ops->eof(c->session, why);
        c->feeding = false;
    }
    ms_conn_close(c, why, os_errno);
}

static void moved(struct ms_conn *c, size_t n)
{
    if (!c->progress || !n)
        return;
    c->progress->bytes += n;
    c->progress->at_us = loop_of(c)->now_us;
}

/* True when anything came. */
static bool read_some(struct ms_conn *c)
{
    for (int i = 0; i < MAX_READS_PER_TURN; i++) {
        struct ms_io_result r =
            ms_link_read(&c->link, c->env->scratch, MS_SCRATCH_BYTES);
        if (r.what == MS_IO_AGAIN)
            return i > 0;
        if (r.what == MS_IO_EOF) {
            peer_is_gone(c, MS_OK, 0);
            return true;
        }
        if (r.what == MS_IO_ERROR) {
            peer_is_gone(c, ms_err_from_errno(r.os_errno), r.os_errno);
            return true;
        }
        moved(c, r.n);
        /* A short read has emptied the socket. */
        c->more_to_read = r.n == MS_SCRATCH_BYTES;
        if (!feed(c, ms_span(c->env->scratch, r.n)) || !c->more_to_read)
            return true;
    }
    return true;
}

/* Sending failed. The peer may have answered before it hung up, so what it
 * said is read first; only its silence makes this the error. */
static void send_failed(struct ms_conn *c, int os_errno)
{
    c->out_dead = true;
    c->last_exchange = true;
    c->blocked = false;
    if (!c->hold_recv)
        read_some(c);
    if (is_open(c) && !c->first_byte_us)
        peer_is_gone(c, ms_err_from_errno(os_errno), os_errno);
}

static size_t total_of(const struct ms_span *runs, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += runs[i].n;
    return n;
}

/* Asks the session for what is to leave. A streamed body asks the transfer,
 * which may end in there: then nothing is left to write. */
static size_t pull(struct ms_conn *c, struct ms_span *runs)
{
    if (c->hold_send || c->out_dead)
        return 0;
    c->feeding = true;
    size_t count = c->session->ops->pull(c->session, runs, STASH_RUNS);
    c->feeding = false;
    if (!c->stream || is_attached(c))
        return count;
    after_exchange(c);
    return 0;
}

/* Writes what the session has. True when anything left. */
static bool flush(struct ms_conn *c)
{
    struct ms_span runs[STASH_RUNS];
    size_t written = 0, count;

    c->blocked = false;
    while (is_open(c) && (count = pull(c, runs))) {
        size_t all = total_of(runs, count);
        struct ms_io_result r = ms_link_write(&c->link, runs, count);
        if (r.what == MS_IO_ERROR) {
            send_failed(c, r.os_errno);
            return true;
        }
        written += r.n;
        moved(c, r.n);
        if (r.n && c->session->ops->sent(c->session, r.n)) {
            c->sent_us = loop_of(c)->now_us;
            break;
        }
        c->blocked = r.n < all || written >= MAX_WRITE_PER_TURN;
        if (c->blocked)
            break;
    }
    if (is_open(c))
        update_wish(c);
    return written > 0;
}

static void on_ready(struct ms_sock *s, unsigned events)
{
    struct ms_conn *c = s->owner;
    bool progress = false;

    if (events & MS_EV_REFUSED) {
        peer_is_gone(c, MS_ECALLBACK, 0);
        return;
    }
    /* What was reported is a hint. Where it leads nowhere the other
     * direction is tried: a host may say OUT whatever happened. */
    if (c->blocked && events != MS_CSELECT_IN)
        progress = flush(c);
    if (is_open(c) && !c->hold_recv && (events != MS_CSELECT_OUT || !progress))
        progress |= read_some(c);
    if (is_open(c) && c->blocked && !progress)
        flush(c);
}

static void on_service(struct ms_task *t)
{
    struct ms_conn *c = MS_CONTAINER(t, struct ms_conn, service);

    flush(c);
    if (is_open(c) && is_attached(c) && !c->hold_recv)
        feed_stash(c);
}

static void on_resolved(void *owner)
{
    struct ms_conn *c = owner;

    c->resolved_us = loop_of(c)->now_us;
    set_state(c, MS_CONN_CONNECTING);
}

static void on_connected(void *owner, struct ms_sock *sock,
                         const struct ms_addr *addr)
{
    struct ms_conn *c = owner;

    c->link.sock = sock;
    c->remote = *addr;
    c->connected_us = loop_of(c)->now_us;
    ms_sock_give(sock, on_ready, c, "connection");
    ms_dial_free(c->dial);
    c->dial = NULL;
    ms_timer_cancel(loop_of(c), &c->connect_timer);
    ms_err err = ms_h1_new(&c->session);
    if (err) {
        ms_conn_close(c, err, 0);
        return;
    }
    set_state(c, MS_CONN_OPEN);
    update_wish(c);
    c->events->on_open(c);
}

static void on_dial_failed(void *owner, ms_err err, int os_errno)
{
    ms_conn_close(owner, err, os_errno);
}

static void on_connect_timeout(struct ms_timer *t)
{
    ms_conn_close(MS_CONTAINER(t, struct ms_conn, connect_timer), MS_ETIMEOUT,
                  0);
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
    c->link.bytes_in = &env->bytes_in;
    c->link.bytes_out = &env->bytes_out;
    ms_list_init(&c->all);
    ms_list_init(&c->idle);
    ms_list_init(&c->lru);
    ms_timer_init(&c->connect_timer, on_connect_timeout);
    ms_interest_init(&c->wish, NULL);
    ms_task_init(&c->service, on_service);
    *out = c;
    return MS_OK;
}

void ms_conn_start(struct ms_conn *c, int64_t connect_timeout_ms)
{
    struct ms_loop *l = loop_of(c);
    struct ms_dial_config config = {
        .host = c->endpoint->key.host,
        .port = c->endpoint->key.port,
        .nodelay = c->endpoint->key.tcp_nodelay,
        .conn = c->id,
        .delay_ms = ATTEMPT_DELAY_MS,
        .on_resolved = on_resolved,
        .on_connected = on_connected,
        .on_failed = on_dial_failed,
        .owner = c,
    };

    set_state(c, MS_CONN_RESOLVING);
    if (connect_timeout_ms >= 0)
        ms_timer_start(l, &c->connect_timer,
                       l->now_us + (uint64_t)connect_timeout_ms * 1000u);
    ms_err err = ms_dial_start(&c->dial, l, c->env->resolver, &config);
    if (err)
        ms_conn_close(c, err, 0);
}

ms_err ms_conn_open_stream(struct ms_conn *c, struct ms_stream *s,
                           const struct ms_request *req, void *easy)
{
    assert(is_open(c) && !c->stream);

    ms_err err = c->session->ops->open(c->session, s, req);
    if (err)
        return err;
    c->stream = s;
    ms_interest_label(&c->wish, easy);
    c->sent_us = c->first_byte_us = 0;
    update_wish(c);
    ms_task_post_at_exit(loop_of(c), &c->service);
    return MS_OK;
}

void ms_conn_proceed(struct ms_conn *c)
{
    if (!is_attached(c))
        return;
    c->session->ops->proceed(c->session, c->stream);
    ms_task_post(loop_of(c), &c->service);
}

bool ms_conn_look(struct ms_conn *c)
{
    assert(is_open(c) && !c->stream);

    read_some(c);
    return is_open(c);
}

void ms_conn_cancel_stream(struct ms_conn *c)
{
    if (is_attached(c))
        c->session->ops->cancel(c->session, c->stream);
    /* Inside feed() the rest is done when the session returns. */
    if (!c->feeding)
        after_exchange(c);
}

void ms_conn_hold(struct ms_conn *c, bool recv, bool send)
{
    bool was = c->hold_recv;

    c->hold_recv = recv;
    c->hold_send = send;
    if (was && !recv && is_attached(c))
        c->session->ops->resume(c->session, c->stream);
    update_wish(c);
    ms_task_post(loop_of(c), &c->service);
}

const char *ms_conn_check(const struct ms_conn *c)
{
    if (c->state == MS_CONN_CLOSED)
        return "a closed connection is still listed";
    if (is_open(c) != (c->link.sock != NULL))
        return "a connection is open without a socket, or the reverse";
    if (!is_open(c))
        return c->dial ? NULL : "a connection opens without a dial";
    if ((c->stream != NULL) != (c->wish.easy != NULL))
        return "a stream without its interest";
    if (c->stream && c->stream->session != c->session)
        return "a stream is not attached to its connection's session";
    bool idle = !ms_list_empty(&c->idle);
    if (idle != (c->stream == NULL) || idle != !ms_list_empty(&c->lru))
        return "an open connection is neither in use nor idle";
    if (!ms_sock_wants(c->link.sock) && !c->hold_recv)
        return "an open connection waits for nothing";
    return NULL;
}
