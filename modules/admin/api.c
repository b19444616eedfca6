/* SPDX-License-Identifier: MIT */
/*
 * REST. See api.h.
 */
#include "api.h"

#include <stdio.h>

#include "who.h"

static bool is_json(struct weir_str type)
{
    return weir_str_is_nocase(weir_str_cut(&type, ';'), "application/json");
}

/* Digits of Content-Length are the core's to check. */
static bool is_too_long(struct weir_str length)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length.len; i++) {
        value = value * 10 + (uint64_t)(length.ptr[i] - '0');
        if (value > WEIR_CONTROL_BODY_MAX) {
            return true;
        }
    }
    return false;
}

bool api_check_body(struct exchange *exchange)
{
    struct weir_request *req = exchange->req;
    struct weir_str length = {NULL, 0}, type = {NULL, 0}, coding;
    bool has_length = weir_request_header(req, "Content-Length", &length);

    if (!(has_length && !weir_str_is(length, "0")) &&
        !weir_request_header(req, "Transfer-Encoding", &coding)) {
        return true;
    }
    if (is_too_long(length)) {
        reply_problem(req, 413, "the body is larger than %u bytes", WEIR_CONTROL_BODY_MAX);
        return false;
    }
    if (!weir_request_header(req, "Content-Type", &type) || !is_json(type)) {
        reply_problem(req, 415, "the body is to be JSON: Content-Type: application/json");
        return false;
    }
    return true;
}

void api_begin(struct exchange *exchange)
{
    if (who_enter(exchange) && api_check_body(exchange)) {
        exchange->task = TASK_CALL;
    }
}

/* The core answers GET; HEAD is made of it here. */
static struct weir_str with_head(struct weir_str allow, char *out, size_t size)
{
    if (allow.len < 3 || memcmp(allow.ptr, "GET", 3) != 0) {
        return allow;
    }
    snprintf(out, size, "GET, HEAD%.*s", (int)allow.len - 3, allow.ptr + 3);
    return weir_str_of(out);
}

static void answer(struct weir_request *req, const struct weir_control_answer *answer)
{
    struct reply reply;
    char journal[24], allow[128];

    reply_begin(&reply, req);
    reply_add(&reply, "Cache-Control", weir_str_of("no-store"));
    if (answer->content_type.len > 0) {
        reply_add(&reply, "Content-Type", answer->content_type);
    }
    if (answer->etag.len > 0) {
        reply_add(&reply, "ETag", answer->etag);
    }
    if (answer->location.len > 0) {
        reply_add(&reply, "Location", answer->location);
    }
    if (answer->allow.len > 0) {
        reply_add(&reply, "Allow", with_head(answer->allow, allow, sizeof(allow)));
    }
    if (answer->journal > 0) {
        snprintf(journal, sizeof(journal), "%llu", (unsigned long long)answer->journal);
        reply_add(&reply, "Weir-Journal", weir_str_of(journal));
    }
    if (answer->status == 503 || answer->status == 429) {
        reply_add(&reply, "Retry-After", weir_str_of("1"));
    }
    reply_send(&reply, answer->status, answer->body);
}

static void on_answer(void *arg, const struct weir_control_answer *what)
{
    struct exchange *exchange = arg;

    exchange->operation = NULL;
    if (exchange->req == NULL) {
        exchange_free(exchange); /* the client is gone */
        return;
    }
    answer(exchange->req, what); /* may end the exchange */
}

void api_run(struct exchange *exchange)
{
    struct weir_request *req = exchange->req;

    exchange->answered = true;
    if (!who_stays(exchange->admin, &exchange->caller)) { /* the body may have taken long */
        who_unknown(req);
        return;
    }
    struct weir_control_request call = {
        .size = sizeof(call),
        .method = weir_request_method(req),
        .path = weir_request_path(req),
        .query = weir_request_str(req, WEIR_REQUEST_QUERY),
        .body = {exchange->body, exchange->len},
        .caller = {sizeof(call.caller), exchange->caller.role,
                   weir_str_of(exchange->caller.who.name)},
    };
    if (!weir_str_is_utf8(call.body)) {
        reply_problem(req, 400, "the body is not UTF-8, as JSON must be");
        return;
    }
    if (weir_str_is(call.method, "HEAD")) {
        call.method = weir_str_of("GET");
    }
    weir_request_header_list(req, "If-Match", &call.if_match);
    exchange->operation = weir_control_call(exchange->admin->ctx, &call, on_answer, exchange);
    if (exchange->operation == NULL) {
        reply_problem_with(req, 503, "Retry-After", "1", "there is no memory for the request");
    }
}
