/* SPDX-License-Identifier: MIT */
/*
 * Modules that are loaded: what they are, what their calls cost, and whether they keep their
 * contract.
 */
#include "control/api/modules.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "module/call.h"
#include "module/guard.h"

static void add_metrics(cJSON *object, const struct module *module)
{
    cJSON *list = cJSON_AddArrayToObject(object, "metrics");

    for (uint32_t i = 0; i < module->metric_count; i++) {
        cJSON *metric = json_append(list);
        json_set(metric, "name", module->metrics[i]->name);
        json_set(metric, "type", module->metrics[i]->type == WEIR_GAUGE ? "gauge" : "counter");
        json_set(metric, "help", module->descriptor.metrics->rows[i].help);
        json_set_number(metric, "value", (double)metric_value(module->metrics[i]));
    }
}

/* ---- calls ---- */

/* Numbers of three digits, which is what the buckets know. */
static double microseconds(double ns)
{
    char text[32];
    snprintf(text, sizeof(text), "%.3g", ns / 1000);
    return strtod(text, NULL);
}

static void add_calls(cJSON *object, const struct call_times *times)
{
    json_set_number(object, "calls", (double)call_count(times));
    cJSON *time = cJSON_AddObjectToObject(object, "time_us");
    json_set_number(time, "p50", microseconds(call_quantile_ns(times, 0.5)));
    json_set_number(time, "p99", microseconds(call_quantile_ns(times, 0.99)));
    json_set_number(time, "worst", microseconds(call_ticks_ns((double)times->worst)));
    json_set_number(time, "sum", round(call_ticks_ns((double)times->ticks) / 1000));
    cJSON *strikes = cJSON_AddObjectToObject(object, "strikes");
    for (enum strike strike = 0; strike < STRIKES; strike++) {
        json_set_number(strikes, strike_name(strike), (double)times->strikes[strike]);
    }
}

