/* SPDX-License-Identifier: MIT */
/*
 * Field sections of HTTP/2 (RFC 9113 section 8): what HPACK has decoded becomes a head. nghttp2 has
 * checked names, values, the order and number of pseudo-header fields, that no field belongs to the
 * connection, and that content-length is a number.
 */
#include "http/h1_fields.h"
#include "http/h2.h"
#include "http/syntax.h"
#include "http/uri.h"
#include "http/websocket.h"

#define METHOD_LIMIT 64u
/* What a field counts beside its bytes once its section is refused, as section 6.5.2 of RFC 9113
 * says: many of a byte each are dear as well. */
#define FIELD_OVERHEAD 32u

static void refuse(struct h2_section *section, uint16_t status, const char *reason)
{
    if (section->refused.status == 0) {
        section->refused = (struct http_error){status, reason};
    }
}

/* Where a pseudo-header field is kept; NULL: nobody asks for it. */
static struct weir_str *pseudo_place(struct h2_section *section, struct weir_str name)
{
    const struct {
        struct weir_str name;
        struct weir_str *place;
    } places[] = {
        {STR(":method"), &section->method},       {STR(":path"), &section->path},
        {STR(":authority"), &section->authority}, {STR(":scheme"), &section->scheme},
        {STR(":protocol"), &section->protocol},   {STR(":status"), &section->status},
    };

    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        if (str_equal(places[i].name, name)) {
            return places[i].place;
        }
    }
    return NULL;
}

void h2_section_add(struct h2_section *section, const struct http_limits *limits,
                    struct weir_str name, struct weir_str value)
{
    bool pseudo = name.len > 0 && name.ptr[0] == ':';

    section->bytes += (uint32_t)(name.len + value.len);
    if (unlikely(section->refused.status != 0)) {
        section->bytes += FIELD_OVERHEAD;
        return; /* HPACK has decoded it, and stays in step */
    }
    if (section->bytes > limits->head) {
        refuse(section, 431, "head_too_long");
    } else if (!pseudo && section->fields.count >= limits->fields) {
        refuse(section, 431, "too_many_fields");
    } else if (pseudo && value.len > limits->target && str_equal(name, STR(":path"))) {
        refuse(section, 414, "target_too_long");
    }
    if (section->refused.status != 0) {
        return;
    }
    /* As in a line of HTTP/1: such fields are written there in one piece. */
    char *copy = arena_bytes(section->arena, name.len + 2 + value.len);
    struct http_field *field = NULL;
    if (copy == NULL ||
        (!pseudo && (field = fields_append(&section->fields, section->arena)) == NULL)) {
        refuse(section, 431, "head_too_large");
        return;
    }
    memcpy(copy, name.ptr, name.len);
    memcpy(copy + name.len, ": ", 2);
    memcpy(copy + name.len + 2, value.ptr, value.len);
    name.ptr = copy;
    value.ptr = copy + name.len + 2;
    if (pseudo) {
        struct weir_str *place = pseudo_place(section, name);
        if (place != NULL) {
            *place = value;
        }
        return;
    }
    *field = (struct http_field){.name = name, .value = value, .id = (uint16_t)field_id_of(name)};
    if (field->id != FIELD_OTHER) {
        section->cookies += field->id == FIELD_COOKIE;
        section->hosts += field->id == FIELD_HOST;
        section->fields.seen |= UINT64_C(1) << field->id;
    }
}

/* Crumbs become one field again (section 8.2.3). */
static bool join_cookies(struct h2_section *section)
{
    struct http_fields *fields = &section->fields;
    struct http_field *first = fields_find(fields, FIELD_COOKIE);
    size_t len = 0;

    for (const struct http_field *field = first; field != NULL;
         field = fields_next(fields, FIELD_COOKIE, field)) {
        len += field->value.len + 2;
    }
    char *all = arena_bytes(section->arena, len);
    if (all == NULL) {
        return false;
    }
    char *at = all;
    for (struct http_field *field = first; field != NULL;) {
        struct http_field *next = fields_next(fields, FIELD_COOKIE, field);
        first->secret = first->secret || field->secret;
        if (at > all && field->value.len > 0) { /* no blank at the end behind an empty one */
            memcpy(at, "; ", 2);
            at += 2;
        }
        memcpy(at, field->value.ptr, field->value.len);
        at += field->value.len;
        field->dropped = field != first;
        field = next;
    }
    first->value = (struct weir_str){all, (size_t)(at - all)};
    return true;
}

static bool no(struct http_error *error, uint16_t status, const char *reason)
{
    *error = (struct http_error){status, reason};
    return false;
}

/* `:authority` or, without it, Host; where both are there they say the same (section 8.3.1). */
static bool judge_authority(struct h2_section *section, struct http_request_head *head,
                            struct http_error *error)
{
    const struct http_field *host = fields_find(&head->fields, FIELD_HOST);
    uint16_t port = 0;

