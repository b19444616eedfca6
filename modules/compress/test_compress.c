/* SPDX-License-Identifier: MIT */
/*
 * compress: what is compressed and how it is marked, Accept-Encoding by its grammar, and bodies
 * that come back byte for byte from the libraries' own decoders.
 */
#include "../test_main.h"

#include <brotli/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "accept.h"

struct fixture {
    struct weir_test *host;
    struct weir_test_instance *filter;
};

static struct fixture begin(const char *conf)
{
    struct fixture f;
    f.host = test_begin();
    f.filter = weir_test_create(f.host, WEIR_TEST_FILTER, test_conf(f.host, conf));
    ck_assert_ptr_nonnull(f.filter);
    return f;
}

/* ---- Accept-Encoding ---- */

UNIT_TEST(accept_encoding_is_weighed)
{
    static const struct {
        const char *value;
        enum encoding best;
    } cases[] = {
        {"gzip", ENCODING_GZIP},
        {"br", ENCODING_BROTLI},
        {"gzip, br", ENCODING_BROTLI},
        {"gzip, deflate, br, zstd", ENCODING_BROTLI},
        {"GZIP;Q=1", ENCODING_GZIP},
        {"x-gzip", ENCODING_GZIP},
        {"", ENCODING_NONE},
        {" , ,", ENCODING_NONE},
        {"deflate", ENCODING_NONE},
        {"identity", ENCODING_NONE},
        {"br;q=0.5, gzip;q=0.6", ENCODING_GZIP},
        {"br ; q=0.5 , gzip\t;\tq=0.500", ENCODING_BROTLI},
        {"gzip;q=0", ENCODING_NONE},
        {"gzip;q=0.000, br;q=0.001", ENCODING_BROTLI},
        {"*", ENCODING_BROTLI},
        {"*;q=0", ENCODING_NONE},
        {"br;q=0, *", ENCODING_GZIP},
        {"gzip;q=0.3, *;q=0.2", ENCODING_GZIP},
        {"gzip;q=0.5, identity", ENCODING_NONE},
        {"gzip;q=0.5, identity;q=0.5", ENCODING_GZIP},
        {"gzip;q=0.5, identity;q=0", ENCODING_GZIP},
        {"identity;q=0", ENCODING_NONE},
        {"gzip;q=1.001", ENCODING_NONE},
        {"gzip;q=2", ENCODING_NONE},
        {"gzip;q=-1", ENCODING_NONE},
        {"gzip;q=0.1234", ENCODING_NONE},
        {"gzip;q=", ENCODING_NONE},
        {"gzip;q=0;q=1", ENCODING_NONE},
        {"gzip;q=1;q=1", ENCODING_NONE},
        {"gzip;q=1;q=0;q=1, br;q=0.1", ENCODING_BROTLI},
        {"*;q=0.5;q=1", ENCODING_NONE},
        {"gzip;q", ENCODING_NONE},
        {"gzip;q=1.", ENCODING_GZIP},
        {"gzip;level=9;q=0.4", ENCODING_GZIP},
        {"gzipp, xbr", ENCODING_NONE},
        {"deflate;a=\"b,gzip\"", ENCODING_NONE},
    };
    static const enum encoding order[] = {ENCODING_BROTLI, ENCODING_GZIP};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct accept accept;
        accept_begin(&accept);
        accept_read(&accept, (struct weir_str){cases[i].value, strlen(cases[i].value)});
        enum encoding best = accept_choose(&accept, order, 2);
        ck_assert_msg(best == cases[i].best, "\"%s\" gave %d", cases[i].value, (int)best);
    }
}

UNIT_TEST(several_fields_are_one_list)
{
    struct fixture f = begin("encodings = {\"gzip\", \"br\"}");
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "Accept-Encoding", "br;q=0.1");
    weir_test_request_add(req, "accept-encoding", "gzip;q=0.2");
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_response_add(resp, "Content-Type", "text/html");
    weir_test_filter_response(f.filter, req, resp);
    ck_assert_str_eq(weir_test_response_header(resp, "Content-Encoding", 0), "gzip");
    test_end(&f.host);
}

/* ---- what is compressed ---- */

struct response_case {
    const char *fields[6]; /* name, value, ... */
    uint32_t status;       /* 0: 200 */
    int64_t length;        /* 0: not known */
    const char *request[2];
    bool eligible;
};

