/* SPDX-License-Identifier: MIT
 *
 * multisocket_options.h - the part of the public interface that is about what
 * can be asked of a transfer.
 *
 * multisocket.h includes it; programs include that one.
 */
#ifndef MULTISOCKET_OPTIONS_H
#define MULTISOCKET_OPTIONS_H

#ifndef MULTISOCKET_H
#error "include multisocket.h"
#endif

enum ms_option_type {
    MS_TYPE_BOOL,
    MS_TYPE_INT,    /* a whole number; unit and least value in the info */
    MS_TYPE_STRING, /* bytes */
    MS_TYPE_LIST,   /* the same: several, with info->separator between */
    MS_TYPE_HEADERS
};

enum ms_option {
    MS_OPT_METHOD,          /* string: a token; default GET, POST with body */
    MS_OPT_HEADERS,         /* see ms_options_header() */
    MS_OPT_BODY,            /* string: sent with its length */
    MS_OPT_USER_AGENT,      /* string */
    MS_OPT_TIMEOUT_TOTAL,   /* ms from add to end; default none */
    MS_OPT_TIMEOUT_CONNECT, /* ms from lookup to connected; default 30000 */
    MS_OPT_TIMEOUT_FIRST_BYTE, /* ms from the request's last byte to the first
                                * of the response; default none */
    MS_OPT_TIMEOUT_IDLE,       /* ms in which nothing moves either way; stands
                                * still while paused; default none */
    MS_OPT_LOW_SPEED_LIMIT,    /* bytes per second, either way: a transfer that
                                * is slower ends, default none, */
    MS_OPT_LOW_SPEED_TIME,     /* when it was so for that many ms; 30000 */
    MS_OPT_MAX_SEND_SPEED,     /* bytes of body per second that are sent, and */
    MS_OPT_MAX_RECV_SPEED,     /* taken, at most; they average out, after a
                                * burst of an eighth of a second; none */
    MS_OPT_MAX_BODY,         /* bytes of body, decoded; default 1 GiB when it is
                              * collected, none when on_data takes it */
    MS_OPT_DECOMPRESS,       /* bool, default true: say what codings we know
                              * (Accept-Encoding) and undo those the body
                              * has; its limits count what comes out */
    MS_OPT_RANGE,            /* string: "from-to", "from-" or "-last", bytes
                              * counted from 0: ask for that part. A server
                              * may send everything (200) */
    MS_OPT_RESUME_FROM,      /* bytes that are there already: ask for those
                              * behind them, MS_ERANGE when everything comes
                              * instead */
    MS_OPT_MAX_HEADER_SIZE,  /* bytes of one response head; default 256 KiB */
    MS_OPT_TCP_NODELAY,      /* bool, default true */
    MS_OPT_FRESH_CONNECTION, /* bool: use no pooled connection */
    MS_OPT_EXPECT_CONTINUE,  /* bool: send the body when the server asks for it
                              * (100), or after a second */
    MS_OPT_VERSION,          /* string: "auto", the default, "1.1", "2" or
                              * "2-prior-knowledge" (also without TLS) */
    MS_OPT_PRIORITY,         /* string: a Priority field (RFC 9218) */
    MS_OPT_COOKIES,          /* bool: cookies are kept and sent, in the jar of
                              * ms_options_jar(), or in one of the run's own for
                              * its redirects */

    /* Who one is. The first of these counts: a header Authorization (also when
     * it is removed), MS_OPT_BEARER, MS_OPT_AUTH_USER, the URL, the netrc
     * file. What is not in the URL and not in the file goes to the origin of
     * the URL only, also after redirects. */
    MS_OPT_AUTH_USER,     /* string, bytes of UTF-8 mostly; no colon in Basic */
    MS_OPT_AUTH_PASSWORD, /* string */
    MS_OPT_AUTH_DIGEST,   /* bool, default false: Basic, with every request.
                           * Otherwise Digest, once the server asks for it;
                           * also for what the URL or the file says */
    MS_OPT_BEARER,        /* string: a token */
    MS_OPT_NETRC,         /* string: a path, or empty: $NETRC, or .netrc in
                           * $HOME, which need not be there */

