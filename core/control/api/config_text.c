/* SPDX-License-Identifier: MIT */
/*
 * Edits in configuration text. See config_text.h.
 */
#include "control/api/config_text.h"

#include <stdlib.h>

#include <weir/json.h>

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

char *config_text_quote(struct weir_str value)
{
    struct weir_buffer quoted = {NULL, 0, 0, false, false};

    weir_buffer_byte(&quoted, '"');
    for (size_t i = 0; i < value.len; i++) {
        if (strchr("\"\\$", value.ptr[i]) != NULL) { /* what the reader expands or unescapes */
            weir_buffer_byte(&quoted, '\\');
        }
        weir_buffer_byte(&quoted, value.ptr[i]);
    }
    weir_buffer_add(&quoted, "\"", 2); /* with its end */
    return quoted.data;
}

void config_text_set(struct config_text *text, struct conf_span span, struct weir_str value)
{
    config_text_replace(text, span.from, span.to, config_text_quote(value));
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
    struct weir_buffer out = {NULL, 0, 0, false, false};
    size_t at = 0;

    if (text->count > 0) {
        qsort(text->edits, text->count, sizeof(*text->edits), by_position);
    }
    for (size_t i = 0; i < text->count; i++) {
        const struct text_edit *edit = &text->edits[i];
        if (edit->from >= at) {
            weir_buffer_add(&out, text->text.ptr + at, edit->from - at);
            weir_buffer_text(&out, edit->text);
            at = edit->to;
        }
        free(edit->text);
    }
    if (text->text.len > at) {
        weir_buffer_add(&out, text->text.ptr + at, text->text.len - at);
    }
    weir_buffer_byte(&out, '\0');
    ASSERT(!out.failed);
    free(text->edits);
    return out.data;
}