static void expect(const struct response_case *c)
{
    struct fixture f = begin("");
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "Accept-Encoding", "gzip");
    if (c->request[0] != NULL) {
        weir_test_request_add(req, c->request[0], c->request[1]);
    }
    struct weir_response *resp = weir_test_response(req, c->status != 0 ? c->status : 200);
    weir_test_response_set_length(resp, c->length != 0 ? c->length : -1);
    for (size_t i = 0; i < 6 && c->fields[i] != NULL; i += 2) {
        weir_test_response_add(resp, c->fields[i], c->fields[i + 1]);
    }
    weir_test_filter_response(f.filter, req, resp);
    ck_assert_msg(weir_test_transformed(resp) == c->eligible, "%s: %s ...", c->fields[0],
                  c->fields[1]);
    const char *vary = weir_test_response_header(resp, "Vary", 0);
    ck_assert_msg((vary != NULL) == c->eligible || strcmp(c->fields[0], "Vary") == 0, "%s: %s ...",
                  c->fields[0], c->fields[1]);
    test_end(&f.host);
}

UNIT_TEST(what_is_compressed)
{
    static const struct response_case cases[] = {
        {{"Content-Type", "text/html"}, 0, 0, {NULL}, true},
        {{"Content-Type", "text/html; charset=utf-8"}, 0, 1024, {NULL}, true},
        {{"Content-Type", "TEXT/CSS ; x=y"}, 0, 1024, {NULL}, true},
        {{"Content-Type", "text/event-stream"}, 0, 0, {NULL}, true},
        {{"Content-Type", "application/json"}, 0, 0, {NULL}, true},
        {{"Content-Type", "application/problem+json"}, 404, 0, {NULL}, true},
        {{"Content-Type", "image/svg+xml"}, 0, 0, {NULL}, true},
        {{"Content-Type", "text/html"}, 0, 1023, {NULL}, false},
        {{"Content-Type", "image/png"}, 0, 0, {NULL}, false},
        {{"Content-Type", "text/"}, 0, 0, {NULL}, false},
        {{"Content-Type", ""}, 0, 0, {NULL}, false},
        {{"X-Type", "text/html"}, 0, 0, {NULL}, false},
        {{"Content-Type", "text/html"}, 204, 0, {NULL}, false},
        {{"Content-Type", "text/html"}, 206, 0, {NULL}, false},
        {{"Content-Type", "text/html"}, 304, 0, {NULL}, false},
        {{"Content-Type", "text/html", "Content-Encoding", "gzip"}, 0, 0, {NULL}, false},
        {{"Content-Type", "text/html", "Content-Encoding", "identity"}, 0, 0, {NULL}, false},
        {{"Content-Type", "text/html", "Content-Range", "bytes 0-1/2"}, 0, 0, {NULL}, false},
        {{"Content-Type", "text/html", "Cache-Control", "max-age=5, No-Transform"},
         0,
         0,
         {NULL},
         false},
        {{"Content-Type", "text/html", "Cache-Control", "max-age=5", "cache-control",
          "no-transform"},
         0,
         0,
         {NULL},
         false},
        {{"Content-Type", "text/html"}, 0, 0, {"Cache-Control", "no-transform"}, false},
        {{"Content-Type", "text/html", "Cache-Control", "private=\"no-transform\""},
         0,
         0,
         {NULL},
         true},
        {{"Vary", "*", "Content-Type", "text/html"}, 0, 0, {NULL}, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(&cases[i]);
    }
}

UNIT_TEST(vary_is_said_to_all_and_once)
{
    struct fixture f = begin("");
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_response_add(resp, "Content-Type", "text/plain");
    weir_test_filter_response(f.filter, req, resp);
    ck_assert(!weir_test_transformed(resp));
    ck_assert_str_eq(weir_test_response_header(resp, "Vary", 0), "Accept-Encoding");
    resp = weir_test_response(req, 200);
    weir_test_response_add(resp, "Content-Type", "text/plain");
    weir_test_response_add(resp, "Vary", "Origin");
    weir_test_response_add(resp, "Vary", "Cookie, accept-encoding");
    weir_test_filter_response(f.filter, req, resp);
    ck_assert_ptr_null(weir_test_response_header(resp, "Vary", 2));
    test_end(&f.host);
}

UNIT_TEST(head_is_like_get)
{
    struct fixture f = begin("");
    struct weir_request *req = weir_test_request(f.host, "HEAD", "/");
    weir_test_request_add(req, "Accept-Encoding", "gzip");
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_response_add(resp, "Content-Type", "text/plain");
    weir_test_response_set_length(resp, 5000);
    weir_test_filter_response(f.filter, req, resp);
    ck_assert(weir_test_transformed(resp));
    ck_assert_str_eq(weir_test_response_header(resp, "Content-Encoding", 0), "gzip");
    ck_assert_int_eq(weir_test_metric(f.host, "responses"), 0);
    test_end(&f.host);
}

/* ---- bodies ---- */

static char *make_body(size_t len, uint64_t seed)
{
    char *body = malloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        /* Between text and noise. */
        body[i] = (char)(i % 1000 < 500 ? 'a' + (int)(i % 17) : (int)test_random(&seed, 256));
    }
    return body;
}

