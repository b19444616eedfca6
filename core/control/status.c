/* SPDX-License-Identifier: MIT */
/*
 * The command that shows the state of the program. See status.h.
 */
#include "control/status.h"

#include <unistd.h>

#include "base/log.h"
#include "base/logfile.h"
#include "control/api/show.h"
#include "control/api/totals.h"
#include "control/change/changes.h"

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

static void run_status(struct operation *operation)
{
    const struct changes *changes = changes_of(operation);
    const struct plane *plane = operation->plane;
    const struct generation *g = plane->runtime->current;
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
    json_set(answer, "health", degraded(g) || !store_is_well(changes->store) ? "degraded" : "ok");
    cJSON_Delete(stats);
    operation_succeed(operation, 200, answer);
}

const struct command status_commands[] = {
    READ("status.show", "/status", NULL, "Status", run_status, "The state of the program."),
    COMMANDS_END,
};
