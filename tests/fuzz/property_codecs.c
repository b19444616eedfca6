/* SPDX-License-Identifier: MIT */
/*
 * The differential of the codecs: one message told in HTTP/1 and in HTTP/2 is the same for everyone
 * behind them, or refused by both. See property.h.
 */
#include <nghttp2/nghttp2.h>

#include "fuzz/codec_stage.h"
#include "fuzz/property.h"

#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MOST 4u

struct pair {
    struct weir_str name, value;
};

/* A message, as both can say it. */
struct told_message {
    struct weir_str method, path, authority, status;
    struct pair fields[FIELDS_MOST], trailers[FIELDS_MOST];
    size_t field_count, trailer_count;
    bool has_body, has_length, bare, interim;
    struct weir_str body;
    size_t piece;
};

/* ---- what is told ---- */

/* A text that no line of HTTP/1 ends in, and that does not begin or end with white space, which is
 * none of a value of HTTP/1. */
static bool take_text(struct input *input, size_t most, bool name, struct weir_str *out)
{
    struct weir_str text = input_bytes(input, input_byte(input) % (most + 1));

    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t')) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t')) {
        text.len--;
    }
    *out = text;
    for (size_t i = 0; i < text.len; i++) {
        bool parts = text.ptr[i] == ':' || (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z');
        if (text.ptr[i] == '\r' || text.ptr[i] == '\n' || (name && parts)) {
            return false;
        }
    }
    return !name || text.len > 0;
}

static bool take_fields(struct input *input, struct pair *fields, size_t *count)
{
    static const char *const names[] = {"x-a",      "cookie", "accept",     "expect",
                                        "priority", "via",    "user-agent", "max-forwards"};

    unsigned cookies = 0;

    *count = input_byte(input) % (FIELDS_MOST + 1);
    for (size_t i = 0; i < *count; i++) {
        uint8_t which = input_byte(input);
        if (which < ARRAY_COUNT(names)) {
            fields[i].name = (struct weir_str){names[which], strlen(names[which])};
        } else if (!take_text(input, 12, true, &fields[i].name)) {
            return false;
        }
        uint16_t id = (uint16_t)field_id_of(fields[i].name);
        if (id == FIELD_COOKIE && cookies++ > 0) {
            return false; /* crumbs, which only HTTP/2 has, are joined */
        }
        /* Those of the framing and of the connection are said in other words. */
        if (id == FIELD_CONNECTION || id == FIELD_CONTENT_LENGTH || id == FIELD_HOST ||
            id == FIELD_HTTP2_SETTINGS || id == FIELD_KEEP_ALIVE || id == FIELD_TE ||
            id == FIELD_PROXY_CONNECTION || id == FIELD_TRANSFER_ENCODING || id == FIELD_UPGRADE ||
            !take_text(input, 20, false, &fields[i].value)) {
            return false;
        }
    }
    return true;
}

static bool take_body(struct input *input, struct told_message *message)
{
    uint8_t how = input_byte(input);

    message->has_body = (how & 1) != 0;
    message->has_length = (how & 2) != 0;
    message->interim = (how & 4) != 0;
    message->piece = 1 + (how >> 4);
    message->body = input_bytes(input, message->has_body ? input_byte(input) & 0x3f : 0);
    if (message->has_body && !message->has_length && (how & 8) != 0) {
        return take_fields(input, message->trailers, &message->trailer_count);
    }
    return true;
}

/* ---- HTTP/1 ---- */

static void add_fields(struct text *out, const struct pair *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_add_bytes(out, fields[i].name.ptr, fields[i].name.len);
        text_add(out, ": ");
        text_add_bytes(out, fields[i].value.ptr, fields[i].value.len);
        text_add(out, "\r\n");
    }
}

