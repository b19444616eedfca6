/* SPDX-License-Identifier: MIT */
/*
 * store_sqlite: keeps runtime changes and their journal in one SQLite file.
 */
#include <weir/weir.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "db.h"

/* ---- options ---- */

/* SQLite's own limit, and that of the system, are above; the names that are made from it fit. */
#define PATH_LIMIT 3900

struct conf {
    struct weir_str path;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, path, STRING, NULL, WEIR_CONTEXT_MODULE,
                WEIR_OPTION_PATH | WEIR_OPTION_NOT_EMPTY,
                "The database's file, made with mode 0600. Without it: weir.db in state_dir."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- configuration ---- */

/* A file that cannot be there is told when the configuration is checked, not when the store
 * opens it. */
static void check_place(struct weir_context *ctx, struct weir_check *check, const struct conf *conf,
                        const char *path)
{
    struct stat status;
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL || slash == path ? strdup(slash == NULL ? "." : "/")
                                                  : strndup(path, (size_t)(slash - path));

    if (folder == NULL) {
        return;
    }
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) {
        weir_check_error(ctx, check, &conf->path, "path: %s is no plain file", path);
    } else if (stat(folder, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        weir_check_error(ctx, check, &conf->path, "path: there is no folder %s; make it", folder);
    }
    free(folder);
}

/* Prepares the path: as configured, or weir.db in state_dir; ended by NUL. */
static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    const struct conf *c = conf;
    struct weir_str folder = weir_state_dir(ctx);
    size_t size = c->path.len + folder.len + sizeof("/weir.db");
    char *path = malloc(size);

    if (path == NULL) {
        return WEIR_NO_MEMORY;
    }
    if (c->path.len > PATH_LIMIT) {
        weir_check_error(ctx, check, &c->path, "`path` is too long: %d bytes at most", PATH_LIMIT);
    }
    if (c->path.len > 0) {
        snprintf(path, size, "%.*s", (int)c->path.len, c->path.ptr);
        check_place(ctx, check, c, path);
    } else {
        snprintf(path, size, "%.*s/weir.db", (int)folder.len, folder.ptr);
    }
    *prepared = path;
    return WEIR_OK;
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    (void)ctx;
    free(prepared);
}

/* ---- the instance ---- */

struct store {
    char *path;
    struct db *db; /* NULL: not open */
};

static void destroy(struct weir_context *ctx, void *instance)
{
    struct store *store = instance;

    (void)ctx;
    db_close(&store->db);
    free(store->path);
    free(store);
}

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct store *store = calloc(1, sizeof(*store));

    (void)ctx;
    (void)conf;
    if (store == NULL || (store->path = strdup(prepared)) == NULL) {
        free(store);
        return WEIR_NO_MEMORY;
    }
    *instance = store;
    return WEIR_OK;
}

/* ---- opening ---- */

/* A remedy for each failure. */
static const char *advice(enum db_status status)
{
    switch (status) {
    case DB_FULL: return "free some space on that disk";
    case DB_LOCKED: return "another Weir uses it: stop that one, or give this one another path";
    case DB_READ_ONLY: return "let Weir's user write it and its folder";
    case DB_NEWER: return "run the newer Weir, or move the file away";
    case DB_OK:
    case DB_DAMAGED:
    case DB_FAILED: return "move the file away if it is not Weir's";
    }
    return "";
}

static enum weir_status open_store(struct weir_context *ctx, void *instance, char *text,
                                   size_t text_size)
{
    struct store *store = instance;
    struct db_report report;
    enum db_status status = DB_OK;

    db_close(&store->db);
    store->db = db_open(store->path, &status, &report);
    if (store->db == NULL) {
        snprintf(text, text_size, "%s: %s; %s", store->path, report.error, advice(status));
        return WEIR_ERROR;
    }
    if (report.migrated_from >= 0) {
        weir_log(ctx, WEIR_LOG_NOTICE, "%s: brought from schema %d to %d", store->path,
                 report.migrated_from, DB_VERSION);
    }
    if (report.reading_alone) {
        snprintf(text, text_size, "%s: %s; %s", store->path, report.error, advice(DB_READ_ONLY));
        return WEIR_DECLINED;
    }
    if (report.damage[0] != '\0') {
        snprintf(text, text_size,
                 "%s is damaged (%s); it was set aside as %s, and a fresh one is begun: runtime "
                 "changes and the journal are gone",
                 store->path, report.damage, report.set_aside);
    }
    return WEIR_OK;
}

