/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1 requests: the request line (RFC 9112 section 3), Host, the target's forms, and the fields
 * about body and connection.
 */
#include "http/h1_fields.h"
#include "http/syntax.h"
#include "http/uri.h"

/* Longest method; the registered ones have at most 17 bytes. */
#define METHOD_LIMIT 64u

#define BIT(id) (UINT64_C(1) << (id))

static bool refuse(struct http_error *error, uint16_t status, const char *reason)
{
    h1_refuse(error, status, reason);
    return false;
}

/* ---- the request line ---- */

static enum h1_status parse_method(const char **pos, const char *end,
                                   struct http_request_head *head, struct http_error *error)
{
    const char *at = *pos;
    while (at < end && syntax_is(*at, SYNTAX_TOKEN)) {
        at++;
    }
    size_t len = (size_t)(at - *pos);
    if (len > METHOD_LIMIT) {
        return h1_refuse(error, 501, "method_too_long");
    }
    if (at == end) {
        return H1_INCOMPLETE;
    }
    if (*at != ' ' || len == 0) {
        return h1_refuse(error, 400, *at == '\n' ? "bare_lf" : "bad_method");
    }
    head->method_name = (struct weir_str){*pos, len};
    head->method = method_of(head->method_name);
    *pos = at + 1;
    return H1_DONE;
}

/* Finds the target's end; the content is checked with its form. */
static enum h1_status parse_target(const char **pos, const char *end, uint32_t limit,
                                   struct http_request_head *head, struct http_error *error)
{
    size_t have = (size_t)(end - *pos);
    size_t window = have <= limit ? have : (size_t)limit + 1;
    const char *space = window > 0 ? memchr(*pos, ' ', window) : NULL;
    size_t len = space != NULL ? (size_t)(space - *pos) : window;
    /* Checked before the form and before the line is complete: a line without version (HTTP/0.9)
     * must not wait for a space on a later line. */
    if (unlikely(!syntax_visible((struct weir_str){*pos, len}, '\0'))) {
        return h1_refuse(error, 400, "bad_request_line");
    }
    if (len > limit) {
        return h1_refuse(error, 414, "target_too_long");
    }
    if (space == NULL) {
        return H1_INCOMPLETE;
    }
    if (len == 0) {
        return h1_refuse(error, 400, "bad_request_line");
    }
    head->target = (struct weir_str){*pos, len};
    *pos = space + 1;
    return H1_DONE;
}

static enum h1_status parse_request_line(const char **pos, const char *end, uint32_t target_limit,
                                         struct http_request_head *head, struct http_error *error)
{
    /* One empty line before a request is tolerated (RFC 9112 section 2.2), no more. */
    if (*pos < end && **pos == '\r') {
        enum h1_status status = h1_parse_crlf(pos, end, error);
        if (status != H1_DONE) {
            return status;
        }
    }
    enum h1_status status = parse_method(pos, end, head, error);
    if (status == H1_DONE) {
        status = parse_target(pos, end, target_limit, head, error);
    }
    if (status == H1_DONE) {
        status = h1_parse_version(pos, end, &head->version, error);
    }
    if (status == H1_DONE) {
        status = h1_parse_crlf(pos, end, error);
    }
    return status;
}

/* ---- target and host ---- */

/* Length of `http://` or `https://` at the start; 0: neither. */
static size_t scheme_length(struct weir_str target)
{
    if (target.len >= 7 && syntax_same(target.ptr, "http", 4) &&
        memcmp(target.ptr + 4, "://", 3) == 0) {
        return 7;
    }
    if (target.len >= 8 && syntax_same(target.ptr, "https", 5) &&
        memcmp(target.ptr + 5, "://", 3) == 0) {
        return 8;
    }
    return 0;
}

bool request_judge_path(struct weir_str text, struct arena *arena, struct http_request_head *head,
                        struct http_error *error)
{
    const char *mark = text.len > 0 ? memchr(text.ptr, '?', text.len) : NULL;
    struct weir_str path = text;
    if (mark != NULL) {
        path.len = (size_t)(mark - text.ptr);
        head->has_query = true;
        head->query = (struct weir_str){mark + 1, text.len - path.len - 1};
        if (!uri_query_valid(head->query)) {
            return refuse(error, 400, "bad_target");
        }
    }
    if (path.len == 0) {
        head->path = STR("/");
    } else if (!uri_normalise_path(path, arena, &head->path)) {
        return refuse(error, 400, "bad_target");
    }
    return true;
}

/* The absolute form, which every server must accept (RFC 9112 section 3.2.2). */
static bool judge_absolute(struct arena *arena, struct http_request_head *head,
                           struct http_error *error)
{
    size_t scheme = scheme_length(head->target);
    if (scheme == 0) {
        return refuse(error, 400, "bad_target");
    }
    struct weir_str rest = {head->target.ptr + scheme, head->target.len - scheme};
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?') {
        len++;
    }
    uint16_t port;
    head->form = TARGET_ABSOLUTE;
    head->authority = (struct weir_str){rest.ptr, len};
    if (!uri_parse_authority(head->authority, arena, &head->host, &port)) {
        return refuse(error, 400, "bad_target");
    }
    rest = (struct weir_str){rest.ptr + len, rest.len - len};
    /* OPTIONS for the server itself becomes `*` on the last hop (section 3.2.4). */
    if (head->method == METHOD_OPTIONS && rest.len == 0) {
        head->path = STR("*");
        return true;
    }
    return request_judge_path(rest, arena, head, error);
}

