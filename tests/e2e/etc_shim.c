/* SPDX-License-Identifier: MIT */
/*
 * Another /etc for one process: loaded by LD_PRELOAD, it lets /etc/hosts and /etc/resolv.conf be
 * the files of those names in the folder that WEIR_TEST_ETC names.
 */
#define _LARGEFILE64_SOURCE /* fopen64: the C library's own fopen, by another name */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VISIBLE __attribute__((visibility("default")))

/* `path`, or the one that stands for it, in `room`. */
static const char *instead(const char *path, char *room, size_t size)
{
    const char *folder = getenv("WEIR_TEST_ETC");

    if (folder == NULL ||
        (strcmp(path, "/etc/hosts") != 0 && strcmp(path, "/etc/resolv.conf") != 0)) {
        return path;
    }
    snprintf(room, size, "%s/%s", folder, path + strlen("/etc/"));
    return room;
}

VISIBLE FILE *fopen(const char *path, const char *mode)
{
    char room[512];
    return fopen64(instead(path, room, sizeof(room)), mode);
}

/* Weir opens by itself what it then reads; c-ares has fopen do it. */
VISIBLE int open(const char *path, int flags, ...)
{
    char room[512];
    mode_t mode = 0;

    if ((flags & O_CREAT) != 0) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    return openat(AT_FDCWD, instead(path, room, sizeof(room)), flags, mode);
}

VISIBLE int stat(const char *path, struct stat *about)
{
    char room[512];
    return fstatat(AT_FDCWD, instead(path, room, sizeof(room)), about, 0);
}