static void add_h1_rest(struct text *out, const struct told_message *message)
{
    add_fields(out, message->fields, message->field_count);
    if (message->has_length) {
        text_add(out, "Content-Length: %zu\r\n\r\n", message->body.len);
        if (!message->bare) {
            text_add_bytes(out, message->body.ptr, message->body.len);
        }
        return;
    }
    if (!message->has_body) {
        text_add(out, "\r\n");
        return;
    }
    text_add(out, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < message->body.len && !message->bare; at += message->piece) {
        size_t left = message->body.len - at;
        size_t len = left < message->piece ? left : message->piece;
        text_add(out, "%zx\r\n", len);
        text_add_bytes(out, message->body.ptr + at, len);
        text_add(out, "\r\n");
    }
    if (!message->bare) {
        text_add(out, "0\r\n");
        add_fields(out, message->trailers, message->trailer_count);
        text_add(out, "\r\n");
    }
}

/* ---- HTTP/2 ---- */

static void add_literal(struct text *out, struct weir_str name, struct weir_str value)
{
    HOLDS(name.len < 127 && value.len < 127);
    text_add_bytes(out, (uint8_t[]){0, (uint8_t)name.len}, 2);
    text_add_bytes(out, name.ptr, name.len);
    text_add_bytes(out, (uint8_t[]){(uint8_t)value.len}, 1);
    text_add_bytes(out, value.ptr, value.len);
}

static void add_literals(struct text *out, const struct pair *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_literal(out, fields[i].name, fields[i].value);
    }
}

static void add_head(struct text *out, struct text *block, bool end)
{
    text_add_frame(out, NGHTTP2_HEADERS,
                   NGHTTP2_FLAG_END_HEADERS | (end ? NGHTTP2_FLAG_END_STREAM : 0), 1, block->at,
                   block->len);
    text_free(block);
}

/* The block has the pseudo-header fields. */
static void add_h2_rest(struct text *out, struct text *block, const struct told_message *message)
{
    bool trails = message->trailer_count > 0 && !message->bare;
    bool body = message->has_body && !message->bare;

    add_literals(block, message->fields, message->field_count);
    if (message->has_length) {
        char length[24];
        int len = snprintf(length, sizeof(length), "%zu", message->body.len);
        add_literal(block, STR("content-length"), (struct weir_str){length, (size_t)len});
    }
    add_head(out, block, !body);
    for (size_t at = 0; body && at < message->body.len; at += message->piece) {
        size_t left = message->body.len - at;
        size_t len = left < message->piece ? left : message->piece;
        text_add_frame(out, NGHTTP2_DATA, 0, 1, message->body.ptr + at, len);
    }
    if (trails) {
        add_literals(block, message->trailers, message->trailer_count);
        add_head(out, block, true);
    } else if (body) {
        text_add_frame(out, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, NULL, 0);
    }
}

/* ---- what has become of it ---- */

/* Accepted as a whole: the same; else neither. */
static void compare(struct text *one, struct text *two, bool broken_one, bool broken_two)
{
    if (broken_one != broken_two || (!broken_one && strcmp(one->at, two->at) != 0)) {
        fprintf(stderr, "HTTP/1: %s\nHTTP/2: %s\n", one->at, two->at);
        property_broken("both tell the same", __FILE__, __LINE__);
    }
    text_free(one);
    text_free(two);
}

