/* SPDX-License-Identifier: MIT
 *
 * What our parser makes of responses, for spec/fuzz/h1_diff.js to compare:
 * takes inputs as they are in the h1 corpus on stdin, each a line of
 * hexadecimal digits, and prints for each
 *
 *     ERROR STATUS BODY DETAIL
 *
 * the error's name (MS_OK for none), the final status (0 for none), the body
 * in hexadecimal digits ("-" for none), what was wrong.
 */
#include "h1_take.h"
#include "hex_in.h"

/* As in fuzz_h1.c: bits of the first byte. */
enum { HEAD_REQUEST = 1, CHUNKED = 2, COUNTED = 4 };

static void play(struct take *t, struct ms_span in)
{
    unsigned flags = (unsigned char)in.p[0];

    take_start(t, flags & HEAD_REQUEST);
    if (flags & CHUNKED)
        take_feed(t, MS_SPAN("HTTP/1.1 200 OK\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n"));
    else if (flags & COUNTED)
        take_feed(t, MS_SPAN("HTTP/1.1 200 OK\r\n"
                             "Content-Length: 10\r\n\r\n"));
    take_feed(t, ms_span(in.p + 2, in.n - 2));
    take_finish(t);
}

int main(void)
{
    struct take t = {0};
    struct ms_buf in = {0};

    while (read_hex(&in)) {
        if (ms_buf_len(&in) < 2)
            return EXIT_FAILURE;
        play(&t, ms_buf_span(&in));
        printf("%s %u ", ms_err_name(t.err), t.status);
        struct ms_span body = ms_buf_span(&t.body);
        for (size_t i = 0; i < body.n; i++)
            printf("%02x", (unsigned char)body.p[i]);
        printf("%s %s\n", body.n ? "" : "-", t.detail);
    }
    take_free(&t);
    ms_buf_free(&in);
    return EXIT_SUCCESS;
}
