/* SPDX-License-Identifier: MIT */
/*
 * The book of blame: in which modules' calls the program has died. A start reads the record that
 * the run before may have left (base/crash.h) and books it, before any module's code runs. A module
 * that was to blame twice within BLAME_WINDOW_S is in quarantine, over all starts, until it is
 * released or its file is another one: no hook of it is called (module.h).
 *
 * The book is BLAME_FILE in the folder, replaced as a whole; whoever changes it reads it before.
 * Both files may hold anything: what makes no sense is nobody's fault.
 *
 * Thread: control.
 */
#ifndef MODULE_BLAME_H
#define MODULE_BLAME_H

#include "base/base.h"

#define BLAME_FILE     "blame.json"
#define BLAME_WINDOW_S 600
#define BLAME_FAULTS   2u

struct blame_book;

/* One death of the program. Texts are cut to fit, and printable. */
struct blame_fault {
    int64_t time_s; /* since 1970 */
    char what[16];  /* "SIGSEGV", or "stall" */
    char hook[32];
    char place[160]; /* pool or block; empty: the module's own block */
};

struct blame {
    char module[64];
    char file[65];                           /* SHA-256 in hex; empty: unknown, and so any */
    struct blame_fault faults[BLAME_FAULTS]; /* the last ones, the newest first */
    unsigned count;
    int64_t since_s; /* when it was put in quarantine; 0: it is not */
};

/* How the run before has ended. */
struct blame_death {
    struct blame_fault fault;
    char thread[16];
    char module[64]; /* to blame; empty: none */
};

/* `folder` is copied; NULL: there is none, and nothing is kept. */
struct blame_book *blame_book_new(const char *folder);
/* NULL is legal. */
void blame_book_free(struct blame_book **book);

/* Reads the book, and books the record of the run before, once however often it is found. With
 * `keep` the book is written before this returns; without, nothing is (a dry run). */
void blame_begin(struct blame_book *book, bool keep);
/* The book as it is now: another program may have changed it. NULL is legal, here and below, but
 * for blame_pardon. */
void blame_read_again(struct blame_book *book);

/* What blame_begin has booked; NULL: the run before ended well, or an earlier start knew. */
const struct blame_death *blame_death(const struct blame_book *book);
/* What could not be read or kept, for the log; NULL: all is well. */
const char *blame_trouble(const struct blame_book *book);

/* The quarantine that holds a file of that SHA-256; NULL: none does. Until the book changes. */
const struct blame *blame_of(const struct blame_book *book, const char *module,
                             const uint8_t identity[32]);
/* That of any file, if there are several; NULL: none. */
const struct blame *blame_held(const struct blame_book *book, const char *module);

/* Until it is settled, the module counts as released: a reload can try it, and a program that dies
 * of it finds it in quarantine again. */
void blame_pardon(struct blame_book *book, const char *module);
/* Ends that: `released` for good, or not. false: it is, but the book cannot be written, and the
 * next start will not know; `error` says why. Without a pardon it does nothing. */
bool blame_settle(struct blame_book *book, bool released, char *error, size_t error_size);

/* "SIGSEGV in pick (pool web balance 1) at 2026-11-30T13:04:05Z, ..." */
void blame_tell(const struct blame *blame, char *text, size_t size);
void blame_tell_fault(const struct blame_fault *fault, char *text, size_t size);

#endif
