/* SPDX-License-Identifier: MIT */
/*
 * Log files by their paths, for modules: access logs. Each is a writer (log_writer.h): whole lines
 * are handed over, a thread of the file's own writes them, and what finds no room is dropped and
 * counted.
 */
#ifndef BASE_LOGFILE_H
#define BASE_LOGFILE_H

#include "base/log_writer.h"

struct logfile;

/* The file of that path (made with mode 0640; "-": standard output), opened once however often
 * asked. A FIFO may be without a reader. Any thread. NULL: `error` says why. */
struct logfile *logfile_open(const char *path, char *error, size_t error_size);

/* Whether it is open already, or could be opened as far as can be told without making it. */
bool logfile_check(const char *path, char *error, size_t error_size);

/* What was written before still goes out, for some seconds at most. Nobody waits for it. */
void logfile_close(struct logfile *file);

/* Appends `len` bytes whole or not at all. Any thread, never waits. false: dropped. */
bool logfile_write(struct logfile *file, const void *data, size_t len);

/* Opens all files again by their paths (SIGUSR1): what was written before goes to the old ones. By
 * their own threads, soon. */
void logfile_reopen_all(void);

/* The end: what waits is written, for at most LOGFILE_STOP_NS in all. */
#define LOGFILE_STOP_NS NS_PER_SECOND
void logfile_stop(void);

/* Visits the files that are in use. */
void logfile_each(void (*fn)(void *arg, const char *path, const struct log_health *state),
                  void *arg);

/* Lines dropped since the start, all files. */
uint64_t logfile_dropped(void);

#endif
