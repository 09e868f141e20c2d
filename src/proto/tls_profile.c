/* SPDX-License-Identifier: MIT */
#include "proto/tls_profile.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* base64 of a SHA-256 digest; the last is "=" */
#define PIN_LETTERS 44

static const unsigned char all_flags = (1u << MS_TLS_FLAGS) - 1;

void ms_tls_settings_init(struct ms_tls_settings *s)
{
    *s = (struct ms_tls_settings){0};
    for (size_t i = 0; i < MS_TLS_FLAGS; i++)
        s->flag[i] = true;
}

void ms_tls_settings_free(struct ms_tls_settings *s)
{
    for (size_t i = 0; i < MS_TLS_TEXTS; i++)
        ms_buf_free(&s->text[i]);
}

ms_err ms_tls_settings_copy(struct ms_tls_settings *to,
                            const struct ms_tls_settings *from)
{
    memcpy(to->flag, from->flag, sizeof(to->flag));
    for (size_t i = 0; i < MS_TLS_TEXTS; i++) {
        struct ms_span s = ms_buf_span(&from->text[i]);
        if (!s.p)
            continue;
        ms_err err = ms_buf_reserve(&to->text[i], s.n + 1);
        if (err)
            return err;
        ms_buf_put(&to->text[i], s);
    }
    return MS_OK;
}

/* ---- what a setting may say ---------------------------------------------- */

static bool is_version(struct ms_span s)
{
    return s.n == 3 && s.p[0] == '1' && s.p[1] == '.' && s.p[2] >= '0' &&
           s.p[2] <= '3';
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '+' || c == '/';
}

static bool is_pin(struct ms_span s)
{
    const struct ms_span prefix = MS_SPAN("sha256//");

    if (s.n != prefix.n + PIN_LETTERS || memcmp(s.p, prefix.p, prefix.n) != 0 ||
        s.p[s.n - 1] != '=')
        return false;
    for (size_t i = prefix.n; i < s.n - 1; i++)
        if (!is_base64(s.p[i]))
            return false;
    return true;
}

static bool are_pins(struct ms_span s)
{
    while (s.n) {
        const char *stop = memchr(s.p, ';', s.n);
        size_t n = stop ? (size_t)(stop - s.p) : s.n;
        if (!is_pin(ms_span(s.p, n)))
            return false;
        n += stop != NULL;
        s = ms_span(s.p + n, s.n - n);
    }
    return true;
}

/* Names of 1 to 255 bytes each (RFC 7301, 3.1). */
static bool are_protocols(struct ms_span s)
{
    size_t length = 0;

    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != ',') {
            length++;
            continue;
        }
        if (!length || length > 255)
            return false;
        length = 0;
    }
    return true;
}

static const char *what_is_wrong(enum ms_tls_text which, struct ms_span s)
{
    if (memchr(s.p, '\0', s.n))
        return "a tls option holds a NUL byte";
    if ((which == MS_TLS_MIN || which == MS_TLS_MAX) && !is_version(s))
        return "tls.min_version and tls.max_version are \"1.0\", \"1.1\", "
               "\"1.2\" or \"1.3\"";
    if (which == MS_TLS_PINS && (!s.n || !are_pins(s)))
        return "tls.pinned_public_key is \"sha256//\" and 44 letters of base64";
    if (which == MS_TLS_ALPN && !are_protocols(s))
        return "tls.alpn is a list of names of 1 to 255 bytes";
    if (which == MS_TLS_STAPLE && !ms_span_equal(s, MS_SPAN("require")))
        return "tls.staple is \"require\" or not set";
    if (which == MS_TLS_SERVER_NAME && !s.n)
        return "tls.server_name is empty";
    return NULL;
}

/* ---- profiles ------------------------------------------------------------ */

static unsigned char flags_of(const struct ms_tls_settings *s)
{
    unsigned flags = 0;

    for (unsigned i = 0; i < MS_TLS_FLAGS; i++)
        flags |= (unsigned)s->flag[i] << i;
    return (unsigned char)flags;
}

/* Bytes of all that were set; 0 when none was. */
static ms_err measure(const struct ms_tls_settings *s, size_t *bytes,
                      const char **why)
{
    *bytes = 0;
    for (size_t i = 0; i < MS_TLS_TEXTS; i++) {
        struct ms_span text = ms_buf_span(&s->text[i]);
        if (!text.p)
            continue;
        *why = what_is_wrong((enum ms_tls_text)i, text);
        if (*why)
            return MS_EOPTION;
        *bytes += text.n + 1;
    }
    return MS_OK;
}

static void fill(struct ms_tls_profile *p, const struct ms_tls_settings *s)
{
    char *to = p->texts;

    for (size_t i = 0; i < MS_TLS_TEXTS; i++) {
        struct ms_span text = ms_buf_span(&s->text[i]);
        if (text.p) {
            memcpy(to, text.p, text.n);
            to += text.n;
            *to++ = '\0';
        }
        p->end[i] = (uint32_t)(to - p->texts);
    }
    p->hash = ms_span_hash(ms_span(p->texts, p->bytes), p->flags);
}

ms_err ms_tls_profile_new(struct ms_tls_profile **out,
                          const struct ms_tls_settings *s, const char **why)
{
    unsigned char flags = flags_of(s);
    size_t bytes;
    ms_err err = measure(s, &bytes, why);

    *out = NULL;
    if (err || (!bytes && flags == all_flags))
        return err;
    struct ms_tls_profile *p = ms_zalloc(sizeof(*p) + bytes);
    if (!p)
        return MS_ENOMEM;
    p->refs = 1;
    p->flags = flags;
    p->bytes = bytes;
    fill(p, s);
    *out = p;
    return MS_OK;
}

struct ms_tls_profile *ms_tls_profile_use(struct ms_tls_profile *p)
{
    if (p)
        p->refs++;
    return p;
}

void ms_tls_profile_free(struct ms_tls_profile *p)
{
    if (p && !--p->refs)
        ms_free(p);
}

bool ms_tls_profile_same(const struct ms_tls_profile *a,
                         const struct ms_tls_profile *b)
{
    if (a == b)
        return true;
    return a && b && a->hash == b->hash && a->flags == b->flags &&
           a->bytes == b->bytes &&
           memcmp(a->end, b->end, sizeof(a->end)) == 0 &&
           memcmp(a->texts, b->texts, a->bytes) == 0;
}

const char *ms_tls_profile_text(const struct ms_tls_profile *p,
                                enum ms_tls_text which)
{
    if (!p)
        return NULL;
    uint32_t from = which ? p->end[which - 1] : 0;
    return p->end[which] > from ? p->texts + from : NULL;
}

bool ms_tls_profile_flag(const struct ms_tls_profile *p, enum ms_tls_flag which)
{
    return !p || (p->flags >> which & 1u);
}
