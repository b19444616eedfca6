/* SPDX-License-Identifier: MIT */
/* Entity tags that went out weak, and come back. */
#include "proxy/pool/etags.h"
#include "runner.h"

#include <stdio.h>

static struct arena arena;
static struct etags *_Atomic etags;

static void set_up(void)
{
    arena_init(&arena, NULL, 0);
    ck_assert_ptr_nonnull(etags_of(&etags));
    ck_assert_ptr_eq(etags_of(&etags), etags);
}

static void tear_down(void)
{
    etags_free(&etags);
    ck_assert_ptr_null(etags);
    arena_reset(&arena);
}

/* W/"own" is the server's. */
static const struct {
    const char *asked, *restored;
    unsigned changed;
} lists[] = {
    {"W/\"a\"", "\"a\"", 1},
    {"\"a\"", "\"a\"", 0},
    {"W/\"own\"", "W/\"own\"", 0},
    {"\"own\"", "\"own\"", 0},
    {"W/\"a\", \"b\",W/\"c\" , W/\"own\"", "\"a\", \"b\",\"c\" , W/\"own\"", 2},
    {"W/\"\"", "\"\"", 1},
    {"W/\"a,b W/\"", "\"a,b W/\"", 1},
    {"W/\"a\\\"", "\"a\\\"", 1}, /* no escapes */
    {",, W/\"a\",", ",, \"a\",", 1},
    {"*", "*", 0},
    {"", "", 0},
    {"w/\"a\"", "w/\"a\"", 0}, /* no tags: as they are */
    {"W/a", "W/a", 0},
    {"W/", "W/", 0},
    {"W", "W", 0},
    {"\"", "\"", 0},
    {"W/\"a", "W/\"a", 0},
    {"W/\"a\", nonsense", "W/\"a\", nonsense", 0},
    {"W/W/\"a\"", "W/W/\"a\"", 0},
};

UNIT_LOOP_TEST(lists_come_back, ARRAY_COUNT(lists))
{
    struct etag_list *changed = NULL;
    unsigned count = 0;

    etags_note(etags, STR("\"own\""));
    struct weir_str given = etags_restore(etags, str_from(lists[_i].asked), &arena, &changed);
    ck_assert_msg(str_equal(given, str_from(lists[_i].restored)), "%s: got %.*s", lists[_i].asked,
                  STR_ARGS(given));
    for (; changed != NULL; changed = changed->next) {
        ck_assert(changed->tag.len >= 2 && changed->tag.ptr[0] == '"');
        count++;
    }
    ck_assert_uint_eq(count, lists[_i].changed);
}

UNIT_TEST(without_memory_nothing_changes)
{
    struct arena small;
    struct etag_list *changed = NULL;
    arena_init(&small, NULL, 16);
    struct weir_str list = STR("W/\"a\"");
    ck_assert(str_equal(etags_restore(etags, list, &small, &changed), list));
    ck_assert_ptr_null(changed);
    arena_reset(&small);
}

UNIT_TEST(what_is_remembered)
{
    ck_assert(!etags_know(NULL, STR("\"a\"")));
    etags_forget(NULL, STR("\"a\""));
    ck_assert(!etags_know(etags, STR("\"a\"")));
    etags_note(etags, STR("\"a\""));
    etags_note(etags, STR("\"a\""));
    ck_assert(etags_know(etags, STR("\"a\"")));
    ck_assert(!etags_know(etags, STR("\"A\"")));
    etags_forget(etags, STR("\"b\""));
    ck_assert(etags_know(etags, STR("\"a\"")));
    etags_forget(etags, STR("\"a\""));
    ck_assert(!etags_know(etags, STR("\"a\"")));
}

/* The newest thousand are there, whatever came before. */
UNIT_TEST(the_newest_are_remembered)
{
    enum { ALL = 100000, NEWEST = 1000 };
    char text[32];
    unsigned known = 0;

    for (unsigned i = 0; i < ALL; i++) {
        snprintf(text, sizeof(text), "\"%x-%x\"", i, i * 7919);
        etags_note(etags, str_from(text));
    }
    for (unsigned i = ALL - NEWEST; i < ALL; i++) {
        snprintf(text, sizeof(text), "\"%x-%x\"", i, i * 7919);
        known += etags_know(etags, str_from(text));
    }
    ck_assert_uint_ge(known, NEWEST * 95 / 100);
}

UNIT_TEST(weak_tags)
{
    struct weir_str tag = {NULL, 0};
    ck_assert(etag_is_weak(STR("W/\"a\""), &tag) && str_equal(tag, STR("\"a\"")));
    ck_assert(!etag_is_weak(STR("\"a\""), &tag));
    ck_assert(!etag_is_weak(STR("W/\"a\" "), &tag));
    ck_assert(!etag_is_weak(STR("W/a"), &tag));
    ck_assert(!etag_is_weak(STR(""), &tag));
    ck_assert(str_equal(etag_weaken(STR("\"a\""), &arena), STR("W/\"a\"")));
}

UNIT_FIXTURE(set_up, tear_down);
