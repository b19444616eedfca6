/* SPDX-License-Identifier: MIT */
/*
 * The request half of the host's table: implements http.h on streams.
 */
#include "http/uri.h"
#include "proxy/stream/forwarding.h"
#include "proxy/stream/stream_filter.h"

static struct weir_str request_str(const struct weir_request *req, enum weir_request_str which)
{
    const struct stream *stream = stream_of_request(req);
    const struct http_request_head *head = &stream->exchange.request;
    const struct server_local *served = stream->attempt.served;
    const struct weir_str none = {NULL, 0};

    switch (which) {
    case WEIR_REQUEST_METHOD: return head->method_name;
    case WEIR_REQUEST_SCHEME: return stream->https ? STR("https") : STR("http");
    case WEIR_REQUEST_HOST: return head->host;
    case WEIR_REQUEST_AUTHORITY: return head->authority;
    case WEIR_REQUEST_PATH: return head->path;
    case WEIR_REQUEST_QUERY: return head->query;
    case WEIR_REQUEST_TARGET: return head->target;
    case WEIR_REQUEST_PROTOCOL: return http_version_word(head->version);
    case WEIR_REQUEST_LISTENER: return stream->listener->settings->name;
    case WEIR_REQUEST_POOL: return stream->pool != NULL ? stream->pool->settings->name : none;
    case WEIR_REQUEST_ROUTE: return stream->route != NULL ? stream->route->name : none;
    case WEIR_REQUEST_SERVER: return served != NULL ? str_from(served->server->name) : none;
    case WEIR_REQUEST_SERVER_URL: return served != NULL ? served->server->url.text : none;
    case WEIR_REQUEST_TLS_VERSION:
        return stream->downstream->tls && downstream_conn(stream->downstream) != NULL
                   ? str_from(SSL_get_version(conn_ssl(downstream_conn(stream->downstream))))
                   : none;
    case WEIR_REQUEST_TLS_NAME:
        return stream->downstream->tls && downstream_conn(stream->downstream) != NULL
                   ? downstream_tls_name(stream->downstream)
                   : none;
    case WEIR_REQUEST_ID: return stream->request_id;
    }
    return none;
}

static struct weir_peer request_peer(const struct weir_request *req)
{
    return forwarding_peer(stream_of_request(req));
}

static bool request_tls(const struct weir_request *req)
{
    return stream_of_request(req)->downstream->tls;
}

static bool request_credentials(const struct weir_request *req, struct weir_credentials *out)
{
    const struct downstream *downstream = stream_of_request(req)->downstream;
    const struct conn *conn = downstream_conn(downstream);
    struct ucred credentials;
    int domain = AF_UNSPEC;
    socklen_t len = sizeof(credentials), domain_len = sizeof(domain);

    /* A client behind a proxy is not the socket's peer. */
    if (downstream_is_told(downstream) || conn == NULL ||
        getsockopt(conn->fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) != 0 ||
        domain != AF_UNIX ||
        getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0) {
        return false;
    }
    *out = (struct weir_credentials){credentials.uid, credentials.gid, credentials.pid};
    return true;
}

static bool find_field(const struct http_fields *fields, struct weir_str name,
                       struct weir_str *value)
{
    const struct http_field *field = fields_find_name(fields, name);
    if (field == NULL) {
        return false;
    }
    *value = field->value;
    return true;
}

static size_t live_fields(const struct http_fields *fields)
{
    size_t count = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        count += !fields->items[i].dropped;
    }
    return count;
}

static struct weir_field live_field(const struct http_fields *fields, size_t index)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (!fields->items[i].dropped && index-- == 0) {
            return (struct weir_field){fields->items[i].name, fields->items[i].value};
        }
    }
    return (struct weir_field){{NULL, 0}, {NULL, 0}};
}

/* Only the core sets fields that frame the message or belong to one connection. */
static bool may_change(struct weir_str name)
{
    switch (field_id_of(name)) {
    case FIELD_CONNECTION:
    case FIELD_CONTENT_LENGTH:
    case FIELD_HTTP2_SETTINGS:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TE:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE: return false;
    default: return field_name_valid(name);
    }
}

