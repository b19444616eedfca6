/* SPDX-License-Identifier: MIT */
/*
 * The services of control.h for modules of the kind `control`: what an operation was asked, and
 * what it answers; the table of all of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "control/api/arguments.h"
#include "control/api/plane.h"
#include "control/api/services.h"
#include "module/context.h"

static void caller(struct weir_control_operation *given, struct weir_caller *out)
{
    const struct operation *operation = operation_of(given);
    out->role = operation->role;
    out->author = str_from(operation->author);
}

/* Which of the path's parameters that is; NULL: none. */
static const char *parameter(const struct operation *operation, const char *name)
{
    const char *at = operation->command->row.path;
    size_t len = strlen(name);

    for (size_t i = 0; i < ARRAY_COUNT(operation->params); i++) {
        at = strchr(at, '{');
        if (at == NULL) {
            return NULL;
        }
        if (strncmp(++at, name, len) == 0 && at[len] == '}') {
            return operation->params[i];
        }
    }
    return NULL;
}

static const cJSON *member(const struct operation *operation, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(operation->query, name);
    return item != NULL ? item : cJSON_GetObjectItemCaseSensitive(operation->body, name);
}

static struct weir_str text(struct weir_control_operation *given, const char *name)
{
    const struct operation *operation = operation_of(given);
    const char *found = parameter(operation, name);

    if (found == NULL) {
        found = cJSON_GetStringValue(member(operation, name));
    }
    return str_from(found);
}

static int64_t number(struct weir_control_operation *given, const char *name, int64_t fallback)
{
    const struct operation *operation = operation_of(given);
    const cJSON *item = member(operation, name);
    uint64_t ms = 0;

    if (strcmp(name, "confirm") == 0 && operation->confirm_ms > 0) {
        return (int64_t)operation->confirm_ms;
    }
    if (cJSON_IsBool(item)) {
        return cJSON_IsTrue(item);
    }
    if (cJSON_IsString(item) && parse_duration_ms(item->valuestring, &ms)) {
        return (int64_t)ms;
    }
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : fallback;
}

static void answer(struct weir_control_operation *given, const struct weir_control_answer *what)
{
    struct operation *operation = operation_of(given);

    operation_succeed(operation, what->status, NULL);
    free(operation->text);
    free(operation->etag);
    free(operation->location);
    operation->text = what->body.len > 0 ? base_strndup(what->body.ptr, what->body.len) : NULL;
    operation->etag =
        what->etag.len > 2 ? base_strndup(what->etag.ptr + 1, what->etag.len - 2) : NULL;
    operation->location =
        what->location.len > 0 ? base_strndup(what->location.ptr, what->location.len) : NULL;
}

static void problem(struct weir_control_operation *given, uint32_t status, const char *pointer,
                    const char *format, va_list args) __attribute__((format(printf, 4, 0)));
static void problem(struct weir_control_operation *given, uint32_t status, const char *pointer,
                    const char *format, va_list args)
{
    struct operation *operation = operation_of(given);
    char detail[1024];

    vsnprintf(detail, sizeof(detail), format, args);
    free(operation->text);
    operation->text = NULL;
    if (pointer != NULL && status == 422) {
        operation_invalid(operation, pointer, "%s", detail);
    } else {
        operation_problem(operation, status, "%s", detail);
    }
}

static bool matches(struct weir_control_operation *given, const char *etag)
{
    return operation_matches(operation_of(given), etag);
}

/* ---- work on another thread ---- */

#define WORK_MAX 32u /* queued */

struct module_work {
    struct job job;
    struct provider *provider;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void run_work(struct job *job)
{
    struct module_work *work = container_of(job, struct module_work, job);
    work->work(work->arg);
}

static void work_done(struct job *job)
{
    struct module_work *work = container_of(job, struct module_work, job);
    work->done(work->arg);
    provider_unref(work->provider);
    free(work);
}

static struct provider *provider_at(const struct providers *providers, struct weir_context *ctx)
{
    list_each(link, (struct list *)(uintptr_t)&providers->list)
    {
        struct provider *provider = container_of(link, struct provider, link);
        if (provider_context(provider) == ctx) {
            return provider;
        }
    }
    return NULL;
}

static bool control_work(struct weir_context *ctx, void (*work)(void *arg), void (*done)(void *arg),
                         void *arg)
{
    struct plane *plane = control_services_plane();
    struct provider *provider = provider_at(&plane->providers, ctx);

    if (provider == NULL || plane->ended || jobs_count(&plane->work) >= WORK_MAX) {
        return false;
    }
    struct module_work *job = base_zalloc(sizeof(*job));
    *job = (struct module_work){{.run = run_work, .done = work_done}, provider, work, done, arg};
    if (!jobs_add(&plane->work, &job->job)) {
        free(job);
        return false;
    }
    provider_ref(provider);
    return true;
}

static void control_event(struct weir_context *ctx, const char *name, struct weir_str data)
{
    cJSON *json = cJSON_ParseWithLength(data.ptr, data.len);
    (void)ctx;
    if (json != NULL) {
        events_tell(&control_services_plane()->events, name, json);
    }
}

/* ---- the table ---- */

/* Whether both paths begin with the same segment. */
static bool same_folder(const struct command *a, const struct command *b)
{
    size_t len = strcspn(a->row.path + 1, "/");
    return strcspn(b->row.path + 1, "/") == len &&
           strncmp(a->row.path + 1, b->row.path + 1, len) == 0;
}

/* The core's rows, and behind those of a folder the modules' of the same; then what is left of
 * them. */
static void control_operations(struct weir_context *ctx,
                               void (*operation)(void *arg, const struct weir_operation *operation),
                               void (*schema)(void *arg, const struct weir_schema *schema),
                               void *arg)
{
    const struct plane *plane = control_services_plane();
    const struct command_table *table = &plane->commands;
    const struct command *rows[512];
    size_t count = 0;
    (void)ctx;

    commands_each(command, table)
    {
        size_t at = count;
        if (count == ARRAY_COUNT(rows)) {
            break;
        }
        for (size_t i = count; command->provider != NULL && i > 0 && at == count; i--) {
            at = same_folder(rows[i - 1], command) ? i : at;
        }
        memmove(rows + at + 1, rows + at, (count - at) * sizeof(*rows));
        rows[at] = command;
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        operation(arg, &rows[i]->row);
    }
    for (const struct weir_schema *row = answer_schemas; row->name != NULL; row++) {
        schema(arg, row);
    }
    for (struct provider *provider = provider_with(&plane->providers, schemas); provider != NULL;
         provider =
             providers_next(&plane->providers, provider, offsetof(struct weir_control, schemas))) {
        for (const struct weir_schema *row = provider->ops->schemas; row->name != NULL; row++) {
            schema(arg, row);
        }
    }
}

void provider_services_fill(struct weir_host *host)
{
    host->operation_caller = caller;
    host->operation_text = text;
    host->operation_number = number;
    host->operation_answer = answer;
    host->operation_problem = problem;
    host->operation_matches = matches;
    host->control_work = control_work;
    host->control_event = control_event;
    host->control_operations = control_operations;
}
