/* SPDX-License-Identifier: MIT */
#include "net/dns.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"

/* Reads for c-ares per event: it reads while there are packets, and a peer
 * that sends faster than we parse would keep us there. */
#define MAX_READS 64

/* Pending requests of a TCP connection that go out in one call. */
#define MAX_RUNS 16

/* A question; c-ares holds the pointer until it has answered. */
struct query {
    struct ms_list node; /* on dns->answered, when it is */
    struct ms_dns *dns;
    void *user;
    sa_family_t family;
    bool asked_again;
    bool ask_again;              /* instead of handing the answer on */
    struct ms_dns_answer answer; /* its list is owned until handed on */
    char name[];
};

/* A socket of c-ares. */
struct server_socket {
    struct ms_list node; /* on dns->sockets */
    struct ms_sock *sock;
    struct ms_interest interest;
    struct ms_grave grave;
    struct ms_dns *dns;
    int os_errno; /* for the next read, see send_runs(); 0: none */
};

struct ms_dns {
    struct ms_loop *loop;
    ms_dns_answer_cb *on_answer;
    ares_channel channel;
    struct ares_options options; /* the channel's, for the search list */
    unsigned servers;
    struct ms_list sockets;  /* of struct server_socket */
    struct ms_list answered; /* of struct query */
    struct ms_task deliver;  /* hands on what is answered */
    struct ms_task rearm;    /* sets the timeout, once per exit */
    struct ms_timer timeout; /* the nearest of c-ares */
    struct ms_grave grave;
    unsigned reads_left; /* in this event, see MAX_READS */
    bool no_memory;      /* for the last socket it opened */
    bool closed;         /* c-ares still has to be destroyed */
};

/* ---- sockets ------------------------------------------------------------ */

static void on_ready(struct ms_sock *s, unsigned events);

static void free_socket(struct ms_grave *g)
{
    ms_free(MS_CONTAINER(g, struct server_socket, grave));
}

static void drop_socket(struct server_socket *s)
{
    ms_list_unlink(&s->node);
    ms_sock_close(s->sock);
    ms_loop_bury(s->dns->loop, &s->grave, free_socket);
}

static ms_err track_socket(struct ms_dns *d, int fd)
{
    struct server_socket *s = ms_zalloc(sizeof(*s));

    if (!s)
        return MS_ENOMEM;
    ms_err err =
        ms_sock_open(&d->loop->ev, fd, on_ready, s, "resolver", &s->sock);
    if (err) {
        ms_free(s);
        return err;
    }
    s->dns = d;
    ms_interest_init(&s->interest, NULL);
    ms_list_init(&s->node);
    ms_list_push(&d->sockets, &s->node);
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
    struct ms_dns *d = user;
    d->no_memory = track_socket(d, fd) != MS_OK;
    if (!d->no_memory)
        return 0;
    errno = ENOMEM;
    return -1;
}

/* NULL: not tracked, for it was never connected. */
static struct server_socket *find_socket(const struct ms_dns *d, int fd)
{
    struct ms_sock *s = ms_ev_find(&d->loop->ev, fd);

    assert(!s || s->on_ready == on_ready);
    return s ? s->owner : NULL;
}

static int close_socket(ares_socket_t fd, void *user)
{
    struct ms_dns *d = user;

    /* ms_dns_close() has closed them all, and the number may be somebody
     * else's by now. */
    if (d->closed)
        return 0;
    struct server_socket *s = find_socket(d, fd);
    if (!s)
        return close(fd);
    drop_socket(s);
    return 0;
}

static ares_ssize_t receive(ares_socket_t fd, void *p, size_t cap, int flags,
                            struct sockaddr *from, ares_socklen_t *len,
                            void *user)
{
    struct ms_dns *d = user;
    struct server_socket *s = find_socket(d, fd);
    ssize_t n;

    if (d->reads_left == 0 || s->os_errno) {
        errno = s->os_errno ? s->os_errno : EAGAIN;
        s->os_errno = 0;
        return -1;
    }
    d->reads_left--;
    do
        n = recvfrom(fd, p, cap, flags, from, len);
    while (n < 0 && errno == EINTR);
    return n;
}

/* A datagram nobody wanted is reported by the next call, often that which
 * sends the second question. c-ares would move only that one on and let the
 * first run into its timeout. So it is told at the next read, which is the
 * end of the socket and moves all questions on. */
