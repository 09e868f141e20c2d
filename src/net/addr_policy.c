/* SPDX-License-Identifier: MIT */
#include "net/addr_policy.h"

#include <arpa/inet.h>

struct range {
    unsigned char prefix[16];
    unsigned bits;
};

/* Not globally reachable, or not unicast. */
static const struct range special_v4[] = {
    {{0}, 8},             /* this network; 0.0.0.0 is this machine */
    {{10}, 8},            /* private (RFC 1918) */
    {{100, 64}, 10},      /* shared by a provider's customers (RFC 6598) */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link-local, clouds' metadata (RFC 3927) */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments (RFC 6890) */
    {{192, 0, 2}, 24},    /* documentation (RFC 5737) */
    {{192, 88, 99}, 24},  /* 6to4 relays, deprecated (RFC 7526) */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarking (RFC 2544) */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 3},           /* multicast, reserved, broadcast */
};

/* Of 2000::/3, outside of which nothing is global unicast. */
static const struct range special_v6[] = {
    {{0x20, 0x01}, 23},             /* protocols: Teredo, ORCHID (RFC 2928) */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation (RFC 3849) */
    {{0x3f, 0xff}, 20},             /* documentation (RFC 9637) */
};

/* IPv6 that stands for an IPv4 address, and where that is in it. */
static const struct {
    struct range range;
    size_t at;
} carriers[] = {
    {{{[10] = 0xff, [11] = 0xff}, 96}, 12}, /* mapped (RFC 4291, 2.5.5.2) */
    {{{0, 0x64, 0xff, 0x9b, [11] = 0}, 96}, 12}, /* NAT64 (RFC 6052) */
    {{{0x20, 0x02}, 16}, 2},                     /* 6to4 (RFC 3056) */
};

static bool is_in(const unsigned char *bytes, const struct range *r)
{
    size_t whole = r->bits / 8;
    unsigned rest = r->bits % 8;

    if (memcmp(bytes, r->prefix, whole) != 0)
        return false;
    return !rest || (bytes[whole] ^ r->prefix[whole]) >> (8 - rest) == 0;
}

static bool is_in_any(const unsigned char *bytes, const struct range *list,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_in(bytes, &list[i]))
            return true;
    return false;
}

static bool is_public_v4(const unsigned char *bytes)
{
    return !is_in_any(bytes, special_v4, MS_COUNT(special_v4));
}

static bool is_public_v6(const unsigned char *bytes)
{
    static const struct range unicast = {{0x20}, 3};

    for (size_t i = 0; i < MS_COUNT(carriers); i++)
        if (is_in(bytes, &carriers[i].range))
            return is_public_v4(bytes + carriers[i].at);
    return is_in(bytes, &unicast) &&
           !is_in_any(bytes, special_v6, MS_COUNT(special_v6));
}

bool ms_addr_is_public(const struct ms_addr *a)
{
    if (!ms_addr_is_v6(a))
        return is_public_v4((const unsigned char *)&a->v4.sin_addr);
    return !a->v6.sin6_scope_id &&
           is_public_v6((const unsigned char *)&a->v6.sin6_addr);
}
