/* SPDX-License-Identifier: MIT */
#include "net/resolve_hook.h"

#include <assert.h>

#include "base/mem.h"

struct question {
    struct ms_list node; /* on hooked->asked, then on ->answered */
    uint64_t id;
    void *user;
    sa_family_t family;
    struct ms_dns_answer answer; /* its list is owned until handed on */
};

struct ms_hooked {
    struct ms_loop *loop;
    struct ms_resolve_hook *hook;
    ms_dns_answer_cb *on_answer;
    struct ms_list asked, answered; /* of struct question, owned */
    struct ms_task deliver;
    struct ms_grave grave;
    uint64_t next; /* question's number */
    bool closed;
};

struct ms_resolve_hook *ms_resolve_hook_ref(struct ms_resolve_hook *h)
{
    if (h)
        h->refs++;
    return h;
}

void ms_resolve_hook_unref(struct ms_resolve_hook *h)
{
    if (!h || --h->refs)
        return;
    if (h->release)
        h->release(h->user);
    ms_free(h);
}

static struct question *pop(struct ms_list *list)
{
    struct ms_list *node = ms_list_pop(list);

    return node ? MS_CONTAINER(node, struct question, node) : NULL;
}

/* What is answered meanwhile waits for the next round. */
static void on_deliver(struct ms_task *t)
{
    struct ms_hooked *h = MS_CONTAINER(t, struct ms_hooked, deliver);
    struct ms_list now;
    struct question *q;

    ms_list_init(&now);
    ms_list_splice(&now, &h->answered);
    while (!h->closed && (q = pop(&now))) {
        struct question copy = *q;
        ms_free(q);
        h->on_answer(copy.user, copy.family, &copy.answer);
    }
    ms_list_splice(&h->answered, &now);
}

ms_err ms_hooked_open(struct ms_hooked **out, struct ms_loop *loop,
                      struct ms_resolve_hook *hook, uint64_t first,
                      ms_dns_answer_cb *on_answer)
{
    struct ms_hooked *h = ms_zalloc(sizeof(*h));

    if (!h)
        return MS_ENOMEM;
    h->loop = loop;
    h->hook = ms_resolve_hook_ref(hook);
    h->on_answer = on_answer;
    h->next = first;
    ms_list_init(&h->asked);
    ms_list_init(&h->answered);
    ms_task_init(&h->deliver, on_deliver);
    *out = h;
    return MS_OK;
}

static void free_all(struct ms_list *list)
{
    struct question *q;

    while ((q = pop(list))) {
        ms_free(q->answer.list);
        ms_free(q);
    }
}

static void free_hooked(struct ms_grave *g)
{
    struct ms_hooked *h = MS_CONTAINER(g, struct ms_hooked, grave);

    free_all(&h->asked);
    free_all(&h->answered);
    ms_resolve_hook_unref(h->hook);
    ms_free(h);
}

void ms_hooked_close(struct ms_hooked *h)
{
    if (!h)
        return;
    assert(!h->closed);

    h->closed = true;
    ms_task_cancel(&h->deliver);
    ms_loop_bury(h->loop, &h->grave, free_hooked);
}

static ms_err keep(struct question *q, const struct ms_addr *list, size_t count)
{
    struct ms_dns_answer *w = &q->answer;
    size_t wanted = 0;

    for (size_t i = 0; i < count; i++)
        wanted += list[i].any.sa_family == q->family;
    if (wanted > MS_DNS_MAX_ADDRESSES)
        wanted = MS_DNS_MAX_ADDRESSES;
    if (!wanted)
        return MS_EHOST;
    w->list = ms_alloc(wanted * sizeof(*w->list));
    if (!w->list)
        return MS_ENOMEM;
    for (size_t i = 0; w->count < wanted; i++) {
        if (list[i].any.sa_family != q->family)
            continue;
        w->list[w->count] = list[i];
        ms_addr_set_port(&w->list[w->count++], 0);
    }
    return MS_OK;
}

bool ms_hooked_answer(struct ms_hooked *h, uint64_t question,
                      const struct ms_addr *list, size_t count, ms_err err)
{
    assert(ms_loop_inside(h->loop));

    if (h->closed)
        return false;
    ms_list_each (node, &h->asked) {
        struct question *q = MS_CONTAINER(node, struct question, node);
        if (q->id != question)
            continue;
        q->answer.err = err ? err : keep(q, list, count);
        ms_list_push(&h->answered, &q->node);
        ms_task_post(h->loop, &h->deliver);
        return true;
    }
    return false;
}

ms_err ms_hooked_ask(struct ms_hooked *h, const char *name, sa_family_t family,
                     void *user)
{
    struct question *q = ms_zalloc(sizeof(*q));

    if (!q)
        return MS_ENOMEM;
    q->id = h->next++;
    q->user = user;
    q->family = family;
    ms_list_init(&q->node);
    ms_list_push(&h->asked, &q->node);
    uint64_t id = q->id; /* which may be answered and gone meanwhile */
    ms_err err = h->hook->ask(h->loop->engine, h->hook->user, name,
                              family == AF_INET ? 4 : 6, id);
    ms_loop_touch(h->loop);
    if (err && !h->closed)
        ms_hooked_answer(h, id, NULL, 0, err);
    return MS_OK;
}
