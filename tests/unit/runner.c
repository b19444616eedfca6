/* SPDX-License-Identifier: MIT */
/* The main function of every program of unit tests: runs the suites that its files registered. */
#include "runner.h"

#include <stdlib.h>
#include <string.h>

/* What automake takes for "skipped". */
#define EXIT_SKIPPED 77

static struct unit_suite *registered;

void unit_register(struct unit_suite *suite)
{
    suite->next = registered;
    registered = suite;
}

int main(void)
{
    const char *match = getenv("WEIR_TEST_MATCH");
    SRunner *runner = NULL;
    for (const struct unit_suite *suite = registered; suite != NULL; suite = suite->next) {
        if (match != NULL && strstr(suite->file, match) == NULL)
            continue;
        if (runner == NULL)
            runner = srunner_create(suite->make());
        else
            srunner_add_suite(runner, suite->make());
    }
    if (runner == NULL)
        return EXIT_SKIPPED;
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
