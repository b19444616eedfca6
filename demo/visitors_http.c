/* SPDX-License-Identifier: MIT */
/* Reads one HTTP/1.1 response at a time, strictly. */
#include "visitors_http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void response_begin(struct response *response, bool to_head)
{
    response->status = 0;
    response->header_count = 0;
    response->body_len = 0;
    if (response->body != NULL) {
        response->body[0] = '\0';
    }
    response->keep_alive = false;
    response->problem = NULL;
    response->state = IN_HEAD;
    response->to_head = to_head;
    response->left = 0;
    response->head_len = 0;
    response->line_len = 0;
}

void response_free(struct response *response)
{
    free(response->body);
    response->body = NULL;
    response->body_room = 0;
}

const char *response_header(const struct response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++) {
        if (strcasecmp(response->headers[i].name, name) == 0) {
            return response->headers[i].value;
        }
    }
    return NULL;
}

static enum parse_result bad(struct response *response, const char *problem)
{
    response->problem = problem;
    return PARSE_BAD;
}

static size_t count_headers(const struct response *response, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < response->header_count; i++) {
        count += strcasecmp(response->headers[i].name, name) == 0;
    }
    return count;
}

/* Splits the head, which ends with an empty line, in place. */
static bool split_head(struct response *response)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *status = response->head + 9;
    if (strlen(response->head) != response->head_len ||
        strncmp(response->head, "HTTP/1.1 ", 9) != 0 || strspn(status, "0123456789") != 3 ||
        (status[3] != ' ' && status[3] != '\r')) {
        return false;
    }
    response->status = atoi(status);
    char *line = strstr(response->head, "\r\n") + 2;
    while (*line != '\r') {
        char *end = strstr(line, "\r\n");
        size_t name_len = strspn(line, token);
        if (name_len == 0 || line[name_len] != ':' ||
            response->header_count == HEADER_COUNT_LIMIT) {
            return false;
        }
        char *value = line + name_len + 1;
        value += strspn(value, " \t");
        char *value_end = end;
        while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) {
            value_end--;
        }
        line[name_len] = '\0';
        *value_end = '\0';
        if (strpbrk(value, "\r\n") != NULL) {
            return false;
        }
        response->headers[response->header_count].name = line;
        response->headers[response->header_count++].value = value;
        line = end + 2;
    }
    return line == response->head + response->head_len - 2;
}

static enum parse_result begin_body(struct response *response)
{
    const char *coding = response_header(response, "Transfer-Encoding");
    const char *length = response_header(response, "Content-Length");
    const char *connection = response_header(response, "Connection");
    response->keep_alive = connection == NULL || strcasecmp(connection, "close") != 0;
    if (coding != NULL && length != NULL) {
        return bad(response, "both Content-Length and Transfer-Encoding");
    }
    if (count_headers(response, "Content-Length") > 1) {
        return bad(response, "more than one Content-Length");
    }
    if (length != NULL) {
        size_t digits = strspn(length, "0123456789");
        if (digits == 0 || digits > 9 || length[digits] != '\0') {
            return bad(response, "a Content-Length that is no number");
        }
    }
    if (response->to_head || response->status == 204 || response->status == 304) {
        response->state = AT_END;
        return PARSE_DONE;
    }
    if (coding != NULL) {
        if (strcasecmp(coding, "chunked") != 0) {
            return bad(response, "an unknown Transfer-Encoding");
        }
        response->state = IN_CHUNK_SIZE;
    } else if (length != NULL) {
        response->left = strtoull(length, NULL, 10);
        if (response->left > BODY_LIMIT) {
            return bad(response, "a body above 1 MiB");
        }
        response->state = response->left > 0 ? IN_BODY : AT_END;
    } else {
        response->keep_alive = false;
        response->state = IN_REST;
    }
    return response->state == AT_END ? PARSE_DONE : PARSE_MORE;
}

static enum parse_result end_head(struct response *response)
{
    if (!split_head(response)) {
        return bad(response, "a malformed head");
    }
    if (response->status >= 200) {
        return begin_body(response);
    }
    if (response->status == 101 || response->status < 100) {
        return bad(response, "a status that was not asked for");
    }
    response_begin(response, response->to_head); /* an interim answer: the real one follows */
    return PARSE_MORE;
}

