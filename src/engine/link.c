/* SPDX-License-Identifier: MIT */
#include "engine/link.h"

#include "base/mem.h"
#include "net/send_file.h"

/* Encrypted in one go, before the socket is asked to take it. */
#define SEAL_AT_ONCE (64 * 1024)
/* Reads in a row that brought nothing but TLS's own messages. */
#define MAX_EMPTY_READS 4

static const struct ms_io_result again = {MS_IO_AGAIN, 0, 0};
static const struct ms_io_result failed = {MS_IO_ERROR, 0, 0};

static struct ms_io_result done(size_t n)
{
    return (struct ms_io_result){MS_IO_DONE, 0, n};
}

void ms_link_env_fini(struct ms_link_env *env)
{
    ms_tls_env_free(env->tls);
    ms_free(env->sealed);
    ms_free(env->block);
    env->tls = NULL;
    env->sealed = env->block = NULL;
}

ms_err ms_link_env_secure(struct ms_link_env *env)
{
    if (!env->sealed && !(env->sealed = ms_alloc(MS_READ_BYTES)))
        return MS_ENOMEM;
    if (!env->block && !(env->block = ms_alloc(MS_BLOCK_BYTES)))
        return MS_ENOMEM;
    return env->tls ? MS_OK : ms_tls_env_new(&env->tls);
}

ms_err ms_link_secure(struct ms_link *l, struct ms_tls_ctx *ctx,
                      const struct ms_tls_peer *peer)
{
    return ms_tls_new(&l->tls, ctx, peer);
}

/* ---- the wire --------------------------------------------------------------
 */

static struct ms_io_result receive(struct ms_link *l, void *p, size_t cap)
{
    struct ms_io_result r = ms_net_recv(l->sock->fd, p, cap);

    l->env->bytes_in += r.n;
    l->more = r.n == cap;
    return r;
}

static struct ms_io_result transmit(struct ms_link *l,
                                    const struct ms_span *runs, size_t count)
{
    struct ms_io_result r = ms_net_send(l->sock->fd, runs, count);

    l->env->bytes_out += r.n;
    return r;
}

/* Lends the next encrypted bytes to TLS. */
static struct ms_io_result fetch(struct ms_link *l)
{
    struct ms_link_env *env = l->env;
    struct ms_io_result r;

    if (ms_link_has_raw(l)) {
        struct ms_span raw = ms_buf_span(&l->raw);
        r = done(raw.n);
        memcpy(env->sealed, raw.p, raw.n);
        ms_buf_free(&l->raw);
        l->more = true; /* who knows */
    } else {
        r = receive(l, env->sealed, MS_READ_BYTES);
    }
    env->tls->in = ms_span(env->sealed, r.n);
    return r;
}

struct ms_io_result ms_link_flush(struct ms_link *l)
{
    struct ms_span rest = ms_buf_span(&l->unsent);

    if (!rest.n)
        return done(0);
    struct ms_io_result r = transmit(l, &rest, 1);
    if (r.what == MS_IO_ERROR)
        return r;
    ms_buf_consume(&l->unsent, r.n);
    if (ms_link_pending(l))
        return again;
    ms_buf_free(&l->unsent);
    return done(0);
}

/* Sends what TLS has put out; what the socket does not take is kept. */
static struct ms_io_result push(struct ms_link *l)
{
    struct ms_buf *out = &l->env->tls->out;
    struct ms_span all = ms_buf_span(out);
    struct ms_io_result r = done(0);

    if (!all.n)
        return r;
    if (!ms_link_pending(l))
        r = transmit(l, &all, 1);
    if (r.what == MS_IO_ERROR) {
        ms_buf_clear(out);
        return r;
    }
    ms_buf_consume(out, r.n);
    if (ms_buf_len(out) && ms_buf_add_span(&l->unsent, ms_buf_span(out))) {
        l->err = MS_ENOMEM;
        r = failed;
    }
    ms_buf_clear(out);
    return r;
}

/* ---- TLS -------------------------------------------------------------------
 */

static struct ms_io_result broken(struct ms_link *l)
{
    const char *text, *reason;

    l->broken = true;
    l->env->tls->in = ms_span(NULL, 0); /* of no use to anybody */
    l->err = ms_tls_error(l->tls, &text, &reason);
    return failed;
}

/* What is left of `in` belongs to this connection and waits for its read. */
static struct ms_io_result keep_raw(struct ms_link *l)
{
    struct ms_tls_env *tls = l->env->tls;
    ms_err err = tls->in.n ? ms_buf_add_span(&l->raw, tls->in) : MS_OK;

    tls->in = ms_span(NULL, 0);
    if (!err)
        return done(0);
    l->err = err;
    return failed;
}

struct ms_io_result ms_link_shake(struct ms_link *l)
{
    for (;;) {
        enum ms_tls_what what = ms_tls_handshake(l->tls);
        struct ms_io_result r = push(l);
        if (what == MS_TLS_FAILED)
            return broken(l);
        if (r.what == MS_IO_ERROR)
            return r;
        if (what == MS_TLS_DONE)
            return keep_raw(l);
        r = fetch(l);
        if (r.what != MS_IO_DONE)
            return r;
    }
}

