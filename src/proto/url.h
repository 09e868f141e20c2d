/* SPDX-License-Identifier: MIT
 *
 * url.h - http and https URLs by the WHATWG URL standard.
 *
 * One parser for everything that looks at a URL: the connection, the Host
 * header, later cookies and proxy rules, so that no two of them can disagree.
 * A parsed URL is its serialisation with the offsets of its parts. Other
 * schemes parse no further than their name (MS_ESCHEME).
 *
 * Stricter than the standard: international labels may not have hyphens where
 * IDNA forbids them (proto/idn.h), and a host longer than DNS can carry is
 * refused. Input is bytes: those above 0x7f are percent-encoded one
 * by one, which for UTF-8 is what the standard does, and anything else
 * reaches the server as it was written.
 */
#ifndef MS_PROTO_URL_H
#define MS_PROTO_URL_H

#include "base/buf.h"

/* Longer input, or a longer result, is refused (MS_EURL): servers refuse far
 * shorter ones. */
#define MS_URL_MAX 65536

struct ms_url {
    struct ms_buf href; /* "https://user:pw@host:8080/path?query#fragment" */
    /* Offsets into href. scheme is [0, scheme_end), without the colon. */
    uint32_t scheme_end;
    uint32_t username, username_end; /* equal when there is none */
    uint32_t password, password_end;
    uint32_t host, host_end; /* with the brackets of an IPv6 address */
    uint32_t port, port_end; /* equal when it is the scheme's default */
    uint32_t path, path_end;
    uint32_t query, query_end;       /* with '?'; equal when there is none */
    uint32_t fragment, fragment_end; /* with '#'; equal when there is none */
    uint16_t port_number;            /* the default's too */
    bool secure;                     /* https */
};

/* Parses `input`, relative to `base` when that is not NULL, into `u`, which
 * must be all zero or hold an earlier result: its memory is used again. `u`
 * is neither `base` nor where `input` lies. `*why`, where wanted, gets a
 * static text for people with the first two errors, NULL otherwise.
 * MS_EURL, MS_ESCHEME, MS_ENOMEM: `u` keeps its memory and holds nothing. */
ms_err ms_url_parse(struct ms_url *u, struct ms_span input,
                    const struct ms_url *base, const char **why) MS_MUST_CHECK;

/* Frees the memory; `u` is all zero then, and usable again. */
void ms_url_free(struct ms_url *u);

static inline struct ms_span ms_url_part(const struct ms_url *u, uint32_t from,
                                         uint32_t to)
{
    return ms_span(u->href.p + from, to - from);
}

/* "host" or "host:port" as it stands in the Host header. */
static inline struct ms_span ms_url_authority(const struct ms_url *u)
{
    return ms_url_part(u, u->host,
                       u->port_end > u->port ? u->port_end : u->host_end);
}

/* Path and query: what an origin is asked for. */
static inline struct ms_span ms_url_target(const struct ms_url *u)
{
    return ms_url_part(u, u->path,
                       u->query_end > u->query ? u->query_end : u->path_end);
}

#endif
