/* SPDX-License-Identifier: MIT
 *
 * multisocket.h - the public interface of the multisocket transfer engine.
 *
 * Many HTTP transfers run in one thread on one multi handle. The engine never
 * waits: it tells the application which sockets to watch (socket callback)
 * and when to wake it (timer callback, one single-shot timer for all), and
 * the application reports back with ms_multi_socket_action(). Any event
 * library will do.
 *
 *     struct ms_multi *multi;            one per thread or event loop
 *     struct ms_easy *easy;              one per transfer, reusable
 *
 *     ms_multi_new(&multi);
 *     ms_multi_on_socket(multi, watch, loop);
 *     ms_multi_on_timer(multi, wake_me, loop);
 *     ms_easy_new(&easy);
 *     ms_easy_set_url(easy, "http://localhost:8080/", 22);
 *     ms_multi_add(multi, easy);         calls wake_me(0); then run the loop:
 *                                        fd ready -> ms_multi_socket_action()
 *                                        timer    -> the same, with
 *                                                    MS_SOCKET_TIMEOUT
 *     while (ms_multi_info_read(multi, &done)) ...
 *
 * What it is not: an event loop, and a wrapper round another HTTP library.
 *
 * Conventions. Functions that can fail return ms_err, MS_OK (0) on success,
 * and leave everything as it was when they fail. Strings go in as pointer
 * and length and are copied. Times are milliseconds, sizes are bytes. A multi
 * and its easies belong to one thread at a time; different multis may run in
 * different threads. No function blocks.
 *
 * Callbacks may call every function here, for any handle: what they ask for
 * counts at once (a removed easy hears nothing more) and is carried out when
 * the outermost call into the engine is about to return. They must return;
 * longjmp or exceptions across the engine are not allowed.
 */
#ifndef MULTISOCKET_H
#define MULTISOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MS_VERSION "0.1.0"

#if defined(__GNUC__)
#define MS_API __attribute__((visibility("default")))
#else
#define MS_API
#endif

struct ms_multi;
struct ms_easy;
struct ms_options;
struct ms_response;

/* ---- errors ---------------------------------------------------------- */

/* X(enumerator, category, "code", "text"). Category and code are stable names
 * that scripts compare; the text is for people. */
