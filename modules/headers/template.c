/* SPDX-License-Identifier: MIT */
/* Templates of field values and redirects. See template.h. */
#include "template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECES_MAX 64

enum variable {
    VARIABLE_NONE, /* text */
    VARIABLE_STRING,
    VARIABLE_HOST,
    VARIABLE_PATH,
    VARIABLE_REST,
    VARIABLE_QUERY,
    VARIABLE_CLIENT,
    VARIABLE_CLIENT_PORT,
    VARIABLE_STATUS,
    VARIABLE_HEADER,
};

struct template_piece {
    enum variable variable;
    enum weir_request_str string; /* of VARIABLE_STRING */
    struct weir_str text;         /* or the field's name */
};

#define USE(use) (1u << TEMPLATE_##use)
#define FIELDS   (USE(REQUEST) | USE(RESPONSE))
#define ALL      (FIELDS | USE(REDIRECT))

static const struct {
    const char *name;
    enum variable variable;
    enum weir_request_str string;
    unsigned uses;
} variables[] = {
    {"host", VARIABLE_HOST, WEIR_REQUEST_HOST, ALL},
    {"path", VARIABLE_PATH, WEIR_REQUEST_PATH, ALL},
    {"rest", VARIABLE_REST, WEIR_REQUEST_PATH, ALL},
    {"query", VARIABLE_QUERY, WEIR_REQUEST_QUERY, ALL},
    {"scheme", VARIABLE_STRING, WEIR_REQUEST_SCHEME, ALL},
    {"method", VARIABLE_STRING, WEIR_REQUEST_METHOD, FIELDS},
    {"protocol", VARIABLE_STRING, WEIR_REQUEST_PROTOCOL, FIELDS},
    {"client", VARIABLE_CLIENT, WEIR_REQUEST_HOST, FIELDS},
    {"client_port", VARIABLE_CLIENT_PORT, WEIR_REQUEST_HOST, FIELDS},
    {"request_id", VARIABLE_STRING, WEIR_REQUEST_ID, FIELDS},
    {"tls_version", VARIABLE_STRING, WEIR_REQUEST_TLS_VERSION, FIELDS},
    {"tls_name", VARIABLE_STRING, WEIR_REQUEST_TLS_NAME, FIELDS},
    {"listener", VARIABLE_STRING, WEIR_REQUEST_LISTENER, FIELDS},
    {"route", VARIABLE_STRING, WEIR_REQUEST_ROUTE, FIELDS},
    {"pool", VARIABLE_STRING, WEIR_REQUEST_POOL, FIELDS},
    {"server", VARIABLE_STRING, WEIR_REQUEST_SERVER, USE(RESPONSE)},
    {"status", VARIABLE_STATUS, WEIR_REQUEST_HOST, USE(RESPONSE)},
};

/* ---- compiling ---- */

/* All that may stand between braces, for a message. */
static const char *known_names(enum template_use use, char *error, size_t size,
                               struct weir_str wrong)
{
    size_t used = (size_t)snprintf(error, size, "there is no {%.*s} here; known are",
                                   (int)(wrong.len < 40 ? wrong.len : 40), wrong.ptr);
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if ((variables[i].uses & 1u << use) != 0 && used < size) {
            used += (size_t)snprintf(error + used, size - used, " {%s}", variables[i].name);
        }
    }
    if (use != TEMPLATE_REDIRECT && used < size) {
        snprintf(error + used, size - used, " {header:NAME}");
    }
    return error;
}

/* `name` is what stands between the braces. */
static const char *compile_variable(struct template_piece *piece, struct weir_str name,
                                    enum template_use use, char *error, size_t size)
{
    if (weir_str_starts(name, "header:") && use != TEMPLATE_REDIRECT) {
        piece->variable = VARIABLE_HEADER;
        piece->text = name;
        piece->text = weir_str_skip(piece->text, strlen("header:"));
        return weir_is_token(piece->text) ? NULL : "{header:NAME} needs the name of a field";
    }
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (name.len == strlen(variables[i].name) && weir_str_starts(name, variables[i].name) &&
            (variables[i].uses & 1u << use) != 0) {
            piece->variable = variables[i].variable;
            piece->string = variables[i].string;
            return NULL;
        }
    }
    return known_names(use, error, size, name);
}

