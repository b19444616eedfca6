/* SPDX-License-Identifier: MIT */
/* Properties of the heads of requests and responses. */
#include <stdlib.h>

#include "base/base.h"
#include "fuzz/property.h"
#include "http/h1_write.h"
#include "http/uri.h"

static const struct http_limits limits = {.head = 4096, .fields = 20, .target = 512};

/* Either kind of head, so that both go the same way. */
struct subject {
    bool response;
    enum http_method method; /* that a response answers */
    struct arena arena;
    struct http_request_head request;
    struct http_response_head head;
    size_t used;
    struct http_error error;
};

static enum h1_status parse(struct subject *subject, const char *data, size_t len,
                            struct h1_scan *scan)
{
    subject->error = (struct http_error){0};
    if (subject->response) {
        return h1_parse_response(data, len, &limits, scan, &subject->arena, subject->method,
                                 &subject->head, &subject->used, &subject->error);
    }
    return h1_parse_request(data, len, &limits, scan, &subject->arena, &subject->request,
                            &subject->used, &subject->error);
}

static enum h1_status parse_whole(struct subject *subject, const char *data, size_t len)
{
    struct h1_scan scan = {0};
    arena_init(&subject->arena, NULL, 0);
    return parse(subject, data, len, &scan);
}

/*
 * The same bytes in growing pieces. A whole head is found at its last byte and not before; a fault
 * is found eventually, and never in a valid head; a head in pieces may report it later.
 */
static void grows_alike(struct subject *whole, enum h1_status expected, const char *data,
                        size_t len)
{
    struct subject piece = {.response = whole->response, .method = whole->method};
    struct h1_scan scan = {0};
    size_t step = len > 1000 ? 97 : 1;
    enum h1_status status = H1_INCOMPLETE;
    arena_init(&piece.arena, NULL, 0);
    for (size_t have = 0; have < len && status == H1_INCOMPLETE;) {
        have = len - have > step ? have + step : len;
        char *copy = property_copy(data, have);
        status = parse(&piece, copy, have, &scan);
        if (expected == H1_DONE) {
            HOLDS(status == (have < whole->used ? H1_INCOMPLETE : H1_DONE));
        } else {
            HOLDS(status != H1_DONE);
        }
        if (expected == H1_INCOMPLETE) {
            HOLDS(status == H1_INCOMPLETE);
        }
        if (status == H1_DONE) {
            HOLDS(piece.used == whole->used);
        }
        if (status == H1_ERROR) {
            HOLDS(piece.error.status >= 400 && piece.error.reason != NULL);
        }
        free(copy);
    }
    arena_reset(&piece.arena);
}

static bool inside(struct weir_str slice, const char *data, size_t len)
{
    return slice.ptr >= data && slice.len <= len && slice.ptr <= data + len - slice.len;
}

static void fields_sound(const struct http_fields *fields, const char *data, size_t len)
{
    uint64_t seen = 0;
    HOLDS(fields->count <= limits.fields);
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        HOLDS(inside(field->name, data, len) && inside(field->value, data, len));
        HOLDS(field_name_valid(field->name) && field_value_valid(field->value));
        HOLDS(field->id == field_id_of(field->name));
        if (field->value.len > 0) {
            char first = field->value.ptr[0], last = field->value.ptr[field->value.len - 1];
            HOLDS(first != ' ' && first != '\t' && last != ' ' && last != '\t');
        }
        if (field->id != FIELD_OTHER && !field->dropped) {
            seen |= UINT64_C(1) << field->id;
        }
    }
    HOLDS(fields->seen == seen);
}

static bool is_own(const struct http_field *field, bool response)
{
    switch (field->id) {
    case FIELD_CONNECTION:
    case FIELD_CONTENT_LENGTH:
    case FIELD_HTTP2_SETTINGS:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE: return true;
    case FIELD_HOST: return !response;
    default: return field->dropped;
    }
}

/* The next field from *at that is passed on as it is; NULL: none. */
static const struct http_field *next_passed(const struct http_fields *fields, uint32_t *at,
                                            bool response)
{
    while (*at < fields->count) {
        const struct http_field *field = &fields->items[(*at)++];
        if (!is_own(field, response)) {
            return field;
        }
    }
    return NULL;
}

static void fields_alike(const struct http_fields *a, const struct http_fields *b, bool response)
{
    uint32_t at_a = 0, at_b = 0;
    for (;;) {
        const struct http_field *x = next_passed(a, &at_a, response);
        const struct http_field *y = next_passed(b, &at_b, response);
        HOLDS((x == NULL) == (y == NULL));
        if (x == NULL) {
            return;
        }
        HOLDS(str_equal(x->name, y->name) && str_equal(x->value, y->value));
    }
}

