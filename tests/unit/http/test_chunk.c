/* SPDX-License-Identifier: MIT */
/* h1_chunk.c: the chunked coding, each case cut at every position and into single bytes. */
#include "heads.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define TEXT_SIZE 4096

/* A body of at most TEXT_SIZE bytes and what comes of it: `data|name: value|...|`, a `.` where it
 * ends; a refusal's word stands at the end of what came before. `rest`: bytes behind its end. */
struct body_case {
    const char *rule;
    const char *raw;
    size_t len;
    const char *expected;
    size_t rest;
};

struct decoded {
    char text[TEXT_SIZE];
    size_t len;
    size_t used;
    bool over, refused;
};

static void put(struct decoded *out, const char *data, size_t len)
{
    ck_assert_uint_lt(out->len + len, TEXT_SIZE);
    memcpy(out->text + out->len, data, len);
    out->len += len;
    out->text[out->len] = '\0';
}

/* Feeds what is there, as a connection does: what is not used comes again with more behind it. */
static void feed(struct decoded *out, struct h1_chunked *state, const char *data, size_t len)
{
    while (!out->over && !out->refused) {
        const char *piece = NULL;
        size_t piece_len = 0, used = 0;
        struct http_field field;
        struct http_error error = {0};
        size_t have = len - out->used;
        char *copy = malloc(have > 0 ? have : 1);
        memcpy(copy, data + out->used, have);
        enum h1_chunk_event event = h1_chunk_next(state, copy, have, &heads_limits, &used, &piece,
                                                  &piece_len, &field, &error);
        ck_assert_uint_le(used, have);
        out->used += used;
        switch (event) {
        case H1_CHUNK_MORE: break;
        case H1_CHUNK_DATA:
            ck_assert(piece >= copy && piece + piece_len <= copy + have);
            put(out, piece, piece_len);
            break;
        case H1_CHUNK_TRAILER:
            put(out, "|", 1);
            put(out, field.name.ptr, field.name.len);
            put(out, ": ", 2);
            put(out, field.value.ptr, field.value.len);
            break;
        case H1_CHUNK_END:
            put(out, ".", 1);
            out->over = true;
            break;
        case H1_CHUNK_ERROR:
            put(out, "!", 1);
            put(out, error.reason, strlen(error.reason));
            ck_assert(error.status == 400 || error.status == 431);
            out->refused = true;
            break;
        }
        free(copy);
        if (event == H1_CHUNK_MORE) {
            return;
        }
    }
}

/* The body in two pieces cut at `cut`, or byte by byte (cut 0). */
static void check_cut(const struct body_case *it, size_t cut)
{
    struct h1_chunked state = {0};
    struct decoded out = {0};
    if (cut == 0) {
        for (size_t have = 1; have <= it->len; have++) {
            feed(&out, &state, it->raw, have);
        }
    } else {
        feed(&out, &state, it->raw, cut);
        feed(&out, &state, it->raw, it->len);
    }
    ck_assert_msg(strcmp(out.text, it->expected) == 0, "%s, cut at %zu:\n  got    %s\n  wanted %s",
                  it->rule, cut, out.text, it->expected);
    if (out.over) {
        ck_assert_uint_eq(out.used, it->len - it->rest);
    }
}

static void check_body(const struct body_case *it)
{
    for (size_t cut = 0; cut <= it->len; cut++) {
        check_cut(it, cut);
    }
}

#define END "0\r\n\r\n"

