/* SPDX-License-Identifier: MIT
 *
 * link.h - the byte transport under a session: a socket, and what was read
 * from it but not taken yet. TLS will live here too; whoever reads and writes
 * through a link does not know.
 */
#ifndef MS_ENGINE_LINK_H
#define MS_ENGINE_LINK_H

#include "base/buf.h"
#include "net/multi_ev.h"
#include "net/sock.h"

struct ms_link {
    struct ms_sock *sock;           /* NULL until connected */
    struct ms_buf stash;            /* read, but refused by a paused stream */
    uint64_t *bytes_in, *bytes_out; /* the multi's counters */
};

/* Next bytes from the peer. */
struct ms_io_result ms_link_read(struct ms_link *l, void *p, size_t cap);
struct ms_io_result ms_link_write(struct ms_link *l, const struct ms_span *runs,
                                  size_t count);

/* Closes the socket; frees the stash. */
void ms_link_close(struct ms_link *l);

#endif
