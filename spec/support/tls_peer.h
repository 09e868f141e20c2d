/* SPDX-License-Identifier: MIT
 *
 * tls_peer.h - what the files of the scripted TLS server share. It is a
 * process of its own that lives for one spec (spec/support/tls_peer.lua): what
 * is allocated for the job is never freed, and it exits when memory is short.
 *
 *   tls_peer.c        connections, each in a thread, and the steps they play
 *   tls_peer_job.c    the job: scripts, and settings of the TLS context
 *   tls_peer_io.c     reading and writing, and the report of it
 */
#ifndef SPEC_TLS_PEER_H
#define SPEC_TLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>

enum { READ_SIZE = 16384 }; /* a TLS record */

struct conn;
struct step;

/* False: the connection is over. */
typedef bool step_fn(struct conn *c, const struct step *s);

struct step_kind {
    const char *name;
    step_fn *run;
    bool before_tls; /* does not need a handshake, and does not make one */
};

struct step {
    const struct step_kind *kind;
    unsigned char *data;
    size_t len;
    long number;
};

struct script {
    struct step *steps;
    size_t count;
};

struct job {
    struct script *scripts;
    size_t script_count;
    SSL_CTX *ctx;
    FILE *report;
    char *host, *port;
    bool count_only; /* what is received is not kept */
};

struct conn {
    const struct job *job;
    int id, fd;
    SSL *ssl;
    bool secure; /* the handshake is done */
    bool ended;  /* nothing more comes from the client, and why is reported */
    int renegotiations;
    size_t at; /* next step */
    long rounds;
    char *input; /* what was read and no step has taken */
    size_t len, size;
};

/* ---- tls_peer.c ---- */

/* NULL: there is none of that name. */
const struct step_kind *find_step(const char *name, size_t len);

/* ---- tls_peer_job.c ---- */

/* Reads stdin to its end. */
const struct job *read_job(void);

/* ---- tls_peer_io.c ---- */

/* Ends the process; its stderr fails the spec. */
_Noreturn void die(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* realloc that does not fail. */
void *grow(void *p, size_t size);

/* Reports an event without details. */
void note(const struct conn *c, const char *event);

/* Reports how a call of OpenSSL failed, as "close_notify", "eof" or "error".
 * Before each call: forget_errors(). */
void note_failure(struct conn *c, int result);
void forget_errors(void);

/* Makes the handshake if there was none; false when it failed. */
bool handshake(struct conn *c);

/* Reads once, adds it to the input and reports it; false at the end. */
bool read_more(struct conn *c);

/* Takes n bytes from the input. */
void take(struct conn *c, size_t n);

/* Takes a whole request, or its head only, and reports it. */
bool take_request(struct conn *c);
bool take_head(struct conn *c);

/* In records of at most `piece` bytes, 0 for as large as they get. */
bool write_all(struct conn *c, const void *data, size_t len, size_t piece);

/* Past TLS, as it is. */
bool write_raw(struct conn *c, const unsigned char *p, size_t len);

#endif
