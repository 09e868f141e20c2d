/* SPDX-License-Identifier: MIT
 *
 * agent.h - what a run knows that may take more than one request.
 *
 * A request of a run is a *hop*: the first, one that a redirect led to, a
 * repeat after a failure or with credentials. The agent says in what the
 * present hop differs from the options, which never change. Most runs have
 * none: it is made for options that need it (ms_options.guided) or when a
 * redirect is met, and lives until the next run.
 *
 * What makes it go on is decided elsewhere: engine/policy.h has the order.
 */
#ifndef MS_ENGINE_AGENT_H
#define MS_ENGINE_AGENT_H

#include "engine/easy.h"

/* What follows the head of a final response. */
enum ms_then {
    MS_THEN_DELIVER, /* it is the run's response */
    MS_THEN_AGAIN    /* another hop, agent->delay_us later */
};

struct ms_agent {
    struct ms_url url[2];         /* the hop's, and room to parse the next */
    struct ms_buf block;          /* the hop's fields, as options have them */
    struct ms_buf cookie;         /* its Cookie line, while that is made */
    struct ms_jar *jar;           /* the run's own, or NULL */
    struct ms_tls_profile *other; /* a reference: settings of TLS for other
                                   * origins, where they differ */
    struct ms_credentials credentials; /* engine/credentials.h */
    uint32_t host_hash;                /* of the hop's URL */
    uint8_t at;                        /* which url, once it moved */
    bool moved;                        /* by a redirect */
    bool foreign;      /* a hop went to another origin than the one before: from
                        * then on nothing is sent that was meant for the first */
    bool was_secure;   /* a hop before this one went by https */
    bool bodyless;     /* the body was dropped by a redirect */
    bool plain;        /* nobody is asked for a 100 any more */
    bool differs;      /* `other` counts, and not the options' */
    bool led;          /* a redirect led here, and the hop has not begun */
    uint64_t delay_us; /* how much later the next hop begins */
    uint64_t wake_us;  /* the run's timer: when that is, or when the rest of
                        * a response is not read any more. MS_NEVER */
    uint64_t drained;  /* bytes of a body nobody gets */
    uint64_t jitter_us; /* the last delay of a retry */
    unsigned redirects, retries;
};

/* e->agent, which is made unless it is there, and its response's trip with
 * it. MS_ENOMEM. */
ms_err ms_agent_need(struct ms_easy *e) MS_MUST_CHECK;

/* e->agent is NULL afterwards. */
void ms_agent_free(struct ms_easy *e);

/* Whom the hop asks. */
static inline const struct ms_url *ms_agent_url(const struct ms_easy *e)
{
    return MS_UNLIKELY(e->agent && e->agent->moved)
               ? &e->agent->url[e->agent->at]
               : &e->url;
}

/* The hop asks `url`, which lies in agent->url, from now on, and the response
 * is of that. MS_EOPTION,
 * MS_ENOMEM: the settings of TLS for other origins cannot be made. */
ms_err ms_agent_move(struct ms_easy *e, const struct ms_url *url) MS_MUST_CHECK;

/* Where the next URL can be parsed. */
static inline struct ms_url *ms_agent_spare_url(struct ms_agent *a)
{
    return &a->url[a->at ^ 1];
}

/* Renders the options' fields, but for those that do not belong into this
 * hop. MS_ENOMEM. */
ms_err ms_agent_render(struct ms_easy *e) MS_MUST_CHECK;

/* One more line for this hop, after ms_agent_render(); name and value have to
 * be what may be sent. MS_ENOMEM. */
ms_err ms_agent_add_line(struct ms_easy *e, struct ms_span name,
                         struct ms_span value) MS_MUST_CHECK;

/* Whether what the options hold for the first origin, credentials above all,
 * may be sent with this hop. */
bool ms_agent_trusts(const struct ms_easy *e);

/* The endpoint of the hop; lent like the URL. */
struct ms_endpoint_key ms_agent_key(const struct ms_easy *e);

/* Whether the hop's body could be sent once more. The run need not have an
 * agent. */
bool ms_agent_can_repeat(const struct ms_easy *e);

#endif
