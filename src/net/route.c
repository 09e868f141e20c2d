/* SPDX-License-Identifier: MIT */
#include "net/route.h"

#include <assert.h>

#include "base/mem.h"
#include "net/addr_policy.h"
#include "net/resolve_cache.h"

/* More than anybody waits, and far from where numbers overflow. */
#define MOST_MS    86400000
#define MOST_TRIES 100
/* The same for seconds: a year. */
#define MOST_LIFETIME_S 31536000

const struct ms_route_spec ms_route_defaults = {
    .number = {[MS_ROUTE_IP] = -1,
               [MS_ROUTE_DELAY_MS] = MS_ROUTE_DELAY_DEFAULT_MS,
               [MS_ROUTE_KEEPALIVE] = 1,
               [MS_ROUTE_DNS_TIMEOUT_MS] = -1,
               [MS_ROUTE_DNS_TRIES] = -1,
               [MS_ROUTE_DNS_CACHE_MS] = MS_CACHE_MOST_MS},
};

struct ms_guard *ms_guard_ref(struct ms_guard *g)
{
    if (g)
        g->refs++;
    return g;
}

void ms_guard_unref(struct ms_guard *g)
{
    if (!g || --g->refs)
        return;
    if (g->release)
        g->release(g->user);
    ms_free(g);
}

ms_err ms_first_use_new(struct ms_first_use **out)
{
    *out = ms_zalloc(sizeof(**out));
    if (!*out)
        return MS_ENOMEM;
    (*out)->refs = 1;
    return MS_OK;
}

struct ms_first_use *ms_first_use_ref(struct ms_first_use *u)
{
    if (u)
        u->refs++;
    return u;
}

void ms_first_use_unref(struct ms_first_use *u)
{
    if (u && !--u->refs)
        ms_free(u);
}

/* ---- the texts ----------------------------------------------------------- */

/* Takes what stands before the next `end` off `rest`; false at the end. */
static bool take(struct ms_span *rest, char end, struct ms_span *out)
{
    if (!rest->n)
        return false;
    const char *at = memchr(rest->p, end, rest->n);
    out->p = rest->p;
    out->n = at ? (size_t)(at - rest->p) : rest->n;
    size_t gone = out->n + (at != NULL);
    rest->p += gone;
    rest->n -= gone;
    return true;
}

static bool parse_port(struct ms_span s, uint16_t *port)
{
    uint64_t n;

    if (!ms_span_decimal(s, UINT16_MAX, &n) || !n)
        return false;
    *port = (uint16_t)n;
    return true;
}

/* "host", "host:port", "::1", "[::1]" or "[::1]:port". */
static bool parse_host(struct ms_span s, struct ms_route_host *out)
{
    bool bracket = s.n && s.p[0] == '[';
    const char *end = bracket ? memchr(s.p, ']', s.n) : memchr(s.p, ':', s.n);
    size_t before;

    *out = (struct ms_route_host){.name = s};
    if (bracket && !end)
        return false;
    if (!end ||
        (!bracket && memchr(end + 1, ':', s.n - (size_t)(end + 1 - s.p))))
        return s.n > 0;
    before = (size_t)(end - s.p);
    out->name = bracket ? ms_span(s.p + 1, before - 1) : ms_span(s.p, before);
    s = ms_span(end + bracket, s.n - before - bracket);
    if (!s.n)
        return out->name.n > 0;
    return out->name.n && s.p[0] == ':' &&
           parse_port(ms_span(s.p + 1, s.n - 1), &out->port);
}

struct entry {
    struct ms_route_host host;
    struct ms_span value;
    uint64_t lifetime_s; /* 0: it holds for ever */
};

/* Takes ";seconds" off the end of `value`. */
static bool take_lifetime(struct ms_span *value, uint64_t *seconds)
{
    struct ms_span front;

    *seconds = 0;
    if (!memchr(value->p, ';', value->n))
        return true;
    if (!take(value, ';', &front) || !front.n ||
        !ms_span_decimal(*value, MOST_LIFETIME_S, seconds))
        return false;
    *value = front;
    return *seconds > 0;
}

/* Takes an entry off `rest`; false when there is none or it is nonsense,
 * which leaves `rest` not empty. */
static bool take_entry(struct ms_span *rest, struct entry *out)
{
    struct ms_span copy = *rest, line, host;

    if (!take(&copy, '\n', &line) || !take(&line, '=', &host) || !line.n ||
        !parse_host(host, &out->host) ||
        !take_lifetime(&line, &out->lifetime_s))
        return false;
    out->value = line;
    *rest = copy;
    return true;
}

bool ms_route_has_lifetimes(struct ms_span resolve)
{
    return resolve.n && memchr(resolve.p, ';', resolve.n);
}

static bool is_override(const struct entry *e)
{
    struct ms_span value = e->value, item;
    struct ms_addr a;

    while (take(&value, ',', &item))
        if (!ms_addr_parse(item, &a))
            return false;
    return true;
}

