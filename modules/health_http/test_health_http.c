/* SPDX-License-Identifier: MIT */
/*
 * health_http: the request's bytes, and what each answer is taken for, in whatever pieces it comes.
 */
#include "../test_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *health;
    struct weir_probe_target target;
};

static struct fixture begin(const char *conf)
{
    struct fixture f;
    f.host = test_begin();
    f.health = weir_test_create(f.host, WEIR_TEST_HEALTH, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.health);
    f.target = weir_test_target("10.0.0.1:8080", false);
    return f;
}

/* ---- the request ---- */

static void expect_request(const char *conf, const char *request)
{
    struct fixture f = begin(conf);
    size_t len = 0;
    const char *bytes = weir_test_probe(f.health, &f.target, &len);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_str_eq(bytes, request);
    ck_assert_uint_eq(len, strlen(request));
    test_end(&f.host);
}

UNIT_TEST(request_follows_options)
{
    expect_request("", "GET / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: weir-health/1\r\n"
                       "Accept: */*\r\nConnection: close\r\n\r\n");
    expect_request(
        "path = \"/health?deep=1\"  method = HEAD  host = \"shop.example\""
        "  user_agent = \"probe one\"  headers = {\"X-A: b\", \"Authorization: Basic x\"}",
        "HEAD /health?deep=1 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: probe one\r\n"
        "Accept: */*\r\nConnection: close\r\nX-A: b\r\nAuthorization: Basic x\r\n\r\n");
    /* RFC 9110 section 8.6: where content has a meaning, that there is none is said. */
    static const char *const posts[] = {"POST", "PUT", "PATCH", "REPORT"};
    static const char *const gets[] = {"GET", "OPTIONS", "DELETE", "TRACE"};
    for (size_t i = 0; i < 8; i++) {
        const char *method = i < 4 ? posts[i] : gets[i - 4];
        char conf[32], wanted[192];
        snprintf(conf, sizeof(conf), "method = %s", method);
        snprintf(wanted, sizeof(wanted),
                 "%s / HTTP/1.1\r\nHost: 10.0.0.1:8080\r\nUser-Agent: weir-health/1\r\n"
                 "Accept: */*\r\nConnection: close\r\n%s\r\n",
                 method, i < 4 ? "Content-Length: 0\r\n" : "");
        expect_request(conf, wanted);
    }
}

/* A room too small is never written beyond. */
UNIT_TEST(request_respects_capacity)
{
    struct fixture f = begin("");
    const struct weir_health *hooks = weir_module_entry()->health;
    struct weir_context *ctx = weir_test_instance_context(f.health);
    void *data = weir_test_instance_data(f.health);
    size_t whole = hooks->request(ctx, data, &f.target, NULL, 0);
    char *out = malloc(whole);
    ck_assert_uint_eq(hooks->request(ctx, data, &f.target, out, whole), whole);
    ck_assert_mem_eq(out + whole - 4, "\r\n\r\n", 4);
    free(out);
    out = malloc(whole - 1);
    ck_assert_uint_gt(hooks->request(ctx, data, &f.target, out, whole - 1), whole - 1);
    free(out);
    test_end(&f.host);
}

/* ---- the answer ---- */

/* The same verdict however the answer is cut into pieces. `reason`: part of it, NULL for MORE. */
static void expect_answer(const char *conf, const char *answer, bool eof, enum weir_verdict verdict,
                          const char *reason)
{
    struct fixture f = begin(conf);
    size_t len = strlen(answer);
    for (size_t step = 0; step <= 7; step++) {
        const char *why = NULL;
        enum weir_verdict got = weir_test_judge(f.health, &f.target, answer, len, step, eof, &why);
        ck_assert_msg(got == verdict, "%s: verdict %d in steps of %zu: %s", answer, (int)got, step,
                      why);
        if (reason != NULL) {
            ck_assert_msg(strstr(why, reason) != NULL, "%s: %s", answer, why);
            ck_assert_msg(strncmp(why, "probe: ", 7) == 0, "%s", why);
        }
    }
    test_end(&f.host);
}

