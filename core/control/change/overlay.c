/* SPDX-License-Identifier: MIT */
/*
 * Runtime changes laid over the files. See overlay.h.
 */
#include "control/change/overlay.h"

#include <stdlib.h>

#include "base/log.h"
#include "control/api/find.h"
#include "option/option_value.h"

/* One entry in the tables. */
struct item {
    struct table_named by_key;
    struct table_link by_pool;
    cJSON *entry;
    const struct server_settings *file; /* the files' server; only in overlay_adjust */
};

struct overlay *overlay_new(void)
{
    struct overlay *overlay = base_zalloc(sizeof(*overlay));
    overlay->entries = cJSON_CreateObject();
    return overlay;
}

static struct item *item_of(const struct table_link *by_pool)
{
    return container_of(by_pool, struct item, by_pool);
}

static struct item *find_item(const struct overlay *overlay, const char *key)
{
    struct table_named *found = table_find(&overlay->by_key, str_from(key));
    return found != NULL ? container_of(found, struct item, by_key) : NULL;
}

static void item_free(struct overlay *overlay, struct item *item)
{
    table_remove(&item->by_key.link);
    table_remove(&item->by_pool);
    cJSON_Delete(cJSON_DetachItemViaPointer(overlay->entries, item->entry));
    free(item);
}

void overlay_free(struct overlay **overlay)
{
    struct overlay *o = *overlay;
    *overlay = NULL;
    while (o->entries->child != NULL) {
        item_free(o, find_item(o, o->entries->child->string));
    }
    table_end(&o->by_key);
    table_end(&o->by_pool);
    cJSON_Delete(o->entries);
    free(o);
}

char *overlay_key(const char *pool, const char *id)
{
    return base_printf("%s/%s", pool, id);
}

const cJSON *overlay_at(const struct overlay *overlay, const char *key)
{
    const struct item *item = find_item(overlay, key);
    return item != NULL ? item->entry : NULL;
}

const cJSON *overlay_entry(const struct overlay *overlay, const char *pool, const char *id)
{
    if (overlay->entries->child == NULL) {
        return NULL;
    }
    char *key = overlay_key(pool, id);
    const cJSON *entry = overlay_at(overlay, key);
    free(key);
    return entry;
}

cJSON *overlay_copy(const struct overlay *overlay, const char *key)
{
    const cJSON *entry = overlay_at(overlay, key);
    return entry != NULL ? cJSON_Duplicate(entry, true) : cJSON_CreateObject();
}

cJSON *overlay_without(const struct overlay *overlay, const char *key,
                       const struct server_settings *settings)
{
    if (settings->runtime && settings->file_url.len == 0 &&
        !overlay_is_hidden(overlay_at(overlay, key))) {
        return NULL;
    }
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddBoolToObject(entry, "hidden", true);
    return entry;
}

void overlay_set(struct overlay *overlay, const char *key, cJSON *entry)
{
    struct item *item = find_item(overlay, key);
    char *own = base_strdup(key); /* `key` may be the entry's own */

    if (item != NULL) {
        item_free(overlay, item);
    }
    if (entry != NULL && entry->child != NULL) {
        cJSON_AddItemToObject(overlay->entries, own, entry);
        item = base_zalloc(sizeof(*item));
        item->entry = entry;
        table_add_named(&overlay->by_key, &item->by_key, str_from(entry->string));
        table_add(&overlay->by_pool, &item->by_pool, table_hash(find_pool_name(own)));
    } else {
        cJSON_Delete(entry);
    }
    free(own);
}

/* The first and next entry of a pool; NULL: none. */
static struct item *pool_item(struct table_link *link, struct weir_str pool)
{
    while (link != NULL && !str_equal(find_pool_name(item_of(link)->entry->string), pool)) {
        link = table_next(link);
    }
    return link != NULL ? item_of(link) : NULL;
}

static struct item *pool_first(const struct overlay *overlay, struct weir_str pool)
{
    return pool_item(table_first(&overlay->by_pool, table_hash(pool)), pool);
}

static struct item *pool_next(const struct item *item, struct weir_str pool)
{
    return pool_item(table_next(&item->by_pool), pool);
}

/* Whether the entry changes which servers the pool has. */
static bool changes_members(const cJSON *entry)
{
    return overlay_is_hidden(entry) || cJSON_HasObjectItem(entry, "url");
}

enum server_admin overlay_state(const cJSON *entry, const struct server_settings *settings)
{
    const char *word = json_text(entry, "state");
    return word == NULL                 ? (enum server_admin)settings->state
           : strcmp(word, "ready") == 0 ? ADMIN_READY
           : strcmp(word, "drain") == 0 ? ADMIN_DRAIN
                                        : ADMIN_MAINTENANCE;
}

static void adjust_numbers(struct server_settings *server, const cJSON *entry)
{
    server->weight = json_integer(entry, "weight", server->weight);
    server->max_connections = json_integer(entry, "max_connections", server->max_connections);
}

