/* SPDX-License-Identifier: MIT */
/* h1_write.c, reason.c: heads and chunk lines from parsed form. */
#include "heads.h"
#include "runner.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "http/h1_write.h"

#define OUT_SIZE 4096

static struct arena arena;
static char out[OUT_SIZE + 1];

static void set_up(void)
{
    arena_init(&arena, NULL, 0);
}

static void tear_down(void)
{
    arena_reset(&arena);
}

static struct http_request_head request_of(const char *raw)
{
    struct http_request_head head;
    struct h1_scan scan = {0};
    struct http_error error = {0};
    size_t used;
    enum h1_status status =
        h1_parse_request(raw, strlen(raw), &heads_limits, &scan, &arena, &head, &used, &error);
    ck_assert_msg(status == H1_DONE, "%s: %s", raw, error.reason);
    return head;
}

static struct http_response_head response_of(const char *raw, enum http_method method)
{
    struct http_response_head head;
    struct h1_scan scan = {0};
    struct http_error error = {0};
    size_t used;
    enum h1_status status = h1_parse_response(raw, strlen(raw), &heads_limits, &scan, &arena,
                                              method, &head, &used, &error);
    ck_assert_msg(status == H1_DONE, "%s: %s", raw, error.reason);
    return head;
}

/* Writes it into memory of each size up to what is needed, and no byte beyond. */
static const char *request_written(const struct http_request_head *head,
                                   const struct http_extra *extra, size_t count, bool upgrade)
{
    size_t bound = h1_request_size(head, extra, count);
    size_t len = h1_write_request(out, OUT_SIZE, head, extra, count, upgrade);
    ck_assert_uint_le(len, bound);
    for (size_t size = 0; size < len; size++) {
        char *small = malloc(size > 0 ? size : 1);
        ck_assert_uint_eq(h1_write_request(small, size, head, extra, count, upgrade), 0);
        free(small);
    }
    out[len] = '\0';
    return out;
}

static const char *response_written(const struct http_response_head *head,
                                    const struct h1_response_shape *shape)
{
    size_t bound = h1_response_size(head);
    size_t len = h1_write_response(out, OUT_SIZE, head, shape);
    ck_assert_uint_le(len, bound);
    for (size_t size = 0; size < len; size++) {
        char *small = malloc(size > 0 ? size : 1);
        ck_assert_uint_eq(h1_write_response(small, size, head, shape), 0);
        free(small);
    }
    out[len] = '\0';
    return out;
}

/* ---- requests ---- */

