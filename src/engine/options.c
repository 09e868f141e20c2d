/* SPDX-License-Identifier: MIT */
#include "engine/options.h"

#include <stdio.h>

#include "base/mem.h"
#include "proto/decode.h"
#include "proto/wire.h"

/* A connection that is not up by then hardly ever comes up later. */
#define DEFAULT_CONNECT_MS 30000
/* Collecting more into one string is a mistake more often than a wish. */
#define DEFAULT_MAX_BODY (INT64_C(1) << 30)
/* curl's advice for --speed-time. */
#define DEFAULT_LOW_SPEED_MS 30000
/* Chrome's limit for one response head. */
#define DEFAULT_MAX_HEADER_SIZE (256 * 1024)

/* What the fields of most requests take: room that is made once. */
#define USUAL_BLOCK 256
/* Who asks for more patience than most programs have is not waited for. */
#define DEFAULT_RETRY_DELAY_MS 30000
/* Chains that mean well have less; curl's default of 50 is far from them. */
#define DEFAULT_REDIRECTS 10
/* Enough for a server that restarts under a busy client; little enough that
 * one that is down is not asked much more often than before. */
#define DEFAULT_RETRY_BUDGET 100
#define DEFAULT_RETRY_STATUS "408,429,502,503,504"

struct option {
    struct ms_option_info info;
    size_t member; /* offset in struct ms_options */
    size_t name_len;
};

/* X(id, name, type, bound, member, scope). The bound is the least value of a
 * number, the separator of a list. Who adds an option says what it does to the
 * connection: without that this does not compile. */
