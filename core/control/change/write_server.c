/* SPDX-License-Identifier: MIT */
/*
 * Commands that change servers: add, patch, remove; and the end of drains.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/change/change.h"
#include "control/change/drain.h"
#include "control/api/show.h"
#include "option/option_value.h"

#define DRAIN_DEFAULT_MS  (UINT64_C(60) * 60 * 1000) /* without stickiness: till the last request */
#define STICKY_DEFAULT_MS (UINT64_C(5) * 60 * 1000)

static cJSON *copy_entry(const struct plane *plane, const char *key)
{
    const cJSON *entry = overlay_at(plane->overlay, key);
    return entry != NULL ? cJSON_Duplicate(entry, true) : cJSON_CreateObject();
}

static void set_item(cJSON *object, const char *name, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    if (value != NULL) {
        cJSON_AddItemToObject(object, name, value);
    }
}

/* The pool and server of the path; NULL: 404, or If-Match does not fit. */
static struct server *the_server(struct operation *operation, struct pool_plan **plan,
                                 size_t *index)
{
    *plan = plane_pool(operation->plane, operation->params[0]);
    struct server *server = *plan != NULL ? plan_server(*plan, operation->params[1], index) : NULL;
    if (server == NULL) {
        operation_problem(operation, 404,
                          *plan == NULL ? "there is no pool \"%s\""
                                        : "the pool \"%s\" has no server \"%s\"",
                          operation->params[0], operation->params[1]);
        return NULL;
    }
    char *tag = show_server_tag(operation->plane, *plan, *index);
    bool matches = operation_matches(operation, tag);
    free(tag);
    return matches ? server : NULL;
}

/* The answer: the server as it is now. */
static void answer_server(struct change *change, const char *error)
{
    struct operation *operation = change->operation;
    const char *slash = strrchr(change->key, '/');
    char *pool = base_strndup(change->key, (size_t)(slash - change->key));
    const struct pool_plan *plan = plane_pool(change->plane, pool);
    size_t index = 0;

    if (error == NULL && plan != NULL && plan_server(plan, slash + 1, &index) != NULL) {
        operation_succeed(operation, operation->command->row.status,
                          show_server(change->plane, plan, index));
        operation->etag = show_server_tag(change->plane, plan, index);
        if (operation->command->row.status == 201) {
            operation->location =
                base_printf("%s/pools/%s/servers/%s", COMMAND_PREFIX, pool, slash + 1);
        }
    } else if (error == NULL) {
        operation_succeed(operation, 204, NULL);
    }
    free(pool);
}

/* ---- what is set of a server ---- */

/* One number of the server: the overlay keeps it only where it is another than the files'. */
static void patch_number(struct change *change, const char *name, uint32_t now, int64_t file,
                         bool runtime, cJSON *before, cJSON *after)
{
    int64_t wanted = operation_integer(change->operation->body, name, -1);
    if (wanted < 0) {
        return;
    }
    json_set_number(before, name, now);
    json_set_number(after, name, (double)wanted);
    set_item(change->entry, name,
             !runtime && wanted == file ? NULL : cJSON_CreateNumber((double)wanted));
}

