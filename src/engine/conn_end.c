/* SPDX-License-Identifier: MIT */
#include "engine/conn_parts.h"

#include <stdio.h>

#include "base/mem.h"
#include "net/dial_report.h"

/* How long the peer's answer to our goodbye is waited for. */
#define GOODBYE_MS 1000

/* An error's text and the addresses that were tried. */
#define CLOSE_TEXT (MS_REPORT_TEXT + 128)

static void free_conn(struct ms_grave *g)
{
    struct ms_conn *c = MS_CONTAINER(g, struct ms_conn, grave);

    if (c->session)
        c->session->ops->free(c->session);
    ms_link_fini(&c->link);
    ms_tls_info_free(c->tls);
    ms_free(c);
}

/* What the session still has to say, as far as the socket takes it at once. */
static void say_goodbye(struct ms_conn *c)
{
    struct ms_span run;

    if (!c->session->ops->drain || c->out_dead || c->peer_gone || c->env->mute)
        return;
    c->session->ops->drain(c->session);
    if (c->session->ops->pull(c->session, &run, 1))
        (void)!ms_link_write(&c->link, &run, 1).n;
}

static void end_session(struct ms_conn *c, ms_err err)
{
    if (c->session->streams && !c->feeding)
        c->session->ops->close(c->session, err ? err : MS_EEOF);
    if (ms_conn_is_attached(c))
        c->session->ops->cancel(c->session, c->stream);
    if (!c->feeding)
        say_goodbye(c);
    ms_conn_detach(c);
}

static void bury(struct ms_conn *c)
{
    if (c->state != MS_CONN_CLOSED)
        ms_conn_set_state(c, MS_CONN_CLOSED);
    ms_timer_cancel(ms_conn_loop(c), &c->timer);
    ms_interest_drop(&c->wish);
    ms_link_close(&c->link);
    ms_list_unlink(&c->all);
    ms_loop_bury(ms_conn_loop(c), &c->grave, free_conn);
}

/* What is still to be sent goes; then the peer's end is waited for. */
static void watch_goodbye(struct ms_conn *c)
{
    bool pending = ms_link_pending(&c->link);

    if (!pending)
        ms_link_half_close(&c->link);
    ms_interest_set(&c->wish, c->link.sock,
                    MS_MUTANT_IS(47) ? 0u
                    : pending        ? MS_POLL_INOUT
                                     : MS_POLL_IN);
}

static void on_goodbye(struct ms_sock *s, unsigned events)
{
    struct ms_conn *c = s->owner;
    bool pending = ms_link_pending(&c->link);
    bool over = (events & MS_EV_REFUSED) ||
                ms_link_flush(&c->link).what == MS_IO_ERROR ||
                ms_link_discard(&c->link, c->env->scratch);

    if (over)
        bury(c);
    else if (pending)
        watch_goodbye(c);
}

/* Both sides tell each other that nothing follows (RFC 8446, 6.1). */
static void say_tls_goodbye(struct ms_conn *c, bool waits)
{
    if (!c->env->mute && !MS_MUTANT_IS(118))
        ms_link_farewell(&c->link);
    if (!waits) {
        bury(c);
        return;
    }
    ms_sock_give(c->link.sock, on_goodbye, c, "shutdown");
    ms_interest_label(&c->wish, NULL);
    ms_list_push(&c->env->closing, &c->all);
    if (!MS_MUTANT_IS(120))
        ms_timer_start(ms_conn_loop(c), &c->timer,
                       ms_conn_loop(c)->now_us + GOODBYE_MS * 1000u);
    watch_goodbye(c);
}

void ms_conn_give_up_goodbye(struct ms_conn *c)
{
    bury(c);
}

void ms_conn_end_closing(struct ms_conn_env *env)
{
    while (!ms_list_empty(&env->closing))
        bury(MS_CONTAINER(env->closing.next, struct ms_conn, all));
}

static void end_opening(struct ms_conn *c)
{
    ms_dial_free(c->dial);
    c->dial = NULL;
    ms_timer_cancel(ms_conn_loop(c), &c->timer);
    ms_task_cancel(&c->service);
}

/* Nothing is under way, nothing went wrong and nobody left in the middle: there
 * is an end in order. */
static bool may_say_goodbye(const struct ms_conn *c, ms_err err)
{
    return ms_conn_is_open(c) && c->link.tls && !err && !c->session->streams &&
           !c->out_dead && !c->link.broken &&
           (!c->broken_off || MS_MUTANT_IS(119));
}

void ms_conn_end(struct ms_conn *c, const struct ms_conn_end *end)
{
    static const struct ms_conn_end opened = {MS_OK, 0, NULL, NULL};
    bool was_open = ms_conn_is_open(c), polite = may_say_goodbye(c, end->err);
    bool waits = polite && !c->peer_gone && !c->env->mute && !c->env->hasty;

    if (c->state >= MS_CONN_CLOSING)
        return;
    if (was_open)
        end_session(c, end->err);
    ms_conn_set_state(c, polite ? MS_CONN_CLOSING : MS_CONN_CLOSED);
    end_opening(c);
    if (c->link.tls)
        ms_tls_forget_cache(c->link.tls);
    c->events->on_closed(c, was_open ? &opened : end);
    c->endpoint = NULL;
    if (polite)
        say_tls_goodbye(c, waits);
    else
        bury(c);
}

/* What is said of an attempt that failed: the error, and what was tried. NULL:
 * nothing was. */
static const char *report(const struct ms_conn *c, ms_err err,
                          char text[CLOSE_TEXT])
{
    char tried[MS_REPORT_TEXT];

    if (!c->dial || !err || !ms_dial_tried(c->dial, tried)[0])
        return NULL;
    snprintf(text, CLOSE_TEXT, "%s (tried %s)", ms_err_text(err), tried);
    return text;
}

void ms_conn_close(struct ms_conn *c, ms_err err, int os_errno)
{
    char text[CLOSE_TEXT];
    const struct ms_conn_end end = {err, os_errno, report(c, err, text), NULL};

    ms_conn_end(c, &end);
}

const char *ms_conn_tls_failure(const struct ms_conn *c, const char **reason)
{
    const char *text = NULL;

    if (c->link.broken)
        (void)!ms_tls_error(c->link.tls, &text, reason);
    return text;
}
