/* SPDX-License-Identifier: MIT */
#include "net/wake.h"

#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

TEST(a_wake_is_sticky)
{
    struct ms_waker w;
    int fd, again;

    ms_waker_init(&w);
    CHECK(!ms_waker_take(&w));
    ms_waker_wake(&w); /* before there is a descriptor */
    CHECK(!ms_waker_open(&w, &fd));
    CHECK(ms_waker_take(&w));
    CHECK(!ms_waker_take(&w) && !is_readable(fd));
    ms_waker_wake(&w);
    ms_waker_wake(&w);
    CHECK(is_readable(fd));
    CHECK(ms_waker_take(&w) && !ms_waker_take(&w) && !is_readable(fd));
    CHECK(!ms_waker_open(&w, &again) && again == fd);
    ms_waker_fini(&w, false);
}

TEST(a_number_stands_for_one_waker)
{
    struct ms_waker a, b;

    ms_waker_init(&a);
    ms_waker_init(&b);
    int64_t first = ms_waker_publish(&a), second = ms_waker_publish(&b);
    CHECK(first > 0 && second > 0 && first != second);
    CHECK(ms_waker_publish(&a) == first);
    CHECK(ms_wake(first) && ms_waker_take(&a) && !ms_waker_take(&b));
    ms_waker_fini(&a, false);
    CHECK(!ms_wake(first));
    ms_waker_init(&a);
    CHECK(ms_waker_publish(&a) != first); /* the slot is the same */
    CHECK(!ms_wake(first) && !ms_waker_take(&a));
    CHECK(!ms_wake(0) && !ms_wake(-1) && !ms_wake(INT64_MIN) &&
          !ms_wake(INT64_MAX));
    ms_waker_fini(&a, false);
    ms_waker_fini(&b, false);
    CHECK(!ms_wake(second));
}

/* ---- threads: wakers that come and go under those who wake ------------- */

#define THREADS 4
#define ROUNDS  2000

static _Atomic int64_t published[THREADS];
static atomic_bool over;
static atomic_int failures; /* CHECK works in the main thread only */

static void *wake_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !atomic_load(&over); i++)
        (void)ms_wake(atomic_load(&published[i % THREADS]));
    return NULL;
}

static void *come_and_go(void *arg)
{
    _Atomic int64_t *mine = arg;
    struct ms_waker w;
    int fd;

    for (int i = 0; i < ROUNDS; i++) {
        ms_waker_init(&w);
        atomic_store(mine, ms_waker_publish(&w));
        if (ms_waker_open(&w, &fd))
            atomic_fetch_add(&failures, 1);
        if (!ms_waker_take(&w) && i % 16 == 0)
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
        ms_waker_fini(&w, false);
    }
    return NULL;
}

TEST(wakers_come_and_go_under_those_who_wake)
{
    pthread_t wakers[2], owners[THREADS];

    for (int i = 0; i < 2; i++)
        CHECK(!pthread_create(&wakers[i], NULL, wake_all, NULL));
    for (int i = 0; i < THREADS; i++)
        CHECK(!pthread_create(&owners[i], NULL, come_and_go, &published[i]));
    for (int i = 0; i < THREADS; i++)
        pthread_join(owners[i], NULL);
    atomic_store(&over, true);
    for (int i = 0; i < 2; i++)
        pthread_join(wakers[i], NULL);
    CHECK(failures == 0);
}

/* A child that was forked in the middle of a wake must not wait for it. */
TEST(a_child_does_not_wait_for_its_parents_threads)
{
    struct ms_waker w;
    int status;

    ms_waker_init(&w);
    CHECK(ms_waker_publish(&w));
    pid_t child = fork();
    if (child == 0) {
        ms_waker_fini(&w, true);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(ms_wake(w.id) && ms_waker_take(&w));
    ms_waker_fini(&w, false);
}
