/* SPDX-License-Identifier: MIT
 *
 * h2_limits.h - how much an HTTP/2 peer may make us keep or do.
 */
#ifndef MS_PROTO_H2_LIMITS_H
#define MS_PROTO_H2_LIMITS_H

/* What one stream may have under way at first, and a paused one keep here: a
 * TCP connection needs four round trips to send more in one. */
#define MS_H2_STREAM_WINDOW (256 * 1024)
/* What the window grows to where its size holds the stream up: 1.3 Gbit/s at
 * 100 ms round trip. */
#define MS_H2_MAX_STREAM_WINDOW (16 * 1024 * 1024)
/* And what 5 Gbit/s need: a reader that was quick and rests keeps a window in
 * memory, and from a peer that is near a large one is of no use. */
#define MS_H2_BYTES_PER_US 625
/* What was kept for a reader that rested is handed over in such pieces. */
#define MS_H2_PIECE ((size_t)64 * 1024)
/* By how much all windows of a connection, and of all connections of a multi,
 * may be larger than at first. */
#define MS_H2_GROWN     (32 * 1024 * 1024)
#define MS_H2_ALL_GROWN (128 * 1024 * 1024)
/* The window of all streams together, so the most a connection keeps: grown
 * ones, and a hundred others that are paused, leave some to those that go on.
 * At 100 ms round trip it is 5 Gbit/s. */
#define MS_H2_WINDOW (64 * 1024 * 1024)
/* Streams opened before the peer said how many it takes. It says so in its
 * first frame; more would only come back refused from one that takes few. */
#define MS_H2_EARLY_STREAMS 1
/* The head we say we take, names and values and 32 each (RFC 9113, 6.5.2):
 * as max_header_size's default. Each stream's own limit is what counts. */
#define MS_H2_HEADER_LIST (256 * 1024)
/* Header fields in one head, as with HTTP/1. */
#define MS_H2_MAX_FIELDS 5000
/* Bytes of trailers, counted as above. */
#define MS_H2_MAX_TRAILERS 16384
/* 1xx responses before the final one. */
#define MS_H2_MAX_INFORMATIONAL 32
/* CONTINUATION frames of one block. 16 hold the header list we take. */
#define MS_H2_MAX_CONTINUATIONS 64
/* Frames in a row that bring nothing: PING, SETTINGS, WINDOW_UPDATE, RST,
 * empty DATA, unknown ones. A frame that brings something makes up for one. */
#define MS_H2_FREE_FRAMES 1000
/* So many more may come each second: peers that measure the line ping a few
 * times a second, and none does more. */
#define MS_H2_FREE_FRAMES_PER_S 50
/* Bytes for streams that are over, beyond what may have been on its way for
 * those that we gave up. */
#define MS_H2_STRAY_BYTES 65536
/* A request's fields are kept for the next one when they are no longer. */
#define MS_H2_PREPARED_BYTES 4096
/* Bytes gathered for one write; reaching it, DATA waits for the next one. */
#define MS_H2_OUT_BYTES (128 * 1024)

#endif