    /* TLS. A connection is used again only by a transfer for which all of
     * these are the same. */
    MS_OPT_REDIRECT,        /* how many redirects are followed at most; default
                             * 10. 0: the 3xx is the response */
    MS_OPT_REDIRECT_POST,   /* bool: a POST stays one after 301 and 302 */
    MS_OPT_ALLOW_DOWNGRADE, /* bool: from https to http is followed */
    MS_OPT_UNRESTRICTED_AUTH, /* bool: credentials go along to other origins */
    MS_OPT_RETRY_MAX,     /* how often a request that failed in passing is made
                           * again; default 0 */
    MS_OPT_RETRY_STATUS,  /* string: statuses that are such a failure, with ","
                           * between; default 408,429,502,503,504 */
    MS_OPT_RETRY_METHODS, /* string: methods of requests that may be made
                           * twice; default those that are idempotent */
    MS_OPT_RETRY_MAX_DELAY, /* ms before a retry at most; default 30000. Who
                             * asks for more (Retry-After) is not asked again */
    MS_OPT_RETRY_BUDGET,    /* retries of all transfers of a multi in ten
                             * seconds, one more for every ten requests;
                             * default 100, -1: no limit */

    MS_OPT_TLS_VERIFY,       /* bool, default true: the peer's certificate has
                              * to be trusted, valid and for the host */
    MS_OPT_TLS_VERIFY_HOST,  /* bool, default true: for the host */
    MS_OPT_TLS_CA_FILE,      /* path, PEM: whom to trust; default what the
                              * system trusts, or SSL_CERT_FILE, SSL_CERT_DIR */
    MS_OPT_TLS_CA_PATH,      /* path of a folder, names hashed by c_rehash */
    MS_OPT_TLS_CRL_FILE,     /* path, PEM: revocation lists; every issuer of
                              * the chain needs one */
    MS_OPT_TLS_CERT,         /* path, PEM: the client's certificate and chain */
    MS_OPT_TLS_KEY,          /* path, PEM; default: in the same file */
    MS_OPT_TLS_KEY_PASSWORD, /* string */
    MS_OPT_TLS_MIN_VERSION,  /* string, "1.0" to "1.3", default "1.2" */
    MS_OPT_TLS_MAX_VERSION,  /* string, default none */
    MS_OPT_TLS_CIPHERS,      /* string: names of OpenSSL with ":" between */
    MS_OPT_TLS_ALPN,         /* string: names with "," between; default what
                              * MS_OPT_VERSION asks for */
    MS_OPT_TLS_PINNED_PUBLIC_KEY, /* string: "sha256//" and base64 of the key's
                                   * digest; several with ";" between */
    MS_OPT_TLS_SESSION_REUSE, /* bool, default true: resume earlier sessions */
    MS_OPT_TLS_SERVER_NAME,   /* string: instead of the URL's host, for SNI and
                               * for the certificate */
    MS_OPT_TLS_STAPLE,        /* string "require": the server has to staple a
                               * good OCSP answer */

    /* The way to the host. A connection is used again only by a transfer that
     * would go the same way. */
    MS_OPT_IP,            /* 4 or 6: addresses of that family only */
    MS_OPT_INTERFACE,     /* string: name of an interface, or an address of
                           * this machine, to connect from */
    MS_OPT_LOCAL_PORT,    /* string: "port" or "first-last" to connect from */
    MS_OPT_UNIX_SOCKET,   /* string: a path, or '@' and an abstract name, to
                           * connect to whatever the URL says */
    MS_OPT_TCP_KEEPALIVE, /* bool: the system looks after silent peers;
                           * default true */
    MS_OPT_HAPPY_EYEBALLS_DELAY, /* ms after which an address that does not
                                  * answer gets company; default 250, -1: only
                                  * when it failed */
    MS_OPT_RESOLVE,       /* string: lines "host[:port]=address[,address]" */
    MS_OPT_CONNECT_TO,    /* string: lines "host[:port]=host[:port]": whom to
                           * connect to instead */
    MS_OPT_DNS_SERVERS,   /* string: "address[:port],..."; default those of
                           * resolv.conf */
    MS_OPT_DNS_TIMEOUT,   /* ms for the first try; default 2000 */
    MS_OPT_DNS_TRIES,     /* per server; default 3 */
    MS_OPT_DNS_CACHE_TTL, /* ms for which an answer is kept at most; default
                           * an hour, -1: not kept */
    MS_OPT_ALLOW_ADDRESS, /* string: "public" refuses to connect to addresses
                           * that are not of the public internet, "any", the
                           * default, refuses none */
    MS_OPT_COUNT
};

/* Whether a request may go over a connection that was opened for one with
 * another value of the option. */
enum ms_option_scope {
    MS_SCOPE_SAME,    /* it may: the option is the request's */
    MS_SCOPE_DIFFERS, /* never: the option decides what connection it is */
    MS_SCOPE_TLS      /* not with TLS; in the clear the option means nothing */
};

struct ms_option_info {
    const char *name; /* as scripts write it; "timeout.total" for a member */
    enum ms_option id;
    enum ms_option_type type;
    int64_t least;  /* smallest value of an MS_TYPE_INT */
    char separator; /* of an MS_TYPE_LIST */
    enum ms_option_scope scope;
};