static const struct {
    const char *rule, *in, *out;
} requests[] = {
    {"9110 7.2: Host first", "GET /x?y HTTP/1.1\r\nA: b\r\nHost: h:81\r\n\r\n",
     "GET /x?y HTTP/1.1\r\nHost: h:81\r\nA: b\r\n\r\n"},
    {"9112 3.2.1: what was routed is what is sent", "GET /%61/../b/ HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /b/ HTTP/1.1\r\nHost: h\r\n\r\n"},
    {"9112 3.2.1: an empty query", "GET /? HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /? HTTP/1.1\r\nHost: h\r\n\r\n"},
    {"9112 3.2.2: Host is made from an absolute target",
     "GET http://Other:8080/x HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET /x HTTP/1.1\r\nHost: Other:8080\r\n\r\n"},
    {"9112 3.2.2: its path is at least a slash", "GET http://o HTTP/1.1\r\nHost: h\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: o\r\n\r\n"},
    {"9112 3.2.4: asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
     "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"},
    {"9112 3.2.4: made for the last leg", "OPTIONS http://o HTTP/1.1\r\nHost: h\r\n\r\n",
     "OPTIONS * HTTP/1.1\r\nHost: o\r\n\r\n"},
    {"9110 2.5: our own version", "GET / HTTP/1.0\r\nHost: h\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
    {"9112 3.2: an empty Host where there is none", "GET / HTTP/1.0\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: \r\n\r\n"},
    {"9110 8.6: one length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 007, 7\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n"},
    {"9110 8.6: a zero is kept", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
    {"9112 6.3: of both the coding",
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\nTransfer-Encoding: CHUNKED\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"9110 7.6.1: hop by hop",
     "GET / HTTP/1.1\r\nHost: h\r\nConnection: A, close\r\nA: b\r\nKeep-Alive: 1\r\nTE: "
     "gzip\r\nUpgrade: h2c\r\nC: d\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: h\r\nC: d\r\n\r\n"},
    {"9110 10.1.1: Expect goes on with a body",
     "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
     "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"},
    {"9110 10.1.1: not without one",
     "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
     "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
    {"order and case of fields, odd white space goes",
     "GET / HTTP/1.1\r\nHost: h\r\nb:1\r\nB: \t 2 \r\na:\r\nSec-Long-Name-To-Copy: v\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: h\r\nb: 1\r\nB: 2\r\na: \r\nSec-Long-Name-To-Copy: v\r\n\r\n"},
    {"9110 10.1.4: TE is named in Connection",
     "GET / HTTP/1.1\r\nHost: h\r\nTE: gzip, trailers\r\nConnection: te\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\nTE: trailers\r\n\r\n"},
    {"9110 9.1: other methods", "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n",
     "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n"},
};

UNIT_LOOP_TEST(request_heads, ARRAY_COUNT(requests))
{
    struct http_request_head head = request_of(requests[_i].in);
    fields_drop_hop_by_hop(&head.fields);
    const char *written = request_written(&head, NULL, 0, false);
    ck_assert_msg(strcmp(written, requests[_i].out) == 0, "%s:\n%s\nwanted\n%s", requests[_i].rule,
                  written, requests[_i].out);
}

UNIT_TEST(request_with_additions)
{
    struct http_request_head head =
        request_of("GET /c HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
                   "Connection: upgrade\r\nOrigin: o\r\n\r\n");
    struct http_extra extra[] = {{STR("Via"), STR("1.1 weir"), true},
                                 {STR("X-Empty"), STR(""), false}};
    fields_drop_hop_by_hop(&head.fields);
    ck_assert(head.upgrade_websocket);
    ck_assert_str_eq(request_written(&head, extra, 2, true),
                     "GET /c HTTP/1.1\r\nHost: h\r\nOrigin: o\r\nVia: 1.1 weir\r\nX-Empty: \r\n"
                     "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

/* Whatever a filter or the core has put into a head: it cannot end a line. */
UNIT_TEST(nothing_splits_a_request)
{
    static const char raw[] = "GET /c HTTP/1.1\r\nHost: h\r\n\r\n";
    static const struct weir_str bad[] = {WEIR_STR_INIT("/a\r\nX: y"), WEIR_STR_INIT("/a b"),
                                          WEIR_STR_INIT("/a\n"), WEIR_STR_INIT("/a\0"),
                                          WEIR_STR_INIT("/\xc3\xa4")};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct http_request_head head = request_of(raw);
        head.path = bad[i];
        ck_assert_uint_eq(h1_write_request(out, OUT_SIZE, &head, NULL, 0, false), 0);
        head = request_of(raw);
        head.has_query = true;
        head.query = bad[i];
        ck_assert_uint_eq(h1_write_request(out, OUT_SIZE, &head, NULL, 0, false), 0);
        head = request_of(raw);
        head.authority = bad[i];
        ck_assert_uint_eq(h1_write_request(out, OUT_SIZE, &head, NULL, 0, false), 0);
        head = request_of(raw);
        head.method_name = bad[i];
        ck_assert_uint_eq(h1_write_request(out, OUT_SIZE, &head, NULL, 0, false), 0);
    }
    struct http_request_head head = request_of(raw);
    struct http_extra extra[] = {{STR("A"), STR("b\r\nc: d"), false},
                                 {STR("A: b\r\nc"), STR("d"), false}};
    ck_assert_uint_eq(h1_write_request(out, OUT_SIZE, &head, &extra[0], 1, false), 0);
    ck_assert_uint_eq(h1_write_request(out, OUT_SIZE, &head, &extra[1], 1, false), 0);
    head.path = STR("");
    ck_assert_uint_eq(h1_write_request(out, OUT_SIZE, &head, NULL, 0, false), 0);
    head.path = STR("/a?b");
    ck_assert_uint_eq(h1_write_request(out, OUT_SIZE, &head, NULL, 0, false), 0);
}

/* ---- responses ---- */

#define KEEP                       \
    {                              \
        .client_version = HTTP_1_1 \
    }
#define CHUNKED                                     \
    {                                               \
        .client_version = HTTP_1_1, .chunked = true \
    }

static const struct {
    const char *rule, *in, *out;
    struct h1_response_shape shape;
    enum http_method method;
} responses[] = {
    {"9112 4: our own version", "HTTP/1.0 200 Fine\r\nContent-Length: 5\r\nA: b\r\n\r\n",
     "HTTP/1.1 200 Fine\r\nA: b\r\nContent-Length: 5\r\n\r\n", KEEP, METHOD_GET},
    {"9112 4: the standard phrase where none came", "HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", KEEP, METHOD_GET},
    {"9112 4: or an empty one, with its space", "HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", KEEP, METHOD_GET},
    {"9112 7.1: chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED, METHOD_GET},
    {"9112 7.1: not for HTTP/1.0",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
     {.client_version = HTTP_1_0, .chunked = true, .close = true},
     METHOD_GET},
    {"9112 9.3: HTTP/1.0 is told",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
     {.keep_alive_said = true},
     METHOD_GET},
    {"9112 9.6: close",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
     {.client_version = HTTP_1_1, .close = true},
     METHOD_GET},
    {"9110 9.3.2: HEAD tells a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", KEEP, METHOD_HEAD},
    {"9110 9.3.2: HEAD without one", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", KEEP,
     METHOD_HEAD},
    {"9110 15.4.5: 304 tells a length", "HTTP/1.1 304 \r\nContent-Length: 5\r\nETag: e\r\n\r\n",
     "HTTP/1.1 304 Not Modified\r\nETag: e\r\nContent-Length: 5\r\n\r\n", KEEP, METHOD_GET},
    {"9110 8.6: 204 has none", "HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 204 No Content\r\n\r\n", KEEP, METHOD_GET},
    {"9110 8.6: 1xx has none", "HTTP/1.1 103 Early Hints\r\nLink: l\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n", KEEP, METHOD_GET},
    {"6455 4.2.2: 101",
     "HTTP/1.1 101 \r\nConnection: x, upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n",
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     {.client_version = HTTP_1_1, .upgrade = true},
     METHOD_GET},
    {"9110 15.5.22: 426 says to what",
     "HTTP/1.1 426 \r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"
     "Connection: Upgrade\r\n\r\n",
     KEEP, METHOD_GET},
    {"9110 15.5.22: and that it ends",
     "HTTP/1.1 426 \r\nConnection: upgrade\r\nUpgrade: x, websocket\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 426 Upgrade Required\r\nUpgrade: x, websocket\r\nContent-Length: 0\r\n"
     "Connection: close, Upgrade\r\n\r\n",
     {.client_version = HTTP_1_1, .close = true},
     METHOD_GET},
    {"9110 15.5.22: whatever it is, on any number of lines",
     "HTTP/1.1 426 \r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n"
     "Upgrade: TLS/1.0, HTTP/1.1\r\n\r\n",
     "HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n"
     "Content-Length: 0\r\nConnection: Upgrade\r\n\r\n",
     KEEP, METHOD_GET},
    {"9110 15.5.22: and where Connection does not name it",
     "HTTP/1.1 426 \r\nUpgrade: HTTP/3.0\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 426 Upgrade Required\r\nUpgrade: HTTP/3.0\r\nContent-Length: 0\r\n"
     "Connection: Upgrade\r\n\r\n",
     KEEP, METHOD_GET},
    {"9110 7.8: in other responses nothing is offered",
     "HTTP/1.1 200 \r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", KEEP, METHOD_GET},
    {"9110 7.6.1: hop by hop",
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: a\r\nA: b\r\nKeep-Alive: "
     "timeout=5\r\nProxy-Connection: x\r\nSet-Cookie: c\r\n\r\n",
     "HTTP/1.1 200 OK\r\nSet-Cookie: c\r\nContent-Length: 0\r\n\r\n", KEEP, METHOD_GET},
};

UNIT_LOOP_TEST(response_heads, ARRAY_COUNT(responses))
{
    struct http_response_head head = response_of(responses[_i].in, responses[_i].method);
    response_drop_hop_by_hop(&head);
    const char *written = response_written(&head, &responses[_i].shape);
    ck_assert_msg(strcmp(written, responses[_i].out) == 0, "%s:\n%s\nwanted\n%s",
                  responses[_i].rule, written, responses[_i].out);
}

UNIT_TEST(nothing_splits_a_response)
{
    struct http_response_head head = response_of("HTTP/1.1 200 OK\r\n\r\n", METHOD_GET);
    struct h1_response_shape shape = {.client_version = HTTP_1_1};
    head.reason = STR("OK\r\nA: b");
    ck_assert_uint_eq(h1_write_response(out, OUT_SIZE, &head, &shape), 0);
}

/* ---- chunk lines ---- */

UNIT_TEST(chunk_lines)
{
    static const struct {
        uint64_t len;
        const char *line;
    } lines[] = {
        {0, "0\r\n"},
        {1, "1\r\n"},
        {15, "f\r\n"},
        {16, "10\r\n"},
        {255, "ff\r\n"},
        {256, "100\r\n"},
        {4096, "1000\r\n"},
        {UINT64_C(0x123456789abcdef0), "123456789abcdef0\r\n"},
        {UINT64_MAX, "ffffffffffffffff\r\n"},
    };
    char line[H1_CHUNK_LINE_SIZE];
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        size_t len = h1_write_chunk_line(line, lines[i].len);
        ck_assert_uint_eq(len, strlen(lines[i].line));
        ck_assert_mem_eq(line, lines[i].line, len);
    }
}

/* ---- reason phrases ---- */

UNIT_TEST(phrases)
{
    static const struct {
        unsigned status;
        const char *phrase;
    } known[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {204, "No Content"},
        {304, "Not Modified"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        ck_assert(str_equal(http_reason_phrase(known[i].status), str_from(known[i].phrase)));
    }
    for (unsigned status = 0; status < 1000; status++) {
        struct weir_str phrase = http_reason_phrase(status);
        ck_assert_ptr_nonnull(phrase.ptr);
        ck_assert(field_value_valid(phrase));
        if (phrase.len > 0) {
            ck_assert(status >= 100 && status < 600 && isupper((unsigned char)phrase.ptr[0]));
        }
    }
    ck_assert_uint_eq(http_reason_phrase(418).len, 0);
    ck_assert_uint_eq(http_reason_phrase(599).len, 0);
}

UNIT_FIXTURE(set_up, tear_down);
