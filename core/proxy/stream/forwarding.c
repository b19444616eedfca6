/* SPDX-License-Identifier: MIT */
/*
 * The client behind proxies, and what servers are told. See forwarding.h.
 */
#include "proxy/stream/forwarding.h"

#include "http/forwarded.h"
#include "http/syntax.h"

/* The longest request id that is taken from a proxy. */
#define REQUEST_ID_MAX 128u

static struct http_fields *request_fields(struct stream *stream)
{
    return &stream->exchange.request.fields;
}

/* ---- who the client is ---- */

/* A list of addresses, walked from its beginning. The answer is what a walk from its end, which stops at the
 * first address that is not trusted (or makes no sense), would find. */
struct walk {
    const struct listener_plan *plan;
    struct address found;
    bool any, untrusted;
};

static void walk_node(struct walk *walk, struct weir_str node)
{
    struct address address;

    if (!forwarded_node_address(node, &address)) {
        walk->any = walk->untrusted = false; /* who stands before it cannot be known */
    } else if (!downstream_trusts(walk->plan, &address)) {
        walk->found = address;
        walk->any = walk->untrusted = true;
    } else if (!walk->any) {
        walk->found = address;
        walk->any = true;
    }
}

static void walk_x_forwarded_for(struct walk *walk, struct stream *stream)
{
    const struct http_fields *fields = request_fields(stream);

    for (uint32_t i = 0; i < fields->count; i++) {
        struct weir_str list = fields->items[i].value;
        struct weir_str node;
        if (fields->items[i].id != FIELD_X_FORWARDED_FOR || fields->items[i].dropped) {
            continue;
        }
        while (syntax_list_next(&list, &node)) {
            if (node.len > 0) {
                walk_node(walk, node);
            }
        }
    }
}

/* Forwarded as a trusted proxy sent it. false: malformed, and nothing of it counts. */
static bool walk_forwarded(struct walk *walk, struct stream *stream, struct weir_str *proto)
{
    const struct http_fields *fields = request_fields(stream);
    struct forwarded_element element;

    for (uint32_t i = 0; i < fields->count; i++) {
        struct weir_str list = fields->items[i].value;
        enum forwarded_result result = FORWARDED_ELEMENT;
        if (fields->items[i].id != FIELD_FORWARDED || fields->items[i].dropped) {
            continue;
        }
        while ((result = forwarded_next(&list, &element)) == FORWARDED_ELEMENT) {
            walk_node(walk, element.node);
            *proto = element.proto;
        }
        if (result == FORWARDED_BAD) {
            return false;
        }
    }
    return true;
}

static void take_proto(struct stream *stream, struct weir_str proto)
{
    if (str_equal_nocase(proto, STR("https"))) {
        stream->https = true;
    } else if (str_equal_nocase(proto, STR("http"))) {
        stream->https = false;
    }
}

/* X-Forwarded-Proto; of several the last one, which the nearest proxy has set. Several lines are one list
 * (RFC 9110 section 5.3). */
static void take_x_forwarded_proto(struct stream *stream)
{
    const struct http_fields *fields = request_fields(stream);
    struct weir_str word = {NULL, 0};

    if (!fields_have(fields, FIELD_X_FORWARDED_PROTO)) {
        return;
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        struct weir_str list = fields->items[i].value;
        if (fields->items[i].id != FIELD_X_FORWARDED_PROTO || fields->items[i].dropped) {
            continue;
        }
        while (syntax_list_next(&list, &word)) {
            take_proto(stream, word);
        }
    }
}

static void take_peer(struct stream *stream, const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    struct weir_str slice = {text, address_text(address, text, sizeof(text))};

    slice = arena_copy(&stream->exchange.arena, slice);
    if (slice.ptr != NULL) {
        stream->peer = (struct weir_peer){slice, address_port(address)};
    }
}

