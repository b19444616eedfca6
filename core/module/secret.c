/* SPDX-License-Identifier: MIT */
/*
 * Making and reading the secret's file.
 */
#include "module/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

void secret_random(void *out, size_t len)
{
    uint8_t *bytes = out;

    while (len > 0) {
        ssize_t got = getrandom(bytes, len, 0);
        if (got == -1) {
            ASSERT(errno == EINTR); /* the call has no other failure */
            continue;
        }
        bytes += got;
        len -= (size_t)got;
    }
}

static bool fail(char *error, size_t error_size, const char *what, const char *path)
{
    snprintf(error, error_size, "%s %s: %s", what, path, strerror(errno));
    return false;
}

static int open_secret(int folder)
{
    return openat(folder, "secret", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* Writes a new secret to a temporary file and links it in place; if another process is faster, its
 * file stays. */
static bool make_secret(int folder, const char *path, char *error, size_t error_size)
{
    uint8_t secret[SECRET_LEN];
    char name[64];
    struct stat owner;
    bool ok = false;

    secret_random(secret, sizeof(secret));
    snprintf(name, sizeof(name), ".secret.%ld", (long)getpid());
    unlinkat(folder, name, 0); /* left by a killed process with this number */
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1) {
        return fail(error, error_size, "cannot make", path);
    }
    /* Started as root, the process will not be root when it reads it again. */
    if (geteuid() == 0 && fstat(folder, &owner) == 0 &&
        fchown(fd, owner.st_uid, owner.st_gid) != 0) {
        fail(error, error_size, "cannot set the owner of", path);
    } else if (write(fd, secret, sizeof(secret)) != (ssize_t)sizeof(secret) || fsync(fd) == -1) {
        fail(error, error_size, "cannot write", path);
    } else if (linkat(folder, name, folder, "secret", 0) == -1 && errno != EEXIST) {
        fail(error, error_size, "cannot make", path);
    } else {
        ok = true;
    }
    close(fd);
    unlinkat(folder, name, 0);
    if (ok && fsync(folder) == -1 && errno != EINVAL) {
        ok = fail(error, error_size, "cannot keep", path);
    }
    explicit_bzero(secret, sizeof(secret));
    return ok;
}

static bool read_opened(int fd, const char *path, uint8_t out[SECRET_LEN], char *error,
                        size_t error_size)
{
    struct stat status;

    if (fstat(fd, &status) == -1) {
        return fail(error, error_size, "cannot read", path);
    }
    if (!S_ISREG(status.st_mode) || status.st_size != SECRET_LEN) {
        snprintf(error, error_size,
                 "%s is not a file of %u bytes; remove it, and a new one is made (sessions kept by "
                 "cookies then begin anew)",
                 path, SECRET_LEN);
        return false;
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        snprintf(error, error_size, "%s can be read by others; set its mode to 0600", path);
        return false;
    }
    ssize_t got = pread(fd, out, SECRET_LEN, 0);
    if (got != (ssize_t)SECRET_LEN) {
        errno = got == -1 ? errno : EIO;
        return fail(error, error_size, "cannot read", path);
    }
    return true;
}

/* What make_secret would make; nothing is. */
static bool look_only(const char *folder, const char *path, uint8_t out[SECRET_LEN], char *error,
                      size_t error_size)
{
    secret_random(out, SECRET_LEN);
    return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0 ||
           fail(error, error_size, "cannot make", path);
}

/* The folder that `path` is in, for the caller to free. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL   ? base_strdup(".")
           : slash == path ? base_strdup("/")
                           : base_strndup(path, (size_t)(slash - path));
}

bool secret_read(const char *folder_path, bool look, uint8_t out[SECRET_LEN], char *error,
                 size_t error_size)
{
    char *path = base_printf("%s/secret", folder_path);
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int folder = open(folder_path, flags);
    int fd = -1;
    bool ok = false;

    if (folder == -1 && errno == ENOENT && look) {
        char *parent = parent_of(folder_path);
        ok = look_only(parent, folder_path, out, error, error_size);
        free(parent);
        goto end;
    }
    if (folder == -1 && errno == ENOENT && mkdir(folder_path, 0750) == 0) {
        folder = open(folder_path, flags);
    }
    if (folder == -1) {
        fail(error, error_size, "cannot use the folder", folder_path);
        goto end;
    }
    fd = open_secret(folder);
    if (fd == -1 && errno == ENOENT) {
        if (look) {
            ok = look_only(folder_path, path, out, error, error_size);
            goto end;
        }
        if (!make_secret(folder, path, error, error_size)) {
            goto end;
        }
        fd = open_secret(folder);
    }
    ok = fd != -1 ? read_opened(fd, path, out, error, error_size)
                  : fail(error, error_size, "cannot open", path);
end:
    if (fd != -1) {
        close(fd);
    }
    if (folder != -1) {
        close(folder);
    }
    free(path);
    return ok;
}
