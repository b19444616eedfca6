/* SPDX-License-Identifier: MIT */
/* See grpc.h. */
#include "http/grpc.h"

#define GRPC_TYPE STR("application/grpc")
#define WEB_TYPE  STR("application/grpc-web")

/* The request's Content-Type without parameters; empty: it has none. */
static struct weir_str type_of(const struct http_request_head *head)
{
    const struct http_field *field = fields_find(&head->fields, FIELD_CONTENT_TYPE);
    struct weir_str type = field != NULL ? field->value : (struct weir_str){NULL, 0};
    size_t len = 0;

    while (len < type.len && type.ptr[len] != ';' && type.ptr[len] != ' ') {
        len++;
    }
    return (struct weir_str){type.ptr, len};
}

static bool begins(struct weir_str text, struct weir_str with)
{
    return text.len >= with.len && str_equal_nocase((struct weir_str){text.ptr, with.len}, with);
}

bool grpc_asked(const struct http_request_head *head)
{
    struct weir_str type = type_of(head);

    return begins(type, GRPC_TYPE) &&
           (type.len == GRPC_TYPE.len || type.ptr[GRPC_TYPE.len] == '+' || begins(type, WEB_TYPE));
}

struct weir_str grpc_answer_type(const struct http_request_head *head)
{
    struct weir_str type = type_of(head);

    return begins(type, WEB_TYPE) ? type : GRPC_TYPE;
}

struct weir_str grpc_status_for(unsigned status, bool overdue)
{
    switch (status) {
    case 400: return STR("13"); /* INTERNAL */
    case 401: return STR("16"); /* UNAUTHENTICATED */
    case 403: return STR("7");  /* PERMISSION_DENIED */
    case 404: return STR("12"); /* UNIMPLEMENTED */
    case 413:
    case 431: return STR("8"); /* RESOURCE_EXHAUSTED */
    case 429:
    case 502:
    case 503: return STR("14");                      /* UNAVAILABLE */
    case 504: return overdue ? STR("4") : STR("14"); /* DEADLINE_EXCEEDED */
    default: return STR("2");                        /* UNKNOWN */
    }
}

bool grpc_overdue(const struct http_request_head *head, uint64_t elapsed_ns)
{
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'n', 1},          {'u', 1000},        {'m', 1000000},
                 {'S', 1000000000}, {'M', 60000000000}, {'H', 3600000000000}};
    const struct http_field *field = fields_find_name(&head->fields, STR("grpc-timeout"));
    uint64_t count = 0;

    if (field == NULL || field->value.len < 2 || field->value.len > 9) { /* eight digits at most */
        return false;
    }
    size_t digits = field->value.len - 1;
    for (size_t i = 0; i < digits; i++) {
        unsigned digit = (unsigned char)field->value.ptr[i] - (unsigned)'0';
        if (digit > 9) {
            return false;
        }
        count = count * 10 + digit;
    }
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (units[i].unit == field->value.ptr[digits]) {
            return elapsed_ns / units[i].ns >= count;
        }
    }
    return false;
}

int8_t grpc_read_status(struct weir_str value)
{
    int status = 0;

    if (value.len == 0 || value.len > 2) {
        return -1;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9') {
            return -1;
        }
        status = status * 10 + (value.ptr[i] - '0');
    }
    return (int8_t)status;
}
