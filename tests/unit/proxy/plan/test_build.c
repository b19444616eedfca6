/* SPDX-License-Identifier: MIT */
/* build*.c: plans from files. Opens no socket, makes no server, resolves no name. */
#include "proxy/plan/plan.h"
#include "runner.h"

#include "base/log.h"
#include "module/host.h"
#include "temporary.h"

static struct weir_host host;
static struct mistakes mistakes;
static struct plan_input input;
static struct plan *plan;
static const char *folder;

static void set_up(void)
{
    folder = temporary_folder();
    module_host_fill(&host);
    log_set_level(WEIR_LOG_ERROR);
    input = (struct plan_input){
        .modules = module_registry_new(3), .host = &host, .workers = 2, .check_only = true};
}

static void tear_down(void)
{
    if (plan != NULL) {
        plan_unref(&plan);
    }
    ck_assert_ptr_null(module_next(input.modules, NULL)); /* all have been given back */
    module_registry_free(&input.modules);
    mistakes_free(&mistakes);
    temporary_remove(folder);
}

static void build(const char *text)
{
    char all[8192];
    const char *path = temporary_path(folder, "weir.conf");
    int len = snprintf(all, sizeof(all), "module_dir = \"%s\"\nstate_dir = \"%s\"\n%s",
                       WEIR_MODULES, folder, text);
    temporary_write_bytes(path, all, (size_t)len);
    plan = plan_build(&input, path, &mistakes);
}

static void build_well(const char *text)
{
    build(text);
    ck_assert_msg(plan != NULL, "%s", mistakes.count > 0 ? mistakes.texts[0] : "no mistake told");
    ck_assert_uint_eq(mistakes.count, 0);
}

/* The text has one mistake, on the line (the two that build() adds included). */
static void expect_mistake(const char *text, unsigned line, const char *mistake)
{
    char place[64];
    mistakes_free(&mistakes);
    build(text);
    ck_assert_ptr_null(plan);
    ck_assert_msg(mistakes.count == 1, "%zu mistakes: %s", mistakes.count, mistakes.texts[0]);
    snprintf(place, sizeof(place), line > 0 ? "weir.conf:%u:" : "weir.conf:", line);
    ck_assert_msg(strstr(mistakes.texts[0], place) != NULL, "%s", mistakes.texts[0]);
    ck_assert_msg(strstr(mistakes.texts[0], mistake) != NULL, "%s", mistakes.texts[0]);
}

#define LISTENER "listener \"public\" { bind = {\"127.0.0.1:8080\", \"[::1]:8081\"} }\n"
#define ROUTES                                                                             \
    "module \"route_path\" {\n"                                                            \
    "  route \"/\" { pool = \"web\" filter \"headers\" { request_set = {\"X-A: b\"} } }\n" \
    "}\nmodule \"headers\" {}\n"
#define WEB                                                           \
    "pool \"web\" {\n"                                                \
    "  server \"a\" { url = \"http://127.0.0.1:3001\" weight = 3 }\n" \
    "  server \"b\" { url = \"https://example.org\" backup = on }\n"  \
    "  balance \"least_conn\" {}\n"                                   \
    "}\nmodule \"balance_least_conn\" {}\n"

UNIT_TEST(files_become_a_plan)
{
    build_well(LISTENER WEB);
    ck_assert_uint_eq(plan->loops, 3);
    ck_assert_uint_eq(plan->modules.count, 1);
    struct pool_plan *pool = plan_pool(plan, STR("web"));
    ck_assert_ptr_eq(pool, &plan->pools[0]);
    ck_assert_ptr_null(plan_pool(plan, STR("we")));
    ck_assert_ptr_eq(pool->owner, plan);
    ck_assert_ptr_nonnull(pool->tls); /* a server is https:// */
    ck_assert_uint_eq(pool->settings->servers.count, 2);
    const struct server_settings *servers = pool->settings->servers.items;
    ck_assert_int_eq(servers[0].weight, 3);
    ck_assert(servers[1].backup && servers[1].url.tls);
    /* Live objects do not matter here. */
    ck_assert_ptr_null(pool->pool);
    ck_assert_ptr_null(pool->servers);
    ck_assert_ptr_null(plan->listeners[0].listener);
    ck_assert_ptr_null(plan->life);
    ck_assert_uint_eq(plan->listeners[0].settings->bind.count, 2);
    ck_assert_uint_eq(address_port(&plan->listeners[0].addresses[1]), 8081);
    /* Uses know their block's module and their names. */
    ck_assert_ptr_eq(pool->balance->base, plan->modules.items[0]);
    ck_assert_str_eq(pool->balance->module->name, "balance_least_conn");
    ck_assert(str_equal(pool->balance->pool, STR("web")));
}

