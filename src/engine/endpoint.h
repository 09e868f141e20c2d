/* SPDX-License-Identifier: MIT
 *
 * endpoint.h - what counts as "the same connection".
 *
 * One struct holds everything that decides whom a connection reaches and how;
 * it is hashed and compared as a whole. Connections, and transfers waiting
 * for one, hang on the endpoint of their key and are never given to another.
 */
#ifndef MS_ENGINE_ENDPOINT_H
#define MS_ENGINE_ENDPOINT_H

#include "base/list.h"
#include "base/map.h"
#include "engine/link.h"
#include "engine/options.h"
#include "proto/url.h"

/* X(type, name, rule): a field is here with its rule or not at all. VALUE,
 * TEXT, PROFILE and ROUTE are compared; DERIVED follows from others. */
#define MS_ENDPOINT_KEY(X)                                                     \
    X(uint16_t, port, VALUE)                                                   \
    X(bool, secure, VALUE)                                                     \
    X(bool, tcp_nodelay, VALUE)                                                \
    X(uint8_t, version, VALUE)      /* enum ms_http_choice */                  \
    X(uint32_t, host_hash, DERIVED) /* made once for each URL */               \
    X(struct ms_span, host, TEXT)   /* as in the URL: lower case */            \
    X(struct ms_tls_profile *, profile, PROFILE) /* where secure; NULL: the    \
                                                  * defaults */                \
    X(struct ms_route *, route, ROUTE)           /* NULL: the default one */

struct ms_endpoint_key {
#define MS_ENDPOINT_FIELD(type, name, rule) type name;
    MS_ENDPOINT_KEY(MS_ENDPOINT_FIELD)
#undef MS_ENDPOINT_FIELD
};

/* What the peers of an endpoint were found to speak. */
enum ms_endpoint_protocol { MS_SPEAKS_UNKNOWN, MS_SPEAKS_1, MS_SPEAKS_2 };

struct ms_endpoint {
    struct ms_map_node node;
    struct ms_endpoint_key key;   /* key.host is owned, profile and
                                   * route are references */
    struct ms_tls_ctx *tls;       /* from the first connection on */
    struct ms_tls_cache sessions; /* to resume */
    struct ms_list remembered;    /* on the pool's list while nobody uses it */
    struct ms_list idle;          /* of struct ms_conn, the latest used first */
    struct ms_list roomy;         /* of struct ms_conn, in use with room for
                                   * more */
    struct ms_list spare;         /* of struct ms_conn, opening for nobody in
                                   * particular */
    struct ms_list waiting;       /* of struct ms_waiter, the oldest first */
    struct ms_list choosy;        /* the same of those that take none used */
    struct ms_list bare;          /* of struct ms_waiter, of either list, that
                                   * need an attempt of their own and have
                                   * none */
    struct ms_list turn;          /* on one of the pool's ->turns */
    unsigned conns;               /* open or opening */
    unsigned connecting;
    unsigned full; /* open ones whose streams are all in use */
    unsigned over; /* of these, those that will take no more */
    unsigned waiters, choosers, bare_count;
    unsigned stuck;   /* counted in the pool's */
    unsigned held;    /* by code that goes on to use it */
    uint8_t protocol; /* enum ms_endpoint_protocol */
    uint8_t rank;     /* which one */
    bool tired;       /* a shared attempt failed while others stand: no further
                       * one until they change */
};

uint32_t ms_endpoint_host_hash(const struct ms_url *url);
/* The key of a request; lent from `url`, whose host hash that is. */
struct ms_endpoint_key ms_endpoint_key_of(const struct ms_url *url,
                                          uint32_t host_hash,
                                          const struct ms_options *o);

bool ms_endpoint_key_same(const struct ms_endpoint_key *a,
                          const struct ms_endpoint_key *b);

/* Whether a connection may serve several at a time: then one is waited for. */
bool ms_endpoint_may_share(const struct ms_endpoint *e);

/* The endpoint of that key, made when there is none. MS_ENOMEM. */
ms_err ms_endpoint_get(struct ms_map *map, const struct ms_endpoint_key *key,
                       struct ms_endpoint **out) MS_MUST_CHECK;

/* Whether nobody uses it. */
bool ms_endpoint_unused(const struct ms_endpoint *e);

/* Whether it knows what spares the next connection something. */
bool ms_endpoint_worth_keeping(const struct ms_endpoint *e);

/* Nobody may use it. */
void ms_endpoint_free(struct ms_map *map, struct ms_endpoint *e);

/* Makes the settings of TLS ready. MS_EOPTION: `*why` (static text) says which
 * cannot be used. MS_ENOMEM. */
ms_err ms_endpoint_secure(struct ms_endpoint *e, struct ms_link_env *env,
                          const char **why) MS_MUST_CHECK;

#endif
