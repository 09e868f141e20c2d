/* SPDX-License-Identifier: MIT
 *
 * dns.h - asking DNS servers for addresses: c-ares on our loop.
 *
 * One object is one configuration (servers, timeouts, search list), read when
 * it is opened. Its sockets are tracked like all others and its timeouts are
 * one ms_timer, so c-ares needs no loop of its own. c-ares calls back from
 * the middle of its work; here an answer is kept and handed on by a task, so
 * that no code of ours runs under c-ares and nothing we do can disturb it.
 *
 * It asks for one absolute name at a time. It knows no search list (it only
 * tells what is configured), no hosts file and no special names.
 */
#ifndef MS_NET_DNS_H
#define MS_NET_DNS_H

#include "net/addr.h"
#include "net/loop.h"

/* An answer has at most this many addresses. Attempts to connect follow each
 * other by a quarter of a second, so nobody waits for the ones behind. */
#define MS_DNS_MAX_ADDRESSES 32

struct ms_dns;

struct ms_dns_answer {
    struct ms_addr *list; /* of the family asked for, without ports */
    size_t count;
    ms_err err;   /* MS_OK with addresses; MS_EHOST: certainly none */
    bool no_name; /* of MS_EHOST: the name does not exist at all */
    int ttl;      /* with addresses: seconds for which all of them hold */
    bool late;    /* a server answered, but not the first time it was asked or
                   * not the first server */
};

/* The answer to one question, exactly once, from a task. The list is the
 * callee's, to be freed with ms_free(). May call anything, ms_dns_close()
 * too. Errors besides MS_EHOST: MS_ETIMEOUT, MS_ERESOLVE, MS_ENOMEM,
 * MS_ECALLBACK (the host refused to watch the socket). */
typedef void ms_dns_answer_cb(void *user, sa_family_t family,
                              const struct ms_dns_answer *answer);

struct ms_dns_config {
    const char *resolv_conf; /* NULL: /etc/resolv.conf */
    const char *servers;     /* "ip[:port],..."; NULL: those of resolv_conf */
    int timeout_ms;          /* of the first try, later ones double */
    int tries;               /* per server */
    unsigned first;          /* the server to begin with, from 0 round */
    ms_dns_answer_cb *on_answer;
};

/* What resolv_conf says about relative names; lent. */
struct ms_dns_search {
    int ndots; /* names with as many dots are tried as they are first */
    char *const *domains;
    size_t count;
};

/* `config` is copied. MS_ENOMEM, MS_ERESOLVE: c-ares cannot be set up, or
 * cannot read `servers`. */
ms_err ms_dns_open(struct ms_dns **out, struct ms_loop *loop,
                   const struct ms_dns_config *config) MS_MUST_CHECK;

/* No answer comes after this, and nobody's `user` is touched. The sockets are
 * closed by the next flush, the rest is buried. NULL is allowed. */
void ms_dns_close(struct ms_dns *d);

struct ms_dns_search ms_dns_search(const struct ms_dns *d);

/* How many servers there are to ask. */
unsigned ms_dns_servers(const struct ms_dns *d);

/* Asks for the addresses of one family (AF_INET or AF_INET6) of `name`, which
 * ends in a dot and is copied. MS_ENOMEM: no answer comes. */
ms_err ms_dns_ask(struct ms_dns *d, const char *name, sa_family_t family,
                  void *user) MS_MUST_CHECK;

#endif
