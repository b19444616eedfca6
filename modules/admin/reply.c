/* SPDX-License-Identifier: MIT */
/*
 * Answers. See reply.h.
 */
#include "reply.h"

#include <stdarg.h>
#include <stdio.h>

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'";

static const struct weir_field guards[] = {
    {WEIR_STR_INIT("Content-Security-Policy"), {policy, sizeof(policy) - 1}},
    {WEIR_STR_INIT("X-Content-Type-Options"), WEIR_STR_INIT("nosniff")},
    {WEIR_STR_INIT("X-Frame-Options"), WEIR_STR_INIT("DENY")},
    {WEIR_STR_INIT("Referrer-Policy"), WEIR_STR_INIT("no-referrer")},
    {WEIR_STR_INIT("Cross-Origin-Opener-Policy"), WEIR_STR_INIT("same-origin")},
    {WEIR_STR_INIT("Cross-Origin-Resource-Policy"), WEIR_STR_INIT("same-origin")},
    {WEIR_STR_INIT("Permissions-Policy"),
     WEIR_STR_INIT("camera=(), geolocation=(), microphone=(), payment=(), usb=()")},
};

void reply_begin(struct reply *reply, struct weir_request *req)
{
    reply->req = req;
    reply->count = sizeof(guards) / sizeof(guards[0]);
    memcpy(reply->fields, guards, sizeof(guards));
}

void reply_add(struct reply *reply, const char *name, struct weir_str value)
{
    if (reply->count < REPLY_FIELDS_MAX) {
        reply->fields[reply->count++] = (struct weir_field){weir_str_of(name), value};
    }
}

void reply_send(struct reply *reply, uint32_t status, struct weir_str body)
{
    struct weir_request *req = reply->req;
    bool none = status == 204 || status == 304;
    enum weir_status begun =
        weir_reply_begin(req, status, reply->fields, reply->count, none ? -1 : (int64_t)body.len);
    if (begun != WEIR_OK) {
        weir_reply_abort(req);
        return;
    }
    if (!none && body.len > 0 && !weir_str_is(weir_request_method(req), "HEAD")) {
        weir_reply_write(req, body.ptr, body.len);
    }
    weir_reply_end(req);
}

bool reply_stream(struct reply *reply, uint32_t status)
{
    enum weir_status begun = weir_reply_begin(reply->req, status, reply->fields, reply->count, -1);
    if (begun != WEIR_OK) {
        weir_reply_abort(reply->req);
    }
    return begun == WEIR_OK;
}

const char *reply_title(uint32_t status)
{
    switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 503: return "Service Unavailable";
    default: return status >= 500 ? "Internal Server Error" : "Error";
    }
}

/* Whether a person sees the answer: not a program, and not a page's own request. */
static bool wants_page(struct weir_request *req)
{
    struct weir_str accept = {NULL, 0};
    weir_request_header_list(req, "Accept", &accept);
    return text_has(accept, "text/html") && !weir_str_starts(weir_request_path(req), "/api/");
}

/* Escapes text for HTML. */
static size_t put_html(char *out, size_t at, size_t size, const char *text)
{
    for (; *text != '\0' && at + 7 < size; text++) {
        const char *entity = *text == '<'   ? "&lt;"
                             : *text == '>' ? "&gt;"
                             : *text == '&' ? "&amp;"
                                            : NULL;
        if (entity != NULL) {
            memcpy(out + at, entity, strlen(entity));
            at += strlen(entity);
        } else {
            out[at++] = *text;
        }
    }
    out[at] = '\0';
    return at;
}

static void send_problem(struct weir_request *req, uint32_t status, const char *field,
                         const char *value, const char *detail)
{
    char body[2048];
    struct reply reply;
    bool page = wants_page(req);
    const char *title = reply_title(status);
    size_t at;

    if (page) {
        at = (size_t)snprintf(body, sizeof(body),
                              "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                              "<title>%s</title></head>\n<body><h1>%u %s</h1><p>",
                              title, status, title);
        at = put_html(body, at, sizeof(body) - 64, detail);
        at += (size_t)snprintf(body + at, sizeof(body) - at, "</p></body></html>\n");
    } else {
        at = (size_t)snprintf(
            body, sizeof(body),
            "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":", title, status);
        at = text_put_json(body, at, sizeof(body) - 4, weir_str_of(detail));
        at += (size_t)snprintf(body + at, sizeof(body) - at, "}\n");
    }
    reply_begin(&reply, req);
    reply_add(&reply, "Content-Type",
              weir_str_of(page ? "text/html; charset=utf-8" : "application/problem+json"));
    reply_add(&reply, "Cache-Control", weir_str_of("no-store"));
    if (field != NULL) {
        reply_add(&reply, field, weir_str_of(value));
    }
    reply_send(&reply, status, (struct weir_str){body, at});
}

void reply_problem(struct weir_request *req, uint32_t status, const char *format, ...)
{
    char detail[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    send_problem(req, status, NULL, NULL, detail);
}

void reply_problem_with(struct weir_request *req, uint32_t status, const char *field,
                        const char *value, const char *format, ...)
{
    char detail[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    send_problem(req, status, field, value, detail);
}

void reply_redirect(struct weir_request *req, const char *location)
{
    struct reply reply;
    reply_begin(&reply, req);
    reply_add(&reply, "Location", weir_str_of(location));
    reply_add(&reply, "Cache-Control", weir_str_of("no-store"));
    reply_send(&reply, 303, (struct weir_str){NULL, 0});
}

void reply_method(struct weir_request *req, const char *allowed)
{
    struct weir_str method = weir_request_method(req);
    reply_problem_with(req, 405, "Allow", allowed, "%.*s is not for this path; it takes %s",
                       (int)(method.len < 40 ? method.len : 40), method.ptr, allowed);
}
