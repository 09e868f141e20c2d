/* SPDX-License-Identifier: MIT
 *
 * What our parser makes of responses, for spec/fuzz/h1_diff.js to compare:
 * takes names of files of the h1 corpus on stdin, and prints for each
 *
 *     ERROR STATUS BODY
 *
 * the error's name (MS_OK for none), the final status (0 for none) and the
 * body in hexadecimal digits ("-" for none).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "proto/h1.h"

/* As in fuzz_h1.c: bits of the first byte. */
enum { HEAD_REQUEST = 1, CHUNKED = 2, COUNTED = 4 };

static struct {
    struct ms_stream stream;
    struct ms_head head;
    struct ms_fields trailers;
    struct ms_buf body;
    unsigned status;
    ms_err err;
} t;

static ms_err on_head(struct ms_stream *s)
{
    if (s->head->status >= 200)
        t.status = s->head->status;
    return MS_OK;
}

static ms_err on_data(struct ms_stream *s, const char *p, size_t n,
                      size_t *taken)
{
    (void)s;
    *taken = n;
    return ms_buf_add(&t.body, p, n);
}

static void on_end(struct ms_stream *s, ms_err err, const char *detail)
{
    (void)s;
    (void)detail;
    t.err = err;
}

static const struct ms_stream_ops ops = {
    .on_head = on_head, .on_data = on_data, .on_end = on_end};

static void play(const char *text, size_t n)
{
    bool head = text[0] & HEAD_REQUEST;
    struct ms_request req = {.method = head ? MS_SPAN("HEAD") : MS_SPAN("GET"),
                             .target = MS_SPAN("/"),
                             .authority = MS_SPAN("h")};
    const char *before =
        text[0] & CHUNKED
            ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        : text[0] & COUNTED ? "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
                            : "";
    struct ms_session *h;
    size_t used;

    t.stream = (struct ms_stream){.ops = &ops,
                                  .head = &t.head,
                                  .trailers = &t.trailers,
                                  .max_head_bytes = 1 << 20};
    t.status = 0;
    t.err = MS_EINTERNAL;
    ms_buf_clear(&t.body);
    if (ms_h1_new(&h) || h->ops->open(h, &t.stream, &req))
        abort();
    ms_err err = h->ops->feed(h, ms_span_text(before), &used);
    if (!err && t.stream.session)
        err = h->ops->feed(h, ms_span(text + 2, n - 2), &used);
    if (t.stream.session)
        h->ops->eof(h, MS_OK);
    h->ops->free(h);
    (void)err; /* on_end was told */
}

int main(void)
{
    static char path[4096], text[1 << 20];

    while (fgets(path, sizeof(path), stdin)) {
        path[strcspn(path, "\n")] = '\0';
        FILE *f = fopen(path, "rb");
        if (!f)
            return EXIT_FAILURE;
        size_t n = fread(text, 1, sizeof(text), f);
        fclose(f);
        if (n < 2) {
            puts("SHORT 0 -");
            continue;
        }
        play(text, n);
        printf("%s %u ", ms_err_name(t.err), t.status);
        struct ms_span body = ms_buf_span(&t.body);
        for (size_t i = 0; i < body.n; i++)
            printf("%02x", (unsigned char)body.p[i]);
        puts(body.n ? "" : "-");
    }
    ms_head_free(&t.head);
    ms_fields_free(&t.trailers);
    ms_buf_free(&t.body);
    return EXIT_SUCCESS;
}
