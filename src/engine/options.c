/* SPDX-License-Identifier: MIT */
#include "engine/options.h"

#include <assert.h>

#include "base/mem.h"

/* A connection that is not up by then hardly ever comes up later. */
#define DEFAULT_CONNECT_MS 30000
/* Collecting more into one string is a mistake more often than a wish. */
#define DEFAULT_MAX_BODY (INT64_C(1) << 30)
/* curl's advice for --speed-time. */
#define DEFAULT_LOW_SPEED_MS 30000
/* Chrome's limit for one response head. */
#define DEFAULT_MAX_HEADER_SIZE (256 * 1024)

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
    X(RETRY_MAX_DELAY, "retry.max_delay", INT, 1, retry_max_delay, SAME)       \
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

/* ---- texts --------------------------------------------------------------- */

/* The text of the option at `i`, NULL when it is none. */
static struct ms_buf *text_at(struct ms_options *o, size_t i)
{
    enum ms_option_type type = table[i].info.type;

    if ((type != MS_TYPE_STRING && type != MS_TYPE_LIST) || i == MS_OPT_VERSION)
        return NULL;
    return (struct ms_buf *)(void *)((char *)o + table[i].member);
}

static bool is_lent(const struct ms_options *o, const struct ms_buf *text)
{
    size_t member = (size_t)((const char *)text - (const char *)o);

    if (!o->lender || !text->p)
        return false;
    const struct ms_buf *same =
        (const void *)((const char *)o->lender + member);
    return same->p == text->p;
}

/* The text that is to be set: what the lender has stays as it is. */
static struct ms_buf *own_text(struct ms_options *o, struct ms_buf *text)
{
    if (is_lent(o, text))
        *text = (struct ms_buf){0};
    o->has_own_texts = true;
    return text;
}

static void free_texts(struct ms_options *o)
{
    if (!o->has_own_texts)
        return;
    for (size_t i = 0; i < MS_OPT_COUNT; i++) {
        struct ms_buf *text = text_at(o, i);
        if (text && !is_lent(o, text))
            ms_buf_free(text);
    }
    o->has_own_texts = false;
}

/* `o` is a copy, byte by byte, of a set that has texts of its own. MS_ENOMEM
 * leaves those empty that were not copied. */
static ms_err copy_texts(struct ms_options *o)
{
    ms_err err = MS_OK;

    for (size_t i = 0; i < MS_OPT_COUNT; i++) {
        struct ms_buf *text = text_at(o, i);
        if (!text || !text->p || is_lent(o, text))
            continue;
        struct ms_span s = ms_buf_span(text);
        *text = (struct ms_buf){0};
        if (!err)
            err = set_string(text, s);
    }
    return err;
}

/* ---- sets ---------------------------------------------------------------- */

