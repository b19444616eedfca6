/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 from a client's side: one request a connection. What comes from Weir is limited and checked;
 * a body that is cut is told from one that is whole.
 */
#include "http.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_LIMIT (64 * 1024)

static void say(char *error, size_t size, const char *what)
{
    snprintf(error, size, "%s", what);
}

bool http_send(struct http *http, const struct endpoint *endpoint,
               const struct http_request *request, char *error, size_t size)
{
    struct text head = {0};

    text_printf(&head,
                "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: weirctl/%s\r\nConnection: close\r\n%s",
                request->method, endpoint->prefix, request->path, endpoint->authority,
                PACKAGE_VERSION, request->fields);
    if (request->body != NULL) {
        text_printf(&head, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                    request->body_len);
        text_add(&head, request->body, request->body_len);
    } else {
        text_puts(&head,
                  strcmp(request->method, "GET") == 0 ? "\r\n" : "Content-Length: 0\r\n\r\n");
    }
    bool sent = stream_write(http->stream, text_get(&head), head.len, error, size);
    text_clear(&head);
    return sent;
}

/* Reads more into the buffer, whose taken bytes make room. 1, 0 at the end, -1. */
static int fill(struct http *http, char *error, size_t size)
{
    if (http->begin > 0) {
        memmove(http->buffer, http->buffer + http->begin, http->end - http->begin);
        http->end -= http->begin;
        http->begin = 0;
    }
    if (http->end == sizeof(http->buffer)) {
        say(error, size, "its answer is not HTTP: an endless line");
        return -1;
    }
    ssize_t got = stream_read(http->stream, http->buffer + http->end,
                              sizeof(http->buffer) - http->end, error, size);
    if (got > 0) {
        http->end += (size_t)got;
    }
    return got > 0 ? 1 : (int)got;
}

/* The next line without its end, in the buffer until the next read. NULL: error. */
static char *take_line(struct http *http, size_t *len, char *error, size_t size)
{
    size_t seen = 0;

    for (;;) {
        char *line = http->buffer + http->begin;
        char *lf = memchr(line + seen, '\n', http->end - http->begin - seen);
        if (lf != NULL) {
            http->begin = (size_t)(lf + 1 - http->buffer);
            *len = (size_t)(lf - line);
            if (*len > 0 && line[*len - 1] == '\r') {
                (*len)--;
            }
            line[*len] = '\0';
            return line;
        }
        seen = http->end - http->begin;
        int more = fill(http, error, size);
        if (more <= 0) {
            if (more == 0) {
                say(error, size, "it closed the connection in the middle of its answer");
            }
            return NULL;
        }
    }
}

/* ---- the head ---- */

static bool take_status(struct http *http, char *error, size_t size)
{
    size_t len = 0;
    char *line = take_line(http, &len, error, size);

    if (line == NULL) {
        return false;
    }
    if (len < 12 || strncmp(line, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)line[7]) ||
        line[8] != ' ' || strspn(line + 9, "0123456789") != 3) {
        say(error, size, "its answer is not HTTP/1: is this Weir's admin listener?");
        return false;
    }
    http->status = atoi(line + 9);
    return true;
}

static bool take_fields(struct http *http, char *error, size_t size)
{
    text_clear(&http->head);
    for (;;) {
        size_t len = 0;
        char *line = take_line(http, &len, error, size);
        if (line == NULL) {
            return false;
        }
        if (len == 0) {
            return true;
        }
        text_add(&http->head, line, len);
        text_puts(&http->head, "\n");
        if (http->head.len > HEAD_LIMIT) {
            say(error, size, "its answer's head is too large");
            return false;
        }
    }
}

bool http_field(const struct http *http, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);

    for (const char *line = text_get(&http->head); *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *value = line + name_len + 1;
            value += strspn(value, " \t");
            size_t len = strcspn(value, "\n");
            while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) {
                len--;
            }
            snprintf(out, size, "%.*s", (int)len, value);
            return true;
        }
    }
    return false;
}

/* A number up to 2^60 in `base`, all of `text` but what follows a semicolon. */
static bool parse_number(const char *text, int base, uint64_t *out)
{
    char *end = NULL;

    if (!isxdigit((unsigned char)text[0]) || strlen(text) > 200) {
        return false;
    }
    *out = strtoull(text, &end, base);
    end += strspn(end, " \t");
    return (*end == '\0' || *end == ';') && *out < UINT64_C(1) << 60;
}

static bool find_framing(struct http *http, char *error, size_t size)
{
    char value[256];

    if (http->status == 204 || http->status == 304) {
        http->done = true;
    } else if (http_field(http, "Transfer-Encoding", value, sizeof(value))) {
        if (strcasecmp(value, "chunked") != 0) {
            say(error, size, "its answer has a transfer coding that is not known");
            return false;
        }
        http->framing = HTTP_CHUNKED;
    } else if (http_field(http, "Content-Length", value, sizeof(value))) {
        http->framing = HTTP_LENGTH;
        if (!parse_number(value, 10, &http->left)) {
            say(error, size, "its answer has a length that is no number");
            return false;
        }
        http->done = http->left == 0;
    } else {
        http->framing = HTTP_UNTIL_END;
    }
    return true;
}

bool http_read_head(struct http *http, char *error, size_t size)
{
    do {
        if (!take_status(http, error, size) || !take_fields(http, error, size)) {
            return false;
        }
    } while (http->status < 200);
    return find_framing(http, error, size);
}

/* ---- the body ---- */

/* Comes to the next byte of a chunk's data, or to the body's end. */
static bool next_chunk(struct http *http, char *error, size_t size)
{
    size_t len = 0;
    char *line = NULL;

    if (http->in_chunk) {
        line = take_line(http, &len, error, size);
        if (line == NULL) {
            return false;
        }
        http->in_chunk = false;
        if (len != 0) {
            say(error, size, "its answer's chunks are malformed");
            return false;
        }
    }
    line = take_line(http, &len, error, size);
    if (line == NULL) {
        return false;
    }
    if (!parse_number(line, 16, &http->left)) {
        say(error, size, "its answer's chunks are malformed");
        return false;
    }
    http->in_chunk = true;
    while (http->left == 0 && !http->done) {
        line = take_line(http, &len, error, size);
        if (line == NULL) {
            return false;
        }
        http->done = len == 0;
    }
    return true;
}

ssize_t http_read(struct http *http, void *out, size_t len, char *error, size_t size)
{
    if (!http->done && http->framing == HTTP_CHUNKED && http->left == 0 &&
        !next_chunk(http, error, size)) {
        return -1;
    }
    if (http->done) {
        return 0;
    }
    if (http->begin == http->end) {
        int more = fill(http, error, size);
        if (more == 0 && http->framing != HTTP_UNTIL_END) {
            say(error, size, "it closed the connection in the middle of its answer");
            return -1;
        }
        if (more <= 0) {
            http->done = true;
            return more;
        }
    }
    size_t take = http->end - http->begin;
    take = take < len ? take : len;
    if (http->framing != HTTP_UNTIL_END && take > http->left) {
        take = (size_t)http->left;
    }
    memcpy(out, http->buffer + http->begin, take);
    http->begin += take;
    if (http->framing != HTTP_UNTIL_END) {
        http->left -= take;
        http->done = http->framing == HTTP_LENGTH && http->left == 0;
    }
    return (ssize_t)take;
}

void http_clear(struct http *http)
{
    text_clear(&http->head);
}