/* The listener believes this client's fields. */
static void believe(struct stream *stream)
{
    struct http_fields *fields = request_fields(stream);
    struct walk walk = {.plan = stream->listener};
    bool forwarded = false;

    if (stream->listener->settings->forwarded && fields_have(fields, FIELD_FORWARDED)) {
        struct weir_str proto = {NULL, 0};
        forwarded = walk_forwarded(&walk, stream, &proto);
        if (forwarded) {
            take_proto(stream, proto);
        } else {
            fields_drop(fields, FIELD_FORWARDED);
            walk = (struct walk){.plan = stream->listener};
        }
    }
    if (!forwarded) {
        take_x_forwarded_proto(stream);
        if (fields_have(fields, FIELD_X_FORWARDED_FOR)) {
            walk_x_forwarded_for(&walk, stream);
        }
    }
    if (walk.any) {
        take_peer(stream, &walk.found);
    }
}

struct weir_peer forwarding_peer(const struct stream *stream)
{
    const struct downstream *client = stream->client;

    if (stream->peer.address.ptr != NULL) {
        return stream->peer;
    }
    return (struct weir_peer){downstream_peer_text(client), client->peer_port};
}

/* ---- the request's id ---- */

static bool id_well_formed(struct weir_str id)
{
    return id.len > 0 && id.len <= REQUEST_ID_MAX && syntax_all(id, SYNTAX_VISIBLE) &&
           memchr(id.ptr, '"', id.len) == NULL && memchr(id.ptr, '\\', id.len) == NULL &&
           memchr(id.ptr, ',', id.len) == NULL;
}

static void make_id(struct stream *stream)
{
    random_ids_next(&stream->worker->ids, stream->request_id_text);
    stream->request_id = (struct weir_str){stream->request_id_text, RANDOM_ID_SIZE};
}

/* A trusted proxy's id is kept, where it is one and well-formed; else it is made anew. */
static void take_id(struct stream *stream)
{
    struct http_fields *fields = request_fields(stream);
    struct weir_str name = stream->listener->settings->request_id_header;
    struct http_field *field = fields_find_name(fields, name);
    struct weir_str id = field != NULL ? field->value : (struct weir_str){NULL, 0};

    if (field_id_of(name) == FIELD_OTHER) { /* those of X-Request-Id are gone */
        fields_drop_aliases(fields, name);
    }
    if (field != NULL && fields_drop_name(fields, name) == 1 && stream->client->trusted &&
        id_well_formed(id)) {
        stream->request_id = id; /* sent on as one of the extras */
        return;
    }
    make_id(stream);
}

/* What servers might take for a proxy's word, of somebody who is no proxy. */
static void drop_identity(struct http_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        struct http_field *field = &fields->items[i];
        if (field->id == FIELD_OTHER && field_name_identifies(field->name)) {
            field->dropped = true;
        }
    }
}

void forwarding_begin(struct stream *stream)
{
    struct http_fields *fields = request_fields(stream);

    stream->https = stream->client->tls;
    /* Nobody's alias is passed on, a trusted proxy's neither: it may come from whoever stands before it. */
    if (unlikely(fields_have(fields, FIELD_ALIAS))) {
        fields_drop(fields, FIELD_ALIAS);
    }
    if (stream->listener->settings->drop_identity_headers && !stream->client->trusted) {
        drop_identity(fields);
    }
    if (unlikely(stream->client->trusted)) {
        believe(stream);
    }
    if (stream->listener->settings->request_id_header.len > 0) {
        take_id(stream);
    }
}