UNIT_TEST(routes_have_numbers_places_and_filters)
{
    build_well(LISTENER WEB ROUTES);
    ck_assert_uint_eq(plan->routers.count, 1);
    ck_assert_uint_eq(plan->route_count, 1);
    const struct route_plan *route = plan->routes[0];
    ck_assert(str_equal(route->name, STR("/")));
    ck_assert_uint_eq(route->filters.count, 1);
    ck_assert_ptr_nonnull(route->block);
    ck_assert_uint_eq(route->place.line, 11);
    ck_assert_ptr_null(route->route);
}

UNIT_TEST(each_mistake_has_its_place)
{
    expect_mistake(LISTENER "pool \"web\" { server \"a\" { url = \"http://127.0.0.1:3001\" } }", 4,
                   "no balance block");
    expect_mistake(WEB, 0, "no listener is configured");
    expect_mistake(LISTENER "pool \"a/b\" {\n server \"a\" { url = \"http://127.0.0.1:3001\" }\n"
                            "balance \"least_conn\" {} }\nmodule \"balance_least_conn\" {}",
                   4, "stands between pool and server");
    expect_mistake("listener \"a\" { bind = {\"127.0.0.1:8080\"} }\n"
                   "listener \"b\" { bind = {\"127.0.0.1:8080\"} }\n",
                   4, "listener \"a\" has 127.0.0.1:8080 already");
    expect_mistake(LISTENER "module \"nothing_like_it\" {}", 4, "nothing_like_it");
    expect_mistake(LISTENER WEB "module \"route_path\" { route \"/\" { pool = \"wob\" } }", 10,
                   "wob");
}

static void rewrite(void *arg, struct arena *arena, struct pool_settings *settings)
{
    struct server_settings *servers = arena_zalloc(arena, sizeof(*servers));
    (void)arg;
    servers[0] = *(const struct server_settings *)settings->servers.items;
    servers[0].weight = 7;
    settings->servers.items = servers;
    settings->servers.count = 1;
}

/* Resolved names and operators' changes come in by a function; the files' settings stay visible. */
UNIT_TEST(servers_are_rewritten)
{
    input.expand = rewrite;
    build_well(LISTENER WEB);
    const struct pool_settings *settings = plan->pools[0].settings;
    ck_assert_uint_eq(settings->servers.count, 1);
    ck_assert_int_eq(((const struct server_settings *)settings->servers.items)->weight, 7);
    ck_assert_uint_eq(settings->configured.count, 2);
    ck_assert_int_eq(((const struct server_settings *)settings->configured.items)->weight, 3);
}

/* Another plan of the same configuration, which outlives the one that it was made of. */
UNIT_TEST(plans_are_derived)
{
    build_well(LISTENER WEB ROUTES);
    input.expand = rewrite;
    struct plan *derived = plan_derive(&input, plan, &mistakes);
    ck_assert_ptr_nonnull(derived);
    ck_assert_ptr_eq(derived->base, plan);
    ck_assert_uint_eq(derived->pools[0].settings->servers.count, 1);
    ck_assert_ptr_ne(derived->pools[0].balance, plan->pools[0].balance);
    ck_assert_ptr_eq(derived->pools[0].balance->base, derived->modules.items[0]);
    ck_assert(use_equal(derived->pools[0].balance, plan->pools[0].balance));
    ck_assert_ptr_eq(derived->pools[0].tls, plan->pools[0].tls);
    ck_assert_ptr_ne(derived->routes[0], plan->routes[0]);
    ck_assert_ptr_eq(derived->routes[0]->filters.items[0]->plan, derived);
    /* Only the first one's configuration is left; the second one holds its modules. */
    for (size_t i = plan->modules.count; i > 0; i--) {
        plan_leave_module(plan, i - 1);
    }
    plan_unref(&plan);
    ck_assert_ptr_nonnull(module_next(input.modules, NULL));
    input.expand = NULL;
    plan = plan_derive(&input, derived, &mistakes); /* and a third of that */
    ck_assert_ptr_nonnull(plan);
    plan_unref(&derived);
    ck_assert_uint_eq(plan->pools[0].settings->servers.count, 2);
    ck_assert(str_equal(plan->routes[0]->name, STR("/")));
}

