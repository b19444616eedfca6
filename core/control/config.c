/* SPDX-License-Identifier: MIT */
/*
 * Commands on the configuration: show (without secrets), check, reload.
 */
#include <stdlib.h>

#include "control/change.h"
#include "control/config_text.h"
#include "control/users.h"
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

void run_config(struct operation *operation)
{
    const struct generation *g = operation->plane->runtime->current;
    struct secrets secrets = {NULL, 0};
    cJSON *answer = cJSON_CreateObject();
    cJSON *files = cJSON_AddArrayToObject(answer, "files");

    collect(&secrets, &global_options, 0);
    collect(&secrets, &listener_options, 0);
    collect(&secrets, &pool_options, 0);
    for (size_t i = 0; i < g->modules.count; i++) {
        collect(&secrets, g->modules.items[i]->module->descriptor.options, 0);
    }
    for (size_t i = 0; i < g->tree.file_count; i++) {
        struct config_text text;
        cJSON *file = cJSON_CreateObject();
        config_text_init(&text, g->tree.texts[i]);
        mask_nodes(&text, &secrets, g->tree.files[i], g->tree.root.children);
        char *shown = config_text_end(&text);
        json_set(file, "path", g->tree.files[i]);
        json_set(file, "text", shown);
        free(shown);
        cJSON_AddItemToArray(files, file);
    }
    free(secrets.names);
    operation_succeed(operation, 200, answer);
}

/* ---- check and reload ---- */

static cJSON *mistakes_json(const struct mistakes *mistakes)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < mistakes->count; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateString(mistakes->texts[i]));
    }
    return list;
}

/* What the files say and only a restart brings. */
cJSON *restart_json(const struct generation *g)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < g->restart_count; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateString(g->restart[i]));
    }
    return list;
}

void run_check(struct operation *operation)
{
    struct plane *plane = operation->plane;
    struct mistakes mistakes = {0};
    cJSON *answer = cJSON_CreateObject();
    struct generation *g = generation_build(plane->runtime, plane->path, false, &mistakes);

    cJSON_AddBoolToObject(answer, "ok", mistakes.count == 0);
    if (mistakes.count > 0) {
        cJSON_AddItemToObject(answer, "mistakes", mistakes_json(&mistakes));
    }
    if (g != NULL) {
        cJSON_AddItemToObject(answer, "restart_needed", restart_json(g));
        generation_free(&g);
    }
    mistakes_free(&mistakes);
    operation_succeed(operation, 200, answer);
}

enum written run_reload(struct operation *operation)
{
    struct plane *plane = operation->plane;
    plane->owner.reload(plane->owner.arg, operation, plane);
    return WRITE_GOES_ON;
}

static void reload_kept(struct change *change, const char *error)
{
    (void)error;
    struct plane *plane = change->plane;
    /* That it is not in the journal does not undo it. */
    if (change->operation != NULL) {
        cJSON *answer = cJSON_CreateObject();
        json_set_number(answer, "generation", (double)plane->runtime->current->id);
        cJSON_AddItemToObject(answer, "restart_needed", restart_json(plane->runtime->current));
        cJSON_AddItemToObject(answer, "contradictions", change->arg_json);
        change->arg_json = NULL;
        operation_succeed(change->operation, 200, answer);
    }
}

/* In force: the journal tells of it, and who asked for it hears what the files contradict. */
static void note_reload(struct plane *plane, struct operation *operation)
{
    struct change *change = change_new(plane, operation);
    cJSON *after = cJSON_CreateObject();

    json_set_number(after, "generation", (double)plane->runtime->current->id);
    change->arg_json = overlay_contradictions(plane->overlay, plane->runtime->current);
    change_note(change, "config.reload", plane->path, NULL, after);
    change->done = reload_kept;
    change_begin(change);
}

static void tell_reload(struct plane *plane)
{
    cJSON *data = cJSON_CreateObject();
    json_set_number(data, "generation", (double)plane->runtime->current->id);
    json_set_number(data, "time", (double)loop_wall_ms());
    events_tell(&plane->events, "reload", data);
}

void plane_reloaded(struct plane *plane, struct operation *operation,
                    const struct mistakes *mistakes, const char *error)
{
    if (mistakes != NULL && mistakes->count > 0 && operation != NULL) {
        operation_problem(operation, 422,
                          "the files are wrong, and the running configuration "
                          "stays: %s",
                          mistakes->texts[0]);
        cJSON_AddItemToObject(operation->answer, "mistakes", mistakes_json(mistakes));
        plane_finish(operation);
    } else if (error != NULL && operation != NULL) {
        operation_problem(operation, 503, "the running configuration stays: %s", error);
        plane_finish(operation);
    } else if ((mistakes != NULL && mistakes->count > 0) || error != NULL) {
        plane->busy = false;
        plane_continue(plane);
    } else if (operation != NULL || store_is_well(plane->store)) {
        admin_token_reread(users_admin_token(plane->users));
        tell_reload(plane);
        note_reload(plane, operation);
    } else {
        admin_token_reread(users_admin_token(plane->users));
        tell_reload(plane);
        plane->busy = false;
        plane_continue(plane);
    }
}
