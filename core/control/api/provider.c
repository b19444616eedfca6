/* SPDX-License-Identifier: MIT */
/*
 * Modules of the kind `control`. See provider.h.
 */
#include "control/api/provider.h"

#include <stdlib.h>

#include "base/log.h"
#include "control/api/plane.h"
#include "control/api/resident.h"
#include "module/module_abi.h"

struct weir_context *provider_context(const struct provider *provider)
{
    return &provider->resident->context.base;
}

struct call *provider_call(const struct provider *provider)
{
    return call_begin(&provider->resident->context, HOOK_OPERATION);
}

/* ---- their rows ---- */

static enum written run(struct operation *operation)
{
    const struct provider *provider = operation->command->provider;
    struct call *call = provider_call(provider);
    enum written written = (enum written)operation->command->row.run(
        provider_context(provider), provider->instance,
        (struct weir_control_operation *)(void *)operation);
    call_end(call);
    return written;
}

static void run_read(struct operation *operation)
{
    operation->later = run(operation) == WRITE_GOES_ON;
}

/* Whether the table has that name already, or that path with that method. */
static bool is_taken(const struct command_table *table, const struct weir_operation *row)
{
    commands_each(command, table)
    {
        if (strcmp(command->row.name, row->name) == 0 ||
            (strcmp(command->row.path, row->path) == 0 &&
             strcmp(command->row.method, row->method) == 0)) {
            return true;
        }
    }
    return false;
}

/* Once: operations that run point to them. */
static void add_rows(struct provider *provider)
{
    struct command_table *table = &provider->all->plane->commands;
    struct command *to = provider->commands;

    for (size_t i = 0; i < provider->ops->operation_count; i++) {
        *to = (struct command){.provider = provider};
        module_operation(provider->ops, i, &to->row);
        if (is_taken(table, &to->row)) {
            log_write(WEIR_LOG_ERROR, provider->resident->module->name,
                      "the operation %s (%s %s) is left out: there is one already", to->row.name,
                      to->row.method, to->row.path);
            continue;
        }
        if ((to->row.flags & WEIR_OPERATION_WRITES) != 0) {
            to->write = run;
        } else {
            to->read = run_read;
        }
        to++;
    }
    *to = (struct command)COMMANDS_END;
    commands_add(table, provider->commands);
}

/* ---- the life of one ---- */

static void destroy(struct provider *provider)
{
    task_cancel(&provider->destruction);
    if (provider->instance != NULL && provider->ops->destroy != NULL) {
        struct call *call = call_begin(&provider->resident->context, HOOK_DESTROY);
        provider->ops->destroy(provider_context(provider), provider->instance);
        call_end(call);
    }
    list_remove(&provider->link);
    resident_free(&provider->resident);
    free(provider->commands);
    free(provider);
}

static void destroy_later(struct task *task)
{
    struct provider *provider = container_of(task, struct provider, destruction);

    if (provider->refs == 0) { /* it has begun nothing meanwhile */
        destroy(provider);
    }
}

void provider_ref(struct provider *provider)
{
    provider->refs++;
}

/* On a turn of its own: its code may be what gave the reference back. */
static void destroy_if_over(struct provider *provider)
{
    if (provider->left && provider->refs == 0) {
        task_queue(provider->all->plane->self->loop, &provider->destruction);
    }
}

void provider_unref(struct provider *provider)
{
    ASSERT(provider->refs > 0);
    provider->refs--;
    destroy_if_over(provider);
}

/* Makes the instance, which gets what is kept. */
static void begin(struct provider *provider)
{
    const struct weir_control *ops = provider->ops;
    const struct resident *resident = provider->resident;
    struct weir_context *ctx = provider_context(provider);
    const cJSON *item = NULL;

    enum weir_status status = WEIR_OK;

    provider->instance = resident->prepared;
    if (ops->create != NULL) {
        struct call *call = call_begin(&provider->resident->context, HOOK_CREATE);
        status = ops->create(ctx, resident->conf, resident->prepared, &provider->instance);
        call_end(call);
    }
    if (status != WEIR_OK) {
        log_write(WEIR_LOG_ERROR, resident->module->name,
                  "its operations are not there: create failed");
        provider->instance = NULL;
        return;
    }
    provider->ready = true;
    add_rows(provider);
    if (ops->space != NULL && ops->take != NULL) {
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(provider->all->kept, ops->space))
        {
            struct call *call = provider_call(provider);
            ops->take(ctx, provider->instance, str_from(item->string),
                      str_from(cJSON_GetStringValue(item)));
            call_end(call);
        }
    }
}

static void provider_new(struct providers *providers, const struct plan *plan,
                         const struct use *use)
{
    struct plane *plane = providers->plane;
    struct resident *resident = resident_new(use, plan, plane->self->loop);

    if (resident == NULL) {
        return;
    }
    struct provider *provider = base_zalloc(sizeof(*provider));
    provider->all = providers;
    provider->resident = resident;
    provider->ops = &resident->module->control;
    provider->commands =
        base_zalloc((provider->ops->operation_count + 1) * sizeof(*provider->commands));
    provider->destruction.fn = destroy_later;
    list_push_back(&providers->list, &provider->link);
    const char *space = provider->ops->space;
    if (space != NULL && !cJSON_HasObjectItem(providers->kept, space)) {
        cJSON_AddObjectToObject(providers->kept, space);
        providers->load(plane, space); /* and then providers_ready */
    } else {
        begin(provider);
    }
}

