/* SPDX-License-Identifier: MIT
 *
 * Two halves. The lower one runs a c-ares channel on our loop: its sockets
 * are ms_socks, its timeouts one ms_timer, and its callbacks do no more than
 * keep the answer and post a task. So no asker ever runs under a c-ares
 * frame, and whatever askers do, c-ares does not notice. The upper half knows
 * names: which need no asking, what to ask in which order, who waits.
 */
#include "net/resolve.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "net/hosts.h"

#define DEFAULT_HOSTS_FILE "/etc/hosts"
#define DEFAULT_TIMEOUT_MS 2000
#define DEFAULT_TRIES      3

/* Lookups asked and not yet answered or repeated. Each is two queries, and
 * more replies at once than this would overflow the receive buffer that
 * Linux gives a UDP socket, with two seconds lost for each one dropped. */
#define MAX_FRESH 64

/* Reads for c-ares per event: it reads while there are packets, and a peer
 * that sends faster than we parse would keep us there. */
#define MAX_READS 64

/* Pending requests of a TCP connection that go out in one call. */
#define MAX_RUNS 16

/* A name and one of its labels in text, without the root's dot (RFC 1035,
 * 2.3.4: 255 and 63 on the wire, with length bytes). */
#define MAX_NAME  253
#define MAX_LABEL 63

/* A candidate: a name, the root's dot and the NUL. */
#define CANDIDATE (MAX_NAME + 2)

enum { FAMILY_V4, FAMILY_V6, FAMILIES };

/* What one query brought. c-ares holds a pointer to it meanwhile. */
struct answer {
    struct ms_lookup *lookup;
    struct ms_addr *list; /* owned */
    size_t count;
    ms_err err;     /* MS_OK with addresses, MS_EHOST: there are none */
    bool no_name;   /* of MS_EHOST: not of any other kind either */
    bool came;      /* all of the above is known */
    bool handed_on; /* the askers have the list */
    sa_family_t family;
};

/* One name on its way through DNS. */
struct ms_lookup {
    struct ms_map_node node; /* in resolver->in_flight */
    struct ms_list turn;     /* on resolver->waiting or resolver->fresh */
    struct ms_list askers;   /* of struct ms_asker */
    struct ms_task task;     /* posted when an answer came */
    struct ms_grave grave;
    struct ms_resolver *resolver;
    struct answer answers[FAMILIES];
    unsigned pending;      /* answers c-ares owes */
    size_t next_candidate; /* number of the one to ask after this */
    uint64_t asked_us;     /* while fresh: when */
    bool is_fresh;         /* on resolver->fresh, not on ->waiting */
    size_t len;
    char name[]; /* lower case, NUL-terminated */
};

/* A socket of c-ares. */
struct server_socket {
    struct ms_list node; /* on resolver->sockets */
    struct ms_sock *sock;
    struct ms_interest interest;
    struct ms_grave grave;
    struct ms_resolver *resolver;
};

struct ms_resolver {
    struct ms_loop *loop;
    struct ms_hosts hosts;
    char *resolv_conf, *servers; /* owned; NULL for the default */
    int timeout_ms, tries;
    struct ms_grave grave;
    bool closed; /* freed; c-ares still has to be destroyed */

    ares_channel channel;        /* NULL until a name needs it */
    struct ares_options options; /* the channel's, for the search list */
    struct ms_list sockets;      /* of struct server_socket */
    struct ms_timer timeout;     /* the nearest of c-ares */
    struct ms_task rearm;        /* sets it, once per exit */
    unsigned reads_left;         /* in this event, see MAX_READS */

    struct ms_map in_flight; /* of struct ms_lookup, by name */
    struct ms_list waiting;  /* lookups not asked yet, oldest first */
    struct ms_list fresh;    /* lookups just asked, oldest first */
    unsigned fresh_count;
    uint64_t lookups;
};

/* ---- c-ares: sockets ---------------------------------------------------- */

static void on_ready(struct ms_sock *s, unsigned events);

static void free_socket(struct ms_grave *g)
{
    ms_free(MS_CONTAINER(g, struct server_socket, grave));
}

