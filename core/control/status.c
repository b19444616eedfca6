/* SPDX-License-Identifier: MIT */
/*
 * The command that shows the state of the program. See status.h.
 */
#include "control/status.h"

#include <unistd.h>

#include "base/log.h"
#include "base/logfile.h"
#include "control/api/modules.h"
#include "control/api/show.h"
#include "control/api/totals.h"
#include "control/change/changes.h"
#include "control/control_state.h"
#include "module/call.h"

/* Whether a pool has no server that is well and ready. */
static bool degraded(const struct generation *g)
{
    for (size_t i = 0; i < g->plan->pool_count; i++) {
        if (totals_servers_up(&g->plan->pools[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void add_log(void *arg, const char *path, const struct log_health *state)
{
    cJSON *log = json_append(arg);

    json_set(log, "log", path);
    json_set_number(log, "dropped", (double)state->dropped);
    json_set_number(log, "waiting", (double)state->waiting);
    cJSON_AddBoolToObject(log, "stuck", state->stuck);
}

/* The program's own, then the files of modules. */
static cJSON *logs_json(void)
{
    cJSON *logs = cJSON_CreateArray();
    struct log_health own = log_state();

    add_log(logs, log_target_name(), &own);
    logfile_each(add_log, logs);
    return logs;
}

/* Workers that do not come back, and what they are in. */
static cJSON *hanging_json(const struct control *control)
{
    cJSON *hanging = cJSON_CreateArray();
    struct crash_text *calls = base_zalloc(sizeof(*calls));

    for (unsigned i = 0; i < control->runtime.workers; i++) {
        uint64_t late_ms = watch_late_ms(control->watch, i);
        if (late_ms > 0) {
            cJSON *entry = json_append(hanging);
            calls->len = 0;
            crash_put(calls, "[");
            call_tell(calls, control->runtime.loops[i]->calls);
            crash_put(calls, "]");
            json_set_number(entry, "worker", i);
            json_set_number(entry, "for_ms", (double)late_ms);
            cJSON_AddItemToObject(entry, "calls", cJSON_ParseWithLength(calls->bytes, calls->len));
        }
    }
    free(calls);
    return hanging;
}

static cJSON *quarantined_json(const struct generation *g)
{
    cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; i < g->plan->modules.count; i++) {
        const struct module *module = g->plan->modules.items[i]->module;
        if (module->quarantine != NULL) {
            cJSON_AddItemToArray(list, show_blame(module->quarantine));
        }
    }
    return list;
}

static void run_status(struct operation *operation)
{
    const struct changes *changes = changes_of(operation);
    const struct control *control = container_of(changes, struct control, changes);
    const struct plane *plane = operation->plane;
    cJSON *hanging = hanging_json(control);
    bool hangs = cJSON_GetArraySize(hanging) > 0;
    const struct generation *g = plane->runtime->current;
    cJSON *quarantined = quarantined_json(g);
    bool lacks = cJSON_GetArraySize(quarantined) > 0;
    cJSON *stats = show_stats(plane);
    const cJSON *total = cJSON_GetObjectItem(stats, "total");
    cJSON *answer = cJSON_CreateObject();

    json_set(answer, "version", PACKAGE_VERSION);
    json_set_number(answer, "started_at", (double)plane->started_ms);
    json_set_number(answer, "uptime_ms",
                    (double)((loop_now_ns(plane->self->loop) - plane->started_ns) / NS_PER_MS));
    json_set_number(answer, "pid", getpid());
    json_set_number(answer, "generation", (double)g->id);
    json_set_number(answer, "workers", plane->runtime->workers);
    json_set_number(answer, "connections",
                    cJSON_GetNumberValue(cJSON_GetObjectItem(total, "connections")));
    json_set_number(answer, "requests",
                    cJSON_GetNumberValue(cJSON_GetObjectItem(total, "requests")));
    json_set_rate(cJSON_AddObjectToObject(answer, "rates"), "requests",
                  cJSON_GetNumberValue(cJSON_GetObjectItem(total, "rate")));
    json_set_number(answer, "in_flight",
                    cJSON_GetNumberValue(cJSON_GetObjectItem(total, "in_flight")));
    static const char *const copied[] = {"protocols", "grpc", "http2", "abusive"};
    for (size_t i = 0; i < ARRAY_COUNT(copied); i++) {
        json_set_copy(answer, copied[i], cJSON_GetObjectItem(total, copied[i]));
    }
    json_set(answer, "config_file", plane->path);
    json_set_str(answer, "state_dir", g->plan->global.state_dir);
    cJSON_AddItemToObject(answer, "restart_needed", show_restart(g));
    cJSON_AddItemToObject(answer, "store", store_json(changes->store));
    json_set_copy(answer, "reload", changes->last_reload);
    cJSON_AddItemToObject(answer, "journal_pending", journal_pending_json(changes->journal));
    cJSON_AddItemToObject(answer, "logs", logs_json());
    cJSON_AddItemToObject(answer, "hanging", hanging);
    cJSON_AddItemToObject(answer, "alarms", show_alarms(plane));
    cJSON_AddItemToObject(answer, "quarantined", quarantined);
    cJSON_AddItemToObject(answer, "crash", show_death(plane));
    json_set(answer, "health",
             hangs || lacks || degraded(g) || !store_is_well(changes->store) ? "degraded" : "ok");
    cJSON_Delete(stats);
    operation_succeed(operation, 200, answer);
}

const struct command status_commands[] = {
    READ("status.show", "/status", NULL, "Status", run_status, "The state of the program."),
    COMMANDS_END,
};