#define MS_ERROR_MAP(X)                                                        \
    X(EUSAGE, USAGE, "bad_argument", "bad argument")                           \
    X(EADDED, USAGE, "already_added", "the easy handle is added already")      \
    X(ECLOSED, USAGE, "closed", "the handle is closed")                        \
    X(ECONTEXT, USAGE, "wrong_context", "not allowed inside a callback")       \
    X(EFORKED, USAGE, "forked", "the handle is the parent process's")          \
    X(EOPTION, USAGE, "bad_option", "bad option value")                        \
    X(EURL, USAGE, "bad_url", "not a valid URL")                               \
    X(ESCHEME, USAGE, "unsupported_scheme", "unsupported URL scheme")          \
    X(ECOOKIE, USAGE, "bad_cookie", "not a valid cookie")                      \
    X(EFILE, USAGE, "file_error", "the file could not be read or written")     \
    X(EHEADER, USAGE, "bad_header", "not a valid header")                      \
    X(EHOST, RESOLVE, "host_not_found", "no such host")                        \
    X(ERESOLVE, RESOLVE, "resolve_failed", "name lookup failed")               \
    X(EREFUSED, CONNECT, "connection_refused", "connection refused")           \
    X(ERESET, CONNECT, "connection_reset", "connection reset by peer")         \
    X(ENETWORK, CONNECT, "network_unreachable", "network unreachable")         \
    X(EUNREACHABLE, CONNECT, "host_unreachable", "host unreachable")           \
    X(EFILES, CONNECT, "too_many_files", "too many open files")                \
    X(EADDRESS, CONNECT, "address_refused", "address not allowed")             \
    X(ECONNECT, CONNECT, "connect_failed", "could not connect")                \
    X(ECERTEXPIRED, TLS, "certificate_expired", "certificate expired")         \
    X(ECERTEARLY, TLS, "certificate_not_yet_valid",                            \
      "certificate not yet valid")                                             \
    X(ECERTUNTRUSTED, TLS, "certificate_untrusted", "certificate not trusted") \
    X(ECERTHOST, TLS, "certificate_host_mismatch",                             \
      "certificate for another name")                                          \
    X(ECERTREVOKED, TLS, "certificate_revoked", "certificate revoked")         \
    X(ECERTPIN, TLS, "certificate_pin_mismatch",                               \
      "the key is none of the pinned ones")                                    \
    X(ECERTINVALID, TLS, "certificate_invalid", "invalid certificate")         \
    X(ETLSVERSION, TLS, "tls_version", "no TLS version in common")             \
    X(EHANDSHAKE, TLS, "tls_handshake", "TLS handshake failed")                \
    X(ETRUNCATED, TLS, "tls_truncated", "TLS connection cut off")              \
    X(ETLS, TLS, "tls_failed", "TLS connection failed")                        \
    X(ETIMEOUT, TIMEOUT, "timed_out", "timed out")                             \
    X(EPROTO, PROTOCOL, "bad_response", "malformed response")                  \
    X(EHEADERS, PROTOCOL, "headers_too_large", "response headers too large")   \
    X(EEOF, PROTOCOL, "unexpected_eof", "connection closed too early")         \
    X(EHTTP2, PROTOCOL, "http2_error", "HTTP/2 connection failed")             \
    X(ESTREAM, PROTOCOL, "stream_reset", "HTTP/2 stream reset by the peer")    \
    X(EREFUSEDSTREAM, PROTOCOL, "stream_refused", "HTTP/2 stream refused")     \
    X(EH2REQUIRED, PROTOCOL, "http2_required", "the peer has no HTTP/2")       \
    X(ERANGE, PROTOCOL, "range_ignored", "the rest of the body was not sent")  \
    X(EREDIRECTS, REDIRECT, "too_many_redirects", "too many redirects")        \
    X(EBLOCKED, REDIRECT, "redirect_blocked", "redirect not allowed")          \
    X(EREPLAY, REDIRECT, "body_not_replayable",                                \
      "the request body cannot be sent again")                                 \
    X(ETOOLARGE, BODY, "body_too_large", "response body too large")            \
    X(EDECODE, BODY, "decode_failed", "response body cannot be decoded")       \
    X(EUPLOAD, BODY, "upload_failed", "request body could not be sent")        \
    X(ECANCELLED, CANCELLED, "cancelled", "cancelled")                         \
    X(ECALLBACK, CALLBACK, "callback_error", "a callback failed")              \
    X(ENOMEM, MEMORY, "out_of_memory", "out of memory")                        \
    X(EINTERNAL, INTERNAL, "internal", "internal error")

typedef enum ms_err {
    MS_OK = 0,
#define MS_ERROR_ENUM(name, category, code, text) MS_##name,
    MS_ERROR_MAP(MS_ERROR_ENUM)
#undef MS_ERROR_ENUM
} ms_err;

/* All four take any value, also an unknown one, and return static text. */
MS_API const char *ms_err_name(ms_err err);     /* "MS_EURL" */
MS_API const char *ms_err_category(ms_err err); /* "usage" */
MS_API const char *ms_err_code(ms_err err);     /* "bad_url" */
MS_API const char *ms_err_text(ms_err err);     /* "not a valid URL" */

/* Where in its life a transfer was. */
enum ms_phase {
    MS_PHASE_QUEUE,
    MS_PHASE_RESOLVE,
    MS_PHASE_CONNECT,
    MS_PHASE_TLS,
    MS_PHASE_SEND,
    MS_PHASE_HEADERS,
    MS_PHASE_BODY
};

/* Everything known about why a transfer ended; see ms_easy_error(). */
struct ms_error {
    ms_err err; /* MS_OK: it ended well or has not ended */
    enum ms_phase phase;
    int os_errno;       /* errno of the operating system, 0 where none is to
                         * blame */
    bool retryable;     /* nothing of the request reached the server */
    unsigned attempts;  /* how often the request was tried, behind redirects the
                         * last one */
    const char *reason; /* the TLS library's words, static; or NULL */
};

MS_API const char *ms_phase_name(enum ms_phase phase); /* "resolve" */

/* The libraries that were found at run time: "3.0.17", "1.52.0". */
MS_API const char *ms_openssl_version(void);
MS_API const char *ms_nghttp2_version(void);
MS_API const char *ms_zlib_version(void);
/* Whether that content coding ("br", "zstd") is undone; some are only where
 * their library was there when this was built. */
