/* SPDX-License-Identifier: MIT */
#include "net/resolve.h"

#include <assert.h>

#include "base/map.h"
#include "base/mem.h"
#include "net/hosts.h"
#include "net/resolve_cache.h"
#include "net/resolve_channel.h"
#include "net/resolve_name.h"

#define DEFAULT_HOSTS_FILE  "/etc/hosts"
#define DEFAULT_RESOLV_CONF "/etc/resolv.conf"
#define DEFAULT_TIMEOUT_MS  2000
#define DEFAULT_TRIES       3

/* Lookups asked and not yet answered or repeated. Each is two questions, and
 * more replies at once than this would overflow the receive buffer that
 * Linux gives a UDP socket, with two seconds lost for each one dropped. */
#define MAX_FRESH 64

enum { FAMILY_V4, FAMILY_V6, FAMILIES };

static const sa_family_t families[FAMILIES] = {AF_INET, AF_INET6};

/* One name on its way through DNS: waiting for its turn, then asked under one
 * candidate after the other. */
struct ms_lookup {
    struct ms_map_node node; /* in resolver->in_flight */
    struct ms_list turn;     /* on resolver->waiting or resolver->fresh */
    struct ms_list askers;   /* of struct ms_asker */
    struct ms_grave grave;
    struct ms_resolver *resolver;
    struct ms_channel *channel;             /* NULL while it waits */
    struct ms_dns_answer answers[FAMILIES]; /* for those who join later */
    unsigned pending;      /* answers to come, of the present candidate */
    size_t next_candidate; /* number of the one to ask after it */
    uint64_t asked_us;     /* while fresh: when */
    bool is_fresh;         /* on resolver->fresh, not on ->waiting */
    enum ms_families families;
    size_t len;
    char name[]; /* lower case, NUL-terminated */
};

struct ms_resolver {
    struct ms_loop *loop;
    struct ms_hosts hosts;
    struct ms_channels channels;
    struct ms_hooked *hooked;         /* NULL: there is no hook */
    struct ms_resolver_config config; /* its strings are owned */
    struct ms_resolve_cache cache;
    struct ms_map in_flight; /* of struct ms_lookup, by name */
    struct ms_list waiting;  /* lookups not asked yet, oldest first */
    struct ms_list fresh;    /* lookups just asked, oldest first */
    unsigned fresh_count;
    struct ms_list telling;   /* of struct ms_asker: in a callback just now */
    struct ms_timer patience; /* while some wait: the oldest fresh one's */
    uint64_t lookups;
    struct ms_grave grave;
    bool closed; /* freed at the exit */
};

/* ---- askers ------------------------------------------------------------- */

/* Gives addresses to everybody on `askers`, who may leave, join and cancel
 * others meanwhile. */
static void hand_on(struct ms_list *askers, const struct ms_addr *list,
                    size_t count)
{
    struct ms_list now, *node;

    ms_list_init(&now);
    ms_list_splice(&now, askers);
    while ((node = ms_list_pop(&now))) {
        struct ms_asker *a = MS_CONTAINER(node, struct ms_asker, node);
        ms_list_push(askers, node);
        a->on_addresses(a, list, count);
    }
}

static void dismiss(struct ms_list *askers, ms_err err)
{
    struct ms_list *node;

    while ((node = ms_list_pop(askers))) {
        struct ms_asker *a = MS_CONTAINER(node, struct ms_asker, node);
        a->lookup = NULL;
        a->on_done(a, err);
    }
}

/* Gives addresses to one asker that is on no list. False: it cancelled; it
 * may be gone, or wait for something else. */
static bool tell(struct ms_resolver *r, struct ms_asker *a,
                 const struct ms_addr *list, size_t count)
{
    ms_list_push(&r->telling, &a->node);
    a->on_addresses(a, list, count);
    ms_list_each (node, &r->telling) {
        if (node != &a->node)
            continue;
        ms_list_unlink(node);
        return true;
    }
    return false;
}

/* Calls back at once; no addresses means that there is no such host. */
static void answer(struct ms_resolver *r, struct ms_asker *a,
                   const struct ms_addr *list, size_t count)
{
    if (!count || tell(r, a, list, count))
        a->on_done(a, count ? MS_OK : MS_EHOST);
}

