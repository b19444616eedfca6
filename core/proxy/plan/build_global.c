/* SPDX-License-Identifier: MIT */
/*
 * The global settings of a plan: whether the next start can apply them, and which of them wait for
 * it. What a start refuses is a mistake here, so weir -t and a reload report it too.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "module/host.h"
#include "option/option_value.h"
#include "proxy/plan/build.h"

/* ---- what waits for the next start ---- */

static bool value_equal(const struct weir_option *row, const void *a, const void *b)
{
    if (row->type == WEIR_TYPE_STRING) {
        const struct weir_str *x = a, *y = b;
        return str_equal(*x, *y);
    }
    return memcmp(a, b, option_value_size(row->type)) == 0;
}

static struct weir_str value_text(struct build *b, const struct weir_option *row, const void *field)
{
    struct arena *arena = &b->plan->arena;

    if (row->type == WEIR_TYPE_INTEGER) {
        return arena_printf(arena, "%lld", (long long)*(const int64_t *)field);
    }
    ASSERT(row->type == WEIR_TYPE_STRING);
    const struct weir_str *text = field;
    return text->len > 0 ? arena_printf(arena, "\"%.*s\"", STR_ARGS(*text)) : STR("nothing");
}

static void tell_restart(struct build *b, const struct weir_option *row, const void *wanted,
                         const void *runs)
{
    struct place place = build_place_of(b, wanted);
    char where[16] = "";

    if (place.line > 0) {
        snprintf(where, sizeof(where), ":%u", place.line);
    }
    struct weir_str text =
        arena_printf(&b->plan->arena, "%s%s: %s = %.*s needs a restart; until then it is %.*s",
                     place.file != NULL ? place.file : "?", where, row->name,
                     STR_ARGS(value_text(b, row, wanted)), STR_ARGS(value_text(b, row, runs)));
    b->plan->restart =
        build_grow(b, b->plan->restart, b->plan->restart_count, sizeof(const char *));
    b->plan->restart[b->plan->restart_count++] = text.ptr;
}

/* Settings that only a start can apply keep their old values for all readers; the difference is
 * reported. */
static void keep_started(struct build *b)
{
    const struct global_settings *started = b->input->started;

    for (uint32_t i = 0; started != NULL && i < global_options.count; i++) {
        const struct weir_option *row = option_row(&global_options, i);
        char *wanted = (char *)&b->plan->global + row->offset;
        const char *runs = (const char *)started + row->offset;
        if ((row->flags & WEIR_OPTION_RELOADABLE) == 0 && !value_equal(row, wanted, runs)) {
            tell_restart(b, row, wanted, runs);
            memcpy(wanted, runs, option_value_size(row->type));
        }
    }
}

/* ---- what the next start does ---- */

/* Whether it has the value that this process started with. */
static bool is_started(const struct build *b, const struct weir_str *field)
{
    const struct global_settings *started = b->input->started;
    size_t offset = (size_t)((const char *)field - (const char *)&b->plan->global);

    return started != NULL &&
           str_equal(*field,
                     *(const struct weir_str *)(const void *)((const char *)started + offset));
}

static void check_user(struct build *b, const struct global_settings *global)
{
    if (global->user.len > 0 && !is_started(b, &global->user) &&
        getpwnam(global->user.ptr) == NULL) {
        mistakes_add(b->mistakes, build_place_of(b, &global->user),
                     "user: there is no user \"%s\"; make it with: useradd --system %s",
                     global->user.ptr, global->user.ptr);
    }
    if (global->group.len > 0 && global->user.len == 0) {
        mistakes_add(b->mistakes, build_place_of(b, &global->group),
                     "group: it is taken together with `user`; add user = \"weir\", or take group "
                     "away");
    } else if (global->group.len > 0 && !is_started(b, &global->group) &&
               getgrnam(global->group.ptr) == NULL) {
        mistakes_add(b->mistakes, build_place_of(b, &global->group),
                     "group: there is no group \"%s\"; make it with: groupadd --system %s",
                     global->group.ptr, global->group.ptr);
    }
}

/* The folder that a path is in, in the arena. */
static const char *folder_of(struct build *b, struct weir_str path)
{
    const char *slash = strrchr(path.ptr, '/');
    int len = slash == NULL || slash == path.ptr ? 1 : (int)(slash - path.ptr);
    return arena_printf(&b->plan->arena, "%.*s", len, slash != NULL ? path.ptr : ".").ptr;
}

/* Whether a file can be created in the folder of `path`, which does not exist itself. */
static bool check_folder(struct build *b, const char *option, const struct weir_str *path,
                         int access_flags)
{
    const char *folder = folder_of(b, *path);
    struct stat status;

    if (stat(folder, &status) != 0) {
        mistakes_add(b->mistakes, build_place_of(b, path),
                     errno == ENOENT ? "%s: there is no folder %s; make it"
                                     : "%s: the folder %s cannot be used",
                     option, folder);
    } else if (!S_ISDIR(status.st_mode)) {
        mistakes_add(b->mistakes, build_place_of(b, path), "%s: %s is no folder", option, folder);
    } else if (!b->input->from_root &&
               faccessat(AT_FDCWD, folder, W_OK | X_OK, access_flags) != 0) {
        mistakes_add(b->mistakes, build_place_of(b, path),
                     "%s: the folder %s must be writable for this user", option, folder);
    } else {
        return true;
    }
    return false;
}

