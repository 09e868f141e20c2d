/* SPDX-License-Identifier: MIT
 *
 * h2_known.h - response fields that were looked at before.
 *
 * What a server says in every response comes out of HPACK's table, and nghttp2
 * hands the same buffers up each time. A field that was found well formed and
 * means nothing to the session is remembered by them, at its place in the
 * head; a reference keeps them from being used for anything else. It need not
 * be looked at again then. Where that was of no use, because the server sends
 * literals or says something else each time, it is tried less and less often.
 *
 * What it is not: for fields with a meaning, like Content-Length.
 */
#ifndef MS_PROTO_H2_KNOWN_H
#define MS_PROTO_H2_KNOWN_H

#include <nghttp2/nghttp2.h>

#include "base/span.h"

/* Fields of a usual head. */
#define MS_H2_KNOWN_FIELDS 16
/* A longer field is not kept: what is remembered takes 4 KiB at most. */
#define MS_H2_KNOWN_BYTES 256
/* The most fields that go by untried: an 8-bit count. */
#define MS_H2_KNOWN_WAITS 127

struct ms_h2_known_field {
    nghttp2_rcbuf *name_buf, *value_buf; /* references; NULL: none */
    const char *name, *value;            /* in there */
    uint16_t name_len, value_len;
    bool of_use;   /* it came again */
    uint8_t waits; /* fields to come at this place before it is tried, */
    uint8_t next;  /* and how many that will be the next time */
};

struct ms_h2_known {
    struct ms_h2_known_field fields[MS_H2_KNOWN_FIELDS];
};

/* The field at that place of the head, when it is this one; otherwise NULL. */
static inline const struct ms_h2_known_field *ms_h2_known_find(
    struct ms_h2_known *k, unsigned place, const nghttp2_rcbuf *name,
    const nghttp2_rcbuf *value)
{
    if (MS_UNLIKELY(place >= MS_H2_KNOWN_FIELDS))
        return NULL;
    struct ms_h2_known_field *f = &k->fields[place];
    if (f->value_buf != value || f->name_buf != name)
        return NULL;
    f->of_use = true;
    return f;
}

/* Remembers it in place of what is there. */
void ms_h2_known_set(struct ms_h2_known_field *f, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value);

/* The field at that place may be taken unseen from now on. */
static inline void ms_h2_known_add(struct ms_h2_known *k, unsigned place,
                                   nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    if (MS_UNLIKELY(place >= MS_H2_KNOWN_FIELDS))
        return;
    struct ms_h2_known_field *f = &k->fields[place];
    if (f->waits)
        f->waits--;
    else
        ms_h2_known_set(f, name, value);
}

/* Forgets all. */
void ms_h2_known_clear(struct ms_h2_known *k);

#endif