MS_API bool ms_decodes(const char *coding, size_t n);
/* The same; NULL: the build has no libidn2, and takes host names in ASCII
 * only. */
MS_API const char *ms_libidn2_version(void);

/* ---- options --------------------------------------------------------- */

#include "multisocket_options.h"

/* ---- responses ------------------------------------------------------- */

/* What on_headers sees, and what stays after the end. Text that the functions
 * hand out belongs to the response and lives as long. */

struct ms_field {
    const char *name, *value; /* not NUL-terminated */
    size_t name_len, value_len;
};

MS_API int ms_response_status(const struct ms_response *r); /* 0: none yet */
MS_API bool ms_response_informational(const struct ms_response *r);
MS_API const char *ms_response_version(const struct ms_response *r); /* "1.1" */
MS_API const char *ms_response_reason(const struct ms_response *r, size_t *n);
MS_API const char *ms_response_url(const struct ms_response *r, size_t *n);
MS_API const char *ms_response_method(const struct ms_response *r, size_t *n);

/* Header fields in wire order: `index` counts from 0, false past the last. */
MS_API bool ms_response_header(const struct ms_response *r, size_t index,
                               struct ms_field *field);
MS_API bool ms_response_trailer(const struct ms_response *r, size_t index,
                                struct ms_field *field);
/* The index of the first field called `name` (without case) at or after
 * `from`; SIZE_MAX when there is none. */
MS_API size_t ms_response_find(const struct ms_response *r, const char *name,
                               size_t n, size_t from);

/* The collected body; NULL and 0 when it went to on_data or was taken. */
MS_API const char *ms_response_body(const struct ms_response *r, size_t *n);
/* The content codings that were undone, in the order they were done: `index`
 * counts from 0, NULL past the last. */
MS_API const char *ms_response_decoded(const struct ms_response *r,
                                       size_t index, size_t *n);
/* Whether the body was collected, be it empty; false when on_data took it. */
MS_API bool ms_response_collected(const struct ms_response *r);

/* Request headers as they were sent; `index` counts from 0, false past the
 * last. */
MS_API bool ms_response_request_header(const struct ms_response *r,
                                       size_t index, struct ms_field *field);

/* A redirect that was followed on the way to the response. */
struct ms_redirect {
    int status;
    const char *url, *location; /* who answered so, and the field as it came */
    size_t url_len, location_len;
};

/* `index` counts from 0, the first hop; false past the last. */
MS_API bool ms_response_redirect(const struct ms_response *r, size_t index,
                                 struct ms_redirect *redirect);

MS_API bool ms_response_reused(const struct ms_response *r);
/* How often the request was tried; behind redirects the last one. */
MS_API unsigned ms_response_attempts(const struct ms_response *r);

/* What was agreed on with the peer, of its connection. Lives as long as
 * somebody holds a reference; the response holds one. */
struct ms_tls_info;
/* NULL without TLS, or before there was a connection. */
MS_API struct ms_tls_info *ms_response_tls(const struct ms_response *r);
MS_API struct ms_tls_info *ms_tls_info_use(struct ms_tls_info *info);
MS_API void ms_tls_info_free(struct ms_tls_info *info);

enum ms_tls_fact {
    MS_TLS_VERSION,  /* "TLSv1.3" */
    MS_TLS_CIPHER,   /* "TLS_AES_256_GCM_SHA384" */
    MS_TLS_PROTOCOL, /* by ALPN: "h2", "http/1.1", "" when none */
    MS_TLS_SUBJECT,  /* of the peer's certificate, RFC 2253 */
    MS_TLS_ISSUER,
    MS_TLS_NAMES,      /* it is for, with ", " between */
    MS_TLS_SERIAL,     /* hexadecimal */
    MS_TLS_NOT_BEFORE, /* "2026-11-21T10:00:00Z" */
    MS_TLS_NOT_AFTER,
    MS_TLS_FINGERPRINT,    /* SHA-256, hexadecimal */
    MS_TLS_PUBLIC_KEY_PIN, /* as MS_OPT_TLS_PINNED_PUBLIC_KEY takes it */
    MS_TLS_PEM
};

/* Bytes of that fact, without the NUL that ends it; up to `cap` of them with
 * the NUL go to `buf`. "" when the peer sent no certificate. */
