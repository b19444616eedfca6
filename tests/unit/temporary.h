/* SPDX-License-Identifier: MIT */
/*
 * Folders and files that live as long as a test.
 */
#ifndef UNIT_TEMPORARY_H
#define UNIT_TEMPORARY_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A path below the folder; four may be in use at a time. */
static inline const char *temporary_path(const char *folder, const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

/* A new folder, in static memory: one a test process. */
static inline const char *temporary_folder(void)
{
    static char folder[256];
    const char *parent = getenv("TMPDIR");

    snprintf(folder, sizeof(folder), "%s/weir-unit.XXXXXX", parent != NULL ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    return folder;
}

static inline int temporary_remove_one(const char *path, const struct stat *status, int type,
                                       struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void temporary_remove(const char *folder)
{
    nftw(folder, temporary_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void temporary_write_bytes(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "we");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void temporary_write(const char *path, const char *text)
{
    temporary_write_bytes(path, text, strlen(text));
}

/* The file's contents, ended by NUL, for the caller to free; an absent file is empty. */
static inline char *temporary_read(const char *path, size_t *len)
{
    char *text = calloc(1, 1);
    size_t used = 0;
    FILE *file = fopen(path, "re");

    while (file != NULL) {
        text = realloc(text, used + 65537);
        ck_assert_ptr_nonnull(text);
        size_t got = fread(text + used, 1, 65536, file);
        used += got;
        text[used] = '\0';
        if (got == 0) {
            fclose(file);
            file = NULL;
        }
    }
    if (len != NULL) {
        *len = used;
    }
    return text;
}

#endif
