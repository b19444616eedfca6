/* SPDX-License-Identifier: MIT */
/*
 * Edits in configuration text. See config_text.h. Positions are found by the line that the reader noted, and
 * a small scanner that knows strings and comments.
 */
#include "control/config_text.h"

#include <ctype.h>
#include <stdlib.h>

void config_text_init(struct config_text *text, struct weir_str original)
{
    *text = (struct config_text){original, NULL, 0};
}

static size_t line_start(const struct config_text *text, unsigned line)
{
    size_t at = 0;
    for (unsigned i = 1; i < line && at < text->text.len; i++) {
        const char *end = memchr(text->text.ptr + at, '\n', text->text.len - at);
        at = end != NULL ? (size_t)(end - text->text.ptr) + 1 : text->text.len;
    }
    return at;
}

static bool at_text(const struct config_text *text, size_t at, const char *what)
{
    size_t len = strlen(what);
    return at + len <= text->text.len && memcmp(text->text.ptr + at, what, len) == 0;
}

/* Behind the comment or string that begins here; `at` itself where none does. */
static size_t skip_quiet(const struct config_text *text, size_t at)
{
    const char *p = text->text.ptr;
    size_t len = text->text.len;

    if (p[at] == '#' || at_text(text, at, "//")) {
        while (at < len && p[at] != '\n') {
            at++;
        }
    } else if (at_text(text, at, "/*")) {
        at += 2;
        while (at < len && !at_text(text, at, "*/")) {
            at++;
        }
        at = at + 2 < len ? at + 2 : len;
    } else if (p[at] == '"' || p[at] == '\'') {
        char quote = p[at++];
        while (at < len && p[at] != quote) {
            at += p[at] == '\\' && quote == '"' && at + 1 < len ? 2 : 1;
        }
        at = at < len ? at + 1 : len;
    }
    return at;
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

/* The word `name` from `at` on, outside of strings and comments. SIZE_MAX: it is not there. */
static size_t find_word(const struct config_text *text, size_t at, struct weir_str name)
{
    while (at < text->text.len) {
        size_t next = skip_quiet(text, at);
        if (next != at) {
            at = next;
        } else if (is_name(text->text.ptr[at])) {
            size_t end = at;
            while (end < text->text.len && is_name(text->text.ptr[end])) {
                end++;
            }
            if (str_equal((struct weir_str){text->text.ptr + at, end - at}, name)) {
                return at;
            }
            at = end;
        } else {
            at++;
        }
    }
    return SIZE_MAX;
}

static size_t skip_space(const struct config_text *text, size_t at)
{
    while (at < text->text.len && isspace((unsigned char)text->text.ptr[at])) {
        at++;
    }
    return at;
}

/* Behind the brace that closes the one at `at`. */
static size_t skip_braces(const struct config_text *text, size_t at)
{
    unsigned depth = 0;
    while (at < text->text.len) {
        size_t next = skip_quiet(text, at);
        if (next != at) {
            at = next;
            continue;
        }
        char c = text->text.ptr[at++];
        depth += c == '{';
        if (c == '}' && --depth == 0) {
            break;
        }
    }
    return at;
}

static size_t skip_value(const struct config_text *text, size_t at)
{
    size_t next = skip_quiet(text, at);
    if (next != at) {
        return next;
    }
    if (at < text->text.len && text->text.ptr[at] == '{') {
        return skip_braces(text, at);
    }
    while (at < text->text.len && !isspace((unsigned char)text->text.ptr[at]) &&
           text->text.ptr[at] != '}' && text->text.ptr[at] != ',') {
        at++;
    }
    return at;
}

bool config_text_block(const struct config_text *text, const struct conf_node *node, size_t *from,
                       size_t *to)
{
    size_t at = find_word(text, line_start(text, node->place.line), node->name);

    while (at != SIZE_MAX) {
        size_t title = skip_space(text, at + node->name.len);
        size_t end = skip_value(text, title);
        size_t brace = skip_space(text, end);
        /* The title as it is written: its quotes aside, what is expanded in it does not fit. */
        size_t quotes =
            title < end && (text->text.ptr[title] == '"' || text->text.ptr[title] == '\'');
        bool fits =
            end - title >= 2 * quotes &&
            str_equal((struct weir_str){text->text.ptr + title + quotes, end - title - 2 * quotes},
                      node->title.text);
        if (fits && brace < text->text.len && text->text.ptr[brace] == '{') {
            *from = at;
            *to = skip_braces(text, brace);
            return true;
        }
        at = find_word(text, at + node->name.len, node->name);
    }
    return false;
}

void config_text_replace(struct config_text *text, size_t from, size_t to, char *replacement)
{
    text->edits = base_realloc(text->edits, (text->count + 1) * sizeof(*text->edits));
    text->edits[text->count] = (struct text_edit){from, to, replacement, text->count};
    text->count++;
}

/* Where the value of a setting begins: behind `name =`. SIZE_MAX: it was not found. */
static size_t value_start(const struct config_text *text, const struct conf_node *setting)
{
    size_t at = find_word(text, line_start(text, setting->place.line), setting->name);

    while (at != SIZE_MAX) {
        size_t equals = skip_space(text, at + setting->name.len);
        if (equals < text->text.len && text->text.ptr[equals] == '=') {
            return skip_space(text, equals + 1);
        }
        at = find_word(text, at + setting->name.len, setting->name);
    }
    return SIZE_MAX;
}

void config_text_mask(struct config_text *text, const struct conf_node *setting)
{
    size_t value = value_start(text, setting);
    if (value != SIZE_MAX) {
        config_text_replace(text, value, skip_value(text, value), base_strdup("\"***\""));
    }
}

/* Behind spaces, comments and commas. */
static size_t skip_between(const struct config_text *text, size_t at)
{
    for (;;) {
        size_t next = skip_space(text, at);
        bool quoted =
            next < text->text.len && (text->text.ptr[next] == '"' || text->text.ptr[next] == '\'');
        if (next < text->text.len && text->text.ptr[next] == ',') {
            next++;
        } else if (next < text->text.len && !quoted) {
            next = skip_quiet(text, next);
        }
        if (next == at) {
            return at;
        }
        at = next;
    }
}

/* The caller's: in quotes, with what the reader would expand or unescape escaped. */
static char *quote(struct weir_str value)
{
    char *out = base_alloc(2 * value.len + 3), *to = out;

    *to++ = '"';
    for (size_t i = 0; i < value.len; i++) {
        if (strchr("\"\\$", value.ptr[i]) != NULL) {
            *to++ = '\\';
        }
        *to++ = value.ptr[i];
    }
    *to++ = '"';
    *to = '\0';
    return out;
}

void config_text_set(struct config_text *text, const struct conf_node *setting, size_t index,
                     struct weir_str value)
{
    size_t at = value_start(text, setting);

    if (at != SIZE_MAX && setting->is_list) {
        at = skip_between(text, at + 1); /* behind the brace */
        for (size_t i = 0; i < index; i++) {
            at = skip_between(text, skip_value(text, at));
        }
    }
    if (at < text->text.len) {
        config_text_replace(text, at, skip_value(text, at), quote(value));
    }
}

void config_text_include(struct config_text *text, unsigned line, struct weir_str value)
{
    size_t at = find_word(text, line_start(text, line), STR("include"));

    if (at != SIZE_MAX) {
        at = skip_space(text, at + strlen("include"));
        config_text_replace(text, at, skip_value(text, at), quote(value));
    }
}

static int by_position(const void *a, const void *b)
{
    const struct text_edit *x = a, *y = b;
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

char *config_text_end(struct config_text *text)
{
    size_t room = text->text.len + 1, len = 0, at = 0;

    for (size_t i = 0; i < text->count; i++) {
        room += strlen(text->edits[i].text);
    }
    char *out = base_alloc(room);
    if (text->count > 0) {
        qsort(text->edits, text->count, sizeof(*text->edits), by_position);
    }
    for (size_t i = 0; i < text->count; i++) {
        const struct text_edit *edit = &text->edits[i];
        if (edit->from >= at) {
            memcpy(out + len, text->text.ptr + at, edit->from - at);
            len += edit->from - at;
            size_t edit_len = strlen(edit->text);
            memcpy(out + len, edit->text, edit_len);
            len += edit_len;
            at = edit->to;
        }
        free(edit->text);
    }
    if (text->text.len > at) {
        memcpy(out + len, text->text.ptr + at, text->text.len - at);
        len += text->text.len - at;
    }
    out[len] = '\0';
    free(text->edits);
    return out;
}
