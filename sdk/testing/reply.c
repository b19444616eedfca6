/* SPDX-License-Identifier: MIT */
/*
 * Answers that the module gives itself: recorded, and held to what HTTP and the contract want.
 */
#include "fake.h"

static bool is_method(const struct fake_request *req, const char *method)
{
    return strcmp(req->strings[WEIR_REQUEST_METHOD], method) == 0;
}

static bool has_body(const struct fake_request *req)
{
    uint32_t status = req->reply.status;
    return status != 204 && status != 304 && !is_method(req, "HEAD");
}

enum weir_status fake_reply_begin(struct weir_request *req, uint32_t status,
                                  const struct weir_field *fields, size_t count,
                                  int64_t content_length)
{
    struct fake_request *fake = fake_request(req);
    struct fake_reply *reply = &fake->reply;

    if (reply->status != 0 || reply->aborted || fake->over) {
        fake_problem(fake->host, "a reply was begun a second time, or after the request's end");
        return WEIR_INVALID;
    }
    if (status < 200 || status > 599 || content_length < -1) {
        return WEIR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if (!fake_field_is_legal(fields[i].name, fields[i].value)) {
            return WEIR_INVALID;
        }
    }
    if (fake_alloc_fails(fake->host)) {
        return WEIR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        fake_fields_add(&reply->fields, fields[i].name, fields[i].value);
    }
    reply->status = status;
    reply->content_length = content_length;
    return WEIR_OK;
}

size_t fake_reply_write(struct weir_request *req, const void *data, size_t len)
{
    struct fake_request *fake = fake_request(req);
    struct fake_reply *reply = &fake->reply;

    if (reply->status == 0 || reply->ended || reply->aborted || fake->over) {
        fake_problem(fake->host, "a reply was written before its begin or after its end");
        return 0;
    }
    fake_buffer_append(&reply->body, data, len);
    if (len > 0 && (reply->status == 204 || reply->status == 304)) {
        fake_problem(fake->host, "a reply with status %u was given a body", reply->status);
    }
    if (reply->content_length >= 0 && reply->body.len > (uint64_t)reply->content_length) {
        fake_problem(fake->host, "a reply of %lld bytes was given %zu",
                     (long long)reply->content_length, reply->body.len);
    }
    reply->waiting = reply->held ? reply->waiting + len : 0;
    return reply->waiting;
}

void fake_reply_end(struct weir_request *req)
{
    struct fake_request *fake = fake_request(req);
    struct fake_reply *reply = &fake->reply;

    if (reply->status == 0 || reply->ended || reply->aborted || fake->over) {
        fake_problem(fake->host, "a reply was ended before its begin, or twice");
        return;
    }
    if (has_body(fake) && reply->content_length >= 0 &&
        reply->body.len < (uint64_t)reply->content_length) {
        fake_problem(fake->host, "a reply of %lld bytes was ended after %zu",
                     (long long)reply->content_length, reply->body.len);
    }
    reply->ended = true;
}

void fake_reply_abort(struct weir_request *req)
{
    struct fake_request *fake = fake_request(req);
    if (fake->reply.ended || fake->reply.aborted || fake->over) {
        fake_problem(fake->host, "a reply was aborted after its end");
        return;
    }
    fake->reply.aborted = true;
}

enum weir_status fake_reply_error(struct weir_request *req, uint32_t status,
                                  const struct weir_field *fields, size_t count)
{
    static const char page[] = "<!doctype html>\n";

    if (status < 400) {
        return WEIR_INVALID;
    }
    enum weir_status result =
        fake_reply_begin(req, status, fields, count, (int64_t)sizeof(page) - 1);
    if (result == WEIR_OK) {
        fake_reply_write(req, page, sizeof(page) - 1);
        fake_reply_end(req);
    }
    return result;
}

void fake_request_end(struct fake_request *req, bool aborted)
{
    struct weir_test_instance *instance = req->handler;
    if (instance == NULL) {
        return;
    }
    req->handler = NULL;
    /* From now on nothing may be written, on_end included. */
    req->over = true;
    if (req->host->handler.on_end != NULL) {
        FAKE_HOOK("on_end");
        req->host->handler.on_end(&instance->ctx.base, instance->data, &req->base, aborted);
    }
}