/* The option called `name`, NULL when there is none. */
MS_API const struct ms_option_info *ms_option_find(const char *name, size_t n);
/* By position, 0 to MS_OPT_COUNT - 1, in the order of the enum. */
MS_API const struct ms_option_info *ms_option_at(unsigned index);

/*
 * A set of options, made once and shared by any number of easies. It can be
 * changed until it is given to an easy; from then on it is frozen and setters
 * return MS_EUSAGE: make a copy to go on from there.
 */

/* A copy of `base`, or the defaults when `base` is NULL. One that is frozen
 * lends the copy what stays the same. */
MS_API ms_err ms_options_new(struct ms_options **out, struct ms_options *base);
/* What giving it to an easy does: the set is not changed any more. */
MS_API void ms_options_freeze(struct ms_options *o);
MS_API void ms_options_free(struct ms_options *o);

/* The longest time and the largest size an option can have: larger ones mean
 * the same. In ms it is the last power of two that, with all the time that has
 * passed added, still fits 63 bits in us; a quarter of a million years. */
#define MS_MOST (INT64_C(1) << 53)

/* MS_EUSAGE: the option is of another type. MS_EOPTION: the value is out of
 * range. `value` -1 of an MS_TYPE_INT means "no limit". */
MS_API ms_err ms_options_set_int(struct ms_options *o, enum ms_option id,
                                 int64_t value);
MS_API ms_err ms_options_set_bool(struct ms_options *o, enum ms_option id,
                                  bool value);
/* `value` NULL: back to what it is when nothing is set. */
MS_API ms_err ms_options_set_string(struct ms_options *o, enum ms_option id,
                                    const char *value, size_t n);

/* MS_OPT_BODY without a copy: the bytes stay where they are, and have to as
 * long as this set or one that was copied from it has a transfer, whose body
 * they are. */
MS_API ms_err ms_options_lend_body(struct ms_options *o, const char *value,
                                   size_t n);

enum ms_header_mode {
    MS_HEADER_SET,   /* replaces every header of that name */
    MS_HEADER_ADD,   /* one more line, after those already there */
    MS_HEADER_REMOVE /* sends none of that name, not even a default one */
};

/* Adds a request header. Names compare without case. Content is checked when
 * the transfer starts: an invalid name or value ends it with MS_EHEADER. */
MS_API ms_err ms_options_header(struct ms_options *o, enum ms_header_mode mode,
                                const char *name, size_t name_len,
                                const char *value, size_t value_len);

/* Forgets what ms_options_header() said, there and in the set that this one was
 * made of. */
MS_API ms_err ms_options_no_headers(struct ms_options *o);

/* Asked before a connection is made, with the very address: MS_OK allows it,
 * anything else, usually MS_EADDRESS, is why it is not tried. `address` is text
 * without port and brackets. May call what any callback may. */
typedef ms_err ms_address_cb(struct ms_multi *multi, void *user,
                             const char *address, uint16_t port);

/* Besides MS_OPT_ALLOW_ADDRESS. Connections are shared by those whose guards
 * have the same `identity`; `release`, NULL for none, is called when nobody
 * uses the guard any more. NULL as `allow` ends guarding. MS_ENOMEM: nothing
 * was changed, `release` is not called. */
MS_API ms_err ms_options_guard(struct ms_options *o, ms_address_cb *allow,
                               void *user, const void *identity,
                               void (*release)(void *user));

/* Asked for the addresses of `host` (lower case) in one family, 4 or 6, when a
 * connection needs them and nobody is asking already. MS_OK: the answer is
 * given by ms_multi_answer(), inside this call or later; anything else is why
 * there will be none. */
typedef ms_err ms_resolver_cb(struct ms_multi *multi, void *user,
                              const char *host, int family, uint64_t question);

/* Who is asked instead of hosts file and DNS; addresses and localhost are
 * still nobody's business. What it says is not kept. The rest as in
 * ms_options_guard(). */
MS_API ms_err ms_options_resolver(struct ms_options *o, ms_resolver_cb *ask,
                                  void *user, const void *identity,
                                  void (*release)(void *user));

/* Answers a question with addresses as text, those of the other family are
 * passed over; with `err`, why there are none. MS_EOPTION: one of them is no
 * address; the question is still open. MS_EUSAGE: nobody waits for it. */
MS_API ms_err ms_multi_answer(struct ms_multi *multi, uint64_t question,
                              const char *const *addresses, size_t count,
                              ms_err err);

/* Addresses, answers and what worked so far belong to another network: they
 * are forgotten, idle connections closed; those in use take no new request. */
MS_API void ms_multi_network_changed(struct ms_multi *multi);

#endif
