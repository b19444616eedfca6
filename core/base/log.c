/* SPDX-License-Identifier: MIT */
/*
 * The log: where it goes, how a line looks, and how often one place may write.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The longest line, whole, as a pipe takes it in one piece. Text that makes it longer is cut. */
#define LINE_SIZE     ((size_t)4096)
#define COMPONENT_MAX ((size_t)64)

#define LINES_A_SECOND 10u

/* What the log's thread gets; it makes the line. Component and text follow. */
struct entry {
    int64_t second; /* since 1970 */
    uint32_t ms;
    uint8_t level;
    uint8_t component_len;
    char text[];
};

/* `2026-11-24T10:00:00.123Z warning component: ... LF`. */
#define TEXT_MAX (LINE_SIZE - sizeof("2026-11-24T10:00:00.123Z warning : \n") - COMPONENT_MAX)
_Static_assert(sizeof(struct entry) + COMPONENT_MAX + TEXT_MAX < LINE_SIZE, "an entry fits too");

static const char *const level_words[] = {"error", "warning", "notice", "info", "debug"};
static const int level_priorities[] = {3, 4, 5, 6, 7}; /* syslog's */

/* The program has one log; it begins once, and its writer stays until the end. */
static struct {
    pthread_once_t once;
    _Atomic(struct log_writer *) writer; /* NULL: could not be made */
    struct log_target target;            /* as it was opened, to be compared; control thread */
    _Atomic int level;
    _Atomic uint64_t dropped; /* without a writer */
} own = {.once = PTHREAD_ONCE_INIT, .level = WEIR_LOG_INFO};

struct log_next {
    bool same; /* in use already: nothing was opened */
    struct log_target target;
};

/* ---- one line ---- */

static size_t put_time(const struct entry *entry, char *out, size_t size)
{
    time_t second = (time_t)entry->second;
    struct tm utc;

    gmtime_r(&second, &utc);
    size_t len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return len + (size_t)snprintf(out + len, size - len, ".%03uZ %s ", entry->ms,
                                  level_words[entry->level]);
}

static size_t render(enum log_style style, const char *record, size_t len, char *out)
{
    struct entry entry;
    const char *component = record + offsetof(struct entry, text);
    size_t used;

    memcpy(&entry, record, offsetof(struct entry, text));
    const char *text = component + entry.component_len;
    size_t text_len = len - (size_t)(text - record);
    if (style == LOG_STYLE_STAMPED) {
        used = put_time(&entry, out, LOG_WRITER_RENDER_MAX);
    } else {
        used = (size_t)sprintf(out, "<%d>", level_priorities[entry.level]);
    }
    if (style == LOG_STYLE_JOURNAL) {
        memcpy(out + used, component, entry.component_len);
        used += entry.component_len;
        out[used++] = '\0';
    }
    memcpy(out + used, component, entry.component_len);
    used += entry.component_len;
    out[used++] = ':';
    out[used++] = ' ';
    memcpy(out + used, text, text_len);
    used += text_len;
    out[used++] = '\n';
    return used;
}

/* A line may contain bytes from a peer, which must neither end it nor control a terminal. */
static void make_printable(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f) {
            text[i] = c == '\t' || c == '\n' ? ' ' : '?';
        }
    }
}

/* ---- target ---- */

static const struct log_writer_kind own_kind = {
    .render = render, .own_log = true, .say = log_write};

static void begin(void)
{
    struct log_target target;
    char error[512];

    base_last_words = log_last_words;
    own.target.name = base_strdup(LOG_TARGET_STDERR);
    if (log_target_open(&target, LOG_TARGET_STDERR, error, sizeof(error))) {
        own.writer = log_writer_new(&target, &own_kind, error, sizeof(error));
    }
}

static struct log_writer *own_writer(void)
{
    pthread_once(&own.once, begin);
    return own.writer;
}

/* Whether the log already goes there. A file that was moved away is another one. */
static bool is_current(const char *name)
{
    return own_writer() != NULL && strcmp(own.target.name, name) == 0 &&
           log_target_in_place(&own.target);
}

static struct log_next *prepare(const char *name, bool same, char *error, size_t error_size)
{
    struct log_next *next = base_zalloc(sizeof(*next));

    next->same = same;
    next->target.fd = -1;
    if (!same && !log_target_open(&next->target, name, error, error_size)) {
        free(next);
        return NULL;
    }
    return next;
}

