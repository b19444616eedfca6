/* SPDX-License-Identifier: MIT */
/*
 * Heads that go out, as blocks of HPACK (RFC 7541). A block depends on nothing before it: names
 * come from the static table or are spelled out, values are spelled out, and nothing enters the
 * dynamic table. No Huffman code: it takes more time than all the rest of a head.
 *
 * nghttp2 would copy, sort and encode each field; it is given the head without fields, and what it
 * makes of that is replaced by the block on its way out (h2_out.c).
 */
#include "http/h2.h"
#include "http/syntax.h"
#include "http/websocket.h"

/* Never passed on by HTTP/2 (RFC 9113 section 8.2.2), or said by a pseudo-header field or the
 * framing. */
#define NEVER_SENT                                                             \
    (UINT64_C(1) << FIELD_CONNECTION | UINT64_C(1) << FIELD_CONTENT_LENGTH |   \
     UINT64_C(1) << FIELD_HOST | UINT64_C(1) << FIELD_HTTP2_SETTINGS |         \
     UINT64_C(1) << FIELD_KEEP_ALIVE | UINT64_C(1) << FIELD_PROXY_CONNECTION | \
     UINT64_C(1) << FIELD_TE | UINT64_C(1) << FIELD_TRANSFER_ENCODING |        \
     UINT64_C(1) << FIELD_UPGRADE)

/* Entries of the static table (RFC 7541 appendix A). */
enum {
    ENTRY_AUTHORITY = 1,
    ENTRY_METHOD = 2, /* GET; then POST */
    ENTRY_PATH = 4,   /* "/" */
    ENTRY_SCHEME_HTTP = 6,
    ENTRY_SCHEME_HTTPS = 7,
    ENTRY_STATUS = 8, /* 200 */
    ENTRY_CONTENT_LENGTH = 28,
};

static const uint8_t entries[FIELD_ID_COUNT] = {
    [FIELD_ACCEPT] = 19,
    [FIELD_CONTENT_TYPE] = 31,
    [FIELD_COOKIE] = 32,
    [FIELD_DATE] = 33,
    [FIELD_EXPECT] = 35,
    [FIELD_LOCATION] = 46,
    [FIELD_MAX_FORWARDS] = 47,
    [FIELD_PROXY_AUTHENTICATE] = 48,
    [FIELD_PROXY_AUTHORIZATION] = 49,
    [FIELD_REFERER] = 51,
    [FIELD_RETRY_AFTER] = 53,
    [FIELD_SERVER] = 54,
    [FIELD_SET_COOKIE] = 55,
    [FIELD_USER_AGENT] = 58,
    [FIELD_VIA] = 60,
};

/* How a field begins: whether it may enter the table of who passes it on (section 6.2). */
#define PLAIN  0x00u
#define SECRET 0x10u
/* A whole field of the static table. */
#define INDEXED 0x80u

/* The most bytes of a field beside its name and value: the first, and two lengths. */
#define FIELD_EXTRA 11u
/* Of status, method, scheme, content-length and te. */
#define HEAD_EXTRA 128u

/* ---- writing ---- */

