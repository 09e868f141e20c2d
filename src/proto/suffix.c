/* SPDX-License-Identifier: MIT
 *
 * suffix.c - the public suffix list, asked through libpsl where the build
 * found it (MS_HAVE_PSL).
 */
#include "proto/suffix.h"

#include "proto/host.h"

#ifdef MS_HAVE_PSL
#include <libpsl.h>
#endif

#ifdef MS_HAVE_PSL

/* libpsl wants a NUL behind it; false when `host` is no name. */
static bool to_text(struct ms_span host, char text[MS_HOST_MAX + 1])
{
    if (host.n == 0 || host.n > MS_HOST_MAX || ms_host_is_address(host))
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    return true;
}

bool ms_suffix_is_public(struct ms_span host)
{
    char text[MS_HOST_MAX + 1];

    return to_text(host, text) && psl_is_public_suffix(psl_builtin(), text);
}

struct ms_span ms_suffix_registrable(struct ms_span host)
{
    char text[MS_HOST_MAX + 1];

    /* Nobody registers a name with an empty label, but libpsl counts them. */
    if (!to_text(host, text) || strstr(text, "..") || host.p[host.n - 1] == '.')
        return MS_SPAN("");
    const char *found = psl_registrable_domain(psl_builtin(), text);
    if (!found)
        return MS_SPAN("");
    size_t from = (size_t)(found - text);
    return ms_span(host.p + from, host.n - from);
}

const char *ms_suffix_version(void)
{
    return psl_get_version();
}

#else

bool ms_suffix_is_public(struct ms_span host)
{
    return host.n > 0 && !ms_host_is_address(host) &&
           !memchr(host.p, '.', host.n);
}

struct ms_span ms_suffix_registrable(struct ms_span host)
{
    (void)host;
    return MS_SPAN("");
}

const char *ms_suffix_version(void)
{
    return NULL;
}

#endif
