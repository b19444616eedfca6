/* SPDX-License-Identifier: MIT */
/*
 * What the tests of our modules share.
 */
#include "test_main.h"

struct weir_test *test_begin(void)
{
    struct weir_test *host = weir_test_new(weir_module_entry());
    ck_assert_ptr_nonnull(host);
    return host;
}

void test_end(struct weir_test **host)
{
    char problems[1024];
    strncpy(problems, weir_test_problems(*host), sizeof(problems) - 1);
    problems[sizeof(problems) - 1] = '\0';
    ck_assert_msg(weir_test_free(host), "%s", problems);
}

struct weir_test_block *test_conf(struct weir_test *host, const char *text)
{
    struct weir_test_block *block = weir_test_conf(host, text);
    ck_assert_msg(block != NULL, "%s: %s", text, weir_test_mistakes(host));
    return block;
}

void test_refused(struct weir_test *host, const char *conf, const char *text)
{
    struct weir_test_block *block = weir_test_conf(host, conf);
    ck_assert_msg(block == NULL, "taken: %s", conf);
    ck_assert_msg(strstr(weir_test_mistakes(host), text) != NULL, "%s: \"%s\" is not in: %s", conf,
                  text, weir_test_mistakes(host));
}

uint32_t test_random(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*state >> 33) % below);
}
