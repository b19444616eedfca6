/* SPDX-License-Identifier: MIT */
/*
 * Giving up root. See privileges.h.
 */
#include "control/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

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

static bool become(const struct global_settings *global, char *error, size_t error_size)
{
    const struct passwd *user = getpwnam(global->user.ptr);
    if (user == NULL) {
        snprintf(error, error_size, "user \"%s\" does not exist; make it with adduser --system %s",
                 global->user.ptr, global->user.ptr);
        return false;
    }
    gid_t gid = user->pw_gid;
    uid_t uid = user->pw_uid;
    if (global->group.len > 0) {
        const struct group *group = getgrnam(global->group.ptr);
        if (group == NULL) {
            snprintf(error, error_size, "group \"%s\" does not exist", global->group.ptr);
            return false;
        }
        gid = group->gr_gid;
    }
    if (initgroups(global->user.ptr, gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0) {
        snprintf(error, error_size, "cannot become user \"%s\": %s", global->user.ptr,
                 strerror(errno));
        return false;
    }
    return true;
}

bool privileges_drop(const struct global_settings *global, char *error, size_t error_size)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    if (global->pid_file.len > 0 && !write_pid(global->pid_file.ptr, error, error_size)) {
        return false;
    }
    if (global->user.len > 0 && geteuid() == 0 && !become(global, error, error_size)) {
        return false;
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return true;
}
