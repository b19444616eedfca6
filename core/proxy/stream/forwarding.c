/* SPDX-License-Identifier: MIT */
/*
 * The client behind proxies, and the fields for servers. See forwarding.h.
 */
#include "proxy/stream/forwarding.h"

#include "http/forwarded.h"
#include "http/syntax.h"

/* The longest request id accepted from a proxy. */
#define REQUEST_ID_MAX 128u

static struct http_fields *request_fields(struct stream *stream)
{
    return &stream->exchange.request.fields;
}

/* ---- who the client is ---- */

/* Walks a list of addresses from its start. The result is that of a walk from its end that stops at
 * the first address that is not trusted (or malformed). */
struct walk {
    const struct listener_plan *plan;
    struct address found;
    bool any, untrusted;
};

static void walk_node(struct walk *walk, struct weir_str node)
{
    struct address address;

    if (!forwarded_node_address(node, &address)) {
        walk->any = walk->untrusted = false; /* what is before it cannot be known */
    } else if (!downstream_trusts(walk->plan, &address)) {
        walk->found = address;
        walk->any = walk->untrusted = true;
    } else if (!walk->any) {
        walk->found = address;
        walk->any = true;
    }
}

static void take_proto(struct stream *stream, struct weir_str proto)
{
    if (str_equal_nocase(proto, STR("https"))) {
        stream->https = true;
    } else if (str_equal_nocase(proto, STR("http"))) {
        stream->https = false;
    }
}

/* Reads a trusted proxy's Forwarded. false: there is none, or it is malformed and ignored. */
static bool believe_forwarded(struct stream *stream, struct walk *walk)
{
    struct http_fields *fields = request_fields(stream);
    const struct http_field *field = fields_find(fields, FIELD_FORWARDED);
    struct forwarded_element element;
    struct weir_str proto = {NULL, 0};

    if (!stream->listener->settings->forwarded || field == NULL) {
        return false;
    }
    for (; field != NULL; field = fields_next(fields, FIELD_FORWARDED, field)) {
        struct weir_str list = field->value;
        enum forwarded_result result = FORWARDED_ELEMENT;
        while ((result = forwarded_next(&list, &element)) == FORWARDED_ELEMENT) {
            walk_node(walk, element.node);
            proto = element.proto;
        }
        if (result == FORWARDED_BAD) {
            fields_drop(fields, FIELD_FORWARDED);
            *walk = (struct walk){.plan = walk->plan};
            return false;
        }
    }
    take_proto(stream, proto);
    return true;
}

/* The client is trusted: reads Forwarded, else X-Forwarded-Proto and -For. Several lines of a field
 * are one list (RFC 9110 section 5.3); of several schemes the last one is the nearest proxy's. */
static void believe(struct stream *stream)
{
    const struct http_fields *fields = request_fields(stream);
    struct walk walk = {.plan = stream->listener};

    if (!believe_forwarded(stream, &walk)) {
        struct field_walk protos = {0}, nodes = {0};
        struct weir_str item;
        while (fields_next_element(fields, FIELD_X_FORWARDED_PROTO, &protos, &item)) {
            take_proto(stream, item);
        }
        while (fields_next_element(fields, FIELD_X_FORWARDED_FOR, &nodes, &item)) {
            if (item.len > 0) {
                walk_node(&walk, item);
            }
        }
    }
    if (walk.any) {
        char text[ADDRESS_TEXT_SIZE];
        size_t len = address_text(&walk.found, text, sizeof(text));
        struct weir_str copy = arena_copy(&stream->exchange.arena, (struct weir_str){text, len});
        if (copy.ptr != NULL) {
            stream->peer = (struct weir_peer){copy, address_port(&walk.found)};
        }
    }
}

struct weir_peer forwarding_peer(const struct stream *stream)
{
    const struct downstream *downstream = stream->downstream;
    return stream->peer.address.ptr != NULL
               ? stream->peer
               : (struct weir_peer){downstream_peer_text(downstream), downstream->peer_port};
}

/* Keeps a trusted proxy's request id if there is exactly one and it is well-formed. */
static bool take_id(struct stream *stream)
{
    struct http_fields *fields = request_fields(stream);
    struct weir_str name = stream->listener->settings->request_id_header;
    const struct http_field *field = fields_find_name(fields, name);
    struct weir_str id = field != NULL ? field->value : (struct weir_str){NULL, 0};

    if (field_id_of(name) == FIELD_OTHER) { /* other spellings of X-Request-Id are removed */
        fields_drop_aliases(fields, name);
    }
    if (field == NULL || fields_drop_name(fields, name) != 1 || !stream->downstream->trusted ||
        id.len == 0 || id.len > REQUEST_ID_MAX || !syntax_all(id, SYNTAX_VISIBLE) ||
        memchr(id.ptr, '"', id.len) != NULL || memchr(id.ptr, '\\', id.len) != NULL ||
        memchr(id.ptr, ',', id.len) != NULL) {
        return false;
    }
    stream->request_id = id; /* sent as one of the extras */
    return true;
}