/* A latecomer is given at once what the others have already. */
static void join(struct ms_lookup *l, struct ms_asker *a)
{
    a->lookup = l;
    for (int i = 0; i < FAMILIES; i++) {
        const struct ms_dns_answer *w = &l->answers[i];
        if (w->count && !tell(l->resolver, a, w->list, w->count))
            return;
    }
    ms_list_push(&l->askers, &a->node);
}

/* ---- lookups ------------------------------------------------------------ */

/* What is asked for, and how much of it: lookups of the same are one. */
struct question {
    struct ms_span name;
    enum ms_families families;
};

static struct ms_lookup *find_lookup(const struct ms_resolver *r,
                                     const struct question *q)
{
    uint32_t hash = ms_span_hash(q->name, (uint32_t)q->families);

    for (struct ms_map_node *n = ms_map_first(&r->in_flight, hash); n;
         n = ms_map_next(n)) {
        struct ms_lookup *l = MS_CONTAINER(n, struct ms_lookup, node);
        if (l->families == q->families &&
            ms_span_equal(ms_span(l->name, l->len), q->name))
            return l;
    }
    return NULL;
}

static ms_err new_lookup(struct ms_resolver *r, const struct question *q,
                         struct ms_lookup **out)
{
    struct ms_span name = q->name;
    struct ms_lookup *l = ms_zalloc(sizeof(*l) + name.n + 1);

    if (!l)
        return MS_ENOMEM;
    l->resolver = r;
    ms_list_init(&l->turn);
    ms_list_init(&l->askers);
    l->families = q->families;
    l->len = name.n;
    memcpy(l->name, name.p, name.n);
    ms_err err = ms_map_add(&r->in_flight, &l->node,
                            ms_span_hash(name, (uint32_t)q->families));
    if (err) {
        ms_free(l);
        return err;
    }
    ms_list_push(&r->waiting, &l->turn);
    *out = l;
    return MS_OK;
}

static bool is_wanted(const struct ms_lookup *l, int family)
{
    if (l->families == MS_RESOLVE_BOTH)
        return true;
    return (l->families == MS_RESOLVE_V4) == (family == FAMILY_V4);
}

/* Of a family that nobody wants there is none. */
static void clear_answers(struct ms_lookup *l)
{
    for (int i = 0; i < FAMILIES; i++) {
        ms_free(l->answers[i].list);
        l->answers[i] = (struct ms_dns_answer){0};
        if (!is_wanted(l, i))
            l->answers[i].err = MS_EHOST;
    }
}

static void free_lookup(struct ms_lookup *l)
{
    clear_answers(l);
    ms_free(l);
}

static void free_buried_lookup(struct ms_grave *g)
{
    free_lookup(MS_CONTAINER(g, struct ms_lookup, grave));
}

/* ---- the end of a lookup ------------------------------------------------- */

static void leave_channel(struct ms_lookup *l)
{
    struct ms_channel *ch = l->channel;

    l->channel = NULL;
    if (ch)
        ms_channel_put(&l->resolver->channels, ch);
}

static void end_turn(struct ms_lookup *l)
{
    if (l->is_fresh)
        l->resolver->fresh_count--;
    l->is_fresh = false;
    ms_list_unlink(&l->turn);
}

/* Nobody finds it any more. */
static void remove_lookup(struct ms_lookup *l)
{
    assert(l->pending == 0);

    end_turn(l);
    leave_channel(l);
    ms_map_remove(&l->resolver->in_flight, &l->node);
    ms_loop_bury(l->resolver->loop, &l->grave, free_buried_lookup);
}

static void finish(struct ms_lookup *l, ms_err err)
{
    MS_TRACE(&l->resolver->loop->trace, MS_TRACE_DNS, 0, 0, "done %s: %s",
             l->name, ms_err_code(err));
    remove_lookup(l);
    dismiss(&l->askers, err);
}

/* ---- the way of a lookup ------------------------------------------------ */

static void begin_turn(struct ms_lookup *l)
{
    struct ms_resolver *r = l->resolver;

    if (!l->is_fresh)
        r->fresh_count++;
    l->is_fresh = true;
    l->asked_us = r->loop->now_us;
    ms_list_push(&r->fresh, &l->turn);
}

