/* SPDX-License-Identifier: MIT */
#include "net/multi_ev.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* The fd table starts with room for a small program's worth of sockets. */
#define FIRST_FDS 64

void ms_ev_init(struct ms_ev *ev)
{
    *ev = (struct ms_ev){0};
    ms_list_init(&ev->changed);
    ms_list_init(&ev->queued);
    ms_list_init(&ev->dead);
}

void ms_ev_fini(struct ms_ev *ev)
{
    assert(ev->count == 0 && ms_list_empty(&ev->changed));

    ms_ev_reap(ev);
    ms_free(ev->by_fd);
}

static ms_err grow_table(struct ms_ev *ev, int fd)
{
    if (fd < ev->cap)
        return MS_OK;

    int cap = ev->cap ? ev->cap : FIRST_FDS;
    while (cap <= fd)
        cap *= 2;
    struct ms_sock **t = ms_realloc(ev->by_fd, (size_t)cap * sizeof(*t));
    if (!t)
        return MS_ENOMEM;
    memset(t + ev->cap, 0, (size_t)(cap - ev->cap) * sizeof(*t));
    ev->by_fd = t;
    ev->cap = cap;
    return MS_OK;
}

/* What the host should have been told by now. */
static unsigned wish(const struct ms_sock *s)
{
    return s->closing ? 0u : ms_sock_wants(s);
}

/* Puts `s` on the changed list exactly while there is something to tell. */
static void note_change(struct ms_sock *s)
{
    bool untold = s->ev->announce && wish(s) != s->told;

    if (untold || s->closing)
        ms_list_push(&s->ev->changed, &s->changed);
    else
        ms_list_unlink(&s->changed);
    if (MS_MUTANT_IS(202) && untold)
        ms_ev_flush(s->ev);
}

ms_err ms_sock_open(struct ms_ev *ev, int fd, ms_sock_ready_cb *on_ready,
                    void *owner, const char *role, struct ms_sock **out)
{
    assert(fd >= 0 && on_ready);

    ms_err err = grow_table(ev, fd);
    if (err)
        return err;
    assert(!ev->by_fd[fd] && "the number's last owner was forgotten");
    struct ms_sock *s = ms_alloc(sizeof(*s));
    if (!s)
        return MS_ENOMEM;
    *s = (struct ms_sock){.ev = ev, .fd = fd};
    ms_list_init(&s->changed);
    ms_list_init(&s->turn);
    ms_list_init(&s->interests);
    if (MS_MUTANT_IS(32))
        s->value = s; /* somebody's */
    ms_sock_give(s, on_ready, owner, role);
    ev->by_fd[fd] = s;
    ev->count++;
    *out = s;
    return MS_OK;
}

void ms_sock_give(struct ms_sock *s, ms_sock_ready_cb *on_ready, void *owner,
                  const char *role)
{
    assert(!s->closing);

    s->on_ready = on_ready;
    s->owner = owner;
    s->role = role;
}

void ms_sock_close(struct ms_sock *s)
{
    assert(!s->closing);

    ms_list_each (node, &s->interests)
        ms_interest_drop(MS_CONTAINER(node, struct ms_interest, node));
    ms_list_unlink(&s->turn);
    s->closing = true;
    s->on_ready = NULL;
    s->owner = NULL;
    note_change(s);
}

void ms_interest_init(struct ms_interest *i, void *easy)
{
    *i = (struct ms_interest){.easy = easy};
    ms_list_init(&i->node);
}

static void count_wish(struct ms_sock *s, unsigned want, unsigned step)
{
    if (want & MS_POLL_IN)
        s->readers += step;
    if (want & MS_POLL_OUT)
        s->writers += step;
}

void ms_interest_set(struct ms_interest *i, struct ms_sock *s, unsigned want)
{
    assert(!(want & ~(unsigned)MS_POLL_INOUT));
    assert(!s->closing);

    if (i->sock == s && i->want == want)
        return;
    if (i->sock != s) {
        ms_interest_drop(i);
        i->sock = s;
        ms_list_push(&s->interests, &i->node);
    }
    count_wish(s, want, 1u);
    count_wish(s, MS_MUTANT_IS(201) ? 0 : i->want, ~0u);
    i->want = want;
    note_change(s);
}

void ms_interest_drop(struct ms_interest *i)
{
    struct ms_sock *s = i->sock;

    if (!s)
        return;
    count_wish(s, i->want, ~0u);
    ms_list_unlink(&i->node);
    i->sock = NULL;
    i->want = 0;
    note_change(s);
}

void *ms_sock_sole_easy(const struct ms_sock *s)
{
    void *easy = NULL;

    ms_list_each (node, &s->interests) {
        struct ms_interest *i = MS_CONTAINER(node, struct ms_interest, node);
        if (!i->want)
            continue;
        if (!i->easy || easy)
            return NULL;
        easy = i->easy;
    }
    return easy;
}

struct ms_sock *ms_ev_find(const struct ms_ev *ev, int fd)
{
    bool known = fd < ev->cap || MS_MUTANT_IS(71);
    struct ms_sock *s = fd >= 0 && known ? ev->by_fd[fd] : NULL;

    return s && !s->closing ? s : NULL;
}

void ms_ev_queue(struct ms_sock *s, unsigned events)
{
    assert(!s->closing);

    s->queued |= (unsigned char)events;
    if (ms_list_empty(&s->turn))
        ms_list_push(&s->ev->queued, &s->turn);
}