void forwarding_begin(struct stream *stream, bool readable)
{
    struct http_fields *fields = request_fields(stream);
    const struct listener_settings *settings = stream->listener->settings;
    bool trusted = stream->downstream->trusted;

    stream->https = stream->downstream->tls;
    /* Aliases are never passed on, not even a trusted proxy's: they may come from someone before
     * it. */
    if (unlikely(fields_have(fields, FIELD_ALIAS)) && readable) {
        fields_drop(fields, FIELD_ALIAS);
    }
    if (settings->drop_identity_headers && !trusted && readable) {
        for (uint32_t i = 0; i < fields->count; i++) { /* such fields are a proxy's to send */
            struct http_field *field = &fields->items[i];
            field->dropped |= field->id == FIELD_OTHER && field_name_identifies(field->name);
        }
    }
    if (unlikely(trusted) && readable) {
        believe(stream);
    }
    if (settings->request_id_header.len > 0 && !(readable && take_id(stream))) {
        random_ids_next(&stream->home->ids, stream->request_id_text);
        stream->request_id = (struct weir_str){stream->request_id_text, RANDOM_ID_SIZE};
    }
}

void forwarding_response(struct stream *stream)
{
    const struct listener_settings *settings = stream->listener->settings;
    struct exchange *exchange = &stream->exchange;

    if (settings->request_id_response && stream->request_id.len > 0) {
        fields_drop_name(&exchange->response.fields, settings->request_id_header);
        fields_add(&exchange->response.fields, &exchange->arena, settings->request_id_header,
                   stream->request_id);
    }
}

/* ---- what the server is told ---- */

/* `known`: constant or built here, free of peer text that a filter may have changed. */
static void extra_add(struct stream *stream, struct weir_str name, struct weir_str value,
                      bool known)
{
    if (value.len > 0) {
        stream->extras[stream->extra_count++] = (struct http_extra){name, value, known};
    }
}

/* A list that each proxy extends: a trusted client's own fields, joined, then `last`. false: out of
 * memory. */
static bool extra_append(struct stream *stream, enum field_id id, struct weir_str name,
                         struct weir_str last)
{
    struct http_fields *fields = request_fields(stream);
    const struct http_field *field = fields_find(fields, id);
    struct weir_str value = {NULL, 0};

    if (field != NULL) {
        for (; field != NULL && stream->downstream->trusted;
             field = fields_next(fields, id, field)) {
            value = value.len == 0          ? field->value
                    : field->value.len == 0 ? value
                                            : arena_printf(&stream->exchange.arena, "%.*s, %.*s",
                                                           STR_ARGS(value), STR_ARGS(field->value));
        }
        fields_drop(fields, id);
    }
    value = value.len == 0 ? last
                           : arena_printf(&stream->exchange.arena, "%.*s, %.*s", STR_ARGS(value),
                                          STR_ARGS(last));
    extra_add(stream, name, value, value.ptr == last.ptr && id == FIELD_X_FORWARDED_FOR);
    return value.ptr != NULL;
}

/* The client's own value stays if its address is trusted; else ours replaces it. */
static void extra_set(struct stream *stream, enum field_id id, struct weir_str name,
                      struct weir_str value, bool known)
{
    struct http_fields *fields = request_fields(stream);

    if (fields_have(fields, id) && !stream->downstream->trusted) {
        fields_drop(fields, id);
    }
    if (!fields_have(fields, id)) {
        extra_add(stream, name, value, known);
    }
}

/* The local port in digits; empty: a Unix socket. */
static struct weir_str port_text(struct stream *stream)
{
    char *end = stream->port_text + sizeof(stream->port_text), *at = end;

    for (uint16_t port = stream->downstream->port; port > 0; port /= 10) {
        *--at = (char)('0' + port % 10);
    }
    return (struct weir_str){at, (size_t)(end - at)};
}

bool forwarding_fields(struct stream *stream)
{
    static const struct weir_str vias[] = {
        [HTTP_1_0] = WEIR_STR_INIT("1.0 weir"),
        [HTTP_1_1] = WEIR_STR_INIT("1.1 weir"),
        [HTTP_2] = WEIR_STR_INIT("2.0 weir"),
    };
    const struct http_request_head *head = &stream->exchange.request;
    const struct listener_settings *settings = stream->listener->settings;
    struct http_fields *fields = request_fields(stream);
    struct weir_str scheme = stream->downstream->tls ? STR("https") : STR("http");

    stream->extra_count = 0;
    if (!extra_append(stream, FIELD_X_FORWARDED_FOR, STR("X-Forwarded-For"),
                      downstream_peer_text(stream->downstream))) {
        return false;
    }
    if (settings->forwarded) {
        struct address peer, local;
        downstream_ends(stream->downstream, &peer, &local);
        struct weir_str ours =
            forwarded_make(&stream->exchange.arena, &peer, scheme, head->authority);
        if (ours.ptr == NULL || !extra_append(stream, FIELD_FORWARDED, STR("Forwarded"), ours)) {
            return false;
        }
    } else if (!stream->downstream->trusted && fields_have(fields, FIELD_FORWARDED)) {
        fields_drop(fields, FIELD_FORWARDED);
    }
    extra_set(stream, FIELD_X_FORWARDED_PROTO, STR("X-Forwarded-Proto"), scheme, true);
    extra_set(stream, FIELD_X_FORWARDED_HOST, STR("X-Forwarded-Host"), head->authority, false);
    if (stream->downstream->port == 0) {
        fields_drop(fields, FIELD_X_FORWARDED_PORT);
    }
    extra_set(stream, FIELD_X_FORWARDED_PORT, STR("X-Forwarded-Port"), port_text(stream), true);
    /* A request id that a filter has set stays. */
    if (stream->request_id.len > 0 &&
        fields_find_name(fields, settings->request_id_header) == NULL) {
        extra_add(stream, settings->request_id_header, stream->request_id, true);
    }
    extra_add(stream, STR("Via"), vias[head->version], true);
    return true;
}