/* MS_ENOMEM: not even one question went out. */
static ms_err ask(struct ms_lookup *l, const char *candidate)
{
    struct ms_resolver *r = l->resolver;

    MS_TRACE(&r->loop->trace, MS_TRACE_DNS, 0, 0, "ask %s for %s", candidate,
             l->name);
    begin_turn(l);
    clear_answers(l);
    for (int i = 0; i < FAMILIES; i++) {
        if (!is_wanted(l, i))
            continue;
        l->answers[i].err =
            ms_dns_ask(l->channel->dns, candidate, families[i], l);
        if (!l->answers[i].err)
            l->pending++;
    }
    return l->pending ? MS_OK : MS_ENOMEM;
}

/* How long the answers of both families hold. What one of them has not said
 * may be said the next time. */
static int64_t common_ttl_ms(const struct ms_lookup *l)
{
    int64_t ttl = INT64_MAX;

    for (int i = 0; i < FAMILIES; i++) {
        const struct ms_dns_answer *w = &l->answers[i];
        int64_t own = w->count ? w->ttl * INT64_C(1000) : ttl;
        if (w->err && w->err != MS_EHOST)
            own = MS_CACHE_NEGATIVE_MS;
        ttl = own < ttl ? own : ttl;
    }
    return ttl == INT64_MAX ? MS_CACHE_NEGATIVE_MS : ttl;
}

/* What is certain about the name, addresses or that there are none. */
static void remember(struct ms_lookup *l)
{
    const struct ms_dns_answer *v4 = &l->answers[FAMILY_V4];
    const struct ms_dns_answer *v6 = &l->answers[FAMILY_V6];

    /* What was said before the configuration changed is no news any more. */
    if (!ms_channel_is_current(&l->resolver->channels, l->channel))
        return;
    ms_resolve_cache_put(&l->resolver->cache,
                         &(struct ms_cache_news){
                             .name = ms_span(l->name, l->len),
                             .families = l->families,
                             .v6 = v6->list,
                             .v6_count = v6->count,
                             .v4 = v4->list,
                             .v4_count = v4->count,
                             .ttl_ms = common_ttl_ms(l),
                         });
}

/* The hook knows by itself what a name may stand for. */
static ms_err ask_hook(struct ms_lookup *l)
{
    struct ms_resolver *r = l->resolver;

    begin_turn(l);
    clear_answers(l);
    for (int i = 0; i < FAMILIES && !r->closed; i++) {
        if (!is_wanted(l, i))
            continue;
        l->pending++;
        l->answers[i].err = ms_hooked_ask(r->hooked, l->name, families[i], l);
        l->pending -= l->answers[i].err != MS_OK;
    }
    return l->pending || r->closed ? MS_OK : MS_ENOMEM;
}

/* Asks under the next name; the lookup ends when there is none. */
static void go_on(struct ms_lookup *l)
{
    struct ms_dns_search search = ms_dns_search(l->channel->dns);
    char candidate[MS_NAME_CANDIDATE];
    ms_err err;

    if (ms_name_candidate(ms_span(l->name, l->len), &search, &l->next_candidate,
                          candidate)) {
        err = ask(l, candidate);
    } else {
        err = MS_EHOST;
        remember(l);
    }
    if (err)
        finish(l, err);
}

static ms_err refresh_channels(struct ms_resolver *r)
{
    bool changed;
    ms_err err = ms_channels_refresh(&r->channels, &changed);

    /* Other servers may know other answers. */
    if (changed)
        ms_resolve_cache_clear(&r->cache);
    return err;
}

static void begin(struct ms_lookup *l)
{
    bool hooked = l->resolver->hooked != NULL;
    ms_err err = hooked ? ask_hook(l) : refresh_channels(l->resolver);

    if (err) {
        finish(l, err);
        return;
    }
    if (hooked)
        return;
    l->channel = ms_channel_take(&l->resolver->channels);
    go_on(l);
}

static uint64_t patience_ends(const struct ms_lookup *l)
{
    return l->asked_us + (uint64_t)l->resolver->config.timeout_ms * 1000u;
}

/* A lookup whose first try went unanswered keeps nobody waiting any more. */
static void retire_slow(struct ms_resolver *r)
{
    while (!ms_list_empty(&r->fresh)) {
        struct ms_lookup *l =
            MS_CONTAINER(r->fresh.next, struct ms_lookup, turn);
        if (patience_ends(l) > r->loop->now_us)
            return;
        end_turn(l);
    }
}