MS_API size_t ms_tls_info_text(const struct ms_tls_info *info,
                               enum ms_tls_fact fact, char *buf, size_t cap);
/* The certificate was verified, its name too unless that was switched off. */
MS_API bool ms_tls_info_verified(const struct ms_tls_info *info);
MS_API bool ms_tls_info_resumed(const struct ms_tls_info *info);
/* "127.0.0.1:8080" or "[::1]:8080" into `buf`, which should have 80 bytes;
 * empty before a connection was had. Returns `buf`. */
MS_API const char *ms_response_remote(const struct ms_response *r, char *buf,
                                      size_t cap);

enum ms_timing {
    MS_TIMING_QUEUE,      /* got a connection or began to open one */
    MS_TIMING_RESOLVE,    /* the host's addresses are known */
    MS_TIMING_CONNECT,    /* connected */
    MS_TIMING_TLS,        /* the peer is verified; 0 without TLS */
    MS_TIMING_SEND,       /* the request has left whole */
    MS_TIMING_FIRST_BYTE, /* the first byte of the response came */
    MS_TIMING_TOTAL,      /* the end */
    MS_TIMING_REDIRECT,   /* the last redirect was followed: what comes before
                           * in this list is then about the request after it */
    MS_TIMING_COUNT
};

/* Microseconds from the add to that point, 0 when it was never passed. */
MS_API int64_t ms_response_timing(const struct ms_response *r,
                                  enum ms_timing which);

enum ms_copy {
    MS_COPY_BODY = 1,   /* without it the body reads as empty */
    MS_COPY_REQUEST = 2 /* what was asked, too; without it the copy refers to
                         * the option set, which has to outlive it */
};

/* A response can be copied as one block that owns nothing, into memory of the
 * caller's (aligned for any type): the functions above read it, it ends with
 * its memory and is not to be freed. `what` is of enum ms_copy. */
MS_API size_t ms_response_copy_bytes(const struct ms_response *r,
                                     unsigned what);
MS_API struct ms_response *ms_response_copy(const struct ms_response *r,
                                            void *memory, unsigned what);

MS_API void ms_response_free(struct ms_response *r);

/* ---- easy handles ---------------------------------------------------- */

/* Returned by an on_headers or on_data callback. */
enum ms_verdict {
    MS_GO_ON,
    MS_PAUSE, /* on_data only: this chunk was not taken; it comes again */
    MS_ABORT, /* ends the transfer with MS_ECALLBACK */
    MS_CANCEL /* on_progress only: with MS_ECANCELLED */
};

/* Every response head, those of 1xx included. */
typedef enum ms_verdict ms_headers_cb(struct ms_easy *easy,
                                      const struct ms_response *head,
                                      void *user);
/* Body bytes in order, at least one a call; with this callback set the body is
 * not collected. `p` is valid during the call only. */
typedef enum ms_verdict ms_data_cb(struct ms_easy *easy, const char *p,
                                   size_t n, void *user);

/* Body bytes so far, as they are on the wire; a total of -1 is not known. */
struct ms_transferred {
    int64_t down, down_total, up, up_total;
};

/* Called about once a second from the add on, and when all is there, which a
 * verdict still makes a failure. */
typedef enum ms_verdict ms_progress_cb(struct ms_easy *easy,
                                       const struct ms_transferred *now,
                                       void *user);

/* Asks for up to `cap` bytes of the request's body, to be put at `p`. *n (0
 * before) is how many came, *end (false before) that they are the last. With
 * MS_PAUSE nothing is there now: ms_easy_pause() without MS_PAUSE_SEND has it
 * asked again. MS_ABORT ends the transfer with MS_ECALLBACK. */
typedef enum ms_verdict ms_body_cb(struct ms_easy *easy, char *p, size_t cap,
                                   size_t *n, bool *end, void *user);

/* The request's body is wanted again from its first byte, for a redirect or a
 * retry. MS_ABORT ends the transfer with MS_ECALLBACK. */
typedef enum ms_verdict ms_rewind_cb(struct ms_easy *easy, void *user);

enum ms_debug {
    MS_DEBUG_INFO,    /* a line: which connection, how it went on */
    MS_DEBUG_REQUEST, /* the head of a request that was sent, */
    MS_DEBUG_RESPONSE /* of a response that came, be it one that nobody gets:
                       * the first line, then "name: value" lines, with "\n"
                       * between */
};

