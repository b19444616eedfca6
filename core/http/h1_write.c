/* SPDX-License-Identifier: MIT */
/*
 * Heads and chunk lines of HTTP/1, written from parsed form. The fields that frame a message or
 * belong to the connection are made here, from what is known, and never copied.
 */
#include "http/h1_write.h"

#include "http/syntax.h"

#define BIT(id) (UINT64_C(1) << (id))

/* Made by the writer or not at all. */
#define NEVER_COPIED                                                              \
    (BIT(FIELD_CONNECTION) | BIT(FIELD_CONTENT_LENGTH) | BIT(FIELD_KEEP_ALIVE) |  \
     BIT(FIELD_PROXY_CONNECTION) | BIT(FIELD_TE) | BIT(FIELD_TRANSFER_ENCODING) | \
     BIT(FIELD_UPGRADE) | BIT(FIELD_HTTP2_SETTINGS))

/* The first line but for its slices, the longest framing and connection fields, the empty line. */
#define FIXED_SIZE 192u

/* Memory being filled. Invariant: at <= end; once `full`, nothing more is written. */
struct writer {
    char *at, *end;
    bool full;
};

/* Room for `len` bytes, which the caller fills; NULL: there is none. */
static inline char *take(struct writer *writer, size_t len)
{
    char *at = writer->at;
    if (unlikely((size_t)(writer->end - at) < len || writer->full)) {
        writer->full = true;
        return NULL;
    }
    writer->at = at + len;
    return at;
}

static inline void put(struct writer *writer, struct weir_str text)
{
    char *at = take(writer, text.len);
    if (likely(at != NULL && text.len > 0)) {
        memcpy(at, text.ptr, text.len);
    }
}

#define PUT(writer, literal) put(writer, STR(literal))

static inline void put_field(struct writer *writer, struct weir_str name, struct weir_str value)
{
    char *at = take(writer, name.len + value.len + 4);
    if (unlikely(at == NULL)) {
        return;
    }
    memcpy(at, name.ptr, name.len);
    at += name.len;
    *at++ = ':';
    *at++ = ' ';
    if (value.len > 0) {
        memcpy(at, value.ptr, value.len);
    }
    at += value.len;
    *at++ = '\r';
    *at = '\n';
}

/* The same for a field that stands in memory as it mostly comes, with two bytes between name and
 * value: one copy does. What the two bytes were does not matter. */
static inline void put_whole_field(struct writer *writer, struct weir_str name, size_t value_len)
{
    char *at = take(writer, name.len + value_len + 4);
    if (unlikely(at == NULL)) {
        return;
    }
    memcpy(at, name.ptr, name.len + 2 + value_len);
    memcpy(at + name.len, ": ", 2);
    memcpy(at + name.len + 2 + value_len, "\r\n", 2);
}

static void put_number(struct writer *writer, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(writer, (struct weir_str){digits + at, sizeof(digits) - at});
}

static void put_content_length(struct writer *writer, uint64_t length)
{
    PUT(writer, "Content-Length: ");
    put_number(writer, length);
    PUT(writer, "\r\n");
}

/* The fields that are passed on; those of `without` are the writer's own. */
static void put_fields(struct writer *writer, const struct http_fields *fields, uint64_t without)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (field->dropped || (without & BIT(field->id)) != 0) {
            continue;
        }
        if ((uintptr_t)field->value.ptr - (uintptr_t)field->name.ptr == field->name.len + 2) {
            put_whole_field(writer, field->name, field->value.len);
        } else {
            put_field(writer, field->name, field->value);
        }
    }
}

/* What the core adds is checked here, at the border, where text from a peer may be in it. */
static void put_extra(struct writer *writer, const struct http_extra *extra, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (extra[i].known ||
            (field_name_valid(extra[i].name) && field_value_valid(extra[i].value))) {
            put_field(writer, extra[i].name, extra[i].value);
        } else {
            writer->full = true;
        }
    }
}

static size_t finish(struct writer *writer, const char *out)
{
    PUT(writer, "\r\n");
    return writer->full ? 0 : (size_t)(writer->at - out);
}

/* A filter may have set them since they were parsed: nothing that ends them early may get out. */
static bool first_line_valid(const struct http_request_head *head)
{
    return field_name_valid(head->method_name) && head->path.len > 0 &&
           syntax_visible(head->path, '?') && syntax_visible(head->query, '#') &&
           syntax_visible(head->authority, '/');
}