/* Its state; a drain or removal that was under way is not any more. */
static void set_state(struct change *change, const struct server *server, int32_t file_state,
                      const char *state, cJSON *before, cJSON *after)
{
    json_set(before, "state", server_admin_word((enum server_admin)server->admin));
    json_set(after, "state", state);
    bool as_file = strcmp(state, server_admin_word((enum server_admin)file_state)) == 0;
    set_item(change->entry, "state", as_file ? NULL : cJSON_CreateString(state));
    set_item(change->entry, "leaving", NULL);
    set_item(change->entry, "drain_deadline", NULL);
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

/* A checked copy of the URL, host in lower case; NULL: 422 is the answer. */
static char *check_url(struct operation *operation, char **id)
{
    char *url = base_strdup(operation_text(operation->body, "url"));
    char error[OPTION_ERROR_SIZE];
    struct weir_url parsed;

    if (!option_url_parse(url, strlen(url), &parsed, error, sizeof(error))) {
        operation_invalid(operation, "/url", "%s", error);
    } else if (parsed.path.len > 1 && parsed.port != 0) {
        operation_invalid(operation, "/url",
                          "a server's URL has no path; it would be right without \"%.*s\"",
                          STR_ARGS(parsed.path));
    } else {
        const char *given = operation_text(operation->body, "id");
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
        url[strlen(url) - 1] = '\0'; /* as without the slash */
    }
    return url;
}

static bool pool_has_url(const struct pool_plan *plan, const char *url, size_t *index)
{
    for (size_t i = 0; i < plan->server_count; i++) {
        if (str_equal(plan->servers[i]->url.text, str_from(url))) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* It leaves, and is to stay after all: its removal is taken back, and what is said of it is set. Undone, it
 * leaves again. */
static enum written stay(struct operation *operation, const struct pool_plan *plan, size_t index)
{
    const struct server_settings *settings =
        (const struct server_settings *)plan->settings->servers.items + index;
    const struct server *server = plan->servers[index];
    const char *state = operation_text(operation->body, "state");
    struct change *change = change_new(operation->plane, operation);
    cJSON *before = cJSON_CreateObject(), *after = cJSON_CreateObject();

    change->key = overlay_key(plan->pool->name, server->name);
    change->entry = copy_entry(operation->plane, change->key);
    patch_number(change, "weight", server->weight, settings->file_weight, settings->runtime, before,
                 after);
    patch_number(change, "max_connections", server->max_connections, settings->file_max_connections,
                 settings->runtime, before, after);
    set_state(change, server, settings->state, state != NULL ? state : "ready", before, after);
    change_note(change, "server.patch", change->key, before, after);
    change->done = answer_server;
    change_begin(change);
    return WRITE_GOES_ON;
}

/* The pool has a server of that id, or at that URL. */
static enum written add_known(struct operation *operation, const struct pool_plan *plan,
                              size_t index, const char *url, const char *id)
{
    const struct server *server = plan->servers[index];
    const cJSON *entry = overlay_entry(operation->plane->overlay, plan->pool->name, server->name);
    const cJSON *backup = cJSON_GetObjectItemCaseSensitive(operation->body, "backup");
    bool same = str_equal(server->url.text, str_from(url)) &&
                (operation_text(operation->body, "id") == NULL || strcmp(server->name, id) == 0) &&
                (backup == NULL || (bool)cJSON_IsTrue(backup) == (server->backup != 0));
    bool leaving = overlay_is_leaving(entry);

    if (leaving && same) {
        return stay(operation, plan, index);
    }
    operation_problem(
        operation, 409, "the pool \"%s\" has a server \"%s\" (%.*s) already%s", plan->pool->name,
        server->name, STR_ARGS(server->url.text),
        leaving ? ", which drains to be removed: add it as it is, or make it ready, and it "
                  "stays; remove it with now=1, and its place is free"
                : "");
    return WRITE_ANSWERED;
}

/* A server of the files that was taken away, and is added as it was, is theirs again. */
static void settle(struct change *change)
{
    const struct generation *g = change->plane->runtime->current;
    cJSON *settled = overlay_settle_entry(change->entry, overlay_file_server(g, change->key), true);

    if (settled != NULL) {
        cJSON_Delete(change->entry);
        change->entry = settled;
    }
}

static enum written add_checked(struct operation *operation, const struct pool_plan *plan,
                                const char *url, const char *id)
{
    static const char *const names[] = {"weight", "max_connections", "state", "backup", NULL};
    struct plane *plane = operation->plane;
    size_t index = 0;

    if (plan_server(plan, id, &index) != NULL || pool_has_url(plan, url, &index)) {
        return add_known(operation, plan, index, url, id);
    }
    struct change *change = change_new(plane, operation);
    change->key = overlay_key(plan->pool->name, id);
    const cJSON *now = overlay_at(plane->overlay, change->key);
    change->entry = cJSON_CreateObject();
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(now, "hidden"))) {
        cJSON_AddBoolToObject(change->entry, "hidden", true);
    }
    json_set(change->entry, "url", url);
    for (size_t i = 0; names[i] != NULL; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(operation->body, names[i]);
        if (item != NULL) {
            set_item(change->entry, names[i], cJSON_Duplicate(item, true));
        }
    }
    cJSON *after = cJSON_Duplicate(change->entry, true);
    cJSON_DeleteItemFromObjectCaseSensitive(after, "hidden");
    change_note(change, "server.add", change->key, NULL, after);
    settle(change);
    change->done = answer_server;
    change_begin(change);
    return WRITE_GOES_ON;
}

enum written run_server_add(struct operation *operation)
{
    const struct pool_plan *plan = plane_pool(operation->plane, operation->params[0]);
    enum written written = WRITE_ANSWERED;
    char *id = NULL;

    if (plan == NULL) {
        operation_problem(operation, 404, "there is no pool \"%s\"", operation->params[0]);
        return WRITE_ANSWERED;
    }
    char *tag = show_pool_tag(operation->plane, plan);
    bool matches = operation_matches(operation, tag);
    free(tag);
    char *url = matches ? check_url(operation, &id) : NULL;
    if (url != NULL) {
        written = add_checked(operation, plan, url, id);
    }
    free(url);
    free(id);
    return written;
}

/* ---- patch ---- */

static void patch_state(struct change *change, struct server *server, int32_t file_state,
                        cJSON *before, cJSON *after)
{
    const cJSON *body = change->operation->body;
    const char *state = operation_text(body, "state");
    uint64_t ms = operation_duration_ms(body, "drain_timeout", 0);
    const cJSON *old = overlay_at(change->plane->overlay, change->key);
    const cJSON *deadline = cJSON_GetObjectItemCaseSensitive(old, "drain_deadline");

    if (state == NULL && ms == 0) {
        return;
    }
    if (state != NULL) {
        set_state(change, server, file_state, state, before, after);
    }
    if (ms > 0) {
        cJSON_AddItemToObject(before, "drain_deadline",
                              deadline != NULL ? cJSON_Duplicate(deadline, true)
                                               : cJSON_CreateNull());
        json_set_number(after, "drain_deadline", (double)(loop_wall_ms() + ms));
        set_item(change->entry, "drain_deadline",
                 cJSON_CreateNumber((double)(loop_wall_ms() + ms)));
    }
}

enum written run_server_patch(struct operation *operation)
{
    struct pool_plan *plan = NULL;
    size_t index = 0;
    struct server *server = the_server(operation, &plan, &index);
    const char *state = operation_text(operation->body, "state");

    if (server != NULL && operation->body->child == NULL) {
        operation_invalid(operation, "",
                          "nothing is to be changed; give weight, max_connections, "
                          "state or drain_timeout");
    } else if (server != NULL && operation_text(operation->body, "drain_timeout") != NULL &&
               !(state != NULL ? strcmp(state, "drain") == 0 : server->admin == ADMIN_DRAIN)) {
        operation_invalid(operation, "/drain_timeout", "only a server that drains has a deadline");
    }
    if (server == NULL || operation->problem) {
        return WRITE_ANSWERED;
    }
    const struct server_settings *settings =
        (const struct server_settings *)plan->settings->servers.items + index;
    struct change *change = change_new(operation->plane, operation);
    cJSON *before = cJSON_CreateObject(), *after = cJSON_CreateObject();
    change->key = overlay_key(plan->pool->name, server->name);
    change->entry = copy_entry(operation->plane, change->key);
    patch_number(change, "weight", server->weight, settings->file_weight, settings->runtime, before,
                 after);
    patch_number(change, "max_connections", server->max_connections, settings->file_max_connections,
                 settings->runtime, before, after);
    patch_state(change, server, settings->state, before, after);
    change_note(change, "server.patch", change->key, before, after);
    change->done = answer_server;
    change_begin(change);
    return WRITE_GOES_ON;
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

/* What stays of an entry when the server goes. NULL: nothing, it was added at run time, and the files have
 * none of its name. */
static cJSON *gone_entry(const struct plane *plane, const char *key,
                         const struct server_settings *settings)
{
    const cJSON *now = overlay_at(plane->overlay, key);
    bool hidden = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(now, "hidden"));

    if (settings->runtime && settings->file_url.len == 0 && !hidden) {
        return NULL;
    }
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddBoolToObject(entry, "hidden", true);
    return entry;
}

/* Ready with a weight above 0, and (`well`) not down either. */
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

/* Without it the pool would have no server that serves, and nobody has said that this is meant: 409. */
static bool is_last(struct operation *operation, const struct pool_plan *plan,
                    const struct server *server)
{
    bool well = server_is_well(server);

    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(operation->query, "force")) ||
        !serves(server, false) || another_serves(plan, server, well)) {
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

enum written run_server_remove(struct operation *operation)
{
    struct pool_plan *plan = NULL;
    size_t index = 0;
    struct server *server = the_server(operation, &plan, &index);
    bool now = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(operation->query, "now"));

    if (server == NULL || is_last(operation, plan, server)) {
        return WRITE_ANSWERED;
    }
    const struct server_settings *settings =
        (const struct server_settings *)plan->settings->servers.items + index;
    struct change *change = change_new(operation->plane, operation);
    change->key = overlay_key(plan->pool->name, server->name);
    if (now) {
        change->entry = gone_entry(operation->plane, change->key, settings);
    } else {
        uint64_t ms =
            operation_duration_ms(operation->query, "timeout",
                                  plan->sticky != NULL ? STICKY_DEFAULT_MS : DRAIN_DEFAULT_MS);
        change->entry = copy_entry(operation->plane, change->key);
        if (server->admin != ADMIN_MAINTENANCE) { /* whose sessions have left already */
            set_item(change->entry, "state", cJSON_CreateString("drain"));
        }
        set_item(change->entry, "leaving", cJSON_CreateTrue());
        set_item(change->entry, "drain_deadline",
                 cJSON_CreateNumber((double)(loop_wall_ms() + ms)));
    }
    change_note(change, "server.remove", change->key, describe(server), NULL);
    change->done = answer_server;
    change_begin(change);
    return WRITE_GOES_ON;
}

