/* SPDX-License-Identifier: MIT
 *
 * easy.h - the inside of an easy handle: what is asked for, and the state of
 * the run under way. engine/easy_api.c has the public functions,
 * engine/transfer.c runs it, engine/multi.c holds it.
 */
#ifndef MS_ENGINE_EASY_H
#define MS_ENGINE_EASY_H

#include "engine/decoding.h"
#include "engine/gate.h"
#include "engine/pace.h"
#include "engine/pool.h"
#include "engine/response.h"

enum ms_run_state {
    MS_RUN_IDLE,    /* in no multi, or ended and read */
    MS_RUN_QUEUED,  /* added; starts in the next exit */
    MS_RUN_WAITING, /* for a connection */
    MS_RUN_ACTIVE,  /* its stream is attached */
    MS_RUN_DONE     /* ended; to be told, or told and not removed */
};

/* How a run gets on, for options that set a limit to that. */
struct ms_watch {
    struct ms_progress progress;
    uint64_t mark_us, mark_bytes; /* where low_speed measures from */
    uint64_t body_bytes;          /* that went to on_data */
    uint64_t down, pulled;        /* body bytes, for on_progress */
    uint64_t tell_us;             /* when that is called next */
    uint64_t sent_head_us;        /* a 100 is waited for since; 0: not */
    uint64_t let_off_us;       /* the deadline for which one turn was granted */
    struct ms_pace send, recv; /* of bodies */
    uint64_t send_us, recv_us; /* that direction rests until; 0: it does not */
    size_t sent_bytes;         /* of a body that is paced and not a source's */
};

/* Where a request's body comes from that is produced while it is sent. */
struct ms_producer {
    ms_body_cb *cb; /* NULL: the options have the body */
    void *user;
    int64_t length;       /* -1: not known */
    ms_rewind_cb *rewind; /* NULL: it cannot be rewound */
};

struct ms_source {
    struct ms_producer given; /* for the next run */
    struct ms_producer of;    /* of this run */
    bool asked; /* in this run: it has to be rewound to be repeated */

    /* What of it lies in a file: `left` bytes from `at` on, the first of which
     * may be in `lent` for the session to have sent. */
    int fd;
    bool last; /* nothing follows them */
    int64_t at, left;
    struct ms_body_file lent;
};

struct ms_easy {
    /* What is asked for. */
    struct ms_buf url_text;     /* as given; empty when url.href is the same */
    struct ms_options *options; /* a reference; NULL: the defaults */
    ms_headers_cb *on_headers;
    ms_data_cb *on_data;
    ms_progress_cb *on_progress;
    void *headers_user, *data_user, *progress_user, *user;
    struct ms_agent *agent;    /* owned; NULL for most (agent.h) */
    struct ms_source *source;  /* owned; NULL for most */
    struct ms_debugger *debug; /* owned; NULL for most (debug.h) */
    bool oneshot;

    /* Its place in the multi. */
    struct ms_multi *multi; /* NULL: in none */
    struct ms_list member;  /* on multi->members while added */
    struct ms_list ended;   /* on multi->finished, then multi->messages */
    unsigned id;            /* number for the trace */

    /* The run. */
    unsigned char state;    /* enum ms_run_state */
    unsigned char pause;    /* MS_PAUSE_* */
    unsigned char refusals; /* by connections that served nobody else */
    bool retried, closing;
    bool by_h1;    /* the peer wanted this request over HTTP/1.1 */
    bool tells;    /* on_progress was set when it began */
    bool told;     /* its end was told and counted */
    bool unwanted; /* what comes is nobody's: another hop follows */
    bool headed;   /* the final response's head is whole */
    unsigned run;  /* counts runs, so that a callback's end sees a change */
    union {
        struct ms_task start;
        struct ms_grave grave; /* once it is closed */
    };
    struct ms_timer deadline;
    struct ms_gate_pass pass;
    struct ms_waiter waiter;
    struct ms_stream stream;
    struct ms_conn *conn;         /* while active; does not own */
    struct ms_decoding *decoding; /* of a coded body under way; owned */
    struct ms_watch *watch;       /* owned; NULL where no option needs it */
    struct ms_url url;
    uint32_t host_hash;           /* of url */
    bool url_parsed;              /* `url` is what was given */
    struct ms_response *response; /* owned; NULL: none, or taken */
    struct ms_error error;
    const char *detail; /* text beside error, static or `said`; or NULL */
    char *said;         /* owned */
    uint64_t added_us;
};

#endif
