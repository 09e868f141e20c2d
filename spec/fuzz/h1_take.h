/* SPDX-License-Identifier: MIT
 *
 * h1_take.h - plays a response through a session of its own and keeps what
 * came out: for the programs that compare that with another reader's outcome.
 */
#ifndef MS_FUZZ_H1_TAKE_H
#define MS_FUZZ_H1_TAKE_H

#include <stdlib.h>

#include "base/buf.h"
#include "proto/h1.h"

/* Memory is kept from one response to the next. All zero to begin with. */
struct take {
    struct ms_stream stream;
    struct ms_session *session;
    struct ms_head head;
    struct ms_fields trailers;
    struct ms_buf body;
    unsigned status; /* of the final head; 0: none came */
    ms_err err;
    const char *detail; /* never NULL */
};

static ms_err take_head(struct ms_stream *s)
{
    struct take *t = MS_CONTAINER(s, struct take, stream);

    if (s->head->status >= 200)
        t->status = s->head->status;
    return MS_OK;
}

static ms_err take_data(struct ms_stream *s, const char *p, size_t n,
                        size_t *taken)
{
    *taken = n;
    return ms_buf_add(&MS_CONTAINER(s, struct take, stream)->body, p, n);
}

static void take_end(struct ms_stream *s, ms_err err, const char *detail)
{
    struct take *t = MS_CONTAINER(s, struct take, stream);

    t->err = err;
    t->detail = detail ? detail : "";
}

static const struct ms_stream_ops take_ops = {
    .on_head = take_head, .on_data = take_data, .on_end = take_end};

static void take_start(struct take *t, bool head_request)
{
    struct ms_request req = {.method = head_request ? MS_SPAN("HEAD")
                                                    : MS_SPAN("GET"),
                             .target = MS_SPAN("/"),
                             .authority = MS_SPAN("h")};

    t->stream = (struct ms_stream){.ops = &take_ops,
                                   .head = &t->head,
                                   .trailers = &t->trailers,
                                   .max_head_bytes = 1 << 20};
    t->status = 0;
    t->err = MS_EINTERNAL;
    ms_buf_clear(&t->body);
    ms_fields_clear(&t->trailers);
    if (ms_h1_new(&t->session) ||
        t->session->ops->open(t->session, &t->stream, &req))
        abort();
}

/* Returns how many bytes were used: fewer once the end is known. */
static size_t take_feed(struct take *t, struct ms_span in)
{
    size_t used;

    if (!t->stream.session)
        return 0;
    ms_err err = t->session->ops->feed(t->session, in, &used);
    (void)err; /* take_end() was told */
    return used;
}

static void take_finish(struct take *t)
{
    if (t->stream.session)
        t->session->ops->eof(t->session, MS_OK);
    t->session->ops->free(t->session);
}

static void take_free(struct take *t)
{
    ms_head_free(&t->head);
    ms_fields_free(&t->trailers);
    ms_buf_free(&t->body);
}

#endif
