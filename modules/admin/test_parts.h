/* SPDX-License-Identifier: MIT */
/*
 * Tests of the parts that need no requests, and of what is no handler's.
 */
#ifndef ADMIN_TEST_PARTS_H
#define ADMIN_TEST_PARTS_H

#include <check.h>

TCase *parts_tests(void);
/* test_history.c, test_users.c */
TCase *history_tests(void);
TCase *users_tests(void);

#endif
