/* SPDX-License-Identifier: MIT */
/*
 * Opening and reading files that somebody named, without waiting for anybody.
 */
#ifndef BASE_FILE_OPEN_H
#define BASE_FILE_OPEN_H

#include "base/base.h"

/* Opens a regular file to be read. Whatever else has the name (a FIFO, a device, a folder) is
 * refused: who reads it may stand for as long as nobody writes there, and the control thread has
 * others to serve. -1: `*why` says why not, static or strerror's. Any thread. */
int file_open(const char *path, const char **why);

/* All of such a file, from malloc and ended by NUL; memory that it outgrew is wiped. NULL: errno
 * says why; EFBIG: there are more than `max` bytes. */
char *file_read(int fd, size_t max, size_t *len);

#endif