static ares_ssize_t refused(struct ms_dns *d, int fd, const struct iovec *runs)
{
    struct server_socket *s = find_socket(d, fd);

    s->os_errno = ECONNREFUSED;
    ms_ev_queue(s->sock, MS_CSELECT_IN);
    return (ares_ssize_t)runs[0].iov_len;
}

static ares_ssize_t send_runs(ares_socket_t fd, const struct iovec *runs,
                              int count, void *user)
{
    struct msghdr m = {.msg_iov = (struct iovec *)runs};
    ssize_t n;

    m.msg_iovlen = (size_t)(count < MAX_RUNS ? count : MAX_RUNS);
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 && errno == ECONNREFUSED ? refused(user, fd, runs) : n;
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
    struct ms_dns *d = user;

    if (d->closed)
        return;
    struct server_socket *s = find_socket(d, fd);
    ms_interest_set(&s->interest, s->sock,
                    (readable ? (unsigned)MS_POLL_IN : 0u) |
                        (writable ? (unsigned)MS_POLL_OUT : 0u));
}

/* ---- events and time ----------------------------------------------------- */

/* Both directions are tried: what was reported is a hint. With
 * ARES_SOCKET_BAD only what is overdue is looked after. */
static void process(struct ms_dns *d, ares_socket_t fd)
{
    d->reads_left = MAX_READS;
    ares_process_fd(d->channel, fd, fd);
    ms_task_post_at_exit(d->loop, &d->rearm);
}

static void on_ready(struct ms_sock *s, unsigned events)
{
    struct server_socket *mine = s->owner;
    struct ms_dns *d = mine->dns;

    if (!(events & MS_EV_REFUSED)) {
        process(d, s->fd);
        return;
    }
    /* Nobody would tell us of an answer. */
    ares_cancel(d->channel);
    ms_task_post_at_exit(d->loop, &d->rearm);
}

/* ares_timeout() walks all queries. */
static void on_rearm(struct ms_task *t)
{
    struct ms_dns *d = MS_CONTAINER(t, struct ms_dns, rearm);
    struct timeval left;

    if (!ares_timeout(d->channel, NULL, &left)) {
        ms_timer_cancel(d->loop, &d->timeout);
        return;
    }
    /* It rounds milliseconds down; a wake too early would be in vain. */
    uint64_t us = (uint64_t)left.tv_sec * 1000000u + (uint64_t)left.tv_usec;
    ms_timer_start(d->loop, &d->timeout, d->loop->now_us + us + 1000u);
}

static void on_timeout(struct ms_timer *t)
{
    process(MS_CONTAINER(t, struct ms_dns, timeout), ARES_SOCKET_BAD);
}

/* ---- questions and answers ---------------------------------------------- */

static ms_err error_of(const struct ms_dns *d, int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
        return MS_EHOST;
    case ARES_ETIMEOUT:
        return MS_ETIMEOUT;
    case ARES_ENOMEM:
        return MS_ENOMEM;
    case ARES_ECONNREFUSED: /* or no socket at all */
        return d->no_memory ? MS_ENOMEM : MS_ERESOLVE;
    case ARES_ECANCELLED: /* by on_ready() only */
        return MS_ECALLBACK;
    default:
        return MS_ERESOLVE;
    }
}

static struct ms_addr address_of(const struct ares_addrinfo_node *n)
{
    const void *sa = n->ai_addr;

