/* SPDX-License-Identifier: MIT
 *
 * multi_ev.h - which sockets the engine waits for, and telling the host.
 *
 * Every socket has one entry. Whoever wants something of it holds an
 * interest: a transfer's stream, the connection itself, a connect attempt,
 * the resolver. The entry counts how many want to read and how many want to
 * write; the sum is what the host is to watch for. Changing a wish is O(1):
 * it adjusts the counts and, when the sum differs from what the host was
 * told, puts the entry on the changed list. ms_ev_flush() tells the host,
 * once per socket and only real changes. Nothing else calls the host.
 *
 * A socket is closed only here, in the flush after the host was told to
 * forget it; until then its number cannot come back. The next owner of the
 * number gets a fresh entry.
 *
 * It polls nothing and knows nothing of HTTP.
 */
#ifndef MS_NET_MULTI_EV_H
#define MS_NET_MULTI_EV_H

#include "base/err.h"
#include "base/list.h"

struct ms_ev;
struct ms_sock;

/* The socket is ready; `events` are MS_CSELECT_* bits, 0 for "find out". The
 * callee may change or close any socket, this one too. */
typedef void ms_sock_ready_cb(struct ms_sock *s, unsigned events);

/* An event of our own: the host refused to watch the socket. */
#define MS_EV_REFUSED 0x80u

/* Watch `s->fd` for `what` (MS_POLL_*). May change or close any socket. */
typedef void ms_ev_announce_cb(void *host, struct ms_sock *s, int what);

/* One party's wish for one socket; embedded in the party. */
struct ms_interest {
    struct ms_list node;  /* on sock->interests */
    struct ms_sock *sock; /* NULL while it holds nothing */
    void *easy;           /* whose transfer this is, NULL for other parties */
    unsigned want;        /* MS_POLL_IN, MS_POLL_OUT, both or 0 */
};

struct ms_sock {
    struct ms_ev *ev;
    struct ms_list changed;   /* on ev->changed while the host is to be told */
    struct ms_list turn;      /* on ev->queued while an event waits */
    struct ms_list interests; /* of struct ms_interest */
    ms_sock_ready_cb *on_ready;
    void *owner;      /* on_ready's; not touched here */
    const char *role; /* static text: what kind of party owns it */
    void *value;      /* the application's, from ms_multi_assign() */
    int fd;           /* owned until the flush after ms_sock_close() */
    unsigned readers, writers;
    unsigned char told;   /* MS_POLL_* last announced, 0: nothing */
    unsigned char queued; /* events waiting for a turn */
    bool closing;
};

struct ms_ev {
    struct ms_sock **by_fd; /* indexed by fd, NULL where not watched */
    int cap;
    unsigned count;              /* open sockets */
    unsigned watched;            /* sockets the host was told of */
    struct ms_list changed;      /* of struct ms_sock */
    struct ms_list queued;       /* of struct ms_sock, by turn */
    struct ms_list dead;         /* closed sockets' entries, until the reap */
    ms_ev_announce_cb *announce; /* NULL: nobody is told */
    void *host;
};

void ms_ev_init(struct ms_ev *ev);

/* All sockets must be closed and flushed. */
void ms_ev_fini(struct ms_ev *ev);

/* Installs, replaces or (NULL) removes the host. The old one gets
 * MS_POLL_REMOVE for every socket it knows, inside this call; for the new one
 * every socket is put on the changed list. With `silently` the old one is not
 * told. */
void ms_ev_set_host(struct ms_ev *ev, ms_ev_announce_cb *announce, void *host,
                    bool silently);

/* Starts tracking `fd`, wanting nothing yet; owns `fd` on MS_OK only.
 * MS_ENOMEM. */
ms_err ms_sock_open(struct ms_ev *ev, int fd, ms_sock_ready_cb *on_ready,
                    void *owner, const char *role,
                    struct ms_sock **out) MS_MUST_CHECK;

/* Hands the socket to another owner; interests stay. */
void ms_sock_give(struct ms_sock *s, ms_sock_ready_cb *on_ready, void *owner,
                  const char *role);

/* No event comes after this and all interests are dropped. The fd is closed
 * by the next flush, and the entry must not be used any more. */
void ms_sock_close(struct ms_sock *s);

/* For an interest that was never used. */
void ms_interest_init(struct ms_interest *i, void *easy);

/* Wants `want` of `s` from now on; 0 withdraws. Moves the interest when it
 * was held on another socket. Cheap enough for every change of state. */
void ms_interest_set(struct ms_interest *i, struct ms_sock *s, unsigned want);

/* Says whose transfer it is for from now on, NULL for nobody's. */
static inline void ms_interest_label(struct ms_interest *i, void *easy)
{
    i->easy = easy;
}

/* Wants nothing of anything. */
void ms_interest_drop(struct ms_interest *i);

/* MS_POLL_* the counts add up to, 0 for nothing. */
static inline unsigned ms_sock_wants(const struct ms_sock *s)
{
    return (s->readers ? (unsigned)MS_POLL_IN : 0u) |
           (s->writers ? (unsigned)MS_POLL_OUT : 0u);
}

/* The one easy that alone is interested, NULL otherwise. */
void *ms_sock_sole_easy(const struct ms_sock *s);

/* The open socket with that number, NULL when there is none. */
struct ms_sock *ms_ev_find(const struct ms_ev *ev, int fd);

/* Keeps an event for ms_ev_run_queued(); forgotten when the socket closes. */
void ms_ev_queue(struct ms_sock *s, unsigned events);

/* Hands out the events queued until now. */
void ms_ev_run_queued(struct ms_ev *ev);

static inline bool ms_ev_has_queued(const struct ms_ev *ev)
{
    return !ms_list_empty(&ev->queued);
}

/* Tells the host the changes made until now and closes closed sockets. What
 * the host's callbacks change meanwhile waits for the next flush, but for what
 * they close. */
void ms_ev_flush(struct ms_ev *ev);

static inline bool ms_ev_dirty(const struct ms_ev *ev)
{
    return !ms_list_empty(&ev->changed);
}

/* Frees the entries of closed sockets; with no engine code on the stack. */
void ms_ev_reap(struct ms_ev *ev);

/* NULL when every count, list and table agrees; otherwise what does not. */
const char *ms_ev_check(const struct ms_ev *ev);

#endif
