/* SPDX-License-Identifier: MIT */
#include "engine/gate.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* Requests that may begin together, where many begin in a second: as many as
 * come in an eighth of it, so that the timer is set no oftener than sixteen
 * times. */
#define BURSTS_PER_S 8

/* A host that somebody is inside of, waits for, or whose rate is not paid for
 * yet. */
struct ms_gate_host {
    struct ms_map_node node;
    struct ms_list all; /* on the gate's */
    struct ms_gate *gate;
    struct ms_list line; /* of struct ms_gate_pass, the oldest first */
    struct ms_timer timer;
    struct ms_pace pace;
    unsigned inside, waiting;
    uint16_t port;
    bool secure;
    size_t name_len;
    char name[];
};

static void start_pace(struct ms_gate_host *h)
{
    int64_t rate = h->gate->rate;

    ms_pace_start(&h->pace, rate,
                  rate > BURSTS_PER_S ? rate / BURSTS_PER_S : 1);
}

static struct ms_span name_of(const struct ms_gate_host *h)
{
    return ms_span(h->name, h->name_len);
}

static struct ms_span host_of(const struct ms_url *url)
{
    return ms_url_part(url, url->host, url->host_end);
}

static struct ms_gate_host *find(const struct ms_gate *g,
                                 const struct ms_url *url, uint32_t hash)
{
    struct ms_map_node *n = ms_map_first(&g->hosts, hash);

    for (; n; n = ms_map_next(n)) {
        struct ms_gate_host *h = MS_CONTAINER(n, struct ms_gate_host, node);
        if (h->port == url->port_number && h->secure == url->secure &&
            ms_span_equal(name_of(h), host_of(url)))
            return h;
    }
    return NULL;
}

/* ---- who comes in -------------------------------------------------------- */

static bool is_open(const struct ms_gate_host *h)
{
    int64_t most = h->gate->concurrency;

    return (most < 0 || h->inside < (uint64_t)most) &&
           ms_pace_room(&h->pace, h->gate->loop->now_us);
}

static void let_in(struct ms_gate_host *h, struct ms_gate_pass *pass)
{
    pass->inside = true;
    h->inside++;
    ms_pace_spend(&h->pace, 1, h->gate->loop->now_us);
}

/* While the rate is all that keeps somebody out, or is not paid for, there is
 * a time to look again. Nobody waits who could come in. */
static void arm(struct ms_gate_host *h)
{
    uint64_t now = h->gate->loop->now_us, at = 0;

    assert(!h->waiting || !is_open(h));

    if (h->waiting && !ms_pace_room(&h->pace, now))
        at = ms_pace_next_us(&h->pace);
    else if (!h->waiting && !h->inside)
        at = (uint64_t)h->pace.paid_us + 1;
    if (at > now)
        ms_timer_start(h->gate->loop, &h->timer, at);
    else
        ms_timer_cancel(h->gate->loop, &h->timer);
}

static void destroy(struct ms_gate_host *h)
{
    assert(!h->inside && !h->waiting);

    ms_timer_cancel(h->gate->loop, &h->timer);
    ms_list_unlink(&h->all);
    ms_map_remove(&h->gate->hosts, &h->node);
    ms_free(h);
}

/* Lets in who may come in. A host that nobody needs is forgotten, once what
 * began there is paid for. */
static void serve(struct ms_gate_host *h)
{
    while (h->waiting && is_open(h)) {
        struct ms_gate_pass *pass =
            MS_CONTAINER(ms_list_pop(&h->line), struct ms_gate_pass, node);
        h->waiting--;
        let_in(h, pass);
        ms_task_post(h->gate->loop, pass->start);
    }
    if (!h->inside && !h->waiting &&
        h->pace.paid_us <= (double)h->gate->loop->now_us)
        destroy(h);
    else
        arm(h);
}

static void on_timer(struct ms_timer *t)
{
    serve(MS_CONTAINER(t, struct ms_gate_host, timer));
}

static ms_err new_host(struct ms_gate *g, const struct ms_url *url,
                       uint32_t hash, struct ms_gate_host **out)
{
    struct ms_span name = host_of(url);
    struct ms_gate_host *h = ms_zalloc(sizeof(*h) + name.n);

    if (!h)
        return MS_ENOMEM;
    if (ms_map_add(&g->hosts, &h->node, hash)) {
        ms_free(h);
        return MS_ENOMEM;
    }
    h->gate = g;
    h->port = url->port_number;
    h->secure = url->secure;
    h->name_len = name.n;
    memcpy(h->name, name.p, name.n);
    ms_list_init(&h->line);
    ms_list_init(&h->all);
    ms_list_push(&g->all, &h->all);
    ms_timer_init(&h->timer, on_timer);
    start_pace(h);
    *out = h;
    return MS_OK;
}

ms_err ms_gate_enter(struct ms_gate *g, struct ms_gate_pass *pass,
                     const struct ms_url *url, struct ms_task *start)
{
    uint32_t hash = ms_span_hash(host_of(url), 0);
    struct ms_gate_host *h = find(g, url, hash);

    assert(!pass->host);
    if (!h) {
        ms_err err = new_host(g, url, hash, &h);
        if (err)
            return err;
    }
    /* Before this one, and who is left over has a timer or somebody inside. */
    if (h->waiting)
        serve(h);
    pass->host = h;
    pass->start = start;
    if (!h->waiting && is_open(h)) {
        let_in(h, pass);
        return MS_OK;
    }
    ms_list_push(&h->line, &pass->node);
    h->waiting++;
    arm(h);
    return MS_OK;
}

void ms_gate_leave_host(struct ms_gate_pass *pass)
{
    struct ms_gate_host *h = pass->host;

    pass->host = NULL;
    if (pass->inside) {
        pass->inside = false;
        h->inside--;
    } else {
        ms_list_unlink(&pass->node);
        h->waiting--;
    }
    serve(h);
}

/* ---- the gate ------------------------------------------------------------ */

void ms_gate_pass_init(struct ms_gate_pass *pass)
{
    *pass = (struct ms_gate_pass){0};
    ms_list_init(&pass->node);
}

void ms_gate_init(struct ms_gate *g, struct ms_loop *loop)
{
    *g = (struct ms_gate){.loop = loop, .concurrency = -1, .rate = -1};
    ms_list_init(&g->all);
}

void ms_gate_fini(struct ms_gate *g)
{
    while (!ms_list_empty(&g->all))
        destroy(MS_CONTAINER(g->all.next, struct ms_gate_host, all));
    ms_map_fini(&g->hosts);
}

void ms_gate_changed(struct ms_gate *g)
{
    struct ms_list hosts, *node;

    ms_list_init(&hosts);
    ms_list_splice(&hosts, &g->all);
    while ((node = ms_list_pop(&hosts))) {
        struct ms_gate_host *h = MS_CONTAINER(node, struct ms_gate_host, all);
        ms_list_push(&g->all, node);
        start_pace(h);
        serve(h);
    }
}