/* Wakes us when the next one is to be retired, while anybody waits for it. */
static void set_patience(struct ms_resolver *r)
{
    if (ms_list_empty(&r->waiting)) {
        ms_timer_cancel(r->loop, &r->patience);
        return;
    }
    assert(!ms_list_empty(&r->fresh));
    struct ms_lookup *oldest =
        MS_CONTAINER(r->fresh.next, struct ms_lookup, turn);
    ms_timer_start(r->loop, &r->patience, patience_ends(oldest));
}

static void start_waiting(struct ms_resolver *r)
{
    struct ms_list *node;

    if (!r->closed)
        retire_slow(r);
    while (!r->closed && r->fresh_count < MAX_FRESH &&
           (node = ms_list_pop(&r->waiting))) {
        struct ms_lookup *l = MS_CONTAINER(node, struct ms_lookup, turn);
        if (ms_list_empty(&l->askers)) {
            remove_lookup(l);
            continue;
        }
        r->lookups++;
        begin(l);
    }
    if (!r->closed)
        set_patience(r);
}

static void on_patience(struct ms_timer *t)
{
    start_waiting(MS_CONTAINER(t, struct ms_resolver, patience));
}

static bool found(const struct ms_lookup *l)
{
    return l->answers[FAMILY_V4].count || l->answers[FAMILY_V6].count;
}

/* Of a candidate without addresses: MS_EHOST when that is certain. A name
 * that does not exist has nothing of any kind (RFC 8020). */
static ms_err verdict(const struct ms_lookup *l)
{
    const struct ms_dns_answer *v4 = &l->answers[FAMILY_V4];
    const struct ms_dns_answer *v6 = &l->answers[FAMILY_V6];

    if (v4->no_name || v6->no_name)
        return MS_EHOST;
    return v4->err != MS_EHOST ? v4->err : v6->err;
}

/* All is known about one candidate. */
static void conclude(struct ms_lookup *l)
{
    ms_err err = found(l) ? MS_OK : verdict(l);

    if (err == MS_EHOST && l->channel && !ms_list_empty(&l->askers)) {
        go_on(l);
        return;
    }
    if (!err && l->channel)
        remember(l);
    finish(l, err);
}

static void on_answer(void *user, sa_family_t family,
                      const struct ms_dns_answer *w)
{
    struct ms_lookup *l = user;
    struct ms_resolver *r = l->resolver;

    MS_TRACE(&r->loop->trace, MS_TRACE_DNS, 0, 0, "%s %s: %zu addresses, %s",
             family == AF_INET ? "A" : "AAAA", l->name, w->count,
             ms_err_code(w->err));
    l->answers[family == AF_INET ? FAMILY_V4 : FAMILY_V6] = *w;
    l->pending--;
    if (w->late && l->channel)
        ms_channels_switch(&r->channels, l->channel);
    if (w->count)
        hand_on(&l->askers, w->list, w->count);
    if (r->closed || l->pending)
        return;
    conclude(l);
    start_waiting(r);
}

static ms_err ask_dns(struct ms_resolver *r, struct ms_asker *a,
                      struct ms_span name)
{
    struct question q = {name, a->families};
    struct ms_lookup *l = MS_MUTANT_IS(133) ? NULL : find_lookup(r, &q);
    ms_err err = MS_OK;

    if (!l)
        err = new_lookup(r, &q, &l);
    if (err)
        return err;
    join(l, a);
    start_waiting(r);
    return MS_OK;
}

/* ---- names that need no asking ------------------------------------------ */

/* This machine, whatever anybody says (RFC 6761, 6.3). */
static size_t only_loopback(struct ms_addr *list, size_t count)
{
    static const unsigned char v4[4] = {127, 0, 0, 1};
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (ms_addr_is_loopback(&list[i]))
            list[kept++] = list[i];
    if (kept)
        return kept;
    list[0] = ms_addr_v4(v4);
    list[1] = ms_addr_v6(&in6addr_loopback);
    return 2;
}

/* What was learnt for those who want both families does for who wants one, if
 * it has any of that. */
static const struct ms_cached *find_known(struct ms_resolver *r,
                                          struct ms_span name,
                                          enum ms_families wanted)
{
    const struct ms_cached *e = NULL;

    if (wanted != MS_RESOLVE_BOTH)
        e = ms_resolve_cache_find(&r->cache, name, MS_RESOLVE_BOTH);
    if (e && (wanted == MS_RESOLVE_V6 ? e->v6_count : e->count - e->v6_count))
        return e;
    return ms_resolve_cache_find(&r->cache, name, wanted);
}

