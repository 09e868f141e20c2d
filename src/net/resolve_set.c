/* SPDX-License-Identifier: MIT */
#include "net/resolve_set.h"

#include "base/mem.h"

struct member {
    struct ms_list node; /* on set->all */
    struct ms_resolver *resolver;
};

void ms_resolve_set_init(struct ms_resolve_set *s, struct ms_loop *loop)
{
    *s = (struct ms_resolve_set){.loop = loop};
    ms_list_init(&s->all);
}

static struct member *member_of(struct ms_list *node)
{
    return MS_CONTAINER(node, struct member, node);
}

static void drop(struct ms_resolve_set *s, struct member *m)
{
    s->lookups += ms_resolver_lookups(m->resolver);
    ms_resolver_free(m->resolver);
    ms_list_unlink(&m->node);
    s->count--;
    ms_free(m);
}

void ms_resolve_set_close(struct ms_resolve_set *s)
{
    while (!ms_list_empty(&s->all))
        drop(s, member_of(s->all.next));
}

static ms_err add(struct ms_resolve_set *s,
                  const struct ms_resolver_config *config, struct member **out)
{
    struct member *m = ms_zalloc(sizeof(*m));
    struct ms_resolver_config c = *config;

    if (!m)
        return MS_ENOMEM;
    /* No number is ever used by two of them. */
    c.first_question = (uint64_t)++s->made << 32;
    ms_err err = ms_resolver_new(&m->resolver, s->loop, &c);
    if (err) {
        ms_free(m);
        return err;
    }
    ms_list_init(&m->node);
    s->count++;
    *out = m;
    return MS_OK;
}

/* Makes room by those nobody waits for. */
static void shrink(struct ms_resolve_set *s)
{
    ms_list_each (node, &s->all) {
        if (s->count < MS_RESOLVERS_MAX)
            return;
        if (ms_resolver_is_idle(member_of(node)->resolver))
            drop(s, member_of(node));
    }
}

ms_err ms_resolve_set_get(struct ms_resolve_set *s,
                          const struct ms_resolver_config *config,
                          struct ms_resolver **out)
{
    static const struct ms_resolver_config defaults = {0};
    struct member *found = NULL;
    ms_err err = MS_OK;

    config = config ? config : &defaults;
    ms_list_each (node, &s->all)
        if (ms_resolver_is_for(member_of(node)->resolver, config))
            found = member_of(node);
    if (!found) {
        shrink(s);
        err = add(s, config, &found);
    }
    if (err)
        return err;
    ms_list_push(&s->all, &found->node);
    *out = found->resolver;
    return MS_OK;
}

void ms_resolve_set_network_changed(struct ms_resolve_set *s)
{
    ms_list_each (node, &s->all)
        ms_resolver_network_changed(member_of(node)->resolver);
}

uint64_t ms_resolve_set_lookups(const struct ms_resolve_set *s)
{
    uint64_t n = s->lookups;

    for (struct ms_list *node = s->all.next; node != &s->all; node = node->next)
        n += ms_resolver_lookups(member_of(node)->resolver);
    return n;
}

bool ms_resolve_set_answer(struct ms_resolve_set *s, uint64_t question,
                           const struct ms_addr *list, size_t count, ms_err err)
{
    ms_list_each (node, &s->all)
        if (ms_resolver_answer(member_of(node)->resolver, question, list, count,
                               err))
            return true;
    return false;
}