#define OPTIONS(X)                                                             \
    X(METHOD, "method", STRING, 0, method, SAME)                               \
    X(HEADERS, "headers", HEADERS, 0, headers, SAME)                           \
    X(BODY, "body", STRING, 0, body, SAME)                                     \
    X(USER_AGENT, "user_agent", STRING, 0, user_agent, SAME)                   \
    X(TIMEOUT_TOTAL, "timeout.total", INT, 1, timeout_total, SAME)             \
    X(TIMEOUT_CONNECT, "timeout.connect", INT, 1, timeout_connect, SAME)       \
    X(TIMEOUT_FIRST_BYTE, "timeout.first_byte", INT, 1, timeout_first_byte,    \
      SAME)                                                                    \
    X(TIMEOUT_IDLE, "timeout.idle", INT, 1, timeout_idle, SAME)                \
    X(LOW_SPEED_LIMIT, "low_speed.limit", INT, 1, low_speed_limit, SAME)       \
    X(LOW_SPEED_TIME, "low_speed.time", INT, 1, low_speed_time, SAME)          \
    X(MAX_SEND_SPEED, "max_send_speed", INT, 1, max_send_speed, SAME)          \
    X(MAX_RECV_SPEED, "max_recv_speed", INT, 1, max_recv_speed, SAME)          \
    X(MAX_BODY, "max_body", INT, 0, max_body, SAME)                            \
    X(DECOMPRESS, "decompress", BOOL, 0, decompress, SAME)                     \
    X(RANGE, "range", STRING, 0, range, SAME)                                  \
    X(RESUME_FROM, "resume_from", INT, 0, resume_from, SAME)                   \
    X(MAX_HEADER_SIZE, "max_header_size", INT, 1, max_header_size, SAME)       \
    X(TCP_NODELAY, "tcp_nodelay", BOOL, 0, tcp_nodelay, DIFFERS)               \
    X(FRESH_CONNECTION, "fresh_connection", BOOL, 0, fresh_connection, SAME)   \
    X(EXPECT_CONTINUE, "expect_continue", BOOL, 0, expect_continue, SAME)      \
    X(VERSION, "version", STRING, 0, version, DIFFERS)                         \
    X(PRIORITY, "priority", STRING, 0, priority, SAME)                         \
    X(COOKIES, "cookies", BOOL, 0, cookies, SAME)                              \
    X(AUTH_USER, "auth.user", STRING, 0, auth.user, SAME)                      \
    X(AUTH_PASSWORD, "auth.password", STRING, 0, auth.password, SAME)          \
    X(AUTH_DIGEST, "auth.digest", BOOL, 0, auth.digest, SAME)                  \
    X(BEARER, "bearer", STRING, 0, auth.bearer, SAME)                          \
    X(NETRC, "netrc", STRING, 0, auth.netrc, SAME)                             \
    X(IP, "ip", INT, 4, way[MS_ROUTE_IP], DIFFERS)                             \
    X(INTERFACE, "interface", STRING, 0, way_text[MS_ROUTE_INTERFACE],         \
      DIFFERS)                                                                 \
    X(LOCAL_PORT, "local_port", STRING, 0, way_text[MS_ROUTE_LOCAL_PORT],      \
      DIFFERS)                                                                 \
    X(UNIX_SOCKET, "unix_socket", STRING, 0, way_text[MS_ROUTE_UNIX], DIFFERS) \
    X(TCP_KEEPALIVE, "tcp_keepalive", BOOL, 0, tcp_keepalive, DIFFERS)         \
    /* RFC 8305, 8: no less than 10 ms. */                                     \
    X(HAPPY_EYEBALLS_DELAY, "happy_eyeballs_delay", INT, 10,                   \
      way[MS_ROUTE_DELAY_MS], DIFFERS)                                         \
    X(RESOLVE, "resolve", STRING, 0, way_text[MS_ROUTE_RESOLVE], DIFFERS)      \
    X(CONNECT_TO, "connect_to", STRING, 0, way_text[MS_ROUTE_CONNECT_TO],      \
      DIFFERS)                                                                 \
    X(DNS_SERVERS, "dns.servers", STRING, 0, way_text[MS_ROUTE_SERVERS],       \
      DIFFERS)                                                                 \
    X(DNS_TIMEOUT, "dns.timeout", INT, 1, way[MS_ROUTE_DNS_TIMEOUT_MS],        \
      DIFFERS)                                                                 \
    X(DNS_TRIES, "dns.tries", INT, 1, way[MS_ROUTE_DNS_TRIES], DIFFERS)        \
    X(DNS_CACHE_TTL, "dns.cache_ttl", INT, 1, way[MS_ROUTE_DNS_CACHE_MS],      \
      DIFFERS)                                                                 \
    X(ALLOW_ADDRESS, "allow_address", STRING, 0, way_text[MS_ROUTE_ALLOW],     \
      DIFFERS)                                                                 \
    X(REDIRECT, "redirect", INT, 0, redirect, SAME)                            \
    X(REDIRECT_POST, "redirect_post", BOOL, 0, redirect_post, SAME)            \
    X(ALLOW_DOWNGRADE, "allow_downgrade", BOOL, 0, allow_downgrade, SAME)      \
    X(UNRESTRICTED_AUTH, "unrestricted_auth", BOOL, 0, unrestricted_auth,      \
      SAME)                                                                    \
    X(RETRY_MAX, "retry.max", INT, 0, retry_max, SAME)                         \
    X(RETRY_STATUS, "retry.status", LIST, ',', retry_status, SAME)             \
    X(RETRY_METHODS, "retry.methods", LIST, ',', retry_methods, SAME)          \
    X(RETRY_MAX_DELAY, "retry.max_delay", INT, 0, retry_max_delay, SAME)       \
    X(RETRY_BUDGET, "retry.budget", INT, 0, retry_budget, SAME)                \
    X(TLS_VERIFY, "tls.verify", BOOL, 0, tls.flag[MS_TLS_VERIFY], TLS)         \
    X(TLS_VERIFY_HOST, "tls.verify_host", BOOL, 0,                             \
      tls.flag[MS_TLS_VERIFY_HOST], TLS)                                       \
    X(TLS_CA_FILE, "tls.ca_file", STRING, 0, tls.text[MS_TLS_CA_FILE], TLS)    \
    X(TLS_CA_PATH, "tls.ca_path", STRING, 0, tls.text[MS_TLS_CA_PATH], TLS)    \
    X(TLS_CRL_FILE, "tls.crl_file", STRING, 0, tls.text[MS_TLS_CRL_FILE], TLS) \
    X(TLS_CERT, "tls.cert", STRING, 0, tls.text[MS_TLS_CERT], TLS)             \
    X(TLS_KEY, "tls.key", STRING, 0, tls.text[MS_TLS_KEY], TLS)                \
    X(TLS_KEY_PASSWORD, "tls.key_password", STRING, 0,                         \
      tls.text[MS_TLS_PASSWORD], TLS)                                          \
    X(TLS_MIN_VERSION, "tls.min_version", STRING, 0, tls.text[MS_TLS_MIN],     \
      TLS)                                                                     \
    X(TLS_MAX_VERSION, "tls.max_version", STRING, 0, tls.text[MS_TLS_MAX],     \
      TLS)                                                                     \
    X(TLS_CIPHERS, "tls.ciphers", STRING, 0, tls.text[MS_TLS_CIPHERS], TLS)    \
    X(TLS_ALPN, "tls.alpn", LIST, ',', tls.text[MS_TLS_ALPN], TLS)             \
    X(TLS_PINNED_PUBLIC_KEY, "tls.pinned_public_key", LIST, ';',               \
      tls.text[MS_TLS_PINS], TLS)                                              \
    X(TLS_SESSION_REUSE, "tls.session_reuse", BOOL, 0,                         \
      tls.flag[MS_TLS_SESSION_REUSE], TLS)                                     \
    X(TLS_SERVER_NAME, "tls.server_name", STRING, 0,                           \
      tls.text[MS_TLS_SERVER_NAME], TLS)                                       \
    X(TLS_STAPLE, "tls.staple", STRING, 0, tls.text[MS_TLS_STAPLE], TLS)