/* ---- the end of drains ---- */

/* Sessions count as done when none has sent a request for this long. */
#define SESSION_QUIET_SECONDS 60.0

static bool is_quiet(const struct plane *plane, const struct pool_plan *plan,
                     const struct server *server)
{
    if (__atomic_load_n(&server->in_flight, __ATOMIC_SEQ_CST) > 0) {
        return false;
    }
    pthread_mutex_lock((pthread_mutex_t *)(uintptr_t)&server->lock);
    double drained_s = (double)(loop_wall_ms() - server->admin_since_ms) / 1000;
    pthread_mutex_unlock((pthread_mutex_t *)(uintptr_t)&server->lock);
    return plan->sticky == NULL || server->admin == ADMIN_MAINTENANCE ||
           (drained_s > SESSION_QUIET_SECONDS && history_quiet(plane->history, server->id));
}

static void server_leaves(struct plane *plane, const char *key,
                          const struct server_settings *settings, bool on_time)
{
    struct change *change = change_new(plane, NULL);
    change->key = base_strdup(key);
    change->entry = gone_entry(plane, key, settings);
    log_write(WEIR_LOG_NOTICE, "weir", "server \"%s\" is removed: %s", key,
              on_time ? "it is drained" : "its time to drain is over");
    change_begin(change);
}

