/* SPDX-License-Identifier: MIT */
#include "net/resolve_name.h"

/* A label in text (RFC 1035, 2.3.4). */
#define MAX_LABEL 63

struct ms_span ms_name_without_dot(struct ms_span name)
{
    if (name.n && name.p[name.n - 1] == '.')
        name.n--;
    return name;
}

bool ms_name_normalise(struct ms_span host, char out[MS_NAME_MAX + 1])
{
    size_t n = ms_name_without_dot(host).n, label = 0;

    if (n == 0 || n > MS_NAME_MAX)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = ms_lower((unsigned char)host.p[i]);
        if (c <= ' ' || c >= 0x7f || c == '\\')
            return false;
        if (c == '.' && label == 0)
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > MAX_LABEL)
            return false;
        out[i] = (char)c;
    }
    return true;
}

bool ms_name_is_within(struct ms_span name, struct ms_span top)
{
    name = ms_name_without_dot(name);
    if (name.n < top.n || memcmp(name.p + name.n - top.n, top.p, top.n) != 0)
        return false;
    return name.n == top.n || name.p[name.n - top.n - 1] == '.';
}

/* `name` in `domain`, absolute; an empty domain is the root. False: too long
 * to exist. */
static bool compose(struct ms_span name, struct ms_span domain, char *out)
{
    size_t len = name.n + (domain.n ? 1 + domain.n : 0);

    if (len > MS_NAME_MAX)
        return false;
    memcpy(out, name.p, name.n);
    out[name.n] = '.';
    if (domain.n)
        memcpy(out + name.n + 1, domain.p, domain.n);
    memcpy(out + len, ".", 2);
    return true;
}

static bool compose_in(struct ms_span name, const char *search, char *out)
{
    struct ms_span domain = ms_span_text(search);

    while (domain.n && *domain.p == '.')
        domain.p++, domain.n--;
    /* The root is a candidate of its own. */
    domain = ms_name_without_dot(domain);
    return domain.n && compose(name, domain, out);
}

static bool has_enough_dots(struct ms_span name, int wanted)
{
    int dots = 0;

    for (size_t i = 0; i < name.n; i++)
        dots += name.p[i] == '.';
    return dots >= wanted;
}

bool ms_name_candidate(struct ms_span name, const struct ms_dns_search *search,
                       size_t *next, char out[MS_NAME_CANDIDATE])
{
    bool absolute = name.p[name.n - 1] == '.';
    size_t domains = absolute ? 0 : search->count;
    size_t bare =
        absolute || has_enough_dots(name, search->ndots) ? 0 : domains;

    while (*next <= domains) {
        size_t i = (*next)++;
        if (i == bare && compose(ms_name_without_dot(name), MS_SPAN(""), out))
            return true;
        if (i != bare && compose_in(name, search->domains[i - (i > bare)], out))
            return true;
    }
    return false;
}
