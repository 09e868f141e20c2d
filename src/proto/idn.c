/* SPDX-License-Identifier: MIT
 *
 * idn.c - libidn2 asks more of a label than UTS 46 does: that IDNA2008 allows
 * its symbols, which would keep away from hosts such as "i❤.ws" that browsers
 * reach. Such labels are mapped the transitional way, which differs for four
 * code points only and skips the rule for text from right to left: it is not
 * taken where a label has any of either.
 */
#include "proto/idn.h"

#include <assert.h>

#include "multisocket.h"

#ifdef MS_HAVE_IDN2
#include <idn2.h>
#endif

/* The byte at `i` begins a label "xn--". */
static bool ace_at(struct ms_span name, size_t i)
{
    return name.n - i >= 4 && memcmp(name.p + i, "xn--", 4) == 0;
}

bool ms_idn_has_ace(struct ms_span name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((i == 0 || name.p[i - 1] == '.') && ace_at(name, i))
            return true;
    return false;
}

#ifndef MS_HAVE_IDN2

const char *ms_libidn2_version(void)
{
    return NULL;
}

ms_err ms_idn_put(struct ms_buf *out, struct ms_span name, const char **why)
{
    assert(name.n <= out->cap - out->to);

    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)name.p[i] < 0x80)
            continue;
        *why = "international names need punycode: no libidn2 in this build";
        return MS_EURL;
    }
    ms_buf_put(out, name);
    return MS_OK;
}

#else

const char *ms_libidn2_version(void)
{
    return idn2_check_version(NULL);
}

static const char *reason(int result)
{
    switch (result) {
    case IDN2_2HYPHEN:
    case IDN2_HYPHEN_STARTEND:
        return "an international label has hyphens where it may not";
    case IDN2_PUNYCODE_BIG_OUTPUT:
    case IDN2_TOO_BIG_LABEL:
        return "a label of the host is longer than 63 bytes";
    case IDN2_TOO_BIG_DOMAIN:
        return "the host is longer than 255 bytes";
    default:
        return "the host is no valid international name";
    }
}

/* Code points that the transitional way must not see. */
static bool needs_care(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x00df, 0x00df}, {0x03c2, 0x03c2},   {0x0590, 0x08ff},
        {0x1e9e, 0x1e9e}, {0x200c, 0x200d},   {0xfb1d, 0xfdff},
        {0xfe70, 0xfeff}, {0x10800, 0x10fff}, {0x1e800, 0x1efff},
    };

    for (size_t i = 0; i < MS_COUNT(ranges); i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

/* What the label means has none of those. */
static bool may_be_transitional(const char *label)
{
    uint32_t *text = NULL;
    bool may = true;

    if (idn2_to_unicode_8z4z(label, &text, 0) != IDN2_OK)
        return false;
    for (const uint32_t *c = text; may && *c; c++)
        may = !needs_care(*c);
    idn2_free(text);
    return may;
}

static int map(const char *label, int flags, uint8_t **mapped)
{
    *mapped = NULL;
    return idn2_lookup_u8((const uint8_t *)label, mapped,
                          IDN2_NFC_INPUT | flags);
}

/* libidn2's answer for a label in UTF-8. */
static int map_best(const char *label, uint8_t **mapped)
{
    int result = map(label, IDN2_NONTRANSITIONAL, mapped);

    if (result == IDN2_DISALLOWED && may_be_transitional(label))
        result = map(label, IDN2_TRANSITIONAL, mapped);
    return result;
}

/* The same for one in punycode, which must be what its meaning maps to. */
static int map_again(const char *ace, uint8_t **mapped)
{
    char *meaning = NULL;
    int result = idn2_to_unicode_8z8z(ace, &meaning, 0);

    if (result == IDN2_OK)
        result = map_best(meaning, mapped);
    idn2_free(meaning);
    if (result != IDN2_OK || strcmp((const char *)*mapped, ace) == 0)
        return result;
    idn2_free(*mapped);
    return IDN2_INVALID_ALABEL;
}

/* `behind` it so many bytes will have room. */
static ms_err put_label(struct ms_buf *out, const char *label, size_t behind,
                        const char **why)
{
    uint8_t *mapped;
    int result = ace_at(ms_span_text(label), 0) ? map_again(label, &mapped)
                                                : map_best(label, &mapped);

    if (result == IDN2_MALLOC)
        return MS_ENOMEM;
    if (result != IDN2_OK) {
        *why = reason(result);
        return MS_EURL;
    }
    struct ms_span to = ms_span_text((const char *)mapped);
    ms_err err = ms_buf_reserve(out, to.n + behind);
    if (!err)
        ms_buf_put(out, to);
    idn2_free(mapped);
    return err;
}

/* The length of a full stop in any script at the front of `s`, which UTS 46
 * takes for '.'; 0 when there is none. */
static size_t count_stop(struct ms_span s)
{
    static const char foreign[][4] = {"\u3002", "\uff0e", "\uff61"};

    if (s.n && s.p[0] == '.')
        return 1;
    for (size_t i = 0; i < MS_COUNT(foreign); i++)
        if (s.n >= 3 && !memcmp(s.p, foreign[i], 3))
            return 3;
    return 0;
}

/* The length of the label at the front of `s`. */
static size_t count_label(struct ms_span s, bool *is_foreign)
{
    size_t n = 0;

    *is_foreign = ace_at(s, 0);
    while (n < s.n && !count_stop(ms_span(s.p + n, s.n - n)))
        *is_foreign |= (unsigned char)s.p[n++] >= 0x80;
    return n;
}

ms_err ms_idn_put(struct ms_buf *out, struct ms_span name, const char **why)
{
    char label[MS_IDN_MAX + 1];
    size_t start = out->to;
    size_t behind = out->cap - out->to - name.n; /* the name */
    ms_err err = MS_OK;

    assert(name.n <= out->cap - out->to && name.n <= MS_IDN_MAX);
    while (!err && name.n) {
        bool is_foreign;
        size_t n = count_label(name, &is_foreign);
        size_t stop = count_stop(ms_span(name.p + n, name.n - n));

        memcpy(label, name.p, n);
        label[n] = '\0';
        if (is_foreign)
            err = put_label(out, label, name.n - n + behind, why);
        else
            ms_buf_put(out, ms_span(label, n));
        if (!err && stop)
            ms_buf_put(out, MS_SPAN("."));
        name = ms_span(name.p + n + stop, name.n - n - stop);
    }
    out->to = err ? start : out->to;
    return err;
}

#endif
