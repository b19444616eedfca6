/* SPDX-License-Identifier: MIT */
/*
 * weir.hpp: the hooks of classes do what their members say, and what these throw leaves no hook: it
 * is told as a fault, in the way of each hook.
 */
#include "runner.h"

#include <string.h>
#include <weir/testing.h>

const struct weir_module *weir_module_entry(void);

static struct weir_test *host;
static struct weir_test_pool *pool;

static void setup(void)
{
    host = weir_test_new(weir_module_entry());
    ck_assert_ptr_nonnull(host);
    weir_test_add_pool(host, "web");
    pool = weir_test_pool_new(host);
    weir_test_server_add(pool, "a", 1);
    weir_test_server_add(pool, "b", 1);
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static struct weir_test_block *block(enum weir_option_context context, const char *text)
{
    struct weir_test_block *made = weir_test_conf_in(host, context, text);
    ck_assert_msg(made != NULL, "%s", weir_test_mistakes(host));
    return made;
}

static struct weir_test_instance *balancer(const char *conf)
{
    struct weir_test_instance *made =
        weir_test_create(host, WEIR_TEST_BALANCER, block(WEIR_CONTEXT_POOL, conf));
    ck_assert_ptr_nonnull(made);
    return made;
}

static struct weir_test_instance *filter(const char *conf)
{
    struct weir_test_instance *made =
        weir_test_create(host, WEIR_TEST_FILTER, block(WEIR_CONTEXT_LISTENER, conf));
    ck_assert_ptr_nonnull(made);
    return made;
}

/* There was one problem, of that text, and it is forgiven. */
static void expect_problem(const char *text)
{
    ck_assert_uint_eq(weir_test_problem_count(host), 1);
    ck_assert_str_eq(weir_test_problems(host), text);
    weir_test_forgive(host);
}

UNIT_TEST(members_are_hooks)
{
    struct weir_test_instance *one = balancer(""), *next = balancer("");
    struct weir_score score;

    weir_test_server_set_in_flight(pool, 0, 3);
    ck_assert_int_eq(weir_test_pool_join(pool, one), WEIR_OK);
    ck_assert_uint_eq(weir_test_send(one), 1);
    weir_test_complete_all(one);
    ck_assert_uint_eq(weir_test_take_over(one, next), 0);
    ck_assert_int_eq(weir_test_score(next, NULL, 1, &score), WEIR_OK);
    ck_assert_str_eq(score.text, "1 so far");
    ck_assert_int_eq(weir_test_score(next, NULL, 0, &score), WEIR_OK);
    ck_assert_str_eq(score.text, "0 so far");
}

UNIT_TEST(filters_see_requests_answers_and_bodies)
{
    struct weir_test_instance *made = filter("upper = on  words = {\"x\", \"yz\"}");
    struct weir_request *req = weir_test_request(host, "GET", "/refused");
    struct weir_filter_verdict verdict;

    ck_assert_int_eq(weir_test_filter_explain(made, req, &verdict), WEIR_OK);
    ck_assert_uint_eq(verdict.status, 403);
    ck_assert_int_eq(weir_test_filter_request(made, req), WEIR_DONE);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 403);
    req = weir_test_request(host, "GET", "/");
    weir_test_request_set_str(req, WEIR_REQUEST_SERVER, "a");
    ck_assert_int_eq(weir_test_filter_request(made, req), WEIR_OK);
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_filter_response(made, req, resp);
    ck_assert_str_eq(weir_test_response_header(resp, "X-Throws", 0), "a x yz");
    ck_assert(weir_test_transformed(resp));
    ck_assert_int_eq(weir_test_filter_data(resp, "body", 4, WEIR_FLOW_MORE), WEIR_OK);
    ck_assert_int_eq(weir_test_filter_data(resp, NULL, 0, WEIR_FLOW_END), WEIR_OK);
    ck_assert_str_eq(weir_test_filter_output(resp, NULL), "BODY");
}

UNIT_TEST(routers_route_or_decline)
{
    struct weir_test_instance *router =
        weir_test_create(host, WEIR_TEST_ROUTER, block(WEIR_CONTEXT_MODULE, "pool = \"web\""));
    struct weir_route_result result;

    ck_assert_ptr_nonnull(router);
    ck_assert_int_eq(weir_test_explain(router, weir_test_request(host, "GET", "/"), 9), WEIR_OK);
    ck_assert_uint_eq(weir_test_rule_count(host), 1);
    weir_test_destroy(&router);
    router = weir_test_create(host, WEIR_TEST_ROUTER, block(WEIR_CONTEXT_MODULE, ""));
    ck_assert_int_eq(weir_test_route(router, weir_test_request(host, "GET", "/"), &result),
                     WEIR_DECLINED);
}