    if (n->ai_family == AF_INET)
        return ms_addr_v4(&((const struct sockaddr_in *)sa)->sin_addr);
    return ms_addr_v6(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

/* Of the whole answer: no longer than any record of it, aliases too. */
static int least_ttl(const struct ares_addrinfo *res, sa_family_t family)
{
    int least = INT_MAX;

    for (const struct ares_addrinfo_cname *c = res->cnames; c; c = c->next)
        least = c->ttl < least ? c->ttl : least;
    for (const struct ares_addrinfo_node *n = res->nodes; n; n = n->ai_next)
        if (n->ai_family == family && n->ai_ttl < least)
            least = n->ai_ttl;
    /* The upper half of its 32 bits counts as 0 (RFC 2181, 8). */
    return least > 0 ? least : 0;
}

/* Keeps what was asked for; a server may add the other family unasked. */
static ms_err keep_addresses(struct query *q, const struct ares_addrinfo *res)
{
    struct ms_dns_answer *w = &q->answer;
    const struct ares_addrinfo_node *n;
    size_t count = 0;

    for (n = res->nodes; n && count < MS_DNS_MAX_ADDRESSES; n = n->ai_next)
        count += n->ai_family == q->family;
    if (!count)
        return MS_EHOST;
    w->list = ms_alloc(count * sizeof(*w->list));
    if (!w->list)
        return MS_ENOMEM;
    for (n = res->nodes; w->count < count; n = n->ai_next)
        if (n->ai_family == q->family)
            w->list[w->count++] = address_of(n);
    w->ttl = least_ttl(res, q->family);
    return MS_OK;
}

static void free_query(struct query *q)
{
    ms_free(q->answer.list);
    ms_free(q);
}

/* c-ares finds out that a server does not know EDNS by the first question it
 * refuses, and asks without it from then on. A second one that was under way
 * with EDNS fails for no other reason. */
static bool is_worth_another_try(const struct query *q, int status)
{
    return status == ARES_EFORMERR && !q->asked_again;
}

static bool is_answer(int status)
{
    return status == ARES_SUCCESS || status == ARES_ENOTFOUND ||
           status == ARES_ENODATA;
}

static void keep_result(struct query *q, int status,
                        const struct ares_addrinfo *res)
{
    q->ask_again = is_worth_another_try(q, status);
    q->answer.err = status == ARES_SUCCESS ? keep_addresses(q, res)
                                           : error_of(q->dns, status);
    q->answer.no_name = status == ARES_ENOTFOUND || status == ARES_EBADNAME;
}

/* Called by c-ares, at times from inside ares_getaddrinfo(). */
static void on_result(void *arg, int status, int timeouts,
                      struct ares_addrinfo *res)
{
    struct query *q = arg;
    struct ms_dns *d = q->dns;

    if (d->closed) {
        free_query(q);
    } else {
        keep_result(q, status, res);
        q->answer.late = timeouts > 0 && is_answer(status);
        ms_list_push(&d->answered, &q->node);
        ms_task_post(d->loop, &d->deliver);
    }
    if (res)
        ares_freeaddrinfo(res);
}

static void ask(struct query *q)
{
    /* NOSORT, or c-ares opens a socket for every address to sort them. */
    struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT,
                                        .ai_family = q->family,
                                        .ai_socktype = SOCK_STREAM};
    struct ms_dns *d = q->dns;

    ms_task_post_at_exit(d->loop, &d->rearm);
    ares_getaddrinfo(d->channel, q->name, NULL, &hints, on_result, q);
}

static void ask_again(struct query *q)
{
    q->ask_again = false;
    q->asked_again = true;
    ask(q);
}

static void hand_on(struct query *q)
{
    struct ms_dns_answer answer = q->answer;
    ms_dns_answer_cb *on_answer = q->dns->on_answer;
    void *user = q->user;
    sa_family_t family = q->family;

    q->answer.list = NULL;
    free_query(q);
    on_answer(user, family, &answer);
}

/* What is answered meanwhile waits for the next round: who asks again at once
 * and is refused at once must not keep us here. */
static void on_deliver(struct ms_task *t)
{
    struct ms_dns *d = MS_CONTAINER(t, struct ms_dns, deliver);
    struct ms_list now, *node;

    ms_list_init(&now);
    ms_list_splice(&now, &d->answered);
    while (!d->closed && (node = ms_list_pop(&now))) {
        struct query *q = MS_CONTAINER(node, struct query, node);
        if (q->ask_again)
            ask_again(q);
        else
            hand_on(q);
    }
    ms_list_splice(&d->answered, &now);
}

ms_err ms_dns_ask(struct ms_dns *d, const char *name, sa_family_t family,
                  void *user)
{
    size_t n = strlen(name);

    assert(!d->closed && n > 1 && name[n - 1] == '.');

    struct query *q = ms_zalloc(sizeof(*q) + n + 1);
    if (!q)
        return MS_ENOMEM;
    ms_list_init(&q->node);
    q->dns = d;
    q->user = user;
    q->family = family;
    memcpy(q->name, name, n + 1);
    ask(q);
    return MS_OK;
}

/* ---- opening and closing ------------------------------------------------ */

static int init_channel(struct ms_dns *d, const struct ms_dns_config *c)
{
    char dns_only[] = "b", *path = (char *)c->resolv_conf;
    /* Names are absolute and host aliases are not ours to follow; both flags
     * say so once more. EDNS, so that a dozen addresses need no TCP. */
    struct ares_options o = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
                                      ARES_FLAG_EDNS,
                             .timeout = c->timeout_ms,
                             .tries = c->tries,
                             .lookups = dns_only,
                             .sock_state_cb = on_state,
                             .sock_state_cb_data = d,
                             .resolvconf_path = path};
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
               ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;

