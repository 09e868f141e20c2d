/* SPDX-License-Identifier: MIT */
#include "proto/header.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* Small responses have 5 to 8 fields. */
#define FIRST_REFS 8

void ms_fields_free(struct ms_fields *f)
{
    ms_buf_free(&f->text);
    ms_free(f->refs);
    *f = (struct ms_fields){0};
}

void ms_fields_clear(struct ms_fields *f)
{
    ms_buf_clear(&f->text);
    f->count = 0;
}

ms_err ms_fields_grow(struct ms_fields *f)
{
    size_t cap = f->cap ? (size_t)f->cap * 2 : FIRST_REFS;

    if (cap > UINT32_MAX)
        return MS_ENOMEM;
    struct ms_field_ref *refs = ms_realloc(f->refs, cap * sizeof(*refs));
    if (!refs)
        return MS_ENOMEM;
    f->refs = refs;
    f->cap = (uint32_t)cap;
    return MS_OK;
}

ms_err ms_fields_reserve(struct ms_fields *f, size_t name, size_t value)
{
    size_t at = f->text.to;

    if (name > UINT32_MAX - at || value > UINT32_MAX - at - name)
        return MS_ENOMEM;
    ms_err err = ms_buf_reserve(&f->text, name + value);
    if (!err && f->count == f->cap)
        err = ms_fields_grow(f);
    return err;
}

ms_err ms_fields_add_line(struct ms_fields *f, struct ms_span name,
                          struct ms_span value)
{
    const struct ms_span colon = MS_SPAN(": "), end = MS_SPAN("\r\n");
    size_t at = f->text.to;

    assert(f->text.from == 0 && "offsets count from the start");
    if (MS_UNLIKELY(
            !ms_fields_has_room(f, name.n, value.n + colon.n + end.n))) {
        ms_err err = ms_fields_reserve(f, name.n, value.n + colon.n + end.n);
        if (err)
            return err;
    }
    f->refs[f->count++] =
        (struct ms_field_ref){.name = (uint32_t)at,
                              .value = (uint32_t)(at + name.n + colon.n),
                              .name_len = (uint32_t)name.n,
                              .value_len = (uint32_t)value.n};
    ms_buf_put(&f->text, name);
    ms_buf_put(&f->text, colon);
    ms_buf_put(&f->text, value);
    ms_buf_put(&f->text, end);
    return MS_OK;
}

struct ms_span ms_fields_name(const struct ms_fields *f, size_t index)
{
    assert(index < f->count);

    return ms_span(f->text.p + f->refs[index].name, f->refs[index].name_len);
}

struct ms_span ms_fields_value(const struct ms_fields *f, size_t index)
{
    assert(index < f->count);

    return ms_span(f->text.p + f->refs[index].value, f->refs[index].value_len);
}

size_t ms_fields_find(const struct ms_fields *f, struct ms_span name,
                      size_t from)
{
    for (size_t i = from; i < f->count; i++)
        if (f->refs[i].name_len == name.n &&
            ms_span_equal_nocase(ms_fields_name(f, i), name))
            return i;
    return SIZE_MAX;
}

void ms_head_clear(struct ms_head *h)
{
    ms_fields_clear(&h->fields);
    h->reason = h->reason_len = 0;
    h->length = -1;
    h->status = 0;
    h->version = MS_HTTP_NONE;
    h->coded = false;
}

void ms_head_free(struct ms_head *h)
{
    ms_fields_free(&h->fields);
    *h = (struct ms_head){0};
}
