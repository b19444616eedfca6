/* SPDX-License-Identifier: MIT */
/*
 * The descriptor and the options' tables: facts for the report, and all that is wrong with them,
 * each row by itself.
 */
#include "check.h"

#include <stdio.h>
#include <string.h>

const char *const kind_names[] = {
    [WEIR_TEST_ROUTER] = "router",   [WEIR_TEST_BALANCER] = "balancer",
    [WEIR_TEST_STICKY] = "sticky",   [WEIR_TEST_HEALTH] = "health",
    [WEIR_TEST_FILTER] = "filter",   [WEIR_TEST_HANDLER] = "handler",
    [WEIR_TEST_LOGGER] = "logger",   [WEIR_TEST_STORE] = "store",
    [WEIR_TEST_CONTROL] = "control",
};

static const char fix_descriptor[] = "WEIR_DEFINE_MODULE with this SDK's <weir/weir.h>";
static const char fix_option[] =
    "a row of WEIR_OPTION with a default within its limits, a context and a document";

/* ---- facts ---- */

static void add_text(cJSON *to, const char *name, const char *text)
{
    if (text != NULL) {
        cJSON_AddStringToObject(to, name, text);
    }
}

static const char *type_name(enum weir_option_type type)
{
    static const char *const names[] = {
        [WEIR_TYPE_STRING] = "string",
        [WEIR_TYPE_INTEGER] = "integer",
        [WEIR_TYPE_REAL] = "real",
        [WEIR_TYPE_BOOLEAN] = "boolean",
        [WEIR_TYPE_DURATION] = "duration",
        [WEIR_TYPE_SIZE] = "size",
        [WEIR_TYPE_PERCENTAGE] = "percentage",
        [WEIR_TYPE_ADDRESS] = "address",
        [WEIR_TYPE_URL] = "url",
        [WEIR_TYPE_ENUM] = "word",
        [WEIR_TYPE_LIST] = "list",
        [WEIR_TYPE_BLOCK] = "block",
    };
    return (unsigned)type < COUNT(names) && names[type] != NULL ? names[type] : "unknown";
}

static struct weir_option row_at(const struct weir_options *table, uint32_t i)
{
    struct weir_option row = {0};
    size_t size = table->option_size < sizeof(row) ? table->option_size : sizeof(row);
    memcpy(&row, (const char *)table->rows + (size_t)i * table->option_size, size);
    return row;
}

/* Where the option may stand. */
static cJSON *contexts_of(uint32_t contexts)
{
    static const char *const names[] = {"module", "listener", "route", "pool", "server", "global"};
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < COUNT(names); i++) {
        if ((contexts >> i & 1) != 0) {
            cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
        }
    }
    return list;
}

static void add_options(cJSON *to, const struct weir_options *table, const char *prefix,
                        unsigned depth)
{
    for (uint32_t i = 0; depth < 4 && i < table->count; i++) {
        struct weir_option row = row_at(table, i);
        char name[256], inner[256];
        snprintf(name, sizeof(name), "%.100s%.100s", prefix, row.name);
        cJSON *option = cJSON_CreateObject();
        cJSON_AddStringToObject(option, "name", name);
        cJSON_AddStringToObject(option, "type", type_name(row.type));
        add_text(option, "default", row.fallback);
        add_text(option, "minimum", row.minimum);
        add_text(option, "maximum", row.maximum);
        cJSON_AddBoolToObject(option, "required", (row.flags & WEIR_OPTION_REQUIRED) != 0);
        if (depth == 0) {
            cJSON_AddItemToObject(option, "contexts", contexts_of(row.contexts));
        }
        add_text(option, "document", row.document);
        cJSON_AddItemToArray(to, option);
        if (row.type == WEIR_TYPE_BLOCK) {
            snprintf(inner, sizeof(inner), "%.100s%.100s.", prefix, row.name);
            add_options(to, row.block, inner, depth + 1);
        }
    }
}

/* The table of a kind; NULL: the module is not of that kind. */
static const uint32_t *kind_table(const struct weir_module *module, int kind)
{
    const void *tables[] = {
        [WEIR_TEST_ROUTER] = module->router,   [WEIR_TEST_BALANCER] = module->balancer,
        [WEIR_TEST_STICKY] = module->sticky,   [WEIR_TEST_HEALTH] = module->health,
        [WEIR_TEST_FILTER] = module->filter,   [WEIR_TEST_HANDLER] = module->handler,
        [WEIR_TEST_LOGGER] = module->logger,   [WEIR_TEST_STORE] = module->store,
        [WEIR_TEST_CONTROL] = module->control,
    };
    return tables[kind];
}

static const size_t kind_sizes[] = {
    [WEIR_TEST_ROUTER] = sizeof(struct weir_router),
    [WEIR_TEST_BALANCER] = sizeof(struct weir_balancer),
    [WEIR_TEST_STICKY] = sizeof(struct weir_sticky),
    [WEIR_TEST_HEALTH] = sizeof(struct weir_health),
    [WEIR_TEST_FILTER] = sizeof(struct weir_filter),
    [WEIR_TEST_HANDLER] = sizeof(struct weir_handler),
    [WEIR_TEST_LOGGER] = sizeof(struct weir_logger),
    [WEIR_TEST_STORE] = sizeof(struct weir_store),
    [WEIR_TEST_CONTROL] = sizeof(struct weir_control),
};

