/* SPDX-License-Identifier: MIT
 *
 * h2_frames.h - HTTP/2 frames from text, one a line, for tests that say what
 * a peer sends:
 *
 *     H 1 eh :status=200 a=b    HEADERS of stream 1; flags: e END_STREAM,
 *                               h END_HEADERS, p PADDED (the first byte of
 *                               the payload is then the test's business)
 *     C 1 h a=b                 CONTINUATION
 *     D 1 e hello               DATA
 *     R 1 8                     RST_STREAM, error code
 *     G 3 0                     GOAWAY, last stream, error code
 *     S 3=1 4=100               SETTINGS;  s: its acknowledgement
 *     P / p                     PING, its acknowledgement
 *     W 1 100                   WINDOW_UPDATE
 *     U 1 : /                   PUSH_PROMISE of stream 2
 *     X 250 0 0 text            any frame: type, flags, stream, payload
 *     ! text                    bytes as they are
 *     *1000 P                   the same a thousand times
 *
 * In text, %41 is the byte 0x41. Fields are HPACK literals that are not
 * indexed, so a name may be anything.
 */
#ifndef MS_SPEC_H2_FRAMES_H
#define MS_SPEC_H2_FRAMES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "unit.h"

static void frame_put(struct ms_buf *b, const void *p, size_t n)
{
    CHECK(!ms_buf_add(b, p, n));
}

static void frame_byte(struct ms_buf *b, unsigned byte)
{
    unsigned char c = (unsigned char)byte;

    frame_put(b, &c, 1);
}

static void frame_u32(struct ms_buf *b, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        frame_byte(b, v >> shift & 0xff);
}

static void frame_add(struct ms_buf *b, unsigned type, unsigned flags,
                      uint32_t id, struct ms_span payload)
{
    frame_byte(b, (unsigned)(payload.n >> 16));
    frame_byte(b, payload.n >> 8 & 0xff);
    frame_byte(b, payload.n & 0xff);
    frame_byte(b, type);
    frame_byte(b, flags);
    frame_u32(b, id);
    frame_put(b, payload.p, payload.n);
}

/* Text up to `stop` (or the line's end) with its escapes undone. */
static void frame_text(struct ms_buf *b, const char **p, char stop)
{
    while (**p && **p != '\n' && **p != stop) {
        char hex[3] = {0};
        if (**p == '%') {
            memcpy(hex, *p + 1, 2);
            frame_byte(b, (unsigned)strtoul(hex, NULL, 16));
            *p += 3;
        } else {
            frame_byte(b, (unsigned char)*(*p)++);
        }
    }
}

/* A string of HPACK's, not Huffman coded (RFC 7541, 5.2). */
static void frame_string(struct ms_buf *b, const char **p, char stop)
{
    struct ms_buf text = {0};

    frame_text(&text, p, stop);
    size_t n = ms_buf_len(&text);
    if (n < 127) {
        frame_byte(b, (unsigned)n);
    } else {
        frame_byte(b, 127);
        for (n -= 127; n >= 128; n >>= 7)
            frame_byte(b, (n & 0x7f) | 0x80);
        frame_byte(b, (unsigned)n);
    }
    if (ms_buf_len(&text))
        frame_put(b, text.p, ms_buf_len(&text));
    ms_buf_free(&text);
}

static void frame_fields(struct ms_buf *b, const char **p)
{
    while (**p == ' ') {
        ++*p;
        frame_byte(b, 0);
        frame_string(b, p, '=');
        CHECK(**p == '=');
        ++*p;
        frame_string(b, p, ' ');
    }
}

static uint32_t frame_number(const char **p)
{
    char *end;
    unsigned long v;

    while (**p == ' ')
        ++*p;
    v = strtoul(*p, &end, 10);
    *p = end;
    return (uint32_t)v;
}

static unsigned frame_flags(const char **p)
{
    unsigned flags = 0;

    if (**p == ' ')
        ++*p;
    for (; **p && **p != ' ' && **p != '\n'; ++*p)
        flags |= **p == 'e' ? 1u : **p == 'h' ? 4u : **p == 'p' ? 8u : 0u;
    return flags;
}

static void frame_settings(struct ms_buf *b, const char **p)
{
    while (**p == ' ') {
        uint32_t id = frame_number(p);
        ++*p;
        frame_byte(b, id >> 8);
        frame_byte(b, id & 0xff);
        frame_u32(b, frame_number(p));
    }
}

/* One line; `*p` moves to its end. */
static void frame_line(struct ms_buf *out, const char **p)
{
    static const char names[] = "DH RSUPGWC";
    struct ms_buf b = {0};
    char what = *(*p)++;
    const char *name = strchr(names, what);
    unsigned type = name ? (unsigned)(name - names) : 0, flags = 0;
    uint32_t id = strchr("DHCRWUX", what) && what != 'X' ? frame_number(p) : 0;

    switch (what) {
    case 'H':
    case 'C':
        flags = frame_flags(p);
        frame_fields(&b, p);
        break;
    case 'D':
        flags = frame_flags(p);
        *p += **p == ' ';
        frame_text(&b, p, '\n');
        break;
    case 'U':
        flags = 4;
        frame_u32(&b, 2);
        frame_fields(&b, p);
        break;
    case 'G':
        frame_u32(&b, frame_number(p)); /* fall through */
    case 'R':
    case 'W':
        frame_u32(&b, frame_number(p));
        break;
    case 'S':
        frame_settings(&b, p);
        break;
    case 's':
    case 'p':
        type = what == 's' ? 4 : 6;
        flags = 1; /* fall through */
    case 'P':
        if (type == 6)
            frame_put(&b, "12345678", 8);
        break;
    case 'X':
        type = frame_number(p);
        flags = frame_number(p);
        id = frame_number(p);
        *p += **p == ' ';
        frame_text(&b, p, '\n');
        break;
    default:
        CHECK_THAT(false, "no frame is called %c", what);
    }
    frame_add(out, type, flags, id, ms_buf_span(&b));
    ms_buf_free(&b);
}

/* Adds what the text says. */
static void frames(struct ms_buf *out, const char *text)
{
    while (*text) {
        uint32_t times = 1;
        if (*text == '*') {
            text++;
            times = frame_number(&text);
            text++;
        }
        const char *line = text;
        for (; times > 0; times--) {
            text = line;
            if (*text == '!') {
                text += 2;
                frame_text(out, &text, '\n');
            } else {
                frame_line(out, &text);
            }
        }
        CHECK_THAT(*text == '\n' || !*text, "what is this: %s", text);
        text += *text == '\n';
    }
}

#endif