/* Written before Weir switches to `user`. */
static void check_pid_file(struct build *b, const struct weir_str *path)
{
    struct stat status;

    if (path->len == 0 || is_started(b, path)) {
        return;
    }
    if (stat(path->ptr, &status) != 0) {
        check_folder(b, "pid_file", path, 0);
    } else if (S_ISDIR(status.st_mode)) {
        mistakes_add(b->mistakes, build_place_of(b, path),
                     "pid_file: %s is a folder; write for example %s/weir.pid", path->ptr,
                     path->ptr);
    } else if (!b->input->from_root && access(path->ptr, W_OK) != 0) {
        mistakes_add(b->mistakes, build_place_of(b, path),
                     "pid_file: %s must be writable for this user", path->ptr);
    }
}

bool build_is_given(const struct build *b, const char *folder)
{
    for (size_t i = 0; i < b->input->given_count; i++) {
        if (strcmp(b->input->given[i], folder) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a start as root would create it or change its owner, as far as can be seen here
 * (privileges.c). */
static bool may_be_given(const char *path)
{
    struct stat status;
    bool full = false;

    if (lstat(path, &status) != 0) {
        return errno == ENOENT;
    }
    DIR *dir = opendir(path);
    for (int i = 0; dir != NULL && i < 3; i++) { /* `.` and `..` are always there */
        full = readdir(dir) != NULL;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return S_ISDIR(status.st_mode) && status.st_uid == 0 && (status.st_mode & 022) == 0 && !full;
}

/* Whether this process may do with the folder what the next start may. */
static bool has_rights_of_start(const struct build *b, const struct global_settings *global)
{
    return !b->input->from_root || (is_started(b, &global->user) && is_started(b, &global->group) &&
                                    !may_be_given(global->state_dir.ptr));
}

/* Who sets no state_dir and no user may do without: then those who need it say what they lack. */
static void check_state_dir(struct build *b, const struct global_settings *global)
{
    const struct weir_str *path = &global->state_dir;
    size_t before = b->mistakes->count;
    struct stat status;

    if (is_started(b, path) || build_is_given(b, path->ptr)) {
        return;
    }
    bool alike = has_rights_of_start(b, global);
    if (build_place_of(b, path).line == 0 && global->user.len == 0) {
        /* it may not be needed */
    } else if (stat(path->ptr, &status) != 0) {
        check_folder(b, "state_dir", path, AT_EACCESS);
    } else if (!S_ISDIR(status.st_mode)) {
        mistakes_add(b->mistakes, build_place_of(b, path), "state_dir: %s is no folder", path->ptr);
    } else if (alike && faccessat(AT_FDCWD, path->ptr, W_OK | X_OK, AT_EACCESS) != 0) {
        const char *user = global->user.len > 0 ? global->user.ptr : "weir";
        mistakes_add(
            b->mistakes, build_place_of(b, path),
            "state_dir: %s and what is in it must be this user's; as root: chown -R %s: %s",
            path->ptr, user, path->ptr);
    }
    if (b->mistakes->count == before) {
        module_host_set_next_state_dir(b->input->started != NULL && alike ? path->ptr : NULL);
    } else if (b->input->started == NULL) {
        module_host_set_state_dir(NULL, true); /* its users need not report it again */
    }
}

void build_try_start(struct build *b, const char *path)
{
    const struct weir_str *user = &b->plan->global.user;
    char error[256];

    if (b->next_user.len > 0 && b->input->try_start != NULL &&
        !b->input->try_start(path, b->mistakes, error, sizeof(error))) {
        mistakes_add(b->mistakes, build_place_of(b, user),
                     "user: it cannot be checked what %s may: %s", b->next_user.ptr, error);
    }
}

void build_globals(struct build *b)
{
    struct global_settings *global = &b->plan->global;

    if (global->workers == 0) {
        long cpus = sysconf(_SC_NPROCESSORS_ONLN);
        global->workers = cpus > 0 ? cpus : 1;
    }
    check_user(b, global);
    check_pid_file(b, &global->pid_file);
    check_state_dir(b, global);
    if (b->input->started != NULL && geteuid() == 0 &&
        !(is_started(b, &global->user) && is_started(b, &global->group))) {
        b->next_user = global->user;
    }
    keep_started(b);
}

void global_settings_copy(struct global_settings *to, struct arena *arena,
                          const struct global_settings *from)
{
    *to = *from;
    for (uint32_t i = 0; i < global_options.count; i++) {
        const struct weir_option *row = option_row(&global_options, i);
        if (row->type == WEIR_TYPE_STRING) {
            struct weir_str *text = (struct weir_str *)(void *)((char *)to + row->offset);
            *text = text->ptr != NULL ? arena_copy(arena, *text) : *text;
        }
    }
}