static uint8_t *put_int(uint8_t *at, uint8_t first, uint8_t most, size_t value)
{
    if (likely(value < most)) {
        *at++ = (uint8_t)(first | value);
        return at;
    }
    *at++ = first | most;
    for (value -= most; value >= 128; value >>= 7) {
        *at++ = (uint8_t)(value | 128);
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put_text(uint8_t *at, struct weir_str text)
{
    at = put_int(at, 0, 127, text.len);
    if (likely(text.len > 0)) {
        memcpy(at, text.ptr, text.len);
    }
    return at + text.len;
}

/* A byte eight times. */
#define EACH UINT64_C(0x0101010101010101)

/* Eight characters in lower case. */
static inline uint64_t lower8(uint64_t text)
{
    uint64_t low7 = text & EACH * 0x7f;
    uint64_t from_a = low7 + EACH * (0x80 - 'A');
    uint64_t above_z = low7 + EACH * (0x7f - 'Z');

    return text | ((from_a ^ above_z) & ~text & EACH * 0x80) >> 2;
}

/* Names are in lower case on the wire (RFC 9113 section 8.2.1). */
static uint8_t *put_name(uint8_t *at, struct weir_str name)
{
    size_t done = 0;

    at = put_int(at, 0, 127, name.len);
    for (; name.len - done >= 8; done += 8) {
        uint64_t text = lower8(syntax_load(name.ptr + done));
        memcpy(at + done, &text, sizeof(text));
    }
    for (; done < name.len; done++) {
        uint8_t c = (uint8_t)name.ptr[done];
        at[done] = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
    }
    return at + name.len;
}

static uint8_t *put_field(uint8_t *at, uint8_t form, struct weir_str name, struct weir_str value)
{
    *at++ = form;
    return put_text(put_name(at, name), value);
}

/* A field with a name of the static table. */
static uint8_t *put_entry(uint8_t *at, uint8_t form, uint8_t entry, struct weir_str value)
{
    return put_text(put_int(at, form, 15, entry), value);
}

static uint8_t *put_number(uint8_t *at, uint8_t entry, uint64_t number)
{
    char digits[20];
    size_t first = sizeof(digits);

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put_entry(at, PLAIN, entry, (struct weir_str){digits + first, sizeof(digits) - first});
}

/* Credentials, and what the peer has marked so. */
static bool is_secret(const struct http_field *field)
{
    return field->secret || field->id == FIELD_COOKIE || field->id == FIELD_SET_COOKIE ||
           field->id == FIELD_PROXY_AUTHORIZATION ||
           (field->id == FIELD_OTHER && syntax_equals(field->name, "authorization"));
}

static size_t fields_size(const struct http_fields *fields)
{
    size_t size = 0;

    for (uint32_t i = 0; i < fields->count; i++) {
        size += fields->items[i].name.len + fields->items[i].value.len + FIELD_EXTRA;
    }
    return size;
}

/* `without`: a name of HTTP/1's WebSocket handshake; empty: none. */
static uint8_t *put_fields(uint8_t *at, const struct http_fields *fields, struct weir_str without)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (field->dropped || (NEVER_SENT >> field->id & 1) != 0 ||
            (unlikely(without.len > 0) && str_equal_nocase(field->name, without))) {
            continue;
        }
        uint8_t form = is_secret(field) ? SECRET : PLAIN;
        uint8_t entry = entries[field->id];
        at = entry > 0 ? put_entry(at, form, entry, field->value)
                       : put_field(at, form, field->name, field->value);
    }
    return at;
}

static struct h2_block *block_of(struct arena *arena, size_t size)
{
    struct h2_block *block = arena_alloc(arena, sizeof(*block) + size);

    if (block != NULL) {
        block->next = NULL;
    }
    return block;
}

static struct h2_block *closed(struct h2_block *block, const uint8_t *end, size_t size)
{
    block->len = (size_t)(end - block->data);
    ASSERT(block->len <= size);
    return block;
}

/* ---- heads ---- */

static uint8_t *put_path(uint8_t *at, const struct http_request_head *head)
{
    if (head->path.len == 1 && head->path.ptr[0] == '/' && !head->has_query) {
        *at++ = INDEXED | ENTRY_PATH;
        return at;
    }
    at = put_int(at, PLAIN, 15, ENTRY_PATH);
    at = put_int(at, 0, 127, head->path.len + (head->has_query ? 1 + head->query.len : 0));
    memcpy(at, head->path.ptr, head->path.len);
    at += head->path.len;
    if (head->has_query) {
        *at++ = '?';
        if (head->query.len > 0) {
            memcpy(at, head->query.ptr, head->query.len);
        }
        at += head->query.len;
    }
    return at;
}

static uint8_t *put_method(uint8_t *at, const struct http_request_head *head)
{
    if (head->method == METHOD_GET) {
        *at++ = INDEXED | ENTRY_METHOD;
    } else if (head->method == METHOD_POST) {
        *at++ = INDEXED | (ENTRY_METHOD + 1);
    } else {
        at = put_entry(at, PLAIN, ENTRY_METHOD, head->method_name);
    }
    return at;
}