/* Decodes what came out so far; says how many bytes it gave. `*ended`: the coding's end was
 * seen. */
static size_t decode(bool gzip, const char *coded, size_t coded_len, char *out, size_t out_len,
                     bool *ended)
{
    if (gzip) {
        z_stream z = {.next_in = (Bytef *)(uintptr_t)coded,
                      .avail_in = (uInt)coded_len,
                      .next_out = (Bytef *)out,
                      .avail_out = (uInt)out_len};
        ck_assert_int_eq(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
        int result = inflate(&z, Z_SYNC_FLUSH);
        ck_assert(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
        *ended = result == Z_STREAM_END;
        ck_assert(!*ended || z.avail_in == 0);
        inflateEnd(&z);
        return out_len - z.avail_out;
    }
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const uint8_t *in = (const uint8_t *)coded;
    uint8_t *next = (uint8_t *)out;
    size_t room = out_len;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state, &coded_len, &in, &room, &next, NULL);
    ck_assert(result != BROTLI_DECODER_RESULT_ERROR);
    *ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    BrotliDecoderDestroyInstance(state);
    return out_len - room;
}

static void round_trip(const char *encoding, const char *conf, size_t len, size_t step, bool known)
{
    struct fixture f = begin(conf);
    struct weir_request *req = weir_test_request(f.host, "GET", "/");
    weir_test_request_add(req, "Accept-Encoding", encoding);
    struct weir_response *resp = weir_test_response(req, 200);
    weir_test_response_add(resp, "Content-Type", "text/plain");
    if (known) {
        weir_test_response_set_length(resp, (int64_t)len);
    }
    weir_test_filter_response(f.filter, req, resp);
    ck_assert(weir_test_transformed(resp));
    char *body = make_body(len, len + step);
    for (size_t at = 0; at < len; at += step) {
        size_t part = len - at < step ? len - at : step;
        ck_assert_int_eq(weir_test_filter_data(resp, body + at, part, WEIR_FLOW_MORE), WEIR_OK);
    }
    ck_assert_int_eq(weir_test_filter_data(resp, NULL, 0, WEIR_FLOW_END), WEIR_OK);
    size_t coded_len = 0;
    bool ended = false;
    const char *coded = weir_test_filter_output(resp, &coded_len);
    char *out = malloc(len + 1);
    ck_assert_uint_eq(decode(strcmp(encoding, "gzip") == 0, coded, coded_len, out, len + 1, &ended),
                      len);
    ck_assert(ended);
    ck_assert_mem_eq(out, body, len);
    free(out);
    free(body);
    ck_assert_int_eq(weir_test_metric(f.host, "responses"), 1);
    ck_assert_int_eq(weir_test_metric(f.host, "input_bytes"), (int64_t)len);
    ck_assert_int_eq(weir_test_metric(f.host, "output_bytes"), (int64_t)coded_len);
    ck_assert_int_eq(weir_test_metric(f.host, "running"), 1);
    weir_test_request_free(&req);
    ck_assert_int_eq(weir_test_metric(f.host, "running"), 0);
    test_end(&f.host);
}

UNIT_TEST(bodies_come_back)
{
    static const char *const encodings[] = {"gzip", "br"};
    for (size_t i = 0; i < 2; i++) {
        round_trip(encodings[i], "", 3000000, 65536, false);
        round_trip(encodings[i], "", 100000, 1, false);
        round_trip(encodings[i], "minimum_size = 0", 1, 1, true);
        round_trip(encodings[i], "", 1024, 1000, true);
        round_trip(encodings[i], "", 70000, 7000, true);
        round_trip(encodings[i], "gzip_level = 1  brotli_level = 0", 500000, 4096, true);
        round_trip(encodings[i], "gzip_level = 9  brotli_level = 11", 200000, 65536, false);
    }
}

UNIT_TEST(an_empty_body_has_its_end)
{
    round_trip("gzip", "", 0, 1, false);
    round_trip("br", "", 0, 1, false);
}

UNIT_TEST(a_flush_brings_all_that_came)
{
    static const char *const encodings[] = {"gzip", "br"};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = begin("");
        struct weir_request *req = weir_test_request(f.host, "GET", "/");
        weir_test_request_add(req, "Accept-Encoding", encodings[i]);
        struct weir_response *resp = weir_test_response(req, 200);
        weir_test_response_add(resp, "Content-Type", "text/event-stream");
        weir_test_filter_response(f.filter, req, resp);
        for (size_t n = 1; n <= 50; n++) {
            char out[4096];
            size_t coded_len = 0;
            bool ended = false;
            weir_test_filter_data(resp, "data: an event\n\n", 16, WEIR_FLOW_MORE);
            weir_test_filter_data(resp, NULL, 0, WEIR_FLOW_FLUSH);
            weir_test_filter_data(resp, NULL, 0, WEIR_FLOW_FLUSH);
            const char *coded = weir_test_filter_output(resp, &coded_len);
            ck_assert_uint_eq(decode(i == 0, coded, coded_len, out, sizeof(out), &ended), 16 * n);
            ck_assert(!ended);
        }
        test_end(&f.host);
    }
}

