/* SPDX-License-Identifier: MIT */
/*
 * Fake requests, responses and replies.
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

static bool str_is(struct weir_str str, const char *text)
{
    return str.len == strlen(text) && memcmp(str.ptr, text, str.len) == 0;
}

static struct weir_str str(const char *text)
{
    return (struct weir_str){text, strlen(text)};
}

UNIT_TEST(a_request_is_as_a_client_sent_it)
{
    struct weir_request *req = weir_test_request(host, "POST", "/a/b?x=1&y");
    struct weir_str value = {NULL, 0};

    ck_assert(str_is(weir_request_method(req), "POST"));
    ck_assert(str_is(weir_request_path(req), "/a/b"));
    ck_assert(str_is(weir_request_str(req, WEIR_REQUEST_QUERY), "x=1&y"));
    ck_assert(str_is(weir_request_str(req, WEIR_REQUEST_TARGET), "/a/b?x=1&y"));
    ck_assert(str_is(weir_request_host(req), "www.example"));
    ck_assert(str_is(weir_request_str(req, WEIR_REQUEST_POOL), ""));
    ck_assert(str_is(weir_request_str(req, (enum weir_request_str)99), ""));
    ck_assert(!weir_request_tls(req));
    ck_assert(str_is(weir_request_peer(req).address, "192.0.2.1"));
    weir_test_request_set_tls(req, true);
    weir_test_request_set_peer(req, "2001:db8::1", 1);
    weir_test_request_set_str(req, WEIR_REQUEST_HOST, "other.example");
    weir_test_request_add(req, "Cookie", "a=1");
    weir_test_request_add(req, "cookie", "b=2");
    ck_assert(weir_request_tls(req));
    ck_assert(str_is(weir_request_str(req, WEIR_REQUEST_SCHEME), "https"));
    ck_assert(str_is(weir_request_str(req, WEIR_REQUEST_TLS_VERSION), "TLSv1.3"));
    ck_assert_uint_eq(weir_request_peer(req).port, 1);
    ck_assert(str_is(weir_request_host(req), "other.example"));
    ck_assert_uint_eq(weir_request_field_count(req), 3);
    ck_assert(weir_request_header(req, "COOKIE", &value));
    ck_assert(str_is(value, "a=1"));
    ck_assert(str_is(weir_request_field(req, 2).value, "b=2"));
    ck_assert_uint_eq(weir_request_field(req, 3).name.len, 0);
    ck_assert(!weir_request_header(req, "Accept", &value));
}

UNIT_TEST(fields_are_set_added_and_removed)
{
    struct weir_request *req = weir_test_request(host, "GET", "/");
    char text[] = "one";

    ck_assert_int_eq(weir_request_add_header(req, str("X-A"), str(text)), WEIR_OK);
    text[0] = '-';
    ck_assert_int_eq(weir_request_add_header(req, str("x-a"), str("two")), WEIR_OK);
    ck_assert_str_eq(weir_test_request_header(req, "X-a"), "one");
    ck_assert_int_eq(weir_request_set_header(req, str("X-A"), str("three")), WEIR_OK);
    ck_assert_str_eq(weir_test_request_header(req, "X-A"), "three");
    ck_assert_uint_eq(weir_request_field_count(req), 2);
    /* A field's own strings may be given. */
    struct weir_field own = weir_request_field(req, 1);
    ck_assert_int_eq(weir_request_set_header(req, own.name, own.value), WEIR_OK);
    ck_assert_str_eq(weir_test_request_header(req, "X-A"), "three");
    ck_assert_uint_eq(weir_request_remove_header(req, str("X-a")), 1);
    ck_assert_ptr_null(weir_test_request_header(req, "X-A"));
}

UNIT_TEST(illegal_fields_are_refused)
{
    static const char *const names[] = {"",
                                        "X Y",
                                        "X:",
                                        "X\r\n",
                                        "Connection",
                                        "upgrade",
                                        "TE",
                                        "Content-Length",
                                        "Keep-Alive",
                                        "Trailer",
                                        "Transfer-Encoding"};
    static const char *const values[] = {"a\r\nB: c", "a\n", "a\x01", "\x7f"};
    struct weir_request *req = weir_test_request(host, "GET", "/");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_assert_int_eq(weir_request_set_header(req, str(names[i]), str("x")), WEIR_INVALID);
    }
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        ck_assert_int_eq(weir_request_add_header(req, str("X-A"), str(values[i])), WEIR_INVALID);
    }
    ck_assert_int_eq(weir_request_add_header(req, str("X-A"), str("t\tb \xc3\xa4")), WEIR_OK);
    ck_assert_uint_eq(weir_request_field_count(req), 2);
}

UNIT_TEST(memory_lives_with_the_request)
{
    struct weir_request *req = weir_test_request(host, "GET", "/path");
    struct weir_test_instance *sticky = mock_instance(host, WEIR_TEST_STICKY);
    struct weir_context *ctx = weir_test_instance_context(sticky);
    struct weir_str copy = weir_request_copy(req, weir_request_path(req));

    ck_assert(str_is(copy, "/path"));
    ck_assert_ptr_ne(copy.ptr, weir_request_path(req).ptr);
    ck_assert_ptr_null(*weir_request_slot(req, ctx));
    *weir_request_slot(req, ctx) = &host;
    ck_assert_ptr_eq(*weir_request_slot(req, ctx), &host);
    weir_test_fail_alloc(host, 0);
    ck_assert_ptr_null(weir_request_alloc(req, 10));
    weir_test_fail_alloc(host, 0);
    ck_assert_uint_eq(weir_request_copy(req, str("x")).len, 0);
    weir_test_request_free(&req);
    ck_assert_ptr_null(req);
}

