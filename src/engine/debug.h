/* SPDX-License-Identifier: MIT
 *
 * debug.h - what was sent and received, as text for people: for the easy's
 * debug callback and for the trace. Credentials are left out.
 *
 * The callback is the application's and may do what any callback may, so it
 * is not called in the middle of things: texts wait for the next place where
 * that is fine, which comes before whatever else the application is told.
 * An easy without a debug callback has no debugger.
 */
#ifndef MS_ENGINE_DEBUG_H
#define MS_ENGINE_DEBUG_H

#include "base/trace.h"
#include "engine/easy.h"

struct ms_debugger {
    ms_debug_cb *cb; /* NULL: it was taken back */
    void *user;
    struct ms_easy *easy;
    struct ms_task task;   /* posted while texts wait */
    struct ms_buf waiting; /* texts, each behind its kind and length */
    bool lost;             /* one that there was no memory for */
};

/* Somebody wants to see what is sent and received. */
static inline bool ms_debug_wanted(const struct ms_easy *e,
                                   const struct ms_trace *t)
{
    return e->debug != NULL || t->on;
}

/* Sets the callback; NULL takes it back. MS_ENOMEM. */
ms_err ms_debug_set(struct ms_easy *e, ms_debug_cb *cb,
                    void *user) MS_MUST_CHECK;
/* e->debug is NULL afterwards. */
void ms_debug_free(struct ms_easy *e);

/* Drops what waits: another run begins, or the easy is removed. */
void ms_debug_clear(struct ms_easy *e);

/* The request that has just left on e->conn: the connection, and the head. */
void ms_debug_request(struct ms_easy *e);

/* The head that has just come; calls back and returns what ms_debug_flush()
 * does. */
ms_err ms_debug_response(struct ms_easy *e) MS_MUST_CHECK;

/* One line about the run. */
void ms_debug_info(struct ms_easy *e, const char *text);

/* Calls back for all that waits. MS_ECALLBACK: the callback failed.
 * MS_ECANCELLED: it removed or restarted its easy. MS_ENOMEM: there was no
 * memory for a text. */
ms_err ms_debug_flush(struct ms_easy *e) MS_MUST_CHECK;

/* Before the end of the run is told: calls back, and a failure of that is the
 * run's. False: the easy was removed or restarted, and there is nothing to
 * tell. */
bool ms_debug_end(struct ms_easy *e) MS_MUST_CHECK;

#endif
