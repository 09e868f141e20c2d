/* SPDX-License-Identifier: MIT
 *
 * In one block: the struct, the fields for nghttp2, the copies to compare
 * with, and the names in lower case. Values are those in the copy.
 */
#include "proto/h2_prepared.h"

#include <assert.h>

#include "base/mem.h"
#include "proto/h2_field.h"

/* Where the block is filled. */
struct filling {
    struct ms_h2_prepared *p;
    nghttp2_nv *nv;
    char *names;
};

/* How many entries the fields may become. */
static size_t count(const struct ms_fields *f)
{
    size_t n = f->count;

    for (uint32_t i = 0; i < f->count; i++) {
        struct ms_span v = ms_fields_value(f, i);
        if (f->refs[i].name_len == 6) /* a Cookie */
            for (size_t at = 0; at < v.n; at++)
                n += v.p[at] == ';';
    }
    return n;
}

static size_t bytes_of_names(const struct ms_fields *f)
{
    size_t n = 0;

    for (uint32_t i = 0; i < f->count; i++)
        n += f->refs[i].name_len;
    return n;
}

static void add(struct filling *to, const char *name, size_t n,
                struct ms_span value)
{
    to->nv[to->p->n++] = (nghttp2_nv){.name = (uint8_t *)name,
                                      .value = (uint8_t *)value.p,
                                      .namelen = n,
                                      .valuelen = value.n,
                                      .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME |
                                               NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static const char *lower_name(struct filling *to, struct ms_span name)
{
    const char *at = to->names;

    for (size_t i = 0; i < name.n; i++)
        *to->names++ = (char)ms_lower((unsigned char)name.p[i]);
    return at;
}

static void add_crumbs(struct filling *to, const char *name, size_t n,
                       struct ms_span value)
{
    struct ms_span crumb;

    while (ms_h2_next_crumb(&value, &crumb))
        add(to, name, n, crumb);
}

static void add_fields(struct filling *to, const struct ms_fields *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct ms_span name = ms_fields_name(f, i);
        struct ms_span value =
            ms_span(to->p->text + f->refs[i].value, f->refs[i].value_len);
        enum ms_h2_field kind = ms_h2_request_field(name, value);
        if (kind == MS_H2_DROP)
            continue;
        const char *lower = lower_name(to, name);
        if (kind == MS_H2_SEND)
            add(to, lower, name.n, value);
        else
            add_crumbs(to, lower, name.n, value);
    }
}

/* Copies what is compared with; the names come behind. */
static char *put(char *at, const void *from, size_t n)
{
    if (n)
        memcpy(at, from, n);
    return at + n;
}

struct ms_h2_prepared *ms_h2_prepare(const struct ms_fields *f)
{
    size_t most = count(f), text = f->text.to;
    size_t refs = f->count * sizeof(*f->refs);
    struct ms_h2_prepared *p = ms_alloc(sizeof(*p) + most * sizeof(nghttp2_nv) +
                                        refs + text + bytes_of_names(f));

    assert(f->text.from == 0 && "offsets count from the start");
    if (!p)
        return NULL;
    nghttp2_nv *nv = (nghttp2_nv *)(void *)(p + 1);
    char *at = (char *)(nv + most);
    *p = (struct ms_h2_prepared){.users = 1,
                                 .nv = nv,
                                 .refs_bytes = refs,
                                 .text_bytes = text,
                                 .refs = at,
                                 .text = at + refs};
    at = put(put(at, f->refs, refs), f->text.p, text);
    struct filling to = {p, nv, at};
    add_fields(&to, f);
    assert(p->n <= most);
    return p;
}

void ms_h2_prepared_free(struct ms_h2_prepared *p)
{
    ms_free(p);
}
