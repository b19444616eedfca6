/* SPDX-License-Identifier: MIT */
/*
 * Configurations: ones that a module takes, ones at random, and ones that are wrong.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONF_MAX 16384

/* splitmix64 */
uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* ---- values ---- */

struct writer {
    char *out;
    size_t size, len;
    const char *folder;
    uint64_t *random;
};

static void put(struct writer *to, const char *format, ...) WEIR_PRINTF(2, 3);
static void put(struct writer *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(to->out + to->len, to->size - to->len, format, args);
    va_end(args);
    to->len += len > 0 && (size_t)len < to->size - to->len ? (size_t)len : 0;
    to->out[to->len] = '\0';
}

static void put_string(struct writer *to, const struct weir_option *row)
{
    static const char *const words[] = {"a",      "b",   "/",         "/a",         "web",
                                        "X-Test", "id",  "address",   "cookie:id",  "header:X-Test",
                                        "path",   "200", "text/html", "www.example"};
    if (row->flags & WEIR_OPTION_PATH) {
        put(to, "\"%s/%u\"", to->folder, random_below(to->random, 3));
    } else {
        put(to, "\"%s\"", words[random_below(to->random, COUNT(words))]);
    }
}

static void put_scalar(struct writer *to, const struct weir_option *row, enum weir_option_type type)
{
    static const char *const numbers[] = {"0", "1", "2", "10", "100", "4096"};
    static const char *const durations[] = {"0", "1ms", "250ms", "1s", "10s", "5m", "1h"};
    static const char *const sizes[] = {"0", "1", "512", "1k", "64k", "1m"};
    static const char *const parts[] = {"0%", "1%", "20%", "50%", "100%"};
    const char *ends[] = {row->fallback, row->minimum, row->maximum};
    const char *end = ends[random_below(to->random, 3)];
    uint64_t *random = to->random;

    if (end != NULL && row->type == type && type != WEIR_TYPE_STRING && type != WEIR_TYPE_ENUM &&
        type != WEIR_TYPE_ADDRESS && type != WEIR_TYPE_URL) {
        put(to, "%s", end);
        return;
    }
    switch (type) {
    case WEIR_TYPE_INTEGER:
    case WEIR_TYPE_REAL: put(to, "%s", numbers[random_below(random, COUNT(numbers))]); break;
    case WEIR_TYPE_BOOLEAN: put(to, "%s", chance(random, 50) ? "on" : "off"); break;
    case WEIR_TYPE_DURATION:
        put(to, "%s", durations[random_below(random, COUNT(durations))]);
        break;
    case WEIR_TYPE_SIZE: put(to, "%s", sizes[random_below(random, COUNT(sizes))]); break;
    case WEIR_TYPE_PERCENTAGE: put(to, "%s", parts[random_below(random, COUNT(parts))]); break;
    case WEIR_TYPE_ADDRESS:
        put(to, "\"%s\"", row->flags & WEIR_OPTION_NETWORK ? "10.0.0.0/8" : "127.0.0.1:8080");
        break;
    case WEIR_TYPE_URL: put(to, "\"http://127.0.0.1:8080/a\""); break;
    case WEIR_TYPE_ENUM: {
        uint32_t count = 0;
        while (row->names != NULL && row->names[count] != NULL) {
            count++;
        }
        put(to, "\"%s\"", count > 0 ? row->names[random_below(random, count)] : "");
        break;
    }
    default: put_string(to, row); break;
    }
}

static void put_options(struct writer *to, const struct weir_options *table, uint32_t context,
                        uint32_t part, unsigned depth);

static void put_row(struct writer *to, const struct weir_option *row, uint32_t part, unsigned depth)
{
    static const char *const titles[] = {"a", "b", "/", "/a", "X-Test"};

    if (row->type == WEIR_TYPE_BLOCK) {
        bool titled = (row->flags & WEIR_OPTION_UNTITLED) == 0 && row->block != NULL &&
                      row->block->title_offset != WEIR_NO_TITLE;
        put(to, "%s ", row->name);
        if (titled) {
            put(to, "\"%s\" ", titles[random_below(to->random, COUNT(titles))]);
        }
        put(to, "{\n");
        if (row->block != NULL && depth < 3) {
            put_options(to, row->block, UINT32_MAX, part, depth + 1);
        }
        put(to, "}\n");
    } else if (row->type == WEIR_TYPE_LIST) {
        uint32_t count = random_below(to->random, 4);
        put(to, "%s = {", row->name);
        for (uint32_t i = 0; i < count; i++) {
            put(to, i > 0 ? ", " : "");
            put_scalar(to, row, row->element);
        }
        put(to, "}\n");
    } else {
        put(to, "%s = ", row->name);
        put_scalar(to, row, row->type);
        put(to, "\n");
    }
}