static void check_size(const char *what, uint32_t size, size_t known)
{
    if (size > known) {
        tell(what, ".size = sizeof of the struct, as this SDK's headers have it",
             "%s says that it has %u bytes, and in ABI %d.%d it has %zu", what, size,
             WEIR_ABI_MAJOR, WEIR_ABI_MINOR, known);
    } else if (size < sizeof(uint32_t)) {
        tell(what, ".size = sizeof of the struct", "%s says that it has %u bytes", what, size);
    }
}

static void tell_facts(const struct weir_module *module)
{
    cJSON *kinds = cJSON_CreateArray(), *sizes = cJSON_CreateObject();
    cJSON *options = cJSON_CreateArray(), *facts = cJSON_CreateObject();
    char abi[32];

    snprintf(abi, sizeof(abi), "%u.%u", module->abi_major, module->abi_minor);
    add_text(facts, "name", module->name);
    add_text(facts, "version", module->version);
    add_text(facts, "license", module->license);
    add_text(facts, "summary", module->summary);
    cJSON_AddStringToObject(facts, "abi", abi);
    cJSON_AddNumberToObject(sizes, "module", module->size);
    for (int i = 0; i < (int)COUNT(kind_names); i++) {
        const uint32_t *table = kind_table(module, i);
        if (table != NULL) {
            cJSON_AddItemToArray(kinds, cJSON_CreateString(kind_names[i]));
            cJSON_AddNumberToObject(sizes, kind_names[i], *table);
        }
    }
    if (module->options != NULL) {
        add_options(options, module->options, "", 0);
    }
    cJSON_AddItemToObject(facts, "kinds", kinds);
    cJSON_AddItemToObject(facts, "sizes", sizes);
    cJSON_AddItemToObject(facts, "options", options);
    tell_fact("module", facts);
}

/* ---- what is wrong ---- */

static bool validate(const struct weir_module *module, char error[512])
{
    return weir_test_validate(module, error, 512);
}

/* How many rows are wrong by themselves. */
static size_t check_rows(const struct weir_module *bare)
{
    const struct weir_options *table = bare->options;
    struct weir_module one = *bare;
    char error[512], where[128];
    size_t wrong = 0;

    one.metrics = NULL;
    if (table == NULL || table->size < sizeof(uint32_t) * 4 || table->option_size == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < table->count && i < 1000; i++) {
        struct weir_options row = {0};
        memcpy(&row, table, table->size < sizeof(row) ? table->size : sizeof(row));
        row.rows = (const void *)((const char *)table->rows + (size_t)i * table->option_size);
        row.count = 1;
        row.size = sizeof(row);
        one.options = &row;
        if (!validate(&one, error)) {
            const char *name = row_at(table, i).name;
            snprintf(where, sizeof(where), "option %s", name != NULL ? name : "without a name");
            tell(where, fix_option, "%s", error);
            wrong++;
        }
    }
    return wrong;
}

static void check_name(const struct job *job, const struct weir_module *module)
{
    const char *slash = strrchr(job->path, '/');
    const char *file = slash != NULL ? slash + 1 : job->path;
    size_t len = strlen(module->name);

    if (strncmp(file, module->name, len) != 0 || strcmp(file + len, ".so") != 0) {
        tell("name", "the file's name without .so, in the descriptor",
             "it calls itself %s, and the file is %s", module->name, file);
    }
}

void test_describe(const struct job *job)
{
    const struct weir_module *module = child_load(job);
    struct weir_module copy = {0};
    char error[512], whole[512];
    bool good = validate(module, whole);

    if (!good && (module->size < offsetof(struct weir_module, options) ||
                  module->abi_major != WEIR_ABI_MAJOR || module->abi_minor > WEIR_ABI_MINOR)) {
        tell("descriptor", fix_descriptor, "%s", whole);
        return;
    }
    check_size("module", module->size, sizeof(*module));
    memcpy(&copy, module, module->size < sizeof(copy) ? module->size : sizeof(copy));
    for (int i = 0; i < (int)COUNT(kind_names); i++) {
        const uint32_t *table = kind_table(&copy, i);
        if (table != NULL) {
            check_size(kind_names[i], *table, kind_sizes[i]);
        }
    }
    struct weir_module bare = copy;
    bare.options = NULL;
    bare.metrics = NULL;
    size_t wrong = 0;
    if (!validate(&bare, error)) {
        tell("descriptor", fix_descriptor, "%s", error);
        wrong++;
    } else {
        bare.metrics = copy.metrics;
        if (!validate(&bare, error)) {
            tell("metrics", "rows of WEIR_METRICS, each with a name of its own and a help text",
                 "%s", error);
            wrong++;
        }
        bare.options = copy.options;
        wrong += check_rows(&bare);
    }
    if (!good && wrong == 0) {
        tell("options", fix_option, "%s", whole);
    }
    if (copy.name != NULL) {
        check_name(job, &copy);
    }
    if (good) {
        tell_facts(&copy);
    }
}
