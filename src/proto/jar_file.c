/* SPDX-License-Identifier: MIT
 *
 * jar_file.c - a jar written as lines with tabs, and such lines read strictly:
 * a file that is something else must not end up half in a jar.
 */
#include "proto/jar_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/host.h"

#define HTTP_ONLY "#HttpOnly_"

enum { DOMAIN, SUBDOMAINS, PATH, SECURE, EXPIRES, NAME, VALUE, FIELDS };

/* ---- writing ------------------------------------------------------------ */

static bool has_tab(struct ms_span s)
{
    return s.n && memchr(s.p, '\t', s.n);
}

static void put_tab_and(struct ms_buf *out, struct ms_span s)
{
    ms_buf_put(out, MS_SPAN("\t"));
    ms_buf_put(out, s);
}

static struct ms_span flag(bool on)
{
    return on ? MS_SPAN("TRUE") : MS_SPAN("FALSE");
}

/* Others write IPv6 addresses without their brackets. */
static void put_domain(struct ms_buf *out, const struct ms_cookie *c)
{
    struct ms_span d = ms_cookie_domain(c);

    if (c->http_only)
        ms_buf_put(out, MS_SPAN(HTTP_ONLY));
    if (!c->host_only)
        ms_buf_put(out, MS_SPAN("."));
    ms_buf_put(out, d.p[0] == '[' ? ms_span(d.p + 1, d.n - 2) : d);
}

static ms_err write_line(struct ms_buf *out, const struct ms_cookie *c)
{
    char expires[24]; /* the least number there is takes 21 */
    int64_t at = c->expires_s == MS_COOKIE_SESSION ? 0 : c->expires_s;
    int n = snprintf(expires, sizeof(expires), "%" PRId64, at);

    /* HTTP_ONLY, a dot, six tabs, "FALSE" twice and a newline: 28 */
    ms_err err =
        ms_buf_reserve(out, 32 + sizeof(expires) + c->host->name_len +
                                c->name_len + c->value_len + c->path_len);
    if (err)
        return err;
    put_domain(out, c);
    put_tab_and(out, flag(!c->host_only));
    put_tab_and(out, ms_cookie_path(c));
    put_tab_and(out, flag(c->secure));
    put_tab_and(out, ms_span(expires, (size_t)n));
    put_tab_and(out, ms_cookie_name(c));
    put_tab_and(out, ms_cookie_value(c));
    ms_buf_put(out, MS_SPAN("\n"));
    return MS_OK;
}

static ms_err write_all(const struct ms_jar_found *all, struct ms_buf *out)
{
    ms_err err = MS_OK;

    for (size_t i = 0; !err && i < all->count; i++) {
        const struct ms_cookie *c = all->list[i];
        if (has_tab(ms_cookie_name(c)) || has_tab(ms_cookie_value(c)) ||
            has_tab(ms_cookie_path(c)))
            continue;
        err = write_line(out, c);
    }
    return err;
}

ms_err ms_jar_write(struct ms_jar *j, int64_t now_s, struct ms_buf *out)
{
    struct ms_jar_found all = {0};
    /* curl and wget look for the first words of it. */
    ms_err err =
        ms_buf_add_span(out, MS_SPAN("# Netscape HTTP Cookie File\n\n"));

    if (!err)
        err = ms_jar_all(j, now_s, &all);
    if (!err)
        err = write_all(&all, out);
    ms_jar_found_free(&all);
    return err;
}

/* ---- reading ------------------------------------------------------------ */

/* Room for a domain: with the brackets that an IPv6 address may lack, and put
 * into its one spelling. */
struct room {
    char text[MS_HOST_MAX + 3];
    struct ms_buf host;
    ms_err err; /* MS_ENOMEM, nothing else */
};

static struct ms_span next_line(struct ms_span *text)
{
    const char *lf = memchr(text->p, '\n', text->n);
    size_t n = lf ? (size_t)(lf - text->p) : text->n;
    struct ms_span line = ms_span(text->p, n);

    *text = ms_span(text->p + n + (lf ? 1 : 0), text->n - n - (lf ? 1 : 0));
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* Cuts the line at its tabs; false unless there are six. */
static bool split(struct ms_span line, struct ms_span field[FIELDS])
{
    for (int i = 0; i < FIELDS; i++) {
        const char *tab = line.n ? memchr(line.p, '\t', line.n) : NULL;
        if ((i < VALUE) != (tab != NULL))
            return false;
        field[i] = tab ? ms_span(line.p, (size_t)(tab - line.p)) : line;
        if (tab)
            line = ms_span(tab + 1, line.n - field[i].n - 1);
    }
    return true;
}

static bool read_flag(struct ms_span s, bool *on)
{
    *on = ms_span_equal_nocase(s, MS_SPAN("TRUE"));
    return *on || ms_span_equal_nocase(s, MS_SPAN("FALSE"));
}

/* Puts the domain into its one spelling, without the dots at its ends. */
static bool read_domain(struct ms_span s, struct room *room,
                        struct ms_span *domain)
{
    const char *why;