static void set_defaults(struct ms_options *o)
{
    *o = (struct ms_options){.refs = 1};
    ms_tls_settings_init(&o->tls);
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

/* A set that changes no more lends its texts, unless it borrows some. */
static struct ms_options *lender_for(struct ms_options *base)
{
    if (base->lender)
        base = base->lender;
    if (!base->frozen)
        return NULL;
    base->refs++;
    return base;
}

/* What the base made of its settings of route and TLS holds for the copy until
 * one of those is set. */
static void inherit_way(struct ms_options *o, const struct ms_options *base)
{
    if (!base->frozen || base->err)
        return;
    o->same_way = true;
    o->route = ms_route_ref(base->route);
    o->tls_profile = ms_tls_profile_use(base->tls_profile);
}

static void forget_way(struct ms_options *o)
{
    ms_route_unref(o->route);
    ms_tls_profile_free(o->tls_profile);
    o->same_way = false;
    o->route = NULL;
    o->tls_profile = NULL;
}

/* `o` has no settings, or never had any. The memory of its fields is kept. */
static ms_err copy_from(struct ms_options *o, struct ms_options *base)
{
    struct ms_fields headers = o->headers, removed = o->removed;
    struct ms_fields sent = o->asked.sent;

    memcpy(o, base, MS_OPTIONS_AS_SET);
    memset((char *)o + MS_OPTIONS_AS_SET, 0, sizeof(*o) - MS_OPTIONS_AS_SET);
    o->refs = 1;
    o->frozen = o->once = false;
    o->headers = headers;
    o->removed = removed;
    o->asked.sent = sent;
    o->lender = lender_for(base);
    ms_guard_ref(o->guard);
    ms_resolve_hook_ref(o->hook);
    ms_first_use_ref(o->use);
    ms_jar_ref(o->jar);
    inherit_way(o, base);
    o->has_own_texts = o->lender != base;
    ms_err err = o->has_own_texts ? copy_texts(o) : MS_OK;
    if (!err)
        err = copy_fields(&o->headers, &base->headers);
    return err ? err : copy_fields(&o->removed, &base->removed);
}

/* All but the fields. */
static void drop_settings(struct ms_options *o)
{
    free_texts(o);
    ms_options_free(o->lender);
    ms_jar_free(o->jar);
    ms_guard_unref(o->guard);
    ms_resolve_hook_unref(o->hook);
    ms_first_use_unref(o->use);
    forget_way(o);
}

ms_err ms_options_new(struct ms_options **out, struct ms_options *base)
{
    struct ms_options *o = ms_alloc(sizeof(*o));
    ms_err err = MS_OK;

    if (!o)
        return MS_ENOMEM;
    if (base) {
        o->headers = o->removed = o->asked.sent = (struct ms_fields){0};
        err = copy_from(o, base);
    } else {
        set_defaults(o);
    }
    if (err) {
        ms_options_free(o);
        return err;
    }
    *out = o;
    return MS_OK;
}

ms_err ms_options_renew(struct ms_options *o, struct ms_options *base)
{
    assert(o->refs == 1 && o != base);

    drop_settings(o);
    ms_fields_clear(&o->headers);
    ms_fields_clear(&o->removed);
    ms_fields_clear(&o->asked.sent);
    ms_err err = copy_from(o, base);
    if (err)
        ms_options_free(o);
    return err;
}

void ms_options_free(struct ms_options *o)
{
    if (!o || --o->refs)
        return;
    drop_settings(o);
    ms_fields_free(&o->headers);
    ms_fields_free(&o->removed);
    ms_fields_free(&o->asked.sent);
    ms_free(o);
}

/* The member of an option that may be set now, NULL otherwise. */
static void *member_of(struct ms_options *o, enum ms_option id,
                       enum ms_option_type type)
{
    size_t i = (size_t)id;

    if (o->frozen || i >= MS_OPT_COUNT || table[i].info.type != type)
        return NULL;
    if (o->same_way && table[i].info.scope != MS_SCOPE_SAME)
        forget_way(o);
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
    member = own_text(o, member);
    if (!value) {
        ms_buf_free(member);
        o->has_body &= id != MS_OPT_BODY;
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
    forget_way(o);
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
    forget_way(o);
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
    ms_err err;

    if (o->frozen || !name_len)
        return o->frozen ? MS_EUSAGE : MS_EOPTION;
    if (mode == MS_HEADER_REMOVE) {
        err = ms_fields_add(&o->removed, n, MS_SPAN(""));
        if (!err)
            kill_fields(&o->headers, n);
        return err;
    }
    if ((err = ms_fields_reserve(&o->headers, name_len, value_len)))
        return err;
    kill_fields(&o->removed, n);
    if (mode == MS_HEADER_SET)
        kill_fields(&o->headers, n);
    return ms_fields_add(&o->headers, n, ms_span(value, value_len));
}

ms_err ms_options_no_headers(struct ms_options *o)
{
    if (o->frozen)
        return MS_EUSAGE;
    ms_fields_clear(&o->headers);
    ms_fields_clear(&o->removed);
    return MS_OK;
}

struct ms_span ms_options_method(const struct ms_options *o)
{
    if (o->method.p)
        return ms_buf_span(&o->method);
    return o->has_body ? MS_SPAN("POST") : MS_SPAN("GET");
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

static struct ms_span retried_statuses(const struct ms_options *o)
{
    return o->retry_status.p ? ms_buf_span(&o->retry_status)
                             : MS_SPAN(DEFAULT_RETRY_STATUS);
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
