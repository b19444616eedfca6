/* SPDX-License-Identifier: MIT */
/*
 * Files of the fake host: kept in memory, by path, until the end of the test.
 */
#include "fake.h"

#include <stdlib.h>

static struct weir_file *find(const struct weir_test *host, struct weir_str path)
{
    for (struct weir_file *file = host->files; file != NULL; file = file->next) {
        if (strlen(file->path) == path.len && memcmp(file->path, path.ptr, path.len) == 0) {
            return file;
        }
    }
    return NULL;
}

struct weir_file *fake_file_open(struct weir_context *ctx, struct weir_str path)
{
    struct weir_test *host = fake_context(ctx)->host;
    if (path.len == 0) {
        fake_problem(host, "a file without a path was opened");
        return NULL;
    }
    if (host->fail_open || fake_alloc_fails(host)) {
        return NULL;
    }
    struct weir_file *file = find(host, path);
    if (file == NULL) {
        file = fake_alloc(sizeof(*file));
        file->host = host;
        file->path = fake_copy(path.ptr, path.len);
        file->next = host->files;
        host->files = file;
    }
    file->open_count++;
    return file;
}

bool fake_file_write(struct weir_file *file, const void *data, size_t len)
{
    if (file->open_count == 0) {
        fake_problem(file->host, "the file %s was written after it was closed", file->path);
        return false;
    }
    if (file->host->fail_write) {
        return false;
    }
    pthread_mutex_lock(&file->host->lock);
    fake_buffer_append(&file->content, data, len);
    pthread_mutex_unlock(&file->host->lock);
    return true;
}

void fake_file_close(struct weir_file *file)
{
    if (file == NULL) {
        return;
    }
    fake_check_thread(file->host, __func__);
    if (file->open_count == 0) {
        fake_problem(file->host, "the file %s was closed once too often", file->path);
        return;
    }
    file->open_count--;
}

void fake_files_free(struct weir_test *host)
{
    while (host->files != NULL) {
        struct weir_file *file = host->files;
        host->files = file->next;
        if (file->open_count > 0) {
            fake_problem(host, "the file %s is still open %zu times", file->path, file->open_count);
        }
        fake_buffer_free(&file->content);
        free(file->path);
        free(file);
    }
}

const char *weir_test_file(const struct weir_test *host, const char *path, size_t *len)
{
    const struct weir_file *file = find(host, fake_str(path));
    if (file == NULL) {
        return NULL;
    }
    if (len != NULL) {
        *len = file->content.len;
    }
    return fake_buffer_text(&file->content);
}

size_t weir_test_file_open_count(const struct weir_test *host, const char *path)
{
    const struct weir_file *file = find(host, fake_str(path));
    return file != NULL ? file->open_count : 0;
}

void weir_test_fail_files(struct weir_test *host, bool open, bool write)
{
    host->fail_open = open;
    host->fail_write = write;
}
