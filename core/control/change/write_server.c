/* SPDX-License-Identifier: MIT */
/*
 * Commands that change servers: add, patch, remove.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/api/find.h"
#include "control/api/show.h"
#include "control/change/change.h"
#include "control/change/server_part.h"
#include "option/option_value.h"

#define DRAIN_DEFAULT_MS  (UINT64_C(60) * 60 * 1000) /* without stickiness */
#define STICKY_DEFAULT_MS (UINT64_C(5) * 60 * 1000)

/* Answers with the server as it is now. */
static void answer_server(struct change *change, const char *error)
{
    struct operation *operation = change->operation;
    const struct plane *plane = &change->changes->plane;
    struct found found = find_by_key(plane->runtime->current, change->key);

    if (error == NULL && found.server != NULL) {
        operation_succeed(operation, operation->command->row.status,
                          show_server(plane, found.plan, found.index));
        operation->etag = show_server_tag(plane, found.plan, found.index);
        if (operation->command->row.status == 201) {
            operation->location = base_printf("%s/pools/%s/servers/%s", COMMAND_PREFIX,
                                              found.plan->pool->name, found.server->name);
        }
    } else if (error == NULL) {
        operation_succeed(operation, 204, NULL);
    }
}

/* A change to an existing or new server. The caller fills in its entry. */
static struct change *change_server(struct operation *operation, const struct pool_plan *plan,
                                    const char *id)
{
    struct change *change = change_new(changes_of(operation), operation);
    change->key = overlay_key(plan->pool->name, id);
    change->done = answer_server;
    return change;
}

/* Whether If-Match matches; frees the tag. */
static bool matches(struct operation *operation, char *tag)
{
    bool fits = operation_matches(operation, tag);
    free(tag);
    return fits;
}

/* The server of the path; NULL: 404 or 412 is the answer. */
static struct server *the_server(struct operation *operation, struct found *found)
{
    struct server *server = find_server_of(operation, found);
    return server != NULL &&
                   matches(operation, show_server_tag(operation->plane, found->plan, found->index))
               ? server
               : NULL;
}

/* The limit has two names in a body: max_requests, and max_connections from before HTTP/2, by which
 * it is kept. false: both are there and differ. */
static bool settle_limit(struct operation *operation)
{
    cJSON *given = cJSON_DetachItemFromObjectCaseSensitive(operation->body, "max_requests");
    const cJSON *other = json_get(operation->body, "max_connections");

    if (given != NULL && other != NULL && !cJSON_Compare(given, other, true)) {
        operation_invalid(operation, "/max_requests",
                          "max_requests and max_connections are the same limit, and differ");
    } else if (given != NULL && other == NULL) {
        cJSON_AddItemToObject(operation->body, "max_connections", given);
        return true;
    }
    cJSON_Delete(given);
    return !operation->problem;
}

/* ---- patch ---- */

/* Sets a number. The overlay keeps it only if it differs from the files. */
static void patch_number(struct change *change, const char *name, uint32_t now, int64_t file,
                         bool runtime, cJSON *before, cJSON *after)
{
    int64_t wanted = json_integer(change->operation->body, name, -1);
    if (wanted < 0) {
        return;
    }
    json_set_number(before, name, now);
    json_set_number(after, name, (double)wanted);
    json_put(change->entry, name,
             !runtime && wanted == file ? NULL : cJSON_CreateNumber((double)wanted));
}

/* Sets the state and ends a drain or removal that is under way. */
static void patch_state(struct change *change, const struct found *found, const char *state,
                        cJSON *before, cJSON *after)
{
    const char *file_state = server_admin_word((enum server_admin)found->settings->state);

    json_set(before, "state", server_admin_word((enum server_admin)found->server->admin));
    json_set(after, "state", state);
    json_put(change->entry, "state",
             strcmp(state, file_state) == 0 ? NULL : cJSON_CreateString(state));
    json_put(change->entry, "leaving", NULL);
    json_put(change->entry, "drain_deadline", NULL);
}

static void patch_deadline(struct change *change, uint64_t deadline_ms, cJSON *before, cJSON *after)
{
    const cJSON *now = overlay_at(change->changes->overlay, change->key);

    json_set_copy(before, "drain_deadline", json_get(now, "drain_deadline"));
    json_set_number(after, "drain_deadline", (double)deadline_ms);
    json_put(change->entry, "drain_deadline", cJSON_CreateNumber((double)deadline_ms));
}

/* Applies the body and the state (NULL: unchanged). */
static enum written patch(struct operation *operation, const struct found *found, const char *state)
{
    const struct server *server = found->server;
    const struct server_settings *settings = found->settings;
    struct change *change = change_server(operation, found->plan, server->name);
    uint64_t drain_ms = operation_duration_ms(operation->body, "drain_timeout", 0);
    cJSON *before = cJSON_CreateObject(), *after = cJSON_CreateObject();

