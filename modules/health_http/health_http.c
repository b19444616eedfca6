/* SPDX-License-Identifier: MIT */
/*
 * Probes a server by an HTTP request: status, and on demand a text in the body, say whether it is
 * up; or by gRPC's own health check.
 *
 * Connections, TLS, intervals, time limits, rise and fall are the host's.
 */
#include <weir/weir.h>

#include "check.h"
#include "grpc.h"
#include "response.h"

#include <stdio.h>
#include <stdlib.h>

/* What the configured part of a request takes at most; the host gives at least twice as much. */
#define REQUEST_MAX 4096

/* ---- options ---- */

#define CONTEXTS (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL)

static const struct weir_option rows[] = {
    WEIR_OPTION(struct conf, path, STRING, "/", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The path that is asked for, with its query if it needs one."),
    WEIR_OPTION(struct conf, method, STRING, "GET", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The request's method: GET, HEAD, or another; it goes without content."),
    WEIR_OPTION(struct conf, host, STRING, NULL, CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The Host field. None: host and port of the server's own URL."),
    WEIR_OPTION_LIST(struct conf, headers, STRING, NULL, CONTEXTS, WEIR_OPTION_RELOADABLE,
                     "More fields, each as \"Name: value\"."),
    WEIR_OPTION(struct conf, user_agent, STRING, "weir-health/1", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The User-Agent field, by which the server's log tells probes from visitors."),
    WEIR_OPTION_LIST(struct conf, expect, STRING, "{\"200-399\"}", CONTEXTS,
                     WEIR_OPTION_RELOADABLE | WEIR_OPTION_NOT_EMPTY,
                     "Statuses that say that the server is well: numbers and ranges."),
    WEIR_OPTION(struct conf, body, STRING, NULL, CONTEXTS, WEIR_OPTION_RELOADABLE,
                "A text that the body must contain, within the first 16 KiB of the answer."),
    WEIR_OPTION(struct conf, grpc, BOOLEAN, "off", CONTEXTS, WEIR_OPTION_RELOADABLE,
                "Ask by gRPC (grpc.health.v1.Health/Check), and expect SERVING; path, method, "
                "expect and body say nothing then. Needs HTTP/2 (protocol = h2)."),
    WEIR_OPTION(struct conf, grpc_service, STRING, NULL, CONTEXTS, WEIR_OPTION_RELOADABLE,
                "The service to ask for by gRPC. None: the server as a whole."),
};

static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

/* ---- prepared: one a pool ---- */

struct probe {
    char *before; /* the request up to the Host field's value; the rest is `after` */
    char *after;
    char *expected;       /* the list, for messages */
    struct weir_str host; /* empty: the target's; in the configuration's memory, as is body */
    struct weir_str body; /* empty: any */
    bool head_only;
    bool grpc;
    size_t content_len; /* of the gRPC request, behind `after` */
    char content[GRPC_REQUEST_MAX];
    bool expect[STATUS_MAX + 1];
};

/* ---- prepared data ---- */

/* Appends to a text of REQUEST_MAX bytes; what does not fit makes `*len` larger than that. */
static void append(char *to, size_t *len, struct weir_str text)
{
    if (text.len > 0 && *len + text.len < REQUEST_MAX) {
        memcpy(to + *len, text.ptr, text.len);
        to[*len + text.len] = '\0';
    }
    *len += text.len;
}

static void append_text(char *to, size_t *len, const char *text)
{
    append(to, len, (struct weir_str){text, strlen(text)});
}

/* The request but for the Host field's value and content. false: too long. */
static bool write_request(const struct conf *conf, size_t content_len, char *before, char *after)
{
    const struct weir_str *headers = conf->headers.items;
    size_t before_len = 0;
    size_t after_len = 0;

    append(before, &before_len, conf->grpc ? grpc_method : conf->method);
    append_text(before, &before_len, " ");
    append(before, &before_len, conf->grpc ? grpc_path : conf->path);
    append_text(before, &before_len, " HTTP/1.1\r\nHost: ");
    append_text(after, &after_len, "\r\nUser-Agent: ");
    append(after, &after_len, conf->user_agent);
    if (conf->grpc) {
        char fields[128];
        snprintf(fields, sizeof(fields),
                 "\r\nContent-Type: application/grpc\r\nTE: trailers\r\nContent-Length: %zu\r\n",
                 content_len);
        append_text(after, &after_len, fields);
    } else {
        append_text(after, &after_len, "\r\nAccept: */*\r\nConnection: close\r\n");
        append_text(after, &after_len, conf_wants_length(conf) ? "Content-Length: 0\r\n" : "");
    }
    for (size_t i = 0; i < conf->headers.count; i++) {
        append(after, &after_len, headers[i]);
        append_text(after, &after_len, "\r\n");
    }
    append_text(after, &after_len, "\r\n");
    return before_len + after_len + conf->host.len < REQUEST_MAX;
}

/* "200-399, 418". */
static void write_expected(const struct conf *conf, char *expected)
{
    const struct weir_str *items = conf->expect.items;
    size_t len = 0;
    for (size_t i = 0; i < conf->expect.count; i++) {
        append_text(expected, &len, i > 0 ? ", " : "");
        append(expected, &len, items[i]);
    }
}

static void conf_free(struct weir_context *ctx, void *prepared)
{
    struct probe *probe = prepared;
    (void)ctx;
    free(probe->before);
    free(probe->after);
    free(probe->expected);
    free(probe);
}

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf_struct, void **prepared)
{
    const struct conf *conf = conf_struct;
    struct probe *probe = calloc(1, sizeof(*probe));

    if (probe == NULL) {
        return WEIR_NO_MEMORY;
    }
    probe->before = calloc(1, REQUEST_MAX);
    probe->after = calloc(1, REQUEST_MAX);
    probe->expected = calloc(1, REQUEST_MAX);
    if (probe->before == NULL || probe->after == NULL || probe->expected == NULL) {
        conf_free(ctx, probe);
        return WEIR_NO_MEMORY;
    }
    check_conf(ctx, check, conf, probe->expect);
    probe->grpc = conf->grpc;
    probe->content_len = conf->grpc ? grpc_request(conf->grpc_service, probe->content) : 0;
    if (!write_request(conf, probe->content_len, probe->before, probe->after)) {
        weir_check_error(ctx, check, NULL,
                         "this probe's request is longer than %d bytes: shorten its path, headers "
                         "or user_agent",
                         REQUEST_MAX);
    }
    write_expected(conf, probe->expected);
    probe->host = conf->host;
    probe->body = conf->body;
    probe->head_only = conf_is_head(conf);
    *prepared = probe;
    return WEIR_OK;
}

/* ---- probing ---- */

static size_t request(struct weir_context *ctx, void *instance,
                      const struct weir_probe_target *target, char *out, size_t capacity)
{
    const struct probe *probe = instance;
    struct weir_str host = probe->host.len > 0 ? probe->host : target->authority;
    size_t before_len = strlen(probe->before);
    size_t after_len = strlen(probe->after);
    size_t len = before_len + host.len + after_len + probe->content_len;
    (void)ctx;

    if (probe->grpc && target->http != 2) {
        return 0; /* `judge` says why */
    }

    if (len <= capacity) {
        memcpy(out, probe->before, before_len);
        if (host.len > 0) {
            memcpy(out + before_len, host.ptr, host.len);
        }
        memcpy(out + before_len + host.len, probe->after, after_len);
        memcpy(out + len - probe->content_len, probe->content, probe->content_len);
    }
    return len;
}

static bool contains(const char *text, size_t len, struct weir_str part)
{
    for (size_t at = 0; at + part.len <= len; at++) {
        const char *first = memchr(text + at, part.ptr[0], len - part.len + 1 - at);
        if (first == NULL) {
            return false;
        }
        at = (size_t)(first - text);
        if (memcmp(first, part.ptr, part.len) == 0) {
            return true;
        }
    }
    return false;
}

/* An excerpt for a message. */
static int shown_len(struct weir_str text)
{
    return (int)(text.len < 64 ? text.len : 64);
}

/* The head is complete, and its status is expected. */
static enum weir_verdict judge_body(const struct probe *probe, const struct response *response,
                                    bool eof, bool full, char *reason, size_t reason_size)
{
    if (probe->body.len == 0) {
        snprintf(reason, reason_size, "probe: status %u", response->status);
        return WEIR_VERDICT_UP;
    }
    if (contains(response->body, response->body_len, probe->body)) {
        snprintf(reason, reason_size, "probe: status %u, the body has what is expected",
                 response->status);
        return WEIR_VERDICT_UP;
    }
    if (response->state == RESPONSE_HEAD && !eof) {
        return WEIR_VERDICT_MORE;
    }
    if (response->state == RESPONSE_HEAD && !response->until_eof && !full) {
        snprintf(reason, reason_size, "probe: the body was cut short");
        return WEIR_VERDICT_DOWN;
    }
    snprintf(reason, reason_size, "probe: the body lacks \"%.*s\"%s", shown_len(probe->body),
             probe->body.ptr, full ? " in its first 16 KiB" : "");
    return WEIR_VERDICT_DOWN;
}

static enum weir_verdict judge(struct weir_context *ctx, void *instance,
                               const struct weir_probe_target *target, const char *data, size_t len,
                               bool eof, char *reason, size_t reason_size)
{
    const struct probe *probe = instance;
    struct response response; /* 16 KiB: the control thread's stack has room for it */
    bool full = len >= RESPONSE_MAX;
    (void)ctx;

    if (probe->grpc && target->http != 2) {
        snprintf(reason, reason_size,
                 "probe: gRPC needs HTTP/2: protocol = \"h2\" in the pool or its health block");
        return WEIR_VERDICT_DOWN;
    }
    /* A body that nothing is looked for in says nothing, not even by being malformed. */
    response_read(&response, data, full ? RESPONSE_MAX : len,
                  !probe->grpc && (probe->head_only || probe->body.len == 0));
    switch (response.state) {
    case RESPONSE_MALFORMED:
        snprintf(reason, reason_size, "probe: %s", response.wrong);
        return WEIR_VERDICT_DOWN;
    case RESPONSE_MORE:
        if (!eof) {
            return WEIR_VERDICT_MORE;
        }
        snprintf(reason, reason_size, "probe: %s",
                 len == 0 ? "closed without an answer"
                 : full   ? "the answer's head is longer than 16 KiB"
                          : "the answer was cut short");
        return WEIR_VERDICT_DOWN;
    case RESPONSE_HEAD:
    case RESPONSE_BODY: break;
    }
    if (probe->grpc) {
        return grpc_judge(&response, eof, reason, reason_size);
    }
    if (response.status > STATUS_MAX || !probe->expect[response.status]) {
        snprintf(reason, reason_size, "probe: status %u, expected %s", response.status,
                 probe->expected);
        return WEIR_VERDICT_DOWN;
    }
    return judge_body(probe, &response, eof, full, reason, reason_size);
}

static const struct weir_health health = {
    .size = sizeof(struct weir_health),
    .request = request,
    .judge = judge,
};

WEIR_DEFINE_MODULE("health_http", "1.0", "MIT",
                   "Probes servers by HTTP (status and, on demand, a text in the body) or gRPC",
                   .options = &options, .conf_create = conf_create, .conf_free = conf_free,
                   .health = &health);