struct log_next *log_prepare(const char *name, char *error, size_t error_size)
{
    return prepare(name, is_current(name), error, error_size);
}

bool log_check(const char *name, char *error, size_t error_size)
{
    return log_target_check(name, is_current(name), error, error_size);
}

void log_forget(struct log_next **next)
{
    if (*next != NULL) {
        log_target_close(&(*next)->target);
        free(*next);
        *next = NULL;
    }
}

void log_switch(struct log_next **next, enum weir_log_level level)
{
    struct log_next *taken = *next;
    struct log_writer *writer = own_writer();
    char error[512];

    *next = NULL;
    if (taken != NULL && !taken->same) {
        free(own.target.name);
        own.target = taken->target;
        own.target.name = base_strdup(taken->target.name);
        if (writer != NULL) {
            log_writer_change(writer, &taken->target);
        } else {
            own.writer = log_writer_new(&taken->target, &own_kind, error, sizeof(error));
        }
    }
    free(taken);
    log_set_level(level);
}

bool log_open(const char *name, enum weir_log_level level, char *error, size_t error_size)
{
    struct log_next *next = prepare(name, false, error, error_size);

    if (next == NULL) {
        return false;
    }
    log_switch(&next, level);
    return true;
}

void log_reopen(void)
{
    if (own_writer() != NULL) {
        log_writer_reopen(own.writer);
    }
}

bool log_flush(uint64_t patience_ns)
{
    return own.writer == NULL || log_writer_flush(own.writer, patience_ns);
}

void log_stop(void)
{
    if (own.writer != NULL) {
        log_writer_end(own.writer, LOG_STOP_NS);
        log_writer_leave(own.writer, LOG_STOP_NS + LOG_WRITER_GRACE_NS);
    }
}

void log_last_words(const char *text)
{
    char line[LINE_SIZE];
    int len = snprintf(line, sizeof(line), "%s\n", text);
    struct pollfd asked = {.fd = STDERR_FILENO, .events = POLLOUT};

    log_flush(200 * NS_PER_MS);
    if (len > 0 && poll(&asked, 1, 0) > 0) {
        size_t size = (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1;
        ssize_t written = write(STDERR_FILENO, line, size);
        (void)written; /* nobody is left to be told */
    }
}

struct log_health log_state(void)
{
    return own.writer != NULL ? log_writer_state(own.writer)
                              : (struct log_health){.dropped = atomic_load(&own.dropped)};
}

const char *log_target_name(void)
{
    return own_writer() != NULL ? own.target.name : LOG_TARGET_STDERR;
}

void log_set_level(enum weir_log_level level)
{
    atomic_store_explicit(&own.level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum weir_log_level level)
{
    return (int)level <= atomic_load_explicit(&own.level, memory_order_relaxed);
}

/* ---- writing ---- */

void log_vwrite(enum weir_log_level level, const char *component, const char *format, va_list args)
{
    _Alignas(struct entry) char record[sizeof(struct entry) + COMPONENT_MAX + TEXT_MAX + 1];
    struct timespec now;
    size_t component_len = strnlen(component, COMPONENT_MAX);

    if (!log_enabled(level)) {
        return;
    }
    if ((unsigned)level >= ARRAY_COUNT(level_words)) {
        level = WEIR_LOG_DEBUG;
    }
    int saved_errno = errno;
    clock_gettime(CLOCK_REALTIME, &now);
    struct entry entry = {.second = now.tv_sec,
                          .ms = (uint32_t)(now.tv_nsec / 1000000),
                          .level = (uint8_t)level,
                          .component_len = (uint8_t)component_len};
    memcpy(record, &entry, offsetof(struct entry, text));
    char *at = record + offsetof(struct entry, text);
    memcpy(at, component, component_len);
    char *text = at + component_len;
    errno = saved_errno; /* for %m */
    int len = vsnprintf(text, TEXT_MAX + 1, format, args);
    size_t text_len = len > 0 ? (size_t)len : 0;
    if (text_len > TEXT_MAX) {
        text_len = TEXT_MAX;
        memcpy(text + text_len - 3, "...", 3);
    }
    make_printable(at, component_len + text_len);
    if (likely(own_writer() != NULL)) {
        log_writer_put(own.writer, record, (size_t)(text + text_len - record));
    } else {
        atomic_fetch_add(&own.dropped, 1);
    }
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
