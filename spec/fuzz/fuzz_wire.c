/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the small readers of text that comes from outside: header names and
 * values, lists, numbers, addresses. Fast ways are compared with slow ones.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"
#include "proto/header.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* RFC 9110, 5.5 and 5.6.2, a byte at a time. */
static bool is_value(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
            return false;
    return true;
}

static bool is_token(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!p[i] || (!strchr("!#$%&'*+-.^_`|~", p[i]) &&
                      !(p[i] >= '0' && p[i] <= '9') &&
                      !((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z')))
            return false;
    return n > 0;
}

static void check_list(struct ms_span s)
{
    struct ms_span item;

    while (ms_span_next_item(&s, &item)) {
        expect(item.n > 0 && ms_span_trim(item).n == item.n);
        expect(!memchr(item.p, ',', item.n));
    }
}

static void check_decimal(struct ms_span s)
{
    uint64_t n;
    char text[24];

    if (!ms_span_decimal(s, UINT64_MAX, &n) || s.n >= sizeof(text))
        return;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    expect(strtoull(text, NULL, 10) == n);
}

static bool is_target(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] <= ' ' || p[i] == 0x7f)
            return false;
    return n > 0;
}

/* What an address is written as is that address again. */
static void check_addr(struct ms_span s)
{
    struct ms_addr addr, again;
    char text[MS_ADDR_TEXT];

    if (!ms_addr_parse(s, &addr))
        return;
    expect(ms_addr_port(&addr) == 0);
    ms_addr_set_port(&addr, 8080);
    ms_addr_text(&addr, text);
    size_t n = strlen(text);
    expect(n > 5 && n < sizeof(text) && !strcmp(text + n - 5, ":8080"));
    expect(ms_addr_parse(ms_span(text, n - 5), &again));
    expect(!ms_addr_equal(&addr, &again));
    ms_addr_set_port(&again, 8080);
    expect(ms_addr_equal(&addr, &again));
    expect(ms_addr_len(&addr) ==
           (ms_addr_is_v6(&addr) ? sizeof(addr.v6) : sizeof(addr.v4)));
    expect(ms_addr_is_loopback(&addr) ==
           (!strncmp(text, "127.", 4) || !strncmp(text, "[::1]", 5) ||
            !strncmp(text, "[::1%", 5)));
}

static void check_wire(struct ms_span s)
{
    const char *end = s.p + s.n, *stop = ms_wire_value_end(s.p, end);

    expect(is_value(s.p, (size_t)(stop - s.p)));
    expect(stop == end || !is_value(stop, 1));
    expect(ms_wire_is_value(s) == is_value(s.p, s.n));
    stop = ms_wire_token_end(s.p, end);
    expect(stop == s.p || is_token(s.p, (size_t)(stop - s.p)));
    expect(stop == end || !is_token(stop, 1));
    expect(ms_wire_is_token(s) == is_token(s.p, s.n));
    expect(ms_wire_is_target(s) == is_target(s.p, s.n));
}

/* Lines that were added are there, and are lines. */
static void check_fields(struct ms_span s)
{
    struct ms_fields f = {0};
    struct ms_span at = ms_span(s.p, s.n / 2);
    size_t bytes = 0;

    for (uint32_t i = 0; i < 9; i++) {
        expect(!ms_fields_add_line(&f, at, s) && f.count == i + 1);
        bytes += at.n + s.n + 4;
    }
    for (uint32_t i = 0; i < f.count; i++)
        expect(ms_span_equal(ms_fields_name(&f, i), at) &&
               ms_span_equal(ms_fields_value(&f, i), s));
    struct ms_span text = ms_buf_span(&f.text);
    expect(text.n == bytes && !memcmp(text.p + text.n - 2, "\r\n", 2));
    expect(ms_fields_find(&f, at, 1) == 1);
    ms_fields_free(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *p = malloc(size + !size);

    expect(p);
    if (size)
        memcpy(p, data, size);
    struct ms_span s = ms_span(p, size);
    check_wire(s);
    check_list(s);
    check_decimal(s);
    check_addr(s);
    check_fields(s);
    free(p);
    return 0;
}