    if (section->hosts > 1) {
        return no(error, 400, "host_repeated");
    }
    head->authority = section->authority;
    if (head->authority.len == 0 && host != NULL) {
        head->authority = host->value;
    }
    if (head->authority.len == 0) {
        return no(error, 400, "host_missing");
    }
    if (!uri_parse_authority(head->authority, section->arena, &head->host, &port)) {
        return no(error, 400, "bad_host");
    }
    if (host != NULL && !str_equal_nocase(host->value, head->authority)) {
        return no(error, 400, "host_differs");
    }
    if (host != NULL) {
        return true;
    }
    /* For who looks for it among the fields, as in HTTP/1. Its text was checked just now. */
    struct http_field *field = fields_append(&head->fields, section->arena);
    if (field == NULL) {
        return no(error, 431, "head_too_large");
    }
    *field = (struct http_field){.name = STR("host"), .value = head->authority, .id = FIELD_HOST};
    head->fields.seen |= UINT64_C(1) << FIELD_HOST;
    return true;
}

/* A WebSocket over HTTP/2 (RFC 8441) is for everything behind this codec what it is in HTTP/1, with
 * a key for the server to answer to. */
static bool judge_connect(const struct h2_section *section, bool end,
                          struct http_request_head *head, struct http_error *error)
{
    if (!syntax_equals(section->protocol, "websocket")) {
        return no(error, 501, "connect_unsupported");
    }
    if (end) {
        return no(error, 400, "ended_websocket");
    }
    head->upgrade_websocket = true;
    head->method_name = STR("GET");
    head->method = METHOD_GET;
    struct weir_str key = websocket_key(section->arena);
    return (key.ptr != NULL && fields_set(&head->fields, section->arena, WEBSOCKET_KEY, key)) ||
           no(error, 431, "head_too_large");
}

bool h2_request_head(struct h2_section *section, bool end, struct http_request_head *head,
                     struct http_error *error)
{
    struct arena *arena = section->arena;
    struct h1_framing framing;

    *head = (struct http_request_head){
        .method_name = section->method,
        .method = method_of(section->method),
        .target = section->path,
        .version = HTTP_2,
        .fields = section->fields,
        .keep_alive = true,
    };
    if (section->refused.status != 0) {
        *error = section->refused;
        return false;
    }
    if (section->method.len > METHOD_LIMIT) {
        return no(error, 501, "method_too_long");
    }
    if (!field_name_valid(section->method)) {
        return no(error, 400, "bad_method");
    }
    if (head->method == METHOD_CONNECT && !judge_connect(section, end, head, error)) {
        return false;
    }
    if (!judge_authority(section, head, error)) {
        return false;
    }
    if (head->target.len == 1 && head->target.ptr[0] == '*' && head->method == METHOD_OPTIONS) {
        head->form = TARGET_ASTERISK;
        head->path = head->target;
    } else if (head->target.len == 0 || head->target.ptr[0] != '/') {
        return no(error, 400, "bad_target");
    } else if (!request_judge_path(head->target, arena, head, error)) {
        return false;
    }
    if (section->cookies > 1 && !join_cookies(section)) {
        return no(error, 431, "head_too_large");
    }
    if (!h1_read_framing(&head->fields, &framing, error)) {
        return false;
    }
    if (head->upgrade_websocket) {
        if (framing.has_length) {
            return no(error, 400, "bad_content_length");
        }
    } else if (framing.has_length) {
        head->body = BODY_LENGTH;
        head->content_length = framing.length;
    } else if (!end) {
        head->body = BODY_CHUNKED;
    }
    head->te_trailers = fields_list_has(&head->fields, FIELD_TE, STR("trailers"));
    return !fields_have(&head->fields, FIELD_EXPECT) || request_judge_expect(head, error);
}

bool h2_response_head(struct h2_section *section, bool end, enum http_method method,
                      struct http_response_head *head, struct http_error *error)
{
    unsigned status = 0;
    struct h1_framing framing;

    for (size_t i = 0; i < section->status.len && i < 4; i++) { /* three digits, says nghttp2 */
        status = status * 10 + (unsigned)(section->status.ptr[i] - '0');
    }
    *head = (struct http_response_head){.status = (uint16_t)status,
                                        .version = HTTP_2,
                                        .fields = section->fields,
                                        .keep_alive = true};
    if (section->refused.status != 0) {
        return no(error, 502, section->refused.reason);
    }
    if (status < 100 || status > 599 || status == 101) { /* section 8.6 */
        return no(error, 502, "bad_status");
    }
    if (!h1_read_framing(&head->fields, &framing, error)) {
        error->status = 502;
        return false;
    }
    bool bare = method == METHOD_HEAD || status < 200 || status == 204 || status == 304;
    head->has_content_length = framing.has_length && status >= 200 && status != 204;
    head->content_length = framing.length;
    if (status == 205 && framing.length > 0) {
        return no(error, 502, "content_in_205");
    }
    if (status == 205 && !bare) { /* has no content; see h1_response.c */
        head->has_content_length = true;
    } else if (!bare) {
        head->body = framing.has_length ? BODY_LENGTH : end ? BODY_NONE : BODY_CHUNKED;
        if (head->body == BODY_NONE) { /* ends at once: nobody else knows that of this head */
            head->body = BODY_LENGTH;
            head->has_content_length = true;
        }
    }
    return true;
}
