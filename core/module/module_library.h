/* SPDX-License-Identifier: MIT */
/*
 * Shared objects from private copies. Private to core/module. Control thread.
 */
#ifndef MODULE_MODULE_LIBRARY_H
#define MODULE_MODULE_LIBRARY_H

#include "base/base.h"

#define LIBRARY_ERROR_SIZE 1024u

struct module_library;

/* A file's whole contents. */
struct library_image {
    char *bytes;
    size_t len;
    uint8_t identity[32]; /* SHA-256 of them */
};

/* Reads and hashes the file. false: errno says why (EFBIG: more than any module has). */
bool library_image_read(struct library_image *image, const char *path);
void library_image_free(struct library_image *image);

/* Loads the image under `name`, for debuggers. NULL: `error` (LIBRARY_ERROR_SIZE) says why. */
struct module_library *library_open(const struct library_image *image, const char *name,
                                    char *error);
void *library_symbol(const struct module_library *library, const char *name);
/* Writes the image to a new file of that mode 0600, durably, and puts it in the place of `path`.
 * false: errno says why. */
bool library_write(const struct module_library *library, const char *path);
/* Unloads; but not under sanitizers, whose reports need the symbols at the end. */
void library_close(struct module_library **library);

/* The name of the nearest file in a folder of modules, of those that begin with `prefix`, and
 * without it; the caller frees it. NULL: none is near. */
char *library_nearest(const char *module_dir, const char *prefix, const char *name);

#endif