static bool is_text_byte(char c, enum template_use use)
{
    unsigned char byte = (unsigned char)c;
    if (use == TEMPLATE_REDIRECT) {
        return byte > 0x20 && byte < 0x7f && strchr("\"<>\\^`|", c) == NULL;
    }
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

/* Takes text up to the next brace; a doubled brace is one. */
static const char *compile_text(struct template_piece *piece, struct weir_str *text,
                                enum template_use use)
{
    size_t len = 0;

    piece->variable = VARIABLE_NONE;
    if (weir_str_starts(*text, "{{") || weir_str_starts(*text, "}}")) {
        piece->text = (struct weir_str){text->ptr, 1};
        *text = weir_str_skip(*text, 2);
        return use == TEMPLATE_REDIRECT ? "a redirect has no braces; write them as %7B and %7D"
                                        : NULL;
    }
    for (; len < text->len && text->ptr[len] != '{' && text->ptr[len] != '}'; len++) {
        if (!is_text_byte(text->ptr[len], use)) {
            return use == TEMPLATE_REDIRECT
                       ? "a redirect has no spaces, quotes, backslashes or letters beyond ASCII: "
                         "write them as %XX"
                       : "a field's value has no control characters";
        }
    }
    piece->text = (struct weir_str){text->ptr, len};
    *text = weir_str_skip(*text, len);
    return NULL;
}

/* What a request puts in never decides where the host of a redirect begins or ends, but for
 * {host}. */
static const char *check_redirect(struct weir_str text)
{
    size_t host = weir_str_starts(text, "https://") ? 8 : weir_str_starts(text, "http://") ? 7 : 0;

    if (weir_str_starts(text, "{scheme}://")) {
        host = strlen("{scheme}://");
    }
    if (host == 0) {
        if (text.len == 0 || text.ptr[0] != '/') {
            return "a redirect begins with \"https://\", \"http://\", \"{scheme}://\" or \"/\"";
        }
        return text.len > 1 && strchr("/\\{", text.ptr[1]) != NULL
                   ? "after the first \"/\" of a redirect stands a name, as in \"/new{rest}\""
                   : NULL;
    }
    text = weir_str_skip(text, host);
    bool named = text.len > 0 && strchr("/?#{", text.ptr[0]) == NULL;
    return named || weir_str_starts(text, "{host}")
               ? NULL
               : "after \"//\" stands the host's name, or {host}";
}

const char *template_compile(struct compiled *out, struct weir_str text, enum template_use use,
                             char *error, size_t size)
{
    struct template_piece pieces[PIECES_MAX] = {0};
    const char *wrong = use == TEMPLATE_REDIRECT ? check_redirect(text) : NULL;
    size_t count = 0;

    *out = (struct compiled){NULL, 0, false};
    while (wrong == NULL && text.len > 0) {
        if (count == PIECES_MAX) {
            return "there are too many variables in this template";
        }
        struct template_piece *piece = &pieces[count++];
        if (text.ptr[0] == '{' && !weir_str_starts(text, "{{")) {
            const char *end = memchr(text.ptr, '}', text.len);
            if (end == NULL) {
                return "a brace is open; write {name}, or {{ for a brace itself";
            }
            struct weir_str name = {text.ptr + 1, (size_t)(end - text.ptr) - 1};
            wrong = compile_variable(piece, name, use, error, size);
            text = weir_str_skip(text, name.len + 2);
            out->has_variables = true;
        } else if (text.ptr[0] == '}' && !weir_str_starts(text, "}}")) {
            return "a brace closes nothing; write }} for a brace itself";
        } else {
            wrong = compile_text(piece, &text, use);
        }
    }
    if (wrong != NULL || count == 0) {
        return wrong;
    }
    out->pieces = malloc(count * sizeof(*pieces));
    if (out->pieces == NULL) {
        return "there is no memory left";
    }
    memcpy(out->pieces, pieces, count * sizeof(*pieces));
    out->count = count;
    return NULL;
}

void template_free(struct compiled *text)
{
    free(text->pieces);
    *text = (struct compiled){NULL, 0, false};
}

/* ---- filling in ---- */

/* What a piece stands for, with what goes around it. */
struct value {
    const char *before, *after;
    struct weir_str text;
    char number[16];
};

static void set_number(struct value *value, unsigned number)
{
    int len = snprintf(value->number, sizeof(value->number), "%u", number);
    value->text = (struct weir_str){value->number, (size_t)len};
}

static void set_value(struct value *value, const struct template_piece *piece,
                      const struct template_source *source)
{
    struct weir_request *req = source->req;

    *value = (struct value){.before = "", .after = "", .text = {"", 0}};
    switch (piece->variable) {
    case VARIABLE_NONE: value->text = piece->text; break;
    case VARIABLE_STRING: value->text = weir_request_str(req, piece->string); break;
    case VARIABLE_HOST:
        value->text = weir_request_host(req);
        if (value->text.len > 0 && value->text.ptr[0] != '[' &&
            memchr(value->text.ptr, ':', value->text.len) != NULL) {
            value->before = "[";
            value->after = "]";
        }
        break;
    case VARIABLE_PATH:
        value->text = weir_request_path(req);
        value->text.len = value->text.len > 0 && value->text.ptr[0] == '/' ? value->text.len : 0;
        break;
    case VARIABLE_REST: value->text = source->rest; break;
    case VARIABLE_QUERY:
        value->text = weir_request_str(req, WEIR_REQUEST_QUERY);
        value->before = value->text.len > 0 ? "?" : "";
        break;
    case VARIABLE_CLIENT: value->text = weir_request_peer(req).address; break;
    case VARIABLE_CLIENT_PORT: set_number(value, weir_request_peer(req).port); break;
    case VARIABLE_STATUS:
        set_number(value, source->resp != NULL ? weir_response_status(source->resp) : 0);
        break;
    case VARIABLE_HEADER: req->host->request_header(req, piece->text, &value->text); break;
    }
}

static char *append(char *to, const char *from, size_t len)
{
    if (len > 0) {
        memcpy(to, from, len);
    }
    return to + len;
}

enum weir_status template_fill(const struct compiled *text, const struct template_source *source,
                               struct weir_str *out)
{
    struct value value;
    size_t len = 0;

    if (!text->has_variables && text->count <= 1) {
        *out = text->count == 1 ? text->pieces[0].text : (struct weir_str){"", 0};
        return WEIR_OK;
    }
    for (size_t i = 0; i < text->count; i++) {
        set_value(&value, &text->pieces[i], source);
        len += strlen(value.before) + value.text.len + strlen(value.after);
    }
    char *bytes = weir_request_alloc(source->req, len > 0 ? len : 1);
    if (bytes == NULL) {
        return WEIR_NO_MEMORY;
    }
    *out = (struct weir_str){bytes, len};
    for (size_t i = 0; i < text->count; i++) {
        set_value(&value, &text->pieces[i], source);
        bytes = append(bytes, value.before, strlen(value.before));
        bytes = append(bytes, value.text.ptr, value.text.len);
        bytes = append(bytes, value.after, strlen(value.after));
    }
    return WEIR_OK;
}
