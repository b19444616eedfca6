/* SPDX-License-Identifier: MIT */
/*
 * What the tests of store_sqlite share: a folder of their own, and cases by file.
 */
#ifndef TEST_STORE_SQLITE_H
#define TEST_STORE_SQLITE_H

#include "../test_main.h"

/* A path in a fresh folder; the folder goes by scratch_end. */
const char *scratch_begin(const char *name);
void scratch_end(void);

/* The path of a file beside it that has `part` in its name; NULL: there is none. */
const char *scratch_find(const char *part);

#endif
