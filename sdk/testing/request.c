/* SPDX-License-Identifier: MIT */
/*
 * Fake requests and responses, from both sides: as the test makes them, as the module sees them.
 */
#include "fake.h"

#include <stdlib.h>

/* Strings are for the callback: what is kept is copied (weir_request_copy). */
static const char string_over[] = "a string of a request, of a callback that is over";
static const char field_over[] = "a field of a message, of a callback that is over";

/* A string of a request, ended by NUL. */
static char *lend_text(const char *text, size_t len)
{
    char *copy = fake_lend(len + 1, "a string of a request that is over");
    memcpy(copy, text, len);
    return copy;
}

/* ---- the test's side ---- */

struct weir_request *weir_test_request(struct weir_test *host, const char *method,
                                       const char *target)
{
    FAKE_REQUIRE(target != NULL && (target[0] == '/' || strcmp(target, "*") == 0),
                 "a target begins with /, or is *");
    struct fake_request *req = fake_lend(sizeof(*req), "a request that is over");
    const char *query = strchr(target, '?');

    req->base.host = &fake_services;
    req->host = host;
    req->next = host->requests;
    host->requests = req;
    req->reply.content_length = -1;
    req->strings[WEIR_REQUEST_METHOD] = lend_text(method, strlen(method));
    req->strings[WEIR_REQUEST_TARGET] = lend_text(target, strlen(target));
    req->strings[WEIR_REQUEST_PATH] = lend_text(target, strcspn(target, "?"));
    weir_test_request_set_str(&req->base, WEIR_REQUEST_QUERY, query != NULL ? query + 1 : "");
    weir_test_request_set_str(&req->base, WEIR_REQUEST_PROTOCOL, "HTTP/1.1");
    weir_test_request_set_str(&req->base, WEIR_REQUEST_SCHEME, "http");
    weir_test_request_set_str(&req->base, WEIR_REQUEST_HOST, "www.example");
    weir_test_request_set_str(&req->base, WEIR_REQUEST_AUTHORITY, "www.example");
    weir_test_request_set_str(&req->base, WEIR_REQUEST_LISTENER, "public");
    weir_test_request_set_peer(&req->base, "192.0.2.1", 40000);
    weir_test_request_add(&req->base, "Host", "www.example");
    return &req->base;
}

void weir_test_request_add(struct weir_request *req, const char *name, const char *value)
{
    fake_fields_add(&fake_request(req)->fields, fake_str(name), fake_str(value));
}

void weir_test_request_set_str(struct weir_request *req, enum weir_request_str which,
                               const char *value)
{
    FAKE_REQUIRE((unsigned)which < FAKE_REQUEST_STRINGS, "there is no such string");
    char *copy = lend_text(value, strlen(value));
    fake_take_back(fake_request(req)->strings[which]);
    fake_request(req)->strings[which] = copy;
}

void weir_test_request_set_peer(struct weir_request *req, const char *address, uint16_t port)
{
    char *copy = lend_text(address, strlen(address));
    fake_take_back(fake_request(req)->peer_address);
    fake_request(req)->peer_address = copy;
    fake_request(req)->peer_port = port;
}

void weir_test_request_set_tls(struct weir_request *req, bool tls)
{
    fake_request(req)->tls = tls;
    weir_test_request_set_str(req, WEIR_REQUEST_SCHEME, tls ? "https" : "http");
    weir_test_request_set_str(req, WEIR_REQUEST_TLS_VERSION, tls ? "TLSv1.3" : "");
}

void weir_test_request_set_credentials(struct weir_request *req,
                                       const struct weir_credentials *credentials)
{
    fake_request(req)->has_credentials = credentials != NULL;
    if (credentials != NULL) {
        fake_request(req)->credentials = *credentials;
        weir_test_request_set_peer(req, "unix", 0);
    }
}

static const char *find_text(const struct fake_fields *fields, const char *name, size_t nth)
{
    const struct weir_field *field = fake_fields_find(fields, fake_str(name), nth);
    return field != NULL ? field->value.ptr : NULL;
}

const char *weir_test_request_header(const struct weir_request *req, const char *name)
{
    return find_text(&fake_request(req)->fields, name, 0);
}

static void response_free(struct fake_response *resp)
{
    if (resp != NULL) {
        fake_transform_end(resp);
        fake_fields_free(&resp->fields);
        fake_buffer_free(&resp->kept);
        fake_buffer_free(&resp->output);
        fake_take_back(resp);
    }
}

