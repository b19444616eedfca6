/* SPDX-License-Identifier: MIT */
/*
 * Reading the folder of pages. See assets.h.
 */
#include "assets.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef ADMIN_GZIP
#include <zlib.h>
#endif

#include "text.h"

#define ASSETS_MAX       2000
#define ASSETS_BYTES_MAX (64u * 1024 * 1024)
#define ASSETS_DEPTH_MAX 6

struct loading {
    struct assets *assets;
    struct weir_context *ctx;
    char *error;
    size_t error_size;
};

static const struct {
    const char *ending;
    const char *type;
    bool compresses;
} types[] = {
    {".html", "text/html; charset=utf-8", true},
    {".css", "text/css; charset=utf-8", true},
    {".js", "text/javascript; charset=utf-8", true},
    {".mjs", "text/javascript; charset=utf-8", true},
    {".json", "application/json", true},
    {".map", "application/json", true},
    {".webmanifest", "application/manifest+json", true},
    {".svg", "image/svg+xml", true},
    {".txt", "text/plain; charset=utf-8", true},
    {".md", "text/plain; charset=utf-8", true},
    {".ico", "image/x-icon", true},
    {".png", "image/png", false},
    {".jpg", "image/jpeg", false},
    {".webp", "image/webp", false},
    {".woff2", "font/woff2", false},
};

static size_t type_of(const char *path)
{
    size_t i = 0;
    while (i < sizeof(types) / sizeof(types[0]) &&
           !weir_str_ends(weir_str_of(path), types[i].ending)) {
        i++;
    }
    return i;
}

static bool fail(struct loading *l, const char *path, const char *why)
{
    snprintf(l->error, l->error_size, "%s: %s", path, why);
    return false;
}

/* ---- one file ---- */

#ifdef ADMIN_GZIP
static void compress_asset(struct asset *asset)
{
    z_stream z = {0};
    if (asset->len < 256 ||
        deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
        return;
    }
    size_t room = deflateBound(&z, asset->len);
    asset->gzip = malloc(room);
    z.next_in = (Bytef *)asset->bytes;
    z.avail_in = (uInt)asset->len;
    z.next_out = (Bytef *)asset->gzip;
    z.avail_out = (uInt)room;
    bool done = asset->gzip != NULL && deflate(&z, Z_FINISH) == Z_STREAM_END;
    asset->gzip_len = z.total_out;
    deflateEnd(&z);
    if (!done || asset->gzip_len + asset->len / 20 > asset->len) {
        free(asset->gzip);
        asset->gzip = NULL;
    }
}
#else
static void compress_asset(struct asset *asset)
{
    (void)asset;
}
#endif

static void tag_asset(struct weir_context *ctx, struct asset *asset)
{
    static const char key[] = "etag";
    uint8_t digest[32];
    char text[WEIR_BASE64_SIZE(15)];

    weir_hmac_sha256(ctx, key, sizeof(key), asset->bytes, asset->len, digest);
    weir_base64_encode(digest, 15, text);
    snprintf(asset->etag, sizeof(asset->etag), "\"%s\"", text);
    snprintf(asset->gzip_etag, sizeof(asset->gzip_etag), "\"%s.gz\"", text);
}