static bool is_redirection(const struct entry *e)
{
    struct ms_route_host h;

    return !e->lifetime_s && parse_host(e->value, &h);
}

static bool are_entries(struct ms_span text,
                        bool is_good(const struct entry *e))
{
    struct entry e;

    while (take_entry(&text, &e))
        if (!is_good(&e))
            return false;
    return !text.n;
}

static bool parse_ports(struct ms_span s, struct ms_net_options *o)
{
    struct ms_span from;

    if (!s.n)
        return true;
    if (!take(&s, '-', &from) || !parse_port(from, &o->port_from))
        return false;
    o->port_to = o->port_from;
    return !s.n || (parse_port(s, &o->port_to) && o->port_to >= o->port_from);
}

/* Texts that the system is given end with their first NUL. */
static bool is_plain(struct ms_span s)
{
    return !s.n || !memchr(s.p, '\0', s.n);
}

/* What the first wrong text should be, NULL when there is none. */
static const char *parse(const struct ms_span *text, struct ms_net_options *net)
{
    struct ms_span allow = text[MS_ROUTE_ALLOW], path = text[MS_ROUTE_UNIX];

    if (allow.n && !ms_span_equal(allow, MS_SPAN("public")) &&
        !ms_span_equal(allow, MS_SPAN("any")))
        return "allow_address is \"public\", \"any\" or a function";
    if (!are_entries(text[MS_ROUTE_RESOLVE], is_override))
        return "resolve is a map from \"host\" or \"host:port\" to addresses";
    if (!are_entries(text[MS_ROUTE_CONNECT_TO], is_redirection))
        return "connect_to is a map from \"host\" or \"host:port\" to "
               "\"host:port\"";
    if (!is_plain(text[MS_ROUTE_SERVERS]))
        return "dns.servers is a list of \"address\" or \"address:port\"";
    if (!is_plain(text[MS_ROUTE_INTERFACE]))
        return "interface is a name or an address";
    if (!parse_ports(text[MS_ROUTE_LOCAL_PORT], net))
        return "local_port is a port, or the first and the last one";
    if (path.n && !ms_net_is_unix_path(path))
        return "unix_socket is too long, or has a NUL byte";
    return NULL;
}

const char *ms_route_flaw(const struct ms_route_spec *spec)
{
    struct ms_net_options net = {0};

    return parse(spec->text, &net);
}

/* ---- routes -------------------------------------------------------------- */

/* Its own where there is none, which nobody else has. */
static const void *identity_of_guard(const struct ms_route_spec *s)
{
    if (!s->guard)
        return NULL;
    return s->guard->identity ? s->guard->identity : s->guard;
}

static const void *identity_of_hook(const struct ms_route_spec *s)
{
    if (!s->hook)
        return NULL;
    return s->hook->identity ? s->hook->identity : s->hook;
}

static bool same_spec(const struct ms_route_spec *a,
                      const struct ms_route_spec *b)
{
    if (memcmp(a->number, b->number, sizeof(a->number)) != 0)
        return false;
    for (size_t i = 0; i < MS_ROUTE_TEXTS; i++)
        if (!ms_span_equal(a->text[i], b->text[i]))
            return false;
    return identity_of_guard(a) == identity_of_guard(b) &&
           identity_of_hook(a) == identity_of_hook(b);
}

static uint32_t hash_of(const struct ms_route_spec *s)
{
    uint32_t hash =
        ms_span_hash(ms_span((const char *)s->number, sizeof(s->number)), 0);

    for (size_t i = 0; i < MS_ROUTE_TEXTS; i++)
        hash = ms_span_hash(s->text[i], hash);
    return hash;
}

static struct ms_route *copy(const struct ms_route_spec *spec)
{
    size_t bytes = 0;

    for (size_t i = 0; i < MS_ROUTE_TEXTS; i++)
        bytes += spec->text[i].n + 1;
    struct ms_route *r = ms_zalloc(sizeof(*r) + bytes);
    if (!r)
        return NULL;
    char *at = (char *)(r + 1);
    r->refs = 1;
    r->spec = *spec;
    ms_guard_ref(spec->guard);
    ms_resolve_hook_ref(spec->hook);
    ms_first_use_ref(spec->use);
    for (size_t i = 0; i < MS_ROUTE_TEXTS; i++) {
        struct ms_span *s = &r->spec.text[i];
        if (s->n)
            memcpy(at, s->p, s->n);
        s->p = at;
        at += s->n + 1;
    }
    return r;
}

static const char *text_or_null(const struct ms_route *r, enum ms_route_text i)
{
    return r->spec.text[i].n ? r->spec.text[i].p : NULL;
}

/* 0 is what the resolver takes for its own. */
static int at_most(const struct ms_route *r, enum ms_route_number i, int most)
{
    int64_t n = r->spec.number[i];

    if (n < 0)
        return 0;
    return n < most ? (int)n : most;
}

