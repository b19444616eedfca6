/* SPDX-License-Identifier: MIT */
/*
 * Redirect targets. What a request puts in never decides where the target's host begins or ends,
 * but for {host} itself: so a client cannot make a link of ours lead to a stranger's site.
 */
#include "redirect.h"
#include "table.h"

#include <weir/text.h>

static const struct {
    struct weir_str name;
    enum redirect_piece_kind kind;
} placeholders[] = {
    {WEIR_STR_INIT("{host}"), REDIRECT_HOST},
    {WEIR_STR_INIT("{path}"), REDIRECT_PATH},
    {WEIR_STR_INIT("{rest}"), REDIRECT_REST},
    {WEIR_STR_INIT("{query}"), REDIRECT_QUERY},
};

/* Where the host begins: 0 where there is none, and the target is a path. */
static size_t host_start(struct weir_str text)
{
    return weir_str_starts(text, "https://") ? 8 : weir_str_starts(text, "http://") ? 7 : 0;
}

static const char *check_start(struct weir_str text)
{
    size_t host = host_start(text);
    char first = text.len > host ? text.ptr[host] : '\0';

    if (host == 0) {
        if (first != '/') {
            return "a redirect begins with \"https://\", \"http://\" or \"/\"";
        }
        /* "//name" is another site's address. */
        if (text.len > 1 && (text.ptr[1] == '/' || text.ptr[1] == '\\' || text.ptr[1] == '{')) {
            return "after the first \"/\" of a redirect stands a name, as in \"/new{rest}\"";
        }
        return NULL;
    }
    text.ptr += host;
    text.len -= host;
    if (first == '\0' || first == '/' || first == '?' ||
        (first == '{' && !weir_str_starts(text, "{host}"))) {
        return "after \"//\" stands the host's name, or {host}";
    }
    return NULL;
}

/* The placeholder at the start of the text; NULL: none of ours. */
static const struct weir_str *find_placeholder(struct weir_str text, enum redirect_piece_kind *kind)
{
    for (size_t i = 0; i < sizeof(placeholders) / sizeof(placeholders[0]); i++) {
        if (weir_str_starts(text, placeholders[i].name.ptr)) {
            *kind = placeholders[i].kind;
            return &placeholders[i].name;
        }
    }
    return NULL;
}

const char *redirect_parse(struct weir_str text, struct redirect *out)
{
    const char *wrong = check_start(text);

    out->count = 0;
    while (wrong == NULL && text.len > 0) {
        if (out->count == REDIRECT_MAX_PIECES) {
            return "there are too many placeholders in this redirect";
        }
        struct redirect_piece *piece = &out->pieces[out->count++];
        size_t len = 0;
        if (text.ptr[0] == '{') {
            const struct weir_str *name = find_placeholder(text, &piece->kind);
            if (name == NULL) {
                return "a redirect knows {host}, {path}, {rest} and {query}";
            }
            len = name->len;
        } else {
            piece->kind = REDIRECT_TEXT;
            while (len < text.len && text.ptr[len] != '{') {
                unsigned char byte = (unsigned char)text.ptr[len++];
                if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '}') {
                    return "a redirect has no spaces, quotes, backslashes or letters beyond ASCII: "
                           "write them as %XX";
                }
            }
            piece->text = (struct weir_str){text.ptr, len};
        }
        text.ptr += len;
        text.len -= len;
    }
    return wrong;
}

/* What a piece stands for. `*before` and `*after` are single bytes to put around it, or NUL. */
static struct weir_str piece_value(const struct redirect_piece *piece, struct weir_request *req,
                                   size_t segments, char *before, char *after)
{
    struct weir_str value = piece->text;
    struct weir_str segment;

    *before = '\0';
    *after = '\0';
    switch (piece->kind) {
    case REDIRECT_TEXT: break;
    case REDIRECT_HOST:
        value = weir_request_host(req);
        if (value.len > 0 && value.ptr[0] != '[' && memchr(value.ptr, ':', value.len) != NULL) {
            *before = '[';
            *after = ']';
        }
        break;
    case REDIRECT_PATH:
    case REDIRECT_REST:
        value = weir_request_path(req);
        if (value.len > 0 && value.ptr[0] != '/') { /* "*" */
            value.len = 0;
        }
        for (size_t i = 0; piece->kind == REDIRECT_REST && i < segments; i++) {
            table_next_segment(&value, &segment);
        }
        break;
    case REDIRECT_QUERY:
        value = weir_request_str(req, WEIR_REQUEST_QUERY);
        *before = value.len > 0 ? '?' : '\0';
        break;
    }
    return value;
}

enum weir_status redirect_fill(const struct redirect *redirect, struct weir_request *req,
                               size_t segments, struct weir_str *out)
{
    char before = '\0';
    char after = '\0';
    size_t len = 0;
    char *text;

    if (redirect->count == 1 && redirect->pieces[0].kind == REDIRECT_TEXT) {
        *out = redirect->pieces[0].text;
        return WEIR_OK;
    }
    for (size_t i = 0; i < redirect->count; i++) {
        struct weir_str value = piece_value(&redirect->pieces[i], req, segments, &before, &after);
        if (redirect->pieces[i].kind == REDIRECT_HOST && value.len == 0) {
            return WEIR_INVALID;
        }
        len += value.len + 2;
    }
    text = weir_request_alloc(req, len);
    if (text == NULL) {
        return WEIR_NO_MEMORY;
    }
    out->ptr = text;
    for (size_t i = 0; i < redirect->count; i++) {
        struct weir_str value = piece_value(&redirect->pieces[i], req, segments, &before, &after);
        if (before != '\0') {
            *text++ = before;
        }
        if (value.len > 0) {
            memcpy(text, value.ptr, value.len);
            text += value.len;
        }
        if (after != '\0') {
            *text++ = after;
        }
    }
    out->len = (size_t)(text - out->ptr);
    return WEIR_OK;
}
