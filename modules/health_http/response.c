/* SPDX-License-Identifier: MIT */
/*
 * Reads a response from its first byte each time more has come: it is small, and so nothing has to
 * be kept between the calls.
 */
#include "response.h"

#include <weir/text.h>

static void fail(struct response *out, const char *wrong)
{
    out->state = RESPONSE_MALFORMED;
    out->wrong = wrong;
}

/* Takes a line, without its CRLF, off the front of `*rest`. false: there is no whole one yet, or
 * (malformed) it ends in a bare LF. */
static bool take_line(struct response *out, struct weir_str *rest, struct weir_str *line)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (end == NULL) {
        return false;
    }
    if (end == rest->ptr || end[-1] != '\r') {
        fail(out, "a line of the answer does not end in CRLF");
        return false;
    }
    line->ptr = rest->ptr;
    line->len = (size_t)(end - rest->ptr) - 1;
    rest->len -= line->len + 2;
    rest->ptr = end + 1;
    return true;
}

/* Whether the bytes can be, or become, a status line (RFC 9112 section 4). */
static bool is_status_line(struct weir_str line, bool whole)
{
    static const char shape[] = "HTTP/1.v ddd ";
    for (size_t i = 0; i < sizeof(shape) - 1; i++) {
        if (i >= line.len) {
            return !whole || i == sizeof(shape) - 2; /* the last blank may be missing */
        }
        char byte = line.ptr[i];
        bool good = byte == shape[i];
        if (shape[i] == 'v') {
            good = byte == '0' || byte == '1';
        } else if (shape[i] == 'd') {
            good = weir_is_digit(byte);
        } else if (i == sizeof(shape) - 2) {
            good = byte == ' ' || (!whole && byte == '\r');
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

struct framing {
    bool chunked;
    bool has_length;
    uint64_t length;
};

/* Two digits at most; anything else is UNKNOWN (2). */
static int read_grpc_status(struct weir_str value)
{
    int status = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (!weir_is_digit(value.ptr[i]) || value.len > 2) {
            return 2;
        }
        status = status * 10 + (value.ptr[i] - '0');
    }
    return value.len > 0 ? status : 2;
}

/* A field that frames the body, or tells the status of gRPC. false: malformed. */
static bool read_field(struct response *out, struct weir_str line, struct framing *framing)
{
    const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
    if (colon == NULL || colon == line.ptr) {
        fail(out, "a header line has no \":\"");
        return false;
    }
    struct weir_str name = {line.ptr, (size_t)(colon - line.ptr)};
    struct weir_str value = weir_str_trim((struct weir_str){colon + 1, line.len - name.len - 1});
    if (weir_str_is_nocase(name, "transfer-encoding")) {
        if (!weir_str_is_nocase(value, "chunked")) {
            fail(out, "its transfer coding is not \"chunked\"");
            return false;
        }
        framing->chunked = true;
    } else if (weir_str_is_nocase(name, "content-length")) {
        uint64_t length = 0;
        bool good = value.len > 0 && value.len <= 18;
        for (size_t i = 0; good && i < value.len; i++) {
            good = weir_is_digit(value.ptr[i]);
            length = length * 10 + (uint64_t)(value.ptr[i] - '0');
        }
        if (!good || (framing->has_length && framing->length != length)) {
            fail(out, "its Content-Length is no number");
            return false;
        }
        framing->has_length = true;
        framing->length = length;
    } else if (weir_str_is_nocase(name, "grpc-status")) {
        out->grpc_status = read_grpc_status(value);
    } else if (weir_str_is_nocase(name, "grpc-message")) {
        out->grpc_message = value;
    }
    return true;
}

/* One head, with its status. false: not whole, or malformed. */
static bool read_head(struct response *out, struct weir_str *rest, struct framing *framing)
{
    struct weir_str line = *rest;
    *framing = (struct framing){false, false, 0};
    if (!is_status_line(line, false)) {
        fail(out, "answer is not HTTP");
        return false;
    }
    if (!take_line(out, rest, &line)) {
        return false;
    }
    if (!is_status_line(line, true)) {
        fail(out, "answer is not HTTP");
        return false;
    }
    out->status =
        (uint32_t)((line.ptr[9] - '0') * 100 + (line.ptr[10] - '0') * 10 + (line.ptr[11] - '0'));
    if (out->status < 100) {
        fail(out, "answer is not HTTP");
        return false;
    }
    while (take_line(out, rest, &line)) {
        if (line.len == 0) {
            return true;
        }
        if (!read_field(out, line, framing)) {
            return false;
        }
    }
    return false;
}

static void add_body(struct response *out, const char *data, size_t len)
{
    memcpy(out->body + out->body_len, data, len);
    out->body_len += len;
}

/* Size of a chunk, extensions ignored. false: malformed. */
static bool read_chunk_size(struct weir_str line, uint64_t *size)
{
    size_t digits = 0;
    *size = 0;
    while (digits < line.len && weir_hex_digit(line.ptr[digits]) >= 0) {
        *size = *size * 16 + (uint64_t)weir_hex_digit(line.ptr[digits]);
        if (++digits > 15) {
            return false;
        }
    }
    return digits > 0 && (digits == line.len || strchr("; \t", line.ptr[digits]) != NULL);
}

static void read_chunks(struct response *out, struct weir_str rest)
{
    struct weir_str line;
    uint64_t size;

    while (take_line(out, &rest, &line)) {
        if (!read_chunk_size(line, &size)) {
            fail(out, "a chunk of its body has no size");
            return;
        }
        if (size == 0) {
            struct framing none = {false, false, 0};
            out->state = RESPONSE_BODY;
            while (take_line(out, &rest, &line)) {
                out->trailers = line.len == 0;
                if (out->trailers || !read_field(out, line, &none)) {
                    return;
                }
            }
            out->grpc_status = -1; /* more may be said of it */
            return;
        }
        size_t there = size < rest.len ? (size_t)size : rest.len;
        add_body(out, rest.ptr, there);
        rest.ptr += there;
        rest.len -= there;
        if (rest.len < 2) {
            return;
        }
        if (there < size || rest.ptr[0] != '\r' || rest.ptr[1] != '\n') {
            fail(out, "a chunk of its body is longer than its size");
            return;
        }
        rest.ptr += 2;
        rest.len -= 2;
    }
}

void response_read(struct response *out, const char *data, size_t len, bool head_only)
{
    struct weir_str rest = {data, len};
    struct framing framing;

    out->state = RESPONSE_MORE;
    out->status = 0;
    out->body_len = 0;
    out->until_eof = false;
    out->wrong = NULL;
    out->trailers = false;
    out->grpc_status = -1;
    out->grpc_message = (struct weir_str){NULL, 0};
    do { /* interim answers (100, 103) come before the one that counts */
        if (!read_head(out, &rest, &framing)) {
            return;
        }
    } while (out->status < 200 && out->status != 101);

    out->state = RESPONSE_HEAD;
    if (head_only || out->status == 101 || out->status == 204 || out->status == 304) {
        out->state = RESPONSE_BODY;
    } else if (framing.chunked) {
        read_chunks(out, rest);
    } else if (framing.has_length) {
        bool whole = rest.len >= framing.length;
        add_body(out, rest.ptr, whole ? (size_t)framing.length : rest.len);
        out->state = whole ? RESPONSE_BODY : RESPONSE_HEAD;
    } else {
        add_body(out, rest.ptr, rest.len);
        out->until_eof = true;
    }
}