size_t h1_write_request(char *out, size_t size, const struct http_request_head *head,
                        const struct http_extra *extra, size_t extra_count, bool upgrade)
{
    struct writer writer = {.at = out, .end = out + size, .full = !first_line_valid(head)};
    put(&writer, head->method_name);
    PUT(&writer, " ");
    put(&writer, head->path);
    if (head->has_query) {
        PUT(&writer, "?");
        put(&writer, head->query);
    }
    PUT(&writer, " HTTP/1.1\r\n");
    put_field(&writer, STR("Host"), head->authority);
    put_fields(&writer, &head->fields, NEVER_COPIED | BIT(FIELD_HOST));
    if (head->body == BODY_CHUNKED) {
        PUT(&writer, "Transfer-Encoding: chunked\r\n");
    } else if (head->body == BODY_LENGTH) {
        put_content_length(&writer, head->content_length);
    }
    put_extra(&writer, extra, extra_count);
    /* What belongs to this connection is named (RFC 9110 section 7.6.1). */
    if (upgrade) {
        PUT(&writer, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
    } else if (head->te_trailers) {
        PUT(&writer, "Connection: TE\r\nTE: trailers\r\n");
    }
    return finish(&writer, out);
}

/* How the client finds the body's end. Where nothing is written it is the connection's end, or
 * there is no body. */
static void put_response_framing(struct writer *writer, const struct http_response_head *head,
                                 const struct h1_response_shape *shape)
{
    if (head->status < 200 || head->status == 204) {
        return;
    }
    if (head->body == BODY_NONE) {
        if (head->has_content_length) {
            put_content_length(writer, head->content_length);
        }
    } else if (shape->chunked && shape->client_version >= HTTP_1_1) {
        PUT(writer, "Transfer-Encoding: chunked\r\n");
    } else if (head->body == BODY_LENGTH) {
        put_content_length(writer, head->content_length);
    }
}

static void put_response_connection(struct writer *writer, const struct http_response_head *head,
                                    const struct h1_response_shape *shape)
{
    bool said = shape->close || shape->keep_alive_said;
    bool to_what = head->status == 426 && fields_have(&head->fields, FIELD_UPGRADE);
    if (shape->upgrade) {
        PUT(writer, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
        return;
    }
    if (likely(!said && !to_what)) {
        return;
    }
    PUT(writer, "Connection: ");
    if (said) {
        put(writer, shape->close ? STR("close") : STR("keep-alive"));
    }
    if (to_what) { /* the field itself is copied; who sends it names it here (RFC 9110 section 7.8)
                    */
        put(writer, said ? STR(", Upgrade") : STR("Upgrade"));
    }
    PUT(writer, "\r\n");
}

size_t h1_write_response(char *out, size_t size, const struct http_response_head *head,
                         const struct h1_response_shape *shape)
{
    struct writer writer = {.at = out, .end = out + size, .full = !field_value_valid(head->reason)};
    ASSERT(head->status >= 100 && head->status <= 999);
    PUT(&writer, "HTTP/1.1 ");
    put_number(&writer, head->status);
    PUT(&writer, " ");
    put(&writer, head->reason.len > 0 ? head->reason : http_reason_phrase(head->status));
    PUT(&writer, "\r\n");
    put_fields(&writer, &head->fields,
               head->status == 426 ? NEVER_COPIED & ~BIT(FIELD_UPGRADE) : NEVER_COPIED);
    put_response_framing(&writer, head, shape);
    put_response_connection(&writer, head, shape);
    return finish(&writer, out);
}

static size_t fields_size(const struct http_fields *fields, const struct http_extra *extra,
                          size_t extra_count)
{
    size_t size = FIXED_SIZE;
    for (uint32_t i = 0; i < fields->count; i++) {
        size += fields->items[i].name.len + fields->items[i].value.len + 4;
    }
    for (size_t i = 0; i < extra_count; i++) {
        size += extra[i].name.len + extra[i].value.len + 4;
    }
    return size;
}

size_t h1_request_size(const struct http_request_head *head, const struct http_extra *extra,
                       size_t extra_count)
{
    return fields_size(&head->fields, extra, extra_count) + head->method_name.len + head->path.len +
           head->query.len + head->authority.len;
}

size_t h1_response_size(const struct http_response_head *head)
{
    return fields_size(&head->fields, NULL, 0) + head->reason.len;
}

size_t h1_write_chunk_line(char out[H1_CHUNK_LINE_SIZE], uint64_t len)
{
    static const char digits[] = "0123456789abcdef";
    unsigned count = len > 0 ? (67u - (unsigned)__builtin_clzll(len)) / 4 : 1;
    for (unsigned i = 0; i < count; i++) {
        out[i] = digits[len >> (4 * (count - 1 - i)) & 15];
    }
    out[count] = '\r';
    out[count + 1] = '\n';
    return count + 2;
}
