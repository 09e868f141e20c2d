/* SPDX-License-Identifier: MIT
 *
 * coding.h - what undoes one content coding (RFC 9110, 8.4.1), be it done by
 * zlib, libbrotlidec or libzstd.
 *
 * A coding is a table of functions over a state of its own. It knows nothing
 * of HTTP and of other codings: proto/decode puts them one behind the other.
 */
#ifndef MS_PROTO_CODING_H
#define MS_PROTO_CODING_H

#include "base/err.h"
#include "base/span.h"

/* Bytes in and out; both sides move as they are used. */
struct ms_coding_io {
    struct ms_span in;
    char *out;
    size_t room; /* behind `out` */
};

struct ms_coding {
    const char *name;  /* as Content-Encoding has it, lower case */
    const char *alias; /* another name, or NULL */
    const char *corrupt, *cut_short; /* what to tell people */

    /* MS_ENOMEM. */
    ms_err (*open)(void **state);

    /* Decodes. Coming back with room left says that all of `in` is used and
     * everything it makes was put out; without, there may be more, also when
     * `in` is empty. What follows the coded data is used up and means nothing.
     * MS_EDECODE, MS_ENOMEM: then only close() may follow. */
    ms_err (*run)(void *state, struct ms_coding_io *io);

    /* The bytes so far are a whole of this coding. */
    bool (*whole)(const void *state);

    void (*close)(void *state);
};

extern const struct ms_coding ms_coding_gzip, ms_coding_deflate;
#ifdef MS_HAVE_BROTLI
extern const struct ms_coding ms_coding_brotli;
#endif
#ifdef MS_HAVE_ZSTD
extern const struct ms_coding ms_coding_zstd;
#endif

#endif