    change->entry = overlay_copy(change->changes->overlay, change->key);
    patch_number(change, "weight", server->weight, settings->file_weight, settings->runtime, before,
                 after);
    patch_number(change, "max_connections", server->max_connections, settings->file_max_connections,
                 settings->runtime, before, after);
    if (state != NULL) {
        patch_state(change, found, state, before, after);
    }
    if (drain_ms > 0) {
        patch_deadline(change, loop_wall_ms() + drain_ms, before, after);
    }
    change_note(change, "server.patch", change->key, before, after);
    change_begin(change);
    return WRITE_GOES_ON;
}

static enum written run_server_patch(struct operation *operation)
{
    const char *state = json_text(operation->body, "state");
    struct found found;

    if (the_server(operation, &found) == NULL) {
        return WRITE_ANSWERED;
    }
    if (operation->body->child == NULL) {
        operation_invalid(operation, "",
                          "nothing is to be changed; give weight, max_requests, "
                          "state or drain_timeout");
    } else if (!settle_limit(operation)) {
        return WRITE_ANSWERED;
    } else if (json_text(operation->body, "drain_timeout") != NULL &&
               !(state != NULL ? strcmp(state, "drain") == 0
                               : found.server->admin == ADMIN_DRAIN)) {
        operation_invalid(operation, "/drain_timeout", "only a server that drains has a deadline");
    }
    return operation->problem ? WRITE_ANSWERED : patch(operation, &found, state);
}

/* ---- add ---- */

static bool id_is_legal(const char *id)
{
    size_t len = strlen(id);
    return len > 0 && len <= 64 &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len &&
           id[0] != '.';
}

/* "localhost-3005" of http://localhost:3005. */
static char *id_of_url(const struct weir_url *url)
{
    char *id = url->port != 0
                   ? base_printf("%.*s-%u", STR_ARGS(url->host), url->port)
                   : base_strndup(url->path.ptr, url->path.len < 64 ? url->path.len : 64);
    for (char *c = id; *c != '\0'; c++) {
        if (strchr(":/[]%", *c) != NULL) {
            *c = '-';
        }
    }
    char *start = id + strspn(id, "-.");
    memmove(id, start, strlen(start) + 1);
    return id;
}

/* A checked copy of the URL with the host in lower case; NULL: 422 is the answer. */
static char *check_url(struct operation *operation, char **id)
{
    char *url = base_strdup(json_text(operation->body, "url"));
    char error[OPTION_ERROR_SIZE];
    struct weir_url parsed;

    if (!option_url_parse(url, strlen(url), &parsed, error, sizeof(error))) {
        operation_invalid(operation, "/url", "%s", error);
    } else if (parsed.path.len > 1 && parsed.port != 0) {
        operation_invalid(operation, "/url", "a server's URL has no path: leave out \"%.*s\"",
                          STR_ARGS(parsed.path));
    } else {
        const char *given = json_text(operation->body, "id");
        *id = given != NULL ? base_strdup(given) : id_of_url(&parsed);
        if (!id_is_legal(*id)) {
            operation_invalid(operation, "/id",
                              "\"%.64s\" cannot be an id: letters, digits, '.', '_' and '-', at "
                              "most 64 of them",
                              *id);
        }
    }
    if (operation->problem) {
        free(url);
        free(*id);
        *id = NULL;
        return NULL;
    }
    if (parsed.port != 0 && parsed.path.len == 1) {
        url[strlen(url) - 1] = '\0'; /* drops the slash */
    }
    return url;
}

/* The pool's server with that id, or else with that URL; `server` is NULL if there is none. */
static struct found find_known(struct operation *operation, const struct pool_plan *plan,
                               const char *id, const char *url)
{
    const struct generation *current = operation->plane->runtime->current;
    struct weir_str pool = str_from(plan->pool->name);
    struct found found = find_server(current, pool, str_from(id));

    for (size_t i = 0; found.server == NULL && i < plan->server_count; i++) {
        if (str_equal(plan->servers[i]->url.text, str_from(url))) {
            found = find_server(current, pool, str_from(plan->servers[i]->name));
        }
    }
    return found;
}

/* The pool already has the server. If it is the same and about to be removed, the removal is
 * cancelled and the body applied; undoing that removes it again. Otherwise 409. */
