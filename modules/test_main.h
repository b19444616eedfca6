/* SPDX-License-Identifier: MIT */
/*
 * What the tests of our modules share: short names for common steps. Tests register themselves, as
 * unit tests do.
 */
#ifndef MODULES_TEST_MAIN_H
#define MODULES_TEST_MAIN_H

#include <weir/testing.h>

#include "../tests/unit/runner.h"

/* Of the module that the test is linked with. */
const struct weir_module *weir_module_entry(void);

/* A fake host with the module that is linked in; and the end of it, which fails the test where the
 * module broke its contract. */
struct weir_test *test_begin(void);
void test_end(struct weir_test **host);

/* A configuration that must be good, or must be refused with a message that has `text` in it. */
struct weir_test_block *test_conf(struct weir_test *host, const char *text);
void test_refused(struct weir_test *host, const char *conf, const char *text);

/* Numbers that look random and are the same in every run. */
uint32_t test_random(uint64_t *state, uint32_t below);

#endif
