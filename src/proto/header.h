/* SPDX-License-Identifier: MIT
 *
 * header.h - header fields as a protocol session stores them, and the head of
 * a response.
 *
 * Fields live in one text block with an index of offsets beside it: two
 * allocations for any number of fields, both kept over ms_fields_clear(). It
 * is storage, not syntax: what may stand in a field is checked by whoever
 * puts it in (proto/wire has the character tables).
 */
#ifndef MS_PROTO_HEADER_H
#define MS_PROTO_HEADER_H

#include <assert.h>
#include <string.h>

#include "base/buf.h"

/* Where a field stands in the text. */
struct ms_field_ref {
    uint32_t name, value; /* offsets */
    uint32_t name_len, value_len;
};

struct ms_fields {
    struct ms_buf text; /* only ever appended to: offsets count from its p */
    struct ms_field_ref *refs; /* owned */
    uint32_t count, cap;
};

/* All zero is an empty set. Frees the memory; the set is empty afterwards. */
void ms_fields_free(struct ms_fields *f);

/* Empties the set and keeps its memory. */
void ms_fields_clear(struct ms_fields *f);

/* Room for another field. MS_ENOMEM leaves all as it was. */
ms_err ms_fields_grow(struct ms_fields *f) MS_RARE MS_MUST_CHECK;

/* Indexes a field whose bytes are in `text`, or will be before anybody looks.
 * MS_ENOMEM leaves all as it was. */
static inline MS_MUST_CHECK ms_err ms_fields_index(struct ms_fields *f,
                                                   struct ms_field_ref ref)
{
    if (MS_UNLIKELY(f->count == f->cap)) {
        ms_err err = ms_fields_grow(f);
        if (err)
            return err;
    }
    f->refs[f->count++] = ref;
    return MS_OK;
}

/* Room for another field of these lengths, with offsets that fit the index.
 * MS_ENOMEM leaves all as it was. */
ms_err ms_fields_reserve(struct ms_fields *f, size_t name,
                         size_t value) MS_MUST_CHECK;

/* What was reserved earlier is enough, mostly: large as it may be, it holds
 * less than 4 GiB. */
static inline bool ms_fields_has_room(const struct ms_fields *f, size_t name,
                                      size_t value)
{
    size_t room = f->text.cap - f->text.to;

    return f->text.cap <= UINT32_MAX && name <= room && value <= room - name &&
           f->count < f->cap;
}

/* Copies a field in, behind the others; neither span may lie in `text`.
 * MS_ENOMEM leaves all as it was. */
static inline MS_MUST_CHECK ms_err ms_fields_add(struct ms_fields *f,
                                                 struct ms_span name,
                                                 struct ms_span value)
{
    size_t at = f->text.to;

    assert(f->text.from == 0 && "offsets count from the start");
    if (MS_UNLIKELY(!ms_fields_has_room(f, name.n, value.n))) {
        ms_err err = ms_fields_reserve(f, name.n, value.n);
        if (err)
            return err;
    }
    f->refs[f->count++] =
        (struct ms_field_ref){.name = (uint32_t)at,
                              .value = (uint32_t)(at + name.n),
                              .name_len = (uint32_t)name.n,
                              .value_len = (uint32_t)value.n};
    if (name.n)
        memcpy(f->text.p + at, name.p, name.n);
    if (value.n)
        memcpy(f->text.p + at + name.n, value.p, value.n);
    f->text.to = at + name.n + value.n;
    return MS_OK;
}

/* The same as a line of a message, "name: value\r\n": `text` is what is sent
 * if all fields are added so. */
ms_err ms_fields_add_line(struct ms_fields *f, struct ms_span name,
                          struct ms_span value) MS_MUST_CHECK;

/* Lent until the set changes. `index` must be less than count. */
struct ms_span ms_fields_name(const struct ms_fields *f, size_t index);
struct ms_span ms_fields_value(const struct ms_fields *f, size_t index);

/* The first field called `name` (without case) at or after `from`; SIZE_MAX
 * when there is none. */
size_t ms_fields_find(const struct ms_fields *f, struct ms_span name,
                      size_t from);

/* HTTP/2 has no minor versions (RFC 9113, 3). */
enum ms_http_version { MS_HTTP_NONE, MS_HTTP_1_0, MS_HTTP_1_1, MS_HTTP_2 };

/* The head of a response: the session fills it, the transfer owns it. All
 * zero is an empty one. */
struct ms_head {
    struct ms_fields fields;
    uint32_t reason, reason_len; /* in fields.text */
    int64_t length;              /* the body's, -1: not known beforehand */
    uint16_t status;             /* 100 to 599; 0 until the head is whole */
    uint8_t version;             /* enum ms_http_version */
    bool coded;                  /* there is a Content-Encoding */
};

/* Ready for another response; keeps the memory. */
void ms_head_clear(struct ms_head *h);
void ms_head_free(struct ms_head *h);

#endif
