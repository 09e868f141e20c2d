/* SPDX-License-Identifier: MIT
 *
 * addr.h - IP addresses with a port: literals, text, and the operating
 * system's form.
 */
#ifndef MS_NET_ADDR_H
#define MS_NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

struct ms_addr {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

/* "[ffff:...%scope]:65535" and the NUL. */
#define MS_ADDR_TEXT 80

struct ms_addr ms_addr_v4(const void *four_bytes);
struct ms_addr ms_addr_v6(const void *sixteen_bytes);

/* An IPv4 address in dotted decimal, or an IPv6 address with or without
 * brackets and zone ("fe80::1%eth0", "[fe80::1%2]"). False: `text` is
 * something else, such as a name. The port is 0. */
bool ms_addr_parse(struct ms_span text, struct ms_addr *out);

void ms_addr_set_port(struct ms_addr *a, uint16_t port);
uint16_t ms_addr_port(const struct ms_addr *a);
bool ms_addr_is_v6(const struct ms_addr *a);
/* 127.0.0.0/8 or ::1. */
bool ms_addr_is_loopback(const struct ms_addr *a);
socklen_t ms_addr_len(const struct ms_addr *a);
/* The same address, zone and port. */
bool ms_addr_equal(const struct ms_addr *a, const struct ms_addr *b);

/* An address without its port into `buf` of MS_ADDR_TEXT bytes: "127.0.0.1",
 * "::1", "fe80::1%2". Returns it. */
const char *ms_addr_host_text(const struct ms_addr *a, char *buf);

/* "127.0.0.1:80" or "[::1]:80" into `buf` of MS_ADDR_TEXT bytes; returns it. */
const char *ms_addr_text(const struct ms_addr *a, char *buf);

#endif
