/* SPDX-License-Identifier: MIT
 *
 * decode.h - undoes the content codings of a body (RFC 9110, 8.4), one behind
 * the other, while it comes.
 *
 * Bytes go in as they arrive, split anywhere, and come out in pieces of the
 * size that the caller has room for; what does not fit stays in the input or
 * in the decoders, whose size does not depend on what they decode. So whoever
 * stops calling stops a decompression bomb wherever it is.
 *
 * Rules. A body with a coding that is not known is left as it is, for undoing
 * some of them would make what nobody asked for. An empty body is whole, in
 * any coding. Codings that do not end, or not well, are errors. How much comes
 * out in total is the caller's to limit.
 */
#ifndef MS_PROTO_DECODE_H
#define MS_PROTO_DECODE_H

#include "base/err.h"
#include "proto/header.h"

/* Codings of one body. Servers use one, proxies add one; more than five only
 * those who want to see us work (curl has the same limit). */
#define MS_DECODE_MAX 5

struct ms_decoder;

/* What a request may say that we take: "gzip, deflate", and more where the
 * libraries are there. */
#define MS_DECODE_ACCEPT                                                       \
    "gzip, deflate" MS_DECODE_ACCEPT_BROTLI MS_DECODE_ACCEPT_ZSTD
#ifdef MS_HAVE_BROTLI
#define MS_DECODE_ACCEPT_BROTLI ", br"
#else
#define MS_DECODE_ACCEPT_BROTLI ""
#endif
#ifdef MS_HAVE_ZSTD
#define MS_DECODE_ACCEPT_ZSTD ", zstd"
#else
#define MS_DECODE_ACCEPT_ZSTD ""
#endif

/* A decoder for the Content-Encoding of `fields`; NULL when there is none, or
 * only "identity", or one that is not known. MS_EDECODE: more than
 * MS_DECODE_MAX. MS_ENOMEM. */
ms_err ms_decoder_new(struct ms_decoder **out,
                      const struct ms_fields *fields) MS_MUST_CHECK;

/* NULL is allowed. */
void ms_decoder_free(struct ms_decoder *d);

/* Decodes some of `in`, which moves, to `out`, which has `cap` bytes, at least
 * one; `*n` are made. When that is less than `cap`, all of `in` is used up;
 * otherwise there may be more, also of an `in` that is empty. MS_EDECODE,
 * MS_ENOMEM: nothing but ms_decoder_failure() and ms_decoder_free() may
 * follow. */
ms_err ms_decoder_run(struct ms_decoder *d, struct ms_span *in, char *out,
                      size_t cap, size_t *n) MS_MUST_CHECK;

/* No byte follows. MS_EDECODE: some should have. */
ms_err ms_decoder_end(struct ms_decoder *d) MS_MUST_CHECK;

/* What was wrong with what coding, as static text. */
const char *ms_decoder_failure(const struct ms_decoder *d);

/* The name of a coding as it was given, in the order they were done; false
 * past the last. For a response whose body was decoded. */
bool ms_decode_name(const struct ms_fields *fields, size_t index,
                    struct ms_span *name);

#endif
