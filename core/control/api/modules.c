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

#include "base/log.h"
#include "control/api/totals.h"
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

/* Sums of the copy's hooks, on the first `loops` of the loops. */
static struct call_times all_hooks(const struct module *module, unsigned loops)
{
    struct call_times all = {0}, sum;

    for (enum module_hook hook = 0; hook < MODULE_HOOKS; hook++) {
        if (call_sum(module->meters, loops, hook, &sum)) {
            call_add(&all, &sum);
        }
    }
    return all;
}

/* Its time on workers, whose loops come before the control thread's. */
static double worker_ns(const struct module *module, const struct runtime *runtime)
{
    struct call_times all = all_hooks(module, runtime->workers);
    return call_ticks_ns((double)all.ticks);
}

/* Of the workers' CPU time. NaN: they have had none. */
static double share_of(const struct module *module, const struct runtime *runtime)
{
    double all = workers_cpu_ns(runtime);
    return all > 0 ? fmin(worker_ns(module, runtime) / all, 1) : NAN;
}

void modules_second(struct plane *plane)
{
    const struct runtime *runtime = plane->runtime;
    const struct plan *plan = runtime->current->plan;
    uint64_t now_ns = loop_now_ns(plane->self->loop), requests = 0;

    if (!lately_is_due(&plane->lately, now_ns)) {
        return;
    }
    for (size_t i = 0; i < plan->listener_count; i++) {
        if (!listener_plan_on_control(&plan->listeners[i])) {
            requests += totals_requests(TOTALS_OF(plan->listeners[i].listener));
        }
    }
    lately_begin(&plane->lately, now_ns, loop_wall_ms(), requests, workers_cpu_ns(runtime));
    for (const struct module *module = module_next(runtime->modules, NULL); module != NULL;
         module = module_next(runtime->modules, module)) {
        struct call_times all = all_hooks(module, module->loops);
        lately_take(&plane->lately, module->number, call_count(&all), worker_ns(module, runtime));
    }
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
    json_set_number(object, "allocated_bytes", (double)sum.allocated);
    cJSON *workers = cJSON_AddArrayToObject(object, "workers");
    for (unsigned i = 0; i < loops; i++) {
        if (call_sum(&module->meters[i], 1, hook, &sum)) {
            cJSON *one = json_append(workers);
            json_set_number(one, "worker", i + 1 < loops ? i : NAN); /* null: the control thread */
            add_calls(one, &sum);
        }
    }
}

/* ---- quarantine, and what led to it ---- */

static cJSON *show_fault(const struct blame_fault *fault)
{
    cJSON *object = cJSON_CreateObject();

    json_set_number(object, "time", (double)fault->time_s * 1000);
    json_set(object, "what", fault->what);
    json_set(object, "hook", fault->hook[0] != '\0' ? fault->hook : NULL);
    json_set(object, "place", fault->place);
    return object;
}

cJSON *show_blame(const struct blame *blame)
{
    cJSON *object = cJSON_CreateObject();

    json_set(object, "module", blame->module);
    json_set_number(object, "since", (double)blame->since_s * 1000);
    cJSON *faults = cJSON_AddArrayToObject(object, "faults");
    for (unsigned i = 0; i < blame->count; i++) {
        cJSON_AddItemToArray(faults, show_fault(&blame->faults[i]));
    }
    return object;
}

cJSON *show_death(const struct plane *plane)
{
    const struct blame_death *death = blame_death(plane->runtime->blame);

    if (death == NULL) {
        return cJSON_CreateNull();
    }
    cJSON *object = show_fault(&death->fault);
    json_set(object, "thread", death->thread);
    json_set(object, "module", death->module[0] != '\0' ? death->module : NULL);
    return object;
}

void modules_tell_death(struct plane *plane)
{
    if (blame_death(plane->runtime->blame) != NULL) {
        events_tell(&plane->events, "crash", show_death(plane));
    }
}

/* ---- blocks and alarms ---- */

