/* SPDX-License-Identifier: MIT
 *
 * list.h - intrusive, circular, doubly linked list.
 *
 * The node lives inside the object it links, so linking never allocates and
 * never fails. A node or head that is on no list points to itself: unlinking
 * twice is harmless, and pushing moves a node from whatever list it was on.
 */
#ifndef MS_BASE_LIST_H
#define MS_BASE_LIST_H

#include "base/def.h"

struct ms_list {
    struct ms_list *next, *prev;
};

static inline void ms_list_init(struct ms_list *l)
{
    l->next = l->prev = l;
}

/* For a head: no nodes. For a node: on no list. */
static inline bool ms_list_empty(const struct ms_list *l)
{
    return l->next == l;
}

static inline void ms_list_unlink(struct ms_list *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    ms_list_init(n);
}

/* Puts `n` before `place`, which may be a node or a head. */
static inline void ms_list_insert(struct ms_list *place, struct ms_list *n)
{
    ms_list_unlink(n);
    n->prev = place->prev;
    n->next = place;
    place->prev->next = n;
    place->prev = n;
}

/* Adds `n` as the last of `head`. */
static inline void ms_list_push(struct ms_list *head, struct ms_list *n)
{
    ms_list_insert(head, n);
}

/* Adds `n` as the first of `head`. */
static inline void ms_list_push_front(struct ms_list *head, struct ms_list *n)
{
    ms_list_insert(head->next, n);
}

/* Takes the first node off `head`; NULL when there is none. */
static inline struct ms_list *ms_list_pop(struct ms_list *head)
{
    struct ms_list *n = head->next;

    if (n == head)
        return NULL;
    ms_list_unlink(n);
    return n;
}

/* Moves everything on `from` to the end of `to`. */
static inline void ms_list_splice(struct ms_list *to, struct ms_list *from)
{
    if (ms_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    ms_list_init(from);
}

/* Visits every node; the body may unlink the one it is given, no other. */
#define ms_list_each(it, head)                                                 \
    for (struct ms_list *it = (head)->next, *it##_next = it->next;             \
         it != (head); it = it##_next, it##_next = it->next)

#endif
