/* SPDX-License-Identifier: MIT
 *
 * resolve_channel.h - DNS as it is configured now, and as it was for those
 * who have begun.
 *
 * A channel is one reading of resolv.conf. When the file changes a new one is
 * opened; lookups under way end with the one they began with, and the last of
 * them closes it.
 */
#ifndef MS_NET_RESOLVE_CHANNEL_H
#define MS_NET_RESOLVE_CHANNEL_H

#include "net/dns.h"
#include "net/resolve_file.h"

struct ms_channel {
    struct ms_list node; /* on channels->all */
    struct ms_dns *dns;
    unsigned users;   /* who took it and have not put it back */
    unsigned reading; /* of the configuration, the how manieth */
};

/* For embedding; the fields are the module's own. */
struct ms_channels {
    struct ms_loop *loop;
    struct ms_dns_config config; /* lent; its resolv_conf is never NULL */
    struct ms_list all;          /* of struct ms_channel */
    struct ms_channel *latest;   /* NULL: to be opened */
    struct ms_file_version read; /* what resolv_conf was for it */
    unsigned reading;            /* grows with every change of that */
    uint64_t look_again_us;      /* when to look whether it changed */
};

void ms_channels_init(struct ms_channels *c, struct ms_loop *loop,
                      const struct ms_dns_config *config);
/* No answer comes any more, to nobody. */
void ms_channels_close(struct ms_channels *c);

/* Sees to it that there is a channel, and looks, once a second at most,
 * whether it is of today; `*changed` is set when it is a new one. A file that
 * cannot be used leaves things as they are. MS_ENOMEM, MS_ERESOLVE: there is
 * none. */
ms_err ms_channels_refresh(struct ms_channels *c, bool *changed) MS_MUST_CHECK;

/* Somebody was answered late on `ch`: the next ones begin with another of the
 * servers, so that one that is dead costs its timeout once and not once for
 * every name. Without memory things stay as they are. */
void ms_channels_switch(struct ms_channels *c, const struct ms_channel *ch);

/* The next refresh opens a new one. */
void ms_channels_renew(struct ms_channels *c);

/* The latest, to ask; after a refresh that went well. */
struct ms_channel *ms_channel_take(struct ms_channels *c);
/* Its configuration is that of today. */
bool ms_channel_is_current(const struct ms_channels *c,
                           const struct ms_channel *ch);
void ms_channel_put(struct ms_channels *c, struct ms_channel *ch);

#endif
