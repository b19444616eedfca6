/* SPDX-License-Identifier: MIT */
/*
 * Edits in configuration text. See config_text.h.
 */
#include "control/api/config_text.h"

#include <stdlib.h>

void config_text_init(struct config_text *text, struct weir_str original)
{
    *text = (struct config_text){original, NULL, 0};
}

void config_text_replace(struct config_text *text, size_t from, size_t to, char *replacement)
{
    text->edits = base_realloc(text->edits, (text->count + 1) * sizeof(*text->edits));
    text->edits[text->count] = (struct text_edit){from, to, replacement, text->count};
    text->count++;
}

void config_text_mask(struct config_text *text, const struct conf_node *setting)
{
    config_text_replace(text, setting->span.from, setting->span.to, base_strdup("\"***\""));
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

void config_text_set(struct config_text *text, struct conf_span span, struct weir_str value)
{
    config_text_replace(text, span.from, span.to, quote(value));
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
