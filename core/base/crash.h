/* SPDX-License-Identifier: MIT */
/*
 * The record of a fatal signal: what happened, in which thread, at which addresses, and what the
 * program was about. It is written into a file while the program dies, so that the next start and
 * the operator can tell why. Everything that runs in the signal's handler is async-signal-safe
 * (signal-safety(7)), but for the walk of the stack, which comes last, when the record is there
 * already.
 *
 * The record is a JSON object:
 *   {"kind":"signal","signal":"SIGSEGV","time":1764500000,"uptime_ms":8123,"pid":4711,
 *    "version":"0.1.0","thread":"weir-0","file":"SHA-256 of the module","calls":[...],
 *    "address":"0x0","at":"balance_x.so+0x1139",
 *    "stack":["balance_x.so+0x1139","/usr/sbin/weir+0x2f1e0","..."]}
 * `at` and `stack` are files and offsets as addr2line(1) takes them; a module is told by its name.
 * A stall (crash_tell_stall) has "kind":"stall" and no signal, address or stack.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#include <signal.h>

#include "base/base.h"

#define CRASH_FILE "crash.json"
/* Bytes of address space below each thread's stack that nobody may touch: as much as the kernel
 * keeps below the first thread's (stack_guard_gap). */
#define CRASH_GUARD (1u << 20)

/* Text of a bounded size; what does not fit is dropped. */
struct crash_text {
    char bytes[16384];
    size_t len;
};

/* All signals but those that are recorded: what threads block that are not the control thread. A
 * fault whose signal is blocked ends the program without its handler. */
void crash_others(sigset_t *signals);

/* Each is async-signal-safe. Characters that JSON would escape become '?' in `string`. */
void crash_put(struct crash_text *text, const char *plain);
void crash_put_string(struct crash_text *text, const char *string);
void crash_put_number(struct crash_text *text, uint64_t number);
void crash_put_hex(struct crash_text *text, uint64_t number);

/* Adds what the calling thread was about, as the elements of a JSON array (crash_add: as members of
 * the record, each behind a comma). Runs in the handler. */
typedef void crash_calls(struct crash_text *text, void *arg);

/* From now on fatal signals are recorded in CRASH_FILE in `folder` (copied; NULL: nowhere, only a
 * line on standard error), and then do what they did before; and threads that begin from now on
 * have CRASH_GUARD below their stacks. `version` is the program's; it lasts. Once, before other
 * threads run. */
void crash_begin(const char *folder, const char *version);
/* `more` adds members before the calls, of whatever these are told of. Likewise. */
void crash_add(crash_calls *more);
/* What the calling thread is about is told by `calls` (NULL: nothing) with `arg`; and a stack for
 * its handler, so that an overflow of its own is recorded as well. Until crash_thread_ends. If it
 * calls exit(3) while it is about something, that is taken for SIGABRT. */
void crash_thread_begins(crash_calls *calls, void *arg);
void crash_thread_ends(void);

/* Records that a thread does not come back: by another one, which is well. false: it cannot be
 * written (errno). */
bool crash_tell_stall(const char *thread, uint64_t for_ms, crash_calls *calls, void *arg);

#endif
