/* SPDX-License-Identifier: MIT */
#include "net/dial_queue.h"

#include "base/mem.h"

void ms_dial_queue_fini(struct ms_dial_queue *q)
{
    ms_free(q->v6.list);
    ms_free(q->v4.list);
}

static bool is_favourite(const struct ms_dial_queue *q, const struct ms_addr *a)
{
    return q->favourite.any.sa_family != AF_UNSPEC &&
           ms_addr_equal(a, &q->favourite);
}

ms_err ms_dial_queue_add(struct ms_dial_queue *q, const struct ms_addr *a)
{
    struct ms_dial_family *f = ms_addr_is_v6(a) ? &q->v6 : &q->v4;
    /* Grows one by one: lists are short, and this happens once a connection. */
    struct ms_addr *list = ms_realloc(f->list, (f->count + 1) * sizeof(*list));

    if (!list)
        return MS_ENOMEM;
    f->list = list;
    list[f->count] = *a;
    if (is_favourite(q, a)) {
        list[f->count] = list[f->next];
        list[f->next] = *a;
    }
    f->count++;
    return MS_OK;
}

static bool has_left(const struct ms_dial_family *f)
{
    return f->next < f->count;
}

static void sort_family(const struct ms_dial_queue *q, struct ms_dial_family *f,
                        ms_addr_source_fn *source)
{
    size_t from = f->next;

    if (has_left(f) && is_favourite(q, &f->list[from]))
        from++;
    if (f->count - from > 1)
        ms_addr_sort(f->list + from, f->count - from, source);
}

void ms_dial_queue_sort(struct ms_dial_queue *q, ms_addr_source_fn *source)
{
    sort_family(q, &q->v6, source);
    sort_family(q, &q->v4, source);
    if (q->begun || q->favourite.any.sa_family != AF_UNSPEC)
        return;
    if (has_left(&q->v6) && has_left(&q->v4))
        q->v4_is_next = ms_addr_is_better(q->v4.list, q->v6.list, source);
}

bool ms_dial_queue_next(struct ms_dial_queue *q, struct ms_addr *out)
{
    struct ms_dial_family *first =
        q->v4_is_next || MS_MUTANT_IS(134) ? &q->v4 : &q->v6;
    struct ms_dial_family *second = q->v4_is_next ? &q->v6 : &q->v4;
    struct ms_dial_family *f = has_left(first) ? first : second;

    if (!has_left(f))
        return false;
    *out = f->list[f->next++];
    q->begun = true;
    q->v4_is_next = f == &q->v6;
    return true;
}

bool ms_dial_queue_left(const struct ms_dial_queue *q)
{
    return has_left(&q->v6) || has_left(&q->v4);
}

bool ms_dial_queue_empty(const struct ms_dial_queue *q)
{
    return !q->v6.count && !q->v4.count;
}

bool ms_dial_queue_has_preferred(const struct ms_dial_queue *q)
{
    return (q->v4_is_next ? q->v4.count : q->v6.count) > 0;
}
