/* SPDX-License-Identifier: MIT */
/* h1_request.c, h1_fields.c: raw requests and what they mean, rule by rule. */
#include "heads.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define H "Host: a\r\n"

static const struct head_case lines[] = {
    {"9112 3: method SP target SP version", RAW("GET / HTTP/1.1\r\n" H "\r\n"),
     "GET origin / a a 1.1 none keep", 0},
    {"9112 2.2: one empty line before", RAW("\r\nGET / HTTP/1.1\r\n" H "\r\n"),
     "GET origin / a a 1.1 none keep", 0},
    {"9112 2.2: not two", RAW("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"), "400 bad_method", 0},
    {"9112 2.2: bare LF before", RAW("\nGET / HTTP/1.1\r\n" H "\r\n"), "400 bare_lf", 0},
    {"9112 2.2: bare CR before", RAW("\rGET / HTTP/1.1\r\n" H "\r\n"), "400 bare_cr", 0},
    {"9112 2.2: bare LF behind the line", RAW("GET / HTTP/1.1\n" H "\r\n"), "400 bare_lf", 0},
    {"9112 2.2: bare CR behind the line", RAW("GET / HTTP/1.1\r" H "\r\n"), "400 bare_cr", 0},
    {"9112 3: one space", RAW("GET  / HTTP/1.1\r\n" H "\r\n"), "400 bad_request_line", 0},
    {"9112 3: one space", RAW("GET /  HTTP/1.1\r\n" H "\r\n"), "400 bad_version", 0},
    {"9112 3: no tab", RAW("GET\t/ HTTP/1.1\r\n" H "\r\n"), "400 bad_method", 0},
    {"9112 3: no tab", RAW("GET /\tHTTP/1.1\r\n" H "\r\n"), "400 bad_request_line", 0},
    {"9112 3: nothing behind", RAW("GET / HTTP/1.1 \r\n" H "\r\n"), "400 bad_line_end", 0},
    {"9112 3: nothing before", RAW(" GET / HTTP/1.1\r\n" H "\r\n"), "400 bad_method", 0},
    {"9112 3: HTTP/0.9 is unsupported", RAW("GET /\r\n"), "400 bad_request_line", 0},
    {"9112 3: a space two lines on", RAW("GET /\r\nX: HTTP/1.1\r\n\r\n"), "400 bad_request_line",
     0},
    {"9110 9.1: a method is a token", RAW("G(T / HTTP/1.1\r\n" H "\r\n"), "400 bad_method", 0},
    {"9110 9.1: methods have a case", RAW("get / HTTP/1.1\r\n" H "\r\n"),
     "get origin / a a 1.1 none keep", 0},
    {"9110 9.1: any token is a method", RAW("M-SEARCH / HTTP/1.1\r\n" H "\r\n"),
     "M-SEARCH origin / a a 1.1 none keep", 0},
    {"9112 3: a method of 64 bytes",
     RAW("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n" H
         "\r\n"),
     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA origin / a a 1.1 none keep",
     0},
    {"9112 3: a longer method",
     RAW("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1\r\n"),
     "501 method_too_long", 0},
    {"9110 9.3.6: CONNECT", RAW("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
     "501 connect_unsupported", 0},
    {"a TLS hello on a plain port", RAW("\x16\x03\x01\x02\x00\x01\x00"), "400 bad_method", 0},
};

static const struct head_case versions[] = {
    {"9112 2.3", RAW("GET / HTTP/1.0\r\n\r\n"), "GET origin /   1.0 none", 0},
    {"9110 2.5: a higher minor is 1.1", RAW("GET / HTTP/1.7\r\n" H "\r\n"),
     "GET origin / a a 1.1 none keep", 0},
    {"9110 15.6.6", RAW("GET / HTTP/2.0\r\n" H "\r\n"), "505 version_unsupported", 0},
    {"9110 15.6.6", RAW("GET / HTTP/0.9\r\n" H "\r\n"), "505 version_unsupported", 0},
    {"9113 3.4: a preface without ALPN", RAW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
     "505 version_unsupported", 0},
    {"9112 2.3: in this case", RAW("GET / http/1.1\r\n" H "\r\n"), "400 bad_version", 0},
    {"9112 2.3: one digit", RAW("GET / HTTP/1.10\r\n" H "\r\n"), "400 bad_line_end", 0},
    {"9112 2.3: one digit", RAW("GET / HTTP/01.1\r\n" H "\r\n"), "400 bad_version", 0},
    {"9112 2.3: two numbers", RAW("GET / HTTP/1\r\n" H "\r\n"), "400 bad_version", 0},
    {"9112 2.3: nothing else", RAW("GET / ICY/1.1\r\n" H "\r\n"), "400 bad_version", 0},
};

static const struct head_case targets[] = {
    {"9112 3.2.1: origin", RAW("GET /a/b?c=d HTTP/1.1\r\n" H "\r\n"),
     "GET origin /a/b?c=d a a 1.1 none keep", 0},
    {"9112 3.2.1: an empty query", RAW("GET /a? HTTP/1.1\r\n" H "\r\n"),
     "GET origin /a? a a 1.1 none keep", 0},
    {"9112 3.2.1: question marks in a query", RAW("GET /?a?b HTTP/1.1\r\n" H "\r\n"),
     "GET origin /?a?b a a 1.1 none keep", 0},
    {"3986 6.2.2: normal form", RAW("GET /%61pi/../x/%2f HTTP/1.1\r\n" H "\r\n"),
     "GET origin /x/%2F a a 1.1 none keep", 0},
    {"3986 6.2.2: the query stays", RAW("GET /?%61/../x HTTP/1.1\r\n" H "\r\n"),
     "GET origin /?%61/../x a a 1.1 none keep", 0},
    {"9112 3.2.1: a path is absolute", RAW("GET a HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"9112 3.2.1: a path is there", RAW("GET ?q HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"3986 2.1: malformed triplet", RAW("GET /%zz HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"3986 2.1: cut triplet", RAW("GET /% HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"no NUL in a path", RAW("GET /%00 HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"9112 3.2: no fragment", RAW("GET /a#b HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"9112 3.2: no fragment in a query", RAW("GET /a?b#c HTTP/1.1\r\n" H "\r\n"), "400 bad_target",
     0},
    {"3986 3.3: no backslash", RAW("GET /a\\b HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"3986: ASCII", RAW("GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n"), "400 bad_request_line", 0},
    {"3986: no control", RAW("GET /\x01 HTTP/1.1\r\n" H "\r\n"), "400 bad_request_line", 0},
    {"3986: no NUL", RAW("GET /\0 HTTP/1.1\r\n" H "\r\n"), "400 bad_request_line", 0},
    {"9112 3.2.2: absolute wins over Host",
     RAW("GET http://B.example:8080/x?y HTTP/1.1\r\n" H "\r\n"),
     "GET absolute /x?y B.example:8080 b.example 1.1 none keep", 0},
    {"9110 4.2: schemes have no case", RAW("GET HTTPS://b HTTP/1.1\r\n" H "\r\n"),
     "GET absolute / b b 1.1 none keep", 0},
    {"9112 3.2.2: query and no path", RAW("GET http://b?q HTTP/1.1\r\n" H "\r\n"),
     "GET absolute /?q b b 1.1 none keep", 0},
    {"9112 3.2.2: Host all the same", RAW("GET http://b/ HTTP/1.1\r\n\r\n"), "400 host_missing", 0},
    {"9112 3.2.2: and a valid one", RAW("GET http://b/ HTTP/1.1\r\nHost: b b\r\n\r\n"),
     "400 bad_host", 0},
    {"9112 3.2.2: HTTP/1.0 has none", RAW("GET http://b/ HTTP/1.0\r\n\r\n"),
     "GET absolute / b b 1.0 none", 0},
    {"9110 4.2.1: a host", RAW("GET http:///x HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"9110 4.2.4: no user", RAW("GET http://u:p@b/ HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"other schemes", RAW("GET ftp://b/ HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"a scheme alone", RAW("GET http: HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"9112 3.2.4: asterisk", RAW("OPTIONS * HTTP/1.1\r\n" H "\r\n"),
     "OPTIONS asterisk * a a 1.1 none keep", 0},
    {"9112 3.2.4: only for OPTIONS", RAW("GET * HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"9112 3.2.4: alone", RAW("OPTIONS *a HTTP/1.1\r\n" H "\r\n"), "400 bad_target", 0},
    {"9112 3.2.4: the last proxy makes it", RAW("OPTIONS http://b HTTP/1.1\r\n" H "\r\n"),
     "OPTIONS absolute * b b 1.1 none keep", 0},
    {"9112 3.2.4: not where there is a path", RAW("OPTIONS http://b/ HTTP/1.1\r\n" H "\r\n"),
     "OPTIONS absolute / b b 1.1 none keep", 0},
    {"9112 3.2.3: authority only with CONNECT", RAW("GET a:80 HTTP/1.1\r\n" H "\r\n"),
     "400 bad_target", 0},
};

#define G "GET / HTTP/1.1\r\n"
#define HOST_OK(value, host)                                        \
    {                                                               \
        "9110 7.2: Host: " value, RAW(G "Host: " value "\r\n\r\n"), \
            "GET origin / " value " " host " 1.1 none keep", 0      \
    }
#define HOST_BAD(value)                                                               \
    {                                                                                 \
        "9110 7.2: Host: " value, RAW(G "Host: " value "\r\n\r\n"), "400 bad_host", 0 \
    }

static const struct head_case hosts[] = {
    HOST_OK("a.example", "a.example"),
    HOST_OK("A.Example:8443", "a.example"),
    HOST_OK("a.example.", "a.example"),
    HOST_OK("a:", "a"),
    HOST_OK("127.0.0.1:80", "127.0.0.1"),
    HOST_OK("[::1]", "[::1]"),
    HOST_OK("[2001:DB8::1]:8443", "[2001:db8::1]"),
    HOST_OK("under_score", "under_score"),
    HOST_BAD("a:65536"),
    HOST_BAD("a:0"),
    HOST_BAD("a:+80"),
    HOST_BAD("a:80:80"),
    HOST_BAD(":80"),
    HOST_BAD("."),
    HOST_BAD("a, b"),
    HOST_BAD("a b"),
    HOST_BAD("u@a"),
    HOST_BAD("a/b"),
    HOST_BAD("a%41"),
    HOST_BAD("[::1"),
    HOST_BAD("[]"),
    HOST_BAD("[::1]x"),
    HOST_BAD("[fe80::1%25eth0]"),
    HOST_BAD("[1.2.3.4]"),
    HOST_BAD("::1"),
    HOST_BAD("http://a"),
    HOST_BAD("\xc3\xa4"),
    {"9112 3.2: one Host", RAW(G "\r\n"), "400 host_missing", 0},
    {"9112 3.2: not two", RAW(G "Host: a\r\nhost: a\r\n\r\n"), "400 host_repeated", 0},
    {"9112 3.2: not two in HTTP/1.0 either", RAW("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
     "400 host_repeated", 0},
    {"9110 4.2.1: not empty", RAW(G "Host: \t \r\n\r\n"), "400 host_empty", 0},
    {"HTTP/1.0 may leave it empty", RAW("GET / HTTP/1.0\r\nHost:\r\n\r\n"),
     "GET origin /   1.0 none", 0},
    {"HTTP/1.0 may have one", RAW("GET / HTTP/1.0\r\nHost: A:1\r\n\r\n"),
     "GET origin / A:1 a 1.0 none", 0},
    {"9112 3.2: valid in HTTP/1.0 too", RAW("GET / HTTP/1.0\r\nHost: a,b\r\n\r\n"), "400 bad_host",
     0},
};

#define FIELD(rule, text, expected)             \
    {                                           \
        rule, RAW(G H text "\r\n"), expected, 0 \
    }
#define FINE "GET origin / a a 1.1 none keep"

static const struct head_case fields[] = {
    FIELD("9112 5: name ':' OWS value OWS", "X: y\r\n", FINE),
    FIELD("9112 5: white space is optional", "X:y\r\nZ:\t y\t \r\n", FINE),
    FIELD("9110 5.5: empty values", "X:\r\nY: \r\n", FINE),
    FIELD("9110 5.5: obs-text and tabs inside", "X: a\tb \xe4\xff\r\n", FINE),
    FIELD("9110 5.6.2: all of tchar", "!#$%&'*+-.^_`|~09azAZ: y\r\n", FINE),
    FIELD("9112 5.1: no space before the colon", "X : y\r\n", "400 space_before_colon"),
    FIELD("9112 5.1: no tab before the colon", "X\t: y\r\n", "400 space_before_colon"),
    FIELD("9112 5.1: no name", ": y\r\n", "400 bad_field_name"),
    FIELD("9110 5.1: a name is a token", "X(: y\r\n", "400 bad_field_name"),
    FIELD("9110 5.1: nor obs-text", "X\xe4: y\r\n", "400 bad_field_name"),
    FIELD("9110 5.1: nor NUL", "X\0: y\r\n", "400 bad_field_name"),
    FIELD("9112 5: a colon", "X\r\n", "400 no_colon"),
    FIELD("9112 5: a colon", "X\n", "400 bare_lf"),
    FIELD("9112 5.2: obs-fold", "X: y\r\n z\r\n", "400 obs_fold"),
    FIELD("9112 5.2: obs-fold by a tab", "X: y\r\n\tz\r\n", "400 obs_fold"),
    FIELD("9112 2.2: no white space before the first", "", FINE),
    {"9112 2.2: white space before the first field", RAW(G " Host: a\r\n\r\n"), "400 obs_fold", 0},
    FIELD("9110 5.5: no NUL", "X: a\0b\r\n", "400 bad_field_value"),
    FIELD("9110 5.5: no control",
          "X: a\x0b"
          "b\r\n",
          "400 bad_field_value"),
    FIELD("9110 5.5: no DEL",
          "X: a\x7f"
          "b\r\n",
          "400 bad_field_value"),
    FIELD("9110 5.5: no bare CR", "X: a\rb\r\n", "400 bare_cr"),
    FIELD("9112 2.2: no bare CR at the end", "X: a\r\r\n", "400 bare_cr"),
    FIELD("9112 2.2: no bare LF", "X: a\nY: b\r\n", "400 bare_lf"),
    {"9112 2.2: bare LF ends no head", RAW(G H "\n"), "400 bare_lf", 0},
    {"9112 2.2: bare CR ends no head", RAW(G H "\rX"), "400 bare_cr", 0},
    {"as many fields as may be",
     RAW(G H "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n"), FINE, 0},
    {"6585 5: one more",
     RAW(G H "A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n"),
     "431 too_many_fields", 0},
};

#define POST_OK(rule, text, expected)                                                        \
    {                                                                                        \
        rule, RAW("POST / HTTP/1.1\r\n" H text "\r\n"), "POST origin / a a 1.1 " expected, 0 \
    }
#define POST_BAD(rule, text, expected)                              \
    {                                                               \
        rule, RAW("POST / HTTP/1.1\r\n" H text "\r\n"), expected, 0 \
    }
#define CL         "Content-Length: "
#define TE         "Transfer-Encoding: "
#define CLX(value) POST_BAD("9110 8.6: " value, CL value "\r\n", "400 bad_content_length")

static const struct head_case framing[] = {
    POST_OK("9112 6.3: no length is none", "", "none keep"),
    POST_OK("9110 8.6", CL "5\r\n", "length=5 keep"),
    POST_OK("9110 8.6: zero", CL "0\r\n", "length=0 keep"),
    POST_OK("9110 8.6: leading zeros", CL "007\r\n", "length=7 keep"),
    POST_OK("9110 8.6: the highest", CL "9223372036854775807\r\n",
            "length=9223372036854775807 keep"),
    POST_OK("9112 6.3: equal ones in a list", CL "5, 5\r\n", "length=5 keep"),
    POST_OK("9112 6.3: equal ones in lines", CL "5\r\n" CL "05\r\n", "length=5 keep"),
    POST_BAD("9112 6.3: different ones in a list", CL "5, 6\r\n", "400 content_lengths_differ"),
    POST_BAD("9112 6.3: in lines", CL "5\r\n" CL "6\r\n", "400 content_lengths_differ"),
    CLX("9223372036854775808"),
    CLX("18446744073709551621"),
    CLX("99999999999999999999999"),
    CLX(""),
    CLX("+5"),
    CLX("-5"),
    CLX("5 5"),
    CLX("0x5"),
    CLX("5a"),
    CLX("5."),
    CLX("5,"),
    CLX(",5"),
    CLX("5;5"),
    CLX("\"5\""),
    CLX("5e1"),
    POST_OK("9112 7.1", TE "chunked\r\n", "chunked keep"),
    POST_OK("9112 7: codings have no case", TE "cHuNkEd \t\r\n", "chunked keep"),
    POST_OK("9112 6.3: both, the coding counts", CL "5\r\n" TE "chunked\r\n", "chunked dubious"),
    POST_OK("9112 6.3: the other way round", TE "chunked\r\n" CL "5\r\n", "chunked dubious"),
    POST_BAD("both, and a bad length", TE "chunked\r\n" CL "x\r\n", "400 bad_content_length"),
    {"9112 6.1: HTTP/1.0 with a coding",
     RAW("POST / HTTP/1.0\r\n" H "Connection: keep-alive\r\n" TE "chunked\r\n\r\n"),
     "POST origin / a a 1.0 chunked dubious", 0},
    POST_BAD("9112 6.1: unsupported", TE "gzip, chunked\r\n", "501 transfer_coding_unsupported"),
    POST_BAD("9112 6.1: in two lines", TE "gzip\r\n" TE "chunked\r\n",
             "501 transfer_coding_unsupported"),
    POST_BAD("9112 6.3: chunked is not last", TE "chunked, gzip\r\n", "400 bad_transfer_encoding"),
    POST_BAD("9112 6.3: chunked is not there", TE "gzip\r\n", "400 bad_transfer_encoding"),
    POST_BAD("9112 7: identity is gone", TE "identity\r\n", "400 bad_transfer_encoding"),
    POST_BAD("9112 6.1: once", TE "chunked, chunked\r\n", "400 bad_transfer_encoding"),
    POST_BAD("9112 6.1: once, in two lines", TE "chunked\r\n" TE "chunked\r\n",
             "400 bad_transfer_encoding"),
    POST_BAD("9112 6.1: a bad last line", TE "chunked\r\n" TE "x\r\n", "400 bad_transfer_encoding"),
    POST_BAD("9112 7.1: no parameters", TE "chunked;x\r\n", "400 bad_transfer_encoding"),
    POST_BAD("a control before",
             TE "\x0b"
                "chunked\r\n",
             "400 bad_field_value"),
    POST_BAD("a longer word", TE "xchunked\r\n", "400 bad_transfer_encoding"),
    POST_BAD("a longer word", TE "chunkedx\r\n", "400 bad_transfer_encoding"),
    POST_BAD("quoted", TE "\"chunked\"\r\n", "400 bad_transfer_encoding"),
    POST_BAD("two words", TE "chunked chunked\r\n", "400 bad_transfer_encoding"),
    POST_BAD("empty", TE "\r\n", "400 bad_transfer_encoding"),
    POST_BAD("an empty element", TE ",chunked\r\n", "400 bad_transfer_encoding"),
    POST_BAD("an empty element", TE "chunked,\r\n", "400 bad_transfer_encoding"),
    POST_BAD("the name with a space", "Transfer-Encoding : chunked\r\n", "400 space_before_colon"),
};

static const struct head_case connections[] = {
    FIELD("9112 9.3: close", "Connection: close\r\n", "GET origin / a a 1.1 none"),
    FIELD("9112 9.3: close in a list", "Connection: x ,\tCLOSE\r\n", "GET origin / a a 1.1 none"),
    FIELD("9112 9.3: in the second line", "Connection: x\r\nConnection: close\r\n",
          "GET origin / a a 1.1 none"),
    FIELD("9112 9.3: close wins", "Connection: keep-alive, close\r\n", "GET origin / a a 1.1 none"),
    FIELD("9110 7.6.1: another option", "Connection: closed\r\n", FINE),
    {"9112 9.3: HTTP/1.0 asks for it", RAW("GET / HTTP/1.0\r\n" H "Connection: Keep-Alive\r\n\r\n"),
     "GET origin / a a 1.0 none keep", 0},
    {"9112 9.3: or gets none", RAW("GET / HTTP/1.0\r\n" H "\r\n"), "GET origin / a a 1.0 none", 0},
    {"9112 9.3: close wins", RAW("GET / HTTP/1.0\r\n" H "Connection: keep-alive, close\r\n\r\n"),
     "GET origin / a a 1.0 none", 0},
    FIELD("too many options",
          "Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,"
          "a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n",
          "400 too_many_connection_options"),
    POST_OK("9110 10.1.1", "Expect: 100-Continue\r\n" CL "5\r\n", "length=5 keep expect"),
    POST_OK("9110 10.1.1: chunked", "Expect: 100-continue\r\n" TE "chunked\r\n",
            "chunked keep expect"),
    POST_OK("9110 10.1.1: nothing to wait for", "Expect: 100-continue\r\n" CL "0\r\n",
            "length=0 keep"),
    POST_BAD("9110 10.1.1: others", "Expect: teapot\r\n" CL "5\r\n", "417 expectation_unknown"),
    POST_BAD("9110 10.1.1: others beside", "Expect: 100-continue\r\nExpect: x\r\n" CL "5\r\n",
             "417 expectation_unknown"),
    {"9110 10.1.1: HTTP/1.0 is not heard",
     RAW("POST / HTTP/1.0\r\n" H "Expect: 100-continue\r\n" CL "5\r\n\r\n"),
     "POST origin / a a 1.0 length=5", 0},
    FIELD("6455 4.1", "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n",
          FINE " websocket"),
    FIELD("9110 7.8: one of several", "Upgrade: h2c, websocket\r\nConnection: upgrade\r\n",
          FINE " websocket"),
    FIELD("9110 7.8: not named in Connection", "Upgrade: websocket\r\n", FINE),
    FIELD("9110 7.8: only WebSocket", "Upgrade: h2c\r\nConnection: Upgrade\r\n", FINE),
    FIELD("6455 4.1: no body", "Upgrade: websocket\r\nConnection: Upgrade\r\n" CL "5\r\n",
          "GET origin / a a 1.1 length=5 keep"),
    POST_OK("6455 4.1: only GET", "Upgrade: websocket\r\nConnection: Upgrade\r\n", "none keep"),
    {"9110 7.8: not in HTTP/1.0",
     RAW("GET / HTTP/1.0\r\n" H "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
     "GET origin / a a 1.0 none", 0},
    FIELD("9110 10.1.4", "TE: deflate;q=0.5, trailers\r\n", FINE " trailers"),
    FIELD("9110 10.1.4: another word", "TE: trailers;q=1\r\n", FINE),
    {"what follows is not the head's", RAW(G H "\r\nGET /next HTTP/1.1\r\n"), FINE, 0},
};

#define TABLE_TEST(name, table)              \
    UNIT_LOOP_TEST(name, ARRAY_COUNT(table)) \
    {                                        \
        check_request_case(&(table)[_i]);    \
    }

TABLE_TEST(request_lines, lines)
TABLE_TEST(request_versions, versions)
TABLE_TEST(request_targets, targets)
TABLE_TEST(request_hosts, hosts)
TABLE_TEST(request_fields, fields)
TABLE_TEST(request_framing, framing)
TABLE_TEST(request_connections, connections)

/* `prefix`, then `filler` up to `len` bytes, grown byte by byte. */
static void check_growth(const char *prefix, char filler, size_t len, const char *expected,
                         size_t refused_at)
{
    char *data = malloc(len);
    struct h1_scan scan = {0};
    struct arena arena;
    ck_assert_ptr_nonnull(data);
    memset(data, filler, len);
    memcpy(data, prefix, strlen(prefix));
    arena_init(&arena, NULL, 0);
    for (size_t have = 1; have <= len; have++) {
        struct http_request_head head;
        struct http_error error = {0};
        size_t used;
        enum h1_status status =
            h1_parse_request(data, have, &heads_limits, &scan, &arena, &head, &used, &error);
        if (status == H1_INCOMPLETE) {
            continue;
        }
        ck_assert_int_eq(status, H1_ERROR);
        ck_assert_str_eq(error.reason, expected);
        ck_assert_uint_eq(have, refused_at);
        break;
    }
    arena_reset(&arena);
    free(data);
}

UNIT_TEST(limits_are_told_at_once)
{
    /* Without waiting for the line's or the head's end. */
    check_growth("GET /", 'a', 2000, "target_too_long", 4 + 101);
    check_growth("GET / HTTP/1.1\r\nX: ", 'a', 2000, "head_too_long", 1024);
    check_growth("", 'A', 2000, "method_too_long", 65);
}

UNIT_TEST(limits_are_exact)
{
    char data[2048];
    struct http_limits limits = heads_limits;
    struct http_request_head head;
    struct http_error error;
    struct arena arena;
    size_t used, len = (size_t)snprintf(data, sizeof(data), "GET /abc HTTP/1.1\r\n" H "\r\n");
    arena_init(&arena, NULL, 0);
    limits.head = (uint32_t)len;
    limits.fields = 1;
    limits.target = 4;
    struct h1_scan scan = {0};
    ck_assert_int_eq(h1_parse_request(data, len, &limits, &scan, &arena, &head, &used, &error),
                     H1_DONE);
    limits.head--;
    ck_assert_int_eq(h1_parse_request(data, len, &limits, &scan, &arena, &head, &used, &error),
                     H1_ERROR);
    ck_assert_uint_eq(error.status, 431);
    limits.head++;
    limits.target--;
    scan = (struct h1_scan){0};
    ck_assert_int_eq(h1_parse_request(data, len, &limits, &scan, &arena, &head, &used, &error),
                     H1_ERROR);
    ck_assert_uint_eq(error.status, 414);
    arena_reset(&arena);
}

UNIT_TEST(memory_that_is_out_refuses)
{
    const char data[] = "GET / HTTP/1.1\r\n" H "\r\n";
    struct http_request_head head;
    struct http_error error;
    struct h1_scan scan = {0};
    struct arena arena;
    size_t used;
    arena_init(&arena, NULL, 16);
    ck_assert_int_eq(h1_parse_request(data, sizeof(data) - 1, &heads_limits, &scan, &arena, &head,
                                      &used, &error),
                     H1_ERROR);
    ck_assert_uint_eq(error.status, 503);
    arena_reset(&arena);
}

/* What the dubious request's writer sees: no length, and what Connection names is known. */
UNIT_TEST(dropped_fields_are_gone)
{
    const char data[] =
        "POST / HTTP/1.0\r\n" H CL "5\r\n" TE "chunked\r\nExpect: 100-continue\r\n\r\n";
    struct http_request_head head;
    struct http_error error;
    struct h1_scan scan = {0};
    struct arena arena;
    size_t used;
    arena_init(&arena, NULL, 0);
    ck_assert_int_eq(h1_parse_request(data, sizeof(data) - 1, &heads_limits, &scan, &arena, &head,
                                      &used, &error),
                     H1_DONE);
    ck_assert(!fields_have(&head.fields, FIELD_CONTENT_LENGTH));
    ck_assert(!fields_have(&head.fields, FIELD_EXPECT));
    ck_assert(fields_have(&head.fields, FIELD_TRANSFER_ENCODING));
    arena_reset(&arena);
}
