/* SPDX-License-Identifier: MIT */
/* overlay.c: what was changed at run time, laid over a pool's settings. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>

#include "control/change/overlay.h"

static void put(struct overlay *overlay, const char *key, const char *json)
{
    overlay_set(overlay, key, cJSON_Parse(json));
}

struct stage {
    struct overlay *overlay;
    struct arena arena;
    struct server_settings files[2];
    struct pool_settings pool;
};

static void stage_init(struct stage *stage)
{
    *stage = (struct stage){.overlay = overlay_new()};
    arena_init(&stage->arena, NULL, 0);
    stage->files[0] = (struct server_settings){
        .id = STR("a"), .url = {.text = STR("http://file:1")}, .weight = 1, .file_weight = 1};
    stage->files[1] = (struct server_settings){.id = STR("b"), .weight = 2, .file_weight = 2};
    stage->pool = (struct pool_settings){.name = STR("web"), .servers = {stage->files, 2}};
}

static const struct server_settings *adjusted(struct stage *stage, size_t count)
{
    overlay_adjust(stage->overlay, &stage->arena, &stage->pool);
    ck_assert_uint_eq(stage->pool.servers.count, count);
    return stage->pool.servers.items;
}

static void stage_end(struct stage *stage)
{
    arena_reset(&stage->arena);
    overlay_free(&stage->overlay);
}

UNIT_TEST(nothing_changed)
{
    struct stage stage;
    stage_init(&stage);
    const struct server_settings *servers = adjusted(&stage, 2);
    ck_assert_int_eq(servers[1].weight, 2);
    ck_assert(!servers[0].runtime);
    stage_end(&stage);
}

UNIT_TEST(numbers_servers_and_hiding)
{
    struct stage stage;
    stage_init(&stage);
    put(stage.overlay, "web/a", "{\"weight\":7,\"max_connections\":3}");
    put(stage.overlay, "web/b", "{\"hidden\":true}");
    put(stage.overlay, "web/c", "{\"url\":\"http://c:1\",\"weight\":0,\"backup\":true}");
    put(stage.overlay, "web2/d", "{\"url\":\"http://d:1\"}");
    const struct server_settings *servers = adjusted(&stage, 2);
    ck_assert_int_eq(servers[0].weight, 7);
    ck_assert_int_eq(servers[0].file_weight, 1);
    ck_assert_int_eq(servers[0].max_connections, 3);
    ck_assert(str_equal(servers[1].id, STR("c")));
    ck_assert(servers[1].runtime && servers[1].backup);
    ck_assert_int_eq(servers[1].weight, 0);
    ck_assert(str_equal(servers[1].url.host, STR("c")));
    stage_end(&stage);
}

UNIT_TEST(added_one_hides_the_files_of_that_name)
{
    struct stage stage;
    stage_init(&stage);
    put(stage.overlay, "web/a", "{\"url\":\"http://other:1\"}");
    const struct server_settings *servers = adjusted(&stage, 2);
    ck_assert(str_equal(servers[0].id, STR("b")));
    ck_assert(str_equal(servers[1].id, STR("a")) && servers[1].runtime);
    ck_assert(str_equal(servers[1].file_url, STR("http://file:1")));
    stage_end(&stage);
}

/* As after an export that was put in the files' place. */
UNIT_TEST(added_one_is_the_files_once_they_have_it)
{
    struct stage stage;
    stage_init(&stage);
    put(stage.overlay, "web/a", "{\"url\":\"http://file:1\",\"weight\":4}");
    const struct server_settings *servers = adjusted(&stage, 2);
    ck_assert(str_equal(servers[0].id, STR("a")) && !servers[0].runtime);
    ck_assert_int_eq(servers[0].weight, 4);
    ck_assert_int_eq(servers[0].file_weight, 1);
    stage_end(&stage);
    stage_init(&stage);
    put(stage.overlay, "web/a", "{\"hidden\":true,\"url\":\"http://file:1\"}");
    servers = adjusted(&stage, 2);
    ck_assert(str_equal(servers[0].id, STR("a")) && !servers[0].runtime);
    stage_end(&stage);
    stage_init(&stage);
    put(stage.overlay, "web/a", "{\"hidden\":true,\"url\":\"http://other:1\"}");
    servers = adjusted(&stage, 2);
    ck_assert(str_equal(servers[1].id, STR("a")) && servers[1].runtime);
    ck_assert_uint_eq(servers[1].file_url.len, 0);
    stage_end(&stage);
}

/* An entry, what the files say of its server (weight 6, limit 9, drain), and what is left. NULL: as
 * it was. */