#define COUNT(id, name, type, bound, member, scope) +1
_Static_assert(0 OPTIONS(COUNT) == MS_OPT_COUNT, "an option has no row");
#undef COUNT

/* In the order of enum ms_option. */
static const struct option table[MS_OPT_COUNT] = {
#define ROW(id, name, type, bound, member, scope)                              \
    [MS_OPT_##id] = {{name, MS_OPT_##id, MS_TYPE_##type,                       \
                      MS_TYPE_##type == MS_TYPE_LIST ? 0 : (bound),            \
                      MS_TYPE_##type == MS_TYPE_LIST ? (char)(bound) : '\0',   \
                      MS_SCOPE_##scope},                                       \
                     offsetof(struct ms_options, member),                      \
                     sizeof(name) - 1},
    OPTIONS(ROW)
#undef ROW
};

const struct ms_option_info *ms_option_at(unsigned index)
{
    return index < MS_OPT_COUNT ? &table[index].info : NULL;
}

const struct ms_option_info *ms_option_find(const char *name, size_t n)
{
    for (size_t i = 0; i < MS_OPT_COUNT; i++)
        if (table[i].name_len == n && memcmp(table[i].info.name, name, n) == 0)
            return &table[i].info;
    return NULL;
}

/* A string that was set has memory, even when it is empty: that is what tells
 * it from one that was not. */
static ms_err set_string(struct ms_buf *to, struct ms_span s)
{
    ms_err err = ms_buf_reserve(to, s.n + 1);

    if (err)
        return err;
    ms_buf_clear(to);
    ms_buf_put(to, s);
    return MS_OK;
}

static ms_err copy_string(struct ms_buf *to, const struct ms_buf *from)
{
    return from->p ? set_string(to, ms_buf_span(from)) : MS_OK;
}

static ms_err copy_fields(struct ms_fields *to, const struct ms_fields *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        ms_err err = ms_fields_add(to, ms_fields_name(from, i),
                                   ms_fields_value(from, i));
        if (err)
            return err;
    }
    return MS_OK;
}

static ms_err copy_way(struct ms_options *o, const struct ms_options *base)
{
    ms_err err = MS_OK;

    memcpy(o->way, base->way, sizeof(o->way));
    o->tcp_keepalive = base->tcp_keepalive;
    o->guard = ms_guard_ref(base->guard);
    o->hook = ms_resolve_hook_ref(base->hook);
    o->use = ms_first_use_ref(base->use);
    for (size_t i = 0; !err && i < MS_ROUTE_TEXTS; i++)
        err = copy_string(&o->way_text[i], &base->way_text[i]);
    return err;
}