/* No line ends but by CR LF, no empty line but the last, no NUL. */
static void lines_clean(const char *text, size_t len)
{
    HOLDS(len >= 4 && memcmp(text + len - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\r') {
            HOLDS(i + 1 < len && text[i + 1] == '\n');
        } else if (c == '\n') {
            HOLDS(i > 0 && text[i - 1] == '\r' && (i < 3 || i + 1 == len || text[i - 2] != '\n'));
        } else {
            HOLDS(c != 0x7f && (c >= 0x20 || c == '\t'));
        }
    }
}

/* Parsing has to need all of `size`, and one byte less must not do. */
static char *write_request(const struct http_request_head *head, size_t *len)
{
    size_t size = h1_request_size(head, NULL, 0);
    char *out = property_copy("", 0);
    out = realloc(out, size);
    HOLDS(out != NULL);
    *len = h1_write_request(out, size, head, NULL, 0, head->upgrade_websocket);
    HOLDS(*len > 0);
    char *tight = malloc(*len);
    HOLDS(tight != NULL);
    HOLDS(h1_write_request(tight, *len, head, NULL, 0, head->upgrade_websocket) == *len);
    HOLDS(h1_write_request(tight, *len - 1, head, NULL, 0, head->upgrade_websocket) == 0);
    free(tight);
    lines_clean(out, *len);
    return out;
}

static void request_round_trip(const struct http_request_head *head)
{
    struct subject again = {.response = false};
    size_t len;
    char *text = write_request(head, &len);
    char *copy = property_copy(text, len);
    enum h1_status status = parse_whole(&again, copy, len);
    const struct http_request_head *other = &again.request;
    /* What grew (an empty Host, encoded bytes) may pass a limit; HTTP/1.0 without Host has none. */
    if (status == H1_ERROR) {
        HOLDS(head->authority.len == 0 || again.error.status == 431 || again.error.status == 414);
    } else {
        HOLDS(status == H1_DONE && again.used == len);
        HOLDS(str_equal(head->method_name, other->method_name) && other->method == head->method);
        HOLDS(str_equal(head->path, other->path) && str_equal(head->query, other->query));
        HOLDS(head->has_query == other->has_query);
        HOLDS(str_equal(head->authority, other->authority) && str_equal(head->host, other->host));
        HOLDS(head->body == other->body && head->content_length == other->content_length);
        HOLDS(head->expect_continue == other->expect_continue);
        HOLDS(head->upgrade_websocket == other->upgrade_websocket);
        HOLDS(!other->close_after && other->version == HTTP_1_1);
        HOLDS(other->keep_alive);
        fields_alike(&head->fields, &other->fields, false);
    }
    arena_reset(&again.arena);
    free(copy);
    free(text);
}

static void request_sound(struct subject *subject, const char *data)
{
    struct http_request_head *head = &subject->request;
    size_t len = subject->used;
    struct weir_str normal;
    HOLDS(inside(head->method_name, data, len) && inside(head->target, data, len));
    HOLDS(field_name_valid(head->method_name) && head->method != METHOD_CONNECT);
    HOLDS(head->target.len <= limits.target && head->version <= HTTP_1_1);
    HOLDS(head->body != BODY_CLOSE && head->body != BODY_TUNNEL);
    HOLDS(!(head->close_after && head->keep_alive));
    HOLDS(head->version >= HTTP_1_1 || !head->upgrade_websocket);
    if (str_equal(head->path, STR("*"))) {
        HOLDS(head->method == METHOD_OPTIONS && !head->has_query);
    } else {
        HOLDS(uri_normalise_path(head->path, &subject->arena, &normal));
        HOLDS(normal.ptr == head->path.ptr || str_equal(normal, head->path));
    }
    HOLDS(head->version == HTTP_1_0 || (head->authority.len > 0 && head->host.len > 0));
    HOLDS(!fields_have(&head->fields, FIELD_CONTENT_LENGTH) || head->body == BODY_LENGTH);
    fields_sound(&head->fields, data, len);
}

/* The head outlives what it was read from. */
static void moves(struct subject *subject, char *data, size_t len)
{
    const struct http_fields *fields =
        subject->response ? &subject->head.fields : &subject->request.fields;
    if (subject->response) {
        HOLDS(response_head_own(&subject->head, &subject->arena, data, len));
    } else {
        HOLDS(request_head_own(&subject->request, &subject->arena, data, len));
    }
    memset(data, '\n', len);
    for (uint32_t i = 0; i < fields->count; i++) {
        HOLDS(field_name_valid(fields->items[i].name) && field_value_valid(fields->items[i].value));
    }
    if (!subject->response) {
        request_round_trip(&subject->request);
    }
    HOLDS(!subject->response || field_value_valid(subject->head.reason));
}

