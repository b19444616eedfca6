/* SPDX-License-Identifier: MIT */
/*
 * Requests and responses, as modules see them: opaque, with accessors. All strings are valid for
 * the callback, unless copied with weir_request_copy; what was set lives as long as the request.
 *
 * Thread: the worker (or control thread) that carries the request; all callbacks about one request
 * run there.
 */
#ifndef WEIR_HTTP_H
#define WEIR_HTTP_H

#include <string.h>

#include <weir/host.h>
#include <weir/text.h>

WEIR_BEGIN_DECLS

/** One request and its response. Only `host` may be read. */
struct weir_request {
    const struct weir_host *host;
};

/** The response on its way to the client. Only `host` may be read. */
struct weir_response {
    const struct weir_host *host;
};

/** One of the request's strings; see enum weir_request_str. Empty where there is none. */
static inline struct weir_str weir_request_str(const struct weir_request *req,
                                               enum weir_request_str which)
{
    return req->host->request_str(req, which);
}

static inline struct weir_str weir_request_method(const struct weir_request *req)
{
    return weir_request_str(req, WEIR_REQUEST_METHOD);
}

/** The normalised path, which is also what the server gets: begins with `/`, or is `*`. */
static inline struct weir_str weir_request_path(const struct weir_request *req)
{
    return weir_request_str(req, WEIR_REQUEST_PATH);
}

/** The host that the request is for, in lower case and without port. */
static inline struct weir_str weir_request_host(const struct weir_request *req)
{
    return weir_request_str(req, WEIR_REQUEST_HOST);
}

/** The client: the socket's peer, or what a trusted proxy said. */
static inline struct weir_peer weir_request_peer(const struct weir_request *req)
{
    return req->host->request_peer(req);
}

/** Whether the client's connection is TLS. */
static inline bool weir_request_tls(const struct weir_request *req)
{
    return req->host->request_tls(req);
}

/** The client process on this machine; false: not a Unix socket. Behind a proxy this is the
 * proxy. */
static inline bool weir_request_credentials(const struct weir_request *req,
                                            struct weir_credentials *out)
{
    return req->host->request_credentials(req, out);
}

/** The first field of that name; false: none, `*value` untouched. */
static inline bool weir_request_header(const struct weir_request *req, const char *name,
                                       struct weir_str *value)
{
    struct weir_str key = {name, strlen(name)};
    return req->host->request_header(req, key, value);
}

/** Number of fields, for walking over all of them. */
static inline size_t weir_request_field_count(const struct weir_request *req)
{
    return req->host->request_field_count(req);
}

/** Field `index` in the order of arrival; an index out of range gives empty strings. */
static inline struct weir_field weir_request_field(const struct weir_request *req, size_t index)
{
    return req->host->request_field(req, index);
}

/** Replaces all fields of that name by one. Of a name with `-`, what the client wrote with other
 * punctuation (X_User beside X-User) goes too: servers that read fields as CGI does cannot tell
 * them apart (RFC 3875 section 4.1.18). Copies both strings. WEIR_INVALID: the name is no token,
 * or the value has a control character, or the field is one that frames the message or belongs
 * to the connection (Content-Length, Transfer-Encoding, Connection, Upgrade, ...). WEIR_DECLINED:
 * a pool's shadow asks, which changes no request. Before the request is sent. */
static inline enum weir_status weir_request_set_header(struct weir_request *req,
                                                       struct weir_str name, struct weir_str value)
{
    return req->host->request_set_header(req, name, value);
}

/** Adds one field; as weir_request_set_header. */
static inline enum weir_status weir_request_add_header(struct weir_request *req,
                                                       struct weir_str name, struct weir_str value)
{
    return req->host->request_add_header(req, name, value);
}

/** Removes all fields of that name, and its aliases as weir_request_set_header does; returns how
 * many there were of the name itself. */
static inline size_t weir_request_remove_header(struct weir_request *req, struct weir_str name)
{
    return req->host->request_remove_header(req, name);
}

/** Changes the request's path: what routers and filters see from here, and what the server gets.
 * The host brings it into the normal form; the query stays. WEIR_INVALID: it does not begin with
 * `/`, has a byte that a path cannot have (`?` and `#` too), or the request is not for a path
 * (`*`). Inside a filter's on_request. */
