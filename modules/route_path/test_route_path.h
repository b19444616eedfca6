/* SPDX-License-Identifier: MIT */
/*
 * What the tests of route_path share: a host with pools, a router, requests for it.
 */
#ifndef ROUTE_PATH_TEST_ROUTE_PATH_H
#define ROUTE_PATH_TEST_ROUTE_PATH_H

#include "../test_main.h"

/* The fake host compares each name with all before it: so many routes take no time that is felt. */
#define SOME 2000

static inline struct weir_test *begin(void)
{
    struct weir_test *host = test_begin();
    static const char *const pools[] = {"root", "api", "v2", "exact", "shop", "wild", "deep"};
    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        weir_test_add_pool(host, pools[i]);
    }
    return host;
}

static inline struct weir_test_instance *router(struct weir_test *host, const char *conf)
{
    struct weir_test_instance *made =
        weir_test_create(host, WEIR_TEST_ROUTER, test_conf(host, conf));
    ck_assert_ptr_nonnull(made);
    return made;
}

static inline struct weir_request *request(struct weir_test *host, const char *name,
                                           const char *target)
{
    struct weir_request *req = weir_test_request(host, "GET", target);
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, name);
    return req;
}

#endif
