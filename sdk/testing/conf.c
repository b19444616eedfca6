/* SPDX-License-Identifier: MIT */
/*
 * Configuration blocks: text through the module's option table to conf_create, with the services
 * that conf_create has. The text is read and the options are filled by core/conf, as in the
 * program: a test cannot pass on a grammar that the program does not have.
 */
#include "fake.h"

#include <stdlib.h>

#include "conf/conf.h"
#include "option/option_value.h"

/* Stands for the file: relative paths in it are taken from there. Messages leave the folder out. */
#define FOLDER "/etc/weir/"
static const char file[] = FOLDER "conf";

/* For what is read of a block, where the guard is on; what is more is not guarded. */
#define LENT_ROOM ((size_t)65536)

struct fake_reading {
    struct arena arena;
    void *lent; /* what the arena begins on; NULL: nothing */
    struct conf_places *places;
};

/* What a file calls the block, for messages. */
static struct weir_str block_word(const struct weir_test_block *block)
{
    static const char *const words[FAKE_KIND_COUNT] = {
        [WEIR_TEST_BALANCER] = "balance", [WEIR_TEST_STICKY] = "sticky",
        [WEIR_TEST_HEALTH] = "health",    [WEIR_TEST_FILTER] = "filter",
        [WEIR_TEST_HANDLER] = "handler",
    };
    for (size_t i = 0; block->context != WEIR_CONTEXT_MODULE && i < FAKE_KIND_COUNT; i++) {
        const struct fake_kind *kind = &block->host->kinds[i];
        if (kind->present && kind->context == block->context && words[i] != NULL) {
            return str_from(words[i]);
        }
    }
    return STR("module");
}

static void tell_mistakes(struct weir_test *host, struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; i++) {
        const char *text = mistakes->texts[i];
        text += strncmp(text, FOLDER, strlen(FOLDER)) == 0 ? strlen(FOLDER) : 0;
        fake_buffer_printf(&host->mistakes, "%s%s", host->mistakes.len > 0 ? "\n" : "", text);
    }
    mistakes_free(mistakes);
}

static bool parse(struct weir_test_block *block, const char *text)
{
    static const struct weir_options none = {.size = sizeof(none), .title_offset = WEIR_NO_TITLE};
    struct weir_test *host = block->host;
    struct fake_reading *reading = block->reading;
    const struct weir_options *table = host->module.options;
    const struct weir_test_block *base =
        block->context != WEIR_CONTEXT_MODULE ? host->module_block : NULL;
    struct mistakes mistakes = {0};
    struct conf_fill fill = {&reading->arena, reading->places, &mistakes, (uint32_t)block->context};
    struct conf_target target = {table != NULL ? table : &none, reading};
    struct conf_tree tree;

    if (table != NULL) {
        target.conf = block->conf =
            fake_lend(table->conf_size, "the options of a block that is gone");
    }
    if (base != NULL && base->conf != NULL) {
        memcpy(block->conf, base->conf, table->conf_size);
    }
    bool ok = conf_read_text(&tree, &reading->arena, file, text, strlen(text), &mistakes);
    struct weir_str word = block_word(block), name = str_from(host->module.name);
    tree.root.name = word;
    tree.root.title.text = name;
    if (name.len > word.len && memcmp(name.ptr, word.ptr, word.len) == 0 &&
        name.ptr[word.len] == '_') { /* a file writes balance "least_conn" */
        tree.root.title.text = weir_str_skip(name, word.len + 1);
    }
    tree.root.place = (struct place){file, 1};
    ok = ok && conf_fill_block(&fill, &tree.root, &target, 1, NULL, base == NULL);
    tell_mistakes(host, &mistakes);
    return ok;
}

static bool run_create(struct weir_test_block *block)
{
    struct weir_test *host = block->host;
    struct weir_check check = {host, block, false};
    enum weir_status status = WEIR_OK;

    if (block->conf != NULL) {
        block->snapshot = arena_zalloc(&block->reading->arena, host->module.options->conf_size);
        memcpy(block->snapshot, block->conf, host->module.options->conf_size);
    }
    if (host->module.conf_create != NULL) {
        FAKE_HOOK("conf_create");
        block->ctx.checking = true;
        status = host->module.conf_create(&block->ctx.base, &check, block->conf, &block->prepared);
        block->ctx.checking = false;
    }
    if (status != WEIR_OK && !check.failed) {
        fake_buffer_printf(&host->mistakes, "conf:0: conf_create returned %d", (int)status);
    }
    if (status == WEIR_OK) {
        /* Also where mistakes were told: the host frees what was prepared all the same. */
        block->created = true;
    } else if (block->prepared != NULL) {
        fake_problem(host, "conf_create failed, and yet left something prepared behind");
    }
    return status == WEIR_OK && !check.failed;
}

