/* SPDX-License-Identifier: MIT */
/*
 * Log files and the thread that writes them. Each file has two buffers: writers append to `front` under
 * the file's lock; the thread swaps it with `back`, which is its alone, and writes that without a lock.
 *
 * Locks: `registry.lock` before a file's; a writer takes the file's alone, or `wake.lock` alone.
 */
#include "base/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"

/* Lines wait this long for company, unless this much waits. */
#define GATHER_MS   50u
#define URGENT_FROM (256u << 10)

/* After a failed write, and how long a stop may take. */
#define RETRY_NS    NS_PER_SECOND
#define STOP_MAX_NS (2 * NS_PER_SECOND)

/* A buffer that grew above this is given back once it is empty. */
#define KEEP_CAPACITY (1u << 20)

struct buffer {
    char *data;
    size_t len, capacity;
};

struct logfile {
    struct list link; /* in the registry; its lock guards `refs` too */
    char *path;
    unsigned refs;

    pthread_mutex_t lock;
    struct buffer front;

    /* The writing thread's (the closing thread's, where none runs). */
    struct buffer back;
    size_t back_pos; /* written so far; back_pos <= back.len */
    int fd;
    uint64_t retry_ns; /* not before; 0: at once */

    _Atomic size_t waiting; /* bytes in both buffers */
    _Atomic bool failing;   /* the last write failed: no use in waking the thread */
};

static struct {
    pthread_mutex_t lock;
    struct list files;
} registry = {PTHREAD_MUTEX_INITIALIZER, {&registry.files, &registry.files}};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool started;
    bool finished;        /* the thread will write no more */
    pthread_cond_t ended; /* finished has become true */
    _Atomic bool pending;
    _Atomic bool urgent;
    _Atomic bool reopen;
    _Atomic bool stop;
} wake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic uint64_t dropped_lines;
static struct log_limit trouble;

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / NS_PER_SECOND), (long)(ns % NS_PER_SECOND)};
}

/* ---- buffers ---- */

static bool buffer_append(struct buffer *buffer, const void *data, size_t len)
{
    if (len > buffer->capacity - buffer->len) {
        size_t capacity = buffer->capacity > 0 ? buffer->capacity : 16384;
        while (capacity - buffer->len < len) {
            capacity *= 2;
        }
        char *grown = realloc(buffer->data, capacity);
        if (grown == NULL) {
            return false;
        }
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    return true;
}

static void buffer_clear(struct buffer *buffer)
{
    buffer->len = 0;
    if (buffer->capacity > KEEP_CAPACITY) {
        free(buffer->data);
        *buffer = (struct buffer){0};
    }
}

static void count_dropped(const char *data, size_t len)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++) {
        lines += data[i] == '\n';
    }
    atomic_fetch_add_explicit(&dropped_lines, lines > 0 ? lines : 1, memory_order_relaxed);
}

/* ---- opening and closing ---- */