static const struct settling {
    const char *entry;
    bool has_file;
    const char *left;
} settling[] = {
    {"{\"weight\":6}", true, "{}"},
    {"{\"weight\":4}", true, NULL},
    {"{\"weight\":6,\"max_connections\":3}", true, "{\"max_connections\":3}"},
    {"{\"max_connections\":9,\"state\":\"drain\"}", true, "{}"},
    {"{\"state\":\"ready\"}", true, NULL},
    {"{\"state\":\"drain\",\"drain_deadline\":5}", true, NULL},
    {"{\"state\":\"drain\",\"leaving\":true}", true, NULL},
    {"{\"weight\":6}", false, NULL},
    {"{\"hidden\":true}", true, NULL},
    {"{\"hidden\":true}", false, "{}"},
    {"{\"url\":\"http://file:1\"}", true, "{}"},
    {"{\"url\":\"http://file:1\",\"weight\":6}", true, "{}"},
    {"{\"url\":\"http://file:1\",\"weight\":7}", true, "{\"weight\":7}"},
    {"{\"url\":\"http://file:1\",\"backup\":true}", true, NULL},
    {"{\"url\":\"http://other:1\",\"weight\":6}", true, NULL},
    {"{\"url\":\"http://other:1\"}", false, NULL},
    /* Taken away and added anew: with values of its own, not the files'. */
    {"{\"hidden\":true,\"url\":\"http://file:1\"}", true,
     "{\"weight\":1,\"max_connections\":0,\"state\":\"ready\"}"},
    {"{\"hidden\":true,\"url\":\"http://file:1\",\"weight\":6,\"max_connections\":9,"
     "\"state\":\"drain\"}",
     true, "{}"},
    {"{\"hidden\":true,\"url\":\"http://other:1\"}", true, NULL},
};

UNIT_LOOP_TEST(what_the_files_say_too_is_theirs, ARRAY_COUNT(settling))
{
    const struct settling *row = &settling[_i];
    const struct server_settings file = {.id = STR("a"),
                                         .url = {.text = STR("http://file:1")},
                                         .weight = 6,
                                         .file_weight = 6,
                                         .max_connections = 9,
                                         .file_max_connections = 9,
                                         .state = ADMIN_DRAIN};
    cJSON *entry = cJSON_Parse(row->entry);
    cJSON *left = overlay_settle_entry(entry, row->has_file ? &file : NULL, row->has_file);

    if (row->left == NULL) {
        ck_assert_msg(left == NULL, "%s", row->entry);
    } else {
        cJSON *wanted = cJSON_Parse(row->left);
        ck_assert_msg(cJSON_Compare(left, wanted, true), "%s", row->entry);
        cJSON_Delete(wanted);
        cJSON *again = overlay_settle_entry(left, &file, true);
        ck_assert_msg(again == NULL || !row->has_file, "%s", row->entry);
        cJSON_Delete(again);
    }
    cJSON_Delete(left);
    cJSON_Delete(entry);
}

UNIT_TEST(nonsense_is_left_out)
{
    struct stage stage;
    stage_init(&stage);
    put(stage.overlay, "web/c", "{\"url\":\"gopher://c\"}");
    adjusted(&stage, 2);
    stage_end(&stage);
}

UNIT_TEST(empty_entries_are_none)
{
    struct overlay *overlay = overlay_new();
    put(overlay, "web/a", "{\"weight\":7}");
    ck_assert_ptr_nonnull(overlay_entry(overlay, "web", "a"));
    put(overlay, "web/a", "{}");
    ck_assert_ptr_null(overlay_entry(overlay, "web", "a"));
    overlay_free(&overlay);
}

#define MANY 30000

/* As many entries as servers: each finds its own at once, or this would take its time squared. */
UNIT_TEST(many_entries)
{
    struct overlay *overlay = overlay_new();
    struct server_settings *files = base_zalloc(MANY * sizeof(*files));
    char(*ids)[16] = base_zalloc(MANY * sizeof(*ids));
    struct pool_settings pool = {.name = STR("web"), .servers = {files, MANY}};
    struct arena arena;

    arena_init(&arena, NULL, 0);
    for (unsigned i = 0; i < MANY; i++) {
        char key[32], json[64];
        snprintf(ids[i], sizeof(ids[i]), "s%u", i);
        files[i] = (struct server_settings){.id = str_from(ids[i]), .weight = 1};
        snprintf(key, sizeof(key), i % 2 == 0 ? "web/%s" : "web/added-%s", ids[i]);
        snprintf(json, sizeof(json),
                 i % 2 == 0 ? "{\"weight\":%u}" : "{\"url\":\"http://127.0.0.1:%u\"}", 1 + i);
        put(overlay, key, json);
    }
    overlay_adjust(overlay, &arena, &pool);
    const struct server_settings *servers = pool.servers.items;
    ck_assert_uint_eq(pool.servers.count, MANY + MANY / 2);
    ck_assert_int_eq(servers[MANY - 2].weight, MANY - 1);
    ck_assert_int_eq(servers[MANY - 1].weight, 1);
    ck_assert(str_equal(servers[MANY].id, STR("added-s1"))); /* in their order */
    ck_assert(str_equal(servers[MANY + MANY / 2 - 1].id, STR("added-s29999")));
    arena_reset(&arena);
    overlay_free(&overlay);
    free(ids);
    free(files);
}
