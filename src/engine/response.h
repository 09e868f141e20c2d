/* SPDX-License-Identifier: MIT
 *
 * response.h - what came back, as one object that outlives its transfer.
 *
 * The transfer fills it; the application reads it through ms_response_*() and
 * may take it over.
 */
#ifndef MS_ENGINE_RESPONSE_H
#define MS_ENGINE_RESPONSE_H

#include "engine/options.h"
#include "net/addr.h"
#include "proto/header.h"
#include "proto/tls.h"

/* What is to be told of a run whose requests are not what its options say:
 * one that was redirected, for instance. */
struct ms_trip {
    struct ms_span method; /* of the last request: the options', or static */
    struct ms_fields sent; /* its fields, as options.h has them */
    struct ms_fields hops; /* redirects: the URL, and as value three digits of
                            * status with the location behind them */
    int64_t redirect_us;   /* timing: the last redirect was followed */
    bool bodyless;         /* its body was dropped on the way */
};

struct ms_response {
    struct ms_head head;
    struct ms_fields trailers;
    struct ms_buf body;       /* collected here unless on_data takes it */
    struct ms_span url;       /* as requested, serialised; its easy lends it */
    struct ms_span authority; /* the Host header: in url or the options' */
    union {
        struct ms_options *options; /* what was asked; a reference. Of a copy:
                                     * lent */
        struct ms_asked *asked;     /* of a whole copy: in its memory */
    };
    char *upload_length;                   /* decimal; empty: not known */
    int64_t timing_us[MS_TIMING_REDIRECT]; /* that one is the trip's */
    struct ms_addr remote;
    struct ms_trip *trip;    /* owned; of a copy: in its memory. NULL: none */
    struct ms_tls_info *tls; /* a reference; of a copy: lent. NULL: none */
    bool streamed;           /* the body was sent while it was produced */
    bool expecting;          /* the request said Expect: 100-continue */
    bool reused;
    bool decoded;   /* the codings of its body are undone */
    bool owns_url;  /* `url` is this response's own memory */
    bool delivered; /* the body went to on_data */
    bool whole;     /* a copy that refers to no options */
    /* How often the last hop was tried, as far as that goes: a response has no
     * byte to spare. */
    uint16_t attempts;
};

/* An empty response, NULL when there is no memory. */
struct ms_response *ms_response_new(void) MS_MUST_CHECK;

/* Makes it depend on no easy any more. MS_ENOMEM. */
ms_err ms_response_own(struct ms_response *r) MS_MUST_CHECK;

/* How the streamed body of its request is told: by its length, or in chunks
 * when that is -1. MS_ENOMEM. */
ms_err ms_response_set_upload(struct ms_response *r,
                              int64_t length) MS_MUST_CHECK;

/* Has it tell another request than that of the options; r->trip is there then,
 * and says what they say. MS_ENOMEM. */
ms_err ms_response_start_trip(struct ms_response *r) MS_MUST_CHECK;

/* Notes a redirect. MS_ENOMEM. */
ms_err ms_trip_add(struct ms_trip *t, unsigned status, struct ms_span url,
                   struct ms_span location) MS_MUST_CHECK;

/* Empties it for another run and keeps its memory. */
void ms_response_clear(struct ms_response *r);

#endif
