/* SPDX-License-Identifier: MIT */
#include "net/resolve_channel.h"

#include <assert.h>

#include "base/mem.h"

void ms_channels_init(struct ms_channels *c, struct ms_loop *loop,
                      const struct ms_dns_config *config)
{
    *c = (struct ms_channels){.loop = loop, .config = *config};
    ms_list_init(&c->all);
}

static void close_channel(struct ms_channel *ch)
{
    ms_list_unlink(&ch->node);
    ms_dns_close(ch->dns);
    ms_free(ch);
}

void ms_channels_close(struct ms_channels *c)
{
    c->latest = NULL;
    while (!ms_list_empty(&c->all))
        close_channel(MS_CONTAINER(c->all.next, struct ms_channel, node));
}

static void close_unused(struct ms_channels *c, struct ms_channel *ch)
{
    if (!ch->users && ch != c->latest)
        close_channel(ch);
}

static void retire_latest(struct ms_channels *c)
{
    struct ms_channel *old = c->latest;

    c->latest = NULL;
    if (old)
        close_unused(c, old);
}

void ms_channels_renew(struct ms_channels *c)
{
    c->reading++;
    retire_latest(c);
}

static ms_err open_channel(struct ms_channels *c)
{
    struct ms_channel *ch = ms_zalloc(sizeof(*ch));

    if (!ch)
        return MS_ENOMEM;
    ms_err err = ms_dns_open(&ch->dns, c->loop, &c->config);
    if (err) {
        ms_free(ch);
        return err;
    }
    ms_list_init(&ch->node);
    ms_list_push(&c->all, &ch->node);
    retire_latest(c);
    ch->reading = c->reading;
    c->latest = ch;
    return MS_OK;
}

ms_err ms_channels_refresh(struct ms_channels *c, bool *changed)
{
    *changed = false;
    if (c->latest && c->loop->now_us < c->look_again_us)
        return MS_OK;

    struct ms_file_version now = ms_file_version_at(c->config.resolv_conf);
    bool had_one = c->latest != NULL;

    c->look_again_us = c->loop->now_us + MS_FILE_CHECK_US;
    if (had_one && ms_file_same(&now, &c->read))
        return MS_OK;
    c->config.first = 0;
    ms_err err = open_channel(c);
    if (err)
        return had_one ? MS_OK : err;
    c->read = now;
    c->latest->reading = ++c->reading;
    *changed = had_one;
    return MS_OK;
}

void ms_channels_switch(struct ms_channels *c, const struct ms_channel *ch)
{
    if (ch != c->latest || ms_dns_servers(ch->dns) < 2)
        return;
    c->config.first = (c->config.first + 1) % ms_dns_servers(ch->dns);
    (void)!open_channel(c);
}

struct ms_channel *ms_channel_take(struct ms_channels *c)
{
    assert(c->latest);

    c->latest->users++;
    return c->latest;
}

bool ms_channel_is_current(const struct ms_channels *c,
                           const struct ms_channel *ch)
{
    return ch->reading == c->reading;
}

void ms_channel_put(struct ms_channels *c, struct ms_channel *ch)
{
    assert(ch->users > 0);

    ch->users--;
    close_unused(c, ch);
}