/* A server added at run time. false: its URL no longer parses. */
static bool add_server(struct arena *arena, struct server_settings *server, const cJSON *entry,
                       const char *id)
{
    const char *url = json_text(entry, "url");
    char error[OPTION_ERROR_SIZE];
    struct weir_str text = arena_copy(arena, str_from(url));

    *server = (struct server_settings){.runtime = true, .weight = 1};
    server->id = arena_copy(arena, str_from(id));
    server->backup = json_is_true(entry, "backup");
    adjust_numbers(server, entry);
    if (!option_url_parse((char *)(uintptr_t)text.ptr, text.len, &server->url, error,
                          sizeof(error))) {
        log_write(WEIR_LOG_ERROR, "weir", "the server \"%s\", added at run time, is left out: %s",
                  id, error);
        return false;
    }
    return true;
}

/* Whether the files define the same server, as they do after an export replaced them. The entry
 * is redundant then. */
static bool is_the_files(const struct server_settings *server, const cJSON *entry)
{
    const char *url = json_text(entry, "url");
    return url != NULL && str_equal(server->url.text, str_from(url)) &&
           server->backup == json_is_true(entry, "backup");
}

/* A server from the files with its runtime settings. An added server that equals it is settled
 * first. */
static void adjust_file_server(struct server_settings *server, const cJSON *entry)
{
    cJSON *settled = changes_members(entry) ? overlay_settle_entry(entry, server, true) : NULL;
    adjust_numbers(server, settled != NULL ? settled : entry);
    cJSON_Delete(settled);
}

void overlay_adjust(void *arg, struct arena *arena, struct pool_settings *settings)
{
    const struct overlay *overlay = arg;
    const struct server_settings *from = settings->servers.items;
    struct weir_str name = settings->name;
    size_t room = settings->servers.count;
    size_t count = 0;

    for (struct item *item = pool_first(overlay, name); item != NULL;
         item = pool_next(item, name)) {
        item->file = NULL;
        room++;
    }
    if (room == settings->servers.count) {
        return;
    }
    struct server_settings *to = arena_zalloc(arena, room * sizeof(*to));
    ASSERT(to != NULL);
    for (size_t i = 0; i < settings->servers.count; i++) {
        char *key = base_printf("%.*s/%.*s", STR_ARGS(name), STR_ARGS(from[i].id));
        struct item *item = find_item(overlay, key);
        const cJSON *entry = item != NULL ? item->entry : NULL;
        free(key);
        if (item != NULL) {
            item->file = &from[i];
        }
        /* Where the files and a runtime addition use the same id, the addition wins. */
        if (!changes_members(entry) || is_the_files(&from[i], entry)) {
            to[count] = from[i];
            adjust_file_server(&to[count++], entry);
        }
    }
    for (struct item *item = pool_first(overlay, name); item != NULL;
         item = pool_next(item, name)) {
        const cJSON *entry = item->entry;
        bool theirs = item->file != NULL && is_the_files(item->file, entry);
        if (!cJSON_HasObjectItem(entry, "url") || theirs ||
            !add_server(arena, &to[count], entry, entry->string + name.len + 1)) {
            continue;
        }
        if (item->file != NULL && !overlay_is_hidden(entry)) {
            to[count].file_url = item->file->url.text;
        }
        count++;
    }
    settings->servers.items = to;
    settings->servers.count = count;
}

void overlay_set_states(const struct overlay *overlay, const struct generation *generation)
{
    for (size_t i = 0; i < generation->plan->pool_count; i++) {
        const struct pool_plan *plan = &generation->plan->pools[i];
        const struct server_settings *settings = plan->settings->servers.items;
        for (size_t k = 0; k < plan->server_count; k++) {
            struct server *server = plan->servers[k];
            const cJSON *entry = overlay_entry(overlay, server->pool_name, server->name);
            server_set_admin(server, overlay_state(entry, &settings[k]));
        }
    }
}

/* ---- what the files have ---- */

bool overlay_in_files(const struct generation *generation, const char *key)
{
    struct weir_str pool = find_pool_name(key);
    const struct pool_plan *plan = plan_pool(generation->plan, pool);

    for (size_t i = 0; plan != NULL && i < plan->settings->configured.count; i++) {
        const struct server_settings *files = plan->settings->configured.items;
        if (files[i].resolve != RESOLVE_FIRST ||
            str_equal(files[i].id, str_from(key + pool.len + 1))) {
            return true;
        }
    }
    return false;
}

const struct server_settings *overlay_file_server(const struct generation *generation,
                                                  const char *key)
{
    struct found found = find_by_key(generation, key);
    struct weir_str id = str_from(key + find_pool_name(key).len + 1);

    if (found.server != NULL && !found.settings->runtime) {
        return found.settings;
    }
    for (size_t i = 0; found.plan != NULL && i < found.plan->settings->configured.count; i++) {
        const struct server_settings *files = found.plan->settings->configured.items;
        if (files[i].resolve == RESOLVE_FIRST && str_equal(files[i].id, id)) {
            return &files[i]; /* it is hidden or replaced */
        }
    }
    return NULL;
}