void property_down_codecs(const uint8_t *data, size_t len)
{
    static const char *const methods[] = {"GET", "POST", "HEAD", "OPTIONS", "PUT", "TRACE"};
    struct input input = {data, data + len};
    struct told_message message = {0};
    struct text h1 = {0}, h2 = {0}, block = {0};
    uint8_t which = input_byte(&input);

    message.method = (struct weir_str){methods[which % ARRAY_COUNT(methods)],
                                       strlen(methods[which % ARRAY_COUNT(methods)])};
    if (!take_text(&input, 40, false, &message.path) ||
        !take_text(&input, 20, false, &message.authority) ||
        !take_fields(&input, message.fields, &message.field_count) ||
        !take_body(&input, &message) || message.path.len == 0 || message.path.ptr[0] != '/') {
        return;
    }
    if (message.has_body && !message.has_length && message.body.len == 0 &&
        message.trailer_count == 0) {
        return; /* HTTP/2 says that there is none, if that is known with the head */
    }
    text_add_bytes(&h1, message.method.ptr, message.method.len);
    text_add(&h1, " ");
    text_add_bytes(&h1, message.path.ptr, message.path.len);
    text_add(&h1, " HTTP/1.1\r\nHost: ");
    text_add_bytes(&h1, message.authority.ptr, message.authority.len);
    text_add(&h1, "\r\n");
    add_h1_rest(&h1, &message);
    stage_down_begin(0);
    stage_say(h1.at, h1.len);
    bool whole_by_h1 = stage_first_whole();
    struct text by_h1 = stage_down_end(1);

    add_literal(&block, STR(":method"), message.method);
    add_literal(&block, STR(":scheme"), STR("http"));
    add_literal(&block, STR(":path"), message.path);
    add_literal(&block, STR(":authority"), message.authority);
    text_add(&h2, "%s", NGHTTP2_CLIENT_MAGIC);
    text_add_frame(&h2, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    add_h2_rest(&h2, &block, &message);
    stage_down_begin(0);
    stage_say(h2.at, h2.len);
    bool whole_by_h2 = stage_first_whole();
    struct text by_h2 = stage_down_end(1);

    compare(&by_h1, &by_h2, !whole_by_h1, !whole_by_h2);
    text_free(&h1);
    text_free(&h2);
}

void property_up_codecs(const uint8_t *data, size_t len)
{
    static const char *const statuses[] = {"200", "204", "304", "205", "206",
                                           "404", "500", "600", "99",  "426"};
    struct input input = {data, data + len};
    struct told_message message = {0};
    struct text h1 = {0}, h2 = {0}, block = {0};
    uint8_t which = input_byte(&input);
    const char *method = (which & 0x80) != 0 ? "HEAD" : "GET";
    const char *status = statuses[which % ARRAY_COUNT(statuses)];

    if (!take_fields(&input, message.fields, &message.field_count) ||
        !take_body(&input, &message)) {
        return;
    }
    if ((strcmp(status, "205") == 0 && !message.has_length) ||
        (strcmp(status, "204") == 0 && message.has_length)) {
        return; /* HTTP/1 refuses the coding, which HTTP/2 cannot say; nghttp2 the length */
    }
    message.bare = method[0] == 'H' || strcmp(status, "204") == 0 || strcmp(status, "304") == 0;
    if (!message.has_body && !message.has_length && !message.bare) {
        message.has_length = true; /* else HTTP/1's ends with the connection */
    }
    if (message.interim) {
        text_add(&h1, "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");
    }
    text_add(&h1, "HTTP/1.1 %s Reason\r\n", status);
    add_h1_rest(&h1, &message);
    stage_up_begin(false);
    stage_up_ask(method, false, false);
    stage_say(h1.at, h1.len);
    bool whole_by_h1 = stage_first_whole();
    struct text by_h1 = stage_up_end(1);

    text_add_frame(&h2, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    if (message.interim) {
        add_literal(&block, STR(":status"), STR("103"));
        add_literal(&block, STR("link"), STR("x"));
        add_head(&h2, &block, false);
    }
    add_literal(&block, STR(":status"), (struct weir_str){status, strlen(status)});
    add_h2_rest(&h2, &block, &message);
    stage_up_begin(true);
    stage_up_ask(method, false, false);
    stage_say(h2.at, h2.len);
    bool whole_by_h2 = stage_first_whole();
    struct text by_h2 = stage_up_end(1);

    compare(&by_h1, &by_h2, !whole_by_h1, !whole_by_h2);
    text_free(&h1);
    text_free(&h2);
}