/* What goes on while the block is out. NULL: it never is. */
static const char *instead_of(const struct guard *guard)
{
    return !guard_can_be_out(guard) && !guard->quarantined ? NULL
           : guard->shadow                                 ? "not asked"
           : guard->kind == MODULE_BALANCER ? guard_fallback_name(guard->conf.fallback)
           : guard->closed                  ? "closed"
                                            : "open";
}

/* It stands in a place beside the block that is in force there. */
static bool is_tried(const struct plan *plan, const struct use *use)
{
    return plan->has_canary && use->module_number + 1 == plan->modules.count;
}

/* The blocks of the configuration in force that use the copy, but for its module block. */
static void add_blocks(cJSON *object, const struct plane *plane, const struct module *module)
{
    const struct plan *plan = plane->runtime->current->plan;
    cJSON *list = cJSON_AddArrayToObject(object, "blocks");

    for (size_t i = 0; i < plan->uses.count; i++) {
        const struct use *use = plan->uses.items[i];
        if (use->module == module && use->kind != MODULE_KIND_COUNT && !is_tried(plan, use)) {
            const struct guard *guard = use->guard;
            cJSON *block = json_append(list);
            json_set(block, "block", guard->place);
            json_set(block, "kind", module_kind_name(guard->kind));
            cJSON_AddBoolToObject(block, "out", guard_is_out(guard));
            json_set(block, "instead", instead_of(guard));
            json_set_number(block, "call_budget_us", (double)guard->conf.call_budget / 1000);
            json_set_number(block, "strikes_limit", (double)guard->conf.strikes);
        }
    }
}

static cJSON *show_alarm(struct guard *guard)
{
    struct guard_fall fall = guard_why(guard);
    cJSON *alarm = cJSON_CreateObject();

    json_set(alarm, "block", guard->place);
    json_set(alarm, "kind", module_kind_name(guard->kind));
    json_set_number(alarm, "since", (double)fall.wall_ms);
    json_set(alarm, "hook",
             guard->quarantined ? guard->module->quarantine->faults[0].hook
                                : module_hook_name(fall.hook));
    json_set(alarm, "strike", guard->quarantined ? "quarantined" : strike_name(fall.strike));
    json_set_number(alarm, "took_us",
                    fall.strike == STRIKE_SLOW && !guard->quarantined
                        ? microseconds((double)fall.took_ns)
                        : NAN);
    json_set(alarm, "instead", instead_of(guard));
    return alarm;
}

static const char *state_of(const struct plan *plan, const struct module *module)
{
    for (size_t i = 0; i < plan->modules.count; i++) {
        if (plan->modules.items[i]->module == module) {
            return plan->has_canary && i + 1 == plan->modules.count ? "canary" : "active";
        }
    }
    return "draining";
}

cJSON *show_module(const struct plane *plane, const struct module *module)
{
    const struct weir_module *descriptor = &module->descriptor;
    const struct generation *g = plane->runtime->current;
    cJSON *object = cJSON_CreateObject();
    struct call_times all = all_hooks(module, module->loops);
    char abi[24];

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
    json_set(object, "state", state_of(g->plan, module));
    json_set_number(object, "generation", (double)module->generation);
    json_set_number(object, "faults", (double)(call_strikes(&all) - all.strikes[STRIKE_SLOW]));
    add_calls(object, &all);
    lately_show_rates(&plane->lately, module->number, object);
    json_set_number(object, "cpu_share", share_of(module, plane->runtime));
    json_set_number(object, "allocated_bytes", (double)all.allocated);
    cJSON *alarms = cJSON_AddArrayToObject(object, "alarms");
    list_each(link, &module->guards)
    {
        struct guard *guard = container_of(link, struct guard, link);
        if (plan_has_out(g->plan, guard)) {
            cJSON_AddItemToArray(alarms, show_alarm(guard));
        }
    }
    cJSON_AddItemToObject(object, "quarantine",
                          module->quarantine != NULL ? show_blame(module->quarantine)
                                                     : cJSON_CreateNull());
    add_metrics(object, module);
    cJSON *swap = plane->swap != NULL ? plane->swap(plane, module->name) : NULL;
    cJSON_AddItemToObject(object, "swap", swap != NULL ? swap : cJSON_CreateNull());
    return object;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    return (hash ^ value) * 0x9e3779b97f4a7c15u;
}

