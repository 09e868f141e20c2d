/* SPDX-License-Identifier: MIT
 *
 * route.h - what was asked for about the way to a host: which names stand for
 * what, who is asked for the rest, which addresses will do, and where on this
 * machine a connection begins.
 *
 * A route is made once from a specification, never changes and is shared.
 * All that decides where a connection leads is in one block of numbers and
 * one list of texts, compared and hashed as a whole: what is added to them
 * cannot be forgotten there. NULL is the route of those who ask for nothing.
 */
#ifndef MS_NET_ROUTE_H
#define MS_NET_ROUTE_H

#include "base/err.h"
#include "base/span.h"
#include "net/addr.h"
#include "net/resolve.h"
#include "net/sock.h"

/* RFC 8305, 8: how long an attempt has before the next one starts. */
#define MS_ROUTE_DELAY_DEFAULT_MS 250

enum ms_route_number {
    MS_ROUTE_IP,             /* 4 or 6: only such addresses; -1: both */
    MS_ROUTE_DELAY_MS,       /* between attempts */
    MS_ROUTE_KEEPALIVE,      /* 0 or 1 */
    MS_ROUTE_DNS_TIMEOUT_MS, /* of the first try; -1: the resolver's own */
    MS_ROUTE_DNS_TRIES,      /* per server; -1: the resolver's own */
    MS_ROUTE_DNS_CACHE_MS,   /* the most an answer is kept, -1: not at all */
    MS_ROUTE_NUMBERS
};

enum ms_route_text {
    MS_ROUTE_RESOLVE,    /* lines
                          * "host[:port]=address[,address...][;seconds]" */
    MS_ROUTE_CONNECT_TO, /* lines "host[:port]=host[:port]" */
    MS_ROUTE_SERVERS,    /* of DNS: "address[:port],..." */
    MS_ROUTE_INTERFACE,  /* a name, or an address of this machine */
    MS_ROUTE_LOCAL_PORT, /* "port" or "port-port" */
    MS_ROUTE_UNIX,       /* a path, or '@' and an abstract name */
    MS_ROUTE_ALLOW,      /* "public": no other addresses; or "any" */
    MS_ROUTE_TEXTS
};

/* Somebody who is asked about every address before it is connected to. */
struct ms_guard {
    unsigned refs;
    ms_address_cb *allow;
    void *user;
    const void *identity; /* equal for guards that do the same */
    void (*release)(void *user);
};

/* Both take NULL. */
struct ms_guard *ms_guard_ref(struct ms_guard *g);
void ms_guard_unref(struct ms_guard *g);

/* When a set of entries with lifetimes was used first, by all that were made
 * of it. Equal routes may have different ones. */
struct ms_first_use {
    unsigned refs;
    uint64_t at_us; /* 0: it was not */
};

ms_err ms_first_use_new(struct ms_first_use **out) MS_MUST_CHECK;
/* Both take NULL. */
struct ms_first_use *ms_first_use_ref(struct ms_first_use *u);
void ms_first_use_unref(struct ms_first_use *u);

/* `resolve`, a text for MS_ROUTE_RESOLVE, has entries that do not hold for
 * ever. */
bool ms_route_has_lifetimes(struct ms_span resolve);

struct ms_route_spec {
    int64_t number[MS_ROUTE_NUMBERS];
    struct ms_span text[MS_ROUTE_TEXTS];
    struct ms_guard *guard;       /* NULL: none */
    struct ms_resolve_hook *hook; /* NULL: none */
    struct ms_first_use *use;     /* not NULL where there are lifetimes */
};

struct ms_route {
    unsigned refs;
    uint32_t hash;
    struct ms_route_spec spec; /* its texts are behind the struct, each with a
                                * NUL; its guard, hook and use are
                                * referred to */
    struct ms_net_options net;
    struct ms_resolver_config dns; /* lent from spec */
    int delay_ms;
    bool public_only;
    unsigned turn;     /* of the local ports */
    uint64_t begun_us; /* what lifetimes count from; 0: they do not yet */
};

/* Nothing is asked for. */
extern const struct ms_route_spec ms_route_defaults;

/* `*out` is NULL when `spec` asks for nothing. MS_EOPTION: one of its texts is
 * not what it should be. MS_ENOMEM. */
ms_err ms_route_new(struct ms_route **out,
                    const struct ms_route_spec *spec) MS_MUST_CHECK;

/* What the text should be that ms_route_new() did not take. */
const char *ms_route_flaw(const struct ms_route_spec *spec);

/* Both take NULL. */
struct ms_route *ms_route_ref(struct ms_route *r);
void ms_route_unref(struct ms_route *r);

bool ms_route_same(const struct ms_route *a, const struct ms_route *b);
uint32_t ms_route_hash(const struct ms_route *r);

/* A host and port, lent; port 0: any. */
struct ms_route_host {
    struct ms_span name; /* without brackets */
    uint16_t port;
};

/* Whom to connect to instead of `h`; leaves `*h` as it is where nothing is
 * said. An entry with a port is stronger than one without. */
void ms_route_redirect(const struct ms_route *r, struct ms_route_host *h);

/* `own`, which has lifetimes, is used: they begin, unless they have, and so
 * do those of `shared`, an equal route that stands for it. */
void ms_route_renew(struct ms_route *shared, struct ms_route *own,
                    uint64_t now_us);

/* Nobody waits until more than that failed. */
#define MS_ROUTE_ADDRESSES 32

struct ms_route_found {
    struct ms_addr list[MS_ROUTE_ADDRESSES]; /* without ports */
    size_t count;
};

/* The addresses that were given for `h` and still hold; returns how many. 0:
 * none were. */
size_t ms_route_lookup(const struct ms_route *r, const struct ms_route_host *h,
                       uint64_t now_us, struct ms_route_found *out);

/* MS_OK: `a`, with its port, may be connected to; otherwise why not, usually
 * MS_EADDRESS. Calls the guard, on behalf of `multi`. */
ms_err ms_route_check(const struct ms_route *r, struct ms_multi *multi,
                      const struct ms_addr *a) MS_MUST_CHECK;

#endif