/* `text` is not NUL-terminated. Values of Authorization, Proxy-Authorization,
 * Cookie and Set-Cookie are "***" in it, behind a scheme that is known. */
typedef enum ms_verdict ms_debug_cb(struct ms_easy *easy, enum ms_debug kind,
                                    const char *text, size_t n, void *user);

MS_API ms_err ms_easy_new(struct ms_easy **out);
/* Removes it from its multi first; NULL is allowed. The memory goes at the
 * outermost exit, so a callback may close the very easy it is called for. */
MS_API void ms_easy_close(struct ms_easy *easy);

/* Any bytes: an invalid URL ends the transfer with MS_EURL. */
MS_API ms_err ms_easy_set_url(struct ms_easy *easy, const char *url, size_t n);
/* The easy takes a reference; NULL means the defaults. */
MS_API void ms_easy_set_options(struct ms_easy *easy, struct ms_options *o);
/* Gives it a set for its next run alone, which can be changed until the easy is
 * added: a copy of `base`, which is not one of these itself, lent. Cheaper than
 * ms_options_new(): the easy makes the same set anew each time, and what the
 * last run left tells of its request no more. MS_EADDED: it is in a multi.
 * MS_ENOMEM: the easy has no set. */
MS_API ms_err ms_easy_options_once(struct ms_easy *easy,
                                   struct ms_options *base,
                                   struct ms_options **out);
/* The set in use, NULL for the defaults; lent. */
MS_API struct ms_options *ms_easy_options(const struct ms_easy *easy);
MS_API void ms_easy_on_headers(struct ms_easy *easy, ms_headers_cb *cb,
                               void *user);
MS_API void ms_easy_on_data(struct ms_easy *easy, ms_data_cb *cb, void *user);
/* Hears what is sent and received. NULL: nobody does. MS_ENOMEM. */
MS_API ms_err ms_easy_on_debug(struct ms_easy *easy, ms_debug_cb *cb,
                               void *user);

/* Counts from the next run on. */
MS_API void ms_easy_on_progress(struct ms_easy *easy, ms_progress_cb *cb,
                                void *user);
/* The request's body comes from `cb` instead of MS_OPT_BODY, from the next run
 * on; NULL ends that. `length` in bytes is sent and has to be met; -1, not
 * known: it is sent in chunks. The method is not POST by itself. Such a
 * request is not repeated once its body was asked for, unless
 * ms_easy_on_rewind() says how. MS_ENOMEM. */
MS_API ms_err ms_easy_on_body(struct ms_easy *easy, ms_body_cb *cb, void *user,
                              int64_t length);
/* For inside that callback, in place of putting bytes (*n stays 0): what comes
 * next are `length` bytes, at least one, of the file `fd` from `offset` on.
 * They are sent without asking for them, by the kernel alone where it can; then
 * the callback is called again, unless *end was set or the length was met. `fd`
 * has to stay open until then, until the body is to be rewound or the transfer
 * is over; its position is neither used nor moved. A file that is too short by
 * then ends the transfer with MS_EUPLOAD; which bytes arrive of one that is
 * written to meanwhile is not defined. */
MS_API void ms_easy_send_file(struct ms_easy *easy, int fd, int64_t offset,
                              int64_t length);
/* `cb` rewinds the body of ms_easy_on_body(), which comes before this and ends
 * it; it gets the same `user`. NULL: it cannot be rewound. */
MS_API void ms_easy_on_rewind(struct ms_easy *easy, ms_rewind_cb *cb);
/* A one-shot easy leaves its multi when it ends and posts no message: the
 * done callback is all there is. */
MS_API void ms_easy_set_oneshot(struct ms_easy *easy, bool oneshot);

/* A pointer of the application's, NULL at first. */
MS_API void ms_easy_set_user(struct ms_easy *easy, void *user);
MS_API void *ms_easy_user(const struct ms_easy *easy);

enum { MS_PAUSE_CONT = 0, MS_PAUSE_RECV = 1, MS_PAUSE_SEND = 4 };

/* Sets which directions stand still: MS_PAUSE_* bits, the rest goes on. The
 * peer is held back by TCP. Undelivered data comes at the next exit. */
MS_API void ms_easy_pause(struct ms_easy *easy, unsigned mask);