static enum written add_known(struct operation *operation, const struct found *found,
                              const char *url, const char *id)
{
    const struct server *server = found->server;
    const char *pool = found->plan->pool->name;
    const char *state = json_text(operation->body, "state");
    const cJSON *backup = json_get(operation->body, "backup");
    bool same = str_equal(server->url.text, str_from(url)) &&
                (json_text(operation->body, "id") == NULL || strcmp(server->name, id) == 0) &&
                (backup == NULL || (bool)cJSON_IsTrue(backup) == (server->backup != 0));
    bool leaving =
        overlay_is_leaving(overlay_entry(changes_of(operation)->overlay, pool, server->name));

    if (leaving && same) {
        return patch(operation, found, state != NULL ? state : "ready");
    }
    operation_problem(
        operation, 409, "the pool \"%s\" has a server \"%s\" (%.*s) already%s", pool, server->name,
        STR_ARGS(server->url.text),
        leaving ? ", which drains to be removed: add it as it is, or make it ready, and it "
                  "stays; remove it with now=1, and its place is free"
                : "");
    return WRITE_ANSWERED;
}

static enum written add(struct operation *operation, const struct pool_plan *plan, const char *url,
                        const char *id)
{
    static const char *const names[] = {"weight", "max_connections", "state", "backup"};
    struct change *change = change_server(operation, plan, id);
    const struct changes *changes = change->changes;
    cJSON *entry = cJSON_CreateObject();

    json_set(entry, "url", url);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const cJSON *item = json_get(operation->body, names[i]);
        json_put(entry, names[i], cJSON_Duplicate(item, true));
    }
    change_note(change, "server.add", change->key, NULL, cJSON_Duplicate(entry, true));
    if (overlay_is_hidden(overlay_at(changes->overlay, change->key))) {
        cJSON_AddBoolToObject(entry, "hidden", true);
    }
    /* A hidden server of the files that is added as it was becomes theirs again. */
    cJSON *settled = overlay_settle_entry(
        entry, overlay_file_server(changes->plane.runtime->current, change->key), true);
    if (settled != NULL) {
        cJSON_Delete(entry);
    }
    change->entry = settled != NULL ? settled : entry;
    change_begin(change);
    return WRITE_GOES_ON;
}

static enum written run_server_add(struct operation *operation)
{
    const struct pool_plan *plan = find_matched_pool_of(operation);
    enum written written = WRITE_ANSWERED;
    char *id = NULL;

    if (plan == NULL) {
        return WRITE_ANSWERED;
    }
    char *url = check_url(operation, &id);
    if (url != NULL && settle_limit(operation)) {
        struct found known = find_known(operation, plan, id, url);
        written = known.server != NULL ? add_known(operation, &known, url, id)
                                       : add(operation, plan, url, id);
    }
    free(url);
    free(id);
    return written;
}

/* ---- remove ---- */

static cJSON *describe(const struct server *server)
{
    cJSON *object = cJSON_CreateObject();
    json_set_str(object, "url", server->url.text);
    json_set_number(object, "weight", server->weight);
    json_set_number(object, "max_connections", server->max_connections);
    json_set(object, "state", server_admin_word((enum server_admin)server->admin));
    cJSON_AddBoolToObject(object, "backup", server->backup);
    return object;
}

/* Ready with a weight above 0, and, if `well`, not down. */
static bool serves(const struct server *server, bool well)
{
    return server->admin == ADMIN_READY && atomic_load(&server->weight) > 0 &&
           (!well || server_is_well(server));
}

static bool another_serves(const struct pool_plan *plan, const struct server *server, bool well)
{
    for (size_t i = 0; i < plan->server_count; i++) {
        const struct server *other = plan->servers[i];
        if (other != server && serves(other, well)) {
            return true;
        }
    }
    return false;
}

/* Whether removing it would leave no server that serves, without `force`: 409 is the answer. */
static bool is_last(struct operation *operation, const struct pool_plan *plan,
                    const struct server *server)
{
    bool well = server_is_well(server);

    if (json_is_true(operation->query, "force") || !serves(server, false) ||
        another_serves(plan, server, well)) {
        return false;
    }
    operation_problem(
        operation, 409,
        "\"%s\" is the last server of the pool \"%s\" that serves: without it, requests "
        "get 503; say force=1 if that is meant",
        server->name, plan->pool->name);
    json_set(operation->answer, "needs", "force");
    return true;
}

static enum written run_server_remove(struct operation *operation)
{
    bool now = json_is_true(operation->query, "now");
    struct found found;
    struct server *server = the_server(operation, &found);

