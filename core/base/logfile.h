/* SPDX-License-Identifier: MIT */
/*
 * Append-only files written by one background thread, so that no worker ever waits for a disk: access
 * logs. Each writer hands over whole lines; when more than a bound waits, lines are dropped and counted.
 */
#ifndef BASE_LOGFILE_H
#define BASE_LOGFILE_H

#include "base/base.h"

struct logfile;

/* Bytes that may wait for one file. */
#define LOGFILE_WAITING_MAX (4u << 20)

/* Starts / stops the writer thread; stop writes what waits (for at most 2 s). Control thread. */
bool logfile_start(void);
void logfile_stop(void);

/* The file of that path (made with mode 0640; "-": standard output), opened once however often asked.
 * Control thread or worker. NULL: `error` says why. */
struct logfile *logfile_open(const char *path, char *error, size_t error_size);
void logfile_close(struct logfile *file);

/* Appends `len` bytes whole or not at all. Any thread, never blocks on the disk. false: dropped. */
bool logfile_write(struct logfile *file, const void *data, size_t len);

/* Opens all files again by their paths (SIGUSR1), after what waits was written to the old ones. */
void logfile_reopen_all(void);

/* Lines dropped since the start, all files. */
uint64_t logfile_dropped(void);

#endif
