/* SPDX-License-Identifier: MIT */
/*
 * Tests of the parts that need no requests.
 */
#ifndef ADMIN_TEST_PARTS_H
#define ADMIN_TEST_PARTS_H

#include <check.h>

TCase *parts_tests(void);

#endif