static void settle_number(cJSON *entry, const char *name, int64_t fallback, int64_t file)
{
    int64_t value = json_integer(entry, name, fallback);
    cJSON_DeleteItemFromObjectCaseSensitive(entry, name);
    if (value != file) {
        cJSON_AddNumberToObject(entry, name, (double)value);
    }
}

/* The settings of a server that the files define. `fresh`: it was added beside theirs, with its
 * own values. */
static void settle_values(cJSON *entry, const struct server_settings *file, bool fresh)
{
    const char *state = json_text(entry, "state");
    const char *is = server_admin_word((enum server_admin)file->state);

    settle_number(entry, "weight", fresh ? 1 : file->file_weight, file->file_weight);
    settle_number(entry, "max_connections", fresh ? 0 : file->file_max_connections,
                  file->file_max_connections);
    if (state == NULL && fresh && file->state != ADMIN_READY) {
        cJSON_AddStringToObject(entry, "state", server_admin_word(ADMIN_READY));
    } else if (state != NULL && strcmp(state, is) == 0 && !overlay_is_leaving(entry) &&
               !cJSON_HasObjectItem(entry, "drain_deadline")) {
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "state");
    }
}

cJSON *overlay_settle_entry(const cJSON *entry, const struct server_settings *file, bool in_files)
{
    cJSON *settled = cJSON_Duplicate(entry, true);
    bool added = cJSON_HasObjectItem(entry, "url");
    bool theirs = added && file != NULL && is_the_files(file, entry);

    if (theirs) {
        cJSON_DeleteItemFromObjectCaseSensitive(settled, "url");
        cJSON_DeleteItemFromObjectCaseSensitive(settled, "backup");
    }
    if (theirs || (overlay_is_hidden(entry) && !added && !in_files)) {
        cJSON_DeleteItemFromObjectCaseSensitive(settled, "hidden");
    }
    if (file != NULL && !changes_members(settled)) {
        settle_values(settled, file, theirs && overlay_is_hidden(entry));
    }
    if (cJSON_Compare(settled, entry, true)) {
        cJSON_Delete(settled);
        return NULL;
    }
    return settled;
}

cJSON *overlay_settle(const struct overlay *overlay, const struct generation *generation)
{
    cJSON *all = NULL;
    const cJSON *entry = NULL;

    cJSON_ArrayForEach(entry, overlay->entries)
    {
        const char *key = entry->string;
        bool bare = overlay_is_hidden(entry) && !cJSON_HasObjectItem(entry, "url");
        struct found found = find_by_key(generation, key);
        /* An added server that equals the files' no longer counts as added: see overlay_adjust. */
        const struct server_settings *file =
            found.server != NULL && !found.settings->runtime ? found.settings : NULL;
        cJSON *settled =
            found.plan != NULL
                ? overlay_settle_entry(entry, file, !bare || overlay_in_files(generation, key))
                : NULL;
        if (settled != NULL) {
            all = all != NULL ? all : cJSON_CreateObject();
            cJSON_AddItemToObject(all, key, settled);
        }
    }
    return all;
}

/* ---- contradictions ---- */

static void contradict(cJSON *list, const char *key, const char *field, cJSON *file,
                       const cJSON *runtime)
{
    struct weir_str pool = find_pool_name(key);
    cJSON *object = json_append(list);

    json_set_str(object, "pool", pool);
    json_set(object, "server", key + pool.len + 1);
    json_set(object, "field", field);
    cJSON_AddItemToObject(object, "file", file);
    json_set_copy(object, "runtime", runtime);
}

static void contradict_number(cJSON *list, const cJSON *entry, const char *field, int64_t file)
{
    if (json_integer(entry, field, file) != file) {
        contradict(list, entry->string, field, cJSON_CreateNumber((double)file),
                   json_get(entry, field));
    }
}

cJSON *overlay_contradictions(const struct overlay *overlay, const struct generation *generation)
{
    cJSON *list = cJSON_CreateArray();
    const cJSON *entry = NULL;

    cJSON_ArrayForEach(entry, overlay->entries)
    {
        struct found found = find_by_key(generation, entry->string);
        const struct server_settings *server = found.settings;
        if (server != NULL && !server->runtime) {
            contradict_number(list, entry, "weight", server->file_weight);
            contradict_number(list, entry, "max_connections", server->file_max_connections);
        } else if (server != NULL && server->file_url.len > 0) {
            char *url = base_strndup(server->file_url.ptr, server->file_url.len);
            contradict(list, entry->string, "url", cJSON_CreateString(url), json_get(entry, "url"));
            free(url);
        } else if (found.plan == NULL) {
            contradict(list, entry->string, "pool", cJSON_CreateNull(), NULL);
        } else if (!changes_members(entry)) {
            contradict(list, entry->string, "server", cJSON_CreateNull(), NULL);
        }
    }
    return list;
}
