/* SPDX-License-Identifier: MIT */
/*
 * Each kind's calls through the fake host, and the problems that it tells of them.
 */
#include <check.h>

#include "mock_module.h"
#include "runner.h"

static struct weir_test *host;

static void setup(void)
{
    host = mock_host();
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static bool problem(const char *text)
{
    bool found =
        weir_test_problem_count(host) == 1 && strstr(weir_test_problems(host), text) != NULL;
    weir_test_forgive(host);
    return found;
}

/* ---- router ---- */

UNIT_TEST(a_router_s_answer_is_checked)
{
    weir_pool_ref pool = weir_test_add_pool(host, "web");
    struct weir_test_instance *router = mock_instance(host, WEIR_TEST_ROUTER);
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_route_result out;

    mock.route_result.pool = pool;
    mock.route_result.route = WEIR_NO_REF;
    ck_assert_int_eq(weir_test_route(router, req, &out), WEIR_OK);
    ck_assert_uint_eq(out.pool, pool);
    ck_assert_int_eq(strncmp(weir_request_str(req, WEIR_REQUEST_POOL).ptr, "web", 4), 0);
    mock.route_result.status = 302;
    mock.route_result.location = (struct weir_str){"/x", 2};
    ck_assert_int_eq(weir_test_route(router, req, &out), WEIR_OK);
    mock.route_result.status = 403;
    ck_assert_int_eq(weir_test_route(router, req, &out), WEIR_OK);
    ck_assert_uint_eq(weir_test_problem_count(host), 0);

    mock.route_result.status = 200;
    weir_test_route(router, req, &out);
    ck_assert(problem("status 200"));
    mock.route_result.status = 302;
    mock.route_result.location.len = 0;
    weir_test_route(router, req, &out);
    ck_assert(problem("to nowhere"));
    mock.route_result.status = 0;
    mock.route_result.pool = 7;
    weir_test_route(router, req, &out);
    ck_assert(problem("neither a known pool"));
    mock.route_result.pool = pool;
    mock.route_result.route = 7;
    weir_test_route(router, req, &out);
    ck_assert(problem("never made known"));
    mock.route = WEIR_DECLINED;
    ck_assert_int_eq(weir_test_route(router, req, &out), WEIR_DECLINED);
}

static struct weir_rule rule(enum weir_rule_verdict verdict, const char *name, weir_route_ref route)
{
    return (struct weir_rule){.size = sizeof(struct weir_rule),
                              .verdict = verdict,
                              .name = {name, strlen(name)},
                              .why = {"a reason", 8},
                              .route = route};
}

static void explain_well(const struct weir_rule_sink *sink)
{
    struct weir_rule first = rule(WEIR_RULE_DIFFERS, "first", WEIR_NO_REF);
    struct weir_rule second = rule(WEIR_RULE_WINS, "second", WEIR_NO_REF);
    ck_assert_uint_eq(sink->limit, 2);
    weir_rule_tell(sink, &first);
    weir_rule_tell(sink, &second);
    weir_rule_leave_out(sink, 3);
}

static void explain_nothing(const struct weir_rule_sink *sink)
{
    weir_rule_leave_out(sink, 1);
}

static void explain_two_winners(const struct weir_rule_sink *sink)
{
    struct weir_rule told = rule(WEIR_RULE_WINS, "a", WEIR_NO_REF);
    weir_rule_tell(sink, &told);
    weir_rule_tell(sink, &told);
}

static void explain_a_strange_route(const struct weir_rule_sink *sink)
{
    struct weir_rule told = rule(WEIR_RULE_FITS, "a", 7);
    weir_rule_tell(sink, &told);
    explain_well(sink);
}

static void explain_without_reason(const struct weir_rule_sink *sink)
{
    struct weir_rule told = rule(WEIR_RULE_WINS, "a", WEIR_NO_REF);
    told.why.len = 0;
    weir_rule_tell(sink, &told);
}

UNIT_TEST(a_router_tells_its_rules)
{
    struct weir_test_instance *router = mock_instance(host, WEIR_TEST_ROUTER);
    struct weir_request *req = weir_test_request(host, "GET", "/");

    mock.route_result.pool = weir_test_add_pool(host, "web");
    mock.route_result.route = WEIR_NO_REF;
    mock.explain = explain_well;
    ck_assert_int_eq(weir_test_explain(router, req, 2), WEIR_OK);
    ck_assert_uint_eq(weir_test_rule_count(host), 2);
    ck_assert_str_eq(weir_test_rule_at(host, 1)->name, "second");
    ck_assert_str_eq(weir_test_rule_at(host, 1)->why, "a reason");
    ck_assert_int_eq(weir_test_rule_at(host, 1)->verdict, WEIR_RULE_WINS);
    ck_assert_ptr_null(weir_test_rule_at(host, 2));
    ck_assert_uint_eq(weir_test_rules_left_out(host), 3);
    ck_assert_uint_eq(weir_test_problem_count(host), 0);

    mock.explain = explain_nothing;
    weir_test_explain(router, req, 2);
    ck_assert_uint_eq(weir_test_rule_count(host), 0);
    ck_assert(problem("no rule that wins"));
    mock.explain = explain_two_winners;
    weir_test_explain(router, req, 2);
    ck_assert(problem("2 rules that win"));
    mock.explain = explain_a_strange_route;
    weir_test_explain(router, req, 2);
    ck_assert(problem("never made known"));
    mock.explain = explain_without_reason;
    weir_test_explain(router, req, 2);
    ck_assert(problem("without a reason"));
    mock.route = WEIR_DECLINED;
    mock.explain = explain_well;
    ck_assert_int_eq(weir_test_explain(router, req, 2), WEIR_DECLINED);
    ck_assert(problem("though route declined"));
    mock.explain = explain_nothing;
    ck_assert_int_eq(weir_test_explain(router, req, 2), WEIR_DECLINED);
    ck_assert_uint_eq(weir_test_problem_count(host), 0);
}

/* ---- sticky and logger ---- */

UNIT_TEST(sticky_and_logger_are_called)
{
    struct weir_test_instance *sticky = mock_instance(host, WEIR_TEST_STICKY);
    struct weir_test_instance *logger = mock_instance(host, WEIR_TEST_LOGGER);
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_record record = weir_test_record(host);

    ck_assert_uint_eq(weir_test_lookup(sticky, req), 42);
    weir_test_sticky_response(sticky, req, weir_test_response(req, 200), 42, true);
    ck_assert_uint_eq(record.size, sizeof(record));
    ck_assert_uint_eq(record.start_wall_ms, UINT64_C(1767225600000));
    weir_test_log_request(logger, req, NULL, &record);
}

/* ---- filter ---- */

static void answer(struct weir_context *ctx, struct weir_request *req)
{
    (void)ctx;
    weir_reply(req, 403, (struct weir_str){"", 0}, (struct weir_str){"", 0});
}

UNIT_TEST(a_filter_answers_or_does_not)
{
    struct weir_test_instance *filter = mock_instance(host, WEIR_TEST_FILTER);
    ck_assert_int_eq(weir_test_filter_request(filter, weir_test_request(host, "GET", "/")),
                     WEIR_OK);
    mock.act = answer;
    mock.on_request = WEIR_DONE;
    ck_assert_int_eq(weir_test_filter_request(filter, weir_test_request(host, "GET", "/")),
                     WEIR_DONE);
    ck_assert_uint_eq(weir_test_problem_count(host), 0);
    mock.on_request = WEIR_OK;
    weir_test_filter_request(filter, weir_test_request(host, "GET", "/"));
    ck_assert(problem("did not say WEIR_DONE"));
    mock.act = NULL;
    mock.on_request = WEIR_DONE;
    weir_test_filter_request(filter, weir_test_request(host, "GET", "/"));
    ck_assert(problem("without a whole reply"));
}

/* ---- handler ---- */

UNIT_TEST(a_handler_gets_head_body_and_end)
{
    struct weir_test_instance *handler = mock_instance(host, WEIR_TEST_HANDLER);
    struct weir_request *req = weir_test_request(host, "POST", "/");
    struct weir_context *ctx = weir_test_instance_context(handler);

    ck_assert_uint_eq(weir_worker_index(ctx), weir_worker_count(ctx));
    ck_assert_int_eq(weir_test_handle(handler, req, "body", 4), WEIR_OK);
    ck_assert_uint_eq(mock.data_calls, 2);
    ck_assert_str_eq(weir_test_reply_of(req).body, "dy");
    ck_assert_uint_eq(mock.ends, 1);
    ck_assert_uint_eq(mock.aborted_ends, 0);
    ck_assert(weir_test_request_over(req));

    mock.on_request = WEIR_ERROR;
    req = weir_test_request(host, "GET", "/");
    ck_assert_int_eq(weir_test_handle(handler, req, NULL, 0), WEIR_ERROR);
    ck_assert_uint_eq(mock.data_calls, 2);
    ck_assert_uint_eq(mock.ends, 1);
}

static void begin_stream(struct weir_context *ctx, struct weir_request *req)
{
    (void)ctx;
    weir_reply_begin(req, 200, NULL, 0, -1);
}

UNIT_TEST(a_handler_streams_and_clients_go_away)
{
    struct weir_test_instance *handler = mock_instance(host, WEIR_TEST_HANDLER);
    struct weir_request *req = weir_test_request(host, "GET", "/events");

    mock.act = begin_stream;
    weir_test_reply_hold(req, true);
    ck_assert_int_eq(weir_test_handle(handler, req, NULL, 0), WEIR_OK);
    ck_assert_uint_eq(weir_reply_write(req, "abc", 3), 3);
    ck_assert_uint_eq(weir_reply_write(req, "abc", 3), 6);
    weir_test_writable(handler, req);
    ck_assert_uint_eq(mock.writables, 1);
    ck_assert_uint_eq(weir_reply_write(req, "abc", 3), 3);
    ck_assert_uint_eq(mock.ends, 0);
    weir_test_client_gone(handler, req);
    ck_assert_uint_eq(mock.ends, 1);
    ck_assert_uint_eq(mock.aborted_ends, 1);
    weir_reply_write(req, "abc", 3);
    ck_assert(problem("after its end"));

    /* An answer is over when all of it was read. */
    req = weir_test_request(host, "GET", "/events");
    weir_test_reply_hold(req, true);
    weir_test_handle(handler, req, NULL, 0);
    weir_reply_write(req, "abc", 3);
    weir_reply_end(req);
    weir_test_run(host);
    ck_assert(!weir_test_request_over(req));
    weir_test_writable(handler, req);
    ck_assert(weir_test_request_over(req));
    ck_assert_uint_eq(mock.aborted_ends, 1);

    /* A handler that breaks off hears that it is over. */
    req = weir_test_request(host, "GET", "/events");
    weir_test_handle(handler, req, NULL, 0);
    weir_reply_abort(req);
    weir_test_run(host);
    ck_assert(weir_test_reply_of(req).aborted);
    ck_assert_uint_eq(mock.aborted_ends, 2);

    weir_test_drain(handler);
    ck_assert_uint_eq(mock.drains, 1);

    /* What still streams at the end is ended before the instance is destroyed. */
    req = weir_test_request(host, "GET", "/events");
    weir_test_handle(handler, req, NULL, 0);
    weir_test_destroy(&handler);
    ck_assert_uint_eq(mock.aborted_ends, 3);
}

UNIT_TEST(a_handler_knows_who_comes_by_a_unix_socket)
{
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_credentials credentials = {1, 2, 3}, got = {0, 0, 0};

    ck_assert(!weir_request_credentials(req, &got));
    weir_test_request_set_credentials(req, &credentials);
    ck_assert(weir_request_credentials(req, &got));
    ck_assert_uint_eq(got.uid, 1);
    ck_assert_uint_eq(got.gid, 2);
    ck_assert_int_eq(got.pid, 3);
    ck_assert_uint_eq(weir_request_peer(req).port, 0);
    weir_test_request_set_credentials(req, NULL);
    ck_assert(!weir_request_credentials(req, &got));
}

/* ---- health ---- */

UNIT_TEST(a_probe_is_sent_and_judged)
{
    struct weir_test_instance *health = mock_instance(host, WEIR_TEST_HEALTH);
    struct weir_probe_target target = weir_test_target("10.0.0.1:80", false);
    const char *reason = NULL;
    size_t len = 0;

    mock.verdict = WEIR_VERDICT_UP;
    ck_assert_str_eq(weir_test_probe(health, &target, &len), "PING 10.0.0.1:80");
    ck_assert_uint_eq(len, 16);
    mock.judge_at = 4;
    ck_assert_int_eq(weir_test_judge(health, &target, "abcdef", 6, 1, false, &reason),
                     WEIR_VERDICT_UP);
    ck_assert_str_eq(reason, "4 bytes");
    mock.judge_at = 10;
    ck_assert_int_eq(weir_test_judge(health, &target, "abcdef", 6, 4, false, &reason),
                     WEIR_VERDICT_MORE);
    ck_assert_int_eq(weir_test_judge(health, &target, "abcdef", 6, 4, true, &reason),
                     WEIR_VERDICT_UP);
    ck_assert_str_eq(reason, "6 bytes, end");
    ck_assert_int_eq(weir_test_judge(health, &target, "", 0, 0, true, NULL), WEIR_VERDICT_UP);

    static char much[20000];
    mock.judge_at = 20000;
    ck_assert_int_eq(weir_test_judge(health, &target, much, sizeof(much), 0, false, &reason),
                     WEIR_VERDICT_UP);
    ck_assert_str_eq(reason, "16384 bytes, end");

    mock.verdict = WEIR_VERDICT_DOWN; /* the mock says no reason */
    weir_test_judge(health, &target, "x", 1, 0, true, &reason);
    ck_assert(problem("without a reason"));
    mock.verdict = WEIR_VERDICT_MORE; /* the mock asks for too much room */
    ck_assert_ptr_null(weir_test_probe(health, &target, NULL));
}

UNIT_TEST(a_pool_has_its_name)
{
    struct weir_test_instance *sticky = mock_instance(host, WEIR_TEST_STICKY);
    ck_assert_str_eq(weir_pool_name(weir_test_instance_context(sticky)).ptr, "pool");
    weir_test_set_pool_name(host, "api");
    sticky = mock_instance(host, WEIR_TEST_STICKY);
    ck_assert_str_eq(weir_pool_name(weir_test_instance_context(sticky)).ptr, "api");
    struct weir_test_instance *handler = mock_instance(host, WEIR_TEST_HANDLER);
    ck_assert_uint_eq(weir_pool_name(weir_test_instance_context(handler)).len, 0);
}

UNIT_SIGNAL_TEST(wrong_use_aborts, 6)
{
    struct weir_test_instance *sticky = mock_instance(host, WEIR_TEST_STICKY);
    weir_test_complete_all(sticky);
}

UNIT_FIXTURE(setup, teardown);