static char *read_all(int fd, size_t len)
{
    char *bytes = malloc(len + 1);
    size_t at = 0;
    while (bytes != NULL && at < len) {
        ssize_t n = read(fd, bytes + at, len - at);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            errno = n == 0 ? EIO : errno; /* it was truncated meanwhile */
            free(bytes);
            return NULL;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return bytes;
}

static bool add_asset(struct loading *l, struct asset *asset, const char *url, bool page)
{
    struct assets *assets = l->assets;
    struct asset *items = realloc(assets->items, (assets->count + 1) * sizeof(*items));
    if (items == NULL) {
        return fail(l, url, "no memory");
    }
    assets->items = items;
    asset->path = strdup(url);
    asset->page = page;
    if (asset->path == NULL) {
        return fail(l, url, "no memory");
    }
    items[assets->count++] = *asset;
    return true;
}

/* A copy of an asset under another path. */
static bool add_page(struct loading *l, const char *name)
{
    struct asset page = l->assets->items[l->assets->count - 1];
    char url[300];

    snprintf(url, sizeof(url), "/%.*s", (int)(strlen(name) - 5), name);
    if (strcmp(url, "/index") == 0) {
        url[1] = '\0';
    }
    char *bytes = malloc(page.len + 1);
    char *gzip = page.gzip != NULL ? malloc(page.gzip_len) : NULL;
    if (bytes == NULL || (gzip == NULL && page.gzip != NULL)) {
        free(bytes);
        return fail(l, name, "no memory");
    }
    memcpy(bytes, page.bytes, page.len);
    if (gzip != NULL) {
        memcpy(gzip, page.gzip, page.gzip_len);
    }
    page.bytes = bytes;
    page.gzip = gzip;
    if (!add_asset(l, &page, url, strcmp(url, "/login") != 0)) {
        free(bytes);
        free(gzip);
        return false;
    }
    return true;
}

static bool load_file(struct loading *l, int folder, const char *name, const char *inside,
                      size_t len)
{
    struct asset asset = {.len = len};
    char url[1200];
    size_t type = type_of(name);
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    snprintf(url, sizeof(url), "/web/%s%s", inside, name);
    l->assets->total += len;
    if (l->assets->count >= ASSETS_MAX || l->assets->total > ASSETS_BYTES_MAX) {
        if (fd >= 0) {
            close(fd);
        }
        return fail(l, name, "the folder is too large: at most 2000 files and 64 MiB");
    }
    asset.bytes = fd >= 0 ? read_all(fd, len) : NULL;
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (asset.bytes == NULL) {
        return fail(l, name, strerror(why));
    }
    bool known = type < sizeof(types) / sizeof(types[0]);
    asset.type = known ? types[type].type : "application/octet-stream";
    tag_asset(l->ctx, &asset);
    if (known && types[type].compresses) {
        compress_asset(&asset);
    }
    if (!add_asset(l, &asset, url, false)) {
        free(asset.bytes);
        free(asset.gzip);
        return false;
    }
    return inside[0] != '\0' || !weir_str_ends(weir_str_of(name), ".html") || add_page(l, name);
}

/* ---- folders ---- */

static bool load_folder(struct loading *l, int fd, const char *inside, int depth);

static bool load_entry(struct loading *l, int folder, const char *name, const char *inside,
                       int depth)
{
    struct stat about;
    char below[1024];

    if (name[0] == '.' || fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0) {
        return true;
    }
    if (S_ISREG(about.st_mode)) {
        /* Build files are not pages. */
        return strcmp(name, "local.mk") == 0 ||
               load_file(l, folder, name, inside, (size_t)about.st_size);
    }
    if (!S_ISDIR(about.st_mode) || depth >= ASSETS_DEPTH_MAX || strcmp(name, "node_modules") == 0) {
        return true;
    }
    snprintf(below, sizeof(below), "%s%s/", inside, name);
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? fail(l, name, strerror(errno)) : load_folder(l, fd, below, depth + 1);
}

/* Takes ownership of `fd`. */
static bool load_folder(struct loading *l, int fd, const char *inside, int depth)
{
    DIR *dir = fdopendir(fd);
    bool good = true;

    if (dir == NULL) {
        close(fd);
        return fail(l, inside, strerror(errno));
    }
    for (const struct dirent *entry = readdir(dir); good && entry != NULL; entry = readdir(dir)) {
        good = load_entry(l, dirfd(dir), entry->d_name, inside, depth);
    }
    closedir(dir);
    return good;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct asset *)a)->path, ((const struct asset *)b)->path);
}

bool assets_load(struct assets *assets, struct weir_context *ctx, const char *folder, char *error,
                 size_t error_size)
{
    struct loading l = {assets, ctx, error, error_size};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        return fail(&l, folder, strerror(errno));
    }
    if (!load_folder(&l, fd, "", 0)) {
        return false;
    }
    if (assets->count > 0) {
        qsort(assets->items, assets->count, sizeof(assets->items[0]), by_path);
    }
    return true;
}

void assets_free(struct assets *assets)
{
    for (size_t i = 0; i < assets->count; i++) {
        free(assets->items[i].path);
        free(assets->items[i].bytes);
        free(assets->items[i].gzip);
    }
    free(assets->items);
    *assets = (struct assets){NULL, 0, 0};
}

const struct asset *assets_find(const struct assets *assets, struct weir_str path)
{
    size_t low = 0, high = assets->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct asset *asset = &assets->items[middle];
        size_t len = strlen(asset->path);
        int order = memcmp(path.ptr, asset->path, path.len < len ? path.len : len);
        if (order == 0 && path.len == len) {
            return asset;
        }
        if (order < 0 || (order == 0 && path.len < len)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