static ms_err copy_policies(struct ms_options *o, const struct ms_options *base)
{
    ms_err err = copy_string(&o->retry_status, &base->retry_status);

    o->redirect = base->redirect;
    o->redirect_post = base->redirect_post;
    o->allow_downgrade = base->allow_downgrade;
    o->unrestricted_auth = base->unrestricted_auth;
    o->retry_max = base->retry_max;
    o->retry_max_delay = base->retry_max_delay;
    o->retry_budget = base->retry_budget;
    return err ? err : copy_string(&o->retry_methods, &base->retry_methods);
}

static ms_err copy_from(struct ms_options *o, const struct ms_options *base)
{
    ms_err err;

    o->timeout_total = base->timeout_total;
    o->timeout_connect = base->timeout_connect;
    o->timeout_first_byte = base->timeout_first_byte;
    o->timeout_idle = base->timeout_idle;
    o->low_speed_limit = base->low_speed_limit;
    o->low_speed_time = base->low_speed_time;
    o->max_send_speed = base->max_send_speed;
    o->max_recv_speed = base->max_recv_speed;
    o->max_body = base->max_body;
    o->max_body_set = base->max_body_set;
    o->max_header_size = base->max_header_size;
    o->resume_from = base->resume_from;
    o->tcp_nodelay = base->tcp_nodelay;
    o->decompress = base->decompress;
    o->fresh_connection = base->fresh_connection;
    o->expect_continue = base->expect_continue;
    o->version = base->version;
    o->has_body = base->has_body;
    o->lent_body = base->lent_body;
    o->cookies = base->cookies;
    o->jar = ms_jar_ref(base->jar);
    if ((err = copy_way(o, base)) || (err = copy_policies(o, base)) ||
        (err = copy_string(&o->method, &base->method)) ||
        (err = copy_string(&o->body, &base->body)) ||
        (err = copy_string(&o->user_agent, &base->user_agent)) ||
        (err = copy_string(&o->priority, &base->priority)) ||
        (err = copy_string(&o->range, &base->range)) ||
        (err = ms_tls_settings_copy(&o->tls, &base->tls)) ||
        (err = ms_auth_settings_copy(&o->auth, &base->auth)) ||
        (err = copy_fields(&o->headers, &base->headers)))
        return err;
    return copy_fields(&o->removed, &base->removed);
}

static void set_defaults(struct ms_options *o)
{
    o->timeout_total = -1;
    o->timeout_connect = DEFAULT_CONNECT_MS;
    o->timeout_first_byte = o->timeout_idle = -1;
    o->low_speed_limit = o->max_send_speed = o->max_recv_speed = -1;
    o->low_speed_time = DEFAULT_LOW_SPEED_MS;
    o->max_body = DEFAULT_MAX_BODY;
    o->max_header_size = DEFAULT_MAX_HEADER_SIZE;
    o->resume_from = -1;
    o->tcp_nodelay = o->tcp_keepalive = o->decompress = true;
    o->redirect = DEFAULT_REDIRECTS;
    o->retry_max_delay = DEFAULT_RETRY_DELAY_MS;
    o->retry_budget = DEFAULT_RETRY_BUDGET;
    memcpy(o->way, ms_route_defaults.number, sizeof(o->way));
}

ms_err ms_options_new(struct ms_options **out, const struct ms_options *base)
{
    struct ms_options *o = ms_zalloc(sizeof(*o));
    ms_err err = MS_OK;

    if (!o)
        return MS_ENOMEM;
    o->refs = 1;
    ms_tls_settings_init(&o->tls);
    if (base)
        err = copy_from(o, base);
    else
        set_defaults(o);
    if (err) {
        ms_options_free(o);
        return err;
    }
    *out = o;
    return MS_OK;
}

void ms_options_free(struct ms_options *o)
{
    if (!o || --o->refs)
        return;
    ms_buf_free(&o->method);
    ms_buf_free(&o->body);
    ms_buf_free(&o->user_agent);
    ms_buf_free(&o->priority);
    ms_buf_free(&o->range);
    ms_buf_free(&o->retry_status);
    ms_buf_free(&o->retry_methods);
    ms_fields_free(&o->headers);
    ms_fields_free(&o->removed);
    ms_fields_free(&o->sent);
    for (size_t i = 0; i < MS_ROUTE_TEXTS; i++)
        ms_buf_free(&o->way_text[i]);
    ms_jar_free(o->jar);
    ms_guard_unref(o->guard);
    ms_resolve_hook_unref(o->hook);
    ms_first_use_unref(o->use);
    ms_route_unref(o->route);
    ms_tls_settings_free(&o->tls);
    ms_auth_settings_free(&o->auth);
    ms_tls_profile_free(o->tls_profile);
    ms_free(o);
}

