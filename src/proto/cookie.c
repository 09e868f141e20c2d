/* SPDX-License-Identifier: MIT
 *
 * cookie.c - the algorithms of RFC 6265bis, in its order; steps are named by
 * section.
 */
#include "proto/cookie.h"

#include "proto/cookie_date.h"
#include "proto/host.h"

struct attribute {
    struct ms_span name, value;
};

/* What the dates amount to: Max-Age wins over Expires wherever they stand
 * (5.7, step 6). */
struct lifetime {
    int64_t now_s, max_age_s, expires_s;
    bool has_max_age, has_expires;
};

bool ms_cookie_has_control(struct ms_span text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (((c < 0x20 && c != '\t') || c == 0x7f) && !MS_MUTANT_IS(525))
            return true;
    }
    return false;
}

bool ms_cookie_has_prefix(struct ms_span text, struct ms_span prefix)
{
    if (text.n >= prefix.n && MS_MUTANT_IS(514))
        return ms_span_equal(ms_span(text.p, prefix.n), prefix);
    return text.n >= prefix.n &&
           ms_span_equal_nocase(ms_span(text.p, prefix.n), prefix);
}

/* Cuts `s` at its first `c`: what is in front comes back, `*s` keeps what is
 * behind. Without any, all of it is in front. */
static struct ms_span cut(struct ms_span *s, char c)
{
    const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
    size_t n = at ? (size_t)(at - s->p) : s->n;
    struct ms_span front = ms_span(s->p, n);

    *s = ms_span(s->p + n + (at ? 1 : 0), s->n - n - (at ? 1 : 0));
    return front;
}

/* "name=value", either trimmed. Without "=" it is all name. */
static struct attribute split_pair(struct ms_span text)
{
    struct attribute a;

    a.name = ms_span_trim(cut(&text, '='));
    a.value = ms_span_trim(text);
    return a;
}

static int64_t capped(int64_t expires_s, int64_t now_s)
{
    int64_t most = now_s + MS_COOKIE_AGE_MAX_S;

    return expires_s < most || MS_MUTANT_IS(522) ? expires_s : most;
}

/* 5.6.1 */
static void read_expires(struct lifetime *l, struct ms_span value)
{
    int64_t at;

    if (!ms_cookie_date(value, &at))
        return;
    l->has_expires = true;
    l->expires_s = capped(at, l->now_s);
}

static bool all_digits(struct ms_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ms_is_digit((unsigned char)s.p[i]))
            return false;
    return true;
}

/* 5.6.2. More digits than a number holds are a long time all the same. */
static void read_max_age(struct lifetime *l, struct ms_span value)
{
    uint64_t age = 0;

    if (value.n == 0)
        return;
    bool negative = value.p[0] == '-';
    struct ms_span digits = ms_span(value.p + negative, value.n - negative);
    if (!all_digits(digits))
        return;
    if (!ms_span_decimal(digits, MS_COOKIE_AGE_MAX_S, &age) && digits.n)
        age = MS_COOKIE_AGE_MAX_S;
    l->has_max_age = true;
    l->max_age_s =
        negative || age == 0 ? MS_COOKIE_GONE : l->now_s + (int64_t)age;
}

/* 5.6.3 */
static struct ms_span without_dot(struct ms_span domain)
{
    if (domain.n && domain.p[0] == '.')
        return ms_span(domain.p + 1, domain.n - 1);
    return domain;
}

/* 5.6.7 */
static uint8_t read_same_site(struct ms_span value)
{
    if (ms_span_equal_nocase(value, MS_SPAN("None")))
        return MS_SAME_SITE_NONE;
    if (ms_span_equal_nocase(value, MS_SPAN("Strict")))
        return MS_SAME_SITE_STRICT;
    if (ms_span_equal_nocase(value, MS_SPAN("Lax")))
        return MS_SAME_SITE_LAX;
    return MS_SAME_SITE_DEFAULT;
}

static bool called(const struct attribute *a, const char *name)
{
    return ms_span_equal_nocase(a->name, ms_span_text(name));
}

