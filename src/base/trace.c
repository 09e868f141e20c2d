/* SPDX-License-Identifier: MIT */
#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/span.h"

static const char *const area_names[MS_TRACE_COUNT] = {
    "multi", "ev", "dns", "dial", "pool", "conn", "h1", "xfer",
};

static void set_level(struct ms_trace *t, struct ms_span area,
                      unsigned char level)
{
    bool all = ms_span_equal(area, MS_SPAN("all"));

    for (size_t i = 0; i < MS_TRACE_COUNT; i++)
        if (all || ms_span_equal(area, ms_span_text(area_names[i])))
            t->level[i] = level;
}

void ms_trace_init(struct ms_trace *t, const uint64_t *now_us)
{
    const char *wish = getenv("MULTISOCKET_TRACE");

    *t = (struct ms_trace){.start_us = *now_us, .now_us = now_us};
    if (!wish || !*wish)
        return;

    struct ms_span list = ms_span_text(wish), item;
    while (ms_span_next_item(&list, &item)) {
        const char *colon = memchr(item.p, ':', item.n);
        bool debug =
            colon &&
            ms_span_equal(ms_span(colon, (size_t)(item.p + item.n - colon)),
                          MS_SPAN(":debug"));
        if (colon)
            item.n = (size_t)(colon - item.p);
        set_level(t, item, debug ? MS_TRACE_DEBUG : MS_TRACE_INFO);
    }
    for (size_t i = 0; i < MS_TRACE_COUNT; i++)
        t->on |= t->level[i] != MS_TRACE_OFF;
}

void ms_trace_print(const struct ms_trace *t, enum ms_trace_area area,
                    unsigned conn, unsigned transfer, const char *fmt, ...)
{
    char line[512], who[32] = "";
    uint64_t us = *t->now_us - t->start_us;
    int n = 0;

    if (conn)
        n = snprintf(who, sizeof(who), " #c%u", conn);
    if (transfer)
        snprintf(who + n, sizeof(who) - (size_t)n, " x%u", transfer);
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    fprintf(stderr, "%llu.%03u%s %s %s\n", (unsigned long long)(us / 1000),
            (unsigned)(us % 1000), who, area_names[area], line);
}
