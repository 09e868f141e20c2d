/* SPDX-License-Identifier: MIT */
#include "proto/h2_known.h"

#include <assert.h>

static void forget(struct ms_h2_known_field *f)
{
    if (!f->name_buf)
        return;
    nghttp2_rcbuf_decref(f->name_buf);
    nghttp2_rcbuf_decref(f->value_buf);
    *f = (struct ms_h2_known_field){0};
}

void ms_h2_known_add(struct ms_h2_known *k, unsigned place, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value)
{
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name);
    nghttp2_vec v = nghttp2_rcbuf_get_buf(value);

    assert(name && value);
    if (place >= MS_H2_KNOWN_FIELDS || n.len + v.len > MS_H2_KNOWN_BYTES)
        return;
    forget(&k->fields[place]);
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    k->fields[place] = (struct ms_h2_known_field){.name_buf = name,
                                                  .value_buf = value,
                                                  .name = (const char *)n.base,
                                                  .value = (const char *)v.base,
                                                  .name_len = (uint16_t)n.len,
                                                  .value_len = (uint16_t)v.len};
}

void ms_h2_known_clear(struct ms_h2_known *k)
{
    for (unsigned i = 0; i < MS_H2_KNOWN_FIELDS; i++)
        forget(&k->fields[i]);
}
