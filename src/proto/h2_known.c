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

/* How long to wait after this try: not at all when the last one was of use or
 * the first, otherwise twice as long as then. */
static uint8_t patience(const struct ms_h2_known_field *f)
{
    if (!f->name_buf || f->of_use)
        return 0;
    return f->next < MS_H2_KNOWN_WAITS ? (uint8_t)(2 * f->next + 1) : f->next;
}

void ms_h2_known_set(struct ms_h2_known_field *f, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value)
{
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name);
    nghttp2_vec v = nghttp2_rcbuf_get_buf(value);
    uint8_t next = patience(f);

    assert(name && value);
    if (n.len + v.len > MS_H2_KNOWN_BYTES)
        return;
    forget(f);
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    *f = (struct ms_h2_known_field){.name_buf = name,
                                    .value_buf = value,
                                    .name = (const char *)n.base,
                                    .value = (const char *)v.base,
                                    .name_len = (uint16_t)n.len,
                                    .value_len = (uint16_t)v.len,
                                    .waits = next,
                                    .next = next};
}

void ms_h2_known_clear(struct ms_h2_known *k)
{
    for (unsigned i = 0; i < MS_H2_KNOWN_FIELDS; i++)
        forget(&k->fields[i]);
}