struct h2_block *h2_request_block(struct arena *arena, const struct http_request_head *head,
                                  bool https, const struct http_extra *extra, size_t extra_count)
{
    struct weir_str without = head->upgrade_websocket ? WEBSOCKET_KEY : (struct weir_str){NULL, 0};
    size_t size = HEAD_EXTRA + head->method_name.len + head->authority.len + head->path.len +
                  head->query.len + 3 * FIELD_EXTRA + fields_size(&head->fields);

    for (size_t i = 0; i < extra_count; i++) {
        size += extra[i].name.len + extra[i].value.len + FIELD_EXTRA;
    }
    struct h2_block *block = block_of(arena, size);
    if (block == NULL) {
        return NULL;
    }
    uint8_t *at = block->data;
    if (unlikely(head->upgrade_websocket)) {
        at = put_entry(at, PLAIN, ENTRY_METHOD, STR("CONNECT"));
    } else {
        at = put_method(at, head);
    }
    *at++ = INDEXED | (https ? ENTRY_SCHEME_HTTPS : ENTRY_SCHEME_HTTP);
    if (head->authority.len > 0) { /* HTTP/1.0 may name none */
        at = put_entry(at, PLAIN, ENTRY_AUTHORITY, head->authority);
    }
    at = put_path(at, head);
    if (unlikely(head->upgrade_websocket)) {
        at = put_field(at, PLAIN, STR(":protocol"), STR("websocket"));
    }
    at = put_fields(at, &head->fields, without);
    for (size_t i = 0; i < extra_count; i++) {
        if (extra[i].known ||
            (field_name_valid(extra[i].name) && field_value_valid(extra[i].value))) {
            at = put_field(at, PLAIN, extra[i].name, extra[i].value);
        }
    }
    if (head->te_trailers) {
        at = put_field(at, PLAIN, STR("te"), STR("trailers"));
    }
    if (head->body == BODY_LENGTH) {
        at = put_number(at, ENTRY_CONTENT_LENGTH, head->content_length);
    }
    return closed(block, at, size);
}

static uint8_t *put_status(uint8_t *at, unsigned status)
{
    static const uint16_t known[] = {200, 204, 206, 304, 400, 404, 500};

    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (known[i] == status) {
            *at++ = (uint8_t)(INDEXED | (ENTRY_STATUS + i));
            return at;
        }
    }
    return put_number(at, ENTRY_STATUS, status);
}

struct h2_block *h2_response_block(struct arena *arena, const struct http_response_head *head)
{
    bool switched = head->status == 101;
    size_t size = HEAD_EXTRA + fields_size(&head->fields);
    struct h2_block *block = block_of(arena, size);

    if (block == NULL) {
        return NULL;
    }
    uint8_t *at = put_status(block->data, switched ? 200u : head->status);
    at = put_fields(at, &head->fields, switched ? WEBSOCKET_ACCEPT : (struct weir_str){NULL, 0});
    /* An empty body ends with its head, and gRPC's answers that do so have no length. */
    bool empty = head->body == BODY_LENGTH && head->content_length == 0;
    if (head->status >= 200 && !empty && (head->body == BODY_LENGTH || head->has_content_length)) {
        at = put_number(at, ENTRY_CONTENT_LENGTH, head->content_length);
    }
    return closed(block, at, size);
}

struct h2_block *h2_trailer_block(struct arena *arena, const struct http_fields *trailers)
{
    size_t size = fields_size(trailers);
    struct h2_block *block = block_of(arena, size);

    return block != NULL
               ? closed(block, put_fields(block->data, trailers, (struct weir_str){NULL, 0}), size)
               : NULL;
}

size_t h2_table_size_len(const uint8_t *block, size_t len)
{
    size_t at = 0;

    while (at < len && (block[at] & 0xe0) == 0x20) {
        bool more = (block[at++] & 0x1f) == 0x1f;
        while (more && at < len) {
            more = (block[at++] & 0x80) != 0;
        }
    }
    return at;
}