/* ---- writing ---- */

/* Spaces are few and short; SQLite wants them ended by NUL. */
#define SPACE_LIMIT 64

static bool take_space(struct weir_str space, char out[SPACE_LIMIT])
{
    if (space.len >= SPACE_LIMIT || memchr(space.ptr, '\0', space.len) != NULL) {
        return false;
    }
    memcpy(out, space.ptr, space.len);
    out[space.len] = '\0';
    return true;
}

static enum weir_status commit(struct weir_context *ctx, void *instance,
                               const struct weir_store_change *changes, size_t count, char *error,
                               size_t error_size)
{
    struct store *store = instance;
    char space[SPACE_LIMIT];

    (void)ctx;
    if (store->db == NULL) {
        snprintf(error, error_size, "%s is not open", store->path);
        return WEIR_ERROR;
    }
    db_begin(store->db);
    for (size_t i = 0; i < count; i++) {
        const struct weir_store_change *change = weir_store_change_at(changes, i);
        if (!take_space(change->space, space)) {
            db_rollback(store->db);
            snprintf(error, error_size, "a space's name is too long");
            return WEIR_INVALID;
        }
        if (change->remove) {
            db_remove(store->db, space, change->key.ptr, change->key.len);
        } else {
            db_put(store->db, space, change->key.ptr, change->key.len, change->value.ptr,
                   change->value.len);
        }
    }
    enum db_status status = db_commit(store->db);
    if (status != DB_OK) {
        snprintf(error, error_size, "%s: %s; %s", store->path, db_error(store->db), advice(status));
    }
    return status == DB_OK ? WEIR_OK : WEIR_ERROR;
}

/* ---- reading ---- */

struct visit {
    weir_store_visit_fn fn;
    void *arg;
    size_t left; /* SIZE_MAX: all */
};

static bool visit_one(void *arg, const void *key, size_t key_len, const void *value,
                      size_t value_len)
{
    struct visit *visit = arg;
    struct weir_str k = {key, key_len};
    struct weir_str v = {value, value_len};

    visit->left--;
    return visit->fn(visit->arg, k, v) && visit->left > 0;
}

static enum weir_status scan(struct weir_context *ctx, void *instance, struct weir_str space,
                             struct weir_str from, bool reverse, size_t limit,
                             weir_store_visit_fn fn, void *arg)
{
    struct store *store = instance;
    struct visit visit = {fn, arg, limit > 0 ? limit : SIZE_MAX};
    char name[SPACE_LIMIT];

    if (store->db == NULL || !take_space(space, name)) {
        weir_log(ctx, WEIR_LOG_ERROR, "%s is not open, and cannot be read", store->path);
        return WEIR_ERROR;
    }
    if (db_each(store->db, name, from.len > 0 ? from.ptr : NULL, from.len, reverse, visit_one,
                &visit) != DB_OK) {
        weir_log(ctx, WEIR_LOG_ERROR, "%s: %s", store->path, db_error(store->db));
        return WEIR_ERROR;
    }
    return WEIR_OK;
}

/* ---- descriptor ---- */

static const struct weir_store hooks = {
    .size = sizeof(struct weir_store),
    .create = create,
    .destroy = destroy,
    .open = open_store,
    .commit = commit,
    .scan = scan,
};

WEIR_DEFINE_MODULE("store_sqlite", "1.0", "MIT",
                   "Keeps runtime changes and their journal in a SQLite file", .options = &options,
                   .conf_create = conf_create, .conf_free = conf_free, .store = &hooks);