static inline enum weir_status weir_request_set_path(struct weir_request *req, struct weir_str path)
{
    return req->host->request_set_path(req, path);
}

/** Memory that lives as long as the request, aligned for any type, not zeroed; NULL: out of memory.
 * There is no free. */
static inline void *weir_request_alloc(struct weir_request *req, size_t len)
{
    return req->host->request_alloc(req, len);
}

/** Whether two field names are the same, without regard to case (RFC 9110 section 5.1). */
static inline bool weir_field_name_is(struct weir_str name, const char *other)
{
    return weir_str_is_nocase(name, other);
}

/** The whole list: all fields of that name in one, joined by ", " (RFC 9110 section 5.3), for
 * fields whose value is a list. `*value` is a field's own or made in the request's pool; false:
 * there is none, or no memory, `*value` untouched. */
static inline bool weir_request_header_list(struct weir_request *req, const char *name,
                                            struct weir_str *value)
{
    size_t count = weir_request_field_count(req), lines = 0, len = 0;
    struct weir_str only = {NULL, 0};

    for (size_t i = 0; i < count; i++) {
        struct weir_field field = weir_request_field(req, i);
        if (weir_field_name_is(field.name, name)) {
            only = field.value;
            len += field.value.len + 2;
            lines++;
        }
    }
    if (lines == 1) {
        *value = only;
    }
    if (lines <= 1) {
        return lines == 1;
    }
    char *text = (char *)weir_request_alloc(req, len), *at = text;
    if (text == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct weir_field field = weir_request_field(req, i);
        if (weir_field_name_is(field.name, name)) {
            if (at != text) {
                memcpy(at, ", ", 2);
                at += 2;
            }
            if (field.value.len > 0) {
                memcpy(at, field.value.ptr, field.value.len);
                at += field.value.len;
            }
        }
    }
    value->ptr = text;
    value->len = (size_t)(at - text);
    return true;
}

/** The value of the first cookie of that name, as it stands, without the blanks around it; false:
 * there is none, `*value` untouched. */
static inline bool weir_request_cookie(const struct weir_request *req, struct weir_str name,
                                       struct weir_str *value)
{
    size_t count = weir_request_field_count(req);

    for (size_t i = 0; i < count; i++) {
        struct weir_field field = weir_request_field(req, i);
        while (field.value.len > 0 && weir_field_name_is(field.name, "Cookie")) {
            struct weir_str pair = weir_str_cut(&field.value, ';');
            if (pair.len > name.len && pair.ptr[name.len] == '=' &&
                memcmp(pair.ptr, name.ptr, name.len) == 0) {
                *value = weir_str_skip(pair, name.len + 1);
                return true;
            }
        }
    }
    return false;
}

/** A copy that lives as long as the request; empty where memory ran out. */
static inline struct weir_str weir_request_copy(struct weir_request *req, struct weir_str from)
{
    struct weir_str to = {NULL, 0};
    char *ptr = from.len > 0 ? (char *)req->host->request_alloc(req, from.len) : NULL;
    if (ptr != NULL) {
        memcpy(ptr, from.ptr, from.len);
        to.ptr = ptr;
        to.len = from.len;
    }
    return to;
}

/** For a sticky module, in lookup or on_response: a number, not 0, that identifies this user's
 * session in the pool as long as it lasts. The host uses it to count the sessions of each server.
 * The last call counts. */
static inline void weir_request_session(struct weir_request *req, uint64_t session)
{
    req->host->request_session(req, session);
}

/** A place for one pointer of this instance's module in this request; NULL at first. All
 * instances of the module share it, also those of an older or newer configuration; another copy
 * of the module, from a file that was replaced, has its own. */
static inline void **weir_request_slot(struct weir_request *req, struct weir_context *ctx)
{
    return req->host->request_slot(req, ctx);
}

static inline uint32_t weir_response_status(const struct weir_response *resp)
{
    return resp->host->response_status(resp);
}

static inline bool weir_response_header(const struct weir_response *resp, const char *name,
                                        struct weir_str *value)
{
    struct weir_str key = {name, strlen(name)};
    return resp->host->response_header(resp, key, value);
}

static inline size_t weir_response_field_count(const struct weir_response *resp)
{
    return resp->host->response_field_count(resp);
}

static inline struct weir_field weir_response_field(const struct weir_response *resp, size_t index)
{
    return resp->host->response_field(resp, index);
}

