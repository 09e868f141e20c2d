/* SPDX-License-Identifier: MIT */
#include "net/wake.h"

#include <assert.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Published wakers at a time, in one process. One for each thread that waits
 * is more than anybody needs; pages of the table that nobody uses cost
 * nothing. */
#define SLOT_BITS 12
#define SLOTS     (1u << SLOT_BITS)

/* A slot's state: who is inside (users * USER), whether it stands for a waker
 * (LIVE), and a serial number that is another one for each waker, so that an
 * old number meets nobody. 40 bits of it and the slot's index make the number
 * that is published. */
#define LIVE         1u
#define USER         2u
#define SERIAL_SHIFT 24
#define SERIAL_BITS  40
#define USERS(state) ((state) & ((1u << SERIAL_SHIFT) - 1u) & ~(uint64_t)LIVE)

static struct slot {
    _Atomic uint64_t state;
    struct ms_waker *waker; /* valid while LIVE, or while a user is inside */
} slots[SLOTS];

void ms_waker_init(struct ms_waker *w)
{
    atomic_init(&w->fd, -1);
    atomic_init(&w->woken, false);
    w->id = 0;
}

static struct slot *slot_of(int64_t id)
{
    return &slots[(uint64_t)id & (SLOTS - 1u)];
}

/* A user is inside for one write, so this is short. */
static void withdraw(struct slot *s, bool forked)
{
    atomic_fetch_and(&s->state, ~(uint64_t)LIVE);
    while (!forked && USERS(atomic_load(&s->state)))
        sched_yield();
}

void ms_waker_fini(struct ms_waker *w, bool forked)
{
    if (w->id)
        withdraw(slot_of(w->id), forked);
    w->id = 0;
    int fd = atomic_exchange(&w->fd, -1);
    if (fd >= 0)
        close(fd);
}

/* The one who turns the flag writes; the wait clears the flag before it reads
 * the descriptor. So a wake is never lost, and seldom seen twice. */
void ms_waker_wake(struct ms_waker *w)
{
    const uint64_t one = 1;

    if (atomic_exchange(&w->woken, true))
        return;
    int fd = atomic_load(&w->fd);
    if (fd < 0)
        return; /* the flag is seen before the first wait */
    ssize_t n = write(fd, &one, sizeof(one));
    (void)n; /* it is full: readable already */
}

ms_err ms_waker_open(struct ms_waker *w, int *fd)
{
    *fd = atomic_load(&w->fd);
    if (*fd >= 0)
        return MS_OK;
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (*fd < 0)
        return MS_EFILES;
    atomic_store(&w->fd, *fd);
    return MS_OK;
}

bool ms_waker_take(struct ms_waker *w)
{
    uint64_t count;
    int fd = atomic_load(&w->fd);

    if (!atomic_exchange(&w->woken, false))
        return false;
    if (fd >= 0) {
        ssize_t n = read(fd, &count, sizeof(count));
        (void)n; /* empty: woken before there was a descriptor */
    }
    return true;
}

/* Takes a slot that stands for nobody: it has a user, us, until it is LIVE. */
static bool claim(struct slot *s, uint64_t *serial)
{
    uint64_t old = atomic_load(&s->state);

    if ((old & LIVE) || USERS(old))
        return false;
    *serial = ((old >> SERIAL_SHIFT) + (MS_MUTANT_IS(209) ? 0 : 1)) &
              ((UINT64_C(1) << SERIAL_BITS) - 1);
    return atomic_compare_exchange_strong(&s->state, &old,
                                          *serial << SERIAL_SHIFT | USER);
}

int64_t ms_waker_publish(struct ms_waker *w)
{
    uint64_t serial;

    for (unsigned i = 0; i < SLOTS && !w->id; i++) {
        if (!claim(&slots[i], &serial))
            continue;
        slots[i].waker = w;
        atomic_store(&slots[i].state, serial << SERIAL_SHIFT | LIVE);
        w->id = (int64_t)(serial << SLOT_BITS | i);
    }
    return w->id;
}

bool ms_wake(int64_t id)
{
    struct slot *s = slot_of(id);
    uint64_t serial = (uint64_t)id >> SLOT_BITS;
    uint64_t state = atomic_load(&s->state);

    do {
        if (id <= 0 || state >> SERIAL_SHIFT != serial || !(state & LIVE))
            return false;
    } while (!atomic_compare_exchange_weak(&s->state, &state, state + USER));
    ms_waker_wake(s->waker);
    atomic_fetch_sub(&s->state, USER);
    return true;
}
