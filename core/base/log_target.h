/* SPDX-License-Identifier: MIT */
/*
 * Where the lines of a log go: standard error or output, the journal, a file, a FIFO, a device.
 * Opened and written without waiting for a reader.
 *
 * The open file descriptions behind standard error and output belong to others too (a shell and its
 * terminal), so they are never made non-blocking: a pipe or a terminal is opened once more, a
 * socket is asked not to wait with each send.
 */
#ifndef BASE_LOG_TARGET_H
#define BASE_LOG_TARGET_H

#include <sys/types.h>

#include "base/base.h"

#define LOG_TARGET_STDERR  "stderr"
#define LOG_TARGET_STDOUT  "-"
#define LOG_TARGET_JOURNAL "journal"

/* How the program's own lines look there. */
enum log_style {
    LOG_STYLE_STAMPED,  /* with the time and the level */
    LOG_STYLE_PRIORITY, /* journald reads the stream: `<4>` instead */
    LOG_STYLE_JOURNAL,  /* fields for the journal: `<4>component`, NUL, the text */
};

struct log_target {
    char *name;   /* "stderr", "-", "journal" or a path */
    int fd;       /* -1: not open (a FIFO that nobody reads; a journal that is gone) */
    dev_t device; /* of a file that is open */
    ino_t inode;
    enum log_style style;
    bool cut;          /* the file's last line has no end: one is written first */
    bool standard;     /* of standard error or output: is not opened again */
    bool socket;       /* sent to */
    bool line_by_line; /* one at a time */
    /* Whole lines, as many as a pipe takes in one piece: others write there too. */
    bool atomic_pieces;
    bool may_block; /* could not be made non-blocking: is asked before each write */
};

enum log_written {
    LOG_WRITTEN,
    LOG_FULL,   /* blocked for now: log_target_wait */
    LOG_FAILED, /* errno says why; may be tried again */
    LOG_GONE,   /* the same, and nobody will ever read it */
};

/* Opens (files are made with mode 0640, and appended to). false: cannot be, `error` names it and
 * says why. A FIFO that nobody reads is no error: it is opened with the first write that finds a
 * reader. */
bool log_target_open(struct log_target *target, const char *name, char *error, size_t error_size);

/* Whether it could be opened, as far as can be told without making or opening it. `open_already`: a
 * log of this process has it, whatever the process may do today. */
bool log_target_check(const char *name, bool open_already, char *error, size_t error_size);

void log_target_close(struct log_target *target);

/* Whether its path is still that file's. */
bool log_target_in_place(const struct log_target *target);

/* Writes a first part of `data`, whole lines where it may choose; `*written` of them. */
enum log_written log_target_write(struct log_target *target, const char *data, size_t len,
                                  size_t *written);

/* Until it takes something, or for some time. */
void log_target_wait(const struct log_target *target, unsigned ms);

#endif
