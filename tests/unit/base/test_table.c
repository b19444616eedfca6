/* SPDX-License-Identifier: MIT */
/* Hash tables: what was added is found, equal hashes are told apart by the caller, and growth loses
 * nothing. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/table.h"

struct item {
    char name[16];
    struct table_link link;
};

static struct item *item_find(const struct table *table, const char *name)
{
    uint64_t hash = table_hash(str_from(name));
    for (struct table_link *link = table_first(table, hash); link != NULL;
         link = table_next(link)) {
        struct item *item = container_of(link, struct item, link);
        if (strcmp(item->name, name) == 0) {
            return item;
        }
    }
    return NULL;
}

static void fill(struct table *table, struct item *items, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        snprintf(items[i].name, sizeof(items[i].name), "item-%u", i);
        table_add(table, &items[i].link, table_hash(str_from(items[i].name)));
    }
}

#define MANY 5000

UNIT_TEST(many_are_found_and_go)
{
    struct table table = {NULL, 0, 0};
    struct item *items = base_zalloc(MANY * sizeof(*items));
    char name[16];

    ck_assert_ptr_null(item_find(&table, "item-0"));
    fill(&table, items, MANY);
    ck_assert_uint_eq(table.count, MANY);
    ck_assert_uint_ge(table.mask + 1, MANY); /* chains stay short */
    for (unsigned i = 0; i < MANY; i += 2) {
        table_remove(&items[i].link);
        table_remove(&items[i].link); /* twice is nothing */
    }
    ck_assert_uint_eq(table.count, MANY / 2);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "item-%u", i);
        ck_assert_ptr_eq(item_find(&table, name), i % 2 == 0 ? NULL : &items[i]);
    }
    table_end(&table);
    ck_assert_ptr_null(item_find(&table, "item-1"));
    table_remove(&items[1].link); /* the table has let it go */
    table_add(&table, &items[1].link, table_hash(str_from(items[1].name)));
    table_remove(&items[1].link);
    ck_assert_ptr_null(table.buckets); /* an empty one has no memory */
    free(items);
}

UNIT_TEST(equal_hashes_come_one_after_the_other)
{
    struct table table = {NULL, 0, 0};
    struct item items[4] = {0};

    table_add(&table, &items[0].link, 7);
    table_add(&table, &items[1].link, 7 + 16); /* the same bucket, another hash */
    table_add(&table, &items[2].link, 7);
    ck_assert_ptr_eq(table_first(&table, 7), &items[0].link);
    ck_assert_ptr_eq(table_next(&items[0].link), &items[2].link);
    ck_assert_ptr_null(table_next(&items[2].link));
    table_remove(&items[0].link);
    ck_assert_ptr_eq(table_first(&table, 7), &items[2].link);
    table_end(&table);
}

UNIT_TEST(parts_of_names_are_apart)
{
    uint64_t one = table_hash_more(table_hash(STR("a")), STR("bc"));
    uint64_t other = table_hash_more(table_hash(STR("ab")), STR("c"));
    ck_assert_uint_ne(one, other);
    ck_assert_uint_eq(one, table_hash_more(table_hash(STR("a")), STR("bc")));
}

UNIT_TEST(names_are_told_apart)
{
    struct table table = {NULL, 0, 0};
    struct table_named items[2] = {0};
    struct table_named other = {.name = STR("three")};

    ck_assert_ptr_null(table_find(&table, STR("one")));
    table_add(&table, &other.link, table_hash(STR("two"))); /* an equal hash */
    table_add_named(&table, &items[0], STR("one"));
    table_add_named(&table, &items[1], STR("two"));
    ck_assert_ptr_eq(table_find(&table, STR("one")), &items[0]);
    ck_assert_ptr_eq(table_find(&table, STR("two")), &items[1]);
    ck_assert_ptr_null(table_find(&table, STR("three")));
    table_end(&table);
}
