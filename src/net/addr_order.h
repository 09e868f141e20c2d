/* SPDX-License-Identifier: MIT
 *
 * addr_order.h - which of a host's addresses to try first: destination address
 * selection (RFC 6724, 6), as far as it takes no more than an address and the
 * one of this machine that would be used to reach it.
 *
 * Rules 1 (what cannot be reached comes last), 2 (scopes that match), 5
 * (labels that match), 6 (precedence) and 8 (the smaller scope), with the
 * policy of section 2.1. Addresses that these hold for equal keep their order:
 * rule 9 would undo what servers do to spread their load.
 *
 * It opens no socket and knows no route itself.
 */
#ifndef MS_NET_ADDR_ORDER_H
#define MS_NET_ADDR_ORDER_H

#include "net/addr.h"

/* Finds the address of this machine that a connection to `to` would begin
 * at. False: nothing leads there. */
typedef bool ms_addr_source_fn(const struct ms_addr *to, struct ms_addr *from);

/* No more are sorted: what is behind is hardly ever tried. */
#define MS_ADDR_SORT_MAX 32

/* The best first, among the first MS_ADDR_SORT_MAX. Asks `source` once for
 * each of them. */
void ms_addr_sort(struct ms_addr *list, size_t n, ms_addr_source_fn *source);

/* Whether `b` would come before `a`. */
bool ms_addr_is_better(const struct ms_addr *b, const struct ms_addr *a,
                       ms_addr_source_fn *source);

#endif
