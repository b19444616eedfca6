/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked lists. A head is a link that points to itself; an unlinked link has
 * NULLs.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/base.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *link)
{
    return link->next != NULL;
}

static inline void list_insert_after(struct list *at, struct list *link)
{
    link->next = at->next;
    link->prev = at;
    at->next->prev = link;
    at->next = link;
}

static inline void list_push_front(struct list *head, struct list *link)
{
    list_insert_after(head, link);
}

static inline void list_push_back(struct list *head, struct list *link)
{
    list_insert_after(head->prev, link);
}

/* Takes a link out of its list; nothing when it is in none. */
static inline void list_remove(struct list *link)
{
    if (link->next == NULL) {
        return;
    }
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

/* The first link, taken out; NULL: the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *link = head->next;
    if (link == head) {
        return NULL;
    }
    list_remove(link);
    return link;
}

/* Walks over `head`; the running link may be removed. */
#define list_each(link, head)                                                         \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head); \
         link = link##_next, link##_next = link->next)

#endif