static void put_options(struct writer *to, const struct weir_options *table, uint32_t context,
                        uint32_t part, unsigned depth)
{
    for (uint32_t i = 0; i < table->count; i++) {
        struct weir_option row = {0};
        memcpy(&row, (const char *)table->rows + (size_t)i * table->option_size,
               table->option_size < sizeof(row) ? table->option_size : sizeof(row));
        bool here = depth > 0 || (row.contexts & context) != 0;
        bool wanted = (row.flags & WEIR_OPTION_REQUIRED) != 0 || chance(to->random, part);
        if (here && wanted) {
            put_row(to, &row, part, depth);
        }
    }
}

void random_conf(const struct weir_options *table, uint32_t context, uint32_t part,
                 const char *folder, uint64_t *random, char *out, size_t size)
{
    struct writer writer = {.out = out, .size = size, .folder = folder, .random = random};
    out[0] = '\0';
    if (table != NULL) {
        put_options(&writer, table, context, part, 0);
    }
}

/* ---- blocks ---- */

static uint32_t contexts_of(const struct weir_options *table)
{
    uint32_t all = 0;
    for (uint32_t i = 0; table != NULL && i < table->count; i++) {
        struct weir_option row = {0};
        memcpy(&row, (const char *)table->rows + (size_t)i * table->option_size,
               table->option_size < sizeof(row) ? table->option_size : sizeof(row));
        all |= row.contexts;
    }
    return all;
}

enum weir_option_context context_of(const struct weir_module *module, int kind)
{
    uint32_t contexts = contexts_of(module->options);

    switch (kind) {
    case WEIR_TEST_ROUTER:
    case WEIR_TEST_LOGGER:
    case WEIR_TEST_STORE:
    case WEIR_TEST_CONTROL: return WEIR_CONTEXT_MODULE;
    case WEIR_TEST_HANDLER: return WEIR_CONTEXT_LISTENER;
    case WEIR_TEST_FILTER:
        return (contexts & WEIR_CONTEXT_POOL) != 0 || (contexts & WEIR_CONTEXT_LISTENER) == 0
                   ? WEIR_CONTEXT_POOL
                   : WEIR_CONTEXT_LISTENER;
    default: return WEIR_CONTEXT_POOL;
    }
}

void furnish(struct weir_test *host, const struct command *command)
{
    static const char *const pools[] = {"a", "b", "web", "/a"};
    for (size_t i = 0; i < COUNT(pools); i++) {
        weir_test_add_pool(host, pools[i]);
    }
    weir_test_set_state_dir(host, command->folder);
}

/* The first that the module takes: nothing, or what is required, at random. */
static struct weir_test_block *find_block(struct weir_test *host, const struct weir_module *module,
                                          enum weir_option_context context,
                                          const struct command *command, char *text)
{
    uint64_t random = 1;

    text[0] = '\0';
    struct weir_test_block *block = weir_test_conf_in(host, context, text);
    for (int i = 0; block == NULL && i < 300; i++) {
        random_conf(module->options, context, i < 100 ? 0 : 20, command->folder, &random, text,
                    CONF_MAX);
        block = weir_test_conf_in(host, context, text);
    }
    return block;
}

bool module_block(struct weir_test *host, const struct weir_module *module, int kind,
                  const struct command *command)
{
    char text[CONF_MAX];
    return context_of(module, kind) == WEIR_CONTEXT_MODULE ||
           find_block(host, module, WEIR_CONTEXT_MODULE, command, text) != NULL;
}

