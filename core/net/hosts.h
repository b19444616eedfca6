/* SPDX-License-Identifier: MIT */
/*
 * /etc/hosts, kept in memory and read again when it has changed: a file of many lines is not read
 * for each question.
 *
 * Thread: the owner's.
 */
#ifndef NET_HOSTS_H
#define NET_HOSTS_H

#include <sys/stat.h>

#include "net/address.h"

/* A file's identity and state; all zero: it does not exist. */
struct file_mark {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};
struct file_mark file_mark_of(const char *path);
bool file_mark_equal(const struct file_mark *a, const struct file_mark *b);

struct hosts;

struct hosts *hosts_new(const char *path);
void hosts_free(struct hosts **hosts);

/* Reads the file again if it has changed. */
void hosts_look(struct hosts *hosts);

/* The name's addresses in the file, of both families and in order, port 0, valid until the next
 * look; NULL: not in the file. "localhost" and names below it are always known (RFC 6761
 * section 6.3). */
const struct address *hosts_find(const struct hosts *hosts, struct weir_str name, size_t *count);

#endif
