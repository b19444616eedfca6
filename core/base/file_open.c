/* SPDX-License-Identifier: MIT */
/*
 * Opening files. See file_open.h.
 */
#include "base/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(int fd, const char **why, const char *words)
{
    close(fd);
    *why = words;
    return -1;
}

int file_open(const char *path, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;

    if (fd == -1) {
        *why = errno == ENXIO ? "it is a socket" : strerror(errno);
        return -1;
    }
    if (fstat(fd, &status) == -1) {
        return refuse(fd, why, strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        return refuse(fd, why, "it is a folder; a file must be named");
    }
    if (!S_ISREG(status.st_mode)) {
        return refuse(fd, why, "it is no regular file");
    }
    (void)fcntl(fd, F_SETFL, O_RDONLY); /* blocking again */
    return fd;
}
