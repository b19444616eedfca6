/* SPDX-License-Identifier: MIT */
/*
 * The pages: all files of a folder, read into memory when the configuration is made, so that
 * nothing is read from disk while requests run, and a generation serves one consistent set.
 * Immutable after that.
 */
#ifndef ADMIN_ASSETS_H
#define ADMIN_ASSETS_H

#include <weir/http.h>

struct asset {
    char *path;       /* of the URL, with its leading slash */
    const char *type; /* media type */
    char *bytes;
    size_t len;
    char *gzip; /* NULL: would not be smaller */
    size_t gzip_len;
    char etag[28], gzip_etag[28]; /* strong, with quotes */
    bool page;                    /* behind the login */
};

struct assets {
    struct asset *items;
    size_t count;
    size_t total; /* bytes on disk */
};

/* Reads folder NAME.html as /NAME (index.html as /), everything as /web/FILE. false: `error`
 * says why. */
bool assets_load(struct assets *assets, struct weir_context *ctx, const char *folder, char *error,
                 size_t error_size);
void assets_free(struct assets *assets);

/* The asset of a path; NULL: there is none. */
const struct asset *assets_find(const struct assets *assets, struct weir_str path);

#endif
