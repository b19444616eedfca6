/* SPDX-License-Identifier: MIT */
/*
 * Responses of HTTP/1: the status line (RFC 9112 section 4) and how the body is framed (section
 * 6.3). Ambiguous responses are refused, and the client gets 502.
 */
#include "http/h1_fields.h"
#include "http/syntax.h"

/* ` 200 OK`, ` 200 ` or, from servers that omit the last space, ` 200`. */
static enum h1_status parse_code(const char **pos, const char *end, struct http_response_head *head,
                                 struct http_error *error)
{
    const char *at = *pos;
    unsigned status = 0;
    for (size_t i = 0; i < 4; i++, at++) {
        if (at == end) {
            return H1_INCOMPLETE;
        }
        if (i == 0 ? *at != ' ' : *at < '0' || *at > '9') {
            return h1_refuse(error, 400, "bad_status_line");
        }
        status = i == 0 ? 0 : status * 10 + (unsigned)(*at - '0');
    }
    if (status < 100 || status > 599) {
        return h1_refuse(error, 400, "bad_status");
    }
    head->status = (uint16_t)status;
    if (at < end && *at == ' ') {
        at++;
    } else if (at < end && *at != '\r' && *at != '\n') {
        return h1_refuse(error, 400, "bad_status_line");
    }
    *pos = at;
    return H1_DONE;
}

static enum h1_status parse_status_line(const char **pos, const char *end,
                                        struct http_response_head *head, struct http_error *error)
{
    enum h1_status status = h1_parse_version(pos, end, &head->version, error);
    if (status == H1_DONE) {
        status = parse_code(pos, end, head, error);
    }
    if (status != H1_DONE) {
        return status;
    }
    const char *reason = *pos;
    *pos = syntax_skip_value(reason, end);
    head->reason = syntax_trim((struct weir_str){reason, (size_t)(*pos - reason)});
    return h1_parse_crlf(pos, end, error);
}

/* Statuses that end with the head, whatever its fields say (RFC 9112 section 6.3). */
static bool has_no_body(enum http_method method, unsigned status)
{
    return method == METHOD_HEAD || status < 200 || status == 204 || status == 304;
}

/*
 * Without a body, the length fields either describe another one (HEAD, 304) and are passed on, or
 * are illegal (1xx, 204): then they are dropped, and if bytes were announced the connection is not
 * reused.
 */
static void judge_no_body(struct http_response_head *head, const struct h1_framing *framing)
{
    head->body = head->status == 101 ? BODY_TUNNEL : BODY_NONE;
    if (head->status >= 200 && head->status != 204) {
        head->has_content_length = framing->has_length;
        head->content_length = framing->length;
        return;
    }
    fields_drop(&head->fields, FIELD_CONTENT_LENGTH);
    fields_drop(&head->fields, FIELD_TRANSFER_ENCODING);
    if (framing->has_coding || framing->length > 0) {
        head->keep_alive = false;
    }
}

/*
 * 205 has no content (RFC 9110 section 15.3.6), but not every parser ends it at its head, so the
 * client gets a length. Content that a server sends anyway is discarded.
 */
static void judge_reset_content(struct http_response_head *head, const struct h1_framing *framing)
{
    head->body = BODY_NONE;
    head->has_content_length = true;
    head->keep_alive = head->keep_alive && framing->has_length;
}

static enum h1_status judge(enum http_method method, struct http_response_head *head,
                            struct http_error *error)
{
    struct h1_framing framing;
    if (!h1_read_framing(&head->fields, &framing, error)) {
        return H1_ERROR;
    }
    if (framing.has_coding && framing.has_length) {
        return h1_refuse(error, 400, "both_lengths");
    }
    if (framing.has_coding && head->version < HTTP_1_1) {
        return h1_refuse(error, 400, "coding_in_http_1_0");
    }
    /* A 101 must answer a GET of HTTP/1.1 and switch to WebSocket; the codec checks that it was
     * requested. */
    if (head->status == 101 &&
        (head->version < HTTP_1_1 || method != METHOD_GET || !framing.upgrade ||
         !fields_list_has(&head->fields, FIELD_UPGRADE, STR("websocket")))) {
        return h1_refuse(error, 400, "bad_switch");
    }
    if (head->status == 205 && framing.length > 0) {
        return h1_refuse(error, 400, "content_in_205");
    }

    head->keep_alive = !framing.close && (head->version >= HTTP_1_1 || framing.keep_alive);
    if (has_no_body(method, head->status)) {
        judge_no_body(head, &framing);
    } else if (head->status == 205) {
        judge_reset_content(head, &framing);
    } else if (framing.has_coding) {
        head->body = BODY_CHUNKED;
    } else if (framing.has_length) {
        head->body = BODY_LENGTH;
        head->has_content_length = true;
        head->content_length = framing.length;
    } else {
        head->body = BODY_CLOSE;
        head->keep_alive = false;
    }
    return H1_DONE;
}

enum h1_status h1_parse_response(const char *data, size_t len, const struct http_limits *limits,
                                 struct h1_scan *scan, struct arena *arena, enum http_method method,
                                 struct http_response_head *head, size_t *used,
                                 struct http_error *error)
{
    size_t window = len < limits->head ? len : limits->head;
    const char *pos = data, *end = data + window;
    uint64_t repeated = 0;
    enum h1_status status = H1_INCOMPLETE;
    if (len == 0) {
        return H1_INCOMPLETE;
    }
    if (h1_worth_parsing(data, window, scan)) {
        memset(head, 0, sizeof(*head));
        status = parse_status_line(&pos, end, head, error);
        if (likely(status == H1_DONE)) {
            status =
                h1_parse_section(&pos, end, limits->fields, arena, &head->fields, &repeated, error);
        }
    }
    if (status == H1_INCOMPLETE) {
        scan->scanned = (uint32_t)window;
        if (window < limits->head) {
            return H1_INCOMPLETE;
        }
        status = h1_refuse(error, 431, "head_too_long");
    }
    if (status == H1_DONE) {
        status = judge(method, head, error);
    }
    if (unlikely(status == H1_ERROR)) {
        /* Every error is the server's. */
        error->status = 502;
        return H1_ERROR;
    }
    scan->scanned = 0;
    *used = (size_t)(pos - data);
    return H1_DONE;
}
