/* SPDX-License-Identifier: MIT */
/* Field sections of HTTP/1 (RFC 9112 section 5), and the fields that frame a message (section
 * 6). */
#include "http/h1_fields.h"

#include "http/syntax.h"

/* More than any honest peer names; bounds what fields_drop_hop_by_hop has to look for. */
#define CONNECTION_OPTIONS_LIMIT 64u

/* Lengths reach code that counts in signed 64 bits (off_t). */
#define LENGTH_LIMIT ((uint64_t)INT64_MAX)

enum h1_status h1_parse_crlf(const char **pos, const char *end, struct http_error *error)
{
    const char *at = *pos;
    if (at == end) {
        return H1_INCOMPLETE;
    }
    if (unlikely(*at != '\r')) {
        return h1_refuse(error, 400, *at == '\n' ? "bare_lf" : "bad_line_end");
    }
    if (at + 1 == end) {
        return H1_INCOMPLETE;
    }
    if (unlikely(at[1] != '\n')) {
        return h1_refuse(error, 400, "bare_cr");
    }
    *pos = at + 2;
    return H1_DONE;
}

enum h1_status h1_parse_version(const char **pos, const char *end, enum http_version *version,
                                struct http_error *error)
{
    /* A digit stands for any digit. */
    static const char form[] = "HTTP/0.0";
    const char *at = *pos;
    size_t have = (size_t)(end - at) < sizeof(form) - 1 ? (size_t)(end - at) : sizeof(form) - 1;
    for (size_t i = 0; i < have; i++) {
        bool digit = at[i] >= '0' && at[i] <= '9';
        if (form[i] == '0' ? !digit : at[i] != form[i]) {
            return h1_refuse(error, 400, "bad_version");
        }
    }
    if (have < sizeof(form) - 1) {
        return H1_INCOMPLETE;
    }
    if (at[5] != '1') {
        return h1_refuse(error, 505, "version_unsupported");
    }
    *version = at[7] == '0' ? HTTP_1_0 : HTTP_1_1;
    *pos = at + sizeof(form) - 1;
    return H1_DONE;
}

/* ---- one line ---- */

/* What is wrong with a field name or the colon after it. */
static enum h1_line name_error(const char *name, const char *at, struct http_error *error)
{
    const char *reason = "bad_field_name";
    if (*at == '\n') {
        reason = "bare_lf";
    } else if (*at == '\r') {
        reason = "no_colon";
    } else if (syntax_blank(*at)) {
        reason = at == name ? "obs_fold" : "space_before_colon";
    }
    h1_refuse(error, 400, reason);
    return H1_LINE_ERROR;
}

static enum h1_line from_status(enum h1_status status, enum h1_line done)
{
    if (status == H1_DONE) {
        return done;
    }
    return status == H1_INCOMPLETE ? H1_LINE_INCOMPLETE : H1_LINE_ERROR;
}

enum h1_line h1_parse_line(const char **pos, const char *end, struct http_field *field,
                           struct http_error *error)
{
    const char *at = *pos;
    if (at < end && *at == '\r') {
        return from_status(h1_parse_crlf(pos, end, error), H1_LINE_EMPTY);
    }

    at = syntax_skip_token(at, end);
    if (at == end) {
        return H1_LINE_INCOMPLETE;
    }
    if (unlikely(*at != ':' || at == *pos)) {
        return name_error(*pos, at, error);
    }
    field->name = (struct weir_str){*pos, (size_t)(at - *pos)};

    at++;
    while (at < end && syntax_blank(*at)) {
        at++;
    }
    const char *value = at;
    at = syntax_skip_value(at, end);
    if (at == end) {
        return H1_LINE_INCOMPLETE;
    }
    if (unlikely(*at != '\r' && *at != '\n')) {
        h1_refuse(error, 400, "bad_field_value");
        return H1_LINE_ERROR;
    }
    const char *value_end = at;
    enum h1_status status = h1_parse_crlf(&at, end, error);
    if (unlikely(status != H1_DONE)) {
        return from_status(status, H1_LINE_ERROR);
    }
    while (value_end > value && syntax_blank(value_end[-1])) {
        value_end--;
    }
    field->value = (struct weir_str){value, (size_t)(value_end - value)};
    field->id = (uint16_t)field_id_of(field->name);
    field->dropped = field->secret = false;
    *pos = at;
    return H1_LINE_FIELD;
}

enum h1_status h1_parse_section(const char **pos, const char *end, uint32_t count_limit,
                                struct arena *arena, struct http_fields *fields, uint64_t *repeated,
                                struct http_error *error)
{
    struct http_field field;
    *repeated = 0;
    for (;;) {
        enum h1_line line = h1_parse_line(pos, end, &field, error);
        if (line == H1_LINE_EMPTY) {
            return H1_DONE;
        }
        if (unlikely(line != H1_LINE_FIELD)) {
            return line == H1_LINE_INCOMPLETE ? H1_INCOMPLETE : H1_ERROR;
        }
        if (unlikely(fields->count >= count_limit)) {
            return h1_refuse(error, 431, "too_many_fields");
        }
        struct http_field *item = fields_append(fields, arena);
        if (unlikely(item == NULL)) {
            return h1_refuse(error, 503, "no_memory");
        }
        *item = field;
        if (field.id != FIELD_OTHER) {
            *repeated |= fields->seen & (UINT64_C(1) << field.id);
            fields->seen |= UINT64_C(1) << field.id;
        }
    }
}

