/* SPDX-License-Identifier: MIT */
#include "proto/header.h"

#include <assert.h>

#include "base/mem.h"

/* A typical response has 5 to 12 fields. */
#define FIRST_FIELDS 16

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

static ms_err grow(struct ms_fields *f)
{
    uint32_t cap = f->cap ? f->cap * 2 : FIRST_FIELDS;
    struct ms_field_ref *refs = ms_realloc(f->refs, cap * sizeof(*refs));

    if (!refs)
        return MS_ENOMEM;
    f->refs = refs;
    f->cap = cap;
    return MS_OK;
}

ms_err ms_fields_index(struct ms_fields *f, struct ms_field_ref ref)
{
    if (f->count == f->cap) {
        ms_err err = grow(f);
        if (err)
            return err;
    }
    f->refs[f->count++] = ref;
    return MS_OK;
}

ms_err ms_fields_add(struct ms_fields *f, struct ms_span name,
                     struct ms_span value)
{
    size_t at = f->text.to;

    if (name.n + value.n > UINT32_MAX - at)
        return MS_ENOMEM;
    ms_err err = ms_buf_reserve(&f->text, name.n + value.n);
    if (!err)
        err = ms_fields_index(
            f, (struct ms_field_ref){(uint32_t)at, (uint32_t)(at + name.n),
                                     (uint32_t)name.n, (uint32_t)value.n});
    if (err)
        return err;
    ms_buf_put(&f->text, name);
    ms_buf_put(&f->text, value);
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
    h->status = 0;
    h->version = MS_HTTP_NONE;
}

void ms_head_free(struct ms_head *h)
{
    ms_fields_free(&h->fields);
    ms_head_clear(h);
}