static struct ms_io_result read_sealed(struct ms_link *l, void *p, size_t cap)
{
    if (l->closed)
        return (struct ms_io_result){MS_IO_EOF, 0, 0};
    if (l->broken)
        return failed;
    for (int i = 0; i < MAX_EMPTY_READS; i++) {
        struct ms_io_result r = fetch(l);
        if (r.what != MS_IO_DONE)
            return r;
        size_t n;
        enum ms_tls_what what = ms_tls_read(
            l->tls, p, MS_MUTANT_IS(82) || MS_MUTANT_IS(210) ? 100 : cap, &n);
        (void)push(l); /* a failure is found by the next write */
        l->closed = what == MS_TLS_CLOSED;
        l->env->tls->in = ms_span(NULL, 0); /* nothing, or behind the end */
        if (what == MS_TLS_FAILED)
            (void)broken(l);
        if (n) {
            /* An end that was read with it is told by the next read. */
            l->more |= l->closed || l->broken;
            return done(n);
        }
        if (l->broken)
            return failed;
        if (l->closed)
            return (struct ms_io_result){MS_IO_EOF, 0, 0};
        if (!l->more)
            break;
    }
    return again;
}

struct ms_io_result ms_link_read(struct ms_link *l, void *p, size_t cap)
{
    return l->tls ? read_sealed(l, p, cap) : receive(l, p, MS_READ_BYTES);
}

/* Collects runs to whole records; large runs are not copied. */
static bool seal(struct ms_link *l, const struct ms_span *runs, size_t count,
                 size_t *n)
{
    char *block = l->env->block;
    size_t have = 0;

    for (size_t i = 0; i < count && *n < SEAL_AT_ONCE; i++) {
        struct ms_span run = runs[i];
        while (run.n && *n < SEAL_AT_ONCE) {
            size_t most = MS_BLOCK_BYTES - have;
            size_t take = run.n < most ? run.n : most;
            bool whole = !have && take == MS_BLOCK_BYTES;
            struct ms_span record = {whole ? run.p : block, have + take};
            if (!whole)
                memcpy(block + have, run.p, take);
            have = record.n < MS_BLOCK_BYTES ? record.n : 0;
            run = ms_span(run.p + take, run.n - take);
            *n += take;
            if (!have && ms_tls_write(l->tls, record) != MS_TLS_DONE)
                return false;
        }
    }
    return !have || ms_tls_write(l->tls, ms_span(block, have)) == MS_TLS_DONE;
}

static struct ms_io_result write_sealed(struct ms_link *l,
                                        const struct ms_span *runs,
                                        size_t count)
{
    struct ms_io_result r = ms_link_flush(l);
    size_t n = 0;

    if (r.what != MS_IO_DONE)
        return r;
    bool sealed = seal(l, runs, count, &n);
    r = push(l);
    if (!sealed)
        return broken(l);
    return r.what == MS_IO_ERROR ? r : done(n);
}

struct ms_io_result ms_link_write(struct ms_link *l, const struct ms_span *runs,
                                  size_t count)
{
    return l->tls ? write_sealed(l, runs, count) : transmit(l, runs, count);
}

/* To be encrypted, so it has to come to memory: a piece at a time. */
static struct ms_io_result write_file_sealed(struct ms_link *l,
                                             const struct ms_body_file *file,
                                             char *buffer, const char **why)
{
    size_t n = file->n < MS_READ_BYTES ? file->n : MS_READ_BYTES;

    if (ms_link_pending(l)) /* what is read could not be taken over */
        return ms_link_flush(l);
    n = ms_file_read_at(file->fd, file->at, buffer, n, why);
    struct ms_span run = ms_span(buffer, n);
    return n ? write_sealed(l, &run, 1) : failed;
}

struct ms_io_result ms_link_write_file(struct ms_link *l,
                                       const struct ms_body_file *file,
                                       char *buffer, const char **why)
{
    struct ms_file_slice slice = {file->fd, file->at, file->n, buffer,
                                  MS_READ_BYTES};

    if (l->tls)
        return write_file_sealed(l, file, buffer, why);
    struct ms_io_result r = ms_net_send_file(l->sock->fd, &slice, why);
    l->env->bytes_out += r.n;
    return r;
}

/* ---- the end ---------------------------------------------------------------
 */

void ms_link_farewell(struct ms_link *l)
{
    if (!l->tls || l->broken)
        return;
    ms_tls_close(l->tls);
    (void)push(l);
}

void ms_link_half_close(struct ms_link *l)
{
    ms_net_half_close(l->sock->fd);
}

bool ms_link_discard(struct ms_link *l, char *scratch)
{
    struct ms_io_result r = receive(l, scratch, MS_SCRATCH_BYTES);

    return r.what == MS_IO_EOF || r.what == MS_IO_ERROR;
}

ms_err ms_link_verdict(const struct ms_link *l, struct ms_io_result r)
{
    if (r.what == MS_IO_EOF)
        return l->tls && !l->closed ? MS_ETRUNCATED : MS_OK;
    return r.os_errno ? ms_err_from_errno(r.os_errno) : l->err;
}

void ms_link_close(struct ms_link *l)
{
    if (l->sock)
        ms_sock_close(l->sock);
    l->sock = NULL;
    ms_buf_free(&l->stash);
    ms_buf_free(&l->raw);
    ms_buf_free(&l->unsent);
}

void ms_link_fini(struct ms_link *l)
{
    ms_tls_free(l->tls);
    l->tls = NULL;
}