/* Why the last run ended; valid until the next add. */
MS_API const struct ms_error *ms_easy_error(const struct ms_easy *easy);
/* The same as one readable line that names the host; fits `cap`, always
 * terminated; returns `buf`. */
MS_API const char *ms_easy_error_message(const struct ms_easy *easy, char *buf,
                                         size_t cap);
/* The response of the last run, NULL before the first add; lent until the
 * next add or close. */
MS_API const struct ms_response *ms_easy_response(const struct ms_easy *easy);
/* Frees the collected body of the last run. */
MS_API void ms_easy_drop_body(struct ms_easy *easy);
/* Gives the response away: the caller frees it. NULL when there is none, or no
 * memory for what it has only lent. */
MS_API struct ms_response *ms_easy_take_response(struct ms_easy *easy);
/* The multi it is added to, NULL when none. */
MS_API struct ms_multi *ms_easy_multi(const struct ms_easy *easy);
/* Added and not yet ended. */
MS_API bool ms_easy_running(const struct ms_easy *easy);

/* ---- the multi handle ------------------------------------------------ */

/* What a socket is to be watched for, as libcurl numbers it. */
enum { MS_POLL_IN = 1, MS_POLL_OUT = 2, MS_POLL_INOUT = 3, MS_POLL_REMOVE = 4 };
/* What happened on a socket. 0 means "find out". */
enum { MS_CSELECT_IN = 1, MS_CSELECT_OUT = 2, MS_CSELECT_ERR = 4 };
/* For ms_multi_socket_action(): no socket, the timer expired. */
#define MS_SOCKET_TIMEOUT (-1)

/* `what` is the whole wish for `fd` from now on, not a difference. `easy` is
 * NULL when the wish is not one single transfer's: a connection's own, the
 * resolver's. `value` is what ms_multi_assign() stored. On MS_POLL_REMOVE the
 * fd is still open and will be closed as soon as the callback returns.
 * Returning false ends the transfers of that fd with MS_ECALLBACK. */
typedef bool ms_socket_cb(struct ms_easy *easy, int fd, int what, void *user,
                          void *value);

/* Call ms_multi_socket_action(multi, MS_SOCKET_TIMEOUT, 0) once, `timeout_ms`
 * from now; this replaces what was asked for before; -1 = not at all. An
 * early or late wake is harmless. Returning false ends all transfers with
 * MS_ECALLBACK. */
typedef bool ms_timer_cb(struct ms_multi *multi, int64_t timeout_ms,
                         void *user);

/* A transfer ended; ms_easy_error() says how. Called at the outermost exit,
 * beside ms_multi_info_read(); what is added here starts in the same exit. */
typedef void ms_done_cb(struct ms_multi *multi, struct ms_easy *easy,
                        void *user);

MS_API ms_err ms_multi_new(struct ms_multi **out);
/* Announces every socket's removal, closes it, ends every transfer with
 * MS_ECANCELLED; info_read still hands them out. Afterwards the multi does
 * nothing. Closing twice is harmless. */
MS_API void ms_multi_close(struct ms_multi *multi);
/* True in a child that got the multi by fork(): its connections are the
 * parent's. It adds and drives nothing, and closing it or removing from it
 * announces nothing, for the host may share its watching with the parent. */
MS_API bool ms_multi_forked(const struct ms_multi *multi);
/* Frees everything and calls nobody. The easies stay usable. May be called
 * from inside a callback. NULL is allowed. */
MS_API void ms_multi_free(struct ms_multi *multi);

/* Callbacks may be set, replaced or removed (NULL) at any time: the new one
 * is told everything current before this returns, the old one gets
 * MS_POLL_REMOVE first. */
MS_API void ms_multi_on_socket(struct ms_multi *multi, ms_socket_cb *cb,
                               void *user);
MS_API void ms_multi_on_timer(struct ms_multi *multi, ms_timer_cb *cb,
                              void *user);
MS_API void ms_multi_on_done(struct ms_multi *multi, ms_done_cb *cb,
                             void *user);

