/* SPDX-License-Identifier: MIT
 *
 * h2_prepared.h - the fields of requests, as nghttp2 wants them.
 *
 * Requests of one program mostly have the same fields. They are made ready
 * once: names in lower case, what belongs to HTTP/1 left out, cookies in
 * crumbs. The next request whose fields are the same, byte by byte, uses what
 * is there. nghttp2 copies none of it, so it is counted who needs it: the
 * session, for the next request, and each stream until its head was sent.
 *
 * What it is not: pseudo-header fields, lengths, expectations. Each request
 * has its own.
 */
#ifndef MS_PROTO_H2_PREPARED_H
#define MS_PROTO_H2_PREPARED_H

#include <nghttp2/nghttp2.h>

#include "proto/header.h"

struct ms_h2_prepared {
    size_t users;
    size_t n;
    const nghttp2_nv *nv;
    size_t refs_bytes, text_bytes; /* of the fields it was made of: */
    const void *refs;              /* copies, to compare with */
    const char *text;
};

/* Whether it was made of just these. */
static inline bool ms_h2_prepared_is(const struct ms_h2_prepared *p,
                                     const struct ms_fields *f)
{
    return p && p->text_bytes == f->text.to &&
           p->refs_bytes == f->count * sizeof(*f->refs) &&
           (!p->refs_bytes || (memcmp(p->refs, f->refs, p->refs_bytes) == 0 &&
                               memcmp(p->text, f->text.p, p->text_bytes) == 0));
}

/* Made of the fields of a request, for one user. NULL: no memory. */
struct ms_h2_prepared *ms_h2_prepare(const struct ms_fields *f) MS_MUST_CHECK;

/* Another user. */
static inline struct ms_h2_prepared *ms_h2_prepared_use(
    struct ms_h2_prepared *p)
{
    p->users++;
    return p;
}

void ms_h2_prepared_free(struct ms_h2_prepared *p);

/* One user less, who need not be one. */
static inline void ms_h2_prepared_drop(struct ms_h2_prepared **p)
{
    if (*p && --(*p)->users == 0)
        ms_h2_prepared_free(*p);
    *p = NULL;
}

#endif
