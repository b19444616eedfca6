/* SPDX-License-Identifier: MIT */
/*
 * Bodies through the fake host, and paths that are set: with a filter that writes
 * each byte of a body `times` times, and stops while its output waits.
 */
#include <check.h>
#include <stdlib.h>

#include <weir/testing.h>

#include "runner.h"

#define HIGH 64

struct conf {
    struct weir_str path;
    uint64_t times;
};

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, path, STRING, NULL, WEIR_CONTEXT_POOL, 0, "The new path."),
    WEIR_OPTION(struct conf, times, SIZE, "2", WEIR_CONTEXT_POOL, 0, "How often."),
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

struct repeat {
    uint64_t times, left;
    unsigned flushes, ends;
};

static unsigned closes;
static bool stubborn;

struct filter {
    const struct conf *conf;
};

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    struct filter *filter = malloc(sizeof(*filter));
    (void)ctx;
    (void)prepared;
    ck_assert_ptr_nonnull(filter);
    *filter = (struct filter){conf};
    *instance = filter;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)ctx;
    free(instance);
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    struct filter *filter = instance;
    (void)ctx;
    return filter->conf->path.len > 0 ? weir_request_set_path(req, filter->conf->path) : WEIR_OK;
}

static void on_response(struct weir_context *ctx, void *instance, struct weir_request *req,
                        struct weir_response *resp)
{
    struct filter *filter = instance;
    struct repeat *repeat = weir_request_alloc(req, sizeof(*repeat));
    (void)ctx;
    *repeat = (struct repeat){.times = filter->conf->times};
    weir_response_transform(resp, repeat);
}

static enum weir_status on_response_data(struct weir_context *ctx, void *instance, void *state,
                                         struct weir_transform *transform, const void *data,
                                         size_t len, enum weir_flow flow, size_t *used)
{
    struct repeat *repeat = state;
    (void)ctx;
    (void)instance;
    for (*used = 0; *used < len; (*used)++) {
        if (stubborn) {
            return WEIR_DECLINED;
        }
        repeat->left = repeat->left > 0 ? repeat->left : repeat->times;
        while (repeat->left > 0) {
            size_t waiting = weir_transform_write(transform, (const char *)data + *used, 1);
            repeat->left--;
            if (waiting >= HIGH) {
                *used += repeat->left == 0;
                return WEIR_DECLINED;
            }
        }
    }
    repeat->flushes += flow == WEIR_FLOW_FLUSH;
    repeat->ends += flow == WEIR_FLOW_END;
    return WEIR_OK;
}

static void on_response_close(struct weir_context *ctx, void *instance, void *state)
{
    (void)ctx;
    (void)instance;
    ck_assert_ptr_nonnull(state);
    closes++;
}

static const struct weir_filter filter_kind = {
    .size = sizeof(filter_kind),
    .create = create,
    .destroy = destroy,
    .on_request = on_request,
    .on_response = on_response,
    .on_response_data = on_response_data,
    .on_response_close = on_response_close,
};

static const struct weir_module module = {
    .size = sizeof(module),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .name = "repeat",
    .version = "1",
    .options = &options,
    .filter = &filter_kind,
};

static struct weir_test *host;

