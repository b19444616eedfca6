/* SPDX-License-Identifier: MIT */
/*
 * Checks a probe's options, so that what is written there is what is sent and expected.
 */
#include "check.h"
#include "grpc.h"

#include <weir/host.h>
#include <weir/text.h>

/* A text to find must fit into what is read, along with the head. */
#define BODY_TEXT_MAX 4096

/* Text without control characters and, unless `blanks`, without blanks. */
static bool is_plain(struct weir_str text, bool blanks)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < 0x20 || byte == 0x7f || (byte == ' ' && !blanks)) {
            return false;
        }
    }
    return true;
}

static void check_target(struct weir_context *ctx, struct weir_check *check,
                         const struct conf *conf)
{
    if (conf->path.len == 0 || conf->path.ptr[0] != '/' || !is_plain(conf->path, false) ||
        memchr(conf->path.ptr, '#', conf->path.len) != NULL) {
        weir_check_error(ctx, check, &conf->path,
                         "path \"%.*s\" is none: it begins with \"/\", and has neither spaces nor "
                         "\"#\"",
                         (int)conf->path.len, conf->path.ptr);
    }
    if (!weir_is_token(conf->method) || weir_str_is(conf->method, "CONNECT")) {
        weir_check_error(ctx, check, &conf->method,
                         "\"%.*s\" is no method for a probe: GET, HEAD or OPTIONS, for example",
                         (int)conf->method.len, conf->method.ptr);
    }
    if (!is_plain(conf->host, false) ||
        (conf->host.len > 0 && memchr(conf->host.ptr, '/', conf->host.len) != NULL)) {
        weir_check_error(ctx, check, &conf->host,
                         "host \"%.*s\" is none: a name such as \"shop.example\", with \":PORT\" "
                         "where needed",
                         (int)conf->host.len, conf->host.ptr);
    }
    if (!is_plain(conf->user_agent, true)) {
        weir_check_error(ctx, check, &conf->user_agent, "user_agent has a control character");
    }
}

/* Fields that the probe writes itself, or that would make the request mean something else. */
static const char *reserved_field(struct weir_str name, bool grpc)
{
    if (weir_str_is_nocase(name, "host")) {
        return "is set by host = \"...\"";
    }
    if (weir_str_is_nocase(name, "user-agent")) {
        return "is set by user_agent = \"...\"";
    }
    if (weir_str_is_nocase(name, "connection") || weir_str_is_nocase(name, "content-length") ||
        weir_str_is_nocase(name, "transfer-encoding") || weir_str_is_nocase(name, "upgrade") ||
        weir_str_is_nocase(name, "expect") ||
        (grpc && (weir_str_is_nocase(name, "content-type") || weir_str_is_nocase(name, "te")))) {
        return "is the probe's own: a probe has no body, and its connection is closed";
    }
    return NULL;
}

static void check_headers(struct weir_context *ctx, struct weir_check *check,
                          const struct conf *conf)
{
    const struct weir_str *headers = conf->headers.items;
    for (size_t i = 0; i < conf->headers.count; i++) {
        const struct weir_str line = headers[i];
        const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
        struct weir_str name = {line.ptr, colon != NULL ? (size_t)(colon - line.ptr) : 0};
        if (!weir_is_token(name) || !is_plain(line, true)) {
            weir_check_error(ctx, check, &conf->headers,
                             "\"%.*s\" is no header field: write \"Name: value\"", (int)line.len,
                             line.ptr);
            continue;
        }
        const char *why = reserved_field(name, conf->grpc);
        if (why != NULL) {
            weir_check_error(ctx, check, &conf->headers, "%.*s %s", (int)name.len, name.ptr, why);
        }
    }
}

/* A status at the start of the text; 0: none. */
static uint32_t take_status(struct weir_str *text)
{
    uint32_t status = 0;
    for (size_t i = 0; i < 3; i++) {
        if (i >= text->len || !weir_is_digit(text->ptr[i])) {
            return 0;
        }
        status = status * 10 + (uint32_t)(text->ptr[i] - '0');
    }
    text->ptr += 3;
    text->len -= 3;
    return status >= STATUS_MIN && status <= STATUS_MAX ? status : 0;
}

static void read_expect(struct weir_context *ctx, struct weir_check *check, const struct conf *conf,
                        bool expect[STATUS_MAX + 1])
{
    const struct weir_str *items = conf->expect.items;
    if (conf->expect.count == 0) {
        weir_check_error(ctx, check, &conf->expect,
                         "expect is empty, no answer would do: {\"200-399\"}, for example");
    }
    for (size_t i = 0; i < conf->expect.count; i++) {
        struct weir_str rest = items[i];
        uint32_t first = take_status(&rest);
        uint32_t last = first;
        if (rest.len == 4 && rest.ptr[0] == '-') {
            rest.ptr++;
            rest.len--;
            last = take_status(&rest);
        }
        if (first == 0 || last < first || rest.len > 0) {
            weir_check_error(ctx, check, &conf->expect,
                             "\"%.*s\" is neither a status from 100 to 599 nor a range of them, "
                             "such as \"200\" or \"200-399\"",
                             (int)items[i].len, items[i].ptr);
            continue;
        }
        for (uint32_t status = first; status <= last; status++) {
            expect[status] = true;
        }
    }
}

static void check_body(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    if (conf->body.len > 0 && conf_is_head(conf)) {
        weir_check_error(ctx, check, &conf->body,
                         "the answer to HEAD has no body to find a text in: method = GET, or leave "
                         "body out");
    }
    if (conf->body.len > BODY_TEXT_MAX) {
        weir_check_error(ctx, check, &conf->body, "body is longer than %d bytes", BODY_TEXT_MAX);
    }
}

static void check_grpc(struct weir_context *ctx, struct weir_check *check, const struct conf *conf)
{
    if (conf->grpc_service.len > 0 && !conf->grpc) {
        weir_check_error(ctx, check, &conf->grpc_service,
                         "grpc_service is asked for by gRPC alone: add grpc = on");
    }
    if (conf->grpc_service.len > GRPC_SERVICE_MAX || !is_plain(conf->grpc_service, false)) {
        weir_check_error(ctx, check, &conf->grpc_service,
                         "grpc_service is no name of a service: \"shop.Cart\", for example, of at "
                         "most %d bytes",
                         GRPC_SERVICE_MAX);
    }
}

bool conf_is_head(const struct conf *conf)
{
    return weir_str_is(conf->method, "HEAD");
}

bool conf_wants_length(const struct conf *conf)
{
    static const char *const without[] = {"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"};

    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        if (weir_str_is(conf->method, without[i])) {
            return false;
        }
    }
    return true;
}

void check_conf(struct weir_context *ctx, struct weir_check *check, const struct conf *conf,
                bool expect[STATUS_MAX + 1])
{
    check_target(ctx, check, conf);
    check_headers(ctx, check, conf);
    read_expect(ctx, check, conf, expect);
    check_body(ctx, check, conf);
    check_grpc(ctx, check, conf);
}