    if (server == NULL || is_last(operation, found.plan, server)) {
        return WRITE_ANSWERED;
    }
    struct change *change = change_server(operation, found.plan, server->name);
    const struct overlay *overlay = change->changes->overlay;
    if (now) {
        change->entry = overlay_without(overlay, change->key, found.settings);
    } else {
        uint64_t fallback = found.plan->sticky != NULL ? STICKY_DEFAULT_MS : DRAIN_DEFAULT_MS;
        uint64_t ms = operation_duration_ms(operation->query, "timeout", fallback);
        change->entry = overlay_copy(overlay, change->key);
        if (server->admin != ADMIN_MAINTENANCE) { /* in maintenance sessions have left already */
            json_put(change->entry, "state", cJSON_CreateString("drain"));
        }
        json_put(change->entry, "leaving", cJSON_CreateTrue());
        json_put(change->entry, "drain_deadline",
                 cJSON_CreateNumber((double)(loop_wall_ms() + ms)));
    }
    change_note(change, "server.remove", change->key, describe(server), NULL);
    change_begin(change);
    return WRITE_GOES_ON;
}

/* ---- the part ---- */

static void load(struct changes *changes, const char *key, const char *value)
{
    cJSON *entry = cJSON_Parse(value);

    if (strchr(key, '/') == NULL) {
        cJSON_Delete(entry);
        return;
    }
    if (entry == NULL) {
        log_write(WEIR_LOG_ERROR, "weir",
                  "what is kept of the server \"%s\" cannot be read; left out", key);
    }
    overlay_set(changes->overlay, key, entry);
}

static const char *const states[] = {"ready", "drain", "maintenance", NULL};

static const struct weir_argument server_add[] = {
    {"url", WEIR_ARGUMENT_STRING, true, 1, 2048, NULL,
     "http://HOST:PORT, https://HOST:PORT or unix:/PATH of the server."},
    {"id", WEIR_ARGUMENT_STRING, false, 1, 64, NULL,
     "Its name in the pool; made from the URL's host and port if not given."},
    {"weight", WEIR_ARGUMENT_INTEGER, false, 0, 1000, NULL,
     "Its share relative to the others; 0: no new sessions. 1 if not given."},
    {"max_requests", WEIR_ARGUMENT_INTEGER, false, 0, 1000000, NULL,
     "Concurrent requests allowed; 0: no limit."},
    {"max_connections", WEIR_ARGUMENT_INTEGER, false, 0, 1000000, NULL,
     "The earlier name of max_requests."},
    {"state", WEIR_ARGUMENT_WORD, false, 0, 0, states, "Administrative state; ready if not given."},
    {"backup", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL, "Serves only when no other server can."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument server_patch[] = {
    {"weight", WEIR_ARGUMENT_INTEGER, false, 0, 1000, NULL, "Its share relative to the others."},
    {"max_requests", WEIR_ARGUMENT_INTEGER, false, 0, 1000000, NULL,
     "Concurrent requests allowed; 0: no limit."},
    {"max_connections", WEIR_ARGUMENT_INTEGER, false, 0, 1000000, NULL,
     "The earlier name of max_requests."},
    {"state", WEIR_ARGUMENT_WORD, false, 0, 0, states,
     "ready; drain (no new sessions, those that are there stay); maintenance (none at all)."},
    {"drain_timeout", WEIR_ARGUMENT_DURATION, false, 1, 604800, NULL,
     "With drain: time after which its sessions move to other servers."},
    WEIR_ARGUMENTS_END,
};

static const struct weir_argument server_remove[] = {
    {"now", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "Removes it at once; running requests finish."},
    {"timeout", WEIR_ARGUMENT_DURATION, false, 1, 604800, NULL,
     "Time to drain; if not given 1h, or 5m in a sticky pool."},
    {"force", WEIR_ARGUMENT_BOOLEAN, false, 0, 0, NULL,
     "Even if it leaves the pool without a serving server, which is a 409 otherwise."},
    WEIR_ARGUMENTS_END,
};

static const struct command commands[] = {
    WRITE("server.add", OPERATOR, "POST", "/pools/{pool}/servers", server_add, NULL, 201, MATCHED,
          "Server", run_server_add,
          "Adds a server to a pool; cancels its removal if it is draining."),
    WRITE("server.patch", OPERATOR, "PATCH", "/pools/{pool}/servers/{server}", server_patch, NULL,
          200, MATCHED, "Server", run_server_patch, "Changes a server's weight, limit or state."),
    WRITE("server.remove", OPERATOR, "DELETE", "/pools/{pool}/servers/{server}", NULL,
          server_remove, 202, MATCHED, "Server", run_server_remove,
          "Drains a server, then removes it; 204 if it is removed at once."),
    COMMANDS_END,
};

const struct change_part server_part = {
    .commands = commands,
    .space = "overlay",
    .load = load,
    .upkeep = drain_upkeep,
    .mark = "overlay_key",
    .take_back = server_take_back,
    .waits = server_waits,
};