static bool add_body(struct response *response, const char *data, size_t len)
{
    if (len > BODY_LIMIT - response->body_len) {
        return false;
    }
    size_t need = response->body_len + len + 1;
    if (need > response->body_room) {
        size_t room = response->body_room > 0 ? response->body_room : 4096;
        while (room < need) {
            room *= 2;
        }
        char *body = realloc(response->body, room);
        if (body == NULL) {
            return false;
        }
        response->body = body;
        response->body_room = room;
    }
    memcpy(response->body + response->body_len, data, len);
    response->body_len += len;
    response->body[response->body_len] = '\0';
    return true;
}

/* A whole line of the chunked framing is in `line`, without its end. */
static enum parse_result end_line(struct response *response)
{
    response->line[response->line_len] = '\0';
    size_t len = response->line_len;
    response->line_len = 0;
    if (response->state == IN_CHUNK_END) {
        response->state = IN_CHUNK_SIZE;
        return len == 0 ? PARSE_MORE : bad(response, "a chunk longer than its size");
    }
    if (response->state == IN_TRAILER) {
        response->state = len == 0 ? AT_END : IN_TRAILER;
        return len == 0 ? PARSE_DONE : PARSE_MORE;
    }
    size_t digits = strspn(response->line, "0123456789abcdefABCDEF");
    if (digits == 0 || digits > 8 ||
        (response->line[digits] != '\0' && response->line[digits] != ';')) {
        return bad(response, "a malformed chunk size");
    }
    response->left = strtoull(response->line, NULL, 16);
    response->state = response->left > 0 ? IN_CHUNK : IN_TRAILER;
    return PARSE_MORE;
}

/* One byte of the head, or of a line of the chunked framing. */
static enum parse_result feed_byte(struct response *response, char byte)
{
    if (response->state == IN_HEAD) {
        if (response->head_len == HEAD_LIMIT) {
            return bad(response, "a head above 16 KiB");
        }
        response->head[response->head_len++] = byte;
        response->head[response->head_len] = '\0';
        bool ends = response->head_len >= 4 &&
                    memcmp(response->head + response->head_len - 4, "\r\n\r\n", 4) == 0;
        return ends ? end_head(response) : PARSE_MORE;
    }
    if (byte == '\n') {
        if (response->line_len == 0 || response->line[response->line_len - 1] != '\r') {
            return bad(response, "a bare line feed in the chunked framing");
        }
        response->line_len--;
        return end_line(response);
    }
    if (response->line_len == LINE_LIMIT - 1) {
        return bad(response, "a long line in the chunked framing");
    }
    response->line[response->line_len++] = byte;
    return PARSE_MORE;
}

enum parse_result response_feed(struct response *response, const char *data, size_t len,
                                size_t *used)
{
    enum parse_result result = PARSE_MORE;
    size_t at = 0;
    assert(response->state != AT_END);
    while (at < len && result == PARSE_MORE) {
        bool counted = response->state == IN_BODY || response->state == IN_CHUNK;
        if (!counted && response->state != IN_REST) {
            result = feed_byte(response, data[at++]);
            continue;
        }
        size_t take = len - at;
        if (counted && take > response->left) {
            take = (size_t)response->left;
        }
        if (!add_body(response, data + at, take)) {
            result = bad(response, "a body above 1 MiB");
            break;
        }
        at += take;
        response->left -= counted ? take : 0;
        if (counted && response->left == 0) {
            bool chunk = response->state == IN_CHUNK;
            response->state = chunk ? IN_CHUNK_END : AT_END;
            result = chunk ? PARSE_MORE : PARSE_DONE;
        }
    }
    *used = at;
    return result;
}

enum parse_result response_closed(struct response *response, bool clean)
{
    if (response->state == IN_REST && clean) {
        response->state = AT_END;
        return PARSE_DONE;
    }
    return bad(response, response->head_len == 0      ? "closed before any answer"
                         : response->state == IN_HEAD ? "cut within the head"
                                                      : "cut within the body");
}