/* Adds a field, or replaces those of its name; out of memory: changes nothing. */
static enum weir_status put_field(struct exchange *exchange, struct http_fields *fields, bool open,
                                  bool set, struct weir_str name, struct weir_str value)
{
    struct arena *arena = &exchange->arena;

    if (!open || !may_change(name) || !field_value_valid(value)) {
        return WEIR_INVALID;
    }
    name = arena_copy(arena, name);
    value = arena_copy(arena, value);
    bool done =
        name.ptr != NULL && value.ptr != NULL &&
        (set ? fields_set(fields, arena, name, value) : fields_add(fields, arena, name, value));
    return done ? WEIR_OK : WEIR_NO_MEMORY;
}

static bool request_header(const struct weir_request *req, struct weir_str name,
                           struct weir_str *value)
{
    return find_field(&stream_of_request(req)->exchange.request.fields, name, value);
}

static size_t request_field_count(const struct weir_request *req)
{
    return live_fields(&stream_of_request(req)->exchange.request.fields);
}

static struct weir_field request_field(const struct weir_request *req, size_t index)
{
    return live_field(&stream_of_request(req)->exchange.request.fields, index);
}

/* Where a module sets or removes a field, also drops the client's aliases, which servers that take
 * '_' for '-' would read in its place. */
static void drop_aliases(struct stream *stream, struct weir_str name)
{
    if (memchr(name.ptr, '-', name.len) != NULL) {
        fields_drop_aliases(&stream->exchange.request.fields, name);
    }
}

static enum weir_status request_put(struct weir_request *req, bool set, struct weir_str name,
                                    struct weir_str value)
{
    struct stream *stream = stream_of_request(req);
    if (stream->attempt.asks_shadow) {
        return WEIR_DECLINED;
    }
    return put_field(&stream->exchange, &stream->exchange.request.fields,
                     stream->request_open || stream->phase < PHASE_SENT, set, name, value);
}

static enum weir_status request_set_header(struct weir_request *req, struct weir_str name,
                                           struct weir_str value)
{
    enum weir_status status = request_put(req, true, name, value);
    if (status == WEIR_OK) {
        drop_aliases(stream_of_request(req), name);
    }
    return status;
}

static enum weir_status request_add_header(struct weir_request *req, struct weir_str name,
                                           struct weir_str value)
{
    return request_put(req, false, name, value);
}

static size_t request_remove_header(struct weir_request *req, struct weir_str name)
{
    struct stream *stream = stream_of_request(req);
    if (stream->attempt.asks_shadow || !may_change(name)) {
        return 0;
    }
    drop_aliases(stream, name);
    return fields_drop_name(&stream->exchange.request.fields, name);
}

static void request_session(struct weir_request *req, uint64_t session)
{
    struct attempt *attempt = &stream_of_request(req)->attempt;
    if (!attempt->asks_shadow) {
        attempt->session = session;
    }
}

static enum weir_status request_set_path(struct weir_request *req, struct weir_str path)
{
    struct stream *stream = stream_of_request(req);
    struct http_request_head *head = &stream->exchange.request;
    struct arena *arena = &stream->exchange.arena;
    struct weir_str normal;

    if (stream->attempt.asks_shadow) {
        return WEIR_DECLINED;
    }
    if (!stream->request_open || path.len == 0 || path.ptr[0] != '/' ||
        head->form == TARGET_ASTERISK || head->form == TARGET_AUTHORITY) {
        return WEIR_INVALID;
    }
    struct weir_str copy = arena_copy(arena, path);
    if (copy.ptr == NULL) {
        return WEIR_NO_MEMORY;
    }
    if (!uri_normalise_path(copy, arena, &normal)) {
        return WEIR_INVALID;
    }
    head->path = normal;
    return WEIR_OK;
}

static void *request_alloc(struct weir_request *req, size_t len)
{
    struct stream *stream = stream_of_request(req);

    call_allocated(stream_loop(stream)->calls, len);
    return arena_alloc(&stream->exchange.arena, len);
}

