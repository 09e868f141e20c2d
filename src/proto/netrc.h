/* SPDX-License-Identifier: MIT
 *
 * netrc.h - reading a .netrc file: who one is on which machine.
 *
 * Takes the text, not the file. The words are those of ftp(1), quoting is
 * curl's: a word in double quotes may hold blanks, and there a backslash
 * makes \n, \r and \t of the letter behind it and takes others as they are.
 * '#' where a keyword is expected begins a comment; macros are skipped.
 */
#ifndef MS_PROTO_NETRC_H
#define MS_PROTO_NETRC_H

#include "base/buf.h"

struct ms_netrc {
    struct ms_buf login, password; /* p NULL: the entry has none */
    bool found;
    bool by_default; /* no entry names the host */
};

void ms_netrc_free(struct ms_netrc *n);

/* The first entry for `host` (without case), or the first `default` when that
 * comes before; with `login`, where its p is not NULL, as its login.
 * One without a login and a password is passed over. `n` must
 * be all zero. MS_EOPTION: the text is malformed, `*why` (static text) says
 * how and `*line` where, from 1. MS_ENOMEM. `n` is to be freed either way. */
ms_err ms_netrc_find(struct ms_netrc *n, struct ms_span text,
                     struct ms_span host, struct ms_span login,
                     const char **why, unsigned *line) MS_MUST_CHECK;

#endif