void weir_test_request_free(struct weir_request **req_ptr)
{
    FAKE_REQUIRE(req_ptr != NULL && *req_ptr != NULL, "there is no request");
    struct fake_request *req = fake_request(*req_ptr);
    struct fake_request **link = &req->host->requests;

    fake_request_end(req, !req->reply.ended);
    while (*link != req) {
        link = &(*link)->next;
    }
    *link = req->next;
    for (size_t i = 0; i < FAKE_REQUEST_STRINGS; i++) {
        fake_take_back(req->strings[i]);
    }
    fake_take_back(req->peer_address);
    fake_fields_free(&req->fields);
    fake_arena_free(&req->memory);
    response_free(req->response);
    fake_fields_free(&req->reply.fields);
    fake_buffer_free(&req->reply.body);
    fake_take_back(req);
    *req_ptr = NULL;
}

void fake_requests_free(struct weir_test *host)
{
    while (host->requests != NULL) {
        struct weir_request *req = &host->requests->base;
        weir_test_request_free(&req);
    }
}

struct weir_response *weir_test_response(struct weir_request *req, uint32_t status)
{
    struct fake_response *resp = fake_lend(sizeof(*resp), "a response that is over");
    resp->base.host = &fake_services;
    resp->host = fake_request(req)->host;
    resp->status = status;
    resp->content_length = -1;
    resp->transform.host = &fake_services;
    response_free(fake_request(req)->response);
    fake_request(req)->response = resp;
    return &resp->base;
}

void weir_test_response_add(struct weir_response *resp, const char *name, const char *value)
{
    fake_fields_add(&fake_response(resp)->fields, fake_str(name), fake_str(value));
}

const char *weir_test_response_header(const struct weir_response *resp, const char *name,
                                      size_t nth)
{
    return find_text(&fake_response(resp)->fields, name, nth);
}

/* ---- the module's side ---- */

struct weir_str fake_request_str(const struct weir_request *req, enum weir_request_str which)
{
    const struct fake_request *fake = fake_request(req);
    if ((unsigned)which >= FAKE_REQUEST_STRINGS) {
        return fake_str(NULL);
    }
    return fake_lend_str(fake_str(fake->strings[which]), string_over);
}

struct weir_peer fake_request_peer(const struct weir_request *req)
{
    const struct fake_request *fake = fake_request(req);
    return (struct weir_peer){fake_lend_str(fake_str(fake->peer_address), string_over),
                              fake->peer_port};
}

bool fake_request_tls(const struct weir_request *req)
{
    return fake_request(req)->tls;
}

bool fake_request_credentials(const struct weir_request *req, struct weir_credentials *out)
{
    const struct fake_request *fake = fake_request(req);
    if (fake->has_credentials) {
        *out = fake->credentials;
    }
    return fake->has_credentials;
}

static bool find_header(const struct fake_fields *fields, struct weir_str name,
                        struct weir_str *value)
{
    const struct weir_field *field = fake_fields_find(fields, name, 0);
    if (field != NULL) {
        *value = fake_lend_str(field->value, field_over);
    }
    return field != NULL;
}

static struct weir_field field_at(const struct fake_fields *fields, size_t index)
{
    if (index >= fields->count) {
        return (struct weir_field){fake_str(NULL), fake_str(NULL)};
    }
    return (struct weir_field){fake_lend_str(fields->items[index].name, field_over),
                               fake_lend_str(fields->items[index].value, field_over)};
}

bool fake_request_header(const struct weir_request *req, struct weir_str name,
                         struct weir_str *value)
{
    return find_header(&fake_request(req)->fields, name, value);
}

size_t fake_request_field_count(const struct weir_request *req)
{
    return fake_request(req)->fields.count;
}

struct weir_field fake_request_field(const struct weir_request *req, size_t index)
{
    return field_at(&fake_request(req)->fields, index);
}

static bool may_change_request(const struct fake_request *req, const char *what)
{
    if (req->sent) {
        fake_problem(req->host, "%s after the request was sent", what);
    }
    return !req->sent;
}

enum weir_status fake_request_set_header(struct weir_request *req, struct weir_str name,
                                         struct weir_str value)
{
    struct fake_request *fake = fake_request(req);
    if (!may_change_request(fake, "a field was set") || !fake_field_is_legal(name, value)) {
        return WEIR_INVALID;
    }
    if (fake_alloc_fails(fake->host)) {
        return WEIR_NO_MEMORY;
    }
    fake_fields_set(&fake->fields, name, value);
    return WEIR_OK;
}

enum weir_status fake_request_add_header(struct weir_request *req, struct weir_str name,
                                         struct weir_str value)
{
    struct fake_request *fake = fake_request(req);
    if (!may_change_request(fake, "a field was added") || !fake_field_is_legal(name, value)) {
        return WEIR_INVALID;
    }
    if (fake_alloc_fails(fake->host)) {
        return WEIR_NO_MEMORY;
    }
    fake_fields_add(&fake->fields, name, value);
    return WEIR_OK;
}