/* ---- all of them ---- */

#define each_provider(provider, providers)                                                       \
    list_each(link_, (struct list *)(uintptr_t) &                                                \
                         (providers)->list) for (struct provider *provider =                     \
                                                     container_of(link_, struct provider, link); \
                                                 provider != NULL; provider = NULL)

void providers_init(struct providers *providers, struct plane *plane)
{
    *providers = (struct providers){
        .plane = plane, .kept = cJSON_CreateObject(), .documents = cJSON_CreateArray()};
    list_init(&providers->list);
}

void providers_end(struct providers *providers)
{
    each_provider(provider, providers)
    {
        destroy(provider);
    }
    cJSON_Delete(providers->kept);
    cJSON_Delete(providers->documents);
}

static struct provider *provider_of(const struct providers *providers, const struct use *use)
{
    each_provider(provider, providers)
    {
        if (!provider->left && resident_is(provider->resident, use)) {
            return provider;
        }
    }
    return NULL;
}

static bool is_used(const struct provider *provider, const struct generation *generation)
{
    for (size_t i = 0; i < generation->plan->modules.count; i++) {
        if (resident_is(provider->resident, generation->plan->modules.items[i])) {
            return true;
        }
    }
    return false;
}

void providers_adopt(struct providers *providers, const struct generation *generation)
{
    struct command_table *table = &providers->plane->commands;

    table->count = table->core;
    each_provider(provider, providers)
    {
        if (!provider->left && !is_used(provider, generation)) {
            provider->left = true;
            destroy_if_over(provider);
        } else if (provider->ready && !provider->left) {
            commands_add(table, provider->commands);
        }
    }
    for (size_t i = 0; i < generation->plan->modules.count; i++) {
        const struct use *use = generation->plan->modules.items[i];
        if (module_has_kind(use->module, MODULE_CONTROL) && provider_of(providers, use) == NULL) {
            provider_new(providers, generation->plan, use);
        }
    }
}

void providers_ready(struct providers *providers, const char *space)
{
    each_provider(provider, providers)
    {
        if (!provider->ready && !provider->left && provider->ops->space != NULL &&
            strcmp(provider->ops->space, space) == 0) {
            begin(provider);
        }
    }
}

void providers_reloaded(struct providers *providers)
{
    struct provider *provider = NULL;
    size_t hook = offsetof(struct weir_control, on_reload);

    while ((provider = providers_next(providers, provider, hook)) != NULL) {
        struct call *call = provider_call(provider);
        provider->ops->on_reload(provider_context(provider), provider->instance);
        call_end(call);
    }
}

void providers_second(struct providers *providers, uint64_t second, uint64_t wall_ms)
{
    struct provider *provider = NULL;
    size_t hook = offsetof(struct weir_control, on_second);

    while ((provider = providers_next(providers, provider, hook)) != NULL) {
        struct call *call = provider_call(provider);
        provider->ops->on_second(provider_context(provider), provider->instance, second, wall_ms);
        call_end(call);
    }
}

struct provider *providers_next(const struct providers *providers, const struct provider *after,
                                size_t offset)
{
    static void (*const none)(void) = NULL;
    bool behind = after == NULL;

    each_provider(provider, providers)
    {
        if (behind && provider->ready && !provider->left &&
            memcmp((const char *)provider->ops + offset, &none, sizeof(none)) != 0) {
            return provider;
        }
        behind |= provider == after;
    }
    return NULL;
}

struct provider *provider_of_space(const struct providers *providers, const char *space)
{
    each_provider(provider, providers)
    {
        if (provider->ready && !provider->left && provider->ops->space != NULL &&
            strcmp(provider->ops->space, space) == 0) {
            return provider;
        }
    }
    return NULL;
}

/* ---- what is kept ---- */

void providers_keep(struct providers *providers, const char *space, const char *key,
                    const char *value)
{
    cJSON *keys = cJSON_GetObjectItemCaseSensitive(providers->kept, space);

    if (keys == NULL) {
        keys = cJSON_AddObjectToObject(providers->kept, space);
    }
    cJSON_DeleteItemFromObjectCaseSensitive(keys, key);
    if (value != NULL) {
        cJSON_AddStringToObject(keys, key, value);
    }
    each_provider(provider, providers)
    {
        const struct weir_control *ops = provider->ops;
        if (provider->ready && ops->space != NULL && strcmp(ops->space, space) == 0 &&
            ops->take != NULL) {
            struct call *call = provider_call(provider);
            ops->take(provider_context(provider), provider->instance, str_from(key),
                      str_from(value));
            call_end(call);
        }
    }
}

const char *providers_kept(const struct providers *providers, const char *space, const char *key)
{
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(providers->kept, space);
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(keys, key));
}