static void compile(struct ms_route *r)
{
    int64_t cache = r->spec.number[MS_ROUTE_DNS_CACHE_MS];

    r->hash = hash_of(&r->spec);
    r->public_only =
        ms_span_equal(r->spec.text[MS_ROUTE_ALLOW], MS_SPAN("public"));
    r->net.keepalive = r->spec.number[MS_ROUTE_KEEPALIVE];
    r->delay_ms = r->spec.number[MS_ROUTE_DELAY_MS] < 0
                      ? -1
                      : at_most(r, MS_ROUTE_DELAY_MS, MOST_MS);
    r->net.interface = text_or_null(r, MS_ROUTE_INTERFACE);
    r->dns = (struct ms_resolver_config){
        .hook = r->spec.hook,
        .servers = text_or_null(r, MS_ROUTE_SERVERS),
        .timeout_ms = at_most(r, MS_ROUTE_DNS_TIMEOUT_MS, MOST_MS),
        .tries = at_most(r, MS_ROUTE_DNS_TRIES, MOST_TRIES),
        .cache_ms = cache < 0 ? -1 : at_most(r, MS_ROUTE_DNS_CACHE_MS, MOST_MS),
    };
}

ms_err ms_route_new(struct ms_route **out, const struct ms_route_spec *spec)
{
    *out = NULL;
    if (same_spec(spec, &ms_route_defaults))
        return MS_OK;
    struct ms_route *r = copy(spec);
    if (!r)
        return MS_ENOMEM;
    if (parse(r->spec.text, &r->net)) {
        ms_route_unref(r);
        return MS_EOPTION;
    }
    compile(r);
    *out = r;
    return MS_OK;
}

struct ms_route *ms_route_ref(struct ms_route *r)
{
    if (r)
        r->refs++;
    return r;
}

void ms_route_unref(struct ms_route *r)
{
    if (!r || --r->refs)
        return;
    ms_guard_unref(r->spec.guard);
    ms_resolve_hook_unref(r->spec.hook);
    ms_first_use_unref(r->spec.use);
    ms_free(r);
}

bool ms_route_same(const struct ms_route *a, const struct ms_route *b)
{
    if (a == b || !a || !b)
        return a == b;
    return a->hash == b->hash && same_spec(&a->spec, &b->spec);
}

uint32_t ms_route_hash(const struct ms_route *r)
{
    return r ? r->hash : 0;
}

/* ---- use ----------------------------------------------------------------- */

static struct ms_span without_brackets(struct ms_span s)
{
    if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
        return ms_span(s.p + 1, s.n - 2);
    return s;
}

/* The entry for `h` among those that hold for longer than `age_s`. False:
 * there is none. */
static bool find(struct ms_span text, const struct ms_route_host *h,
                 uint64_t age_s, struct entry *out)
{
    struct ms_span name = without_brackets(h->name);
    bool found = false;
    struct entry e;

    while (take_entry(&text, &e)) {
        if (!ms_span_equal_nocase(e.host.name, name))
            continue;
        if (e.lifetime_s && e.lifetime_s <= age_s)
            continue;
        if (e.host.port && e.host.port != h->port)
            continue;
        if (found && !e.host.port)
            continue;
        *out = e;
        found = true;
    }
    return found;
}

void ms_route_redirect(const struct ms_route *r, struct ms_route_host *h)
{
    struct ms_route_host to;
    struct entry e;

    if (!find(r->spec.text[MS_ROUTE_CONNECT_TO], h, 0, &e) ||
        !parse_host(e.value, &to))
        return;
    h->name = to.name;
    if (to.port)
        h->port = to.port;
}

void ms_route_renew(struct ms_route *shared, struct ms_route *own,
                    uint64_t now_us)
{
    struct ms_first_use *use = own->spec.use;

    if (!use->at_us)
        use->at_us = now_us;
    if (shared->begun_us < use->at_us)
        shared->begun_us = use->at_us;
}

size_t ms_route_lookup(const struct ms_route *r, const struct ms_route_host *h,
                       uint64_t now_us, struct ms_route_found *out)
{
    uint64_t begun_us = r->begun_us < now_us ? r->begun_us : now_us;
    struct ms_span item;
    struct entry e;

    out->count = 0;
    if (!find(r->spec.text[MS_ROUTE_RESOLVE], h, (now_us - begun_us) / 1000000u,
              &e))
        return 0;
    while (out->count < MS_COUNT(out->list) && take(&e.value, ',', &item))
        out->count += ms_addr_parse(item, &out->list[out->count]);
    return out->count;
}

ms_err ms_route_check(const struct ms_route *r, struct ms_multi *multi,
                      const struct ms_addr *a)
{
    const struct ms_guard *g = r->spec.guard;
    char text[MS_ADDR_TEXT];

    if (r->public_only && !ms_addr_is_public(a) && !MS_MUTANT_IS(428))
        return MS_EADDRESS;
    if (!g || MS_MUTANT_IS(427))
        return MS_OK;
    return g->allow(multi, g->user, ms_addr_host_text(a, text),
                    ms_addr_port(a));
}
