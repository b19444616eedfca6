/* SPDX-License-Identifier: MIT */
/*
 * A reader of the configuration's language. It stops at the first mistake of syntax.
 */
#include "reader.h"

#include <stdlib.h>

#define DEPTH_MAX 16

struct reader {
    const char *at;
    unsigned line;
    unsigned depth;
    struct fake_arena *arena;
    struct fake_buffer *mistakes;
};

static bool fail(struct reader *r, const char *format, ...) WEIR_PRINTF(2, 3);
static bool fail(struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fake_buffer_printf(r->mistakes, "%sconf:%u: ", r->mistakes->len > 0 ? "\n" : "", r->line);
    fake_buffer_vprintf(r->mistakes, format, args);
    va_end(args);
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* Passes over blanks and comments; false: a comment has no end. */
static bool skip(struct reader *r)
{
    for (;;) {
        if (is_space(*r->at)) {
            r->line += *r->at++ == '\n' ? 1 : 0;
        } else if (*r->at == '#' || (r->at[0] == '/' && r->at[1] == '/')) {
            r->at += strcspn(r->at, "\n");
        } else if (r->at[0] == '/' && r->at[1] == '*') {
            const char *end = strstr(r->at + 2, "*/");
            if (end == NULL) {
                return fail(r, "a comment that begins with /* has no */");
            }
            for (; r->at < end + 2; r->at++) {
                r->line += *r->at == '\n' ? 1 : 0;
            }
        } else {
            return true;
        }
    }
}

/* ${NAME} or ${NAME:-default}, at the dollar sign. */
static bool expand(struct reader *r, struct fake_buffer *out)
{
    const char *name = r->at + 2;
    const char *end = strchr(name, '}');
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    if (end == NULL || len == 0 || !(name[len] == '}' || strncmp(name + len, ":-", 2) == 0)) {
        return fail(r, "a variable is written ${NAME} or ${NAME:-default}");
    }
    char *variable = fake_copy(name, len);
    const char *value = getenv(variable);
    bool has_default = name[len] == ':';
    bool ok = has_default || value != NULL;
    if (has_default && (value == NULL || value[0] == '\0')) {
        fake_buffer_append(out, name + len + 2, (size_t)(end - name) - len - 2);
    } else if (value != NULL) {
        fake_buffer_append(out, value, strlen(value));
    } else {
        fail(r, "the environment has no %s; write ${%s:-default}", variable, variable);
    }
    free(variable);
    r->at = end + 1;
    return ok;
}

static bool read_escape(struct reader *r, struct fake_buffer *out)
{
    static const char from[] = "nrt\"\\$", to[] = "\n\r\t\"\\$";
    const char *which = r->at[1] != '\0' ? strchr(from, r->at[1]) : NULL;
    if (which == NULL) {
        return fail(r, "unknown escape; known are \\n \\r \\t \\\" \\\\ and \\$");
    }
    fake_buffer_append(out, &to[which - from], 1);
    r->at += 2;
    return true;
}

static bool read_string(struct reader *r, struct fake_buffer *out)
{
    for (r->at++; *r->at != '"';) {
        bool ok = true;
        if (*r->at == '\0' || *r->at == '\n') {
            return fail(r, "a string has no closing quote");
        }
        if (*r->at == '\\') {
            ok = read_escape(r, out);
        } else if (r->at[0] == '$' && r->at[1] == '{') {
            ok = expand(r, out);
        } else {
            fake_buffer_append(out, r->at++, 1);
        }
        if (!ok) {
            return false;
        }
    }
    r->at++;
    return true;
}

static bool read_bare(struct reader *r, struct fake_buffer *out)
{
    while (*r->at != '\0' && !is_space(*r->at) && strchr(",;{}\"=", *r->at) == NULL) {
        if (r->at[0] == '$' && r->at[1] == '{') {
            if (!expand(r, out)) {
                return false;
            }
        } else {
            fake_buffer_append(out, r->at++, 1);
        }
    }
    return out->len > 0 || fail(r, "a value is missing");
}

static bool read_value(struct reader *r, struct reader_value *value)
{
    struct fake_buffer out = {0};
    *value = (struct reader_value){.line = r->line, .quoted = *r->at == '"'};
    bool ok = value->quoted ? read_string(r, &out) : read_bare(r, &out);
    if (ok) {
        value->len = out.len;
        value->text = fake_arena_alloc(r->arena, out.len + 1);
        memcpy(value->text, fake_buffer_text(&out), out.len);
    }
    fake_buffer_free(&out);
    return ok;
}

static bool add_value(struct reader *r, struct reader_node *node)
{
    struct reader_value *values =
        fake_arena_alloc(r->arena, (node->value_count + 1) * sizeof(*values));
    if (node->value_count > 0) {
        memcpy(values, node->values, node->value_count * sizeof(*values));
    }
    node->values = values;
    return read_value(r, &values[node->value_count++]);
}

/* At the value of a setting; a list may end with a comma. */
static bool read_setting(struct reader *r, struct reader_node *node)
{
    if (*r->at != '{') {
        return add_value(r, node);
    }
    node->is_list = true;
    r->at++;
    for (;;) {
        if (!skip(r)) {
            return false;
        }
        if (*r->at == '}') {
            r->at++;
            return true;
        }
        if (!add_value(r, node) || !skip(r)) {
            return false;
        }
        if (*r->at == ',') {
            r->at++;
        } else if (*r->at != '}') {
            return fail(r, "a list's values are parted by commas, and it ends with }");
        }
    }
}

static bool read_nodes(struct reader *r, struct reader_node **first);

static bool read_node(struct reader *r, struct reader_node *node)
{
    size_t len = 0;
    while (is_name(r->at[len])) {
        len++;
    }
    node->line = r->line;
    if (len == 0) {
        return fail(r, "`%c` stands where a name must", *r->at);
    }
    node->name = fake_arena_alloc(r->arena, len + 1);
    memcpy(node->name, r->at, len);
    r->at += len;
    if (!skip(r)) {
        return false;
    }
    if (*r->at == '=') {
        r->at++;
        return skip(r) && read_setting(r, node);
    }
    node->is_block = true;
    if (*r->at == '"') {
        node->has_title = true;
        if (!read_value(r, &node->title) || !skip(r)) {
            return false;
        }
    }
    if (*r->at != '{') {
        return fail(r, "after `%s` there is neither = nor {", node->name);
    }
    r->at++;
    if (++r->depth > DEPTH_MAX) {
        return fail(r, "blocks are nested more than %d deep", DEPTH_MAX);
    }
    if (!read_nodes(r, &node->children)) {
        return false;
    }
    r->depth--;
    if (*r->at != '}') {
        return fail(r, "the block `%s` of line %u has no }", node->name, node->line);
    }
    r->at++;
    return true;
}

/* Up to the end of the text or of the block. */
static bool read_nodes(struct reader *r, struct reader_node **first)
{
    struct reader_node **link = first;
    for (;;) {
        if (!skip(r)) {
            return false;
        }
        if (*r->at == '\0' || *r->at == '}') {
            return true;
        }
        struct reader_node *node = fake_arena_alloc(r->arena, sizeof(*node));
        *link = node;
        link = &node->next;
        if (!read_node(r, node)) {
            return false;
        }
    }
}

bool reader_read(const char *text, struct fake_arena *arena, struct fake_buffer *mistakes,
                 struct reader_node **nodes)
{
    struct reader r = {.at = text, .line = 1, .arena = arena, .mistakes = mistakes};
    *nodes = NULL;
    if (!read_nodes(&r, nodes)) {
        return false;
    }
    return *r.at == '\0' || fail(&r, "a } stands where no block is open");
}

bool reader_read_value(const char *text, struct fake_arena *arena, struct fake_buffer *mistakes,
                       struct reader_node *node)
{
    struct reader r = {.at = text, .line = 1, .arena = arena, .mistakes = mistakes};
    *node = (struct reader_node){0};
    return read_setting(&r, node);
}