static void **request_slot(struct weir_request *req, struct weir_context *ctx)
{
    static _Thread_local void *nowhere;
    struct stream *stream = stream_of_request(req);
    const struct module *module = module_context_of(ctx)->module;
    struct stream_slots *slots = stream->slots;

    ASSERT(module != NULL && module->number > 0);
    for (; slots != NULL; slots = slots->next) {
        for (unsigned i = 0; i < slots->count; i++) {
            if (slots->items[i].module == module->number) {
                return &slots->items[i].value;
            }
        }
    }
    slots = stream->slots;
    if (slots == NULL || slots->count == STREAM_SLOTS) {
        slots = arena_zalloc(&stream->exchange.arena, sizeof(*slots));
        if (slots == NULL) { /* out of memory: what is stored there is lost */
            nowhere = NULL;
            return &nowhere;
        }
        slots->next = stream->slots;
        stream->slots = slots;
    }
    slots->items[slots->count].module = module->number;
    return &slots->items[slots->count++].value;
}

static uint32_t response_status(const struct weir_response *resp)
{
    return stream_of_response(resp)->exchange.response.status;
}

static bool response_header(const struct weir_response *resp, struct weir_str name,
                            struct weir_str *value)
{
    return find_field(&stream_of_response(resp)->exchange.response.fields, name, value);
}

static size_t response_field_count(const struct weir_response *resp)
{
    return live_fields(&stream_of_response(resp)->exchange.response.fields);
}

static struct weir_field response_field(const struct weir_response *resp, size_t index)
{
    return live_field(&stream_of_response(resp)->exchange.response.fields, index);
}

/* A response that lacks a field must not go out, since the field may protect browsers, whether or
 * not the module checks the result. */
static enum weir_status response_put(struct weir_response *resp, bool set, struct weir_str name,
                                     struct weir_str value)
{
    struct stream *stream = stream_of_response(resp);
    enum weir_status status = put_field(&stream->exchange, &stream->exchange.response.fields,
                                        stream->response_open, set, name, value);
    stream->response_failed |= status == WEIR_NO_MEMORY;
    return status;
}

static enum weir_status response_set_header(struct weir_response *resp, struct weir_str name,
                                            struct weir_str value)
{
    return response_put(resp, true, name, value);
}

static enum weir_status response_add_header(struct weir_response *resp, struct weir_str name,
                                            struct weir_str value)
{
    return response_put(resp, false, name, value);
}

static size_t response_remove_header(struct weir_response *resp, struct weir_str name)
{
    struct stream *stream = stream_of_response(resp);
    return stream->response_open && may_change(name)
               ? fields_drop_name(&stream->exchange.response.fields, name)
               : 0;
}

static int64_t response_content_length(const struct weir_response *resp)
{
    const struct http_response_head *head = &stream_of_response(resp)->exchange.response;
    bool known = head->has_content_length || head->body == BODY_LENGTH;
    return known && head->content_length <= INT64_MAX ? (int64_t)head->content_length : -1;
}

void sdk_request_fill(struct weir_host *host)
{
    host->request_str = request_str;
    host->request_peer = request_peer;
    host->request_tls = request_tls;
    host->request_header = request_header;
    host->request_field_count = request_field_count;
    host->request_field = request_field;
    host->request_set_header = request_set_header;
    host->request_add_header = request_add_header;
    host->request_remove_header = request_remove_header;
    host->request_set_path = request_set_path;
    host->request_session = request_session;
    host->request_alloc = request_alloc;
    host->request_slot = request_slot;
    host->response_status = response_status;
    host->response_header = response_header;
    host->response_field_count = response_field_count;
    host->response_field = response_field;
    host->response_set_header = response_set_header;
    host->response_add_header = response_add_header;
    host->response_remove_header = response_remove_header;
    host->reply_begin = stream_reply_begin;
    host->reply_write = stream_reply_write;
    host->reply_end = stream_reply_end;
    host->reply_abort = stream_reply_abort;
    host->reply_error = stream_reply_refusal;
    host->response_content_length = response_content_length;
    host->response_transform = stream_transform;
    host->transform_write = chain_write;
    host->request_credentials = request_credentials;
}
