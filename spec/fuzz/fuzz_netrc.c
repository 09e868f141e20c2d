/* SPDX-License-Identifier: MIT
 *
 * Fuzzes the reading of .netrc files: an error has a line of the file, and
 * what is found was there for the asking.
 *
 * Input: the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/netrc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static unsigned lines_of(struct ms_span text)
{
    unsigned n = 1;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

static bool holds(struct ms_span text, const char *word)
{
    return text.n && memmem(text.p, text.n, word, strlen(word));
}

static void check(struct ms_span text, struct ms_span login)
{
    struct ms_netrc n = {0};
    const char *why;
    unsigned line;
    ms_err err = ms_netrc_find(&n, text, MS_SPAN("h"), login, &why, &line);

    expect(!err || err == MS_EOPTION);
    expect(!err == !why && line >= 1 && line <= lines_of(text));
    expect(!err || !n.found);
    if (!n.found)
        expect(!n.login.p && !n.password.p);
    else
        expect(holds(text, "machine") || holds(text, "default"));
    if (n.found && login.p)
        expect(ms_span_equal(ms_buf_span(&n.login), login));
    expect(ms_buf_len(&n.login) + ms_buf_len(&n.password) <= text.n);
    ms_netrc_free(&n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *p = malloc(size + !size);

    expect(p);
    if (size)
        memcpy(p, data, size);
    check(ms_span(p, size), (struct ms_span){0});
    check(ms_span(p, size), MS_SPAN("u"));
    free(p);
    return 0;
}
