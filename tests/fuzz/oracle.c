/* SPDX-License-Identifier: MIT */
/* libhttp-parser's verdict. Its names collide with ours, so this file includes nothing of the
 * core. */
#include "fuzz/oracle.h"

#include <http_parser.h>
#include <string.h>

struct reading {
    struct verdict *verdict;
    bool head_answer, complete;
    bool in_value; /* the last piece was of a value */
};

static int take_piece(struct verdict_slice *slice, const char *at, size_t len)
{
    /* A folded value comes in pieces with the line end between them. */
    if (slice->ptr == NULL) {
        slice->ptr = at;
    }
    slice->len = (size_t)(at + len - slice->ptr);
    return 0;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    return take_piece(&reading->verdict->target, at, len);
}

static int on_field(http_parser *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    struct verdict *verdict = reading->verdict;
    if (verdict->head) {
        return 0;
    }
    if (verdict->field_count == 0 || reading->in_value) {
        if (verdict->field_count == VERDICT_FIELDS) {
            return 1;
        }
        verdict->field_count++;
        reading->in_value = false;
    }
    return take_piece(&verdict->fields[verdict->field_count - 1].name, at, len);
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    struct reading *reading = parser->data;
    struct verdict *verdict = reading->verdict;
    if (verdict->head) {
        return 0;
    }
    reading->in_value = true;
    return take_piece(&verdict->fields[verdict->field_count - 1].value, at, len);
}

static int on_head(http_parser *parser)
{
    struct reading *reading = parser->data;
    struct verdict *verdict = reading->verdict;
    verdict->head = true;
    verdict->status = parser->type == HTTP_RESPONSE ? parser->status_code : 0;
    verdict->minor = parser->http_minor;
    verdict->chunked = (parser->flags & F_CHUNKED) != 0;
    /* Its caller has to know which answers have no body. */
    return reading->head_answer || (verdict->status > 0 && verdict->status < 200) ||
                   verdict->status == 204 || verdict->status == 304
               ? 1
               : 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct verdict *verdict = ((struct reading *)parser->data)->verdict;
    if (len > VERDICT_BODY_LIMIT - verdict->body_len) {
        return 1;
    }
    memcpy(verdict->body + verdict->body_len, at, len);
    verdict->body_len += len;
    return 0;
}

static int on_complete(http_parser *parser)
{
    struct reading *reading = parser->data;
    reading->complete = true;
    reading->verdict->keep_alive = http_should_keep_alive(parser) != 0;
    http_parser_pause(parser, 1);
    return 0;
}

static void trim_values(struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->field_count; i++) {
        struct verdict_slice *value = &verdict->fields[i].value;
        while (value->len > 0 && (value->ptr[0] == ' ' || value->ptr[0] == '\t')) {
            value->ptr++;
            value->len--;
        }
        while (value->len > 0 &&
               (value->ptr[value->len - 1] == ' ' || value->ptr[value->len - 1] == '\t')) {
            value->len--;
        }
    }
}

void oracle_read(const char *data, size_t len, bool response, bool head_answer,
                 struct verdict *verdict)
{
    struct reading reading = {.verdict = verdict, .head_answer = head_answer};
    http_parser parser;
    http_parser_settings settings;
    http_parser_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_header_field = on_field;
    settings.on_header_value = on_value;
    settings.on_headers_complete = on_head;
    settings.on_body = on_body;
    settings.on_message_complete = on_complete;
    memset(verdict, 0, sizeof(*verdict));
    http_parser_init(&parser, response ? HTTP_RESPONSE : HTTP_REQUEST);
    parser.data = &reading;

    size_t used = len > 0 ? http_parser_execute(&parser, &settings, data, len) : 0;
    if (!reading.complete && HTTP_PARSER_ERRNO(&parser) == HPE_OK && verdict->head && response) {
        http_parser_execute(&parser, &settings, data + len, 0);
    }
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    if (reading.complete) {
        verdict->outcome = TAKEN;
        verdict->used = used;
    } else if (error == HPE_OK || error == HPE_INVALID_EOF_STATE) {
        verdict->outcome = INCOMPLETE;
    } else {
        verdict->outcome = REFUSED;
        verdict->why = http_errno_name(error);
    }
    if (!response && (verdict->head || error != HPE_INVALID_METHOD)) {
        const char *name = http_method_str((enum http_method)parser.method);
        verdict->method = (struct verdict_slice){name, strlen(name)};
    }
    trim_values(verdict);
}