static void setup(void)
{
    closes = 0;
    stubborn = false;
    host = weir_test_new(&module);
    ck_assert_ptr_nonnull(host);
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static struct weir_test_instance *filter_of(const char *conf)
{
    struct weir_test_block *block = weir_test_conf(host, conf);
    ck_assert_msg(block != NULL, "%s", weir_test_mistakes(host));
    struct weir_test_instance *filter = weir_test_create(host, WEIR_TEST_FILTER, block);
    ck_assert_ptr_nonnull(filter);
    return filter;
}

UNIT_TEST(a_body_passes_in_pieces)
{
    struct weir_test_instance *filter = filter_of("times = 3");
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 200);
    size_t len = 0;

    ck_assert_int_eq(weir_response_content_length(resp), -1);
    weir_test_response_set_length(resp, 3);
    ck_assert_int_eq(weir_response_content_length(resp), 3);
    weir_test_filter_response(filter, req, resp);
    ck_assert(weir_test_transformed(resp));
    ck_assert_int_eq(weir_test_filter_data(resp, "ab", 2, WEIR_FLOW_MORE), WEIR_OK);
    ck_assert_int_eq(weir_test_filter_data(resp, NULL, 0, WEIR_FLOW_FLUSH), WEIR_OK);
    ck_assert_int_eq(weir_test_filter_data(resp, "c", 1, WEIR_FLOW_END), WEIR_OK);
    ck_assert_str_eq(weir_test_filter_output(resp, &len), "aaabbbccc");
    ck_assert_uint_eq(len, 9);
    ck_assert_uint_eq(closes, 0);
    weir_test_request_free(&req);
    ck_assert_uint_eq(closes, 1);
}

UNIT_TEST(what_is_declined_comes_again)
{
    struct weir_test_instance *filter = filter_of("times = 60");
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 200);
    size_t len = 0;

    weir_test_filter_response(filter, req, resp);
    ck_assert_int_eq(weir_test_filter_hold(resp, true), WEIR_OK);
    ck_assert_int_eq(weir_test_filter_data(resp, "abc", 3, WEIR_FLOW_MORE), WEIR_DECLINED);
    weir_test_filter_output(resp, &len);
    ck_assert_uint_eq(len, HIGH);
    ck_assert_int_eq(weir_test_filter_data(resp, "d", 1, WEIR_FLOW_END), WEIR_DECLINED);
    ck_assert_int_eq(weir_test_filter_hold(resp, false), WEIR_OK);
    const char *out = weir_test_filter_output(resp, &len);
    ck_assert_uint_eq(len, 240);
    for (size_t i = 0; i < len; i++) {
        ck_assert_int_eq(out[i], "abcd"[i / 60]);
    }
}

UNIT_TEST(declining_without_reason_is_a_problem)
{
    struct weir_test_instance *filter = filter_of("");
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 200);

    weir_test_filter_response(filter, req, resp);
    stubborn = true;
    ck_assert_int_eq(weir_test_filter_data(resp, "a", 1, WEIR_FLOW_MORE), WEIR_DECLINED);
    ck_assert_uint_eq(weir_test_problem_count(host), 1);
    weir_test_forgive(host);
}

UNIT_TEST(no_body_is_not_transformed)
{
    struct weir_test_instance *filter = filter_of("");
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 304);

    weir_test_filter_response(filter, req, resp);
    ck_assert(!weir_test_transformed(resp));
    ck_assert_int_eq(weir_response_transform(resp, NULL), WEIR_INVALID);
    ck_assert_uint_eq(weir_test_problem_count(host), 1);
    weir_test_forgive(host);
    weir_test_request_free(&req);
    ck_assert_uint_eq(closes, 0);
}

UNIT_TEST(a_path_is_set_and_checked)
{
    struct weir_test_instance *filter = filter_of("path = \"/new/%C3%A4\"");
    struct weir_request *req = weir_test_request(host, "GET", "/old?a=b");

    ck_assert_int_eq(weir_test_filter_request(filter, req), WEIR_OK);
    ck_assert_str_eq(weir_request_path(req).ptr, "/new/%C3%A4");
    ck_assert_str_eq(weir_request_str(req, WEIR_REQUEST_QUERY).ptr, "a=b");
    static const char *const bad[] = {"path = \"new\"", "path = \"/a b\"", "path = \"/a?b\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        filter = filter_of(bad[i]);
        ck_assert_int_eq(weir_test_filter_request(filter, req), WEIR_INVALID);
    }
    ck_assert_int_eq(weir_request_set_path(req, (struct weir_str){"/x", 2}), WEIR_INVALID);
    ck_assert_uint_eq(weir_test_problem_count(host), 1);
    weir_test_forgive(host);
}

UNIT_FIXTURE(setup, teardown);