/* The member of an option that may be set now, NULL otherwise. */
static void *member_of(struct ms_options *o, enum ms_option id,
                       enum ms_option_type type)
{
    size_t i = (size_t)id;

    if (o->frozen || i >= MS_OPT_COUNT || table[i].info.type != type)
        return NULL;
    return (char *)o + table[i].member;
}

/* Of these there is always a limit: without one a loop would go on for ever. */
static bool is_count(enum ms_option id)
{
    return id == MS_OPT_REDIRECT || id == MS_OPT_RETRY_MAX;
}

ms_err ms_options_set_int(struct ms_options *o, enum ms_option id,
                          int64_t value)
{
    int64_t *member = member_of(o, id, MS_TYPE_INT);

    if (!member)
        return MS_EUSAGE;
    if ((value < table[id].info.least && (value != -1 || is_count(id))) ||
        (id == MS_OPT_IP && value != 4 && value != 6 && value != -1))
        return MS_EOPTION;
    *member = value < MS_MOST ? value : MS_MOST;
    o->max_body_set |= id == MS_OPT_MAX_BODY;
    return MS_OK;
}

ms_err ms_options_set_bool(struct ms_options *o, enum ms_option id, bool value)
{
    bool *member = member_of(o, id, MS_TYPE_BOOL);

    if (!member)
        return MS_EUSAGE;
    *member = value;
    return MS_OK;
}

static ms_err set_version(struct ms_options *o, struct ms_span value)
{
    static const char *const names[] = {
        [MS_VERSION_AUTO] = "auto",
        [MS_VERSION_1_1] = "1.1",
        [MS_VERSION_2] = "2",
        [MS_VERSION_2_PRIOR] = "2-prior-knowledge",
    };

    if (o->frozen)
        return MS_EUSAGE;
    for (size_t i = 0; i < MS_COUNT(names); i++)
        if (ms_span_equal(value, ms_span_text(names[i]))) {
            o->version = (uint8_t)i;
            return MS_OK;
        }
    return MS_EOPTION;
}

/* Lifetimes of what was set now begin when that is used. */
static ms_err count_anew(struct ms_options *o)
{
    struct ms_first_use *use = NULL;
    ms_err err = MS_OK;

    if (ms_route_has_lifetimes(ms_buf_span(&o->way_text[MS_ROUTE_RESOLVE])))
        err = ms_first_use_new(&use);
    if (err)
        return err;
    ms_first_use_unref(o->use);
    o->use = use;
    return MS_OK;
}

ms_err ms_options_set_string(struct ms_options *o, enum ms_option id,
                             const char *value, size_t n)
{
    if (id == MS_OPT_VERSION)
        return set_version(o, value ? ms_span(value, n) : MS_SPAN("auto"));

    struct ms_buf *member = member_of(o, id, MS_TYPE_STRING);

    if (!member)
        member = member_of(o, id, MS_TYPE_LIST);
    if (!member)
        return MS_EUSAGE;
    if (id == MS_OPT_BODY)
        o->lent_body = ms_span(NULL, 0);
    if (!value) {
        ms_buf_free(member);
        return MS_OK;
    }
    ms_err err = set_string(member, ms_span(value, n));
    if (!err && id == MS_OPT_BODY)
        o->has_body = true;
    if (!err && id == MS_OPT_RESOLVE)
        err = count_anew(o);
    return err;
}

ms_err ms_options_lend_body(struct ms_options *o, const char *value, size_t n)
{
    if (MS_MUTANT_IS(343))
        return ms_options_set_string(o, MS_OPT_BODY, value, n);
    ms_err err = ms_options_set_string(o, MS_OPT_BODY, "", 0);

    if (!err && n)
        o->lent_body = ms_span(value, n);
    return err;
}