void forwarding_begin_refused(struct stream *stream)
{
    stream->https = stream->client->tls;
    if (stream->listener->settings->request_id_header.len > 0) {
        make_id(stream);
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

/* The values of all fields of that id as one list, with `last` behind; .ptr NULL: no memory. */
static struct weir_str appended(struct stream *stream, enum field_id id, struct weir_str last)
{
    const struct http_fields *fields = request_fields(stream);
    struct arena *arena = &stream->exchange.arena;
    struct weir_str value = {NULL, 0};

    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (field->id != id || field->dropped || field->value.len == 0) {
            continue;
        }
        value = value.len == 0
                    ? field->value
                    : arena_printf(arena, "%.*s, %.*s", STR_ARGS(value), STR_ARGS(field->value));
    }
    return value.len == 0 ? last
                          : arena_printf(arena, "%.*s, %.*s", STR_ARGS(value), STR_ARGS(last));
}

static void extra_add(struct stream *stream, struct weir_str name, struct weir_str value)
{
    if (value.len > 0) {
        stream->extras[stream->extra_count++] = (struct http_extra){name, value};
    }
}

/* The client's own word counts where its address is trusted; else ours replaces it. */
static void extra_set(struct stream *stream, enum field_id id, struct weir_str name,
                      struct weir_str value)
{
    struct http_fields *fields = request_fields(stream);
    if (fields_have(fields, id)) {
        if (stream->client->trusted) {
            return;
        }
        fields_drop(fields, id);
    }
    extra_add(stream, name, value);
}

static bool add_forwarded_for(struct stream *stream)
{
    const struct downstream *client = stream->client;
    struct weir_str value = downstream_peer_text(client);

    if (fields_have(request_fields(stream), FIELD_X_FORWARDED_FOR)) {
        if (client->trusted) {
            value = appended(stream, FIELD_X_FORWARDED_FOR, value);
        }
        fields_drop(request_fields(stream), FIELD_X_FORWARDED_FOR);
    }
    extra_add(stream, STR("X-Forwarded-For"), value);
    return value.ptr != NULL;
}

static void add_forwarded_port(struct stream *stream)
{
    uint16_t port = stream->client->port;
    char *end = stream->port_text + sizeof(stream->port_text), *at = end;

    if (port == 0) { /* a Unix socket */
        fields_drop(request_fields(stream), FIELD_X_FORWARDED_PORT);
        return;
    }
    for (; port > 0; port /= 10) {
        *--at = (char)('0' + port % 10);
    }
    extra_set(stream, FIELD_X_FORWARDED_PORT, STR("X-Forwarded-Port"),
              (struct weir_str){at, (size_t)(end - at)});
}

/* Forwarded: a stranger's is dropped always; with the option on, ours is added. */
static bool add_forwarded(struct stream *stream)
{
    struct exchange *exchange = &stream->exchange;
    const struct downstream *client = stream->client;
    bool there = fields_have(request_fields(stream), FIELD_FORWARDED);

    if (there && !client->trusted) {
        fields_drop(request_fields(stream), FIELD_FORWARDED);
        there = false;
    }
    if (!stream->listener->settings->forwarded) {
        return true;
    }
    struct address peer, bound;
    downstream_ends(client, &peer, &bound);
    struct weir_str value =
        forwarded_make(&exchange->arena, &peer, client->tls ? STR("https") : STR("http"),
                       exchange->request.authority);
    if (value.ptr != NULL && there) {
        value = appended(stream, FIELD_FORWARDED, value);
        fields_drop(request_fields(stream), FIELD_FORWARDED);
    }
    extra_add(stream, STR("Forwarded"), value);
    return value.ptr != NULL;
}

/* What a filter has set in its place stays. */
static void add_request_id(struct stream *stream)
{
    struct weir_str name = stream->listener->settings->request_id_header;

    if (stream->request_id.len > 0 && fields_find_name(request_fields(stream), name) == NULL) {
        extra_add(stream, name, stream->request_id);
    }
}

bool forwarding_fields(struct stream *stream)
{
    static const struct weir_str vias[] = {
        [HTTP_1_0] = WEIR_STR_INIT("1.0 weir"),
        [HTTP_1_1] = WEIR_STR_INIT("1.1 weir"),
        [HTTP_2] = WEIR_STR_INIT("2.0 weir"),
    };
    const struct http_request_head *head = &stream->exchange.request;

    stream->extra_count = 0;
    if (!add_forwarded_for(stream) || !add_forwarded(stream)) {
        return false;
    }
    extra_set(stream, FIELD_X_FORWARDED_PROTO, STR("X-Forwarded-Proto"),
              stream->client->tls ? STR("https") : STR("http"));
    extra_set(stream, FIELD_X_FORWARDED_HOST, STR("X-Forwarded-Host"), head->authority);
    add_forwarded_port(stream);
    add_request_id(stream);
    extra_add(stream, STR("Via"), vias[head->version]);
    return true;
}