static void drop_socket(struct server_socket *s)
{
    ms_list_unlink(&s->node);
    ms_sock_close(s->sock);
    ms_loop_bury(s->resolver->loop, &s->grave, free_socket);
}

static ms_err track_socket(struct ms_resolver *r, int fd)
{
    struct server_socket *s = ms_zalloc(sizeof(*s));

    if (!s)
        return MS_ENOMEM;
    ms_err err =
        ms_sock_open(&r->loop->ev, fd, on_ready, s, "resolver", &s->sock);
    if (err) {
        ms_free(s);
        return err;
    }
    s->resolver = r;
    ms_interest_init(&s->interest, NULL);
    ms_list_init(&s->node);
    ms_list_push(&r->sockets, &s->node);
    return MS_OK;
}

static ares_socket_t open_socket(int family, int type, int protocol, void *user)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    int on = 1;

    (void)user;
    /* A refusal costs time and nothing else. */
    if (fd >= 0 && type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

/* Tracked from here on, where failing is still possible. */
static int connect_socket(ares_socket_t fd, const struct sockaddr *to,
                          ares_socklen_t len, void *user)
{
    if (connect(fd, to, len) != 0 && errno != EINPROGRESS && errno != EINTR)
        return -1;
    if (track_socket(user, fd) != MS_OK) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

static int close_socket(ares_socket_t fd, void *user)
{
    struct ms_resolver *r = user;

    /* ms_resolver_free() has closed them all, and the number may be somebody
     * else's by now. */
    if (r->closed)
        return 0;
    struct ms_sock *s = ms_ev_find(&r->loop->ev, fd);
    if (!s)
        return close(fd); /* never connected, never tracked */
    assert(s->on_ready == on_ready);
    drop_socket(s->owner);
    return 0;
}

static ares_ssize_t receive(ares_socket_t fd, void *p, size_t cap, int flags,
                            struct sockaddr *from, ares_socklen_t *len,
                            void *user)
{
    struct ms_resolver *r = user;
    ssize_t n;

    if (r->reads_left == 0) {
        errno = EAGAIN;
        return -1;
    }
    r->reads_left--;
    do
        n = recvfrom(fd, p, cap, flags, from, len);
    while (n < 0 && errno == EINTR);
    return n;
}

static ares_ssize_t send_runs(ares_socket_t fd, const struct iovec *runs,
                              int count, void *user)
{
    struct msghdr m = {.msg_iov = (struct iovec *)runs};
    ssize_t n;

    (void)user;
    m.msg_iovlen = (size_t)(count < MAX_RUNS ? count : MAX_RUNS);
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
}

static const struct ares_socket_functions socket_functions = {
    .asocket = open_socket,
    .aclose = close_socket,
    .aconnect = connect_socket,
    .arecvfrom = receive,
    .asendv = send_runs,
};

/* c-ares changes what it waits for. */
static void on_state(void *user, ares_socket_t fd, int readable, int writable)
{
    struct ms_resolver *r = user;

    if (r->closed)
        return;
    struct ms_sock *sock = ms_ev_find(&r->loop->ev, fd);
    assert(sock && sock->on_ready == on_ready);
    struct server_socket *s = sock->owner;
    ms_interest_set(&s->interest, sock,
                    (readable ? (unsigned)MS_POLL_IN : 0u) |
                        (writable ? (unsigned)MS_POLL_OUT : 0u));
}

/* ---- c-ares: events and time -------------------------------------------- */

/* With ARES_SOCKET_BAD only what is overdue is looked after. Both directions
 * are tried: what was reported is a hint. */
static void process(struct ms_resolver *r, ares_socket_t fd)
{
    r->reads_left = MAX_READS;
    ares_process_fd(r->channel, fd, fd);
    ms_task_post_at_exit(r->loop, &r->rearm);
}

static void on_ready(struct ms_sock *s, unsigned events)
{
    struct server_socket *mine = s->owner;
    struct ms_resolver *r = mine->resolver;

    if (!(events & MS_EV_REFUSED)) {
        process(r, s->fd);
        return;
    }
    /* Nobody would tell us of an answer. */
    ares_cancel(r->channel);
    ms_task_post_at_exit(r->loop, &r->rearm);
}

/* ares_timeout() walks all queries. */
static void on_rearm(struct ms_task *t)
{
    struct ms_resolver *r = MS_CONTAINER(t, struct ms_resolver, rearm);
    struct timeval left;

    if (!ares_timeout(r->channel, NULL, &left)) {
        ms_timer_cancel(r->loop, &r->timeout);
        return;
    }
    /* It rounds milliseconds down; a wake too early would be in vain. */
    uint64_t us = (uint64_t)left.tv_sec * 1000000u + (uint64_t)left.tv_usec;
    ms_timer_start(r->loop, &r->timeout, r->loop->now_us + us + 1000u);
}

static void start_waiting(struct ms_resolver *r);

static void on_timeout(struct ms_timer *t)
{
    struct ms_resolver *r = MS_CONTAINER(t, struct ms_resolver, timeout);

    process(r, ARES_SOCKET_BAD);
    start_waiting(r);
}

/* ---- c-ares: the channel ------------------------------------------------ */

static ms_err error_of(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return MS_OK;
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
        return MS_EHOST;
    case ARES_ETIMEOUT:
        return MS_ETIMEOUT;
    case ARES_ENOMEM:
        return MS_ENOMEM;
    case ARES_ECANCELLED: /* by on_ready() only */
        return MS_ECALLBACK;
    default:
        return MS_ERESOLVE;
    }
}

static int init_channel(struct ms_resolver *r, ares_channel *out)
{
    char dns_only[] = "b";
    /* Candidates are absolute and host aliases are not ours to follow; both
     * flags say so once more. No EDNS: c-ares 1.18 gives up on one of two
     * queries when a server does not know it. */
    struct ares_options o = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
                             .timeout = r->timeout_ms,
                             .tries = r->tries,
                             .lookups = dns_only,
                             .sock_state_cb = on_state,
                             .sock_state_cb_data = r,
                             .resolvconf_path = r->resolv_conf};
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
               ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;

    if (r->resolv_conf)
        mask |= ARES_OPT_RESOLVCONF;
    return ares_init_options(out, &o, mask);
}

