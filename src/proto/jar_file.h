/* SPDX-License-Identifier: MIT
 *
 * jar_file.h - cookie jars as text, in the format of Netscape's cookies.txt,
 * which curl, wget and browsers' extensions share:
 *
 *     domain  include subdomains  path  secure  expires  name  value
 *
 * with a tab between, one line each. "#HttpOnly_" before a domain marks what
 * scripts of a page may not see; other lines that begin with "#" are comments.
 * `expires` is unix seconds, 0 for a session's. SameSite has no place in it.
 *
 * Text only: files are read and written elsewhere (net/file).
 */
#ifndef MS_PROTO_JAR_FILE_H
#define MS_PROTO_JAR_FILE_H

#include "proto/jar.h"

/* Appends all cookies, oldest first. Those with a tab in name, value or path
 * do not fit the format and are left out. MS_ENOMEM: `out` has some. */
ms_err ms_jar_write(struct ms_jar *j, int64_t now_s,
                    struct ms_buf *out) MS_MUST_CHECK;

/* What is wrong where. */
struct ms_jar_fault {
    size_t line;     /* from 1 */
    const char *why; /* static text */
};

/* Adds the cookies of `text`, each as if it came now. Left out: those that
 * are over and those that ms_jar_refuses(). MS_ECOOKIE: a line is malformed,
 * `*fault` says which, and the jar is as it was. MS_ENOMEM: it has some. */
ms_err ms_jar_read(struct ms_jar *j, struct ms_span text, int64_t now_s,
                   struct ms_jar_fault *fault) MS_MUST_CHECK;

#endif