/* ---- memory ---- */

UNIT_TEST(memory_is_limited)
{
    struct fixture f = begin("memory_limit = 2m");
    size_t compressed = 0;

    for (size_t i = 0; i < 20; i++) {
        struct weir_request *req = weir_test_request(f.host, "GET", "/");
        weir_test_request_add(req, "Accept-Encoding", "gzip");
        struct weir_response *resp = weir_test_response(req, 200);
        weir_test_response_add(resp, "Content-Type", "text/plain");
        weir_test_filter_response(f.filter, req, resp);
        compressed += weir_test_transformed(resp);
        ck_assert((weir_test_response_header(resp, "Content-Encoding", 0) != NULL) ==
                  weir_test_transformed(resp));
        ck_assert_ptr_nonnull(weir_test_response_header(resp, "Vary", 0));
    }
    ck_assert_uint_ge(compressed, 5);
    ck_assert_uint_le(compressed, 8);
    ck_assert(weir_test_logged(f.host, WEIR_LOG_WARNING, "memory_limit is used up"));
    ck_assert_uint_eq(weir_test_log_count(f.host), 1);
    ck_assert_int_eq(weir_test_metric(f.host, "responses"), (int64_t)compressed);
    ck_assert_int_eq(weir_test_metric(f.host, "skipped"), 20 - (int64_t)compressed);
    test_end(&f.host);
}

UNIT_TEST(memory_comes_back)
{
    struct fixture f = begin("memory_limit = 2m");
    for (size_t i = 0; i < 100; i++) {
        struct weir_request *req = weir_test_request(f.host, "GET", "/");
        weir_test_request_add(req, "Accept-Encoding", i % 2 == 0 ? "gzip" : "br");
        struct weir_response *resp = weir_test_response(req, 200);
        weir_test_response_add(resp, "Content-Type", "text/plain");
        weir_test_filter_response(f.filter, req, resp);
        ck_assert(weir_test_transformed(resp));
        char *body = make_body(100000, i);
        weir_test_filter_data(resp, body, 100000, WEIR_FLOW_MORE);
        free(body);
        weir_test_request_free(&req);
    }
    test_end(&f.host);
}

UNIT_TEST(no_memory_for_a_field_means_no_coding)
{
    for (size_t skip = 0; skip < 3; skip++) {
        struct fixture f = begin("");
        struct weir_request *req = weir_test_request(f.host, "GET", "/");
        weir_test_request_add(req, "Accept-Encoding", "gzip");
        struct weir_response *resp = weir_test_response(req, 200);
        weir_test_response_add(resp, "Content-Type", "text/plain");
        weir_test_fail_alloc(f.host, skip);
        weir_test_filter_response(f.filter, req, resp);
        ck_assert((weir_test_response_header(resp, "Content-Encoding", 0) != NULL) ==
                  weir_test_transformed(resp));
        test_end(&f.host);
    }
}

UNIT_TEST(mistakes_are_told)
{
    struct weir_test *host = test_begin();
    test_refused(host, "encodings = {\"br\", \"deflate\"}", "\"deflate\" is no coding");
    test_refused(host, "encodings = {\"br\", \"br\"}", "stands here twice");
    test_refused(host, "types = {\"text\"}", "is no content type");
    test_refused(host, "types = {\"text/html; charset=utf-8\"}", "is no content type");
    test_refused(host, "types = {\"\"}", "is no content type");
    test_refused(host, "gzip_level = 10", "gzip_level");
    test_end(&host);
}

UNIT_TIMEOUT(60);