static void close_channel(struct ms_resolver *r)
{
    if (!r->channel)
        return;
    ares_destroy(r->channel);
    ares_destroy_options(&r->options);
    ares_library_cleanup();
    r->channel = NULL;
}

/* c-ares counts who uses the library, so that an application that uses it
 * too cannot pull it away from under us. */
static ms_err open_channel(struct ms_resolver *r)
{
    int unused_mask;

    if (r->channel)
        return MS_OK;
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status != ARES_SUCCESS)
        return error_of(status);
    status = init_channel(r, &r->channel);
    if (status != ARES_SUCCESS) {
        r->channel = NULL;
        ares_library_cleanup();
        return error_of(status);
    }
    ares_set_socket_functions(r->channel, &socket_functions, r);
    status = ares_save_options(r->channel, &r->options, &unused_mask);
    if (status == ARES_SUCCESS && r->servers)
        status = ares_set_servers_ports_csv(r->channel, r->servers);
    if (status == ARES_SUCCESS)
        return MS_OK;
    close_channel(r);
    return status == ARES_ENOMEM ? MS_ENOMEM : MS_ERESOLVE;
}

/* ---- answers ------------------------------------------------------------ */

static struct ms_addr address_of(const struct ares_addrinfo_node *n)
{
    const void *sa = n->ai_addr;