ms_err ms_options_guard(struct ms_options *o, ms_address_cb *allow, void *user,
                        const void *identity, void (*release)(void *user))
{
    struct ms_guard *g = NULL;

    if (o->frozen)
        return MS_EUSAGE;
    if (allow && !(g = ms_alloc(sizeof(*g))))
        return MS_ENOMEM;
    if (g)
        *g = (struct ms_guard){1, allow, user, identity, release};
    ms_guard_unref(o->guard);
    o->guard = g;
    return MS_OK;
}

ms_err ms_options_resolver(struct ms_options *o, ms_resolver_cb *ask,
                           void *user, const void *identity,
                           void (*release)(void *user))
{
    struct ms_resolve_hook *h = NULL;

    if (o->frozen)
        return MS_EUSAGE;
    if (ask && !(h = ms_alloc(sizeof(*h))))
        return MS_ENOMEM;
    if (h)
        *h = (struct ms_resolve_hook){1, ask, user, identity, release};
    ms_resolve_hook_unref(o->hook);
    o->hook = h;
    return MS_OK;
}

ms_err ms_options_jar(struct ms_options *o, struct ms_jar *jar)
{
    if (o->frozen)
        return MS_EUSAGE;
    ms_jar_ref(jar);
    ms_jar_free(o->jar);
    o->jar = jar;
    o->cookies = jar != NULL;
    return MS_OK;
}

/* Takes every field of that name out, by emptying its name: the text block
 * does not shrink, and a set is made once. */
static void kill_fields(struct ms_fields *f, struct ms_span name)
{
    for (size_t i = 0; (i = ms_fields_find(f, name, i)) != SIZE_MAX; i++)
        f->refs[i].name_len = 0;
}

ms_err ms_options_header(struct ms_options *o, enum ms_header_mode mode,
                         const char *name, size_t name_len, const char *value,
                         size_t value_len)
{
    struct ms_span n = ms_span(name, name_len);

    if (o->frozen || !name_len)
        return o->frozen ? MS_EUSAGE : MS_EOPTION;
    ms_err err = mode == MS_HEADER_REMOVE
                     ? ms_fields_add(&o->removed, n, MS_SPAN(""))
                     : ms_fields_add(&o->headers, n, ms_span(value, value_len));
    if (err)
        return err;
    if (mode != MS_HEADER_REMOVE)
        kill_fields(&o->removed, n);
    if (mode == MS_HEADER_ADD)
        return MS_OK;
    /* Everything of that name but what was just added. */
    size_t last = o->headers.count - 1;
    for (size_t i = 0; (i = ms_fields_find(&o->headers, n, i)) != SIZE_MAX; i++)
        if (mode == MS_HEADER_REMOVE || i != last)
            o->headers.refs[i].name_len = 0;
    return MS_OK;
}

static bool is_removed(const struct ms_options *o, struct ms_span name)
{
    return ms_fields_find(&o->removed, name, 0) != SIZE_MAX;
}

static ms_err add_line(struct ms_options *o, struct ms_span name,
                       struct ms_span value)
{
    return ms_fields_add_line(&o->sent, name, value);
}

static ms_err add_default(struct ms_options *o, struct ms_span name,
                          struct ms_span value)
{
    if (ms_fields_find(&o->headers, name, 0) != SIZE_MAX || is_removed(o, name))
        return MS_OK;
    return add_line(o, name, value);
}

/* Of coded bytes no part is of use: who asks for one gets it as it is. */
static ms_err add_codings(struct ms_options *o)
{
    if (!o->decompress || o->part.set ||
        ms_fields_find(&o->headers, MS_SPAN("range"), 0) != SIZE_MAX)
        return MS_OK;
    return add_default(o, MS_SPAN("Accept-Encoding"),
                       MS_SPAN(MS_DECODE_ACCEPT));
}

static ms_err add_range(struct ms_options *o)
{
    char text[MS_RANGE_TEXT];

    if (!o->part.set)
        return MS_OK;
    return add_default(o, MS_SPAN("Range"), ms_range_text(&o->part, text));
}

