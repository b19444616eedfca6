/* SPDX-License-Identifier: MIT */
/*
 * Commands on the configuration: show (without secrets), check.
 */
#include <stdlib.h>

#include "control/api/config_text.h"
#include "control/api/show.h"
#include "option/option_value.h"

/* ---- which settings are secrets ---- */

struct secrets {
    const char **names;
    size_t count;
};

static void collect(struct secrets *secrets, const struct weir_options *options, unsigned depth)
{
    for (uint32_t i = 0; options != NULL && depth < 8 && i < options->count; i++) {
        const struct weir_option *row = option_row(options, i);
        if (row->flags & WEIR_OPTION_SECRET) {
            secrets->names =
                base_realloc(secrets->names, (secrets->count + 1) * sizeof(*secrets->names));
            secrets->names[secrets->count++] = row->name;
        }
        if (row->type == WEIR_TYPE_BLOCK) {
            collect(secrets, row->block, depth + 1);
        }
    }
}

static bool is_secret(const struct secrets *secrets, struct weir_str name)
{
    for (size_t i = 0; i < secrets->count; i++) {
        if (str_equal(name, str_from(secrets->names[i]))) {
            return true;
        }
    }
    return false;
}

static void mask_nodes(struct config_text *text, const struct secrets *secrets, const char *file,
                       const struct conf_node *node)
{
    for (; node != NULL; node = node->next) {
        if (node->kind == CONF_BLOCK) {
            mask_nodes(text, secrets, file, node->children);
        } else if (is_secret(secrets, node->name) && node->place.file != NULL &&
                   strcmp(node->place.file, file) == 0) {
            config_text_mask(text, node);
        }
    }
}

static void run_config(struct operation *operation)
{
    const struct generation *g = operation->plane->runtime->current;
    struct secrets secrets = {NULL, 0};
    cJSON *answer = cJSON_CreateObject();
    cJSON *files = cJSON_AddArrayToObject(answer, "files");

    collect(&secrets, &global_options, 0);
    collect(&secrets, &listener_options, 0);
    collect(&secrets, &pool_options, 0);
    for (size_t i = 0; i < g->plan->modules.count; i++) {
        collect(&secrets, g->plan->modules.items[i]->module->descriptor.options, 0);
    }
    for (size_t i = 0; i < g->plan->tree.file_count; i++) {
        struct config_text text;
        config_text_init(&text, g->plan->tree.texts[i]);
        mask_nodes(&text, &secrets, g->plan->tree.files[i], g->plan->tree.root.children);
        show_file(files, g->plan->tree.files[i], config_text_end(&text));
    }
    free(secrets.names);
    operation_succeed(operation, 200, answer);
}

/* ---- check ---- */

static void run_check(struct operation *operation)
{
    struct plane *plane = operation->plane;
    struct mistakes mistakes = {0};
    cJSON *answer = cJSON_CreateObject();
    struct generation *g = generation_build(plane->runtime, plane->path, false, &mistakes);

    cJSON_AddBoolToObject(answer, "ok", mistakes.count == 0);
    if (mistakes.count > 0) {
        cJSON_AddItemToObject(answer, "mistakes", show_mistakes(&mistakes, mistakes.count));
    }
    if (g != NULL) {
        cJSON_AddItemToObject(answer, "restart_needed", show_restart(g));
        generation_free(&g);
    }
    mistakes_free(&mistakes);
    operation_succeed(operation, 200, answer);
}

const struct command config_commands[] = {
    READ_AS("config.show", ADMIN, "GET", "/config", NULL, NULL, "Files", run_config,
            "The files as read, with secrets masked."),
    READ_AS("config.check", ADMIN, "POST", "/config/check", NULL, NULL, "Check", run_check,
            "Reads and checks the files; changes nothing."),
    COMMANDS_END,
};
