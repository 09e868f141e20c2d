/* SPDX-License-Identifier: MIT */
#include "engine/conn_parts.h"

#include <string.h>

#include "proto/h1.h"
#include "proto/h2.h"

static void on_resolved(void *owner)
{
    struct ms_conn *c = owner;

    c->resolved_us = ms_conn_loop(c)->now_us;
    ms_conn_set_state(c, MS_CONN_CONNECTING);
}

/* ---- opening ------------------------------------------------------------- */

/* The one place that decides which protocol a connection speaks: what is
 * known beforehand, or what ALPN chose where there is TLS. */
static bool speaks_http2(const struct ms_conn *c)
{
    return c->endpoint->key.version == MS_VERSION_2_PRIOR ||
           (c->tls && strcmp(c->tls->alpn, "h2") == 0);
}

static ms_err start_session(struct ms_conn *c)
{
    struct ms_h2_config config = {
        .secure = c->endpoint->key.secure,
        .max_streams = (size_t)c->env->max_streams,
        .grown = &c->env->grown,
    };

    c->many = speaks_http2(c);
    return c->many ? ms_h2_new(&c->session, &config) : ms_h1_new(&c->session);
}

/* The transport is ready: from here on a session has it. */
static void open_session(struct ms_conn *c)
{
    ms_timer_cancel(ms_conn_loop(c), &c->timer);
    ms_err err = start_session(c);
    if (err) {
        ms_conn_close(c, err, 0);
        return;
    }
    ms_conn_set_state(c, MS_CONN_OPEN);
    ms_conn_take_over(c);
}

static void tls_failed(struct ms_conn *c, struct ms_io_result r)
{
    struct ms_conn_end end = {.os_errno = r.os_errno};

    if (r.what == MS_IO_EOF) {
        end.err = MS_EHANDSHAKE;
        end.text = "the peer closed the connection during the TLS handshake";
    } else if (c->link.broken) {
        end.err = ms_tls_error(c->link.tls, &end.text, &end.reason);
    } else {
        end.err = ms_link_verdict(&c->link, r);
    }
    ms_conn_end(c, &end);
}

static void on_secured(struct ms_conn *c)
{
    c->secured_us = ms_conn_loop(c)->now_us;
    c->tls = ms_tls_info(c->link.tls);
    if (!c->tls) {
        ms_conn_close(c, MS_ENOMEM, 0);
        return;
    }
    MS_TRACE(&ms_conn_loop(c)->trace, MS_TRACE_CONN, c->id, 0,
             "secured %s %s%s", c->tls->version, c->tls->alpn,
             c->tls->resumed ? " resumed" : "");
    if (c->endpoint->key.version == MS_VERSION_2 && !speaks_http2(c)) {
        ms_conn_close(c, MS_EH2REQUIRED, 0);
        return;
    }
    open_session(c);
}

static void shake_hands(struct ms_conn *c)
{
    struct ms_io_result r = ms_link_shake(&c->link);

    if (r.what == MS_IO_DONE)
        on_secured(c);
    else if (r.what == MS_IO_AGAIN)
        ms_interest_set(&c->wish, c->link.sock,
                        ms_link_pending(&c->link) ? MS_POLL_INOUT : MS_POLL_IN);
    else
        tls_failed(c, r);
}

static void on_shaking(struct ms_sock *s, unsigned events)
{
    struct ms_conn *c = s->owner;

    if (events & MS_EV_REFUSED) {
        ms_conn_close(c, MS_ECALLBACK, 0);
        return;
    }
    struct ms_io_result r = ms_link_flush(&c->link);
    if (r.what == MS_IO_ERROR)
        tls_failed(c, r);
    else
        shake_hands(c);
}

static void begin_tls(struct ms_conn *c)
{
    struct ms_conn_end end = {0};
    struct ms_tls_peer peer = {c->endpoint->key.host, &c->endpoint->sessions};

    ms_conn_set_state(c, MS_CONN_SECURING);
    end.err = ms_endpoint_secure(c->endpoint, &c->env->link, &end.text);
    if (!end.err)
        end.err = ms_link_secure(&c->link, c->endpoint->tls, &peer);
    if (end.err) {
        ms_conn_end(c, &end);
        return;
    }
    ms_sock_give(c->link.sock, on_shaking, c, "handshake");
    shake_hands(c);
}

static void on_connected(void *owner, struct ms_sock *sock,
                         const struct ms_addr *addr)
{
    struct ms_conn *c = owner;

    c->link.sock = sock;
    c->remote = *addr;
    c->connected_us = ms_conn_loop(c)->now_us;
    ms_dial_free(c->dial);
    c->dial = NULL;
    if (c->endpoint->key.secure)
        begin_tls(c);
    else
        open_session(c);
}

static void on_dial_failed(void *owner, ms_err err, int os_errno)
{
    ms_conn_close(owner, err, os_errno);
}

static ms_err start_dial(struct ms_conn *c)
{
    struct ms_route *route = c->endpoint->key.route;
    struct ms_resolver *resolver;
    ms_err err = ms_resolve_set_get(&c->env->resolvers,
                                    route ? &route->dns : NULL, &resolver);
    struct ms_dial_config config = {
        .host = c->endpoint->key.host,
        .port = c->endpoint->key.port,
        .nodelay = c->endpoint->key.tcp_nodelay,
        .conn = c->id,
        .route = route,
        .history = &c->env->history,
        .on_resolved = on_resolved,
        .on_connected = on_connected,
        .on_failed = on_dial_failed,
        .owner = c,
    };

    if (err)
        return err;
    return ms_dial_start(&c->dial, ms_conn_loop(c), resolver, &config);
}

void ms_conn_start(struct ms_conn *c, int64_t connect_timeout_ms)
{
    struct ms_loop *l = ms_conn_loop(c);

    ms_conn_set_state(c, MS_CONN_RESOLVING);
    if (connect_timeout_ms >= 0)
        ms_timer_start(l, &c->timer,
                       l->now_us + (uint64_t)connect_timeout_ms * 1000u);
    ms_err err = start_dial(c);
    if (err)
        ms_conn_close(c, err, 0);
}