size_t fake_request_remove_header(struct weir_request *req, struct weir_str name)
{
    struct fake_request *fake = fake_request(req);
    return may_change_request(fake, "a field was removed") ? fake_fields_remove(&fake->fields, name)
                                                           : 0;
}

void fake_request_session(struct weir_request *req, uint64_t session)
{
    struct fake_request *fake = fake_request(req);

    if (session == 0) {
        fake_problem(fake->host, "a session was called 0, which means none");
    }
    fake->session = session;
}

uint64_t weir_test_session(const struct weir_request *req)
{
    return fake_request(req)->session;
}

/* Whether a byte may stand in a path as it is (RFC 3986 section 3.3). */
static bool is_path_byte(char c)
{
    bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return alnum || (c != '\0' && strchr("-._~!$&'()*+,;=:@/%", c) != NULL);
}

enum weir_status fake_request_set_path(struct weir_request *req, struct weir_str path)
{
    struct fake_request *fake = fake_request(req);

    if (!fake->filtering) {
        fake_problem(fake->host, "a path was set outside a filter's on_request");
        return WEIR_INVALID;
    }
    if (path.len == 0 || path.ptr[0] != '/' || fake->strings[WEIR_REQUEST_PATH][0] != '/') {
        return WEIR_INVALID;
    }
    for (size_t i = 0; i < path.len; i++) {
        if (!is_path_byte(path.ptr[i])) {
            return WEIR_INVALID;
        }
    }
    if (fake_alloc_fails(fake->host)) {
        return WEIR_NO_MEMORY;
    }
    char *copy = lend_text(path.ptr, path.len); /* taken as normalised, as weir_test_request does */
    fake_take_back(fake->strings[WEIR_REQUEST_PATH]);
    fake->strings[WEIR_REQUEST_PATH] = copy;
    return WEIR_OK;
}

void *fake_request_alloc(struct weir_request *req, size_t len)
{
    struct fake_request *fake = fake_request(req);
    if (fake_alloc_fails(fake->host)) {
        return NULL;
    }
    /* Not zero, so that a module which counts on zeroed memory is found out. */
    return memset(fake_arena_alloc(&fake->memory, len), 0xa5, len);
}

void **fake_request_slot(struct weir_request *req, struct weir_context *ctx)
{
    (void)ctx; /* a host has one module, and so a request one slot */
    return &fake_request(req)->slot;
}

uint32_t fake_response_status(const struct weir_response *resp)
{
    return fake_response(resp)->status;
}

bool fake_response_header(const struct weir_response *resp, struct weir_str name,
                          struct weir_str *value)
{
    return find_header(&fake_response(resp)->fields, name, value);
}

size_t fake_response_field_count(const struct weir_response *resp)
{
    return fake_response(resp)->fields.count;
}

struct weir_field fake_response_field(const struct weir_response *resp, size_t index)
{
    return field_at(&fake_response(resp)->fields, index);
}

static bool may_change_response(const struct fake_response *resp, const char *what)
{
    if (!resp->open) {
        fake_problem(resp->host, "%s outside on_response", what);
    }
    return resp->open;
}

enum weir_status fake_response_set_header(struct weir_response *resp, struct weir_str name,
                                          struct weir_str value)
{
    struct fake_response *fake = fake_response(resp);
    if (!may_change_response(fake, "a response's field was set") ||
        !fake_field_is_legal(name, value)) {
        return WEIR_INVALID;
    }
    if (fake_alloc_fails(fake->host)) {
        return WEIR_NO_MEMORY;
    }
    fake_fields_set(&fake->fields, name, value);
    return WEIR_OK;
}

enum weir_status fake_response_add_header(struct weir_response *resp, struct weir_str name,
                                          struct weir_str value)
{
    struct fake_response *fake = fake_response(resp);
    if (!may_change_response(fake, "a response's field was added") ||
        !fake_field_is_legal(name, value)) {
        return WEIR_INVALID;
    }
    if (fake_alloc_fails(fake->host)) {
        return WEIR_NO_MEMORY;
    }
    fake_fields_add(&fake->fields, name, value);
    return WEIR_OK;
}

size_t fake_response_remove_header(struct weir_response *resp, struct weir_str name)
{
    struct fake_response *fake = fake_response(resp);
    return may_change_response(fake, "a response's field was removed")
               ? fake_fields_remove(&fake->fields, name)
               : 0;
}
