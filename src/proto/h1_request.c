/* SPDX-License-Identifier: MIT */
#include "proto/h1_request.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/wire.h"

/* "Content-Length: 18446744073709551615\r\n" and the blank line. */
#define FRAMING_BYTES 48
/* What ms_h1_render() adds to the parts it is given, an Expect included. */
#define FIXED_BYTES 96

ms_err ms_h1_render(struct ms_buf *b, const struct ms_request *req)
{
    char length[FRAMING_BYTES];
    int n = 0;

    if (ms_span_equal(req->method, MS_SPAN("CONNECT")))
        return MS_EOPTION;
    if (!ms_wire_is_token(req->method) || !ms_wire_is_target(req->target) ||
        !ms_wire_is_value(req->authority))
        return MS_EHEADER;
    if (req->streamed && req->length < 0)
        n = snprintf(length, sizeof(length), "Transfer-Encoding: chunked\r\n");
    else if (req->streamed)
        n = snprintf(length, sizeof(length), "Content-Length: %" PRId64 "\r\n",
                     req->length);
    else if (req->has_body)
        n = snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
                     req->body.n);
    ms_buf_clear(b);
    ms_err err =
        ms_buf_reserve(b, req->method.n + req->target.n + req->authority.n +
                              req->fields.n + (size_t)n + FIXED_BYTES);
    if (err)
        return err;
    ms_buf_put(b, req->method);
    ms_buf_put(b, MS_SPAN(" "));
    ms_buf_put(b, req->target);
    ms_buf_put(b, MS_SPAN(" HTTP/1.1\r\nHost: "));
    ms_buf_put(b, req->authority);
    ms_buf_put(b, MS_SPAN("\r\n"));
    ms_buf_put(b, req->fields);
    ms_buf_put(b, ms_span(length, (size_t)n));
    if (req->expect)
        ms_buf_put(b, MS_SPAN("Expect: 100-continue\r\n"));
    ms_buf_put(b, MS_SPAN("\r\n"));
    return MS_OK;
}
