/* SPDX-License-Identifier: MIT
 *
 * range.h - asking for a part of a body (RFC 9110, 14), and whether what came
 * is that part.
 */
#ifndef MS_ENGINE_RANGE_H
#define MS_ENGINE_RANGE_H

#include "base/err.h"
#include "proto/header.h"

/* Bytes of a field's value, with its NUL: two of the longest numbers. */
#define MS_RANGE_TEXT 64

/* What is asked for. All zero: everything. */
struct ms_range {
    bool set;
    bool rest;        /* the part is to be put behind what is there already */
    bool last;        /* the last `to` bytes; `from` means nothing */
    int64_t from, to; /* both included; `to` -1: to the end */
};

/* Reads "from-to", "from-" or "-last". MS_EOPTION. */
ms_err ms_range_parse(struct ms_range *range,
                      struct ms_span text) MS_MUST_CHECK;

/* The value of the Range field. */
struct ms_span ms_range_text(const struct ms_range *range,
                             char text[MS_RANGE_TEXT]);

/* Whether the final head of a response goes with what was asked for. A server
 * may ignore the question and send everything (200), and where the rest is
 * asked for that is MS_ERANGE. A part (206) has to be the right one, or it is
 * MS_EPROTO. Other statuses are no answer to it. `*why` gets a static text. */
ms_err ms_range_check(const struct ms_range *range, const struct ms_head *head,
                      const char **why) MS_MUST_CHECK;

#endif
