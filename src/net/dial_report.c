/* SPDX-License-Identifier: MIT */
#include "net/dial_report.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* How much an error tells. Trouble of our own says that no address would do;
 * then whoever heard from the host itself knows more than who heard from a
 * router, who knows more than who heard nothing, who knows more than this
 * machine, which has no way there. */
static int rank(ms_err err)
{
    switch (err) {
    case MS_OK:
        return 0;
    case MS_ENETWORK:
        return 1;
    case MS_ETIMEOUT:
        return 2;
    case MS_EUNREACHABLE:
        return 3;
    case MS_ERESET:
        return 5;
    case MS_EREFUSED:
        return 6;
    case MS_EADDRESS: /* no other try would go another way */
        return 7;
    case MS_EFILES:
    case MS_ENOMEM:
    case MS_ECALLBACK:
        return 8;
    default:
        return 4;
    }
}

void ms_dial_report_add(struct ms_dial_report *r, const struct ms_addr *addr,
                        ms_err err, int os_errno)
{
    if (r->count < MS_REPORT_ATTEMPTS)
        r->tried[r->count] = (struct ms_dial_tried){*addr, err, os_errno};
    r->count++;
    if (rank(err) <= rank(r->err))
        return;
    r->err = err;
    r->os_errno = os_errno;
}

static const char *addr_text(const struct ms_addr *a, char *buf)
{
    return a->any.sa_family == AF_UNSPEC ? "unix socket" : ms_addr_text(a, buf);
}

/* ECONNECT stands for all that has no code of its own: the system's word is
 * worth more. */
static const char *what_happened(const struct ms_dial_tried *t)
{
    if (t->err == MS_ECONNECT && t->os_errno)
        return strerror(t->os_errno);
    return t->err ? ms_err_text(t->err) : "no answer";
}

/* What the error is goes without saying where it is the one that is given. */
static size_t add_entry(const struct ms_dial_report *r,
                        const struct ms_dial_tried *t, char *buf, size_t n)
{
    char addr[MS_ADDR_TEXT];
    const char *what = what_happened(t);
    bool say = t->err != r->err || !t->err || t->err == MS_ECONNECT;
    int added = snprintf(buf + n, MS_REPORT_TEXT - n, "%s%s%s%s%s",
                         n ? ", " : "", addr_text(&t->addr, addr),
                         say ? " (" : "", say ? what : "", say ? ")" : "");

    assert(added > 0);
    n += (size_t)added;
    return n < MS_REPORT_TEXT ? n : MS_REPORT_TEXT - 1;
}

const char *ms_dial_report_text(const struct ms_dial_report *r, char *buf)
{
    size_t n = 0;
    unsigned listed =
        r->count < MS_REPORT_ATTEMPTS ? r->count : MS_REPORT_ATTEMPTS;

    buf[0] = '\0';
    for (unsigned i = 0; i < listed; i++)
        n = add_entry(r, &r->tried[i], buf, n);
    if (r->count > listed)
        snprintf(buf + n, MS_REPORT_TEXT - n, ", and %u more",
                 r->count - listed);
    return buf;
}
