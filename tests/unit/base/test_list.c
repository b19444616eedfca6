/* SPDX-License-Identifier: MIT */
/* Lists: order, taking out, and walking while links are removed. */
#include "runner.h"

#include "base/list.h"

struct item {
    int number;
    struct list link;
};

static void fill(struct list *head, struct item *items, int count)
{
    list_init(head);
    for (int i = 0; i < count; i++) {
        items[i] = (struct item){.number = i};
        list_push_back(head, &items[i].link);
    }
}

static int number_of(const struct list *link)
{
    return container_of(link, const struct item, link)->number;
}

UNIT_TEST(both_ends)
{
    struct list head;
    struct item items[3] = {{0}};

    list_init(&head);
    ck_assert(list_empty(&head));
    ck_assert_ptr_null(list_pop_front(&head));
    for (int i = 0; i < 3; i++) {
        items[i].number = i;
    }
    list_push_back(&head, &items[1].link);
    list_push_back(&head, &items[2].link);
    list_push_front(&head, &items[0].link);
    for (int i = 0; i < 3; i++) {
        struct list *link = list_pop_front(&head);
        ck_assert_int_eq(number_of(link), i);
        ck_assert(!list_linked(link));
    }
    ck_assert(list_empty(&head));
}

UNIT_TEST(removing_twice_is_nothing)
{
    struct list head;
    struct item items[2];

    fill(&head, items, 2);
    list_remove(&items[0].link);
    list_remove(&items[0].link);
    ck_assert_int_eq(number_of(head.next), 1);
    ck_assert_ptr_eq(head.next, head.prev);
}

UNIT_TEST(a_walk_may_remove_the_running_link)
{
    struct list head;
    struct item items[10];
    int expected = 0;

    fill(&head, items, 10);
    list_each(link, &head)
    {
        ck_assert_int_eq(number_of(link), expected++);
        if (number_of(link) % 2 == 0) {
            list_remove(link);
        }
    }
    ck_assert_int_eq(expected, 10);
    expected = 1;
    list_each(link, &head)
    {
        ck_assert_int_eq(number_of(link), expected);
        expected += 2;
    }
    ck_assert_int_eq(expected, 11);
}
