/* SPDX-License-Identifier: MIT */
/*
 * Tests that register themselves with the program that their folder's tests are linked into. A file
 * is a suite; a test is run in the order in which it stands there.
 *
 *     UNIT_TEST(a_pool_is_empty)
 *     {
 *         ck_assert_uint_eq(pool_count(), 0);
 *     }
 *
 * Check's own variables work: CK_RUN_SUITE, CK_RUN_CASE, CK_FORK=no, CK_VERBOSITY=verbose.
 * WEIR_TEST_MATCH=TEXT runs the files whose name contains TEXT, and skips the program (exit 77)
 * when there is none.
 */
#ifndef WEIR_TESTS_UNIT_RUNNER_H
#define WEIR_TESTS_UNIT_RUNNER_H

#include <check.h>

/* One test; the runner keeps it, and runs it with _i from 0 to `count` - 1. */
struct unit_test {
    TTest test;
    int count;
    int signal; /* which ends it; 0: none may */
    struct unit_test *next;
};

/* Called before main; keep their pointers. */
void unit_add(const char *file, struct unit_test *test);
void unit_set_fixture(const char *file, void (*setup)(void), void (*teardown)(void));
void unit_set_timeout(const char *file, double seconds);

#define UNIT_REGISTERED(name, count_, signal_)                                                    \
    static void name##_fn(int _i CK_ATTRIBUTE_UNUSED);                                            \
    static void __attribute__((constructor)) unit_register_##name(void)                           \
    {                                                                                             \
        static struct unit_test test = {                                                          \
            {#name, name##_fn, __FILE__, __LINE__}, .count = (int)(count_), .signal = (signal_)}; \
        unit_add(__FILE__, &test);                                                                \
    }                                                                                             \
    static void name##_fn(int _i CK_ATTRIBUTE_UNUSED)

#define UNIT_TEST(name) UNIT_REGISTERED(name, 1, 0)
/* Once for each _i below `count`: a row of a table. */
#define UNIT_LOOP_TEST(name, count) UNIT_REGISTERED(name, count, 0)
/* The test must be ended by that signal. */
#define UNIT_SIGNAL_TEST(name, signal) UNIT_REGISTERED(name, 1, signal)

/* Before and after each test of the file. */
#define UNIT_FIXTURE(setup, teardown)                                    \
    static void __attribute__((constructor)) unit_register_fixture(void) \
    {                                                                    \
        unit_set_fixture(__FILE__, setup, teardown);                     \
    }                                                                    \
    struct unit_test

/* How long each test of the file may take. */
#define UNIT_TIMEOUT(seconds)                                            \
    static void __attribute__((constructor)) unit_register_timeout(void) \
    {                                                                    \
        unit_set_timeout(__FILE__, seconds);                             \
    }                                                                    \
    struct unit_test

/* Whether malloc is the C library's, so that what is freed can go back to the kernel. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIBC_MALLOC 0
#else
#define LIBC_MALLOC 1
#endif

#endif
