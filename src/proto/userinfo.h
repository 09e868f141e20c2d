/* SPDX-License-Identifier: MIT
 *
 * userinfo.h - where a URL's text may say who one is.
 *
 * For what is shown to people: messages, traces and lists leave that part
 * out. It works on the text as somebody wrote it, and what is no URL is where
 * it matters most: a password with a "/" in it makes one that does not parse.
 */
#ifndef MS_PROTO_USERINFO_H
#define MS_PROTO_USERINFO_H

#include "proto/url.h"

/* What is left out of `text`, which is seen from `base` unless that is NULL:
 * [*from, *to), with the '@' behind it; equal when there is nothing. In a
 * valid URL that is exactly its user and password. In anything else it
 * reaches to the last '@' there is, for nobody knows where a host begins. */
void ms_userinfo_find(struct ms_span text, const struct ms_url *base,
                      size_t *from, size_t *to);

#endif