/* Of several with one name the last counts (5.7, steps 6 to 18). */
static void read_attribute(struct ms_set_cookie *c, struct lifetime *l,
                           const struct attribute *a)
{
    if (called(a, "expires")) {
        read_expires(l, a->value);
    } else if (called(a, "max-age")) {
        read_max_age(l, a->value);
    } else if (called(a, "domain")) {
        c->domain = without_dot(a->value);
    } else if (called(a, "path")) {
        c->has_path = true;
        c->path = a->value.n && a->value.p[0] == '/' ? a->value : MS_SPAN("");
    } else if (called(a, "secure")) {
        c->secure = true;
    } else if (called(a, "httponly")) {
        c->http_only = true;
    } else if (called(a, "samesite")) {
        c->same_site = read_same_site(a->value);
    }
}

static int64_t expiry_of(const struct lifetime *l)
{
    if (l->has_max_age)
        return l->max_age_s;
    return l->has_expires ? l->expires_s : MS_COOKIE_SESSION;
}

static void read_attributes(struct ms_set_cookie *c, struct ms_span rest,
                            int64_t now_s)
{
    struct lifetime l = {.now_s = now_s};

    while (rest.n) {
        struct attribute a = split_pair(cut(&rest, ';'));
        if (a.value.n <= MS_COOKIE_ATTRIBUTE_MAX || MS_MUTANT_IS(524))
            read_attribute(c, &l, &a);
    }
    c->expires_s = expiry_of(&l);
}

const char *ms_cookie_parse(struct ms_span line, int64_t now_s,
                            struct ms_set_cookie *out)
{
    *out = (struct ms_set_cookie){0};
    if (ms_cookie_has_control(line))
        return "a control character in it";
    struct ms_span pair = cut(&line, ';');
    struct attribute a = {MS_SPAN(""), ms_span_trim(pair)};
    if (pair.n && memchr(pair.p, '=', pair.n))
        a = split_pair(pair);
    if (a.name.n + a.value.n == 0)
        return "neither name nor value";
    if (a.name.n + a.value.n > MS_COOKIE_PAIR_MAX && !MS_MUTANT_IS(517))
        return "name and value are longer than 4096 bytes";
    out->name = a.name;
    out->value = a.value;
    read_attributes(out, line, now_s);
    return NULL;
}

struct ms_span ms_cookie_host(struct ms_span host)
{
    if (host.n && host.p[host.n - 1] == '.' && !MS_MUTANT_IS(506))
        host.n--;
    return host;
}

bool ms_cookie_host_counts(struct ms_span host)
{
    bool dot = true; /* before this byte */

    for (size_t i = 0; i < host.n; i++) {
        if (dot && host.p[i] == '.')
            return false;
        dot = host.p[i] == '.';
    }
    return !dot;
}

bool ms_cookie_domain_match(struct ms_span host, struct ms_span domain)
{
    if (ms_span_equal(host, domain))
        return true;
    if (domain.n == 0 || host.n <= domain.n ||
        (ms_host_is_address(host) && !MS_MUTANT_IS(502)))
        return false;
    size_t rest = host.n - domain.n;
    return host.p[rest - 1] == '.' &&
           ms_span_equal(ms_span(host.p + rest, domain.n), domain);
}

struct ms_span ms_cookie_default_path(struct ms_span url_path)
{
    const char *slash =
        url_path.n ? memrchr(url_path.p, '/', url_path.n) : NULL;

    if (!slash || slash == url_path.p || url_path.p[0] != '/')
        return MS_SPAN("/");
    return ms_span(url_path.p, (size_t)(slash - url_path.p));
}

bool ms_cookie_path_match(struct ms_span url_path, struct ms_span path)
{
    if (url_path.n < path.n ||
        !ms_span_equal(ms_span(url_path.p, path.n), path))
        return false;
    return url_path.n == path.n || path.p[path.n - 1] == '/' ||
           url_path.p[path.n] == '/' || MS_MUTANT_IS(515);
}