static int open_path(const char *path)
{
    if (strcmp(path, "-") == 0) {
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static struct logfile *find_file(const char *path)
{
    list_each(link, &registry.files)
    {
        struct logfile *file = container_of(link, struct logfile, link);
        if (strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

struct logfile *logfile_open(const char *path, char *error, size_t error_size)
{
    pthread_mutex_lock(&registry.lock);
    struct logfile *file = find_file(path);
    if (file != NULL) {
        file->refs++;
        pthread_mutex_unlock(&registry.lock);
        return file;
    }
    int fd = open_path(path);
    if (fd == -1) {
        snprintf(error, error_size, "cannot open %s: %s", path, strerror(errno));
        pthread_mutex_unlock(&registry.lock);
        return NULL;
    }
    file = base_zalloc(sizeof(*file));
    file->path = base_strdup(path);
    file->refs = 1;
    file->fd = fd;
    pthread_mutex_init(&file->lock, NULL);
    list_push_back(&registry.files, &file->link);
    pthread_mutex_unlock(&registry.lock);
    return file;
}

static void free_file(struct logfile *file)
{
    if (file->back_pos < file->back.len) {
        count_dropped(file->back.data + file->back_pos, file->back.len - file->back_pos);
    }
    if (file->front.len > 0) {
        count_dropped(file->front.data, file->front.len);
    }
    close(file->fd);
    pthread_mutex_destroy(&file->lock);
    free(file->front.data);
    free(file->back.data);
    free(file->path);
    free(file);
}

/* ---- writing ---- */

static void wake_thread(_Atomic bool *why)
{
    if (atomic_exchange(why, true)) {
        return; /* it knows already */
    }
    pthread_mutex_lock(&wake.lock);
    pthread_cond_signal(&wake.changed);
    pthread_mutex_unlock(&wake.lock);
}

bool logfile_write(struct logfile *file, const void *data, size_t len)
{
    size_t waiting;
    bool ok;

    pthread_mutex_lock(&file->lock);
    waiting = atomic_load_explicit(&file->waiting, memory_order_relaxed);
    ok = len <= LOGFILE_WAITING_MAX && waiting <= LOGFILE_WAITING_MAX - len &&
         buffer_append(&file->front, data, len);
    if (ok) {
        waiting = atomic_fetch_add_explicit(&file->waiting, len, memory_order_relaxed) + len;
    }
    pthread_mutex_unlock(&file->lock);
    if (!ok) {
        count_dropped(data, len);
        log_limited(
            &trouble, WEIR_LOG_WARNING, "logfile",
            "%s: %zu bytes wait to be written, lines are dropped: is the disk full or slow?",
            file->path, waiting);
        return false;
    }
    wake_thread(&wake.pending);
    if (waiting >= URGENT_FROM && !atomic_load_explicit(&file->failing, memory_order_relaxed)) {
        wake_thread(&wake.urgent);
    }
    return true;
}

/* What is in `back`. false: some is left, for later. */
static bool write_back(struct logfile *file)
{
    while (file->back_pos < file->back.len) {
        ssize_t written =
            write(file->fd, file->back.data + file->back_pos, file->back.len - file->back_pos);
        if (written > 0) {
            file->back_pos += (size_t)written;
            atomic_fetch_sub_explicit(&file->waiting, (size_t)written, memory_order_relaxed);
            continue;
        }
        if (written == -1 && errno == EINTR) {
            continue;
        }
        file->retry_ns = monotonic_ns() + RETRY_NS;
        atomic_store(&file->failing, true);
        log_limited(&trouble, WEIR_LOG_ERROR, "logfile", "cannot write to %s: %s; trying again",
                    file->path, written == 0 ? "nothing was taken" : strerror(errno));
        return false;
    }
    buffer_clear(&file->back);
    file->back_pos = 0;
    file->retry_ns = 0;
    atomic_store(&file->failing, false);
    return true;
}

/* Writes all that waits. false: some is left, for later. */
static bool flush_file(struct logfile *file)
{
    if (file->retry_ns > monotonic_ns() || !write_back(file)) {
        return false;
    }
    pthread_mutex_lock(&file->lock);
    struct buffer filled = file->front;
    file->front = file->back;
    file->back = filled;
    pthread_mutex_unlock(&file->lock);
    return write_back(file);
}

/* The rest of a line whose beginning went to the old file has no place in the new one. */
static void drop_cut_line(struct logfile *file)
{
    if (file->back_pos == 0 || file->back.data[file->back_pos - 1] == '\n') {
        return;
    }
    size_t len = file->back.len - file->back_pos;
    const char *rest = file->back.data + file->back_pos;
    const char *end = memchr(rest, '\n', len);
    if (end != NULL) {
        len = (size_t)(end - rest) + 1;
    }
    count_dropped(rest, len);
    file->back_pos += len;
    atomic_fetch_sub_explicit(&file->waiting, len, memory_order_relaxed);
}

static void reopen_file(struct logfile *file)
{
    if (strcmp(file->path, "-") == 0) {
        return;
    }
    int fd = open_path(file->path);
    if (fd == -1) {
        log_limited(&trouble, WEIR_LOG_ERROR, "logfile",
                    "cannot open %s again, the old file stays: %s", file->path, strerror(errno));
        return;
    }
    drop_cut_line(file);
    close(file->fd);
    file->fd = fd;
    file->retry_ns = 0;
}

/* One pass over all files. The registry's lock is held for opening and closing only, not for writing:
 * files are taken out of it by this thread alone. Says when some file must be tried again; 0: never. */
static uint64_t pass(bool reopen)
{
    uint64_t again_ns = 0;

    pthread_mutex_lock(&registry.lock);
    list_each(link, &registry.files)
    {
        struct logfile *file = container_of(link, struct logfile, link);
        pthread_mutex_unlock(&registry.lock);
        bool written = flush_file(file);
        if (reopen) {
            reopen_file(file);
            written = flush_file(file);
        }
        if (!written && (again_ns == 0 || file->retry_ns < again_ns)) {
            again_ns = file->retry_ns;
        }
        pthread_mutex_lock(&registry.lock);
        link_next = link->next; /* files are added at the end meanwhile */
        if (file->refs == 0) {
            list_remove(&file->link);
            flush_file(file); /* its last users wrote before they closed it */
            free_file(file);
        }
    }
    pthread_mutex_unlock(&registry.lock);
    return again_ns;
}

void logfile_close(struct logfile *file)
{
    pthread_mutex_lock(&registry.lock);
    ASSERT(file->refs > 0);
    file->refs--;
    pthread_mutex_unlock(&registry.lock);

    pthread_mutex_lock(&wake.lock);
    bool thread_frees = wake.started && !wake.finished;
    pthread_mutex_unlock(&wake.lock);
    if (thread_frees) {
        wake_thread(&wake.pending);
    } else {
        pass(false);
    }
}

void logfile_reopen_all(void)
{
    pthread_mutex_lock(&wake.lock);
    bool running = wake.started && !wake.finished;
    pthread_mutex_unlock(&wake.lock);
    if (running) {
        wake_thread(&wake.reopen);
    } else {
        pass(true);
    }
}

uint64_t logfile_dropped(void)
{
    return atomic_load_explicit(&dropped_lines, memory_order_relaxed);
}

/* ---- the thread ---- */

static bool must_act(void)
{
    return atomic_load(&wake.urgent) || atomic_load(&wake.reopen) || atomic_load(&wake.stop);
}

/* Sleeps until something waits (or `again_ns`), then a moment longer so that lines go together. */
static void wait_for_work(uint64_t again_ns)
{
    pthread_mutex_lock(&wake.lock);
    while (!atomic_load(&wake.pending) && !must_act()) {
        if (again_ns == 0) {
            pthread_cond_wait(&wake.changed, &wake.lock);
            continue;
        }
        struct timespec until = to_timespec(again_ns);
        if (pthread_cond_timedwait(&wake.changed, &wake.lock, &until) == ETIMEDOUT) {
            break;
        }
    }
    struct timespec until = to_timespec(monotonic_ns() + GATHER_MS * NS_PER_MS);
    while (!must_act() && pthread_cond_timedwait(&wake.changed, &wake.lock, &until) != ETIMEDOUT) {}
    pthread_mutex_unlock(&wake.lock);
}

static void *thread_main(void *arg)
{
    uint64_t again_ns = 0;

    (void)arg;
    while (!atomic_load(&wake.stop)) {
        wait_for_work(again_ns);
        /* Cleared before the pass: what is written during it wakes the thread again. */
        atomic_store(&wake.pending, false);
        atomic_store(&wake.urgent, false);
        again_ns = pass(atomic_exchange(&wake.reopen, false));
    }
    pass(false);
    pthread_mutex_lock(&wake.lock);
    wake.finished = true;
    pthread_cond_signal(&wake.ended);
    pthread_mutex_unlock(&wake.lock);
    return NULL;
}

bool logfile_start(void)
{
    sigset_t all, old;
    pthread_condattr_t attributes;

    if (wake.started) {
        return true;
    }
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&wake.changed, &attributes);
    pthread_cond_init(&wake.ended, &attributes);
    pthread_condattr_destroy(&attributes);
    atomic_store(&wake.stop, false);
    wake.finished = false;

    /* Signals are the control thread's; SIGPIPE of a closed standard output is then an error code. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failure = pthread_create(&wake.thread, NULL, thread_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failure != 0) {
        pthread_cond_destroy(&wake.changed);
        pthread_cond_destroy(&wake.ended);
        log_write(WEIR_LOG_ERROR, "logfile", "cannot start the thread that writes log files: %s",
                  strerror(failure));
        return false;
    }
    pthread_mutex_lock(&wake.lock);
    wake.started = true;
    pthread_mutex_unlock(&wake.lock);
    return true;
}

void logfile_stop(void)
{
    struct timespec until;

    if (!wake.started) {
        return;
    }
    wake_thread(&wake.stop);
    until = to_timespec(monotonic_ns() + STOP_MAX_NS);
    pthread_mutex_lock(&wake.lock);
    while (!wake.finished && pthread_cond_timedwait(&wake.ended, &wake.lock, &until) != ETIMEDOUT) {
    }
    bool finished = wake.finished;
    pthread_mutex_unlock(&wake.lock);
    if (!finished) {
        /* It hangs in a write; the process ends, and it with it. */
        log_write(WEIR_LOG_ERROR, "logfile", "a log file does not take what waits; it is lost");
        pthread_detach(wake.thread);
        return;
    }
    pthread_join(wake.thread, NULL);
    pthread_cond_destroy(&wake.changed);
    pthread_cond_destroy(&wake.ended);
    pthread_mutex_lock(&wake.lock);
    wake.started = false;
    pthread_mutex_unlock(&wake.lock);
}