/* Which part of the body is asked for. */
static ms_err compile_part(struct ms_options *o)
{
    ms_err err = MS_OK;

    if (o->range.p && o->resume_from > 0) {
        o->why = "only one of range and resume_from can be given";
        return MS_EOPTION;
    }
    if (o->range.p)
        err = ms_range_parse(&o->part, ms_buf_span(&o->range));
    else if (o->resume_from > 0)
        o->part = (struct ms_range){
            .set = true, .rest = true, .from = o->resume_from, .to = -1};
    if (err)
        o->why = "a range is \"from-to\", \"from-\" or \"-last\"";
    return err;
}

static bool asks_to_close(struct ms_span value)
{
    struct ms_span item;

    while (ms_span_next_item(&value, &item))
        if (ms_span_equal_nocase(item, MS_SPAN("close")))
            return true;
    return false;
}

/* Framing is the engine's: a Content-Length has to agree with the body, and
 * a Transfer-Encoding cannot be sent by hand (RFC 9112, 6). */
static ms_err check_framing(const struct ms_options *o, struct ms_span name,
                            struct ms_span value, bool *is_framing)
{
    uint64_t n;

    *is_framing = false;
    if (ms_span_equal_nocase(name, MS_SPAN("transfer-encoding")))
        return MS_EHEADER;
    if (!ms_span_equal_nocase(name, MS_SPAN("content-length")))
        return MS_OK;
    *is_framing = true;
    if (!ms_span_decimal(value, INT64_MAX, &n) || n != ms_options_body(o).n)
        return MS_EHEADER;
    return MS_OK;
}

static ms_err add_user_field(struct ms_options *o, struct ms_span name,
                             struct ms_span value)
{
    bool is_framing;

    value = ms_span_trim(value);
    if (!ms_wire_is_token(name) || !ms_wire_is_value(value))
        return MS_EHEADER;
    ms_err err = check_framing(o, name, value, &is_framing);
    if (err || is_framing)
        return err;
    if (ms_span_equal_nocase(name, MS_SPAN("host"))) {
        if (o->host.p || !value.n)
            return MS_EHEADER;
        o->host = value;
        return MS_OK;
    }
    if (ms_span_equal_nocase(name, MS_SPAN("connection")))
        o->close |= asks_to_close(value);
    return add_line(o, name, value);
}

static ms_err compile_route(struct ms_options *o)
{
    struct ms_route_spec spec = {
        .guard = o->guard, .hook = o->hook, .use = o->use};

    memcpy(spec.number, o->way, sizeof(spec.number));
    spec.number[MS_ROUTE_KEEPALIVE] = o->tcp_keepalive;
    for (size_t i = 0; i < MS_ROUTE_TEXTS; i++)
        spec.text[i] = ms_buf_span(&o->way_text[i]);
    return ms_route_new(&o->route, &spec);
}

/* A line by hand, or that there is to be none, comes before all options. */
static ms_err add_authorization(struct ms_options *o)
{
    struct ms_span name = MS_SPAN("Authorization");
    struct ms_buf value = {0};
    ms_err err = ms_auth_settings_value(&o->auth, &value, &o->why);

    o->authorized =
        ms_fields_find(&o->headers, name, 0) != SIZE_MAX || is_removed(o, name);
    if (!err && ms_buf_len(&value) && !o->authorized)
        err = add_line(o, name, ms_buf_span(&value));
    ms_buf_free(&value);
    return err;
}

static struct ms_span retried_statuses(const struct ms_options *o)
{
    return o->retry_status.p ? ms_buf_span(&o->retry_status)
                             : MS_SPAN(DEFAULT_RETRY_STATUS);
}

static ms_err check_retry(struct ms_options *o)
{
    struct ms_span list = ms_buf_span(&o->retry_status), item;
    uint64_t status;

    if (MS_LIKELY(!o->retry_status.p && !o->retry_methods.p))
        return MS_OK;
    o->why = "retry.status is a list of statuses, 100 to 599";
    while (ms_span_next_item(&list, &item))
        if (!ms_span_decimal(item, 599, &status) || status < 100)
            return MS_EOPTION;
    list = ms_buf_span(&o->retry_methods);
    o->why = "retry.methods is a list of methods";
    while (ms_span_next_item(&list, &item))
        if (!ms_wire_is_token(item))
            return MS_EOPTION;
    o->why = NULL;
    return MS_OK;
}

