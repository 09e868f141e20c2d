/* SPDX-License-Identifier: MIT
 *
 * Fuzzes cookies: Set-Cookie lines into a jar, what goes out again, and the
 * jar's file. What a line says lies in the line, a Cookie line is one that
 * may be sent, and a file reads back to what was written.
 *
 * Input: a URL, then Set-Cookie lines, a line feed between; and all of it as
 * a file of cookies, and as a date.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cookie_date.h"
#include "proto/jar.h"
#include "proto/jar_file.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1700000000)

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static bool lies_in(struct ms_span part, struct ms_span whole)
{
    return part.n == 0 ||
           (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_line(struct ms_span line)
{
    struct ms_set_cookie c;

    if (ms_cookie_parse(line, NOW, &c))
        return;
    expect(lies_in(c.name, line) && lies_in(c.value, line));
    expect(lies_in(c.domain, line) && lies_in(c.path, line));
    expect(c.name.n + c.value.n > 0);
    expect(c.name.n + c.value.n <= MS_COOKIE_PAIR_MAX);
    expect(c.domain.n <= MS_COOKIE_ATTRIBUTE_MAX);
    expect(!c.path.n || (c.path.p[0] == '/' && c.has_path));
    expect(!memchr(c.name.n ? c.name.p : "", '=', c.name.n));
    expect(c.expires_s == MS_COOKIE_SESSION ||
           c.expires_s <= NOW + MS_COOKIE_AGE_MAX_S);
}

static void take(struct ms_jar *j, const struct ms_url *url,
                 struct ms_span line)
{
    const char *why;

    check_line(line);
    expect(!ms_jar_take(j, url, line, NOW, &why));
    expect(!ms_jar_check(j));
}

static struct ms_span next_line(struct ms_span *text)
{
    const char *lf = text->n ? memchr(text->p, '\n', text->n) : NULL;
    struct ms_span line = *text;

    if (lf)
        line.n = (size_t)(lf - text->p);
    size_t gone = line.n + (lf != NULL);
    *text = ms_span(text->p + gone, text->n - gone);
    return line;
}

/* What goes out is a value of a header, and may come from the same URL. */
static void check_sent(struct ms_jar *j, const struct ms_url *url)
{
    struct ms_buf line = {0};

    expect(!ms_jar_line(j, url, NOW, &line));
    expect(ms_wire_is_value(ms_buf_span(&line)));
    expect(ms_buf_len(&line) <= MS_JAR_LINE_MAX);
    expect(!ms_jar_check(j));
    ms_buf_free(&line);
}

static void take_all(struct ms_jar *j, const struct ms_url *url,
                     struct ms_span lines)
{
    while (lines.n)
        take(j, url, next_line(&lines));
    check_sent(j, url);
}

static void check_file(struct ms_jar *j)
{
    struct ms_buf one = {0}, two = {0};
    struct ms_jar_fault fault;
    struct ms_jar again;

    ms_jar_init(&again);
    expect(!ms_jar_write(j, NOW, &one));
    expect(!ms_jar_read(&again, ms_buf_span(&one), NOW, &fault));
    expect(!ms_jar_check(&again));
    expect(!ms_jar_write(&again, NOW, &two));
    expect(ms_span_equal(ms_buf_span(&one), ms_buf_span(&two)));
    ms_jar_fini(&again);
    ms_buf_free(&one);
    ms_buf_free(&two);
}

static void check_as_file(struct ms_span text)
{
    struct ms_jar_fault fault;
    struct ms_jar j;
    int64_t at;

    ms_jar_init(&j);
    ms_err err = ms_jar_read(&j, text, NOW, &fault);
    expect(!err || (err == MS_ECOOKIE && fault.line && fault.why && !j.count));
    check_file(&j);
    ms_jar_fini(&j);
    if (ms_cookie_date(text, &at))
        expect(at >= INT64_C(-11644473600) && at <= INT64_C(253402300799));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + !size); /* a look beyond the end is seen */
    struct ms_url url = {0};
    struct ms_jar j;

    expect(copy);
    if (size)
        memcpy(copy, data, size);
    struct ms_span all = ms_span(copy, size), rest = all;
    check_as_file(all);
    if (!ms_url_parse(&url, next_line(&rest), NULL, NULL)) {
        ms_jar_init(&j);
        take_all(&j, &url, rest);
        check_file(&j);
        url.secure = !url.secure; /* the same host, with and without TLS */
        take_all(&j, &url, rest);
        expect(!ms_jar_all(&j, NOW + MS_COOKIE_AGE_MAX_S, &j.scratch));
        expect(!ms_jar_check(&j) && !j.deadlines.root);
        ms_jar_fini(&j);
    }
    ms_url_free(&url);
    free(copy);
    return 0;
}
