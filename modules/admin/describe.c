/* SPDX-License-Identifier: MIT */
/*
 * The OpenAPI document. See describe.h.
 *
 * The control plane writes its operations; sessions, events and the document itself are HTTP, and so are
 * written here, and put before the other paths.
 */
#include "describe.h"

#include <stdlib.h>

#include "who.h"

#define PROBLEM                                                                                   \
    "\"default\":{\"description\":\"A problem (RFC 9457): what is wrong, what would be right.\"," \
    "\"content\":{\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/"     \
    "Problem\"}}}}"

#define SESSION                                                                                     \
    "\"200\":{\"description\":\"Who one is; `csrf` is for X-CSRF-Token of a session's writes, and " \
    "null for others.\",\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\","        \
    "\"required\":[\"author\",\"role\",\"csrf\"],\"properties\":{\"author\":{\"type\":\"string\"}," \
    "\"role\":{\"type\":\"string\",\"enum\":[\"viewer\",\"operator\",\"admin\"]},"                  \
    "\"csrf\":{\"type\":[\"string\",\"null\"]}}}}}}"

#define WORD(name) "\"" name "\":{\"type\":\"string\"}"

static const char own_paths[] =
    "\"/api/v1/session\":{"
    "\"get\":{\"operationId\":\"session.show\",\"summary\":\"Who one is.\","
    "\"x-weir-role\":\"viewer\",\"responses\":{" SESSION "," PROBLEM "}},"
    "\"post\":{\"operationId\":\"session.create\",\"summary\":\"Logs in: sets the cookie of a "
    "session.\",\"x-weir-role\":\"none\",\"security\":[],\"requestBody\":{\"required\":true,"
    "\"content\":{\"application/json\":{\"schema\":{\"oneOf\":["
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"name\",\"password\"],"
    "\"properties\":{" WORD("name") "," WORD(
        "password") "}},"
                    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"token\"],"
                    "\"properties\":{" WORD(
                        "token") "}},"
                                 "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"link\"],"
                                 "\"properties\":{" WORD(
                                     "link") "}}]}}}},\"responses\":{" SESSION "," PROBLEM "}},"
                                             "\"delete\":{\"operationId\":\"session.delete\",\"summary\":\"Logs out.\","
                                             "\"x-weir-role\":\"viewer\",\"responses\":{\"204\":{\"description\":\"Logged out.\"}," PROBLEM
                                             "}}},"
                                             "\"/api/v1/events\":{\"get\":{\"operationId\":\"events.listen\",\"summary\":\"Server-sent events: "
                                             "`statistics` each second, `change`, `server` and `reload` as they happen.\","
                                             "\"x-weir-role\":\"viewer\",\"parameters\":[{\"name\":\"Last-Event-ID\",\"in\":\"header\","
                                             "\"description\":\"Begin behind this event, as far as it is kept.\",\"schema\":{\"type\":"
                                             "\"integer\"}}],\"responses\":{\"200\":{\"description\":\"A stream that ends with the session, or "
                                             "at a reload.\",\"content\":{\"text/event-stream\":{\"schema\":{\"type\":\"string\"}}}}," PROBLEM
                                             "}}},"
                                             "\"/api/v1/openapi.json\":{\"get\":{\"operationId\":\"openapi.show_below\",\"summary\":\"This "
                                             "document.\",\"x-weir-role\":\"viewer\",\"responses\":{\"200\":{\"description\":\"OpenAPI 3.1.\","
                                             "\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\"}}}}," PROBLEM
                                             "}}},"
                                             "\"/openapi.json\":{\"get\":{\"operationId\":\"openapi.show\",\"summary\":\"This document.\","
                                             "\"x-weir-role\":\"viewer\",\"responses\":{\"200\":{\"description\":\"OpenAPI 3.1.\","
                                             "\"content\":{\"application/json\":{\"schema\":{\"type\":\"object\"}}}}," PROBLEM
                                             "}}}";

/* Behind `"paths":{` of the document; its length where there is none. */
static size_t find_paths(struct weir_str document)
{
    static const char mark[] = "\"paths\":{";
    size_t len = sizeof(mark) - 1;

    for (size_t i = 0; i + len < document.len; i++) {
        if (memcmp(document.ptr + i, mark, len) == 0) {
            return i + len;
        }
    }
    return document.len;
}

static void send_document(struct weir_request *req, struct weir_str body)
{
    struct reply reply;
    reply_begin(&reply, req);
    reply_add(&reply, "Content-Type", text_of("application/json"));
    reply_add(&reply, "Cache-Control", text_of("no-store"));
    reply_send(&reply, 200, body);
}

void describe_serve(struct exchange *exchange)
{
    struct weir_request *req = exchange->req;
    struct weir_str method = weir_request_method(req);

    if (!text_is(method, "GET") && !text_is(method, "HEAD")) {
        reply_method(req, "GET, HEAD");
        return;
    }
    if (!who_enter(exchange)) {
        return;
    }
    struct weir_str document = weir_control_openapi(exchange->admin->ctx);
    size_t at = find_paths(document), own = sizeof(own_paths) - 1;
    char *whole = at < document.len ? malloc(document.len + own + 1) : NULL;
    if (whole == NULL) {
        send_document(req, document);
        return;
    }
    bool more = document.ptr[at] != '}';
    memcpy(whole, document.ptr, at);
    memcpy(whole + at, own_paths, own);
    whole[at + own] = ',';
    memcpy(whole + at + own + more, document.ptr + at, document.len - at);
    send_document(req, (struct weir_str){whole, document.len + own + more});
    free(whole);
}
