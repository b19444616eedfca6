/* SPDX-License-Identifier: MIT */
/*
 * Tests of the parts that need no requests, and of what is no handler's.
 */
#ifndef ADMIN_TEST_PARTS_H
#define ADMIN_TEST_PARTS_H

#include <check.h>

TCase *parts_tests(void);
/* test_users.c */
TCase *users_tests(void);

#endif
