/* SPDX-License-Identifier: MIT */
/*
 * Edits in the text of a configuration file: the rest stays as it is, including comments.
 */
#ifndef CONTROL_API_CONFIG_TEXT_H
#define CONTROL_API_CONFIG_TEXT_H

#include "conf/conf.h"

struct text_edit {
    size_t from, to; /* of the original text */
    char *text;      /* instead */
    size_t order;
};

struct config_text {
    struct weir_str text;
    struct text_edit *edits;
    size_t count;
};

void config_text_init(struct config_text *text, struct weir_str original);

/* Replaces a range by `replacement`, which it takes over. */
void config_text_replace(struct config_text *text, size_t from, size_t to, char *replacement);
/* Replaces a setting's values by stars. */
void config_text_mask(struct config_text *text, const struct conf_node *setting);
/* Replaces a value, or an included path, by a string. */
void config_text_set(struct config_text *text, struct conf_span span, struct weir_str value);

/* The text as a string in a file, with its quotes; the caller frees it. */
char *config_text_quote(struct weir_str value);

/* The edited text, which the caller frees; ends the edits. */
char *config_text_end(struct config_text *text);

#endif
