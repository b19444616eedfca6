/* SPDX-License-Identifier: MIT */
/*
 * The program's own log: one line an event, to standard error, journald or a file. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>

#include <weir/host.h>

/* Where lines go from now on. `target`: "stderr", "journal" or a file's path. false: cannot be opened,
 * `error` says why, and the old one stays. */
bool log_open(const char *target, enum weir_log_level level, char *error, size_t error_size);

/* Opens the file again by its path (SIGUSR1). */
void log_reopen(void);

void log_set_level(enum weir_log_level level);
bool log_enabled(enum weir_log_level level);

/* Writes `LEVEL component: text`. A line that repeats within a second from the same call may not flood:
 * use log_limited for what a peer can cause. */
void log_write(enum weir_log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_vwrite(enum weir_log_level level, const char *component, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* Rate limit of one place: at most 10 lines a second, then a count of what was left out. */
struct log_limit {
    _Atomic uint64_t second;
    _Atomic uint32_t seen;
};
void log_limited(struct log_limit *limit, enum weir_log_level level, const char *component,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
