/* SPDX-License-Identifier: MIT */
/*
 * Elements of Forwarded and X-Forwarded-For. See forwarded.h.
 */
#include "http/forwarded.h"

#include "http/syntax.h"

/* ---- reading ---- */

/* Text being parsed. Invariant: at <= end. */
struct reader {
    const char *at, *end;
};

static bool more(const struct reader *reader)
{
    return reader->at < reader->end;
}

static bool next_is(const struct reader *reader, char c)
{
    return more(reader) && *reader->at == c;
}

static void skip_blanks(struct reader *reader)
{
    while (more(reader) && syntax_blank(*reader->at)) {
        reader->at++;
    }
}

static struct weir_str token(struct reader *reader)
{
    const char *begin = reader->at;

    while (more(reader) && syntax_is(*reader->at, SYNTAX_TOKEN)) {
        reader->at++;
    }
    return (struct weir_str){begin, (size_t)(reader->at - begin)};
}

/* The content of a quoted string (RFC 9110 section 5.6.4), at its opening quote. false:
 * unterminated. */
static bool quoted(struct reader *reader, struct weir_str *value)
{
    const char *begin = ++reader->at;

    while (more(reader) && *reader->at != '"') {
        reader->at += *reader->at == '\\' && reader->at + 1 < reader->end ? 2 : 1;
    }
    if (!more(reader)) {
        return false;
    }
    *value = (struct weir_str){begin, (size_t)(reader->at - begin)};
    reader->at++;
    return true;
}

/* name=value; each name once per element (section 4). */
static bool pair(struct reader *reader, struct forwarded_element *element, unsigned *seen)
{
    static const struct weir_str names[] = {WEIR_STR_INIT("for"), WEIR_STR_INIT("proto"),
                                            WEIR_STR_INIT("host"), WEIR_STR_INIT("by")};
    struct weir_str name = token(reader);
    struct weir_str value = {NULL, 0};

    if (name.len == 0 || !next_is(reader, '=')) {
        return false;
    }
    reader->at++;
    if (next_is(reader, '"')) {
        if (!quoted(reader, &value)) {
            return false;
        }
    } else {
        value = token(reader);
    }
    if (value.len == 0) {
        return false;
    }
    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        if (str_equal_nocase(name, names[i])) {
            if ((*seen & 1u << i) != 0) {
                return false;
            }
            *seen |= 1u << i;
            if (i < 2) {
                *(i == 0 ? &element->node : &element->proto) = value;
            }
        }
    }
    return true;
}

enum forwarded_result forwarded_next(struct weir_str *rest, struct forwarded_element *element)
{
    unsigned seen = 0;

    *element = (struct forwarded_element){{NULL, 0}, {NULL, 0}};
    if (rest->len == 0) {
        return FORWARDED_END;
    }
    struct reader reader = {rest->ptr, rest->ptr + rest->len};
    skip_blanks(&reader);
    while (next_is(&reader, ',')) { /* empty elements are ignored (RFC 9110 section 5.6.1) */
        reader.at++;
        skip_blanks(&reader);
    }
    if (!more(&reader)) {
        return FORWARDED_END;
    }
    while (more(&reader) && *reader.at != ',') {
        if (!next_is(&reader, ';') && !pair(&reader, element, &seen)) {
            return FORWARDED_BAD;
        }
        skip_blanks(&reader);
        if (next_is(&reader, ';')) {
            reader.at++;
            skip_blanks(&reader);
        } else if (more(&reader) && *reader.at != ',') {
            return FORWARDED_BAD;
        }
    }
    *rest = (struct weir_str){reader.at, (size_t)(reader.end - reader.at)};
    return FORWARDED_ELEMENT;
}

/* ---- nodes ---- */

/* 1 to 5 digits, or an underscore and a name (section 6.3), which counts as port 0. */
static bool node_port(struct weir_str text, uint16_t *port)
{
    unsigned value = 0;

    *port = 0;
    if (text.len > 1 && text.ptr[0] == '_') {
        return true;
    }
    if (text.len == 0 || text.len > 5) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

bool forwarded_node_address(struct weir_str node, struct address *address)
{
    const char *colon = NULL; /* before the port */
    struct weir_str host = node;
    uint16_t port = 0;

    if (node.len == 0 || memchr(node.ptr, '%', node.len) != NULL) {
        return false; /* zones mean nothing to another machine */
    }
    const char *end = node.ptr + node.len;
    if (node.ptr[0] == '[') {
        const char *close = memchr(node.ptr, ']', node.len);
        if (close == NULL || (close + 1 < end && close[1] != ':')) {
            return false;
        }
        colon = close + 1 < end ? close + 1 : NULL;
    } else {
        colon = memchr(node.ptr, ':', node.len);
        if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL) {
            colon = NULL; /* an IPv6 address without brackets */
        }
    }
    if (colon != NULL) {
        host.len = (size_t)(colon - node.ptr);
        if (!node_port((struct weir_str){colon + 1, (size_t)(end - colon - 1)}, &port)) {
            return false;
        }
    }
    return address_from_host(address, host, port);
}

/* ---- writing ---- */

/* `text` as a value: a token as it is, else quoted. */
static struct weir_str as_value(struct arena *arena, struct weir_str text)
{
    if (text.len > 0 && syntax_all(text, SYNTAX_TOKEN)) {
        return text;
    }
    char *out = arena_bytes(arena, text.len * 2 + 2);
    size_t len = 0;
    if (out == NULL) {
        return (struct weir_str){NULL, 0};
    }
    out[len++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') {
            out[len++] = '\\';
        }
        out[len++] = text.ptr[i];
    }
    out[len++] = '"';
    return (struct weir_str){out, len};
}

struct weir_str forwarded_make(struct arena *arena, const struct address *client,
                               struct weir_str proto, struct weir_str host)
{
    char text[ADDRESS_TEXT_SIZE];
    size_t len = address_text(client, text, sizeof(text));
    const char *zone = memchr(text, '%', len);
    struct weir_str quoted_host = {NULL, 0};

    if (zone != NULL) {
        len = (size_t)(zone - text);
    }
    if (host.len > 0) {
        quoted_host = as_value(arena, host);
        if (quoted_host.ptr == NULL) {
            return quoted_host;
        }
    }
    struct weir_str open = STR("");
    struct weir_str close = STR("");
    if (client->u.any.sa_family == AF_UNIX) {
        len = 0;
        open = STR("unknown");
    } else if (memchr(text, ':', len) != NULL) {
        open = STR("\"[");
        close = STR("]\"");
    }
    return arena_printf(arena, "for=%.*s%.*s%.*s;proto=%.*s%s%.*s", STR_ARGS(open), (int)len, text,
                        STR_ARGS(close), STR_ARGS(proto), host.len > 0 ? ";host=" : "",
                        STR_ARGS(quoted_host));
}