/* Another copy of a module: the same program under another identity. */
static struct module *other_copy(const char *name)
{
    char file[256], from[512];
    snprintf(file, sizeof(file), "%s.so", name);
    snprintf(from, sizeof(from), "%s/%s", WEIR_MODULES, file);
    const char *path = temporary_path(folder, file);
    char *command = base_printf("cp '%s' '%s' && printf 0 >> '%s'", from, path, path);
    ck_assert_int_eq(system(command), 0);
    free(command);
    return module_load_file(input.modules, path, name, &host, (struct place){NULL, 0}, &mistakes);
}

static size_t block_of(const char *name)
{
    size_t i = 0;
    while (strcmp(plan->modules.items[i]->module->name, name) != 0) {
        i++;
    }
    return i;
}

/* The plan derived next, in the place of the one before. `how` NULL: members have changed. */
static void swap_as(const struct plan_swap *how)
{
    input.swap = how;
    struct plan *next = plan_derive(&input, plan, &mistakes);
    input.swap = NULL;
    ck_assert_msg(next != NULL, "%s", mistakes.count > 0 ? mistakes.texts[0] : "no mistake told");
    plan_unref(&plan);
    plan = next;
}

static void swap(enum swap_step step, const char *name, struct module *copy)
{
    struct plan_swap how = {.step = step, .copy = copy, .share = 0.1};
    how.module = name != NULL ? block_of(name) : 0;
    swap_as(name != NULL ? &how : NULL);
}

/* A copy is tried, shared by plans that come later, and takes the place of the one before. */
UNIT_TEST(copies_are_swapped)
{
    build_well(LISTENER WEB ROUTES);
    size_t blocks = plan->modules.count, uses = plan->uses.count;
    const struct module *first = plan->pools[0].balance->module;
    struct module *copy = other_copy("balance_least_conn");
    ck_assert_ptr_ne(copy, first);
    swap(SWAP_TRY, "balance_least_conn", copy);
    ck_assert_ptr_eq(plan->pools[0].balance->module, first);
    ck_assert_ptr_eq(plan->pools[0].canary->module, copy);
    ck_assert_ptr_nonnull(plan->pools[0].trial);
    swap(SWAP_DROP, NULL, NULL); /* none: members have changed */
    ck_assert(plan->has_canary);
    ck_assert_ptr_eq(plan->pools[0].canary->module, copy);
    const struct use *tried = plan->pools[0].canary;
    const void *conf = tried->conf;
    swap(SWAP_TAKE, "balance_least_conn", copy);
    ck_assert(!plan->has_canary);
    ck_assert_ptr_null(plan->pools[0].canary);
    ck_assert_ptr_null(plan->pools[0].trial);
    ck_assert_ptr_eq(plan->pools[0].balance->module, copy);
    ck_assert_ptr_ne(plan->pools[0].balance->conf, conf);
    ck_assert_uint_eq(plan->modules.count, blocks);
    ck_assert_uint_eq(plan->uses.count, uses);
    ck_assert_ptr_eq(plan->homes[block_of("balance_least_conn")], plan);
    module_unref(&copy);
}

