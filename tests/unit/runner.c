/* SPDX-License-Identifier: MIT */
/* The main function of every program of unit tests: runs what its files registered. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What automake takes for "skipped". */
#define EXIT_SKIPPED 77

/* One file's tests. */
struct unit_file {
    const char *file;
    char name[80]; /* of its suite */
    struct unit_test *first, **last;
    void (*setup)(void), (*teardown)(void);
    double timeout; /* 0: Check's */
    struct unit_file *next;
};

static struct unit_file *files;

static struct unit_file *file_of(const char *name)
{
    struct unit_file *file = files;

    while (file != NULL && strcmp(file->file, name) != 0) {
        file = file->next;
    }
    if (file == NULL) {
        file = calloc(1, sizeof(*file)); /* for as long as the program runs */
        file->file = name;
        file->last = &file->first;
        file->next = files;
        files = file;
    }
    return file;
}

void unit_add(const char *file, struct unit_test *test)
{
    struct unit_file *of = file_of(file);
    *of->last = test;
    of->last = &test->next;
}

void unit_set_fixture(const char *file, void (*setup)(void), void (*teardown)(void))
{
    file_of(file)->setup = setup;
    file_of(file)->teardown = teardown;
}

void unit_set_timeout(const char *file, double seconds)
{
    file_of(file)->timeout = seconds;
}

/* The file's suite, named as the file is: test_uri.c is uri. */
static Suite *make_suite(struct unit_file *file)
{
    const char *slash = strrchr(file->file, '/');
    const char *begin = slash != NULL ? slash + 1 : file->file;
    begin += strncmp(begin, "test_", 5) == 0 ? 5 : 0;
    snprintf(file->name, sizeof(file->name), "%.*s", (int)strcspn(begin, "."), begin);
    Suite *suite = suite_create(file->name); /* Check keeps the pointer */
    TCase *tests = tcase_create(file->name);

    if (file->setup != NULL || file->teardown != NULL) {
        tcase_add_checked_fixture(tests, file->setup, file->teardown);
    }
    if (file->timeout > 0) {
        tcase_set_timeout(tests, file->timeout);
    }
    for (const struct unit_test *test = file->first; test != NULL; test = test->next) {
        if (test->signal != 0) {
            tcase_add_test_raise_signal(tests, &test->test, test->signal);
        } else {
            tcase_add_loop_test(tests, &test->test, 0, test->count);
        }
    }
    suite_add_tcase(suite, tests);
    return suite;
}

int main(void)
{
    const char *match = getenv("WEIR_TEST_MATCH");
    SRunner *runner = NULL;

    for (struct unit_file *file = files; file != NULL; file = file->next) {
        if (match != NULL && strstr(file->file, match) == NULL) {
            continue;
        }
        if (runner == NULL) {
            runner = srunner_create(make_suite(file));
        } else {
            srunner_add_suite(runner, make_suite(file));
        }
    }
    if (runner == NULL) {
        return EXIT_SKIPPED;
    }
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