/* A configuration to go on with. */
void test_conf(const struct job *job)
{
    const struct weir_module *module = child_load(job);
    struct weir_test *host = weir_test_new(module);
    enum weir_option_context context = context_of(module, job->kind);
    struct weir_test_block *block = NULL;
    char text[CONF_MAX] = "";

    if (host == NULL) {
        tell("load", "WEIR_OK, or a log line that says what is wrong", "load failed");
        return;
    }
    furnish(host, job->command);
    if (!module_block(host, module, job->kind, job->command)) {
        tell("module block", "options that are right without more, or a good --conf",
             "no module block that this program makes is taken: %s", weir_test_mistakes(host));
    } else if (job->command->conf != NULL) {
        block = weir_test_conf_in(host, context, job->command->conf);
        snprintf(text, sizeof(text), "%s", job->command->conf);
    } else {
        block = find_block(host, module, context, job->command, text);
    }
    if (block != NULL) {
        tell_fact("conf", cJSON_CreateString(text));
    } else {
        tell("configuration", "a configuration that the module takes, by --conf TEXT",
             "its %s cannot be tested, since it takes no configuration that was tried: %s",
             kind_names[job->kind], weir_test_mistakes(host));
    }
    (void)!weir_test_free(&host);
}

/* ---- mistakes ---- */

/* A value that no option of that type takes. */
static const char *wrong_value(enum weir_option_type type)
{
    switch (type) {
    case WEIR_TYPE_BLOCK: return "= 1";
    case WEIR_TYPE_STRING: return "{ }";
    case WEIR_TYPE_LIST: return "{ a = 1 }";
    default: return "= \"no such value\"";
    }
}

static void refuse(struct weir_test *host, enum weir_option_context context, const char *where,
                   const char *text)
{
    struct weir_test_block *block = weir_test_conf_in(host, context, text);
    if (block != NULL) {
        tell(where, "a value that its type does not allow is a mistake",
             "it takes the configuration \"%s\"", text);
    } else if (weir_test_mistakes(host)[0] == '\0') {
        tell(where, "weir_check_error, with what would be right",
             "it refuses \"%s\" and says nothing", text);
    }
}

static void all_wrong(struct weir_test *host, const struct weir_module *module,
                      enum weir_option_context context)
{
    char text[512], where[256];

    refuse(host, context, "an unknown option", "no_such_option_of_anybody = 1");
    for (uint32_t i = 0; module->options != NULL && i < module->options->count; i++) {
        struct weir_option row = {0};
        memcpy(&row, (const char *)module->options->rows + (size_t)i * module->options->option_size,
               module->options->option_size < sizeof(row) ? module->options->option_size
                                                          : sizeof(row));
        if ((row.contexts & (uint32_t)context) != 0) {
            snprintf(text, sizeof(text), "%s %s", row.name, wrong_value(row.type));
            snprintf(where, sizeof(where), "option %s", row.name);
            refuse(host, context, where, text);
        }
    }
}

struct options_once {
    const struct job *job;
    const struct weir_module *module;
    uint64_t seed;
    uint32_t tries;
};

/* Blocks at random, of which some are right; all are taken back. */
static void some_blocks(void *arg)
{
    const struct options_once *once = arg;
    struct weir_test *host = weir_test_new(once->module);
    enum weir_option_context context = context_of(once->module, once->job->kind);
    uint64_t random = once->seed;
    char text[CONF_MAX];

    if (host == NULL) {
        return;
    }
    furnish(host, once->job->command);
    weir_test_seed(host, once->seed);
    if (module_block(host, once->module, once->job->kind, once->job->command)) {
        all_wrong(host, once->module, context);
        for (uint32_t i = 0; i < once->tries; i++) {
            weir_test_fail_secret(host, chance(&random, 10));
            weir_test_fail_files(host, chance(&random, 10), false);
            random_conf(once->module->options, (uint32_t)context, 10 + random_below(&random, 60),
                        once->job->command->folder, &random, text, sizeof(text));
            struct weir_test_block *block = weir_test_conf_in(host, context, text);
            if (block != NULL && context != WEIR_CONTEXT_MODULE) {
                weir_test_block_free(&block);
            }
        }
    }
    (void)!weir_test_free(&host);
}

void test_options(const struct job *job)
{
    struct options_once once = {.job = job, .module = child_load(job), .tries = 20};
    const struct growth none = {0, 0, 0};

    for (uint64_t i = 0; i < job->command->seeds; i++) {
        once.seed = job->command->seed + i;
        child_at_seed(once.seed);
        some_blocks(&once);
    }
    child_at_seed(0);
    struct growth growth = measure_growth(some_blocks, &once);
    tell_growth(&none, &growth, "conf_create",
                "free what was made where conf_create fails, and in conf_free where it does not");
}
