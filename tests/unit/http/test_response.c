/* SPDX-License-Identifier: MIT */
/* h1_response.c: raw responses and what they mean, rule by rule. Whatever is wrong is 502. */
#include "heads.h"
#include "runner.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define CL "Content-Length: "
#define TE "Transfer-Encoding: "

static const struct head_case lines[] = {
    {"9112 4: version SP status SP reason", RAW(OK CL "0\r\n\r\n"), "200 'OK' 1.1 length=0 keep",
     0},
    {"9112 4: no reason", RAW("HTTP/1.1 200 \r\n" CL "0\r\n\r\n"), "200 '' 1.1 length=0 keep", 0},
    {"9112 4: no reason and no space", RAW("HTTP/1.1 200\r\n" CL "0\r\n\r\n"),
     "200 '' 1.1 length=0 keep", 0},
    {"9112 4: words, tabs and obs-text in a reason",
     RAW("HTTP/1.1 404 not\there \xe4\r\n" CL "0\r\n\r\n"),
     "404 'not\there \xe4' 1.1 length=0 keep", 0},
    {"9112 4: white space around a reason is not passed on",
     RAW("HTTP/1.1 200  OK \r\n" CL "0\r\n\r\n"), "200 'OK' 1.1 length=0 keep", 0},
    {"9112 4: no control in a reason", RAW("HTTP/1.1 200 O\x01K\r\n\r\n"), "502 bad_line_end", 0},
    {"9112 4: no NUL in a reason", RAW("HTTP/1.1 200 O\0K\r\n\r\n"), "502 bad_line_end", 0},
    {"9112 2.2: no bare CR in a reason", RAW("HTTP/1.1 200 O\rK\r\n\r\n"), "502 bare_cr", 0},
    {"9112 2.2: no bare LF", RAW("HTTP/1.1 200 OK\n\r\n"), "502 bare_lf", 0},
    {"9112 2.2: an empty line before is for requests", RAW("\r\n" OK "\r\n"), "502 bad_version", 0},
    {"9112 4: one space before the status", RAW("HTTP/1.1  200 OK\r\n\r\n"), "502 bad_status_line",
     0},
    {"9112 4: three digits", RAW("HTTP/1.1 20 OK\r\n\r\n"), "502 bad_status_line", 0},
    {"9112 4: three digits", RAW("HTTP/1.1 2000 OK\r\n\r\n"), "502 bad_status_line", 0},
    {"9112 4: digits", RAW("HTTP/1.1 +20 OK\r\n\r\n"), "502 bad_status_line", 0},
    {"9110 15: 100 to 599", RAW("HTTP/1.1 099 OK\r\n\r\n"), "502 bad_status", 0},
    {"9110 15: 100 to 599", RAW("HTTP/1.1 600 OK\r\n\r\n"), "502 bad_status", 0},
    {"9110 15: an unknown one of a class", RAW("HTTP/1.1 299 Odd\r\n" CL "0\r\n\r\n"),
     "299 'Odd' 1.1 length=0 keep", 0},
    {"9112 2.3: HTTP/1.0", RAW("HTTP/1.0 200 OK\r\n" CL "3\r\n\r\n"), "200 'OK' 1.0 length=3", 0},
    {"9110 2.5: a higher minor", RAW("HTTP/1.3 200 OK\r\n" CL "3\r\n\r\n"),
     "200 'OK' 1.1 length=3 keep", 0},
    {"9112 2.3: another major", RAW("HTTP/2.0 200 OK\r\n\r\n"), "502 version_unsupported", 0},
    {"9112 2.3: another protocol", RAW("ICY 200 OK\r\n\r\n"), "502 bad_version", 0},
    {"HTTP/0.9", RAW("<html></html>\r\n\r\n"), "502 bad_version", 0},
    {"a banner", RAW("220 smtp.example ESMTP\r\n"), "502 bad_version", 0},
};

#define FIELD(rule, text, expected)                \
    {                                              \
        rule, RAW(OK text "\r\n\r\n"), expected, 0 \
    }

static const struct head_case fields[] = {
    FIELD("9112 5.1: no space before the colon", "X : y", "502 space_before_colon"),
    FIELD("9112 5.2: obs-fold", "X: y\r\n z", "502 obs_fold"),
    FIELD("9110 5.5: no NUL", "X: a\0b", "502 bad_field_value"),
    FIELD("9110 5.5: no bare CR", "X: a\rb", "502 bare_cr"),
    FIELD("9112 2.2: no bare LF", "X: a\nY: b", "502 bare_lf"),
    FIELD("9112 5: a colon", "X", "502 no_colon"),
    FIELD("9110 5.1: a name", ": x", "502 bad_field_name"),
    FIELD("9110 5.5: obs-text is not ours to judge", CL "0\r\nX: \xff",
          "200 'OK' 1.1 length=0 keep"),
    FIELD("several fields of one name", CL "0\r\nSet-Cookie: a\r\nSet-Cookie: b",
          "200 'OK' 1.1 length=0 keep"),
    FIELD("too many",
          "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:", "502 too_many_fields"),
};

