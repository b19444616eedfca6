/* SPDX-License-Identifier: MIT */
/*
 * The log files that are open, by path. See logfile.h.
 */
#include "base/logfile.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/lanes.h"
#include "base/list.h"
#include "base/log.h"

/* Lines wait this long for company, unless many do. */
#define GATHER_NS (50 * NS_PER_MS)

/* A file that is closed while the program runs may take so long for what waits. */
#define CLOSE_NS (5 * NS_PER_SECOND)

struct logfile {
    struct list link;
    char *path;
    unsigned refs; /* 0: its writer is ending */
    struct log_writer *writer;
};

/* The lock guards the list, and refs. */
static struct {
    pthread_mutex_t lock;
    struct list files;
    uint64_t dropped; /* of files that have gone */
} registry = {PTHREAD_MUTEX_INITIALIZER, {&registry.files, &registry.files}, 0};

/* One that is ending goes on. */
static struct logfile *find_file(const char *path)
{
    list_each(link, &registry.files)
    {
        struct logfile *file = container_of(link, struct logfile, link);
        if (strcmp(file->path, path) == 0 && (file->refs > 0 || log_writer_go_on(file->writer))) {
            return file;
        }
    }
    return NULL;
}

/* Frees those that are closed and whose threads have ended. */
static void reap(void)
{
    list_each(link, &registry.files)
    {
        struct logfile *file = container_of(link, struct logfile, link);
        if (file->refs > 0 || !log_writer_wait(file->writer, 0)) {
            continue;
        }
        registry.dropped += log_writer_state(file->writer).dropped;
        list_remove(&file->link);
        log_writer_free(&file->writer);
        free(file->path);
        free(file);
    }
}

static struct logfile *open_new(const char *path, char *error, size_t error_size)
{
    static const struct log_writer_kind kind = {.gather_ns = GATHER_NS, .say = log_write};
    struct log_target target;

    if (!log_target_open(&target, path, error, error_size)) {
        return NULL;
    }
    struct log_writer *writer = log_writer_new(&target, &kind, error, error_size);
    if (writer == NULL) {
        return NULL;
    }
    struct logfile *file = base_zalloc(sizeof(*file));
    file->path = base_strdup(path);
    file->writer = writer;
    list_push_back(&registry.files, &file->link);
    return file;
}

struct logfile *logfile_open(const char *path, char *error, size_t error_size)
{
    pthread_mutex_lock(&registry.lock);
    reap();
    struct logfile *file = find_file(path);
    if (file == NULL) {
        file = open_new(path, error, error_size);
    }
    if (file != NULL) {
        file->refs++;
    }
    pthread_mutex_unlock(&registry.lock);
    return file;
}

bool logfile_check(const char *path, char *error, size_t error_size)
{
    pthread_mutex_lock(&registry.lock);
    bool open_already = false;
    list_each(link, &registry.files)
    {
        const struct logfile *file = container_of(link, struct logfile, link);
        open_already = open_already || (file->refs > 0 && strcmp(file->path, path) == 0);
    }
    pthread_mutex_unlock(&registry.lock);
    return log_target_check(path, open_already, error, error_size);
}

void logfile_close(struct logfile *file)
{
    pthread_mutex_lock(&registry.lock);
    ASSERT(file->refs > 0);
    if (--file->refs == 0) {
        log_writer_end(file->writer, CLOSE_NS);
        reap();
    }
    pthread_mutex_unlock(&registry.lock);
}

bool logfile_write(struct logfile *file, const void *data, size_t len)
{
    return log_writer_put(file->writer, data, len);
}

void logfile_reopen_all(void)
{
    pthread_mutex_lock(&registry.lock);
    reap();
    list_each(link, &registry.files)
    {
        log_writer_reopen(container_of(link, struct logfile, link)->writer);
    }
    pthread_mutex_unlock(&registry.lock);
}

void logfile_stop(void)
{
    uint64_t until_ns = lanes_now_ns() + LOGFILE_STOP_NS;

    pthread_mutex_lock(&registry.lock);
    list_each(link, &registry.files)
    {
        log_writer_end(container_of(link, struct logfile, link)->writer, LOGFILE_STOP_NS);
    }
    list_each(waited, &registry.files)
    {
        /* One that stands in a write to a disk goes with the process. */
        uint64_t now = lanes_now_ns();
        log_writer_wait(container_of(waited, struct logfile, link)->writer,
                        (until_ns > now ? until_ns - now : 0) + LOG_WRITER_GRACE_NS);
    }
    reap();
    pthread_mutex_unlock(&registry.lock);
}

void logfile_each(void (*fn)(void *arg, const char *path, const struct log_health *state),
                  void *arg)
{
    pthread_mutex_lock(&registry.lock);
    list_each(link, &registry.files)
    {
        struct logfile *file = container_of(link, struct logfile, link);
        struct log_health state = log_writer_state(file->writer);
        if (file->refs > 0) {
            fn(arg, file->path, &state);
        }
    }
    pthread_mutex_unlock(&registry.lock);
}

uint64_t logfile_dropped(void)
{
    pthread_mutex_lock(&registry.lock);
    uint64_t dropped = registry.dropped;
    list_each(link, &registry.files)
    {
        dropped += log_writer_state(container_of(link, struct logfile, link)->writer).dropped;
    }
    pthread_mutex_unlock(&registry.lock);
    return dropped;
}