/* The same balancer with other options, made by the copy that runs, in one pool of two. */
UNIT_TEST(a_block_is_tried_in_one_pool)
{
    static const char text[] = "balance \"least_conn\" { call_budget = 7ms }";
    struct conf_tree tree = {0};
    struct arena arena;
    arena_init(&arena, NULL, 0);
    ck_assert(conf_read_text(&tree, &arena, "set", text, sizeof(text) - 1, &mistakes));
    build_well(LISTENER WEB "pool \"other\" { server \"c\" { url = \"http://127.0.0.1:3002\" }\n"
                            "  balance \"least_conn\" {} }\n");
    struct module *module = plan->pools[0].balance->module;
    size_t blocks = plan->modules.count, uses = plan->uses.count;
    struct plan_swap how = {.step = SWAP_TRY,
                            .module = block_of("balance_least_conn"),
                            .copy = module,
                            .share = 0.5,
                            .pool = STR("other"),
                            .block = tree.root.children};
    swap_as(&how);
    arena_reset(&arena); /* the plan has a copy of the block */
    const struct pool_plan *web = plan_pool(plan, STR("web")),
                           *other = plan_pool(plan, STR("other"));
    ck_assert(web->canary == NULL && web->trial == NULL);
    ck_assert_ptr_eq(other->canary->module, module);
    ck_assert_ptr_ne(other->canary->guard, other->balance->guard);
    ck_assert_uint_eq(other->canary->supervision.call_budget, 7 * NS_PER_MS);
    ck_assert_uint_ne(other->balance->supervision.call_budget, 7 * NS_PER_MS);
    ck_assert(!use_equal(other->canary, other->balance));
    const struct guard *guard = other->canary->guard;
    swap_as(NULL); /* members have changed */
    other = plan_pool(plan, STR("other"));
    ck_assert_ptr_eq(other->canary->guard, guard);
    /* Promoted, it is the use that it was, but for its place. */
    input.last = plan;
    how.step = SWAP_TAKE;
    how.block = other->canary->block;
    swap_as(&how);
    input.last = NULL;
    other = plan_pool(plan, STR("other"));
    ck_assert(other->canary == NULL && other->trial == NULL && !plan->has_canary);
    ck_assert_ptr_eq(other->balance->guard, guard);
    ck_assert_uint_eq(other->balance->supervision.call_budget, 7 * NS_PER_MS);
    ck_assert_uint_ne(plan_pool(plan, STR("web"))->balance->supervision.call_budget, 7 * NS_PER_MS);
    ck_assert(plan->modules.count == blocks && plan->uses.count == uses);
}

/* Routes are those of the copy before, with their filters and all that lives by their names. */
UNIT_TEST(a_router_is_swapped)
{
    build_well(LISTENER WEB ROUTES);
    struct module *copy = other_copy("route_path");
    swap(SWAP_TAKE, "route_path", copy);
    ck_assert_uint_eq(plan->route_count, 1);
    ck_assert(str_equal(plan->routes[0]->name, STR("/")));
    ck_assert_uint_eq(plan->routes[0]->filters.count, 1);
    ck_assert_ptr_eq(plan->routers.items[0]->module, copy);
    ck_assert_ptr_eq(plan->routers.items[0]->prepared, plan->routers.items[0]->base->prepared);
    module_unref(&copy);
}

/* One that needs something else than the blocks that are there is refused, and leaves nothing. */
UNIT_TEST(a_copy_of_another_kind_is_refused)
{
    build_well(LISTENER WEB ROUTES);
    struct module *other = other_copy("headers");
    struct plan_swap how = {
        .step = SWAP_TAKE, .module = block_of("balance_least_conn"), .copy = other};
    input.swap = &how;
    ck_assert_ptr_null(plan_derive(&input, plan, &mistakes));
    ck_assert_ptr_nonnull(strstr(mistakes.texts[0], "of other kinds"));
    input.swap = NULL;
    module_unref(&other);
}

static bool taken;

static bool listens(void *arg, const struct listener_plan *listener, const struct address *address)
{
    (void)arg;
    ck_assert(str_equal(listener->settings->name, STR("public")));
    return taken && address_port(address) != 0;
}

/* An address that another program has is a mistake; one that this one has is none. */
UNIT_TEST(addresses_are_checked)
{
    char text[256], error[256];
    struct address address;
    socklen_t len = sizeof(address.u);
    ck_assert(address_parse(&address, STR("127.0.0.1:0"), error, sizeof(error)));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(bind(fd, &address.u.any, address.len) == 0 && listen(fd, 1) == 0);
    ck_assert(getsockname(fd, &address.u.any, &len) == 0);
    snprintf(text, sizeof(text), "listener \"public\" { bind = {\"127.0.0.1:%u\"} }",
             address_port(&address));
    input.check_only = false;
    input.listens = listens;
    expect_mistake(text, 3, "bind:");
    mistakes_free(&mistakes);
    taken = true;
    build_well(text);
    close(fd);
}

UNIT_FIXTURE(set_up, tear_down);