static void drain_ends(struct plane *plane, const char *key)
{
    struct change *change = change_new(plane, NULL);
    change->key = base_strdup(key);
    change->entry = copy_entry(plane, key);
    set_item(change->entry, "state", cJSON_CreateString("maintenance"));
    set_item(change->entry, "drain_deadline", NULL);
    log_write(WEIR_LOG_NOTICE, "weir",
              "server \"%s\": its time to drain is over; it takes no sessions any more", key);
    change_begin(change);
}

/* true: a change has begun. */
static bool look_at_drain(struct plane *plane, const cJSON *entry)
{
    const char *slash = strrchr(entry->string, '/');
    const cJSON *deadline = cJSON_GetObjectItemCaseSensitive(entry, "drain_deadline");
    bool over = cJSON_IsNumber(deadline) && deadline->valuedouble <= (double)loop_wall_ms();
    bool leaving = overlay_is_leaving(entry);
    size_t index = 0;

    if (slash == NULL || (!leaving && !over)) {
        return false;
    }
    char *pool = base_strndup(entry->string, (size_t)(slash - entry->string));
    const struct pool_plan *plan = plane_pool(plane, pool);
    const struct server *server = plan != NULL ? plan_server(plan, slash + 1, &index) : NULL;
    free(pool);
    if (server == NULL) {
        return false;
    }
    if (leaving) {
        bool quiet = is_quiet(plane, plan, server);
        if (quiet || over) {
            server_leaves(plane, entry->string,
                          (const struct server_settings *)plan->settings->servers.items + index,
                          quiet);
            return true;
        }
        return false;
    }
    drain_ends(plane, entry->string);
    return true;
}

void drain_tick(struct plane *plane)
{
    const cJSON *entry = NULL;

    if (plane->writing != NULL || plane->busy || plane->ended || !store_is_well(plane->store)) {
        return;
    }
    cJSON_ArrayForEach(entry, plane->overlay->entries)
    {
        if (look_at_drain(plane, entry)) {
            return; /* one at a time; the next turn looks at the others */
        }
    }
}
