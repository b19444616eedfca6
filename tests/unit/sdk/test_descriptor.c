/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that are refused, and an older, shorter one that is not.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "mock_module.h"
#include "runner.h"

static char error[512];

static bool valid(const struct weir_module *module)
{
    return weir_test_validate(module, error, sizeof(error));
}

static bool refused(const struct weir_module *module, const char *expected)
{
    return !valid(module) && strstr(error, expected) != NULL;
}

UNIT_TEST(wrong_versions_are_refused_with_both_numbers)
{
    struct weir_module module = mock_module;
    char expected[64];
    ck_assert(valid(&module));
    module.abi_major = WEIR_ABI_MAJOR + 1;
    snprintf(expected, sizeof(expected), "built for ABI %d.%d; this Weir has ABI %d.%d",
             WEIR_ABI_MAJOR + 1, WEIR_ABI_MINOR, WEIR_ABI_MAJOR, WEIR_ABI_MINOR);
    ck_assert_msg(refused(&module, expected), "%s", error);
    module = mock_module;
    module.abi_minor = WEIR_ABI_MINOR + 1;
    snprintf(expected, sizeof(expected), "built for ABI %d.%d", WEIR_ABI_MAJOR, WEIR_ABI_MINOR + 1);
    ck_assert_msg(refused(&module, expected), "%s", error);
    ck_assert(refused(NULL, "no descriptor"));
}

UNIT_TEST(what_is_mandatory_is_demanded)
{
    struct weir_module module = mock_module;
    struct weir_balancer no_pick = *mock_module.balancer;
    struct weir_balancer short_balancer = *mock_module.balancer;

    module.size = offsetof(struct weir_module, summary);
    ck_assert(refused(&module, "too few"));
    module.size = 4;
    ck_assert(refused(&module, "too few"));
    module = mock_module;
    module.name = NULL;
    ck_assert(refused(&module, "name"));
    module.name = "Mock-1";
    ck_assert(refused(&module, "name"));
    module = mock_module;
    module.version = NULL;
    ck_assert(refused(&module, "version"));
    module = mock_module;
    no_pick.pick = NULL;
    module.balancer = &no_pick;
    ck_assert_msg(refused(&module, "mandatory hook `pick`"), "%s", error);
    /* A table that ends before the hook lacks it as well. */
    short_balancer.size = offsetof(struct weir_balancer, pick);
    module.balancer = &short_balancer;
    ck_assert_msg(refused(&module, "mandatory hook `pick`"), "%s", error);
    struct weir_filter idle = *mock_module.filter;
    module = mock_module;
    module.filter = &idle;
    idle.on_request = NULL;
    ck_assert_msg(valid(&module), "%s", error);
    idle.on_response = NULL;
    ck_assert(refused(&module, "neither `on_request` nor `on_response`"));
    const struct weir_module none = {
        .size = sizeof(none), .abi_major = WEIR_ABI_MAJOR, .name = "none", .version = "1"};
    ck_assert(refused(&none, "of no kind"));
}

UNIT_TEST(an_older_shorter_module_works)
{
    /* Just as long as it says, so that a sanitizer sees who reads on. */
    const size_t size = offsetof(struct weir_module, balancer);
    struct weir_module whole = mock_module;
    void *module = malloc(size);
    whole.size = (uint32_t)size;
    memcpy(module, &whole, size);
    mock_reset();
    struct weir_test *host = weir_test_new(module);
    ck_assert_ptr_nonnull(host);
    struct weir_test_block *block = weir_test_conf(host, "name = x");
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    ck_assert_ptr_nonnull(weir_test_create(host, WEIR_TEST_ROUTER, block));
    ck_assert(weir_test_free(&host));
    free(module);
}

UNIT_TEST(a_failing_load_is_refused)
{
    mock_reset();
    mock.load = WEIR_ERROR;
    ck_assert_ptr_null(weir_test_new(&mock_module));
    ck_assert_uint_eq(mock.loads, 1);
}