#define AS(rule, raw, method, expected)  \
    {                                    \
        rule, RAW(raw), expected, method \
    }

static const struct head_case bodies[] = {
    AS("9112 6.3: a length", OK CL "5\r\n\r\n", METHOD_GET, "200 'OK' 1.1 length=5 keep"),
    AS("9112 6.3: equal lengths", OK CL "5\r\n" CL "5\r\n\r\n", METHOD_GET,
       "200 'OK' 1.1 length=5 keep"),
    AS("9112 6.3: different lengths", OK CL "5\r\n" CL "6\r\n\r\n", METHOD_GET,
       "502 content_lengths_differ"),
    AS("9110 8.6: no sign", OK CL "+5\r\n\r\n", METHOD_GET, "502 bad_content_length"),
    AS("9110 8.6: no overflow", OK CL "9223372036854775808\r\n\r\n", METHOD_GET,
       "502 bad_content_length"),
    AS("9112 6.3: chunked", OK TE "chunked\r\n\r\n", METHOD_GET, "200 'OK' 1.1 chunked keep"),
    AS("9112 6.3: both", OK CL "5\r\n" TE "chunked\r\n\r\n", METHOD_GET, "502 both_lengths"),
    AS("9112 6.3: both, for HEAD too", OK CL "5\r\n" TE "chunked\r\n\r\n", METHOD_HEAD,
       "502 both_lengths"),
    AS("9112 6.1: an unsupported coding", OK TE "gzip, chunked\r\n\r\n", METHOD_GET,
       "502 transfer_coding_unsupported"),
    AS("9112 6.3: chunked is not last", OK TE "chunked, gzip\r\n\r\n", METHOD_GET,
       "502 bad_transfer_encoding"),
    AS("9112 6.1: HTTP/1.0 has none", "HTTP/1.0 200 OK\r\n" TE "chunked\r\n\r\n", METHOD_GET,
       "502 coding_in_http_1_0"),
    AS("9112 6.3: until the end", OK "\r\n", METHOD_GET, "200 'OK' 1.1 close"),
    AS("9112 9.3: until the end, whatever Connection says", OK "Connection: keep-alive\r\n\r\n",
       METHOD_GET, "200 'OK' 1.1 close"),
    AS("9112 6.3: HEAD", OK CL "5\r\n\r\n", METHOD_HEAD, "200 'OK' 1.1 none said=5 keep"),
    AS("9112 6.3: HEAD, chunked", OK TE "chunked\r\n\r\n", METHOD_HEAD, "200 'OK' 1.1 none keep"),
    AS("9112 6.3: HEAD, nothing", OK "\r\n", METHOD_HEAD, "200 'OK' 1.1 none keep"),
    AS("9112 6.3: 304", "HTTP/1.1 304 Not Modified\r\n" CL "5\r\n\r\n", METHOD_GET,
       "304 'Not Modified' 1.1 none said=5 keep"),
    AS("9112 6.3: 204", "HTTP/1.1 204 No Content\r\n\r\n", METHOD_GET,
       "204 'No Content' 1.1 none keep"),
    AS("9110 8.6: 204 has no length", "HTTP/1.1 204 No Content\r\n" CL "5\r\n\r\n", METHOD_GET,
       "204 'No Content' 1.1 none"),
    AS("9110 8.6: but a zero hurts nobody", "HTTP/1.1 204 No Content\r\n" CL "0\r\n\r\n",
       METHOD_GET, "204 'No Content' 1.1 none keep"),
    AS("9112 6.1: 204 has no coding", "HTTP/1.1 204 No Content\r\n" TE "chunked\r\n\r\n",
       METHOD_GET, "204 'No Content' 1.1 none"),
    AS("9110 15.3.6: 205 has no content", "HTTP/1.1 205 Reset Content\r\n" CL "0\r\n\r\n",
       METHOD_GET, "205 'Reset Content' 1.1 none said=0 keep"),
    AS("9110 15.3.6: nor an announced one", "HTTP/1.1 205 Reset Content\r\n" CL "5\r\n\r\n",
       METHOD_GET, "502 content_in_205"),
    AS("9110 15.3.6: nor a chunked one", "HTTP/1.1 205 Reset Content\r\n" TE "chunked\r\n\r\n",
       METHOD_GET, "205 'Reset Content' 1.1 none said=0"),
    AS("9110 15.3.6: nor one up to the end", "HTTP/1.1 205 Reset Content\r\n\r\n", METHOD_GET,
       "205 'Reset Content' 1.1 none said=0"),
    AS("9110 15.2: 100", "HTTP/1.1 100 Continue\r\n\r\n", METHOD_POST,
       "100 'Continue' 1.1 none keep"),
    AS("9110 15.2: 103 with fields", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", METHOD_GET,
       "103 'Early Hints' 1.1 none keep"),
    AS("9112 6.1: 1xx has no coding", "HTTP/1.1 103 Early Hints\r\n" TE "chunked\r\n\r\n",
       METHOD_GET, "103 'Early Hints' 1.1 none"),
    AS("9110 7.8: 101",
       "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
       METHOD_GET, "101 'Switching Protocols' 1.1 tunnel keep"),
    AS("9110 7.8: not without the option",
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", METHOD_GET,
       "502 bad_switch"),
    AS("9110 7.8: not without saying to what",
       "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n", METHOD_GET,
       "502 bad_switch"),
    AS("9110 7.8: only to WebSocket",
       "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
       METHOD_GET, "502 bad_switch"),
    AS("9110 7.8: not to a POST",
       "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
       METHOD_POST, "502 bad_switch"),
    AS("9110 7.8: not by HTTP/1.0",
       "HTTP/1.0 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
       METHOD_GET, "502 bad_switch"),
    AS("what follows is not the head's", OK CL "5\r\n\r\nhello" OK, METHOD_GET,
       "200 'OK' 1.1 length=5 keep"),
};

