/* SPDX-License-Identifier: MIT
 *
 * idn.h - international domain names to the ASCII that DNS knows (UTS 46,
 * not transitional), by libidn2 where the build has it.
 *
 * It is not the judge of ASCII: whether what comes out has characters that no
 * host may have is the caller's to check. Every label is looked at by itself,
 * so that one in ASCII is never touched.
 */
#ifndef MS_PROTO_IDN_H
#define MS_PROTO_IDN_H

#include "base/buf.h"

/* The longest name ms_idn_put() takes: four bytes for each of the 255 that a
 * name of DNS may have. */
#define MS_IDN_MAX 1020

/* A label of `name` begins with "xn--", which means that it stands for
 * something else. `name` is in lower case. */
bool ms_idn_has_ace(struct ms_span name);

/* Appends `name`, at most MS_IDN_MAX bytes, UTF-8 without NUL and in lower case
 * as far as it is ASCII, as DNS wants it. `out` has room for name.n bytes and
 * as much behind that is free as before when this returns MS_OK. Labels that
 * begin with "xn--" must be what they would be made of their own meaning.
 * Without libidn2 every byte outside ASCII is refused and "xn--" is taken as it
 * is. MS_EURL: `out` is as it was, `*why` a static text for people. MS_ENOMEM.
 */
ms_err ms_idn_put(struct ms_buf *out, struct ms_span name,
                  const char **why) MS_MUST_CHECK;

#endif