/** As weir_request_set_header, for the response; while on_response runs. */
static inline enum weir_status weir_response_set_header(struct weir_response *resp,
                                                        struct weir_str name, struct weir_str value)
{
    return resp->host->response_set_header(resp, name, value);
}

static inline enum weir_status weir_response_add_header(struct weir_response *resp,
                                                        struct weir_str name, struct weir_str value)
{
    return resp->host->response_add_header(resp, name, value);
}

static inline size_t weir_response_remove_header(struct weir_response *resp, struct weir_str name)
{
    return resp->host->response_remove_header(resp, name);
}

/** Length of the body as it is before any filter transforms it; -1: not known. For HEAD and 304
 * that of the body that GET would have had. */
static inline int64_t weir_response_content_length(const struct weir_response *resp)
{
    return resp->host->response_content_length(resp);
}

/* ---- transforming a response's body: filters ---- */

/** Where a filter's output goes. Only `host` may be read. */
struct weir_transform {
    const struct weir_host *host;
};

/**
 * Inside on_response: the calling filter transforms the body, which comes to its on_response_data.
 * Filters that said so earlier are nearer to the server. `state` is the filter's own, for its
 * hooks. The host drops Content-Length and what describes the bytes that the server sent
 * (Accept-Ranges, digests), and makes a strong ETag weak. WEIR_DECLINED: there is no body to
 * transform (204, 304, 101). WEIR_INVALID: not inside on_response, a second time, or the filter has
 * no on_response_data. For HEAD the fields change alike, and on_response_close follows without any
 * data.
 */
static inline enum weir_status weir_response_transform(struct weir_response *resp, void *state)
{
    return resp->host->response_transform(resp, state);
}

/** Inside on_response_data: hands on bytes, which are copied where they have to wait. Returns how
 * many wait: above some 64 KiB a filter that expands its input stops and returns WEIR_DECLINED. */
static inline size_t weir_transform_write(struct weir_transform *transform, const void *data,
                                          size_t len)
{
    return transform->host->transform_write(transform, data, len);
}

/* ---- answering oneself: handlers at any time, filters inside on_request ---- */

/** Begins the answer. `content_length` -1: unknown, the body is chunked or ends with the
 * connection. The fields are copied. WEIR_INVALID: already begun, or a field is malformed. */
static inline enum weir_status weir_reply_begin(struct weir_request *req, uint32_t status,
                                                const struct weir_field *fields, size_t count,
                                                int64_t content_length)
{
    return req->host->reply_begin(req, status, fields, count, content_length);
}

/** Takes body bytes; copies what the socket does not take. Returns how many bytes wait: above some
 * 64 KiB a handler stops and continues in its on_writable. */
static inline size_t weir_reply_write(struct weir_request *req, const void *data, size_t len)
{
    return req->host->reply_write(req, data, len);
}

/** Ends the answer. The request may be freed once the running callback returns; the handler's
 * on_end says when. */
static inline void weir_reply_end(struct weir_request *req)
{
    req->host->reply_end(req);
}

/** Aborts the answer visibly for the client. Inside on_response also a server's response: the
 * client gets 500 in its place. A weir_response_set_header or weir_response_add_header there that
 * runs out of memory, since fields are too long, does so by itself. */
static inline void weir_reply_abort(struct weir_request *req)
{
    req->host->reply_abort(req);
}

/** A whole answer that looks like Weir's own: a short page or a problem document (RFC 9457), as
 * Accept asks. `status` 400 to 599; `fields` are added, and copied. Failures as
 * weir_reply_begin's. */
static inline enum weir_status weir_reply_error(struct weir_request *req, uint32_t status,
                                                const struct weir_field *fields, size_t count)
{
    return req->host->reply_error(req, status, fields, count);
}

/** A whole answer in one call. */
static inline enum weir_status weir_reply(struct weir_request *req, uint32_t status,
                                          struct weir_str content_type, struct weir_str body)
{
    struct weir_field field = {WEIR_STR_INIT("Content-Type"), content_type};
    enum weir_status result =
        weir_reply_begin(req, status, &field, content_type.len > 0 ? 1 : 0, (int64_t)body.len);
    if (result == WEIR_OK) {
        weir_reply_write(req, body.ptr, body.len);
        weir_reply_end(req);
    }
    return result;
}

WEIR_END_DECLS

#endif