    if (s.n && s.p[0] == '.')
        s = ms_span(s.p + 1, s.n - 1);
    if (s.n == 0 || s.n > MS_HOST_MAX)
        return false;
    bool bare = s.p[0] != '[' && memchr(s.p, ':', s.n);
    int n = snprintf(room->text, sizeof(room->text), "%s%.*s%s",
                     bare ? "[" : "", (int)s.n, s.p, bare ? "]" : "");
    ms_buf_clear(&room->host);
    ms_err err = ms_buf_reserve(&room->host, sizeof(room->text) + MS_HOST_ROOM);
    if (!err)
        err = ms_host_put(&room->host, ms_span(room->text, (size_t)n), &why);
    if (err == MS_ENOMEM)
        room->err = err;
    if (err)
        return false;
    *domain = ms_cookie_host(ms_buf_span(&room->host));
    return ms_cookie_host_counts(*domain);
}

static bool read_expires(struct ms_span s, int64_t now_s, int64_t *expires_s)
{
    int64_t most = now_s + MS_COOKIE_AGE_MAX_S;
    uint64_t at;

    if (!ms_span_decimal(s, INT64_MAX, &at))
        return false;
    if (at == 0)
        *expires_s = MS_COOKIE_SESSION;
    else
        *expires_s = (int64_t)at < most ? (int64_t)at : most;
    return true;
}

static const char *read_fields(const struct ms_span field[FIELDS],
                               int64_t now_s, struct room *room,
                               struct ms_cookie_spec *spec)
{
    bool subdomains;

    if (!read_domain(field[DOMAIN], room, &spec->domain))
        return "no domain in the first field";
    if (!read_flag(field[SUBDOMAINS], &subdomains) ||
        !read_flag(field[SECURE], &spec->secure))
        return "neither TRUE nor FALSE in the second or fourth field";
    if (field[PATH].n == 0 || field[PATH].p[0] != '/')
        return "no path in the third field";
    if (!read_expires(field[EXPIRES], now_s, &spec->expires_s))
        return "no time in the fifth field";
    spec->host_only = !subdomains || ms_host_is_address(spec->domain);
    spec->path = field[PATH];
    spec->name = field[NAME];
    spec->value = field[VALUE];
    if (spec->name.n + spec->value.n == 0)
        return "neither name nor value";
    return NULL;
}

static const char *read_line(struct ms_span line, int64_t now_s,
                             struct room *room, struct ms_cookie_spec *spec)
{
    struct ms_span field[FIELDS];

    *spec = (struct ms_cookie_spec){0};
    if (ms_cookie_has_prefix(line, MS_SPAN(HTTP_ONLY))) {
        line = ms_span(line.p + strlen(HTTP_ONLY), line.n - strlen(HTTP_ONLY));
        spec->http_only = true;
    }
    if (ms_cookie_has_control(line))
        return "a control character in it";
    if (!split(line, field))
        return "not seven fields with a tab between";
    if (field[NAME].n + field[VALUE].n > MS_COOKIE_PAIR_MAX ||
        field[PATH].n > MS_COOKIE_ATTRIBUTE_MAX)
        return "a field is too long";
    return read_fields(field, now_s, room, spec);
}

static bool is_comment(struct ms_span line)
{
    return line.n == 0 || (line.p[0] == '#' &&
                           !ms_cookie_has_prefix(line, MS_SPAN(HTTP_ONLY)));
}

/* What is over takes nothing away, unlike in a response: it is only old. */
static bool is_wanted(const struct ms_cookie_spec *spec, int64_t now_s)
{
    return spec->expires_s > now_s &&
           (!ms_jar_refuses(spec, true) || MS_MUTANT_IS(532));
}

/* Looks at every line, and puts its cookie into `j` unless that is NULL. */
static ms_err read_lines(struct ms_jar *j, struct ms_span text, int64_t now_s,
                         struct ms_jar_fault *fault)
{
    struct ms_cookie_spec spec;
    struct room room = {.err = MS_OK};
    ms_err err = MS_OK;

    for (fault->line = 0; !err && text.n;) {
        struct ms_span line = next_line(&text);
        fault->line++;
        if (is_comment(line))
            continue;
        fault->why = read_line(line, now_s, &room, &spec);
        if (fault->why)
            err = room.err ? room.err : MS_ECOOKIE;
        else if (j && is_wanted(&spec, now_s))
            err = ms_jar_put(j, &spec, now_s);
    }
    ms_buf_free(&room.host);
    return err;
}

ms_err ms_jar_read(struct ms_jar *j, struct ms_span text, int64_t now_s,
                   struct ms_jar_fault *fault)
{
    *fault = (struct ms_jar_fault){0};
    ms_err err = read_lines(MS_MUTANT_IS(526) ? j : NULL, text, now_s, fault);
    return err ? err : read_lines(j, text, now_s, fault);
}