static const struct head_case connections[] = {
    FIELD("9112 9.3: close", CL "0\r\nConnection: close", "200 'OK' 1.1 length=0"),
    FIELD("9112 9.3: close in a list", CL "0\r\nConnection: x, Close", "200 'OK' 1.1 length=0"),
    FIELD("9112 9.3: close in the second line", CL "0\r\nConnection: x\r\nConnection: close",
          "200 'OK' 1.1 length=0"),
    {"9112 9.3: HTTP/1.0 says that it persists",
     RAW("HTTP/1.0 200 OK\r\n" CL "0\r\nConnection: keep-alive\r\n\r\n"),
     "200 'OK' 1.0 length=0 keep", 0},
    {"9112 9.3: close wins",
     RAW("HTTP/1.0 200 OK\r\n" CL "0\r\nConnection: keep-alive, close\r\n\r\n"),
     "200 'OK' 1.0 length=0", 0},
};

#define TABLE_TEST(name, table)              \
    UNIT_LOOP_TEST(name, ARRAY_COUNT(table)) \
    {                                        \
        check_response_case(&(table)[_i]);   \
    }

TABLE_TEST(response_lines, lines)
TABLE_TEST(response_fields, fields)
TABLE_TEST(response_bodies, bodies)
TABLE_TEST(response_connections, connections)

/* A head that never ends is refused where the limit is, not later. */
UNIT_TEST(an_endless_head_is_refused_at_the_limit)
{
    static const char begin[] = OK "X: ";
    char *data = malloc(2000);
    struct h1_scan scan = {0};
    struct arena arena;
    memset(data, 'a', 2000);
    memcpy(data, begin, sizeof(begin) - 1);
    arena_init(&arena, NULL, 0);
    for (size_t have = 1; have <= heads_limits.head; have++) {
        struct http_response_head head;
        struct http_error error = {0};
        size_t used;
        enum h1_status status = h1_parse_response(data, have, &heads_limits, &scan, &arena,
                                                  METHOD_GET, &head, &used, &error);
        ck_assert_int_eq(status, have < heads_limits.head ? H1_INCOMPLETE : H1_ERROR);
        if (status == H1_ERROR) {
            ck_assert_uint_eq(error.status, 502);
            ck_assert_str_eq(error.reason, "head_too_long");
        }
    }
    arena_reset(&arena);
    free(data);
}

/* What must not be there is not passed on (RFC 9110 section 8.6, RFC 9112 section 6.1). */
UNIT_TEST(framing_of_no_body_is_dropped)
{
    static const char raw[] = "HTTP/1.1 204 No Content\r\n" CL "5\r\nX: y\r\n\r\n";
    struct http_response_head head;
    struct h1_scan scan = {0};
    struct http_error error;
    struct arena arena;
    size_t used;
    arena_init(&arena, NULL, 0);
    ck_assert_int_eq(h1_parse_response(raw, sizeof(raw) - 1, &heads_limits, &scan, &arena,
                                       METHOD_GET, &head, &used, &error),
                     H1_DONE);
    ck_assert(!fields_have(&head.fields, FIELD_CONTENT_LENGTH));
    ck_assert(!head.has_content_length);
    ck_assert_ptr_nonnull(fields_find_name(&head.fields, STR("x")));
    arena_reset(&arena);
}