static const struct body_case bodies[] = {
    {"9112 7.1: chunks", RAW("5\r\nhello\r\n6\r\n world\r\n" END), "hello world.", 0},
    {"9112 7.1: none", RAW(END), ".", 0},
    {"9112 7.1: hexadecimal, either case", RAW("a\r\n0123456789\r\nA\r\n0123456789\r\n" END),
     "01234567890123456789.", 0},
    {"9112 7.1: leading zeros", RAW("0005\r\nhello\r\n000\r\n\r\n"), "hello.", 0},
    {"9112 7.1: 16 digits of them", RAW("0000000000000005\r\nhello\r\n" END), "hello.", 0},
    {"not 17", RAW("00000000000000005\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"what follows is not the body's", RAW("1\r\nx\r\n" END "GET / HTTP/1.1\r\n"), "x.", 16},
    {"data that looks like framing", RAW("5\r\n0\r\n\r\n\r\n" END), "0\r\n\r\n.", 0},
    {"9112 7.1: a size", RAW("\r\n"), "!bad_chunk_size", 0},
    {"9112 7.1: a size", RAW("g\r\n"), "!bad_chunk_size", 0},
    {"9112 7.1: a size without 0x", RAW("0x5\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 7.1: a size without sign", RAW("+5\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 7.1: a size without sign", RAW("-5\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 7.1: no space before", RAW(" 5\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 7.1: no space behind", RAW("5 \r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 7.1: no comma", RAW("5,5\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 7.1: the highest is below 2^60", RAW("0fffffffffffffff\r\n"), "", 0},
    {"9112 7.1: overflow", RAW("1000000000000000\r\n"), "!bad_chunk_size", 0},
    {"9112 7.1: overflow", RAW("ffffffffffffffff\r\n"), "!bad_chunk_size", 0},
    {"9112 7.1: overflow to five", RAW("10000000000000005\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 7.1.1: extensions are skipped", RAW("5;a;b=c;d=\"e\"\r\nhello\r\n0;x\r\n\r\n"), "hello.",
     0},
    {"9112 7.1.1: white space before one", RAW("5 ; a\r\nhello\r\n" END), "hello.", 0},
    {"9112 7.1.1: no control in one", RAW("5;a\x01\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 7.1.1: no NUL in one", RAW("5;a\0\r\nhello\r\n" END), "!bad_chunk_size", 0},
    {"9112 2.2: no bare LF in one", RAW("5;a\nhello\r\n" END), "!bare_lf", 0},
    {"9112 2.2: no bare CR in one", RAW("5;a\rb\r\nhello\r\n" END), "!bare_cr", 0},
    {"9112 2.2: no bare LF behind a size", RAW("5\nhello\r\n" END), "!bare_lf", 0},
    {"9112 2.2: no bare CR behind a size", RAW("5\rhello\r\n" END), "!bare_cr", 0},
    {"9112 7.1: no bare LF behind data", RAW("5\r\nhello\n" END), "hello!bad_chunk_end", 0},
    {"9112 7.1: no bare CR behind data", RAW("5\r\nhello\r0\r\n\r\n"), "hello!bad_chunk_end", 0},
    {"9112 7.1: data of its length", RAW("5\r\nhello!\r\n" END), "hello!bad_chunk_end", 0},
    {"9112 7.1: and not shorter", RAW("5\r\nhell\r\n" END), "hell\r!bad_chunk_end", 0},
    {"9112 7.1: CRLF at the end", RAW("0\r\nx"), "", 0},
    {"9112 2.2: no bare LF at the end", RAW("0\r\n\n"), "!bare_lf", 0},
    {"9112 2.2: no bare CR at the end", RAW("0\r\n\rx"), "!bare_cr", 0},
};

static const struct body_case trailers[] = {
    {"9112 7.1.2: trailers", RAW("1\r\nx\r\n0\r\nA: b\r\nC:d \r\n\r\n"), "x|A: b|C: d.", 0},
    {"9110 6.5.1: nothing that frames",
     RAW("0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\nA: b\r\n\r\n"),
     "|A: b.", 0},
    {"9110 6.5.1: nor routes", RAW("0\r\nHost: b\r\nhost: c\r\nA: b\r\n\r\n"), "|A: b.", 0},
    {"9110 6.5.1: nor identifies",
     RAW("0\r\nCookie: b\r\nSet-Cookie: c\r\nAuthorization: d\r\nX-Forwarded-For: e\r\n"
         "Forwarded: f\r\nX-Real-IP: g\r\nX-Forwarded-Whatever: h\r\nA: b\r\n\r\n"),
     "|A: b.", 0},
    {"3875 4.1.18: nor by another spelling",
     RAW("0\r\nX_Forwarded_For: e\r\nx_real-ip: f\r\nX_Forwarded_Y: g\r\nX_Y: b\r\n\r\n"),
     "|X_Y: b.", 0},
    {"9110 6.5.1: nor belongs to the connection",
     RAW("0\r\nConnection: A\r\nKeep-Alive: x\r\nUpgrade: y\r\nTE: z\r\nA: b\r\n\r\n"), "|A: b.",
     0},
    {"9110 6.5.1: nor says how to take the content",
     RAW("0\r\nContent-Encoding: gzip\r\nContent-Type: x\r\nContent-Range: y\r\nIf-Match: z\r\n"
         "Cache-Control: a\r\nA: b\r\n\r\n"),
     "|A: b.", 0},
    {"9112 5.1: no space before the colon", RAW("0\r\nA : b\r\n\r\n"), "!space_before_colon", 0},
    {"9112 5.2: no obs-fold", RAW("0\r\nA: b\r\n c\r\n\r\n"), "|A: b!obs_fold", 0},
    {"9110 5.5: no NUL", RAW("0\r\nA: \0\r\n\r\n"), "!bad_field_value", 0},
    {"9112 2.2: no bare LF", RAW("0\r\nA: b\n\r\n"), "!bare_lf", 0},
    {"6585 5: at most as many as there may be fields",
     RAW("0\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n"),
     "|A: |A: |A: |A: |A: |A: |A: |A: |A: |A: !too_many_trailers", 0},
    {"those that are dropped count",
     RAW("0\r\nHost:\r\nHost:\r\nHost:\r\nHost:\r\nHost:\r\nHost:\r\nHost:\r\nHost:\r\nHost:\r\n"
         "Host:\r\nHost:\r\n\r\n"),
     "!too_many_trailers", 0},
};

UNIT_LOOP_TEST(chunk_bodies, ARRAY_COUNT(bodies))
{
    check_body(&bodies[_i]);
}

UNIT_LOOP_TEST(chunk_trailers, ARRAY_COUNT(trailers))
{
    check_body(&trailers[_i]);
}

/* Decodes all of it at once; the refusal's word, "" where there is none. */
static const char *refusal_of(const char *data, size_t len, size_t *used_up)
{
    struct h1_chunked state = {0};
    struct http_error error = {0};
    const char *piece;
    struct http_field field;
    size_t at = 0, piece_len, used;
    for (;;) {
        enum h1_chunk_event event = h1_chunk_next(&state, data + at, len - at, &heads_limits, &used,
                                                  &piece, &piece_len, &field, &error);
        at += used;
        *used_up = at;
        if (event == H1_CHUNK_ERROR) {
            return error.reason;
        }
        if (event == H1_CHUNK_END || event == H1_CHUNK_MORE) {
            return "";
        }
    }
}

/* CVE-2023-39326 and its kin: a peer that pays one byte of content with kilobytes of framing. */
UNIT_TEST(framing_may_not_cost_more_than_the_data)
{
    size_t size = 1 << 20, len = 0, used;
    char *data = malloc(size);
    while (len + 64 < size) {
        len += (size_t)sprintf(data + len, "1;%050d\r\nx\r\n", 0);
    }
    ck_assert_str_eq(refusal_of(data, len, &used), "chunks_too_small");
    ck_assert_uint_lt(used, 64 * 1024);

    /* The same extensions to chunks that are worth it do no harm; nor do small chunks without. */
    for (len = 0; len + 1100 < size;) {
        len += (size_t)sprintf(data + len, "400;%050d\r\n", 0);
        memset(data + len, 'x', 1024);
        len += 1024;
        len += (size_t)sprintf(data + len, "\r\n");
    }
    ck_assert_str_eq(refusal_of(data, len, &used), "");
    ck_assert_uint_eq(used, len);
    for (len = 0; len + 6 < size; len += 6) {
        memcpy(data + len, "1\r\nx\r\n", 6);
    }
    ck_assert_str_eq(refusal_of(data, len, &used), "");
    ck_assert_uint_eq(used, len);

    len = (size_t)sprintf(data, "5;");
    memset(data + len, 'a', 8000);
    ck_assert_str_eq(refusal_of(data, len + 8000, &used), "chunk_extension_too_long");
    free(data);
}

UNIT_TEST(trailers_have_the_heads_limit)
{
    char data[3000];
    size_t len = (size_t)sprintf(data, "0\r\nA: "), used;
    memset(data + len, 'a', sizeof(data) - len);
    ck_assert_str_eq(refusal_of(data, sizeof(data), &used), "trailers_too_long");
    /* Also where each line is short. */
    for (len = 3; len + 310 < sizeof(data);) {
        len += (size_t)sprintf(data + len, "A: %0300d\r\n", 0);
    }
    ck_assert_str_eq(refusal_of(data, len, &used), "trailers_too_long");
}