    if (n->ai_family == AF_INET)
        return ms_addr_v4(&((const struct sockaddr_in *)sa)->sin_addr);
    return ms_addr_v6(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

/* Keeps what was asked for; a server may add the other family unasked. */
static ms_err keep_addresses(struct answer *w, const struct ares_addrinfo *res)
{
    const struct ares_addrinfo_node *n;
    size_t count = 0;

    for (n = res->nodes; n && count < MS_RESOLVE_MAX_ADDRESSES; n = n->ai_next)
        count += n->ai_family == w->family;
    if (!count)
        return MS_EHOST;
    w->list = ms_alloc(count * sizeof(*w->list));
    if (!w->list)
        return MS_ENOMEM;
    for (n = res->nodes; w->count < count; n = n->ai_next)
        if (n->ai_family == w->family)
            w->list[w->count++] = address_of(n);
    return MS_OK;
}

/* Called by c-ares, at times from inside ares_getaddrinfo(). */
static void on_answer(void *arg, int status, int timeouts,
                      struct ares_addrinfo *res)
{
    struct answer *w = arg;
    struct ms_lookup *l = w->lookup;

    (void)timeouts;
    if (!l->resolver->closed) {
        w->err =
            status == ARES_SUCCESS ? keep_addresses(w, res) : error_of(status);
        w->no_name = status == ARES_ENOTFOUND || status == ARES_EBADNAME;
        w->came = true;
        l->pending--;
        ms_task_post(l->resolver->loop, &l->task);
    }
    if (res)
        ares_freeaddrinfo(res);
}

/* Gives one answer to everybody on `askers`, who may leave, join and cancel
 * others meanwhile. */
static void hand_on(struct ms_list *askers, const struct answer *w)
{
    struct ms_list now, *node;

    ms_list_init(&now);
    ms_list_splice(&now, askers);
    while ((node = ms_list_pop(&now))) {
        struct ms_asker *a = MS_CONTAINER(node, struct ms_asker, node);
        ms_list_push(askers, node);
        a->on_addresses(a, w->list, w->count);
    }
}

static void hand_on_news(struct ms_lookup *l)
{
    for (int i = 0; i < FAMILIES; i++) {
        struct answer *w = &l->answers[i];
        if (!w->came || w->handed_on)
            continue;
        w->handed_on = true;
        MS_TRACE(&l->resolver->loop->trace, MS_TRACE_DNS, 0, 0,
                 "%s %s: %zu addresses, %s", i == FAMILY_V4 ? "A" : "AAAA",
                 l->name, w->count, ms_err_code(w->err));
        if (w->count)
            hand_on(&l->askers, w);
    }
}

static bool found(const struct ms_lookup *l)
{
    return l->answers[FAMILY_V4].count || l->answers[FAMILY_V6].count;
}

/* Of a candidate without addresses: MS_EHOST when that is certain. A name
 * that does not exist has nothing of any kind (RFC 8020). */
static ms_err verdict(const struct ms_lookup *l)
{
    const struct answer *v4 = &l->answers[FAMILY_V4];
    const struct answer *v6 = &l->answers[FAMILY_V6];

    if (v4->no_name || v6->no_name)
        return MS_EHOST;
    return v4->err != MS_EHOST ? v4->err : v6->err;
}

/* ---- lookups ------------------------------------------------------------ */

static void clear_answers(struct ms_lookup *l)
{
    for (int i = 0; i < FAMILIES; i++) {
        ms_free(l->answers[i].list);
        l->answers[i] = (struct answer){
            .lookup = l, .family = i == FAMILY_V4 ? AF_INET : AF_INET6};
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

static void end_turn(struct ms_lookup *l)
{
    if (l->is_fresh)
        l->resolver->fresh_count--;
    l->is_fresh = false;
    ms_list_unlink(&l->turn);
}

/* Nobody finds it any more. c-ares must have answered. */
static void remove_lookup(struct ms_lookup *l)
{
    assert(l->pending == 0);

    end_turn(l);
    ms_task_cancel(&l->task);
    ms_map_remove(&l->resolver->in_flight, &l->node);
    ms_loop_bury(l->resolver->loop, &l->grave, free_buried_lookup);
}

static void finish(struct ms_lookup *l, ms_err err)
{
    struct ms_list *node;

    MS_TRACE(&l->resolver->loop->trace, MS_TRACE_DNS, 0, 0, "done %s: %s",
             l->name, ms_err_code(err));
    remove_lookup(l);
    while ((node = ms_list_pop(&l->askers))) {
        struct ms_asker *a = MS_CONTAINER(node, struct ms_asker, node);
        a->lookup = NULL;
        a->on_done(a, err);
    }
}

static void begin_turn(struct ms_lookup *l)
{
    struct ms_resolver *r = l->resolver;

    if (!l->is_fresh)
        r->fresh_count++;
    l->is_fresh = true;
    l->asked_us = r->loop->now_us;
    ms_list_push(&r->fresh, &l->turn);
}

static void ask(struct ms_lookup *l, const char *candidate)
{
    struct ms_resolver *r = l->resolver;

    MS_TRACE(&r->loop->trace, MS_TRACE_DNS, 0, 0, "ask %s for %s", candidate,
             l->name);
    begin_turn(l);
    clear_answers(l);
    l->pending = FAMILIES;
    for (int i = 0; i < FAMILIES; i++) {
        struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT,
                                            .ai_family = l->answers[i].family,
                                            .ai_socktype = SOCK_STREAM};
        ares_getaddrinfo(r->channel, candidate, NULL, &hints, on_answer,
                         &l->answers[i]);
    }
    ms_task_post_at_exit(r->loop, &r->rearm);
}

/* ---- the search list ---------------------------------------------------- */

static struct ms_span without_dot(struct ms_span name)
{
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    return name;
}

/* `name` in `domain`, absolute; an empty domain is the root. False: too long
 * to exist. */
static bool compose(struct ms_span name, struct ms_span domain, char *out)
{
    size_t len = name.n + (domain.n ? 1 + domain.n : 0);

    if (len > MAX_NAME)
        return false;
    memcpy(out, name.p, name.n);
    out[name.n] = '.';
    if (domain.n)
        memcpy(out + name.n + 1, domain.p, domain.n);
    memcpy(out + len, ".", 2);
    return true;
}

static bool compose_in(const struct ms_lookup *l, const char *search, char *out)
{
    struct ms_span domain = ms_span_text(search);

    while (domain.n && *domain.p == '.')
        domain.p++, domain.n--;
    /* The root is a candidate of its own. */
    domain = without_dot(domain);
    return domain.n && compose(ms_span(l->name, l->len), domain, out);
}

static bool has_enough_dots(const struct ms_lookup *l, int wanted)
{
    int dots = 0;

    for (size_t i = 0; i < l->len; i++)
        dots += l->name[i] == '.';
    return dots >= wanted;
}

/* The name itself comes first when it has enough dots and last otherwise; an
 * absolute one is the only candidate. False: there are no more. */
static bool next_candidate(struct ms_lookup *l, char *out)
{
    const struct ares_options *o = &l->resolver->options;
    struct ms_span name = ms_span(l->name, l->len);
    bool absolute = name.p[name.n - 1] == '.';
    size_t domains = absolute ? 0 : (size_t)o->ndomains;
    size_t bare = absolute || has_enough_dots(l, o->ndots) ? 0 : domains;

    while (l->next_candidate <= domains) {
        size_t i = l->next_candidate++;
        if (i == bare && compose(without_dot(name), MS_SPAN(""), out))
            return true;
        if (i != bare && compose_in(l, o->domains[i - (i > bare)], out))
            return true;
    }
    return false;
}

/* ---- the way of a lookup ------------------------------------------------ */

/* A lookup whose first try went unanswered takes nobody's place. */
static void retire_slow(struct ms_resolver *r)
{
    uint64_t patience_us = (uint64_t)r->timeout_ms * 1000u;

    while (!ms_list_empty(&r->fresh)) {
        struct ms_lookup *l =
            MS_CONTAINER(r->fresh.next, struct ms_lookup, turn);
        if (l->asked_us + patience_us > r->loop->now_us)
            return;
        end_turn(l);
    }
}

static void start_waiting(struct ms_resolver *r)
{
    char candidate[CANDIDATE];
    struct ms_list *node;

    if (r->closed)
        return;
    retire_slow(r);
    while (r->fresh_count < MAX_FRESH && (node = ms_list_pop(&r->waiting))) {
        struct ms_lookup *l = MS_CONTAINER(node, struct ms_lookup, turn);
        if (ms_list_empty(&l->askers)) {
            remove_lookup(l);
            continue;
        }
        r->lookups++;
        bool any = next_candidate(l, candidate);
        assert(any && "a name that may be asked is a candidate itself");
        if (any)
            ask(l, candidate);
    }
}

/* All is known about one candidate. */
static void conclude(struct ms_lookup *l)
{
    char candidate[CANDIDATE];
    ms_err err = found(l) ? MS_OK : verdict(l);

    if (err == MS_EHOST && !ms_list_empty(&l->askers) &&
        next_candidate(l, candidate))
        ask(l, candidate);
    else
        finish(l, err);
}

static void on_answers(struct ms_task *t)
{
    struct ms_lookup *l = MS_CONTAINER(t, struct ms_lookup, task);
    struct ms_resolver *r = l->resolver;

    hand_on_news(l);
    if (r->closed || l->pending)
        return;
    conclude(l);
    start_waiting(r);
}

static struct ms_lookup *find_lookup(const struct ms_resolver *r,
                                     struct ms_span name)
{
    uint32_t hash = ms_span_hash(name, 0);

    for (struct ms_map_node *n = ms_map_first(&r->in_flight, hash); n;
         n = ms_map_next(n)) {
        struct ms_lookup *l = MS_CONTAINER(n, struct ms_lookup, node);
        if (ms_span_equal(ms_span(l->name, l->len), name))
            return l;
    }
    return NULL;
}

static ms_err new_lookup(struct ms_resolver *r, struct ms_span name,
                         struct ms_lookup **out)
{
    struct ms_lookup *l = ms_zalloc(sizeof(*l) + name.n + 1);

    if (!l)
        return MS_ENOMEM;
    l->resolver = r;
    ms_list_init(&l->turn);
    ms_list_init(&l->askers);
    ms_task_init(&l->task, on_answers);
    l->len = name.n;
    memcpy(l->name, name.p, name.n);
    ms_err err = ms_map_add(&r->in_flight, &l->node, ms_span_hash(name, 0));
    if (err) {
        ms_free(l);
        return err;
    }
    ms_list_push(&r->waiting, &l->turn);
    *out = l;
    return MS_OK;
}

/* A latecomer is given at once what the others have already. */
static void join(struct ms_lookup *l, struct ms_asker *a)
{
    struct ms_list alone;

    a->lookup = l;
    ms_list_init(&alone);
    ms_list_push(&alone, &a->node);
    for (int i = 0; i < FAMILIES; i++)
        if (l->answers[i].handed_on && l->answers[i].count)
            hand_on(&alone, &l->answers[i]);
    ms_list_splice(&l->askers, &alone);
}

static ms_err ask_dns(struct ms_resolver *r, struct ms_asker *a,
                      struct ms_span name)
{
    struct ms_lookup *l = find_lookup(r, name);
    ms_err err = MS_OK;

    if (!l && !(err = open_channel(r)))
        err = new_lookup(r, name, &l);
    if (err)
        return err;
    join(l, a);
    start_waiting(r);
    return MS_OK;
}

/* ---- names that need no asking ------------------------------------------ */

/* Calls back at once; with no addresses `err` is the result. */
static void answer(struct ms_asker *a, const struct ms_addr *list, size_t count,
                   ms_err err)
{
    struct ms_list alone;

    ms_list_init(&alone);
    ms_list_push(&alone, &a->node);
    if (count)
        a->on_addresses(a, list, count);
    /* Not a word after a cancel. */
    if (ms_list_pop(&alone))
        a->on_done(a, err);
}

/* Writes `host` in lower case to `out`. False: no name in DNS looks so, or
 * c-ares would take it for an escape sequence. */
static bool normalise(struct ms_span host, char *out)
{
    size_t n = without_dot(host).n, label = 0;

    if (n == 0 || n > MAX_NAME)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = ms_lower((unsigned char)host.p[i]);
        if (c <= ' ' || c >= 0x7f || c == '\\')
            return false;
        if (c == '.' && label == 0)
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > MAX_LABEL)
            return false;
        out[i] = (char)c;
    }
    return true;
}

/* `name` is `top` or ends in a dot and `top`. */
static bool is_within(struct ms_span name, struct ms_span top)
{
    name = without_dot(name);
    if (name.n < top.n || memcmp(name.p + name.n - top.n, top.p, top.n) != 0)
        return false;
    return name.n == top.n || name.p[name.n - top.n - 1] == '.';
}

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

static ms_err resolve_name(struct ms_resolver *r, struct ms_asker *a,
                           struct ms_span name)
{
    struct ms_addr list[MS_RESOLVE_MAX_ADDRESSES];
    size_t count;
    ms_err err = ms_hosts_find(&r->hosts, name, r->loop->now_us, list,
                               MS_COUNT(list), &count);

