/* SPDX-License-Identifier: MIT */
/*
 * Giving up root. See privileges.h.
 */
#include "control/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

struct identity {
    uid_t uid;
    gid_t gid;
};

/* false: stays root, or there is no such user or group. */
static bool find_identity(const struct global_settings *global, struct identity *out)
{
    const struct passwd *user = NULL;

    if (global->user.len > 0 && getuid() == 0) {
        user = getpwnam(global->user.ptr);
    }
    if (user == NULL || user->pw_uid == 0) {
        return false;
    }
    *out = (struct identity){user->pw_uid, user->pw_gid};
    if (global->group.len > 0) {
        const struct group *group = getgrnam(global->group.ptr);
        if (group == NULL) {
            return false;
        }
        out->gid = group->gr_gid;
    }
    return true;
}

/* ---- folders ---- */

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry = NULL;
    bool empty = dir != NULL;

    while (empty && (entry = readdir(dir)) != NULL) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return empty;
}

/* Only a folder that is missing, or empty and root's: a folder with files is not ours to give
 * away. */
static bool give_folder(const char *path, const struct identity *to, bool try)
{
    struct stat status;

    if (lstat(path, &status) != 0) {
        const char *slash = strrchr(path, '/');
        char *parent = base_strndup(path, slash > path ? (size_t)(slash - path) : 1);
        bool there = errno == ENOENT && stat(parent, &status) == 0 && S_ISDIR(status.st_mode);
        free(parent);
        mode_t mode = strncmp(path, "/run/", 5) == 0 ? 0755 : 0750; /* others use the sockets */
        if (!there || (!try && mkdir(path, mode) != 0)) {
            return false;
        }
    } else if (!S_ISDIR(status.st_mode) || status.st_uid != 0 || (status.st_mode & 022) != 0 ||
               !is_empty(path)) {
        return false;
    }
    return try || lchown(path, to->uid, to->gid) == 0;
}

static void give_folders(struct privileges_folders *folders, const struct identity *to, bool try)
{
    size_t kept = 0;

    for (size_t i = 0; i < folders->count; i++) {
        if (give_folder(folders->paths[i], to, try)) {
            folders->paths[kept++] = folders->paths[i];
        }
    }
    folders->count = kept;
}

/* ---- the one capability ---- */

static const uint32_t kept_capability = UINT32_C(1) << CAP_NET_BIND_SERVICE;

static bool get_capabilities(struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    memset(data, 0, 2 * sizeof(*data));
    return syscall(SYS_capget, &header, data) == 0;
}

static void set_capabilities(struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    (void)syscall(SYS_capset, &header, data); /* without it, low ports fail, which is reported */
}

/* ---- becoming another user ---- */

static bool fail(const struct global_settings *global, char *error, size_t error_size)
{
    snprintf(error, error_size, "cannot become user \"%s\": %s", global->user.ptr, strerror(errno));
    return false;
}

bool privileges_assume(const struct global_settings *global, struct privileges_folders *folders,
                       bool try, char *error, size_t error_size)
{
    struct __user_cap_data_struct data[2];
    struct identity to = {0};

    if (global->user.len > 0 && geteuid() != 0) {
        const struct passwd *self = getpwuid(geteuid());
        if (self == NULL || strcmp(self->pw_name, global->user.ptr) != 0) {
            log_write(WEIR_LOG_WARNING, "weir",
                      "user = \"%s\" has no effect: only root can become another user",
                      global->user.ptr);
        }
    }
    if (!find_identity(global, &to)) {
        folders->count = 0;
        return true;
    }
    give_folders(folders, &to, try);
    if (initgroups(global->user.ptr, to.gid) != 0 || setegid(to.gid) != 0 || seteuid(to.uid) != 0) {
        return fail(global, error, error_size);
    }
    if (get_capabilities(data)) {
        data[0].effective |= data[0].permitted & kept_capability;
        set_capabilities(data);
    }
    return true;
}

/* For good: there is no way back. */
static bool become(const struct global_settings *global, const struct identity *to, char *error,
                   size_t error_size)
{
    struct __user_cap_data_struct data[2];

    (void)prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (initgroups(global->user.ptr, to->gid) != 0 || setgid(to->gid) != 0 ||
        setuid(to->uid) != 0) {
        return fail(global, error, error_size);
    }
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    if (get_capabilities(data)) {
        data[0] = (struct __user_cap_data_struct){.permitted = data[0].permitted & kept_capability,
                                                  .effective = data[0].permitted & kept_capability};
        data[1] = (struct __user_cap_data_struct){0};
        set_capabilities(data);
    }
    if (setuid(0) == 0) {
        errno = EPERM;
        return fail(global, error, error_size);
    }
    return true;
}

static bool write_pid(const char *path, char *error, size_t error_size)
{
    FILE *file = fopen(path, "we");
    bool ok = file != NULL && fprintf(file, "%ld\n", (long)getpid()) > 0;
    if (file != NULL && fclose(file) != 0) {
        ok = false;
    }
    if (!ok) {
        snprintf(error, error_size, "cannot write pid_file %s: %s", path, strerror(errno));
    }
    return ok;
}

bool privileges_drop(const struct global_settings *global, bool *from_root, char *error,
                     size_t error_size)
{
    struct rlimit none = {0, 0};
    struct identity to = {0};

    *from_root = find_identity(global, &to);
    if (*from_root && (seteuid(0) != 0 || setegid(0) != 0)) {
        return fail(global, error, error_size);
    }
    setrlimit(RLIMIT_CORE, &none);
    if (global->pid_file.len > 0 && !write_pid(global->pid_file.ptr, error, error_size)) {
        return false;
    }
    if (*from_root && !become(global, &to, error, error_size)) {
        return false;
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return true;
}