void ms_ev_run_queued(struct ms_ev *ev)
{
    struct ms_list now, *node;

    ms_list_init(&now);
    ms_list_splice(&now, &ev->queued);
    while ((node = ms_list_pop(&now))) {
        struct ms_sock *s = MS_CONTAINER(node, struct ms_sock, turn);
        unsigned events = s->queued;
        s->queued = 0;
        s->on_ready(s, events);
    }
}

/* Brings the host up to date with one socket. `s` is settled before the call
 * because the host may come back and change it. */
static void tell(struct ms_ev *ev, struct ms_sock *s)
{
    unsigned want = wish(s);

    if (!ev->announce || (want == s->told && !(MS_MUTANT_IS(30) && s->closing)))
        return;
    if (!s->told)
        ev->watched++;
    if (!want)
        ev->watched--;
    s->told = (unsigned char)want;
    if (MS_MUTANT_IS(29) && !want)
        return;
    ev->announce(ev->host, s, want ? (int)want : MS_POLL_REMOVE);
    if (MS_MUTANT_IS(24))
        ev->announce(ev->host, s, want ? (int)want : MS_POLL_REMOVE);
    if (MS_MUTANT_IS(35) || !s->told)
        s->value = NULL;
}

/* The host has forgotten the number, so now it may be anybody's. */
static void finish_close(struct ms_ev *ev, struct ms_sock *s)
{
    int fd = s->fd;

    ev->by_fd[fd] = NULL;
    ev->count--;
    s->fd = -1;
    ms_list_push(&ev->dead, &s->changed);
    if (!MS_MUTANT_IS(121))
        close(fd);
}

static void flush_what_changed(struct ms_ev *ev)
{
    struct ms_list now;

    ms_list_init(&now);
    ms_list_splice(&now, &ev->changed);
    while (!ms_list_empty(&now)) {
        struct ms_sock *s =
            MS_CONTAINER(ms_list_pop(&now), struct ms_sock, changed);
        /* What the host closes while it is told waits for its own turn, in the
         * next pass: it has to hear of that too. */
        bool closing = s->closing;
        if (MS_MUTANT_IS(31) && closing)
            close(s->fd);
        tell(ev, s);
        if (closing || (MS_MUTANT_IS(205) && s->closing))
            finish_close(ev, s);
    }
}

static bool any_closing(const struct ms_ev *ev)
{
    ms_list_each (node, &ev->changed)
        if (MS_CONTAINER(node, struct ms_sock, changed)->closing)
            return true;
    return false;
}

void ms_ev_flush(struct ms_ev *ev)
{
    flush_what_changed(ev);
    /* A host that closes more or sets other callbacks while it is told does
     * not leave descriptors open: there may be no other call. */
    while (!ms_list_empty(&ev->changed) && any_closing(ev))
        flush_what_changed(ev);
}

void ms_ev_set_host(struct ms_ev *ev, ms_ev_announce_cb *announce, void *host,
                    bool silently)
{
    ms_ev_announce_cb *old = ev->announce;
    void *old_host = ev->host;

    ev->announce = announce;
    ev->host = host;
    for (int fd = 0; fd < ev->cap; fd++) {
        struct ms_sock *s = ev->by_fd[fd];
        if (!s)
            continue;
        if (s->told) {
            s->told = 0;
            ev->watched--;
            if (old && !silently && !MS_MUTANT_IS(45))
                old(old_host, s, MS_POLL_REMOVE);
            s->value = NULL;
        }
        if (!MS_MUTANT_IS(43))
            note_change(s);
    }
}

void ms_ev_reap(struct ms_ev *ev)
{
    struct ms_list *node;

    while ((node = ms_list_pop(&ev->dead)))
        ms_free(MS_CONTAINER(node, struct ms_sock, changed));
}

static const char *check_sock(const struct ms_ev *ev, const struct ms_sock *s)
{
    unsigned readers = 0, writers = 0;

    ms_list_each (node, &s->interests) {
        struct ms_interest *i = MS_CONTAINER(node, struct ms_interest, node);
        if (i->sock != s)
            return "an interest is listed on a socket it does not name";
        readers += (i->want & MS_POLL_IN) != 0;
        writers += (i->want & MS_POLL_OUT) != 0;
    }
    if (readers != s->readers || writers != s->writers)
        return "reader or writer count differs from the interests";
    if (s->told && !ev->announce)
        return "a socket counts as told with no host";
    bool listed = !ms_list_empty(&s->changed);
    bool must = s->closing || (ev->announce && wish(s) != s->told);
    if (listed != must)
        return "the changed list misses a socket or holds one in vain";
    return NULL;
}

const char *ms_ev_check(const struct ms_ev *ev)
{
    unsigned count = 0, watched = 0;

    for (int fd = 0; fd < ev->cap; fd++) {
        struct ms_sock *s = ev->by_fd[fd];
        if (!s)
            continue;
        if (s->fd != fd)
            return "the fd table points to another fd's socket";
        const char *wrong = check_sock(ev, s);
        if (wrong)
            return wrong;
        count++;
        watched += s->told != 0;
    }
    if (count != ev->count)
        return "the number of sockets is off";
    if (watched != ev->watched)
        return "the number of watched sockets is off";
    return NULL;
}