bool h1_worth_parsing(const char *data, size_t len, struct h1_scan *scan)
{
    if (scan->scanned == 0 || scan->scanned > len) {
        return true;
    }
    /* The first line is parsed again whenever it grows: it is short, and errors show at once. */
    size_t start = len >= 2 && data[0] == '\r' && data[1] == '\n' ? 2 : 0;
    if (memchr(data + start, '\n', len - start) == NULL) {
        return true;
    }
    const char *at = data + scan->scanned, *end = data + len;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        size_t before = (size_t)(at - data);
        if (before == 0 || at[-1] != '\r' || (before >= 2 && at[-2] == '\n')) {
            return true;
        }
        at++;
    }
    scan->scanned = (uint32_t)len;
    return false;
}

/* ---- framing ---- */

/* One element of a Content-Length. Signs, spaces and values above the limit are refused. */
static bool parse_length(struct weir_str text, uint64_t *length)
{
    uint64_t value = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(uint8_t)text.ptr[i] - '0';
        if (digit > 9 || value > (LENGTH_LIMIT - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *length = value;
    return true;
}

/* Several lengths may be folded into one where they are equal (RFC 9112 section 6.3). */
static bool read_length(struct weir_str value, struct h1_framing *framing, struct http_error *error)
{
    struct weir_str element;
    uint64_t length;
    while (syntax_list_next(&value, &element)) {
        if (!parse_length(element, &length)) {
            h1_refuse(error, 400, "bad_content_length");
            return false;
        }
        if (framing->has_length && length != framing->length) {
            h1_refuse(error, 400, "content_lengths_differ");
            return false;
        }
        framing->has_length = true;
        framing->length = length;
    }
    return true;
}

/* The transfer codings seen so far. */
struct codings {
    unsigned count;
    bool chunked; /* the last one was `chunked` */
    bool twice;   /* another coding followed `chunked` */
    bool malformed, unknown;
};

/* Empty elements are refused, although RFC 9110 section 5.6.1 lets them pass: others read them as
 * unknown codings. */
static void read_codings(struct weir_str value, struct codings *codings)
{
    struct weir_str element;
    while (syntax_list_next(&value, &element)) {
        struct weir_str name = element;
        const char *semicolon = element.len > 0 ? memchr(element.ptr, ';', element.len) : NULL;
        if (semicolon != NULL) {
            name = syntax_trim((struct weir_str){name.ptr, (size_t)(semicolon - name.ptr)});
        }
        codings->count++;
        codings->twice |= codings->chunked;
        codings->chunked = syntax_equals(name, "chunked");
        codings->unknown |= !codings->chunked;
        /* `chunked` has no parameters (RFC 9112 section 7.1). */
        codings->malformed |= !field_name_valid(name) || (codings->chunked && semicolon != NULL);
    }
}

/*
 * RFC 9112 section 6.3: if `chunked` is not the last coding, the end of a request is unknown (400).
 * If others precede it, they are unsupported (501).
 */
static bool judge_codings(const struct codings *codings, struct http_error *error)
{
    if (codings->malformed || codings->twice || !codings->chunked) {
        h1_refuse(error, 400, "bad_transfer_encoding");
    } else if (codings->unknown) {
        h1_refuse(error, 501, "transfer_coding_unsupported");
    } else {
        return true;
    }
    return false;
}

/* false: too many options. */
static bool read_connection(struct weir_str value, struct h1_framing *framing, unsigned *count)
{
    struct weir_str option;
    while (syntax_list_next(&value, &option)) {
        if (++*count > CONNECTION_OPTIONS_LIMIT) {
            return false;
        }
        if (syntax_equals(option, "keep-alive")) {
            framing->keep_alive = true;
        } else if (syntax_equals(option, "close")) {
            framing->close = true;
        } else if (syntax_equals(option, "upgrade")) {
            framing->upgrade = true;
        }
    }
    return true;
}

bool h1_read_framing(const struct http_fields *fields, struct h1_framing *framing,
                     struct http_error *error)
{
    const uint64_t looked_at = UINT64_C(1) << FIELD_CONTENT_LENGTH |
                               UINT64_C(1) << FIELD_TRANSFER_ENCODING |
                               UINT64_C(1) << FIELD_CONNECTION;
    struct codings codings = {0};
    unsigned options = 0;
    *framing = (struct h1_framing){0};
    if ((fields->seen & looked_at) == 0) {
        return true;
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->items[i];
        if (field->id == FIELD_CONTENT_LENGTH) {
            if (!read_length(field->value, framing, error)) {
                return false;
            }
        } else if (field->id == FIELD_TRANSFER_ENCODING) {
            read_codings(field->value, &codings);
        } else if (field->id == FIELD_CONNECTION) {
            if (!read_connection(field->value, framing, &options)) {
                h1_refuse(error, 400, "too_many_connection_options");
                return false;
            }
        }
    }
    framing->has_coding = codings.count > 0;
    return !framing->has_coding || judge_codings(&codings, error);
}
