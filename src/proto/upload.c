/* SPDX-License-Identifier: MIT */
#include "proto/upload.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"

/* "4000\r\n" before a piece, "\r\n0\r\n\r\n" behind the last. */
#define BEFORE 8
#define BEHIND 8

struct ms_upload {
    int64_t left; /* of a known length; -1: chunks */
    bool ended;
    bool elsewhere;  /* and not in piece */
    size_t from, to; /* what is ready, in piece */
    char piece[BEFORE + MS_UPLOAD_PIECE + BEHIND];
};

ms_err ms_upload_new(struct ms_upload **out, int64_t length)
{
    struct ms_upload *u = ms_alloc(sizeof(*u));

    if (!u)
        return MS_ENOMEM;
    u->left = length < 0 ? -1 : length;
    u->ended = length == 0;
    u->elsewhere = false;
    u->from = u->to = 0;
    *out = u;
    return MS_OK;
}

void ms_upload_free(struct ms_upload *u)
{
    ms_free(u);
}

char *ms_upload_room(struct ms_upload *u, size_t *cap)
{
    assert(!u->ended && u->from == u->to);

    *cap = MS_UPLOAD_PIECE;
    return u->piece + BEFORE;
}

static void append(struct ms_upload *u, const char *text)
{
    size_t n = strlen(text);

    memcpy(u->piece + u->to, text, n);
    u->to += n;
}

/* Chunk-size in front, line end behind; the last chunk has neither data nor
 * trailers. */
static void frame(struct ms_upload *u, size_t n, bool end)
{
    char size[BEFORE + 1];
    int digits = snprintf(size, sizeof(size), "%zx\r\n", n);

    if (n) {
        u->from = BEFORE - (size_t)digits;
        memcpy(u->piece + u->from, size, (size_t)digits);
        append(u, "\r\n");
    }
    if (end)
        append(u, "0\r\n\r\n");
}

static ms_err count(struct ms_upload *u, size_t n, bool end, const char **why)
{
    if (n > (uint64_t)u->left) {
        *why = "the request body is longer than was said";
        return MS_EUPLOAD;
    }
    u->left -= (int64_t)n;
    u->ended = !u->left; /* without being told */
    if (end && u->left) {
        *why = "the request body is shorter than was said";
        return MS_EUPLOAD;
    }
    return MS_OK;
}

ms_err ms_upload_put(struct ms_upload *u, size_t n, bool end, const char **why)
{
    assert(n <= MS_UPLOAD_PIECE && !u->ended);

    u->elsewhere = false;
    u->from = BEFORE;
    u->to = BEFORE + n;
    u->ended = end;
    if (u->left >= 0)
        return count(u, n, end, why);
    frame(u, n, end);
    return MS_OK;
}

ms_err ms_upload_put_elsewhere(struct ms_upload *u, size_t n, bool end,
                               const char **why)
{
    assert(n && !u->ended && u->left >= 0 && u->from == u->to);

    u->elsewhere = true;
    u->from = 0;
    u->to = n;
    return count(u, n, end, why);
}

struct ms_span ms_upload_ready(const struct ms_upload *u)
{
    return ms_span(u->elsewhere ? NULL : u->piece + u->from, u->to - u->from);
}

void ms_upload_sent(struct ms_upload *u, size_t n)
{
    assert(n <= u->to - u->from);

    u->from += n;
}

bool ms_upload_ended(const struct ms_upload *u)
{
    return u->ended;
}