void property_request(const uint8_t *data, size_t len)
{
    struct subject subject = {.response = false};
    char *copy = property_copy(data, len);
    enum h1_status status = parse_whole(&subject, copy, len);
    grows_alike(&subject, status, copy, len);
    if (status == H1_DONE) {
        request_sound(&subject, copy);
        fields_drop_hop_by_hop(&subject.request.fields);
        request_round_trip(&subject.request);
        moves(&subject, copy, subject.used);
    } else if (status == H1_ERROR) {
        HOLDS(subject.error.status >= 400 && subject.error.status != 502);
    }
    arena_reset(&subject.arena);
    free(copy);
}

/* ---- responses ---- */

static void response_round_trip(const struct subject *subject, unsigned choice)
{
    const struct http_response_head *head = &subject->head;
    struct h1_response_shape shape = {
        .client_version = HTTP_1_1,
        .close = (choice & 8) != 0,
        .chunked = head->body == BODY_CHUNKED || head->body == BODY_CLOSE,
        .upgrade = head->status == 101,
    };
    struct subject again = {.response = true, .method = subject->method};
    size_t size = h1_response_size(head);
    char *text = malloc(size);
    HOLDS(text != NULL);
    size_t len = h1_write_response(text, size, head, &shape);
    HOLDS(len > 0);
    lines_clean(text, len);
    HOLDS(h1_write_response(text, len, head, &shape) == len);
    HOLDS(h1_write_response(text, len - 1, head, &shape) == 0);
    HOLDS(h1_write_response(text, len, head, &shape) == len);

    enum h1_status status = parse_whole(&again, text, len);
    if (status == H1_ERROR) {
        /* Framing fields that the writer made anew may pass a limit. */
        HOLDS(strcmp(again.error.reason, "head_too_long") == 0 ||
              strcmp(again.error.reason, "too_many_fields") == 0);
    } else {
        HOLDS(status == H1_DONE && again.used == len && again.head.status == head->status);
        HOLDS(head->reason.len == 0 || str_equal(head->reason, again.head.reason));
        HOLDS(again.head.body == (head->body == BODY_CLOSE ? BODY_CHUNKED : head->body));
        HOLDS(again.head.has_content_length == head->has_content_length);
        HOLDS(again.head.content_length == head->content_length);
        HOLDS(again.head.keep_alive == (!shape.close || shape.upgrade));
        fields_alike(&head->fields, &again.head.fields, true);
    }
    arena_reset(&again.arena);
    free(text);
}

static void response_sound(const struct subject *subject, const char *data)
{
    const struct http_response_head *head = &subject->head;
    HOLDS(head->status >= 100 && head->status <= 599 && head->version <= HTTP_1_1);
    HOLDS(head->reason.len == 0 || inside(head->reason, data, subject->used));
    HOLDS(field_value_valid(head->reason));
    HOLDS(head->body != BODY_CLOSE || !head->keep_alive);
    HOLDS((head->body == BODY_TUNNEL) == (head->status == 101));
    if (subject->method == METHOD_HEAD || head->status == 204 || head->status == 304) {
        HOLDS(head->body == BODY_NONE || head->body == BODY_TUNNEL);
    }
    fields_sound(&head->fields, data, subject->used);
}

void property_response(const uint8_t *data, size_t len)
{
    static const enum http_method methods[] = {METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_GET};
    if (len == 0) {
        return;
    }
    struct subject subject = {.response = true, .method = methods[data[0] & 3]};
    char *copy = property_copy(data + 1, len - 1);
    enum h1_status status = parse_whole(&subject, copy, len - 1);
    grows_alike(&subject, status, copy, len - 1);
    if (status == H1_DONE) {
        response_sound(&subject, copy);
        moves(&subject, copy, subject.used);
    }
    arena_reset(&subject.arena);
    free(copy);
    if (status != H1_DONE) {
        HOLDS(status == H1_INCOMPLETE || subject.error.status == 502);
        return;
    }
    copy = property_copy(data + 1, len - 1);
    HOLDS(parse_whole(&subject, copy, len - 1) == H1_DONE);
    response_drop_hop_by_hop(&subject.head);
    response_round_trip(&subject, data[0]);
    arena_reset(&subject.arena);
    free(copy);
}
