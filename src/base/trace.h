/* SPDX-License-Identifier: MIT
 *
 * trace.h - one greppable line per event, when asked for.
 *
 *     MULTISOCKET_TRACE=conn,h1:debug    areas, each with an optional level
 *     MULTISOCKET_TRACE=all:debug        everything
 *
 * A line reads `12.345 #c7 x31 conn connected 127.0.0.1:8080`: milliseconds
 * since the multi was made, connection, transfer, area, text. Lines go to
 * stderr. With tracing off a trace point costs one test.
 */
#ifndef MS_BASE_TRACE_H
#define MS_BASE_TRACE_H

#include "base/def.h"

enum ms_trace_area {
    MS_TRACE_MULTI,
    MS_TRACE_EV,
    MS_TRACE_DNS,
    MS_TRACE_DIAL,
    MS_TRACE_POOL,
    MS_TRACE_CONN,
    MS_TRACE_H1,
    MS_TRACE_XFER,
    MS_TRACE_COUNT
};

enum ms_trace_level { MS_TRACE_OFF, MS_TRACE_INFO, MS_TRACE_DEBUG };

struct ms_trace {
    uint64_t start_us;
    const uint64_t *now_us; /* the clock to print, lent by the loop */
    unsigned char level[MS_TRACE_COUNT];
    bool on; /* any level is above MS_TRACE_OFF */
};

/* Reads MULTISOCKET_TRACE. `now_us` must outlive `t`. */
void ms_trace_init(struct ms_trace *t, const uint64_t *now_us);

/* Prints a line; 0 as `conn` or `transfer` leaves that part out. Use the
 * macros. */
void ms_trace_print(const struct ms_trace *t, enum ms_trace_area area,
                    unsigned conn, unsigned transfer, const char *fmt, ...)
    MS_PRINTF(5, 6);

#define MS_TRACE_AT(t, area, lvl, conn, transfer, ...)                         \
    do {                                                                       \
        if (MS_UNLIKELY((t)->on) && (t)->level[area] >= (lvl))                 \
            ms_trace_print((t), (area), (conn), (transfer), __VA_ARGS__);      \
    } while (0)
#define MS_TRACE(t, area, conn, transfer, ...)                                 \
    MS_TRACE_AT(t, area, MS_TRACE_INFO, conn, transfer, __VA_ARGS__)
#define MS_TRACE_MORE(t, area, conn, transfer, ...)                            \
    MS_TRACE_AT(t, area, MS_TRACE_DEBUG, conn, transfer, __VA_ARGS__)

#endif
