/* SPDX-License-Identifier: MIT
 *
 * options.h - what can be asked of a transfer, from one table.
 *
 * The table in options.c gives every option its name, type, bounds and place
 * in struct ms_options; the public setters and the Lua binding both read it.
 * A set is compiled when it is frozen (options_compile.c): its request headers
 * are checked and rendered once, not per request. A copy of a frozen set
 * borrows its texts, and its route and TLS profile until it sets something of
 * those.
 */
#ifndef MS_ENGINE_OPTIONS_H
#define MS_ENGINE_OPTIONS_H

#include "base/buf.h"
#include "engine/auth_settings.h"
#include "engine/range.h"
#include "net/route.h"
#include "proto/header.h"
#include "proto/tls_profile.h"

/* Which versions of HTTP a request may go by. */
enum ms_http_choice {
    MS_VERSION_AUTO, /* HTTP/2 where TLS can say so, HTTP/1.1 elsewhere */
    MS_VERSION_1_1,
    MS_VERSION_2,      /* an error where TLS does not say so */
    MS_VERSION_2_PRIOR /* HTTP/2 without asking */
};

/* What is told of a request that is as the options say. */
struct ms_asked {
    struct ms_span method;
    struct ms_span host;   /* the user's Host header; no p: none */
    struct ms_fields sent; /* its text: "Name: value\r\n" lines */
    char length_text[24];  /* of a body that is sent, decimal */
    bool has_body;         /* it carries one, or must say that it is empty */
};

struct ms_options {
    unsigned refs;
    bool frozen;
    bool has_own_texts; /* one at least is not lent */
    bool once;          /* made by an easy, for itself */
    bool same_way;      /* route and tls_profile are the base's, still right */

    /* Of a copy: who lends it the texts that are at the same place in both; it
     * is frozen and borrows nothing itself. A reference; NULL: nobody. */
    struct ms_options *lender;

    int64_t timeout_total, timeout_connect; /* ms, -1: none */
    int64_t timeout_first_byte, timeout_idle;
    int64_t low_speed_limit;                /* bytes per second, -1: none */
    int64_t low_speed_time;                 /* ms */
    int64_t max_send_speed, max_recv_speed; /* bytes per second, -1: none */
    int64_t max_body, max_header_size;      /* bytes, -1: no limit */
    int64_t resume_from;                    /* bytes, -1 and 0: everything */
    bool tcp_nodelay, fresh_connection, expect_continue, decompress;
    bool has_body, cookies;
    bool max_body_set;             /* not the default */
    uint8_t version;               /* enum ms_http_choice */
    int64_t way[MS_ROUTE_NUMBERS]; /* but for keepalive */
    struct ms_buf way_text[MS_ROUTE_TEXTS];
    bool tcp_keepalive;
    struct ms_guard *guard;       /* a reference; NULL: none */
    struct ms_resolve_hook *hook; /* a reference; NULL: none */
    struct ms_first_use *use;     /* of the resolve entries; NULL: not needed */
    struct ms_jar *jar;           /* a reference; NULL: none */
    struct ms_buf method, body, user_agent, priority, range;
    struct ms_span lent_body; /* in place of `body`; points nowhere: none */
    struct ms_fields headers; /* as set; an empty name marks a dead entry */
    struct ms_fields removed; /* names that are not to be sent */
    struct ms_tls_settings tls;
    struct ms_auth_settings auth;
    int64_t redirect; /* hops at most */
    bool redirect_post, allow_downgrade, unrestricted_auth;
    int64_t retry_max, retry_max_delay, retry_budget; /* ms; -1: no limit */
    struct ms_buf retry_status, retry_methods; /* lists; unset: the defaults */

    /* Compiled; zero before, but for the way. */
    ms_err err;                         /* why no request can be made of this */
    const char *why;                    /* the same in static words, or NULL */
    struct ms_tls_profile *tls_profile; /* NULL: the defaults */
    struct ms_asked asked;
    struct ms_range part;   /* of range or resume_from */
    bool close;             /* "Connection: close" is asked for */
    bool authorized;        /* Authorization was settled by hand */
    bool guided;            /* runs have an agent from the start (agent.h) */
    bool watched;           /* a limit on how a transfer gets on is set */
    bool paced;             /* bodies are not to move faster than allowed */
    struct ms_route *route; /* NULL: the default one */
};

/* Bytes of the part that is not compiled. */
#define MS_OPTIONS_AS_SET offsetof(struct ms_options, err)

/* One more reference; the set is frozen from now on. */
static inline struct ms_options *ms_options_use(struct ms_options *o)
{
    if (!o->frozen)
        ms_options_freeze(o);
    o->refs++;
    return o;
}

/* Makes `o`, which nobody else uses, a copy of `base`; that is cheaper than a
 * new one. MS_ENOMEM: `o` is gone. */
ms_err ms_options_renew(struct ms_options *o,
                        struct ms_options *base) MS_MUST_CHECK;

/* GET, POST or what was set. */
struct ms_span ms_options_method(const struct ms_options *o);

static inline struct ms_span ms_options_body(const struct ms_options *o)
{
    return o->lent_body.p ? o->lent_body : ms_buf_span(&o->body);
}

/* What is asked again with this method and status may be answered better. */
bool ms_options_retries_method(const struct ms_options *o,
                               struct ms_span method);
bool ms_options_retries_status(const struct ms_options *o, unsigned status);

/* Repeating a request of that method does no more than making it once (RFC
 * 9110, 9.2.2). */
bool ms_method_is_idempotent(struct ms_span method);

/* Repeating the request does no more than making it once (RFC 9110, 9.2.2). */
bool ms_options_idempotent(const struct ms_options *o);

#endif