UNIT_TEST(mistakes_of_prepare_are_told)
{
    ck_assert_ptr_null(weir_test_conf_in(host, WEIR_CONTEXT_MODULE, "pool = \"none\""));
    ck_assert_ptr_nonnull(strstr(weir_test_mistakes(host), "none"));
    ck_assert_ptr_null(weir_test_conf_in(host, WEIR_CONTEXT_MODULE, "hook = prepare"));
    ck_assert(weir_test_logged(host, WEIR_LOG_ERROR, "thrown here")); /* in one line */
}

/* ---- what is thrown ---- */

UNIT_TEST(a_constructor_that_throws_makes_no_instance)
{
    static const char *const rows[][2] = {
        {"hook = create", "thrown here"},
        {"hook = create  what = no_memory", "there is no memory left"},
        {"hook = create  what = number", "an exception that is no std::exception"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct weir_test_instance *none =
            weir_test_create(host, WEIR_TEST_BALANCER, block(WEIR_CONTEXT_POOL, rows[i][0]));
        ck_assert_ptr_null(none);
        ck_assert(weir_test_logged(host, WEIR_LOG_ERROR, rows[i][1]));
    }
    ck_assert_uint_eq(weir_test_timer_count(host), 0);
}

UNIT_TEST(a_cost_that_throws_is_no_number)
{
    struct weir_test_instance *made = balancer("hook = cost");
    ck_assert_int_eq(weir_test_pool_join(pool, made), WEIR_OK);
    ck_assert_uint_ne(weir_test_pick(made, NULL), WEIR_PICK_NONE);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "cost gave no number"));
    weir_test_forgive(host);
}

UNIT_TEST(hooks_with_a_status_fail)
{
    struct weir_route_result result;
    struct weir_filter_verdict verdict;
    struct weir_score score;
    struct weir_test_instance *made = balancer("hook = on_members");
    ck_assert_int_eq(weir_test_pool_join(pool, made), WEIR_ERROR);
    made = balancer("hook = on_members  what = no_memory");
    ck_assert_int_eq(weir_test_pool_join(weir_test_pool_new(host), made), WEIR_NO_MEMORY);
    made = balancer("hook = score");
    struct weir_test_pool *other = weir_test_pool_new(host);
    weir_test_server_add(other, "a", 1);
    ck_assert_int_eq(weir_test_pool_join(other, made), WEIR_OK);
    (void)weir_test_score(made, NULL, 0, &score);
    ck_assert(weir_test_logged(host, WEIR_LOG_ERROR, "thrown here"));
    expect_problem("score said -3, and not WEIR_OK or WEIR_DECLINED");

    struct weir_request *req = weir_test_request(host, "GET", "/");
    ck_assert_int_eq(weir_test_filter_request(filter("hook = on_request"), req), WEIR_ERROR);
    ck_assert_int_eq(weir_test_filter_explain(filter("hook = explain"), req, &verdict), WEIR_ERROR);
    struct weir_response *resp = weir_test_response(req, 200);
    made = filter("hook = on_response_data  upper = on  what = number");
    weir_test_filter_response(made, req, resp);
    ck_assert_int_eq(weir_test_filter_data(resp, "x", 1, WEIR_FLOW_END), WEIR_ERROR);

    struct weir_test_instance *router =
        weir_test_create(host, WEIR_TEST_ROUTER, block(WEIR_CONTEXT_MODULE, "hook = route"));
    ck_assert_int_eq(weir_test_route(router, req, &result), WEIR_ERROR);
}

UNIT_TEST(hooks_without_a_status_tell_faults)
{
    static const char *const rows[][2] = {
        {"hook = on_sent", "on_sent failed: thrown here"},
        {"hook = on_head", "on_head failed: thrown here"},
        {"hook = on_complete", "on_complete failed: thrown here"},
        {"hook = on_complete  what = no_memory", "on_complete failed: there is no memory left"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_test_instance *made = balancer(rows[i][0]);
        ck_assert_int_eq(weir_test_pool_join(pool, made), WEIR_OK);
        uint32_t server = weir_test_send(made);
        ck_assert_uint_ne(server, WEIR_PICK_NONE);
        weir_test_complete(made, server, WEIR_OUTCOME_SUCCESS, 1000, 2000);
        expect_problem(rows[i][1]);
        weir_test_destroy(&made);
    }
    struct weir_request *req = weir_test_request(host, "GET", "/");
    weir_test_filter_response(filter("hook = on_response"), req, weir_test_response(req, 200));
    expect_problem("on_response failed: thrown here");
    (void)balancer("hook = timer");
    weir_test_advance(host, 2000000);
    expect_problem("a timer's function failed: thrown here");
}

UNIT_FIXTURE(setup, teardown);
