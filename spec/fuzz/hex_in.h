/* SPDX-License-Identifier: MIT
 *
 * hex_in.h - any bytes at all through a line of text: how the programs that
 * spec/fuzz/mutate.js drives get their inputs.
 */
#ifndef MS_FUZZ_HEX_IN_H
#define MS_FUZZ_HEX_IN_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

/* Reads hexadecimal digits up to the next other character, which is taken as
 * well, and puts the bytes they stand for into `out`, which loses what it
 * had. False at the end of the input. */
static bool read_hex(struct ms_buf *out)
{
    int high, low;

    ms_buf_clear(out);
    while ((high = ms_hex_value((unsigned char)getchar())) >= 0) {
        low = ms_hex_value((unsigned char)getchar());
        char byte = (char)(high << 4 | low);
        if (low < 0 || ms_buf_add(out, &byte, 1))
            abort();
    }
    return !feof(stdin);
}

#endif