#define UP(conf, answer, reason)   expect_answer(conf, answer, true, WEIR_VERDICT_UP, reason)
#define DOWN(conf, answer, reason) expect_answer(conf, answer, true, WEIR_VERDICT_DOWN, reason)
#define MORE(conf, answer)         expect_answer(conf, answer, false, WEIR_VERDICT_MORE, NULL)

UNIT_TEST(status_decides)
{
    UP("", "HTTP/1.1 200 OK\r\n\r\n", "probe: status 200");
    UP("", "HTTP/1.0 204\r\n\r\n", "probe: status 204");
    UP("", "HTTP/1.1 399 \r\nA: b\r\n\r\n", "probe: status 399");
    DOWN("", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "probe: status 503, expected 200-399");
    DOWN("expect = {200, \"204-206\"}", "HTTP/1.1 203 x\r\n\r\n",
         "probe: status 203, expected 200, 204-206");
    UP("expect = {200, \"204-206\"}", "HTTP/1.1 206 x\r\n\r\n", "probe: status 206");
    DOWN("", "HTTP/1.1 999 x\r\n\r\n", "status 999");
    UP("",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
       "probe: status 200");
    DOWN("", "HTTP/1.1 101 Switching\r\n\r\n", "status 101");
}

UNIT_TEST(what_is_no_http_is_down)
{
    DOWN("", "SSH-2.0-OpenSSH_9.2\r\n", "probe: answer is not HTTP");
    DOWN("", "HTTP/2 200\r\n\r\n", "answer is not HTTP");
    DOWN("", "HTTP/1.2 200 OK\r\n\r\n", "answer is not HTTP");
    DOWN("", "HTTP/1.1  200 OK\r\n\r\n", "answer is not HTTP");
    DOWN("", "HTTP/1.1 20x OK\r\n\r\n", "answer is not HTTP");
    DOWN("", "HTTP/1.1 2000 OK\r\n\r\n", "answer is not HTTP");
    DOWN("", "HTTP/1.1 099 OK\r\n\r\n", "answer is not HTTP");
    DOWN("", "HTTP/1.1 20\r\n\r\n", "answer is not HTTP");
    DOWN("", "http/1.1 200 OK\r\n\r\n", "answer is not HTTP");
    DOWN("", "\r\nHTTP/1.1 200 OK\r\n\r\n", "answer is not HTTP");
    DOWN("", "HTTP/1.1 200 OK\n\n", "CRLF");
    DOWN("", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "has no \":\"");
    DOWN("", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length");
    DOWN("", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "Content-Length");
    DOWN("", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "transfer coding");
}

UNIT_TEST(cut_answers_are_down)
{
    DOWN("", "", "probe: closed without an answer");
    DOWN("", "HTTP/1.1 200 OK\r\n", "probe: the answer was cut short");
    DOWN("", "HTTP/1.1 2", "probe: the answer was cut short");
    DOWN("", "HTTP/1.1 100 Continue\r\n\r\n", "probe: the answer was cut short");
    MORE("", "");
    MORE("", "HTTP/1.1 200 OK\r\nServer: x\r\n");
    MORE("body = ok", "HTTP/1.1 200 OK\r\n\r\nno");
}

UNIT_TEST(body_is_searched)
{
    static const char conf[] = "body = \"all well\"";
    UP(conf, "HTTP/1.1 200 OK\r\n\r\nit is all well here", "has what is expected");
    DOWN(conf, "HTTP/1.1 200 OK\r\n\r\nall wel", "probe: the body lacks \"all well\"");
    DOWN(conf, "HTTP/1.1 200 OK\r\nX: all well\r\n\r\n", "lacks");
    DOWN(conf, "HTTP/1.1 500 no\r\n\r\nall well", "status 500");
    UP(conf, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall well", "status 200");
    DOWN(conf, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nall well", "lacks");
    DOWN(conf, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall", "cut short");
    UP(conf, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall well", "status 200");
    DOWN(conf, "HTTP/1.1 204 No Content\r\n\r\nall well", "lacks");
    UP("body = \"aab\"", "HTTP/1.1 200 OK\r\n\r\naaaaab", "status 200");
}

UNIT_TEST(chunks_are_joined)
{
    static const char conf[] = "body = \"all well\"";
#define HEAD "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
    UP(conf, HEAD "4\r\nall \r\n4;x=y\r\nwell\r\n0\r\n\r\n", "status 200");
    UP(conf, HEAD "A\r\nx all well\r\n", "status 200");
    DOWN(conf, HEAD "3\r\nall\r\n5\r\n_well\r\n0\r\n\r\n", "lacks");
    DOWN(conf, HEAD "8\r\nall\r\nwe\r\n0\r\n\r\n", "longer than its size");
    DOWN(conf, HEAD "3\r\nall well\r\n", "longer than its size");
    DOWN(conf, HEAD "x\r\n", "has no size");
    DOWN(conf, HEAD "\r\n", "has no size");
    DOWN(conf, HEAD "ffffffffffffffff\r\nall", "has no size");
    DOWN(conf, HEAD "fffffffffffffff\r\nall", "cut short");
    DOWN(conf, HEAD "4\r\nall ", "cut short");
    UP("", HEAD "x\r\n", "probe: status 200");
#undef HEAD
}

/* Of an endless answer no more than 16 KiB is read. */
UNIT_TEST(long_answers_end)
{
    char *text = malloc(40001);
    memset(text, 'x', 40000);
    text[40000] = '\0';
    memcpy(text, "HTTP/1.1 200 OK\r\n\r\n", 19);
    memcpy(text + 30000, "needle", 6);
    DOWN("body = needle", text, "lacks \"needle\" in its first 16 KiB");
    memcpy(text + 16378, "needle", 6);
    UP("body = needle", text, "status 200");
    memcpy(text + 17, "A:", 2); /* a head without end */
    DOWN("", text, "longer than 16 KiB");
    free(text);
}

/* Whatever comes: a verdict, a reason, and no byte read beyond what is there. */
UNIT_TEST(random_answers_do_no_harm)
{
    static const char base[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                               "Content-Length: 12\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    struct fixture f = begin("body = hello");
    uint64_t random = 5;
    for (uint32_t turn = 0; turn < 20000; turn++) {
        char text[sizeof(base)];
        size_t len = test_random(&random, sizeof(base));
        const char *why;
        memcpy(text, base, sizeof(base));
        for (uint32_t i = test_random(&random, 4); i > 0; i--) {
            text[test_random(&random, sizeof(base) - 1)] = (char)test_random(&random, 256);
        }
        if (weir_test_judge(f.health, &f.target, text, len, 0, true, &why) == WEIR_VERDICT_MORE) {
            ck_abort_msg("no verdict at the end");
        }
    }
    test_end(&f.host);
}

UNIT_TEST(head_has_no_body)
{
    UP("method = HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "status 200");
}

/* ---- gRPC ---- */

static struct fixture begin_grpc(const char *conf)
{
    struct fixture f = begin(conf);
    f.target.http = 2;
    return f;
}

static void expect_grpc_request(const char *conf, const char *head, const char *content, size_t len)
{
    struct fixture f = begin_grpc(conf);
    size_t all = 0;
    const char *bytes = weir_test_probe(f.health, &f.target, &all);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(all, strlen(head) + len);
    ck_assert_mem_eq(bytes, head, strlen(head));
    ck_assert_mem_eq(bytes + strlen(head), content, len);
    test_end(&f.host);
}

UNIT_TEST(grpc_request_names_the_service)
{
#define GRPC_HEAD(authority, length)                                                      \
    "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: " authority                      \
    "\r\nUser-Agent: weir-health/1\r\nContent-Type: application/grpc\r\nTE: trailers\r\n" \
    "Content-Length: " length "\r\n"
    expect_grpc_request("grpc = on  path = \"/health\"  method = HEAD",
                        GRPC_HEAD("10.0.0.1:8080", "5") "\r\n", "\0\0\0\0\0", 5);
    expect_grpc_request("grpc = on  grpc_service = \"shop.Cart\"  host = x  headers = {\"A: b\"}",
                        GRPC_HEAD("x", "16") "A: b\r\n\r\n", "\0\0\0\0\013\012\011shop.Cart", 16);
    char conf[300], content[208] = "\0\0\0\0\313\012\310\001";
    memset(conf, 'x', sizeof(conf));
    memcpy(conf, "grpc = on grpc_service = \"", 26);
    strcpy(conf + 26 + 200, "\"");
    memset(content + 8, 'x', 200);
    expect_grpc_request(conf, GRPC_HEAD("10.0.0.1:8080", "208") "\r\n", content, 208);
#undef GRPC_HEAD
}

static void expect_grpc(const char *answer, size_t len, bool eof, enum weir_verdict verdict,
                        const char *reason)
{
    struct fixture f = begin_grpc("grpc = on");
    for (size_t step = 0; step <= 7; step++) {
        const char *why = NULL;
        enum weir_verdict got = weir_test_judge(f.health, &f.target, answer, len, step, eof, &why);
        ck_assert_msg(got == verdict && strstr(why, reason) != NULL, "%s: verdict %d: %s", answer,
                      (int)got, why);
    }
    test_end(&f.host);
}

#define GRPC(answer, verdict, reason) \
    expect_grpc(answer, sizeof(answer) - 1, true, WEIR_VERDICT_##verdict, reason)
#define CHUNKED \
    "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
#define GOOD "0\r\ngrpc-status: 0\r\n\r\n"

UNIT_TEST(grpc_answers_are_judged)
{
    GRPC(CHUNKED "7\r\n\0\0\0\0\2\010\1\r\n" GOOD, UP, "probe: SERVING");
    GRPC(CHUNKED "5\r\n\0\0\0\0\2\r\n2\r\n\010\1\r\n" GOOD, UP, "probe: SERVING");
    /* Fields that are not known are passed over. */
    GRPC(CHUNKED "a\r\n\0\0\0\0\5\022\1x\010\1\r\n" GOOD, UP, "probe: SERVING");
    GRPC(CHUNKED "7\r\n\0\0\0\0\2\010\2\r\n" GOOD, DOWN, "probe: NOT_SERVING");
    GRPC(CHUNKED "7\r\n\0\0\0\0\2\010\3\r\n" GOOD, DOWN, "probe: SERVICE_UNKNOWN");
    GRPC(CHUNKED "7\r\n\0\0\0\0\2\010\011\r\n" GOOD, DOWN, "probe: an unknown status");
    GRPC(CHUNKED "5\r\n\0\0\0\0\0\r\n" GOOD, DOWN, "probe: UNKNOWN");
    GRPC(CHUNKED GOOD, DOWN, "no HealthCheckResponse");
    GRPC(CHUNKED "7\r\n\1\0\0\0\2\010\1\r\n" GOOD, DOWN, "no HealthCheckResponse");
    GRPC(CHUNKED "7\r\n\0\0\0\0\3\010\1\r\n" GOOD, DOWN, "no HealthCheckResponse");
    GRPC(CHUNKED "7\r\n\0\0\0\0\2\022\1\r\n" GOOD, DOWN, "no HealthCheckResponse");
    GRPC(CHUNKED "0\r\ngrpc-status: 5\r\ngrpc-message: unknown service\r\n\r\n", DOWN,
         "probe: gRPC status 5 NOT_FOUND: unknown service");
    GRPC(CHUNKED "0\r\ngrpc-status: x\r\n\r\n", DOWN, "probe: gRPC status 2 UNKNOWN");
    GRPC(CHUNKED "0\r\n\r\n", DOWN, "no grpc-status");
    GRPC(CHUNKED "7\r\n\0\0\0\0\2\010\1\r\n", DOWN, "no grpc-status");
    GRPC("HTTP/1.1 200 OK\r\nContent-Length: 0\r\ngrpc-status: 12\r\n\r\n", DOWN,
         "probe: gRPC status 12 UNIMPLEMENTED");
    GRPC("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", DOWN, "probe: status 404");
    expect_grpc(CHUNKED "7\r\n", sizeof(CHUNKED) + 2, false, WEIR_VERDICT_MORE, "");
}

/* Over HTTP/1 nothing is sent, and the reason says what to write. */
UNIT_TEST(grpc_needs_http_2)
{
    struct fixture f = begin("grpc = on");
    const char *why = NULL;
    size_t len = 1;
    weir_test_probe(f.health, &f.target, &len);
    ck_assert_uint_eq(len, 0);
    ck_assert_int_eq(weir_test_judge(f.health, &f.target, "", 0, 0, true, &why), WEIR_VERDICT_DOWN);
    ck_assert_ptr_nonnull(strstr(why, "protocol = \"h2\""));
    test_end(&f.host);
}

UNIT_TEST(pool_block_overrides_module_block)
{
    struct weir_test *host = test_begin();
    ck_assert_ptr_nonnull(
        weir_test_conf_in(host, WEIR_CONTEXT_MODULE, "path = \"/a\"  user_agent = all"));
    struct weir_test_instance *health =
        weir_test_create(host, WEIR_TEST_HEALTH, test_conf(host, "path = \"/b\""));
    struct weir_probe_target target = weir_test_target("x:1", false);
    const char *bytes = weir_test_probe(health, &target, NULL);
    ck_assert_ptr_nonnull(strstr(bytes, "GET /b "));
    ck_assert_ptr_nonnull(strstr(bytes, "User-Agent: all\r\n"));
    test_end(&host);
}

UNIT_TEST(mistakes_are_told)
{
    struct weir_test *host = test_begin();
    static const struct {
        const char *conf;
        const char *text;
    } rows[] = {
        {"path = \"health\"", "begins with \"/\""},
        {"path = \"/a b\"", "neither spaces"},
        {"path = \"/a#b\"", "\"#\""},
        {"method = \"GE T\"", "no method"},
        {"method = CONNECT", "no method"},
        {"method = \"\"", "no method"},
        {"host = \"http://x/\"", "host"},
        {"headers = {\"nothing\"}", "write \"Name: value\""},
        {"headers = {\": x\"}", "write \"Name: value\""},
        {"headers = {\"A b: x\"}", "write \"Name: value\""},
        {"headers = {\"hOST: x\"}", "host = "},
        {"headers = {\"User-Agent: x\"}", "user_agent = "},
        {"headers = {\"Content-Length: 0\"}", "no body"},
        {"headers = {\"Connection: keep-alive\"}", "closed"},
        {"expect = {}", "expect"},
        {"expect = {\"99\"}", "neither a status"},
        {"expect = {\"600\"}", "neither a status"},
        {"expect = {\"300-200\"}", "neither a status"},
        {"expect = {\"200-\"}", "neither a status"},
        {"expect = {\"200-399x\"}", "neither a status"},
        {"expect = {\"2xx\"}", "neither a status"},
        {"method = HEAD  body = ok", "HEAD has no body"},
        {"grpc_service = \"a.B\"", "add grpc = on"},
        {"grpc = on  grpc_service = \"a b\"", "no name of a service"},
        {"grpc = on  headers = {\"te: x\"}", "probe's own"},
        {"pth = \"/\"", "path"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        test_refused(host, rows[i].conf, rows[i].text);
    }
    char *conf = malloc(9000);
    memset(conf, 'x', 9000);
    memcpy(conf, "path = \"/", 9);
    strcpy(conf + 5000, "\"");
    test_refused(host, conf, "longer than 4096");
    free(conf);
    test_end(&host);
}

UNIT_TIMEOUT(60);
