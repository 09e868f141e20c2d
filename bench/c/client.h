/* SPDX-License-Identifier: MIT
 *
 * client.h - what the C clients of the benchmark share: the command line, one
 * epoll loop, and the line that reports a run.
 *
 * The loop is the same code for every library, so that a difference between
 * two clients is a difference between the libraries. It is not a framework:
 * a client fills in four functions and calls client_run().
 */
#ifndef MS_BENCH_CLIENT_H
#define MS_BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One request slot: runs one transfer after another. */
struct client_slot {
    struct client *client;
    void *easy;   /* the library's handle */
    size_t bytes; /* of the body of the current transfer */
    bool is_held; /* waits for an answer that never comes; not measured */
};

struct client {
    /* From the command line. */
    const char *url, *held_url;
    uint64_t requests;
    unsigned concurrency, hosts, held;
    bool new_connections;
    bool http2;
    unsigned streams;    /* of one HTTP/2 connection; 0: the library's limit */
    const char *ca_file; /* NULL: whom the system trusts */
    bool ca_path;        /* libcurl: keep the folder it has by itself */
    bool no_resume;      /* every TLS handshake is a full one */
    bool each;           /* say what each transfer cost */
    unsigned idle_ms;    /* how long connections rest before they are weighed */

    /* Filled in by the client before client_run(). */
    bool (*prepare)(struct client *c, struct client_slot *slot,
                    const char *url); /* makes slot->easy; false: give up */
    void (*start)(struct client *c, struct client_slot *slot);
    /* `fd` is ready for EPOLL* `events`; -1: the deadline passed. */
    void (*on_ready)(struct client *c, int fd, uint32_t events);
    /* After every batch of events: the place to read messages. */
    void (*after_batch)(struct client *c);
    /* Frees every slot->easy, and no connection. */
    void (*drop)(struct client *c);

    /* Counted on the way. */
    uint64_t started, ok, failed, opened;
    unsigned held_open; /* held transfers that saw the start of an answer */

    /* The loop's own. */
    struct client_slot *slots; /* held ones first */
    int epoll_fd;
    int64_t wake_at_us; /* -1: never */
    double cpu_us;      /* of the process when the last transfer ended */
};

/* Reads the command line into `*c`, which it clears; exits on a bad one. */
void client_init(struct client *c, int argc, char **argv);

/* Runs the held transfers until all are open, then the measured ones, and
 * prints the report. Returns the exit code of the program. */
int client_run(struct client *c);

/* For the socket callback: `events` of EPOLL* on `fd` from now on; `known`
 * says whether the fd was given before; 0 forgets it. */
void client_watch(struct client *c, int fd, uint32_t events, bool known);

/* For the timer callback: -1 = no deadline. */
void client_wake_in(struct client *c, int64_t ms);

/* A measured transfer ended: counts it and starts the slot's next one. */
void client_ended(struct client *c, struct client_slot *slot, bool ok);

/* Body bytes arrived. */
void client_received(struct client_slot *slot, size_t n);

#endif