    if (err)
        return err;
    if (is_within(name, MS_SPAN("localhost")))
        count = only_loopback(list, count);
    /* Nobody but the onion network may hear such a name, in no search domain
     * either (RFC 7686, 2). */
    if (!count && !is_within(name, MS_SPAN("onion")))
        return ask_dns(r, a, name);
    MS_TRACE(&r->loop->trace, MS_TRACE_DNS, 0, 0, "local %.*s: %zu addresses",
             (int)name.n, name.p, count);
    answer(a, list, count, count ? MS_OK : MS_EHOST);
    return MS_OK;
}

ms_err ms_resolve_start(struct ms_resolver *r, struct ms_asker *a,
                        struct ms_span host)
{
    char name[MAX_NAME + 1];
    struct ms_addr literal;

    assert(!r->closed && ms_loop_inside(r->loop));
    assert(!a->lookup && ms_list_empty(&a->node));

    if (ms_addr_parse(host, &literal))
        answer(a, &literal, 1, MS_OK);
    else if (normalise(host, name))
        return resolve_name(r, a, ms_span(name, host.n));
    else
        answer(a, NULL, 0, MS_EHOST);
    return MS_OK;
}

void ms_resolve_cancel(struct ms_asker *a)
{
    ms_list_unlink(&a->node);
    a->lookup = NULL;
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

    /* c-ares lets go of the lookups first. */
    close_channel(r);
    ms_map_walk(&r->in_flight, remove_and_free, r);
    ms_map_fini(&r->in_flight);
    ms_hosts_fini(&r->hosts);
    ms_free(r->resolv_conf);
    ms_free(r->servers);
    ms_free(r);
}

static ms_err copy_text(char **out, const char *text)
{
    if (!text)
        return MS_OK;
    *out = ms_memdup(text, strlen(text));
    return *out ? MS_OK : MS_ENOMEM;
}

static ms_err configure(struct ms_resolver *r,
                        const struct ms_resolver_config *c)
{
    ms_err err = ms_hosts_init(&r->hosts, c->hosts_file ? c->hosts_file
                                                        : DEFAULT_HOSTS_FILE);

    if (!err)
        err = copy_text(&r->resolv_conf, c->resolv_conf);
    if (!err)
        err = copy_text(&r->servers, c->servers);
    r->timeout_ms = c->timeout_ms ? c->timeout_ms : DEFAULT_TIMEOUT_MS;
    r->tries = c->tries ? c->tries : DEFAULT_TRIES;
    return err;
}

ms_err ms_resolver_new(struct ms_resolver **out, struct ms_loop *loop,
                       const struct ms_resolver_config *config)
{
    static const struct ms_resolver_config defaults = {0};
    struct ms_resolver *r = ms_zalloc(sizeof(*r));

    if (!r)
        return MS_ENOMEM;
    r->loop = loop;
    ms_list_init(&r->sockets);
    ms_list_init(&r->waiting);
    ms_list_init(&r->fresh);
    ms_timer_init(&r->timeout, on_timeout);
    ms_task_init(&r->rearm, on_rearm);
    ms_err err = configure(r, config ? config : &defaults);
    if (err) {
        free_resolver(&r->grave);
        return err;
    }
    *out = r;
    return MS_OK;
}

static void silence(struct ms_map_node *n, void *user)
{
    struct ms_lookup *l = MS_CONTAINER(n, struct ms_lookup, node);

    (void)user;
    assert(ms_list_empty(&l->askers));
    ms_task_cancel(&l->task);
    end_turn(l);
}

void ms_resolver_free(struct ms_resolver *r)
{
    if (!r)
        return;
    assert(!r->closed);

    r->closed = true;
    ms_map_walk(&r->in_flight, silence, NULL);
    ms_task_cancel(&r->rearm);
    ms_timer_cancel(r->loop, &r->timeout);
    ms_list_each (node, &r->sockets)
        drop_socket(MS_CONTAINER(node, struct server_socket, node));
    ms_loop_bury(r->loop, &r->grave, free_resolver);
}