/* False: nothing is known. */
static bool answer_from_cache(struct ms_resolver *r, struct ms_asker *a,
                              struct ms_span name)
{
    const struct ms_cached *e = find_known(r, name, a->families);
    struct ms_addr list[FAMILIES * MS_DNS_MAX_ADDRESSES];

    if (!e)
        return false;
    /* A copy: the entry may go while we tell. */
    size_t v6 = e->v6_count, v4 = e->count - v6;
    memcpy(list, e->list, e->count * sizeof(*list));
    MS_TRACE(&r->loop->trace, MS_TRACE_DNS, 0, 0, "cached %.*s: %zu addresses",
             (int)name.n, name.p, e->count);
    if (v6 && v4 && !tell(r, a, list, v6))
        return true;
    if (v6 && v4)
        answer(r, a, list + v6, v4);
    else
        answer(r, a, list, v6 + v4);
    return true;
}

/* The configuration comes first: when it changed, what is known is void. */
static ms_err answer_from_dns(struct ms_resolver *r, struct ms_asker *a,
                              struct ms_span name)
{
    if (r->hooked)
        return ask_dns(r, a, name);

    ms_err err = refresh_channels(r);

    if (err || answer_from_cache(r, a, name))
        return err;
    return ask_dns(r, a, name);
}

static ms_err resolve_name(struct ms_resolver *r, struct ms_asker *a,
                           struct ms_span name)
{
    struct ms_addr list[MS_DNS_MAX_ADDRESSES];
    size_t count = 0;
    ms_err err = MS_OK;

    if (!r->hooked)
        err = ms_hosts_find(&r->hosts, name, r->loop->now_us, list,
                            MS_COUNT(list), &count);

    if (err)
        return err;
    if (ms_name_is_within(name, MS_SPAN("localhost")))
        count = only_loopback(list, count);
    /* Nobody but the onion network may hear such a name, in no search domain
     * either (RFC 7686, 2). */
    if (!count && !ms_name_is_within(name, MS_SPAN("onion")))
        return answer_from_dns(r, a, name);
    MS_TRACE(&r->loop->trace, MS_TRACE_DNS, 0, 0, "local %.*s: %zu addresses",
             (int)name.n, name.p, count);
    answer(r, a, list, count);
    return MS_OK;
}

ms_err ms_resolve_start(struct ms_resolver *r, struct ms_asker *a,
                        struct ms_span host)
{
    char name[MS_NAME_MAX + 1];
    struct ms_addr literal;

    assert(!r->closed && ms_loop_inside(r->loop));
    assert(!a->lookup && ms_list_empty(&a->node));

    if (ms_addr_parse(host, &literal))
        answer(r, a, &literal, 1);
    else if (ms_name_normalise(host, name))
        return resolve_name(r, a, ms_span(name, host.n));
    else
        answer(r, a, NULL, 0);
    return MS_OK;
}

void ms_resolve_cancel(struct ms_asker *a)
{
    ms_list_unlink(&a->node);
    a->lookup = NULL;
}

void ms_resolver_network_changed(struct ms_resolver *r)
{
    assert(!r->closed && ms_loop_inside(r->loop));

    ms_resolve_cache_clear(&r->cache);
    ms_channels_renew(&r->channels);
}

uint64_t ms_resolver_lookups(const struct ms_resolver *r)
{
    return r->lookups;
}

/* ---- the resolver ------------------------------------------------------- */

static void remove_and_free(struct ms_map_node *n, void *user)
{
    struct ms_resolver *r = user;

    ms_map_remove(&r->in_flight, n);
    free_lookup(MS_CONTAINER(n, struct ms_lookup, node));
}

static void free_resolver(struct ms_grave *g)
{
    struct ms_resolver *r = MS_CONTAINER(g, struct ms_resolver, grave);

    ms_resolve_cache_fini(&r->cache);
    ms_map_walk(&r->in_flight, remove_and_free, r);
    ms_map_fini(&r->in_flight);
    ms_hosts_fini(&r->hosts);
    ms_free((char *)r->config.resolv_conf);
    ms_free((char *)r->config.servers);
    ms_free(r);
}