enum ms_multi_option {
    MS_MULTI_MAX_IDLE,     /* pooled idle connections, default 1000 */
    MS_MULTI_IDLE_TIMEOUT, /* ms an idle connection is kept, default 60000 */
    MS_MULTI_MAX_CONCURRENT_STREAMS, /* on one HTTP/2 connection, default 100;
                                      * counts for those opened later */
    MS_MULTI_PING_INTERVAL,   /* ms of silence after which an HTTP/2 connection
                               * is asked whether it lives; silent for as long
                               * once more it ends with MS_ETIMEOUT. -1: never,
                               * the default */
    MS_MULTI_MAX_CONNECTIONS, /* open or opening at a time; -1: no limit, the
                               * default. Hosts that wait for one get them in
                               * turn: an idle one of another is closed for
                               * it, and who holds more gives way */
    MS_MULTI_MAX_CONNECTIONS_PER_HOST, /* the same of one scheme, host and port
                                        * (and what else MS_SCOPE_DIFFERS);
                                        * who waits there holds up nobody
                                        * else */
    MS_MULTI_MAX_AGE, /* ms from opened on; an older connection is not used
                       * again. -1: no limit, the default */
    MS_MULTI_HOST_CONCURRENCY, /* transfers to one scheme, host and port that
                                * go on at a time; the others wait in order.
                                * -1: no limit, the default */
    MS_MULTI_HOST_RATE,     /* transfers to one of them that begin in a second,
                             * evenly. -1: no limit, the default */
    MS_MULTI_EDGE_TRIGGERED /* 1: the host tells a readiness once, as epoll does
                             * with EPOLLET: sockets are worked on until they
                             * block, over as many exits as that takes. Default
                             * 0 */
};

/* Takes effect at once; connections in use beyond a lowered limit are closed
 * when they are free. MS_EOPTION: out of range. */
MS_API ms_err ms_multi_set(struct ms_multi *multi, enum ms_multi_option id,
                           int64_t value);

/* Starts a transfer; no I/O happens before the next drive call, and outside
 * any engine call the timer callback is told 0 before this returns, unless a
 * 0 is pending. MS_EADDED: it is in a multi already. MS_ECLOSED.
 * MS_EFORKED: this process got the multi by fork(). MS_ENOMEM. */
MS_API ms_err ms_multi_add(struct ms_multi *multi, struct ms_easy *easy);
/* Ends it without a message; of a finished one, drops the message. An easy
 * that is in no multi is fine. MS_EUSAGE: it is in another multi. */
MS_API ms_err ms_multi_remove(struct ms_multi *multi, struct ms_easy *easy);

/* Reports readiness of `fd` (MS_CSELECT_* bits, a hint: 0 = find out), or
 * with MS_SOCKET_TIMEOUT that time has passed. An fd that is not watched is
 * ignored. Returns the number of transfers that have not ended. */
MS_API int ms_multi_socket_action(struct ms_multi *multi, int fd,
                                  unsigned mask);

struct ms_event {
    int fd;
    unsigned mask; /* MS_CSELECT_* bits */
};

/* The same for all events of one turn of an event loop: they are handled in
 * one go, and what they start leaves together. */
MS_API int ms_multi_socket_actions(struct ms_multi *multi,
                                   const struct ms_event *events, size_t count);

/* Without an event library: perform does what there is to do, poll waits for
 * more. May be mixed with ms_multi_socket_action() and switched to and from
 * while transfers run. Each call looks at every socket.
 *
 *     while (!ms_multi_perform(m, &running) && running)
 *         ms_multi_poll(m, NULL, 0, 1000, &ready);
 */
struct ms_waitfd {
    int fd;
    unsigned events;  /* MS_POLL_IN, MS_POLL_OUT, both; 0: errors only */
    unsigned revents; /* MS_CSELECT_* bits; what poll found */
};

/* Handles everything that is ready or due, and does not wait. `*running`
 * (NULL is allowed): transfers that have not ended. MS_ECONTEXT: inside a
 * callback. MS_ENOMEM. */
MS_API ms_err ms_multi_perform(struct ms_multi *multi, int *running);

/* Waits until a socket of the multi or one of `extra` is ready, the multi's
 * next deadline or `timeout_ms` (-1: no limit) has come, a wake or a signal.
 * Waits also when there is no socket. `*ready`: how many sockets are, those of
 * `extra` included. MS_ECONTEXT. MS_EFILES. MS_ENOMEM. */
MS_API ms_err ms_multi_poll(struct ms_multi *multi, struct ms_waitfd *extra,
                            size_t n, int64_t timeout_ms, size_t *ready);