void fake_block_destroy(struct weir_test_block *block)
{
    struct weir_test *host = block->host;
    struct weir_test_block **link = &host->blocks;

    FAKE_REQUIRE(block->instances == 0, "an instance of the block lives still");
    if (block->snapshot != NULL &&
        memcmp(block->snapshot, block->conf, host->module.options->conf_size) != 0) {
        fake_problem(host, "the module has changed its options, which are constant");
    }
    if (block->created && host->module.conf_free != NULL) {
        FAKE_HOOK("conf_free");
        host->module.conf_free(&block->ctx.base, block->prepared);
    }
    fake_context_end(&block->ctx);
    while (*link != block) {
        link = &(*link)->next;
    }
    *link = block->next;
    if (host->module_block == block) {
        host->module_block = NULL;
    }
    fake_take_back(block->conf);
    arena_reset(&block->reading->arena);
    fake_take_back(block->reading->lent);
    free(block->reading);
    fake_take_back(block);
}

static struct weir_test_block *block_new(struct weir_test *host, enum weir_option_context context,
                                         const char *text)
{
    struct weir_test_block *block =
        fake_lend(sizeof(*block), "the context of a block that is gone");
    block->host = host;
    block->context = context;
    block->number = ++host->block_count;
    block->reading = fake_alloc(sizeof(*block->reading));
    if (fake_guards()) { /* values of options lie there, and are lent as long as the block is */
        block->reading->lent =
            fake_lend(LENT_ROOM, "a value of the options of a block that is gone");
        arena_init_on(&block->reading->arena, block->reading->lent, LENT_ROOM);
    } else {
        arena_init(&block->reading->arena, NULL, 0);
    }
    block->reading->places = conf_places_new(&block->reading->arena);
    fake_context_init(&block->ctx, host, "the block",
                      context == WEIR_CONTEXT_POOL ? host->pool_name : NULL);
    if (context != WEIR_CONTEXT_MODULE) {
        snprintf(block->ctx.block_name, sizeof(block->ctx.block_name), "%s %.60s block 1",
                 context == WEIR_CONTEXT_POOL       ? "pool"
                 : context == WEIR_CONTEXT_LISTENER ? "listener"
                                                    : "route",
                 context == WEIR_CONTEXT_POOL ? host->pool_name : "public");
    }
    /* The hooks of a configuration run on the control thread. */
    block->ctx.worker_index = host->worker_count;
    block->next = host->blocks;
    host->blocks = block;
    if (!parse(block, text) || !run_create(block)) {
        fake_block_destroy(block);
        return NULL;
    }
    if (context == WEIR_CONTEXT_MODULE) {
        host->module_block = block;
    }
    return block;
}

bool fake_module_block_ensure(struct weir_test *host)
{
    return host->module_block != NULL || block_new(host, WEIR_CONTEXT_MODULE, "") != NULL;
}

struct weir_test_block *weir_test_conf_in(struct weir_test *host, enum weir_option_context context,
                                          const char *text)
{
    FAKE_REQUIRE(context == WEIR_CONTEXT_MODULE || context == WEIR_CONTEXT_POOL ||
                     context == WEIR_CONTEXT_LISTENER || context == WEIR_CONTEXT_ROUTE,
                 "a module is named in a module block, a listener, a route or a pool");
    fake_buffer_clear(&host->mistakes);
    if (context != WEIR_CONTEXT_MODULE && !fake_module_block_ensure(host)) {
        return NULL;
    }
    return block_new(host, context, text);
}

struct weir_test_block *weir_test_conf(struct weir_test *host, const char *text)
{
    for (size_t i = 0; i < FAKE_KIND_COUNT; i++) {
        if (host->kinds[i].present) {
            return weir_test_conf_in(host, host->kinds[i].context, text);
        }
    }
    fake_abort(__func__, "the module is of no kind");
}

