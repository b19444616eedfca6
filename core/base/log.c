/* SPDX-License-Identifier: MIT */
/*
 * The log: where it goes, how a line looks, and how often one place may write.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if HAVE_SYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#endif

#include "base/base.h"

/* A longer line is cut. */
#define LINE_SIZE 4096u

#define LINES_A_SECOND 10u

enum target {
    TARGET_STDERR,         /* a terminal, a file, a pipe: with a time stamp */
    TARGET_STDERR_SYSTEMD, /* what journald reads: with a priority instead */
    TARGET_JOURNAL,
    TARGET_FILE,
};

static const char *const level_words[] = {"error", "warning", "notice", "info", "debug"};
static const int level_priorities[] = {3, 4, 5, 6, 7}; /* syslog's */

/* The program has one log. Writers hold the lock for reading, so that no descriptor is closed under a
 * write; who changes the target holds it for writing. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static enum target target = TARGET_STDERR;
static bool chosen; /* false until log_open: standard error, looked at with the first line */
static int file_fd = -1;
static char *file_path;
static _Atomic int current_level = WEIR_LOG_INFO;

/* ---- target ---- */

/* systemd names device and inode of the stream that it reads. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;

    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == (dev_t)device &&
           status.st_ino == (ino_t)inode;
}

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

bool log_open(const char *name, enum weir_log_level level, char *error, size_t error_size)
{
    enum target wanted = TARGET_FILE;
    int fd = -1;

    if (strcmp(name, "stderr") == 0) {
        wanted = stderr_is_journal() ? TARGET_STDERR_SYSTEMD : TARGET_STDERR;
    } else if (strcmp(name, "journal") == 0) {
#if HAVE_SYSTEMD
        wanted = TARGET_JOURNAL;
#else
        snprintf(error, error_size,
                 "this build has no journal support (libsystemd); use \"stderr\" or a file's path");
        return false;
#endif
    } else {
        fd = open_file(name);
        if (fd == -1) {
            snprintf(error, error_size, "cannot open the log file %s: %s", name, strerror(errno));
            return false;
        }
    }

    pthread_rwlock_wrlock(&lock);
    if (file_fd != -1) {
        close(file_fd);
    }
    free(file_path);
    file_fd = fd;
    file_path = fd != -1 ? base_strdup(name) : NULL;
    target = wanted;
    chosen = true;
    pthread_rwlock_unlock(&lock);
    log_set_level(level);
    return true;
}

void log_reopen(void)
{
    int failure = 0;

    pthread_rwlock_wrlock(&lock);
    if (target == TARGET_FILE) {
        int fd = open_file(file_path);
        if (fd == -1) {
            failure = errno;
        } else {
            close(file_fd);
            file_fd = fd;
        }
    }
    pthread_rwlock_unlock(&lock);
    if (failure != 0) {
        log_write(WEIR_LOG_ERROR, "log", "cannot open the log file again, the old one stays: %s",
                  strerror(failure));
    }
}

void log_set_level(enum weir_log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum weir_log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* ---- one line ---- */

static size_t put_time(char *out, size_t size)
{
    struct timespec now;
    struct tm utc;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return len + (size_t)snprintf(out + len, size - len, ".%03ldZ ", now.tv_nsec / 1000000);
}

/* What a peer sent may be part of a line, and must neither end it nor drive a terminal. */
static void make_printable(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f) {
            text[i] = c == '\t' || c == '\n' ? ' ' : '?';
        }
    }
}

/* SIGPIPE of a reader that has gone is taken back before anybody sees it, whatever the program does
 * with that signal. */
