/* SPDX-License-Identifier: MIT */
/* The services of conf_create: places of mistakes, pools, routes. */
#include "runner.h"

#include "module/check.h"
#include "module/context.h"
#include "module/host.h"

struct rules {
    int64_t limit;
    struct weir_str pool;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct rules, limit, INTEGER, "1", WEIR_CONTEXT_MODULE, 0, "A number."),
    WEIR_OPTION(struct rules, pool, STRING, NULL, WEIR_CONTEXT_MODULE, 0, "A pool."),
};
static const struct weir_options options = WEIR_OPTIONS(struct rules, rows);

static struct arena arena;
static struct mistakes mistakes;
static struct weir_host host;
static struct module_context ctx;
static struct weir_check check;
static struct rules rules;
static unsigned routes;

/* One pool, "web_servers". */
static weir_pool_ref find_pool(void *arg, struct weir_str name)
{
    ck_assert_ptr_eq(arg, &rules);
    return str_equal(name, STR("web_servers")) ? 5 : WEIR_NO_REF;
}

static const char *suggest_pool(void *arg, struct weir_str name)
{
    (void)arg;
    return name.len > 3 ? "web_servers" : NULL;
}

static weir_route_ref add_route(void *arg, const void *field, struct weir_str name,
                                struct place place, struct place *first)
{
    (void)arg;
    ck_assert_ptr_nonnull(field);
    ck_assert_str_eq(place.file, "r.conf");
    if (str_equal(name, STR("/taken"))) {
        *first = (struct place){"other.conf", 9};
        return WEIR_NO_REF;
    }
    return routes++;
}

static void set_up(void)
{
    static const char text[] = "module {\n\n  pool = \"web_severs\"\n}\n";
    struct conf_tree tree;
    const struct conf_target target = {&options, &rules};

    arena_init(&arena, NULL, 0);
    struct conf_fill fill = {&arena, conf_places_new(&arena), &mistakes, WEIR_CONTEXT_MODULE};
    ck_assert(conf_read_text(&tree, &arena, "r.conf", text, strlen(text), &mistakes));
    ck_assert(conf_fill_block(&fill, tree.root.children, &target, 1, NULL, true));
    module_host_fill(&host);
    module_context_init(&ctx, &host, NULL, NULL);
    check = (struct weir_check){
        .mistakes = &mistakes,
        .places = fill.places,
        .block_place = {"r.conf", 1},
        .find_pool = find_pool,
        .suggest_pool = suggest_pool,
        .add_route = add_route,
        .arg = &rules,
    };
}

static void tear_down(void)
{
    module_context_end(&ctx);
    mistakes_free(&mistakes);
    arena_reset(&arena);
}

UNIT_TEST(mistakes_find_their_line)
{
    weir_check_error(&ctx.base, &check, &rules.pool, "pool %d is wrong", 1);
    weir_check_error(&ctx.base, &check, &rules.limit, "not set");
    weir_check_error(&ctx.base, &check, NULL, "the block");
    weir_check_error(&ctx.base, &check, &routes, "not of the configuration");
    ck_assert_uint_gt(mistakes.count, 0);
    ck_assert_str_eq(mistakes.texts[0], "r.conf:3: pool 1 is wrong");
    ck_assert_str_eq(mistakes.texts[1], "r.conf:1: not set");
    ck_assert_str_eq(mistakes.texts[2], "r.conf:1: the block");
    ck_assert_str_eq(mistakes.texts[3], "r.conf:1: not of the configuration");
}

UNIT_TEST(pools)
{
    struct weir_str right = STR("web_servers"), other = STR("api");

    ck_assert_uint_eq(weir_check_pool(&ctx.base, &check, &right), 5);
    ck_assert_uint_eq(mistakes.count, 0);
    ck_assert_uint_eq(weir_check_pool(&ctx.base, &check, &rules.pool), WEIR_NO_REF);
    ck_assert_uint_gt(mistakes.count, 0);
    ck_assert_str_eq(mistakes.texts[0],
                     "r.conf:3: there is no pool \"web_severs\"; did you mean \"web_servers\"?");
    ck_assert_uint_eq(weir_check_pool(&ctx.base, &check, &other), WEIR_NO_REF);
    ck_assert_str_eq(mistakes.texts[1],
                     "r.conf:1: there is no pool \"api\"; add: pool \"api\" { ... }");
    check.suggest_pool = NULL;
    ck_assert_uint_eq(weir_check_pool(&ctx.base, &check, &rules.pool), WEIR_NO_REF);
    ck_assert_ptr_nonnull(strstr(mistakes.texts[2], "add: pool \"web_severs\""));
}

UNIT_TEST(routes_have_names_of_their_own)
{
    ck_assert_uint_eq(weir_check_route(&ctx.base, &check, &rules.pool, STR("/api")), 0);
    ck_assert_uint_eq(weir_check_route(&ctx.base, &check, &rules.pool, STR("/")), 1);
    ck_assert_uint_eq(mistakes.count, 0);
    ck_assert_uint_eq(weir_check_route(&ctx.base, &check, &rules.pool, STR("/taken")), WEIR_NO_REF);
    ck_assert_uint_gt(mistakes.count, 0);
    ck_assert_str_eq(mistakes.texts[0], "r.conf:3: there is a route \"/taken\" already, in "
                                        "other.conf:9; each needs its own name");
}

UNIT_TEST(listeners)
{
    struct weir_bind bind = {STR("127.0.0.1:1"), false, true};
    struct weir_listener listener = {STR("admin"), &bind, 1, true},
                         seen = {STR("-"), NULL, 0, false};

    ck_assert(!weir_check_listener(&ctx.base, &check, &seen));
    ck_assert_uint_eq(seen.name.len, 1);
    check.listener = &listener;
    ck_assert(weir_check_listener(&ctx.base, &check, &seen));
    ck_assert(seen.tls && seen.bind_count == 1 && seen.binds == &bind);
}

/* Two generations and a third that begins when both are over. */
UNIT_TEST(shared_memory_goes_with_its_last_keeper)
{
    struct module_context next;
    char *bytes = weir_shared(&ctx.base, "a", 8);

    ck_assert_int_eq(bytes[7], 0);
    bytes[7] = 1;
    ck_assert_ptr_eq(weir_shared(&ctx.base, "a", 8), bytes);
    ck_assert_ptr_ne(weir_shared(&ctx.base, "b", 8), bytes);
    ck_assert_ptr_ne(weir_shared(&ctx.base, "a", 9), bytes);
    module_context_init(&next, &host, NULL, NULL);
    ck_assert_ptr_eq(weir_shared(&next.base, "a", 8), bytes);
    next.component = "other_module";
    ck_assert_ptr_ne(weir_shared(&next.base, "a", 8), bytes);
    module_context_end(&ctx);
    next.component = "module";
    ck_assert_int_eq(((char *)weir_shared(&next.base, "a", 8))[7], 1);
    module_context_end(&next);
    module_context_init(&ctx, &host, NULL, NULL);
    ck_assert_int_eq(((char *)weir_shared(&ctx.base, "a", 8))[7], 0);
}

UNIT_FIXTURE(set_up, tear_down);
