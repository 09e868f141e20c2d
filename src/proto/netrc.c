/* SPDX-License-Identifier: MIT */
#include "proto/netrc.h"

#include <assert.h>

struct reader {
    const char *p, *end;
    unsigned line;
    struct ms_buf word;
    bool quoted; /* the word was */
    const char *why;
};

/* An entry while it is read, and the question. */
struct search {
    struct reader r;
    struct ms_span host, login;
    struct ms_netrc *entry;
    bool in_entry; /* of the host or a default one */
    bool in_default;
};

void ms_netrc_free(struct ms_netrc *n)
{
    ms_buf_free(&n->login);
    ms_buf_free(&n->password);
    n->found = n->by_default = false;
}

/* ---- words ------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct reader *r)
{
    for (; r->p < r->end && is_blank(*r->p); r->p++)
        r->line += *r->p == '\n';
}

static void skip_line(struct reader *r)
{
    while (r->p < r->end && *r->p != '\n')
        r->p++;
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

/* Behind the opening quote. */
static ms_err read_quoted(struct reader *r)
{
    for (; r->p < r->end && *r->p != '"' && *r->p != '\n'; r->p++) {
        char c = *r->p;
        if (c == '\\' && r->p + 1 < r->end && r->p[1] != '\n')
            c = unescape(*++r->p);
        ms_buf_put(&r->word, ms_span(&c, 1));
    }
    if (r->p == r->end || *r->p != '"') {
        r->why = "a quote is not closed";
        return MS_EOPTION;
    }
    r->p++;
    return MS_OK;
}

static ms_err read_word(struct reader *r, bool *got)
{
    *got = false;
    skip_blanks(r);
    if (r->p == r->end)
        return MS_OK;
    ms_buf_clear(&r->word);
    ms_err err = ms_buf_reserve(&r->word, (size_t)(r->end - r->p));
    if (err)
        return err;
    *got = true;
    r->quoted = *r->p == '"';
    if (r->quoted) {
        r->p++;
        return read_quoted(r);
    }
    const char *from = r->p;
    while (r->p < r->end && !is_blank(*r->p))
        r->p++;
    ms_buf_put(&r->word, ms_span(from, (size_t)(r->p - from)));
    return MS_OK;
}

static bool is_word(const struct reader *r, struct ms_span word)
{
    return !r->quoted && ms_span_equal(ms_buf_span(&r->word), word);
}

/* The word behind a keyword. */
static ms_err read_value(struct reader *r)
{
    bool got;
    ms_err err = read_word(r, &got);

    if (err || got)
        return err;
    r->why = "the file ends behind a keyword";
    return MS_EOPTION;
}

/* A macro goes on to the first empty line. */
static void skip_macro(struct reader *r)
{
    do {
        skip_line(r);
        if (r->p == r->end)
            return;
        r->p++;
        r->line++;
    } while (r->p < r->end && *r->p != '\n' && *r->p != '\r');
}

/* ---- entries ----------------------------------------------------------- */

static ms_err keep(struct ms_buf *to, const struct reader *r)
{
    ms_err err = ms_buf_reserve(to, ms_buf_len(&r->word) + 1);

    if (err)
        return err;
    ms_buf_clear(to);
    ms_buf_put(to, ms_buf_span(&r->word));
    return MS_OK;
}

/* The entry that ends here is the one. One that says nothing never is. */
static bool is_answer(const struct search *s)
{
    const struct ms_netrc *n = s->entry;

    return s->in_entry && (n->login.p || n->password.p) &&
           (!s->login.p ||
            (s->entry->login.p &&
             ms_span_equal(ms_buf_span(&s->entry->login), s->login)));
}

static void begin_entry(struct search *s, bool matches)
{
    ms_netrc_free(s->entry);
    s->in_entry = matches;
}

static ms_err read_machine(struct search *s)
{
    ms_err err = read_value(&s->r);

    if (!err)
        begin_entry(s, ms_span_equal_nocase(ms_buf_span(&s->r.word), s->host));
    return err;
}

static ms_err read_secret(struct search *s, struct ms_buf *to)
{
    ms_err err = read_value(&s->r);

    return err || !s->in_entry ? err : keep(to, &s->r);
}

/* What the keyword in s->r.word asks for. */
static ms_err read_entry_part(struct search *s)
{
    struct reader *r = &s->r;
    ms_err err;

    if (is_word(r, MS_SPAN("login")))
        return read_secret(s, &s->entry->login);
    if (is_word(r, MS_SPAN("password")))
        return read_secret(s, &s->entry->password);
    if (is_word(r, MS_SPAN("account")))
        return read_value(r);
    if (is_word(r, MS_SPAN("macdef"))) {
        err = read_value(r);
        if (!err)
            skip_macro(r);
        return err;
    }
    r->why = "not a keyword: machine, default, login, password, account, "
             "macdef are";
    return MS_EOPTION;
}

static ms_err search(struct search *s)
{
    struct reader *r = &s->r;

    for (;;) {
        bool got;
        skip_blanks(r);
        if (r->p < r->end && *r->p == '#') {
            skip_line(r);
            continue;
        }
        ms_err err = read_word(r, &got);
        if (err)
            return err;
        bool machine = got && is_word(r, MS_SPAN("machine"));
        bool any = got && is_word(r, MS_SPAN("default"));
        if ((!got || machine || any) && is_answer(s)) {
            s->entry->found = true;
            s->entry->by_default = s->in_default;
            return MS_OK;
        }
        if (!got)
            return MS_OK;
        s->in_default = machine ? false : any || s->in_default;
        if (any)
            begin_entry(s, true);
        else if ((err = machine ? read_machine(s) : read_entry_part(s)))
            return err;
    }
}

ms_err ms_netrc_find(struct ms_netrc *n, struct ms_span text,
                     struct ms_span host, struct ms_span login,
                     const char **why, unsigned *line)
{
    struct search s = {.r = {.p = text.p, .end = text.p + text.n, .line = 1},
                       .host = host,
                       .login = login,
                       .entry = n};

    assert(!n->found && !n->login.p);

    ms_err err = search(&s);
    ms_buf_free(&s.r.word);
    if (!n->found)
        ms_netrc_free(n);
    *why = s.r.why;
    *line = s.r.line;
    return err;
}