/* What an operation on the module may change: not what it counts. */
char *show_module_tag(const struct plane *plane, const struct module *module)
{
    uint64_t hash = table_hash(str_from(module->name));
    cJSON *swap = plane->swap != NULL ? plane->swap(plane, module->name) : NULL;
    const char *state = json_text(swap, "state");

    for (size_t i = 0; i < sizeof(module->identity); i++) {
        hash = mix(hash, module->identity[i]);
    }
    hash = mix(hash, state != NULL ? table_hash(str_from(state)) : 0);
    hash = mix(hash, (uint64_t)json_integer(swap, "began", 0));
    hash = mix(hash, (uint64_t)json_integer(swap, "ended", 0));
    cJSON_Delete(swap);
    list_each(link, &module->guards)
    {
        hash = mix(hash, guard_is_out(container_of(link, struct guard, link)));
    }
    return base_printf("%016llx", (unsigned long long)mix(hash, module->quarantine != NULL));
}

bool module_matches(struct operation *operation, const struct module *module)
{
    char *tag = show_module_tag(operation->plane, module);
    bool matches = operation_matches(operation, tag);

    free(tag);
    return matches;
}

/* With the module's name, for who sees no module around it. */
static cJSON *show_named_alarm(const struct module *module, struct guard *guard)
{
    cJSON *alarm = show_alarm(guard);
    json_set(alarm, "module", module->name);
    return alarm;
}

cJSON *show_alarms(const struct plane *plane)
{
    const struct module_registry *all = plane->runtime->modules;
    const struct plan *plan = plane->runtime->current->plan;
    cJSON *alarms = cJSON_CreateArray();

    for (const struct module *module = module_next(all, NULL); module != NULL;
         module = module_next(all, module)) {
        list_each(link, &module->guards)
        {
            struct guard *guard = container_of(link, struct guard, link);
            if (plan_has_out(plan, guard)) {
                cJSON_AddItemToArray(alarms, show_named_alarm(module, guard));
            }
        }
    }
    return alarms;
}

static void log_quarantine(const struct guard *guard)
{
    char faults[640];

    blame_tell(guard->module->quarantine, faults, sizeof(faults));
    log_write(WEIR_LOG_ERROR, guard->module->name,
              "it is in quarantine, as Weir has died in it (%s): %s is out, %s; weirctl module "
              "release %s ends that",
              faults, guard->place[0] != '\0' ? guard->place : "its own block",
              guard->kind == MODULE_BALANCER && !guard->shadow
                  ? "and Weir itself chooses the servers"
                  : "and is passed over",
              guard->module->name);
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
                if (guard->quarantined) {
                    log_quarantine(guard);
                }
                events_tell(&plane->events, "module", show_named_alarm(module, guard));
            }
        }
    }
}

const struct module *find_module(const struct plane *plane, const char *name)
{
    const struct module_registry *all = plane->runtime->modules;
    const struct module *module = module_next(all, NULL), *found = NULL;

    for (; module != NULL; module = module_next(all, module)) {
        if (strcmp(module->name, name) != 0) {
            continue;
        }
        found = module; /* the newest copy */
        if (strcmp(state_of(plane->runtime->current->plan, module), "active") == 0) {
            break;
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
        add_blocks(object, operation->plane, module);
        lately_show_recent(&operation->plane->lately, module->number, object);
        operation_succeed(operation, 200, object);
        operation->etag = show_module_tag(operation->plane, module);
    }
}

const struct command module_commands[] = {
    READ("modules.list", "/modules", NULL, "Modules", run_modules, "The loaded modules."),
    READ("modules.show", "/modules/{module}", NULL, "Module", run_module,
         "One module, with what each of its hooks costs, the blocks that use it, and its last "
         "five minutes."),
    COMMANDS_END,
};