/* What poll would wait for, for programs that wait themselves, along with
 * ms_multi_timeout(): the first `cap` of them. `*count`: all there are.
 * MS_ECONTEXT. */
MS_API ms_err ms_multi_waitfds(struct ms_multi *multi, struct ms_waitfd *list,
                               size_t cap, size_t *count);

/* Ends the poll under way, or the next one. The one function that any thread
 * may call, as long as the multi exists. */
MS_API void ms_multi_wakeup(struct ms_multi *multi);
/* A number above 0 and below 2^53 that stands for the multi in ms_wake(); 0
 * when it cannot be had: the multi is closed, or 4096 others have one. */
MS_API int64_t ms_multi_waker(struct ms_multi *multi);
/* The same as ms_multi_wakeup() with that number: in any thread and at any
 * time. False when it stands for nobody, which is all that happens once the
 * multi is gone. */
MS_API bool ms_wake(int64_t waker);

struct ms_message {
    struct ms_easy *easy;
    ms_err err;
    int left; /* messages after this one */
};

/* The oldest unread end of a transfer; false when there is none. */
MS_API bool ms_multi_info_read(struct ms_multi *multi, struct ms_message *out);
/* The same without taking it off the queue. */
MS_API bool ms_multi_info_peek(struct ms_multi *multi, struct ms_message *out);

/* Stores what the socket callback gets as `value` for this fd until its
 * removal, the removal included. MS_EUSAGE: the fd is not watched. */
MS_API ms_err ms_multi_assign(struct ms_multi *multi, int fd, void *value);

MS_API int ms_multi_running(const struct ms_multi *multi);
/* Milliseconds to the nearest deadline, rounded up; -1: none. */
MS_API int64_t ms_multi_timeout(const struct ms_multi *multi);

/* A pointer of the application's, NULL at first. */
MS_API void ms_multi_set_user(struct ms_multi *multi, void *user);
MS_API void *ms_multi_user(const struct ms_multi *multi);

/* ---- looking inside -------------------------------------------------- */

struct ms_stats {
    uint64_t added, done, removed;          /* transfers, ever */
    uint64_t opened, reused, closed;        /* connections; requests on a used
                                             * one */
    uint64_t socket_calls, timer_calls;     /* host callbacks, ever */
    uint64_t actions;                       /* drive calls, ever */
    uint64_t bytes_in, bytes_out;           /* on the wire */
    uint64_t lookups;                       /* names asked of the resolver */
    unsigned running, queued;               /* now: transfers; without a
                                             * connection */
    unsigned waiting;                       /* of the queued: for a limit to
                                             * let their connection open, or
                                             * for a stream */
    unsigned connections, idle, connecting; /* now: open; of those in no use;
                                             * opening */
    unsigned closing;                       /* ended, saying goodbye */
};

MS_API void ms_multi_stats(const struct ms_multi *multi, struct ms_stats *out);

struct ms_socket_info {
    int fd;
    int action; /* MS_POLL_* last announced; 0: nothing */
    unsigned readers, writers;
    const char *owner; /* "connection", "attempt" or "resolver" */
};

/* Calls `cb` for every socket; it must not call the engine. */
MS_API void ms_multi_sockets(struct ms_multi *multi,
                             void (*cb)(const struct ms_socket_info *info,
                                        struct ms_easy *const *easies,
                                        size_t count, void *user),
                             void *user);
/* Calls `cb` for every added easy; it must not call the engine. */
MS_API void ms_multi_handles(struct ms_multi *multi,
                             void (*cb)(struct ms_easy *easy, void *user),
                             void *user);

/* One line of ms_multi_dump(): a name, what it waits for, how deep it hangs
 * below others. `text` is valid during the call. */
typedef void ms_dump_cb(const char *text, size_t n, unsigned depth, void *user);

/* Describes endpoints, their connections and transfers, and what each waits
 * for, line by line, for people. `cb` must not call the engine. */
MS_API void ms_multi_dump(struct ms_multi *multi, ms_dump_cb *cb, void *user);

/* Checks every invariant of every structure; NULL when all hold, otherwise
 * what does not. For tests: O(everything). Only outside callbacks. */
MS_API const char *ms_multi_check(struct ms_multi *multi);

/* ---- URLs and dates, cookies ------------------------------------------ */

#include "multisocket_url.h"

#include "multisocket_jar.h"

#ifdef __cplusplus
}
#endif

#endif
