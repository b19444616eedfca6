/* SPDX-License-Identifier: MIT */
/*
 * access_log: both formats to the byte, escaping and cutting, and what happens when the file fails.
 */
#include "../test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *logger;
    struct weir_request *req;
    struct weir_record record;
};

static struct fixture begin(const char *conf)
{
    struct fixture f;
    f.host = test_begin();
    f.logger = weir_test_create(f.host, WEIR_TEST_LOGGER, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.logger);
    f.req = weir_test_request(f.host, "GET", "/a?b=c");
    weir_test_request_set_str(f.req, WEIR_REQUEST_POOL, "web");
    weir_test_request_set_str(f.req, WEIR_REQUEST_SERVER, "web-1");
    weir_test_request_set_str(f.req, WEIR_REQUEST_ROUTE, "/");
    f.record = weir_test_record(f.host);
    f.record.start_wall_ms = UINT64_C(1764036605042); /* 2025-11-25T02:10:05.042Z */
    f.record.body_bytes = 2326;
    f.record.total_ns = 12345678;
    f.record.first_byte_ns = 9000999;
    f.record.connect_ns = 0;
    f.record.queue_ns = 0;
    return f;
}

static const char *logged(struct fixture *f, const char *path)
{
    weir_test_log_request(f->logger, f->req, NULL, &f->record);
    const char *text = weir_test_file(f->host, path, NULL);
    ck_assert_ptr_nonnull(text);
    return text;
}

UNIT_TEST(combined_line)
{
    setenv("TZ", "UTC-1", 1);
    tzset();
    struct fixture f = begin("");
    weir_test_request_add(f.req, "Referer", "https://www.example/start");
    weir_test_request_add(f.req, "User-Agent", "Mozilla/5.0 (X11)");
    weir_test_request_add(f.req, "X-Request-Id", "not this one");
    weir_test_request_set_str(f.req, WEIR_REQUEST_ID, "5c1e");
    ck_assert_str_eq(
        logged(&f, "-"),
        "192.0.2.1 - - [25/Nov/2025:03:10:05 +0100] \"GET /a?b=c HTTP/1.1\" 200 2326 "
        "\"https://www.example/start\" \"Mozilla/5.0 (X11)\" 12.345 web-1 web - 5c1e\n");
    test_end(&f.host);
}

UNIT_TEST(combined_line_without_anything)
{
    setenv("TZ", "UTC", 1);
    tzset();
    struct fixture f = begin("");
    static const struct weir_str reason = WEIR_STR_INIT("client_gone");
    weir_test_request_set_str(f.req, WEIR_REQUEST_POOL, "");
    weir_test_request_set_str(f.req, WEIR_REQUEST_SERVER, "");
    weir_test_request_add(f.req, "X-Request-Id", "r-2");
    f.record.status = 0;
    f.record.body_bytes = 0;
    f.record.total_ns = 0;
    f.record.reason = reason;
    ck_assert_str_eq(logged(&f, "-"),
                     "192.0.2.1 - - [25/Nov/2025:02:10:05 +0000] \"GET /a?b=c HTTP/1.1\" 000 - "
                     "\"-\" \"-\" 0.000 - - client_gone r-2\n");
    test_end(&f.host);
}

UNIT_TEST(combined_line_of_a_head_that_was_cut)
{
    struct fixture f = begin("");
    weir_test_request_set_str(f.req, WEIR_REQUEST_METHOD, "");
    weir_test_request_set_str(f.req, WEIR_REQUEST_TARGET, "");
    ck_assert_ptr_nonnull(strstr(logged(&f, "-"), "] \"-\" 200 "));
    test_end(&f.host);
}

UNIT_TEST(json_line)
{
    struct fixture f = begin("format = json");
    static const struct weir_str reason = WEIR_STR_INIT("response_timeout");
    weir_test_request_add(f.req, "User-Agent", "curl/7.88");
    weir_test_request_set_str(f.req, WEIR_REQUEST_ID, "r-1");
    weir_test_request_set_tls(f.req, true);
    weir_test_request_set_str(f.req, WEIR_REQUEST_TLS_VERSION, "TLSv1.3");
    f.record.status = 504;
    f.record.retries = 2;
    f.record.outcome = WEIR_OUTCOME_TIMEOUT;
    f.record.reason = reason;
    f.record.request_bytes = 100;
    f.record.response_bytes = 2500;
    ck_assert_str_eq(
        logged(&f, "-"),
        "{\"time\":\"2025-11-25T02:10:05.042Z\",\"client\":\"192.0.2.1\",\"client_port\":40000,"
        "\"listener\":\"public\",\"scheme\":\"https\",\"host\":\"www.example\",\"method\":\"GET\","
        "\"target\":\"/a?b=c\",\"protocol\":\"HTTP/1.1\",\"tls\":\"TLSv1.3\",\"referer\":\"\","
        "\"user_agent\":\"curl/7.88\",\"request_id\":\"r-1\",\"status\":504,\"bytes\":2326,"
        "\"request_bytes\":100,\"response_bytes\":2500,\"route\":\"/\",\"pool\":\"web\","
        "\"server\":\"web-1\",\"outcome\":\"timeout\",\"reason\":\"response_timeout\","
        "\"retries\":2,"
        "\"queue_ms\":0.000,\"connect_ms\":0.000,\"first_byte_ms\":9.000,\"total_ms\":12.345}\n");
    test_end(&f.host);
}

