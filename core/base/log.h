/* SPDX-License-Identifier: MIT */
/*
 * The program's own log: one line per event, to standard error, journald or a file. Any thread; no
 * caller waits: a thread of its own writes the lines (log_writer.h). It starts with the first line,
 * on standard error.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>

#include <weir/host.h>

#include "base/log_writer.h"

/* Opens a target before it is used, so that a failure is known in time. `name`: "stderr", "journal"
 * or a path. NULL: `error` says why. Control thread. */
struct log_next;
struct log_next *log_prepare(const char *name, char *error, size_t error_size);
/* Whether it could be opened, as far as is known without creating anything. */
bool log_check(const char *name, char *error, size_t error_size);
void log_forget(struct log_next **next);

/* Sends lines there from now on. Takes `next`. Control thread. */
void log_switch(struct log_next **next, enum weir_log_level level);

/* Opens and switches. false: cannot be opened, `error` says why, and the old one stays. */
bool log_open(const char *target, enum weir_log_level level, char *error, size_t error_size);

/* Opens the file again by its path (SIGUSR1): what was logged before goes to the old one. */
void log_reopen(void);

/* Waits until earlier lines are written, for at most `patience_ns`. false: not all are. */
bool log_flush(uint64_t patience_ns);

/* Shutdown: writes pending lines, for at most LOG_STOP_NS. */
#define LOG_STOP_NS NS_PER_SECOND
void log_stop(void);

/* For a crash: writes pending lines for a moment, then `text` and a line break to standard error,
 * unless that would block. */
void log_last_words(const char *text);

struct log_health log_state(void);
/* The current target. Control thread; until the next log_switch. */
const char *log_target_name(void);

void log_set_level(enum weir_log_level level);
bool log_enabled(enum weir_log_level level);

/* Writes `LEVEL component: text`. A line that repeats within a second from the same call may not
 * flood: use log_limited for what a peer can cause. */
void log_write(enum weir_log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_vwrite(enum weir_log_level level, const char *component, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Rate limit of one call site: at most 10 lines a second, then a count of those left out. */
struct log_limit {
    _Atomic uint64_t second;
    _Atomic uint32_t seen;
};
void log_limited(struct log_limit *limit, enum weir_log_level level, const char *component,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
