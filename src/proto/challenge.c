/* SPDX-License-Identifier: MIT */
#include "proto/challenge.h"

#include <assert.h>

#include "proto/wire.h"

/* What is left to read. */
struct reader {
    const char *p, *end;
};

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t'))
        r->p++;
}

/* Empty list elements are skipped (RFC 9110, 5.6.1.2). */
static void skip_commas(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == ','))
        r->p++;
}

static bool at_element_end(const struct reader *r)
{
    return r->p == r->end || *r->p == ',';
}

static struct ms_span read_token(struct reader *r)
{
    const char *from = r->p;

    r->p = ms_wire_token_end(r->p, r->end);
    return ms_span(from, (size_t)(r->p - from));
}

/* Behind the opening quote; false when there is no closing one. */
static bool read_quoted(struct reader *r, struct ms_span *value)
{
    const char *from = r->p;

    for (; r->p < r->end && *r->p != '"'; r->p++)
        if (*r->p == '\\' && ++r->p == r->end)
            return false;
    if (r->p == r->end)
        return false;
    *value = ms_span(from, (size_t)(r->p - from));
    r->p++;
    return true;
}

static bool is_token68_byte(unsigned char c)
{
    unsigned char lower = ms_lower(c);

    return ms_is_digit(c) || (lower >= 'a' && lower <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '+' || c == '/';
}

/* A token68 fills its list element: otherwise it is a parameter's name. */
static bool read_token68(struct reader *r, struct ms_span *value)
{
    struct reader try = *r;
    const char *from = try.p;

    while (try.p < try.end && is_token68_byte((unsigned char)*try.p))
        try.p++;
    if (try.p == from)
        return false;
    while (try.p < try.end && *try.p == '=')
        try.p++;
    size_t n = (size_t)(try.p - from);
    skip_blanks(&try);
    if (!at_element_end(&try))
        return false;
    *value = ms_span(from, n);
    *r = try;
    return true;
}

/* name BWS "=" BWS ( token / quoted-string ). Without a '=' nothing is read:
 * that is the next challenge's scheme. */
enum param_end { PARAM_READ, PARAM_NONE, PARAM_BAD };

static enum param_end read_param(struct reader *r, struct ms_param *p)
{
    struct reader try = *r;

    p->name = read_token(&try);
    skip_blanks(&try);
    if (try.p == try.end || *try.p != '=')
        return PARAM_NONE;
    if (!p->name.n)
        return PARAM_BAD;
    try.p++;
    skip_blanks(&try);
    p->quoted = try.p < try.end && *try.p == '"';
    if (p->quoted) {
        try.p++;
        if (!read_quoted(&try, &p->value))
            return PARAM_BAD;
    } else {
        p->value = read_token(&try);
        if (!p->value.n)
            return PARAM_BAD;
    }
    skip_blanks(&try);
    *r = try;
    return PARAM_READ;
}

/* As many as follow; false when one is malformed or too much. */
static bool read_params(struct reader *r, struct ms_challenge *c)
{
    for (;;) {
        struct ms_param p;
        skip_commas(r);
        if (r->p == r->end)
            return true;
        switch (read_param(r, &p)) {
        case PARAM_NONE:
            return true;
        case PARAM_BAD:
            return false;
        case PARAM_READ:
            break;
        }
        if (c->count == MS_CHALLENGE_PARAMS || !at_element_end(r))
            return false;
        c->params[c->count++] = p;
    }
}

bool ms_challenge_next(struct ms_span *line, struct ms_challenge *c)
{
    struct reader r = {line->p, line->p + line->n};

    c->count = 0;
    c->token68 = MS_SPAN("");
    *line = ms_span(r.end, 0);
    skip_commas(&r);
    c->scheme = read_token(&r);
    if (!c->scheme.n)
        return false;
    bool blank = r.p < r.end && (*r.p == ' ' || *r.p == '\t');
    skip_blanks(&r);
    if (!at_element_end(&r) && !blank)
        return false;
    if (!at_element_end(&r) && !read_token68(&r, &c->token68) &&
        (!read_params(&r, c) || !c->count))
        return false;
    *line = ms_span(r.p, (size_t)(r.end - r.p));
    return true;
}

bool ms_challenge_params(struct ms_span line, struct ms_challenge *c)
{
    struct reader r = {line.p, line.p + line.n};

    *c = (struct ms_challenge){.scheme = MS_SPAN(""), .token68 = MS_SPAN("")};
    return read_params(&r, c) && r.p == r.end;
}

const struct ms_param *ms_challenge_find(const struct ms_challenge *c,
                                         struct ms_span name)
{
    const struct ms_param *found = NULL;

    for (size_t i = 0; i < c->count; i++) {
        if (!ms_span_equal_nocase(c->params[i].name, name))
            continue;
        if (found)
            return NULL;
        found = &c->params[i];
    }
    return found;
}

ms_err ms_param_text(const struct ms_param *p, struct ms_buf *out)
{
    ms_err err = ms_buf_reserve(out, p->value.n + 1);

    if (err)
        return err;
    ms_buf_clear(out);
    for (size_t i = 0; i < p->value.n; i++) {
        if (p->quoted && p->value.p[i] == '\\')
            i++;
        assert(i < p->value.n && "an escape has something behind it");
        ms_buf_put(out, ms_span(p->value.p + i, 1));
    }
    return MS_OK;
}

bool ms_challenge_says(const struct ms_challenge *c, struct ms_span name,
                       struct ms_span token)
{
    const struct ms_param *p = ms_challenge_find(c, name);

    return p && ms_span_equal_nocase(ms_span_trim(p->value), token);
}