bool fake_replies_finish(struct weir_test *host)
{
    for (struct fake_request *req = host->requests; req != NULL; req = req->next) {
        if (req->handler != NULL &&
            (req->reply.aborted || (req->reply.ended && req->reply.waiting == 0))) {
            fake_request_end(req, req->reply.aborted);
            return true;
        }
    }
    return false;
}

struct weir_test_reply weir_test_reply_of(const struct weir_request *req)
{
    const struct fake_reply *reply = &fake_request(req)->reply;
    return (struct weir_test_reply){
        .status = reply->status,
        .ended = reply->ended,
        .aborted = reply->aborted,
        .content_length = reply->content_length,
        .body = fake_buffer_text(&reply->body),
        .body_len = reply->body.len,
    };
}

const char *weir_test_reply_header(const struct weir_request *req, const char *name)
{
    const struct weir_field *field =
        fake_fields_find(&fake_request(req)->reply.fields, fake_str(name), 0);
    return field != NULL ? field->value.ptr : NULL;
}

void weir_test_reply_hold(struct weir_request *req, bool hold)
{
    fake_request(req)->reply.held = hold;
    if (!hold) {
        fake_request(req)->reply.waiting = 0;
    }
}

/* ---- handlers ---- */

enum weir_status weir_test_handle_head(struct weir_test_instance *handler, struct weir_request *req)
{
    struct fake_request *fake = fake_request(req);
    fake_require_kind(handler, WEIR_TEST_HANDLER, __func__);
    FAKE_REQUIRE(fake->handler == NULL && !fake->over, "the request was handled before");
    fake->handler = handler;
    FAKE_HOOK("on_request");
    enum weir_status status =
        handler->host->handler.on_request(&handler->ctx.base, handler->data, req);
    if (status != WEIR_OK) {
        fake->handler = NULL;
        fake->over = true;
    }
    return status;
}

void weir_test_handle_data(struct weir_test_instance *handler, struct weir_request *req,
                           const void *data, size_t len, bool end)
{
    fake_require_kind(handler, WEIR_TEST_HANDLER, __func__);
    if (fake_request(req)->handler == handler && handler->host->handler.on_data != NULL) {
        void *copy = fake_lend_copy(data, len, "a piece of a body that was read");
        FAKE_HOOK("on_data");
        handler->host->handler.on_data(&handler->ctx.base, handler->data, req, copy, len, end);
        fake_take_back(copy);
    }
}

enum weir_status weir_test_handle(struct weir_test_instance *handler, struct weir_request *req,
                                  const void *body, size_t len)
{
    enum weir_status status = weir_test_handle_head(handler, req);
    if (status == WEIR_OK && len > 0) {
        weir_test_handle_data(handler, req, body, len / 2, false);
        weir_test_handle_data(handler, req, (const char *)body + len / 2, len - len / 2, true);
    } else if (status == WEIR_OK) {
        weir_test_handle_data(handler, req, NULL, 0, true);
    }
    weir_test_run(handler->host);
    return status;
}

void weir_test_writable(struct weir_test_instance *handler, struct weir_request *req)
{
    struct fake_request *fake = fake_request(req);
    fake_require_kind(handler, WEIR_TEST_HANDLER, __func__);
    fake->reply.waiting = 0;
    if (fake->handler == handler && !fake->reply.ended &&
        handler->host->handler.on_writable != NULL) {
        FAKE_HOOK("on_writable");
        handler->host->handler.on_writable(&handler->ctx.base, handler->data, req);
    }
    weir_test_run(handler->host);
}

void weir_test_client_gone(struct weir_test_instance *handler, struct weir_request *req)
{
    fake_require_kind(handler, WEIR_TEST_HANDLER, __func__);
    fake_request_end(fake_request(req), true);
    weir_test_run(handler->host);
}

void weir_test_drain(struct weir_test_instance *handler)
{
    fake_require_kind(handler, WEIR_TEST_HANDLER, __func__);
    if (handler->host->handler.on_drain != NULL) {
        FAKE_HOOK("on_drain");
        handler->host->handler.on_drain(&handler->ctx.base, handler->data);
    }
    weir_test_run(handler->host);
}

bool weir_test_request_over(const struct weir_request *req)
{
    return fake_request(req)->over;
}
