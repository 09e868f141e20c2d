/* SPDX-License-Identifier: MIT */
#include "engine/range.h"

#include <inttypes.h>
#include <stdio.h>

/* What a Content-Range says. */
struct part {
    uint64_t from, to, total;
    bool has_total;
};

/* Cuts the digits in front off `s`. */
static bool take_number(struct ms_span *s, uint64_t *n)
{
    size_t digits = 0;

    while (digits < s->n && ms_is_digit((unsigned char)s->p[digits]))
        digits++;
    if (!ms_span_decimal(ms_span(s->p, digits), INT64_MAX, n))
        return false;
    *s = ms_span(s->p + digits, s->n - digits);
    return true;
}

static bool take_char(struct ms_span *s, char c)
{
    if (!s->n || *s->p != c)
        return false;
    *s = ms_span(s->p + 1, s->n - 1);
    return true;
}

ms_err ms_range_parse(struct ms_range *range, struct ms_span text)
{
    uint64_t from = 0, to = 0;
    bool has_from = take_number(&text, &from);

    if (!take_char(&text, '-'))
        return MS_EOPTION;
    bool has_to = take_number(&text, &to);
    if (text.n || (!has_from && (!has_to || !to)) ||
        (has_from && has_to && from > to))
        return MS_EOPTION;
    *range = (struct ms_range){
        .set = true,
        .last = !has_from,
        .from = (int64_t)from,
        .to = has_to ? (int64_t)to : -1,
    };
    return MS_OK;
}

struct ms_span ms_range_text(const struct ms_range *r, char text[MS_RANGE_TEXT])
{
    int n;

    if (r->last)
        n = snprintf(text, MS_RANGE_TEXT, "bytes=-%" PRId64, r->to);
    else if (r->to < 0)
        n = snprintf(text, MS_RANGE_TEXT, "bytes=%" PRId64 "-", r->from);
    else
        n = snprintf(text, MS_RANGE_TEXT, "bytes=%" PRId64 "-%" PRId64, r->from,
                     r->to);
    return ms_span(text, (size_t)n);
}

/* "bytes 0-99/1000" or "bytes 0-99/ *" (RFC 9110, 14.4). */
static bool parse_part(struct ms_span s, struct part *part)
{
    if (s.n < 6 || !ms_span_equal_nocase(ms_span(s.p, 6), MS_SPAN("bytes ")))
        return false;
    s = ms_span_trim(ms_span(s.p + 6, s.n - 6));
    if (!take_number(&s, &part->from) || !take_char(&s, '-') ||
        !take_number(&s, &part->to) || !take_char(&s, '/'))
        return false;
    part->has_total = !take_char(&s, '*');
    if (part->has_total && !take_number(&s, &part->total))
        return false;
    return !s.n && part->from <= part->to &&
           (!part->has_total || part->to < part->total);
}

static bool is_asked_for(const struct ms_range *r, const struct part *p)
{
    bool to_end = !p->has_total || p->to + 1 == p->total;

    if (r->last)
        return to_end && p->to - p->from < (uint64_t)r->to;
    if (p->from != (uint64_t)r->from)
        return false;
    if (r->rest)
        return to_end;
    return r->to < 0 || p->to <= (uint64_t)r->to;
}

static const char *wrong_part(const struct ms_range *r,
                              const struct ms_head *head)
{
    const struct ms_fields *f = &head->fields;
    size_t i = ms_fields_find(f, MS_SPAN("content-range"), 0);
    struct part part = {0};

    /* Several parts come only to who asks for several. */
    if (i == SIZE_MAX)
        return "a part without Content-Range";
    if (ms_fields_find(f, MS_SPAN("content-range"), i + 1) != SIZE_MAX ||
        !parse_part(ms_fields_value(f, i), &part))
        return "a malformed Content-Range";
    if (!is_asked_for(r, &part))
        return "another part than the one that was asked for";
    if (head->length >= 0 && (uint64_t)head->length != part.to - part.from + 1)
        return "Content-Range and Content-Length disagree";
    return NULL;
}

ms_err ms_range_check(const struct ms_range *r, const struct ms_head *head,
                      const char **why)
{
    *why = NULL;
    if (!r->set)
        return MS_OK;
    if (head->status == 206) {
        *why = wrong_part(r, head);
        return *why && !MS_MUTANT_IS(307) ? MS_EPROTO : MS_OK;
    }
    if (head->status != 200 || !r->rest || MS_MUTANT_IS(308))
        return MS_OK;
    *why = "it sent all of it: it does not resume, or what it has has changed";
    return MS_ERANGE;
}
