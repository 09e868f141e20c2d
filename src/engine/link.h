/* SPDX-License-Identifier: MIT
 *
 * link.h - the byte transport under a session: a socket, perhaps with TLS on
 * it, and what was read from it but not taken yet. Whoever reads and writes
 * through a link does not know which.
 *
 * All that came from the socket is decrypted before a read returns, so nothing
 * waits inside the TLS library that no event will tell of.
 */
#ifndef MS_ENGINE_LINK_H
#define MS_ENGINE_LINK_H

#include "base/buf.h"
#include "net/multi_ev.h"
#include "net/sock.h"
#include "proto/session.h"
#include "proto/tls.h"

/* What the links of a multi share. */
struct ms_link_env {
    uint64_t bytes_in, bytes_out; /* on the wire */
    struct ms_tls_env *tls;       /* owned, like the rest; NULL before use */
    char *sealed;                 /* what came, encrypted: MS_READ_BYTES */
    char *block;                  /* MS_BLOCK_BYTES to encrypt at once */
};

/* One read. Larger makes fewer calls for big bodies; this much still fits the
 * second-level cache. */
#define MS_READ_BYTES (64 * 1024)
/* The most that one record of TLS holds (RFC 8446, 5.1). */
#define MS_BLOCK_BYTES 16384
/* Room that a read needs: all that was decrypted goes there. */
#define MS_SCRATCH_BYTES (MS_READ_BYTES + MS_TLS_RECORD + 1)

struct ms_link {
    struct ms_link_env *env;
    struct ms_sock *sock; /* NULL until connected, and again once closed */
    struct ms_tls *tls;   /* NULL: in the clear */
    struct ms_buf stash;  /* read, but refused by a paused stream */
    struct ms_buf raw;    /* came behind the handshake, not decrypted yet */
    struct ms_buf unsent; /* encrypted, and the socket is full */
    ms_err err;           /* why a result was MS_IO_ERROR without an errno */
    bool more;            /* the last read did not empty the socket */
    bool closed;          /* the peer's word that nothing follows came */
    bool broken;          /* TLS failed */
};

void ms_link_env_fini(struct ms_link_env *env);

/* From here on everything is encrypted; ms_link_shake() has to come through
 * first. Errors as ms_tls_new(). */
ms_err ms_link_secure(struct ms_link *l, struct ms_tls_ctx *ctx,
                      const struct ms_tls_peer *peer) MS_MUST_CHECK;

/* The buffers for that; before the first ms_tls_ctx_get(). MS_ENOMEM. */
ms_err ms_link_env_secure(struct ms_link_env *env) MS_MUST_CHECK;

/* Goes on with the handshake: MS_IO_DONE when it is through. */
struct ms_io_result ms_link_shake(struct ms_link *l);

/* Next bytes from the peer; `cap` is MS_SCRATCH_BYTES. */
struct ms_io_result ms_link_read(struct ms_link *l, void *p, size_t cap);

/* Whether something came that ms_link_read() has not looked at. */
static inline bool ms_link_has_raw(const struct ms_link *l)
{
    return ms_buf_len(&l->raw) > 0;
}

/* `n` of the result is what the link took over. */
struct ms_io_result ms_link_write(struct ms_link *l, const struct ms_span *runs,
                                  size_t count);

/* The same for what lies in a file, which goes through `buffer`, of
 * MS_READ_BYTES, where it has to. MS_IO_ERROR with `*why` set: it is the file's
 * fault, and the link is as good as before. */
struct ms_io_result ms_link_write_file(struct ms_link *l,
                                       const struct ms_body_file *file,
                                       char *buffer, const char **why);

/* Whether something was taken over that has not left. */
static inline bool ms_link_pending(const struct ms_link *l)
{
    return MS_UNLIKELY(ms_buf_len(&l->unsent) > 0);
}

/* Sends what is pending: MS_IO_DONE when nothing is any more. */
struct ms_io_result ms_link_flush(struct ms_link *l);

/* Says that nothing follows, of TLS; what the socket does not take at once is
 * pending. */
void ms_link_farewell(struct ms_link *l);

/* Ends the sending half. Nothing may be pending. */
void ms_link_half_close(struct ms_link *l);

/* Reads what comes and forgets it. True when nothing more will. */
bool ms_link_discard(struct ms_link *l, char *scratch);

/* What an MS_IO_ERROR, or an MS_IO_EOF, means for the one who reads. MS_OK: an
 * end in order. */
ms_err ms_link_verdict(const struct ms_link *l, struct ms_io_result r);

/* Closes the socket; frees what was kept. */
void ms_link_close(struct ms_link *l);

/* Frees the rest; with no TLS code on the stack. */
void ms_link_fini(struct ms_link *l);

#endif