static enum weir_status changed;

static void change_response(struct weir_context *ctx, struct weir_response *resp)
{
    (void)ctx;
    ck_assert_uint_eq(weir_response_status(resp), 404);
    changed = weir_response_add_header(resp, str("Set-Cookie"), str("b=2"));
    weir_response_set_header(resp, str("Server"), str("mine"));
    ck_assert_uint_eq(weir_response_remove_header(resp, str("X-Gone")), 1);
}

UNIT_TEST(responses_change_in_on_response_alone)
{
    struct weir_test_instance *filter = mock_instance(host, WEIR_TEST_FILTER);
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 404);

    weir_test_response_add(resp, "Set-Cookie", "a=1");
    weir_test_response_add(resp, "Server", "theirs");
    weir_test_response_add(resp, "X-Gone", "x");
    mock.act_response = change_response;
    weir_test_filter_response(filter, req, resp);
    ck_assert_int_eq(changed, WEIR_OK);
    ck_assert_str_eq(weir_test_response_header(resp, "set-cookie", 0), "a=1");
    ck_assert_str_eq(weir_test_response_header(resp, "set-cookie", 1), "b=2");
    ck_assert_ptr_null(weir_test_response_header(resp, "set-cookie", 2));
    ck_assert_str_eq(weir_test_response_header(resp, "Server", 0), "mine");
    ck_assert_uint_eq(weir_response_field_count(resp), 3);
    ck_assert_uint_eq(weir_test_problem_count(host), 0);

    ck_assert_int_eq(weir_response_add_header(resp, str("X"), str("late")), WEIR_INVALID);
    ck_assert_int_eq(weir_request_set_header(req, str("X"), str("late")), WEIR_INVALID);
    ck_assert_uint_eq(weir_test_problem_count(host), 2);
    weir_test_forgive(host);
}

UNIT_TEST(a_reply_is_recorded)
{
    struct weir_request *req = weir_test_request(host, "GET", "/");
    ck_assert_int_eq(weir_reply(req, 403, str("text/plain"), str("no\n")), WEIR_OK);
    struct weir_test_reply reply = weir_test_reply_of(req);
    ck_assert_uint_eq(reply.status, 403);
    ck_assert(reply.ended && !reply.aborted);
    ck_assert_int_eq(reply.content_length, 3);
    ck_assert_str_eq(reply.body, "no\n");
    ck_assert_uint_eq(reply.body_len, 3);
    ck_assert_str_eq(weir_test_reply_header(req, "content-type"), "text/plain");
}

UNIT_TEST(illegal_replies_are_refused)
{
    struct weir_request *req = weir_test_request(host, "GET", "/");
    struct weir_field framing = {WEIR_STR_INIT("Content-Length"), WEIR_STR_INIT("3")};
    ck_assert_int_eq(weir_reply_begin(req, 200, &framing, 1, 3), WEIR_INVALID);
    ck_assert_int_eq(weir_reply_begin(req, 100, NULL, 0, -1), WEIR_INVALID);
    ck_assert_int_eq(weir_reply_begin(req, 600, NULL, 0, -1), WEIR_INVALID);
    ck_assert_uint_eq(weir_test_problem_count(host), 0);
    ck_assert_uint_eq(weir_test_reply_of(req).status, 0);
}

static void cut_reply(struct weir_request *req)
{
    weir_reply_begin(req, 200, NULL, 0, 5);
    weir_reply_write(req, "abc", 3);
    weir_reply_end(req);
}

static void long_reply(struct weir_request *req)
{
    weir_reply_begin(req, 200, NULL, 0, 2);
    weir_reply_write(req, "abc", 3);
    weir_reply_end(req);
}

static void double_reply(struct weir_request *req)
{
    weir_reply(req, 200, str(""), str("x"));
    weir_reply(req, 200, str(""), str("x"));
}

static void early_write(struct weir_request *req)
{
    weir_reply_write(req, "abc", 3);
}

static void late_write(struct weir_request *req)
{
    weir_reply(req, 200, str(""), str("x"));
    weir_reply_write(req, "abc", 3);
}

static void bodiless(struct weir_request *req)
{
    weir_reply(req, 204, str(""), str("x"));
}

UNIT_TEST(replies_that_break_the_contract_are_problems)
{
    static void (*const cases[])(struct weir_request *) = {
        cut_reply, long_reply, double_reply, early_write, late_write, bodiless,
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_request *req = weir_test_request(host, "GET", "/");
        cases[i](req);
        ck_assert_msg(weir_test_problem_count(host) == 1, "case %zu: %zu problems", i,
                      weir_test_problem_count(host));
        weir_test_forgive(host);
    }
    /* What HEAD announces is not sent. */
    struct weir_request *head = weir_test_request(host, "HEAD", "/");
    ck_assert_int_eq(weir_reply_begin(head, 200, NULL, 0, 100), WEIR_OK);
    weir_reply_end(head);
}

UNIT_FIXTURE(setup, teardown);
