/* SPDX-License-Identifier: MIT
 *
 * addr_policy.h - which addresses belong to the public internet.
 *
 * A program that fetches URLs of strangers must not be led to what only it
 * can reach: this machine, its neighbours, the cloud's metadata service. The
 * answer is about an address, not about a name or its spelling: whoever asks
 * has to ask about the address that is connected to.
 */
#ifndef MS_NET_ADDR_POLICY_H
#define MS_NET_ADDR_POLICY_H

#include "net/addr.h"

/* Global unicast, by the IANA special-purpose registries (RFC 6890). Where an
 * IPv6 address stands for an IPv4 one (mapped, NAT64, 6to4) that one decides.
 * An address with a zone is of the neighbourhood. */
bool ms_addr_is_public(const struct ms_addr *a);

#endif