static void write_without_signal(int fd, const char *line, size_t len)
{
    sigset_t pipe_signal, pending, old;
    struct timespec no_wait = {0, 0};

    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
    ssize_t written;
    do {
        written = write(fd, line, len);
    } while (written == -1 && errno == EINTR);
    if (written == -1 && errno == EPIPE && !was_pending) {
        while (sigtimedwait(&pipe_signal, NULL, &no_wait) == -1 && errno == EINTR) {}
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

#if HAVE_SYSTEMD
static void write_to_journal(enum weir_log_level level, const char *component, const char *text,
                             size_t len)
{
    char priority[16], part[128];
    char message[LINE_SIZE + 16];
    int priority_len = snprintf(priority, sizeof(priority), "PRIORITY=%d", level_priorities[level]);
    int part_len = snprintf(part, sizeof(part), "WEIR_COMPONENT=%.64s", component);
    int message_len = snprintf(message, sizeof(message), "MESSAGE=%.*s", (int)len, text);
    struct iovec fields[] = {
        {priority, (size_t)priority_len},
        {part, (size_t)part_len},
        {message, (size_t)message_len},
        {(void *)(uintptr_t) "SYSLOG_IDENTIFIER=weir", sizeof("SYSLOG_IDENTIFIER=weir") - 1},
    };
    sd_journal_sendv(fields, (int)ARRAY_COUNT(fields));
}
#endif

static enum target current_target(void)
{
    if (likely(chosen)) {
        return target;
    }
    return stderr_is_journal() ? TARGET_STDERR_SYSTEMD : TARGET_STDERR;
}

void log_vwrite(enum weir_log_level level, const char *component, const char *format, va_list args)
{
    char line[LINE_SIZE];
    size_t start = 0, used = 0;

    if (!log_enabled(level)) {
        return;
    }
    if ((unsigned)level >= ARRAY_COUNT(level_words)) {
        level = WEIR_LOG_DEBUG;
    }
    int saved_errno = errno;
    pthread_rwlock_rdlock(&lock);
    enum target where = current_target();
    if (where == TARGET_STDERR_SYSTEMD) {
        used = (size_t)snprintf(line, sizeof(line), "<%d>", level_priorities[level]);
    } else if (where != TARGET_JOURNAL) {
        used = put_time(line, sizeof(line));
        used += (size_t)snprintf(line + used, sizeof(line) - used, "%s ", level_words[level]);
    }
    start = used;
    used += (size_t)snprintf(line + used, sizeof(line) - used, "%.64s: ", component);
    errno = saved_errno; /* for %m */
    int len = vsnprintf(line + used, sizeof(line) - used - 1, format, args);
    if (len < 0) {
        len = 0;
    }
    if ((size_t)len > sizeof(line) - used - 2) {
        used = sizeof(line) - 2;
        memcpy(line + used - 3, "...", 3);
    } else {
        used += (size_t)len;
    }
    make_printable(line + start, used - start);
#if HAVE_SYSTEMD
    if (where == TARGET_JOURNAL) {
        write_to_journal(level, component, line + start, used - start);
    }
#endif
    if (where != TARGET_JOURNAL) {
        line[used++] = '\n';
        write_without_signal(where == TARGET_FILE ? file_fd : STDERR_FILENO, line, used);
    }
    pthread_rwlock_unlock(&lock);
    errno = saved_errno;
}

void log_write(enum weir_log_level level, const char *component, const char *format, ...)
{
    va_list args;

    if (!log_enabled(level)) {
        return;
    }
    va_start(args, format);
    log_vwrite(level, component, format, args);
    va_end(args);
}

void log_limited(struct log_limit *limit, enum weir_log_level level, const char *component,
                 const char *format, ...)
{
    struct timespec time;
    va_list args;

    if (!log_enabled(level)) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    uint64_t now = (uint64_t)time.tv_sec + 1; /* 0 is a limit that was never used */
    uint64_t then = atomic_load(&limit->second);
    /* Of the threads that see the second change, one tells what the last one left out. */
    if (then != now && atomic_compare_exchange_strong(&limit->second, &then, now)) {
        uint32_t seen = atomic_exchange(&limit->seen, 0);
        if (seen > LINES_A_SECOND) {
            log_write(level, component, "%u more lines like the next were left out",
                      seen - LINES_A_SECOND);
        }
    }
    if (atomic_fetch_add(&limit->seen, 1) >= LINES_A_SECOND) {
        return;
    }
    va_start(args, format);
    log_vwrite(level, component, format, args);
    va_end(args);
}
