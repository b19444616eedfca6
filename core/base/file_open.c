/* SPDX-License-Identifier: MIT */
/*
 * Opening files. See file_open.h.
 */
#include "base/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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

static void wipe(char *text, size_t len)
{
    explicit_bzero(text, len);
    free(text);
}

char *file_read(int fd, size_t max, size_t *len)
{
    size_t capacity = 16384;
    char *text = base_alloc(capacity);
    ssize_t got;

    *len = 0;
    while ((got = read(fd, text + *len, capacity - *len - 1)) != 0) {
        *len += got > 0 ? (size_t)got : 0;
        if ((got < 0 && errno != EINTR) || *len > max) {
            int why = got < 0 ? errno : EFBIG;
            wipe(text, *len);
            errno = why;
            return NULL;
        }
        if (*len + 1 == capacity) {
            char *grown = base_alloc(2 * capacity);
            memcpy(grown, text, *len);
            wipe(text, *len);
            text = grown;
            capacity *= 2;
        }
    }
    text[*len] = '\0';
    return text;
}
