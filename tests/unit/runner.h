/* SPDX-License-Identifier: MIT */
/*
 * How a file of unit tests offers its suite to the program that its folder's tests are linked into.
 *
 *     static Suite *reader_suite(void) { ... suite_create, tcase_create, ... }
 *     UNIT_SUITE(reader_suite);
 *
 * Check's own variables work: CK_RUN_SUITE, CK_RUN_CASE, CK_FORK=no, CK_VERBOSITY=verbose.
 * WEIR_TEST_MATCH=TEXT runs the files whose name contains TEXT, and skips the program (exit 77)
 * when there is none.
 */
#ifndef WEIR_TESTS_UNIT_RUNNER_H
#define WEIR_TESTS_UNIT_RUNNER_H

#include <check.h>

/* One file's suite; lives as long as the program. */
struct unit_suite {
    const char *file;
    Suite *(*make)(void);
    struct unit_suite *next;
};

/* Called before main, once a file; keeps the pointer. */
void unit_register(struct unit_suite *suite);

#define UNIT_SUITE(make_suite)                                                     \
    static void __attribute__((constructor)) unit_register_##make_suite(void)      \
    {                                                                              \
        static struct unit_suite suite = {.file = __FILE__, .make = (make_suite)}; \
        unit_register(&suite);                                                     \
    }                                                                              \
    struct unit_suite

#endif
