/* SPDX-License-Identifier: MIT
 *
 * challenge.h - reading WWW-Authenticate and its relatives (RFC 9110, 11.3).
 *
 * Takes the text apart and knows no scheme. One line may hold several
 * challenges, and a comma stands between challenges as it stands between
 * the parameters of one. Everything is lent from the text that was read.
 */
#ifndef MS_PROTO_CHALLENGE_H
#define MS_PROTO_CHALLENGE_H

#include "base/buf.h"

/* Digest, the richest scheme in use, has ten parameters. */
#define MS_CHALLENGE_PARAMS 24

struct ms_param {
    struct ms_span name;
    struct ms_span value; /* without the quotes, with the backslashes */
    bool quoted;
};

struct ms_challenge {
    struct ms_span scheme;
    struct ms_span token68; /* empty: parameters, or nothing */
    struct ms_param params[MS_CHALLENGE_PARAMS];
    size_t count;
};

/* Takes the next challenge off `*line`. False when there is none, also when
 * what follows is malformed or has more than MS_CHALLENGE_PARAMS parameters:
 * the rest of such a line is not looked at. */
bool ms_challenge_next(struct ms_span *line, struct ms_challenge *c);

/* Reads parameters alone, as Authentication-Info has them (RFC 7616, 3.5),
 * into `c`, whose scheme is empty. False: malformed or too many. */
bool ms_challenge_params(struct ms_span line, struct ms_challenge *c);

/* The parameter called `name`, without case; NULL when there is none, or more
 * than one (RFC 9110, 11.2: once only). */
const struct ms_param *ms_challenge_find(const struct ms_challenge *c,
                                         struct ms_span name);

/* Puts what the value stands for into `out`, which loses what it had.
 * MS_ENOMEM. */
ms_err ms_param_text(const struct ms_param *p,
                     struct ms_buf *out) MS_MUST_CHECK;

/* The value of `name` is that token, without case, quoted or not. */
bool ms_challenge_says(const struct ms_challenge *c, struct ms_span name,
                       struct ms_span token);

#endif
