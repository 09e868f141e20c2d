/* SPDX-License-Identifier: MIT */
#include "net/addr_order.h"

/* RFC 6724, 2.1, in its form for IPv6; the longest prefix that fits counts. */
static const struct policy {
    unsigned char prefix[16];
    unsigned bits;
    int precedence, label;
} policies[] = {
    {{[15] = 1}, 128, 50, 0},                /* ::1 */
    {{[10] = 0xff, [11] = 0xff}, 96, 35, 4}, /* IPv4 */
    {{0}, 96, 1, 3},                         /* IPv4-compatible */
    {{0x20, 0x01, 0, 0}, 32, 5, 5},          /* Teredo */
    {{0x20, 0x02}, 16, 30, 2},               /* 6to4 */
    {{0x3f, 0xfe}, 16, 1, 12},               /* 6bone */
    {{0xfe, 0xc0}, 10, 1, 11},               /* site-local */
    {{0xfc}, 7, 3, 13},                      /* unique local */
    {{0}, 0, 40, 1},                         /* all others */
};

/* Of RFC 4291, 2.7. */
enum { SCOPE_LINK = 2, SCOPE_SITE = 5, SCOPE_GLOBAL = 14 };

/* One address and what is known of it. */
struct rated {
    bool reachable, scope_matches, label_matches;
    int precedence, scope;
};

/* An IPv4 address as RFC 6724 looks it up. */
static void to_sixteen(const struct ms_addr *a, unsigned char out[16])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (ms_addr_is_v6(a)) {
        memcpy(out, &a->v6.sin6_addr, 16);
        return;
    }
    memcpy(out, mapped, 12);
    memcpy(out + 12, &a->v4.sin_addr, 4);
}

static bool fits(const struct policy *p, const unsigned char bytes[16])
{
    size_t whole = p->bits / 8;
    unsigned rest = p->bits % 8;

    if (memcmp(bytes, p->prefix, whole) != 0)
        return false;
    return !rest || (bytes[whole] ^ p->prefix[whole]) >> (8 - rest) == 0;
}

static const struct policy *policy_of(const struct ms_addr *a)
{
    const struct policy *p = policies;
    unsigned char bytes[16];

    to_sixteen(a, bytes);
    while (!fits(p, bytes))
        p++;
    return p;
}

/* RFC 6724, 3.1 and 3.2. */
static int scope_of(const struct ms_addr *a)
{
    unsigned char b[16];

    to_sixteen(a, b);
    if (!ms_addr_is_v6(a))
        return b[12] == 127 || (b[12] == 169 && b[13] == 254) ? SCOPE_LINK
                                                              : SCOPE_GLOBAL;
    if (b[0] == 0xff)
        return b[1] & 0xf;
    if (ms_addr_is_loopback(a) || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80))
        return SCOPE_LINK;
    return b[0] == 0xfe && (b[1] & 0xc0) == 0xc0 ? SCOPE_SITE : SCOPE_GLOBAL;
}

static struct rated rate(const struct ms_addr *a, ms_addr_source_fn *source)
{
    const struct policy *own = policy_of(a);
    struct rated r = {.precedence = own->precedence, .scope = scope_of(a)};
    struct ms_addr from;

    r.reachable = source(a, &from);
    if (r.reachable) {
        r.scope_matches = scope_of(&from) == r.scope;
        r.label_matches = policy_of(&from)->label == own->label;
    }
    return r;
}

/* Whether `b` is the better one; false when nothing says so. */
static bool is_better(const struct rated *b, const struct rated *a)
{
    if (b->reachable != a->reachable)
        return b->reachable;
    if (b->scope_matches != a->scope_matches)
        return b->scope_matches;
    if (b->label_matches != a->label_matches)
        return b->label_matches;
    if (b->precedence != a->precedence)
        return b->precedence > a->precedence;
    return b->scope < a->scope;
}

bool ms_addr_is_better(const struct ms_addr *b, const struct ms_addr *a,
                       ms_addr_source_fn *source)
{
    struct rated rated_b = rate(b, source), rated_a = rate(a, source);

    return is_better(&rated_b, &rated_a);
}

void ms_addr_sort(struct ms_addr *list, size_t n, ms_addr_source_fn *source)
{
    struct rated rated[MS_ADDR_SORT_MAX];

    n = n < MS_COUNT(rated) ? n : MS_COUNT(rated);
    if (n < 2)
        return;
    for (size_t i = 0; i < n; i++) {
        struct ms_addr a = list[i];
        struct rated r = rate(&a, source);
        size_t to = i;
        for (; to && is_better(&r, &rated[to - 1]); to--) {
            list[to] = list[to - 1];
            rated[to] = rated[to - 1];
        }
        list[to] = a;
        rated[to] = r;
    }
}
