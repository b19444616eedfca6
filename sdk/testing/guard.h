/* SPDX-License-Identifier: MIT */
/*
 * What is lent to modules for a time, and which of their hooks runs; see guard.c. Not installed.
 */
#ifndef FAKE_GUARD_H
#define FAKE_GUARD_H

#include <weir/testing.h>

/* ---- loans ---- */

/* Zeroed memory that the module gets for a time, which fake_take_back ends; see weir_test_guard.
 * `what` is it afterwards, in words. */
void *fake_lend(size_t len, const char *what);
void *fake_lend_copy(const void *data, size_t len, const char *what);
void fake_take_back(void *memory);
/* A string that the module may look at until the hook that runs is over: a copy, where the guard is
 * on. */
struct weir_str fake_lend_str(struct weir_str text, const char *what);
/* Whether the guard is on. */
bool fake_guards(void);
/* Tells of a service that is called from where the host is not driven. */
void fake_check_thread(struct weir_test *host, const char *function);

/* ---- hooks ---- */

/* Until the end of the scope, the hook of that name runs. */
#define FAKE_HOOK(name)        FAKE_HOOK_(name, __LINE__)
#define FAKE_HOOK_(name, line) FAKE_HOOK__(name, line)
#define FAKE_HOOK__(name, line) \
    const char *fake_outer_##line __attribute__((cleanup(fake_hook_leave))) = fake_hook_enter(name)
const char *fake_hook_enter(const char *name);
void fake_hook_leave(const char **outer);
const char *fake_hook_running(void); /* NULL: none */
void fake_watch_problem(const char *text);

#endif