/* Checks and renders the request's fields. */
static ms_err compile(struct ms_options *o)
{
    struct ms_span agent = o->user_agent.p ? ms_buf_span(&o->user_agent)
                                           : MS_SPAN("multisocket/" MS_VERSION);
    ms_err err;

    o->watched = o->timeout_first_byte >= 0 || o->timeout_idle >= 0 ||
                 o->low_speed_limit >= 0 || o->expect_continue;
    o->paced = o->max_send_speed >= 0 || o->max_recv_speed >= 0;
    if (ms_options_sends_body(o))
        snprintf(o->length_text, sizeof(o->length_text), "%zu",
                 ms_options_body(o).n);
    /* CONNECT makes a tunnel: what follows its answer is no response. */
    if (!ms_wire_is_token(ms_options_method(o)) ||
        ms_span_equal(ms_options_method(o), MS_SPAN("CONNECT")))
        return MS_EOPTION;
    if (!ms_wire_is_value(agent) ||
        !ms_wire_is_value(ms_buf_span(&o->priority)))
        return MS_EHEADER;
    if ((err = ms_buf_reserve(&o->sent.text, USUAL_BLOCK)))
        return err;
    if ((agent.n && (err = add_default(o, MS_SPAN("User-Agent"), agent))) ||
        (err = add_default(o, MS_SPAN("Accept"), MS_SPAN("*/*"))) ||
        (err = add_codings(o)) || (err = add_range(o)) ||
        (o->priority.p && (err = add_default(o, MS_SPAN("Priority"),
                                             ms_buf_span(&o->priority)))) ||
        (err = add_authorization(o)))
        return err;
    for (uint32_t i = 0; i < o->headers.count; i++) {
        struct ms_span name = ms_fields_name(&o->headers, i);
        if (!name.n)
            continue;
        err = add_user_field(o, name, ms_fields_value(&o->headers, i));
        if (err)
            return err;
    }
    return MS_OK;
}

void ms_options_freeze(struct ms_options *o)
{
    o->frozen = true;
    o->guided =
        o->retry_max > 0 || o->cookies || ms_auth_settings_ask(&o->auth);
    o->err = check_retry(o);
    if (!o->err)
        o->err = compile_part(o);
    if (!o->err)
        o->err = compile(o);
    if (!o->err)
        o->err = compile_route(o);
    if (!o->err)
        o->err = ms_tls_profile_new(&o->tls_profile, &o->tls, &o->why);
}

struct ms_span ms_options_method(const struct ms_options *o)
{
    if (o->method.p)
        return ms_buf_span(&o->method);
    return o->has_body ? MS_SPAN("POST") : MS_SPAN("GET");
}

/* Methods whose requests are expected to have a body say so even when it is
 * empty (RFC 9110, 8.6). */
bool ms_options_sends_body(const struct ms_options *o)
{
    struct ms_span m = ms_options_method(o);

    return o->has_body || ms_span_equal(m, MS_SPAN("POST")) ||
           ms_span_equal(m, MS_SPAN("PUT")) ||
           ms_span_equal(m, MS_SPAN("PATCH"));
}

bool ms_method_is_idempotent(struct ms_span m)
{
    static const char *const methods[] = {"GET",    "HEAD",    "PUT",
                                          "DELETE", "OPTIONS", "TRACE"};

    for (size_t i = 0; i < MS_COUNT(methods); i++)
        if (ms_span_equal(m, ms_span_text(methods[i])))
            return true;
    return false;
}

bool ms_options_idempotent(const struct ms_options *o)
{
    return ms_method_is_idempotent(ms_options_method(o));
}

bool ms_options_retries_method(const struct ms_options *o, struct ms_span m)
{
    struct ms_span list = ms_buf_span(&o->retry_methods), item;

    if (!o->retry_methods.p)
        return ms_method_is_idempotent(m);
    while (ms_span_next_item(&list, &item))
        if (ms_span_equal(item, m))
            return true;
    return false;
}

bool ms_options_retries_status(const struct ms_options *o, unsigned status)
{
    struct ms_span list = retried_statuses(o), item;
    uint64_t n;

    while (ms_span_next_item(&list, &item))
        if (ms_span_decimal(item, 599, &n) && n == status)
            return true;
    return false;
}
