/* SPDX-License-Identifier: MIT
 *
 * decoding.h - between a session that brings a coded body and the transfer
 * that takes it decoded, and may stop taking it at any time.
 *
 * It keeps one piece that was refused and otherwise leaves with the session
 * what is not decoded yet: however much a body would make, a transfer that is
 * paused holds a piece and the decoders.
 *
 * One read of 64 KiB may unpack to 64 MiB. So that others get on meanwhile, a
 * decoding that made enough for one turn of the host's loop rests until the
 * next, as if its transfer were paused.
 */
#ifndef MS_ENGINE_DECODING_H
#define MS_ENGINE_DECODING_H

#include "net/loop.h"
#include "proto/decode.h"

/* What goes on at a time: no more calls than for a body that is not coded, and
 * it stays in the processor's first cache. */
#define MS_DECODING_PIECE (16 * 1024)

/* What is made in a turn: some two milliseconds of work. A read of text makes
 * about half of it, so most bodies never rest. */
#define MS_DECODING_TURN ((size_t)512 * 1024)

struct ms_decoding;

/* Whose decoding it is: again(user) is called in a later turn than the one in
 * which it began to rest. */
struct ms_decoding_owner {
    struct ms_loop *loop;
    void (*again)(void *user);
    void *user;
};

/* Takes all of a piece (`*taken` = n) or, as long as it is paused, nothing.
 * An error ends the decoding. */
typedef ms_err ms_decoding_cb(void *user, const char *p, size_t n,
                              size_t *taken);

/* A body that unpacks to more than 200 times its size was made to do so: what
 * people send stays well below, Apache draws the line there as well, and
 * deflate alone reaches 1032. */
#define MS_DECODING_RATIO 200

/* NULL when there is nothing to undo; the rest as ms_decoder_new(). The ratio
 * is not looked at before `trusted` bytes were made. */
ms_err ms_decoding_new(struct ms_decoding **out, const struct ms_fields *fields,
                       uint64_t trusted,
                       const struct ms_decoding_owner *owner) MS_MUST_CHECK;
/* NULL is allowed. Nobody is called any more. */
void ms_decoding_free(struct ms_decoding *d);

/* Bytes as on_data of a session brings them, and `*taken` as it wants to have
 * it. Returns what `deliver` did, or MS_EDECODE, MS_ENOMEM, MS_ETOOLARGE for a
 * body that passes the ratio. */
ms_err ms_decoding_feed(struct ms_decoding *d, struct ms_span in, size_t *taken,
                        ms_decoding_cb *deliver, void *user) MS_MUST_CHECK;

/* It takes nothing before its owner was called. */
bool ms_decoding_rests(const struct ms_decoding *d);

/* No byte follows. MS_EDECODE. */
ms_err ms_decoding_end(struct ms_decoding *d) MS_MUST_CHECK;

/* What was wrong, as static text; NULL where the error says it all. */
const char *ms_decoding_failure(const struct ms_decoding *d);

#endif