UNIT_TEST(json_says_more_precisely_what_was_refused)
{
    struct fixture f = begin("format = json");
    f.record.reason = (struct weir_str)WEIR_STR_INIT("bad_request");
    f.record.detail = (struct weir_str)WEIR_STR_INIT("bad_host");
    ck_assert_ptr_nonnull(
        strstr(logged(&f, "-"), "\"reason\":\"bad_request\",\"detail\":\"bad_host\","));
    test_end(&f.host);
}

UNIT_TEST(json_tells_how_calls_of_grpc_ended)
{
    struct fixture f = begin("format = json");
    f.record.grpc_status = 14;
    ck_assert_ptr_nonnull(strstr(logged(&f, "-"), ",\"grpc_status\":14,"));
    test_end(&f.host);
}

UNIT_TEST(each_second_has_its_own_time)
{
    struct fixture f = begin("format = json");
    static const char *const times[] = {"02:10:05.999Z", "02:10:06.000Z", "02:10:05.001Z"};
    static const uint64_t ms[] = {1764036605999, 1764036606000, 1764036605001};
    for (size_t i = 0; i < 3; i++) {
        f.record.start_wall_ms = ms[i];
        ck_assert_ptr_nonnull(strstr(logged(&f, "-"), times[i]));
    }
    test_end(&f.host);
}

/* ---- text from strangers ---- */

/* However much a client sends, the line is whole, one line, and bounded. */
static void expect_bounded(const char *conf, char filling)
{
    struct fixture f = begin(conf);
    char *text = malloc(20001);
    size_t len;
    memset(text, filling, 20000);
    text[20000] = '\0';
    for (int which = WEIR_REQUEST_METHOD; which <= WEIR_REQUEST_ID; which++) {
        weir_test_request_set_str(f.req, (enum weir_request_str)which, text);
    }
    weir_test_request_add(f.req, "Referer", text);
    weir_test_request_add(f.req, "User-Agent", text);
    weir_test_request_add(f.req, "X-Request-Id", text);
    weir_test_request_set_peer(f.req, text, 1);
    f.record.reason = f.record.detail = (struct weir_str){text, 20000};
    f.record.total_ns = f.record.queue_ns = f.record.connect_ns = UINT64_MAX;
    f.record.first_byte_ns = f.record.request_bytes = f.record.response_bytes = UINT64_MAX;
    f.record.body_bytes = UINT64_MAX;
    logged(&f, "-");
    const char *line = weir_test_file(f.host, "-", &len);
    ck_assert_uint_gt(len, 7000);
    ck_assert_uint_lt(len, (size_t)16 * 1024);
    ck_assert_ptr_eq(strchr(line, '\n'), line + len - 1);
    ck_assert(line[0] != '{' || line[len - 2] == '}');
    free(text);
    test_end(&f.host);
}

UNIT_TEST(lines_are_bounded)
{
    expect_bounded("", 'x');
    expect_bounded("", '\n');
    expect_bounded("", '"');
    expect_bounded("format = json", 'x');
    expect_bounded("format = json", '\x01');
    expect_bounded("format = json", '\\');
}

/* ---- files ---- */

UNIT_TEST(workers_share_the_file)
{
    struct fixture f = begin("path = \"/var/log/weir.log\"");
    weir_test_set_worker(f.host, 1, 2);
    struct weir_test_instance *other = weir_test_create(
        f.host, WEIR_TEST_LOGGER, test_conf(f.host, "path = \"/var/log/weir.log\""));
    ck_assert_ptr_nonnull(other);
    weir_test_log_request(other, f.req, NULL, &f.record);
    const char *text = logged(&f, "/var/log/weir.log");
    const char *first = strchr(text, '\n');
    ck_assert_ptr_nonnull(first);
    ck_assert_uint_eq(strlen(first + 1), (size_t)(first + 1 - text));
    weir_test_destroy(&other);
    weir_test_destroy(&f.logger);
    ck_assert_uint_eq(weir_test_file_open_count(f.host, "/var/log/weir.log"), 0);
    test_end(&f.host);
}

UNIT_TEST(full_disk_stops_nothing)
{
    struct fixture f = begin("");
    weir_test_fail_files(f.host, false, true);
    weir_test_log_request(f.logger, f.req, NULL, &f.record);
    weir_test_fail_files(f.host, false, false);
    const char *text = logged(&f, "-");
    ck_assert_uint_eq(strcspn(text, "\n") + 1, strlen(text));
    test_end(&f.host);
}

UNIT_TEST(file_that_cannot_be_opened_refuses_the_generation)
{
    struct weir_test *host = test_begin();
    struct weir_test_block *block = test_conf(host, "path = \"/a/log\"");
    weir_test_fail_files(host, true, false);
    ck_assert_ptr_null(weir_test_create(host, WEIR_TEST_LOGGER, block));
    test_refused(host, "path = \"/a/log\"", "conf:1: cannot open the log file /a/log");
    test_end(&host);
}

UNIT_TEST(mistakes_are_told)
{
    struct weir_test *host = test_begin();
    test_refused(host, "path = \"\"", "\"-\" for standard output");
    test_refused(host, "format = common", "combined");
    test_refused(host, "file = x", "file");
    test_end(&host);
}