static bool judge_target(struct arena *arena, struct http_request_head *head,
                         struct http_error *error)
{
    /* CONNECT is unsupported, whatever the target. */
    if (unlikely(head->method == METHOD_CONNECT)) {
        return refuse(error, 501, "connect_unsupported");
    }
    if (likely(head->target.ptr[0] == '/')) {
        head->form = TARGET_ORIGIN;
        return request_judge_path(head->target, arena, head, error);
    }
    if (head->target.len == 1 && head->target.ptr[0] == '*') {
        if (head->method != METHOD_OPTIONS) {
            return refuse(error, 400, "bad_target");
        }
        head->form = TARGET_ASTERISK;
        head->path = head->target;
        return true;
    }
    return judge_absolute(arena, head, error);
}

/* There must be one valid Host (RFC 9112 section 3.2), even if the target overrides it. */
static bool judge_host(struct arena *arena, struct http_request_head *head, uint64_t repeated,
                       struct http_error *error)
{
    const struct http_field *field = fields_find(&head->fields, FIELD_HOST);
    struct weir_str host;
    uint16_t port;
    if (field == NULL) {
        return head->version < HTTP_1_1 || refuse(error, 400, "host_missing");
    }
    if (unlikely((repeated & BIT(FIELD_HOST)) != 0)) {
        return refuse(error, 400, "host_repeated");
    }
    if (field->value.len == 0) {
        return head->version < HTTP_1_1 || refuse(error, 400, "host_empty");
    }
    if (!uri_parse_authority(field->value, arena, &host, &port)) {
        return refuse(error, 400, "bad_host");
    }
    if (head->form != TARGET_ABSOLUTE) {
        head->authority = field->value;
        head->host = host;
    }
    return true;
}

/* ---- body and connection ---- */

/*
 * Both a length and a coding, or a coding from HTTP/1.0, may be a smuggling attempt: the coding
 * wins, the length is dropped, and the connection is not read further (RFC 9112 sections 6.1, 6.3).
 */
static void judge_body(struct http_request_head *head, const struct h1_framing *framing)
{
    if (framing->has_coding) {
        head->body = BODY_CHUNKED;
        head->close_after = framing->has_length || head->version < HTTP_1_1;
        if (framing->has_length) {
            fields_drop(&head->fields, FIELD_CONTENT_LENGTH);
        }
    } else if (framing->has_length) {
        head->body = BODY_LENGTH;
        head->content_length = framing->length;
    }
    bool persistent =
        head->version >= HTTP_1_1 ? !framing->close : framing->keep_alive && !framing->close;
    head->keep_alive = persistent && !head->close_after;
}

bool request_judge_expect(struct http_request_head *head, struct http_error *error)
{
    for (uint32_t i = 0; i < head->fields.count; i++) {
        const struct http_field *field = &head->fields.items[i];
        if (field->id == FIELD_EXPECT && !syntax_equals(field->value, "100-continue")) {
            return refuse(error, 417, "expectation_unknown");
        }
    }
    bool body = head->body == BODY_CHUNKED || head->content_length > 0;
    head->expect_continue = head->version >= HTTP_1_1 && body;
    if (!head->expect_continue) {
        fields_drop(&head->fields, FIELD_EXPECT);
    }
    return true;
}

static bool judge_fields(struct http_request_head *head, struct http_error *error)
{
    struct h1_framing framing;
    if (!h1_read_framing(&head->fields, &framing, error)) {
        return false;
    }
    judge_body(head, &framing);
    if (fields_have(&head->fields, FIELD_EXPECT) && !request_judge_expect(head, error)) {
        return false;
    }
    if (head->version < HTTP_1_1) {
        return true;
    }
    head->te_trailers = fields_list_has(&head->fields, FIELD_TE, STR("trailers"));
    head->upgrade_websocket = framing.upgrade && head->method == METHOD_GET &&
                              head->body != BODY_CHUNKED && head->content_length == 0 &&
                              fields_list_has(&head->fields, FIELD_UPGRADE, STR("websocket"));
    return true;
}

/* ---- the whole ---- */

/* A head that does not end within the limit. */
static enum h1_status too_long(const char *data, size_t len, struct http_error *error)
{
    size_t start = len >= 2 && data[0] == '\r' && data[1] == '\n' ? 2 : 0;
    if (memchr(data + start, '\n', len - start) == NULL) {
        return h1_refuse(error, 414, "target_too_long");
    }
    return h1_refuse(error, 431, "head_too_long");
}

enum h1_status h1_parse_request(const char *data, size_t len, const struct http_limits *limits,
                                struct h1_scan *scan, struct arena *arena,
                                struct http_request_head *head, size_t *used,
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
        status = parse_request_line(&pos, end, limits->target, head, error);
        if (likely(status == H1_DONE)) {
            status =
                h1_parse_section(&pos, end, limits->fields, arena, &head->fields, &repeated, error);
        }
    }
    if (status == H1_INCOMPLETE) {
        scan->scanned = (uint32_t)window;
        return window < limits->head ? H1_INCOMPLETE : too_long(data, window, error);
    }
    if (status == H1_ERROR) {
        return H1_ERROR;
    }
    if (!judge_target(arena, head, error) || !judge_host(arena, head, repeated, error) ||
        !judge_fields(head, error)) {
        return H1_ERROR;
    }
    scan->scanned = 0;
    *used = (size_t)(pos - data);
    return H1_DONE;
}
