/* SPDX-License-Identifier: MIT
 *
 * gate.h - how many transfers to one host go on at a time, and how many begin
 * in a second.
 *
 * A transfer that may not begin yet waits in its host's line; whoever leaves,
 * or the time, lets the next one in. A host is a scheme, name and port,
 * whatever connections serve it: the pool's limits are about those. Every step
 * is O(1); without limits nobody comes here.
 */
#ifndef MS_ENGINE_GATE_H
#define MS_ENGINE_GATE_H

#include "base/list.h"
#include "base/map.h"
#include "engine/pace.h"
#include "net/loop.h"
#include "proto/url.h"

struct ms_gate {
    struct ms_loop *loop;
    struct ms_map hosts;
    struct ms_list all;        /* of the same hosts */
    int64_t concurrency, rate; /* -1: no limit */
};

/* One who wants to begin; embedded in the transfer, all zero at first. */
struct ms_gate_pass {
    struct ms_list node;       /* in the host's line */
    struct ms_gate_host *host; /* NULL: not asked, or left */
    struct ms_task *start;     /* lent; NULL before it asked */
    bool inside;
};

void ms_gate_init(struct ms_gate *g, struct ms_loop *loop);
/* Nobody may be inside or wait. */
void ms_gate_fini(struct ms_gate *g);

void ms_gate_pass_init(struct ms_gate_pass *pass);

static inline bool ms_gate_limited(const struct ms_gate *g)
{
    return g->concurrency >= 0 || g->rate >= 0;
}

/* Asks to begin with a request to that host: `pass->inside` says whether it may
 * at once. Otherwise `start`, which belongs to the same transfer, is posted
 * when its turn has come and it is inside. MS_ENOMEM: neither. */
ms_err ms_gate_enter(struct ms_gate *g, struct ms_gate_pass *pass,
                     const struct ms_url *url,
                     struct ms_task *start) MS_MUST_CHECK;

/* It is over, or does not want to begin any more. Harmless for one that never
 * asked. */
void ms_gate_leave_host(struct ms_gate_pass *pass);
static inline void ms_gate_leave(struct ms_gate_pass *pass)
{
    if (MS_UNLIKELY(pass->host != NULL))
        ms_gate_leave_host(pass);
}

/* `concurrency` or `rate` are others from now on. */
void ms_gate_changed(struct ms_gate *g);

#endif
