/* SPDX-License-Identifier: MIT
 *
 * dial_report.h - what was tried to reach a host, and which failure says most.
 *
 * When every address fails there is one error to give. The last one says
 * little ("network unreachable" of a family this machine does not have), so
 * failures are ranked by how much they tell, and all of them are listed.
 */
#ifndef MS_NET_DIAL_REPORT_H
#define MS_NET_DIAL_REPORT_H

#include "net/addr.h"

/* Attempts that are listed; the others are counted. */
#define MS_REPORT_ATTEMPTS 8

/* All of them with their errors' texts, the rest as a number, and the NUL. */
#define MS_REPORT_TEXT 1024

struct ms_dial_tried {
    struct ms_addr addr; /* with the port */
    ms_err err;          /* MS_OK: it did not end */
    int os_errno;
};

struct ms_dial_report {
    struct ms_dial_tried tried[MS_REPORT_ATTEMPTS]; /* in the order of ends */
    unsigned count;                                 /* also those not listed */
    ms_err err;   /* the most informative; MS_OK: nothing failed */
    int os_errno; /* of that one */
};

/* An attempt to reach `addr` ended with `err`; MS_OK: it is still going on,
 * and nobody waits for it any more. */
void ms_dial_report_add(struct ms_dial_report *r, const struct ms_addr *addr,
                        ms_err err, int os_errno);

/* "[::1]:80 (network unreachable), 127.0.0.1:80" into `buf` of MS_REPORT_TEXT
 * bytes, each with its error where that is not r->err, or says little; empty
 * when nothing was tried. Returns it. */
const char *ms_dial_report_text(const struct ms_dial_report *r, char *buf);

#endif