static ms_err copy_text(const char **out, const char *text)
{
    *out = ms_memdup(text, strlen(text));
    return *out ? MS_OK : MS_ENOMEM;
}

static struct ms_resolver_config with_defaults(
    const struct ms_resolver_config *given)
{
    struct ms_resolver_config c = {0};

    if (given)
        c = *given;
    if (!c.hosts_file)
        c.hosts_file = DEFAULT_HOSTS_FILE;
    if (!c.resolv_conf)
        c.resolv_conf = DEFAULT_RESOLV_CONF;
    if (!c.timeout_ms)
        c.timeout_ms = DEFAULT_TIMEOUT_MS;
    if (!c.tries)
        c.tries = DEFAULT_TRIES;
    if (!c.cache_ms)
        c.cache_ms = MS_CACHE_MOST_MS;
    return c;
}

static ms_err configure(struct ms_resolver *r,
                        const struct ms_resolver_config *c)
{
    ms_err err = ms_hosts_init(&r->hosts, c->hosts_file);

    r->config = *c;
    r->config.hosts_file = r->hosts.path;
    r->config.resolv_conf = r->config.servers = NULL;
    if (!err)
        err = copy_text(&r->config.resolv_conf, c->resolv_conf);
    if (!err && c->servers)
        err = copy_text(&r->config.servers, c->servers);
    ms_channels_init(&r->channels, r->loop,
                     &(struct ms_dns_config){
                         .resolv_conf = r->config.resolv_conf,
                         .servers = r->config.servers,
                         .timeout_ms = c->timeout_ms,
                         .tries = c->tries,
                         .on_answer = on_answer,
                     });
    if (!err && c->hook)
        err = ms_hooked_open(&r->hooked, r->loop, c->hook, c->first_question,
                             on_answer);
    return err;
}

ms_err ms_resolver_new(struct ms_resolver **out, struct ms_loop *loop,
                       const struct ms_resolver_config *config)
{
    struct ms_resolver_config c = with_defaults(config);
    struct ms_resolver *r = ms_zalloc(sizeof(*r));

    if (!r)
        return MS_ENOMEM;
    r->loop = loop;
    ms_list_init(&r->waiting);
    ms_list_init(&r->fresh);
    ms_list_init(&r->telling);
    ms_timer_init(&r->patience, on_patience);
    ms_resolve_cache_init(&r->cache, loop, c.cache_ms > 0 ? c.cache_ms : 0);
    ms_err err = configure(r, &c);
    if (err)
        free_resolver(&r->grave);
    else
        *out = r;
    return err;
}

static void check_unwanted(struct ms_map_node *n, void *user)
{
    (void)user;
    (void)n;
    assert(ms_list_empty(&MS_CONTAINER(n, struct ms_lookup, node)->askers));
}

void ms_resolver_free(struct ms_resolver *r)
{
    if (!r)
        return;
    assert(!r->closed && ms_list_empty(&r->telling));

    r->closed = true;
    ms_map_walk(&r->in_flight, check_unwanted, NULL);
    ms_timer_cancel(r->loop, &r->patience);
    ms_resolve_cache_clear(&r->cache);
    ms_channels_close(&r->channels);
    ms_hooked_close(r->hooked);
    ms_loop_bury(r->loop, &r->grave, free_resolver);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_hook(const struct ms_resolve_hook *a,
                      const struct ms_resolve_hook *b)
{
    return a == b || (a && b && a->identity && a->identity == b->identity);
}

bool ms_resolver_answer(struct ms_resolver *r, uint64_t question,
                        const struct ms_addr *list, size_t count, ms_err err)
{
    return r->hooked && ms_hooked_answer(r->hooked, question, list, count, err);
}

bool ms_resolver_is_for(const struct ms_resolver *r,
                        const struct ms_resolver_config *config)
{
    struct ms_resolver_config c = with_defaults(config);
    const struct ms_resolver_config *own = &r->config;

    return own->timeout_ms == c.timeout_ms && own->tries == c.tries &&
           own->cache_ms == c.cache_ms && same_text(own->servers, c.servers) &&
           same_hook(own->hook, c.hook) &&
           same_text(own->hosts_file, c.hosts_file) &&
           same_text(own->resolv_conf, c.resolv_conf);
}

bool ms_resolver_is_idle(const struct ms_resolver *r)
{
    return r->in_flight.count == 0 && ms_list_empty(&r->telling);
}