/* CPU time of all workers since the start, in ns. */
static double workers_cpu_ns(const struct runtime *runtime)
{
    double sum = 0;

    for (unsigned i = 0; i < runtime->workers; i++) {
        const struct worker *worker = runtime->loops[i];
        struct timespec used;
        clockid_t id;
        if (worker->running && pthread_getcpuclockid(worker->thread, &id) == 0 &&
            clock_gettime(id, &used) == 0) {
            sum += (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
        }
    }
    return sum;
}

/* Of the workers' CPU time. NaN: they have had none. */
static double share_of(const struct module *module, const struct runtime *runtime)
{
    double all = workers_cpu_ns(runtime), own = 0;
    struct call_times sum;

    for (enum module_hook hook = 0; hook < MODULE_HOOKS; hook++) {
        call_sum(module->meters, runtime->workers, hook, &sum);
        own += call_ticks_ns((double)sum.ticks);
    }
    return all > 0 ? fmin(own / all, 1) : NAN;
}

static void add_hook(cJSON *list, const struct module *module, unsigned loops,
                     enum module_hook hook)
{
    struct call_times sum;

    if (!call_sum(module->meters, loops, hook, &sum)) {
        return;
    }
    cJSON *object = json_append(list);
    json_set(object, "hook", module_hook_name(hook));
    add_calls(object, &sum);
    cJSON *workers = cJSON_AddArrayToObject(object, "workers");
    for (unsigned i = 0; i < loops; i++) {
        if (call_sum(&module->meters[i], 1, hook, &sum)) {
            cJSON *one = json_append(workers);
            json_set_number(one, "worker", i + 1 < loops ? i : NAN); /* null: the control thread */
            add_calls(one, &sum);
        }
    }
}

/* ---- alarms ---- */

static cJSON *show_alarm(struct guard *guard)
{
    struct guard_fall fall = guard_why(guard);
    cJSON *alarm = cJSON_CreateObject();

    json_set(alarm, "block", guard->place);
    json_set(alarm, "kind", module_kind_name(guard->kind));
    json_set_number(alarm, "since", (double)fall.wall_ms);
    json_set(alarm, "hook", module_hook_name(fall.hook));
    json_set(alarm, "strike", strike_name(fall.strike));
    json_set_number(alarm, "took_us",
                    fall.strike == STRIKE_SLOW ? microseconds((double)fall.took_ns) : NAN);
    json_set(alarm, "instead",
             guard->kind == MODULE_BALANCER ? guard_fallback_name(guard->conf.fallback)
             : guard->closed                ? "closed"
                                            : "open");
    return alarm;
}

cJSON *show_module(const struct plane *plane, const struct module *module)
{
    const struct weir_module *descriptor = &module->descriptor;
    const struct generation *g = plane->runtime->current;
    cJSON *object = cJSON_CreateObject();
    struct call_times all = {0}, sum;
    bool active = false;
    char abi[24];

    for (size_t i = 0; i < g->plan->modules.count; i++) {
        active |= g->plan->modules.items[i]->module == module;
    }
    snprintf(abi, sizeof(abi), "%u.%u", descriptor->abi_major, descriptor->abi_minor);
    json_set(object, "name", module->name);
    json_set(object, "version", descriptor->version);
    json_set(object, "abi", abi);
    cJSON *kinds = cJSON_AddArrayToObject(object, "kinds");
    for (enum module_kind kind = 0; kind < MODULE_KIND_COUNT; kind++) {
        if (module_has_kind(module, kind)) {
            cJSON_AddItemToArray(kinds, cJSON_CreateString(module_kind_name(kind)));
        }
    }
    json_set(object, "license", descriptor->license);
    json_set(object, "summary", descriptor->summary);
    json_set(object, "path", module->path);
    json_set(object, "state", active ? "active" : "draining");
    json_set_number(object, "generation", (double)module->generation);
    for (enum module_hook hook = 0; hook < MODULE_HOOKS; hook++) {
        call_sum(module->meters, module->loops, hook, &sum);
        call_add(&all, &sum);
    }
    json_set_number(object, "faults", (double)(call_strikes(&all) - all.strikes[STRIKE_SLOW]));
    add_calls(object, &all);
    json_set_number(object, "cpu_share", share_of(module, plane->runtime));
    uint64_t allocated = 0;
    for (unsigned i = 0; i < module->loops; i++) {
        allocated += __atomic_load_n(&module->meters[i].allocated, __ATOMIC_RELAXED);
    }
    json_set_number(object, "allocated_bytes", (double)allocated);
    cJSON *alarms = cJSON_AddArrayToObject(object, "alarms");
    list_each(link, &module->guards)
    {
        struct guard *guard = container_of(link, struct guard, link);
        if (guard_is_out(guard)) {
            cJSON_AddItemToArray(alarms, show_alarm(guard));
        }
    }
    add_metrics(object, module);
    return object;
}

void modules_tell_alarms(struct plane *plane)
{
    const struct module_registry *all = plane->runtime->modules;

    for (const struct module *module = module_next(all, NULL); module != NULL;
         module = module_next(all, module)) {
        list_each(link, &module->guards)
        {
            struct guard *guard = container_of(link, struct guard, link);
            if (guard_tell(guard)) {
                cJSON *event = show_alarm(guard);
                json_set(event, "module", module->name);
                events_tell(&plane->events, "module", event);
            }
        }
    }
}

const struct module *find_module(const struct plane *plane, const char *name)
{
    const struct module_registry *all = plane->runtime->modules;
    const struct module *module = module_next(all, NULL), *found = NULL;

    for (; module != NULL; module = module_next(all, module)) {
        if (strcmp(module->name, name) == 0) {
            found = module; /* the newest copy */
        }
    }
    return found;
}

const struct module *find_module_of(struct operation *operation)
{
    const struct module *found = find_module(operation->plane, operation->params[0]);

    if (found == NULL) {
        operation_problem(operation, 404, "there is no module \"%s\"", operation->params[0]);
    }
    return found;
}

static void run_modules(struct operation *operation)
{
    const struct module_registry *all = operation->plane->runtime->modules;
    cJSON *entries = operation_entries(operation);

    for (const struct module *module = module_next(all, NULL); module != NULL;
         module = module_next(all, module)) {
        cJSON_AddItemToArray(entries, show_module(operation->plane, module));
    }
}

static void run_module(struct operation *operation)
{
    const struct module *module = find_module_of(operation);

    if (module != NULL) {
        cJSON *object = show_module(operation->plane, module);
        cJSON *hooks = cJSON_AddArrayToObject(object, "hooks");
        for (enum module_hook hook = 0; hook < MODULE_HOOKS; hook++) {
            add_hook(hooks, module, module->loops, hook);
        }
        operation_succeed(operation, 200, object);
    }
}

const struct command module_commands[] = {
    READ("modules.list", "/modules", NULL, "Modules", run_modules, "The loaded modules."),
    READ("modules.show", "/modules/{module}", NULL, "Module", run_module,
         "One module, with what each of its hooks costs."),
    COMMANDS_END,
};
