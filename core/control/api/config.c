/* SPDX-License-Identifier: MIT */
/*
 * Commands on the configuration: show (without secrets), check, reload.
 */
#include <stdlib.h>

#include "control/change/change.h"
#include "control/api/config_text.h"
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

/* The servers of which nothing, or less, is set at run time now, since the files have it. */
static cJSON *settled_names(const cJSON *settled)
{
    cJSON *names = cJSON_CreateArray();
    const cJSON *entry = NULL;

    cJSON_ArrayForEach(entry, settled)
    {
        cJSON_AddItemToArray(names, cJSON_CreateString(entry->string));
    }
    return names;
}

/* The program has started: what the files have by now need not be kept beside them. */
void plane_started(struct plane *plane)
{
    cJSON *settled = overlay_settle(plane->overlay, plane->runtime->current);

    if (settled != NULL && store_is_well(plane->store)) {
        struct change *change = change_new(plane, NULL);
        change->settled = settled;
        change_begin(change);
    } else {
        cJSON_Delete(settled);
        plane_rebuilt(plane); /* what was wanted meanwhile comes now */
    }
}

static void reload_kept(struct change *change, const char *error)
{
    struct plane *plane = change->plane;
    /* That it is not in the journal does not undo it. */
    if (change->operation != NULL) {
        cJSON *answer = cJSON_CreateObject();
        json_set_number(answer, "generation", (double)plane->runtime->current->id);
        cJSON_AddItemToObject(answer, "restart_needed", restart_json(plane->runtime->current));
        cJSON_AddItemToObject(answer, "contradictions", change->arg_json);
        change->arg_json = NULL;
        cJSON_AddItemToObject(answer, "settled",
                              settled_names(error == NULL ? change->settled : NULL));
        operation_succeed(change->operation, 200, answer);
    }
}

/* In force: the journal tells of it, and who asked for it hears what the files contradict. */
static void note_reload(struct plane *plane, struct operation *operation)
{
    struct change *change = change_new(plane, operation);
    cJSON *after = cJSON_CreateObject();

    json_set_number(after, "generation", (double)plane->runtime->current->id);
    change->settled = overlay_settle(plane->overlay, plane->runtime->current);
    if (change->settled != NULL) {
        cJSON_AddItemToObject(after, "settled", settled_names(change->settled));
    }
    change->arg_json = overlay_contradictions(plane->overlay, plane->runtime->current);
    change_note(change, "config.reload", plane->path, NULL, after);
    change->done = reload_kept;
    change_begin(change);
}

/* The first mistakes are enough to go on with; all of them are in the log. */
#define MISTAKES_TOLD 20u

/* What came of a reload: for the status, for who listens, and (`detail` NULL: it is in force) for the metrics. */
static void report_reload(struct plane *plane, const struct operation *operation,
                          const char *detail, const struct mistakes *mistakes)
{
    struct reloads *reloads = &plane->runtime->reloads;
    cJSON *report = cJSON_CreateObject();

    json_set_number(report, "generation", (double)plane->runtime->current->id);
    json_set_number(report, "time", (double)loop_wall_ms());
    json_set(report, "author", operation != NULL ? operation->author : "weir");
    json_set(report, "result", detail != NULL ? "refused" : "done");
    json_set(report, "detail", detail);
    cJSON *list = cJSON_AddArrayToObject(report, "mistakes");
    for (size_t i = 0; mistakes != NULL && i < mistakes->count && i < MISTAKES_TOLD; i++) {
        cJSON_AddItemToArray(list, cJSON_CreateString(mistakes->texts[i]));
    }
    json_set_number(report, "mistake_count", (double)(mistakes != NULL ? mistakes->count : 0));
    cJSON_Delete(plane->last_reload);
    plane->last_reload = report;
    reloads->done += detail == NULL;
    reloads->refused += detail != NULL;
    reloads->done_wall_ms = detail == NULL ? loop_wall_ms() : reloads->done_wall_ms;
    reloads->last_refused = detail != NULL;
    events_tell(&plane->events, "reload", cJSON_Duplicate(report, true));
}

/* Nothing has changed, be the journal kept or not. */
static void refusal_kept(struct change *change, const char *error)
{
    const cJSON *report = change->arg_json;
    const cJSON *mistakes = cJSON_GetObjectItemCaseSensitive(report, "mistakes");
    bool wrong = cJSON_GetArraySize(mistakes) > 0;
    (void)error;

    if (change->operation != NULL) {
        operation_problem(change->operation, wrong ? 422 : 503,
                          wrong ? "the files are wrong, and the running configuration stays: %s"
                                : "the running configuration stays: %s",
                          operation_text(report, "detail"));
        if (wrong) {
            cJSON_AddItemToObject(change->operation->answer, "mistakes",
                                  cJSON_Duplicate(mistakes, true));
        }
    }
}

/* The journal tells who has tried what. */
static void note_refusal(struct plane *plane, struct operation *operation)
{
    struct change *change = change_new(plane, operation);
    cJSON *after = cJSON_CreateObject();

    json_set(after, "detail", operation_text(plane->last_reload, "detail"));
    change_note(change, "config.reload", plane->path, NULL, after);
    cJSON_ReplaceItemInObjectCaseSensitive(change->journal, "state", cJSON_CreateString("refused"));
    change->arg_json = cJSON_Duplicate(plane->last_reload, true);
    change->done = refusal_kept;
    change_begin(change);
}

void plane_reloaded(struct plane *plane, struct operation *operation,
                    const struct mistakes *mistakes, const char *error)
{
    const char *refused = mistakes != NULL && mistakes->count > 0 ? mistakes->texts[0] : error;

    if (refused == NULL) {
        admin_token_reread(users_admin_token(plane->users));
    }
    report_reload(plane, operation, refused, mistakes);
    if (operation == NULL && !store_is_well(plane->store)) {
        plane->busy = false; /* nobody waits for an answer */
        plane_continue(plane);
    } else if (refused != NULL) {
        note_refusal(plane, operation);
    } else {
        note_reload(plane, operation);
    }
}