    return ares_init_options(&d->channel, &o,
                             path ? mask | ARES_OPT_RESOLVCONF : mask);
}

/* The list from its `first` element on, which those before it follow. */
static void rotate(struct ares_addr_port_node **list, unsigned first)
{
    struct ares_addr_port_node *head = *list, *last = head, *cut;

    if (!first)
        return;
    for (cut = head; first > 1; first--)
        cut = cut->next;
    while (last->next)
        last = last->next;
    *list = cut->next;
    last->next = head;
    cut->next = NULL;
}

static int order_servers(struct ms_dns *d, unsigned first)
{
    struct ares_addr_port_node *list = NULL, *n;
    int status = ares_get_servers_ports(d->channel, &list);

    if (status != ARES_SUCCESS)
        return status;
    for (n = list; n; n = n->next)
        d->servers++;
    if (d->servers > 1 && first % d->servers) {
        rotate(&list, first % d->servers);
        status = ares_set_servers_ports(d->channel, list);
    }
    if (list)
        ares_free_data(list);
    return status;
}

/* `d` has a channel. */
static int configure(struct ms_dns *d, const struct ms_dns_config *c)
{
    int unused_mask;

    ares_set_socket_functions(d->channel, &socket_functions, d);
    int status = ares_save_options(d->channel, &d->options, &unused_mask);
    if (status == ARES_SUCCESS && c->servers)
        status = ares_set_servers_ports_csv(d->channel, c->servers);
    return status == ARES_SUCCESS ? order_servers(d, c->first) : status;
}

/* c-ares counts who uses the library, so that an application that uses it
 * too cannot pull it away from under us. */
static ms_err open_channel(struct ms_dns *d, const struct ms_dns_config *c)
{
    int status = ares_library_init(ARES_LIB_INIT_ALL);

    if (status != ARES_SUCCESS)
        return status == ARES_ENOMEM ? MS_ENOMEM : MS_ERESOLVE;
    status = init_channel(d, c);
    if (status == ARES_SUCCESS) {
        status = configure(d, c);
        if (status == ARES_SUCCESS)
            return MS_OK;
        ares_destroy(d->channel);
        ares_destroy_options(&d->options);
    }
    ares_library_cleanup();
    return status == ARES_ENOMEM ? MS_ENOMEM : MS_ERESOLVE;
}

ms_err ms_dns_open(struct ms_dns **out, struct ms_loop *loop,
                   const struct ms_dns_config *config)
{
    assert(config->timeout_ms > 0 && config->tries > 0 && config->on_answer);

    struct ms_dns *d = ms_zalloc(sizeof(*d));
    if (!d)
        return MS_ENOMEM;
    d->loop = loop;
    d->on_answer = config->on_answer;
    ms_list_init(&d->sockets);
    ms_list_init(&d->answered);
    ms_task_init(&d->deliver, on_deliver);
    ms_task_init(&d->rearm, on_rearm);
    ms_timer_init(&d->timeout, on_timeout);
    ms_err err = open_channel(d, config);
    if (err)
        ms_free(d);
    else
        *out = d;
    return err;
}

static void free_dns(struct ms_grave *g)
{
    struct ms_dns *d = MS_CONTAINER(g, struct ms_dns, grave);
    struct ms_list *node;

    ares_destroy(d->channel); /* ends every question: on_result() frees it */
    ares_destroy_options(&d->options);
    ares_library_cleanup();
    while ((node = ms_list_pop(&d->answered)))
        free_query(MS_CONTAINER(node, struct query, node));
    ms_free(d);
}

void ms_dns_close(struct ms_dns *d)
{
    if (!d)
        return;
    assert(!d->closed);

    d->closed = true;
    ms_task_cancel(&d->deliver);
    ms_task_cancel(&d->rearm);
    ms_timer_cancel(d->loop, &d->timeout);
    ms_list_each (node, &d->sockets)
        drop_socket(MS_CONTAINER(node, struct server_socket, node));
    ms_loop_bury(d->loop, &d->grave, free_dns);
}

struct ms_dns_search ms_dns_search(const struct ms_dns *d)
{
    return (struct ms_dns_search){.ndots = d->options.ndots,
                                  .domains = d->options.domains,
                                  .count = (size_t)d->options.ndomains};
}

unsigned ms_dns_servers(const struct ms_dns *d)
{
    return d->servers;
}