const char *weir_test_mistakes(const struct weir_test *host)
{
    return fake_buffer_text(&host->mistakes);
}

const void *weir_test_block_conf(const struct weir_test_block *block)
{
    return block->conf;
}

void *weir_test_block_prepared(const struct weir_test_block *block)
{
    return block->prepared;
}

void weir_test_block_free(struct weir_test_block **block)
{
    FAKE_REQUIRE(block != NULL && *block != NULL, "there is no block");
    FAKE_REQUIRE((*block)->host->module_block != *block,
                 "others may start from the module block; weir_test_free frees it");
    fake_block_destroy(*block);
    *block = NULL;
}

/* ---- pools and routes ---- */

weir_pool_ref weir_test_add_pool(struct weir_test *host, const char *name)
{
    host->pools = fake_grow(host->pools, host->pool_count + 1, sizeof(*host->pools));
    host->pools[host->pool_count] = fake_str_copy(name);
    return (weir_pool_ref)host->pool_count++;
}

const char *weir_test_pool_name(const struct weir_test *host, weir_pool_ref pool)
{
    return pool < host->pool_count ? host->pools[pool] : NULL;
}

const char *weir_test_route_name(const struct weir_test *host, weir_route_ref route)
{
    return route < host->route_count ? host->routes[route].name : NULL;
}

size_t weir_test_route_count(const struct weir_test *host)
{
    return host->route_count;
}

void weir_test_set_pool_name(struct weir_test *host, const char *name)
{
    free(host->pool_name);
    host->pool_name = fake_str_copy(name);
}

void weir_test_set_state_dir(struct weir_test *host, const char *path)
{
    free(host->state_dir);
    host->state_dir = fake_str_copy(path);
}

/* ---- services of conf_create ---- */

void fake_check_error(struct weir_check *check, const void *field, const char *format, va_list args)
{
    struct fake_buffer *out = &check->host->mistakes;
    struct place place = conf_place_of(check->block->reading->places, field);
    check->failed = true;
    fake_buffer_printf(out, "%sconf:%u: ", out->len > 0 ? "\n" : "",
                       place.line > 0 ? place.line : 1);
    fake_buffer_vprintf(out, format, args);
}

static void tell(struct weir_check *check, const void *field, const char *format, ...)
    WEIR_PRINTF(3, 4);
static void tell(struct weir_check *check, const void *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fake_check_error(check, field, format, args);
    va_end(args);
}

bool fake_check_file(struct weir_check *check, const struct weir_str *path)
{
    if (path->len == 0 || check->host->fail_open) {
        tell(check, path, "cannot open the log file %.*s", (int)path->len, path->ptr);
        return false;
    }
    return true;
}

weir_pool_ref fake_check_pool(struct weir_check *check, const struct weir_str *name)
{
    const struct weir_test *host = check->host;
    for (size_t i = 0; i < host->pool_count; i++) {
        if (weir_str_is(*name, host->pools[i])) {
            return (weir_pool_ref)i;
        }
    }
    const char *near =
        option_nearest(name->ptr, name->len, (const char *const *)host->pools, host->pool_count);
    if (near != NULL) {
        tell(check, name, "there is no pool `%.*s`; did you mean `%s`?", (int)name->len, name->ptr,
             near);
    } else {
        tell(check, name, "there is no pool `%.*s`", (int)name->len, name->ptr);
    }
    return WEIR_NO_REF;
}

weir_route_ref fake_check_route(struct weir_check *check, const void *field, struct weir_str name)
{
    struct weir_test *host = check->host;
    for (size_t i = 0; i < host->route_count; i++) {
        if (host->routes[i].block == check->block->number &&
            weir_str_is(name, host->routes[i].name)) {
            tell(check, field, "there is already a route `%.*s`", (int)name.len, name.ptr);
            return WEIR_NO_REF;
        }
    }
    host->routes = fake_grow(host->routes, host->route_count + 1, sizeof(*host->routes));
    host->routes[host->route_count] =
        (struct fake_route){fake_copy(name.ptr, name.len), check->block->number};
    return (weir_route_ref)host->route_count++;
}
