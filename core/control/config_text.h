/* SPDX-License-Identifier: MIT */
/*
 * Edits in the text of a configuration file: what is not edited stays as it is, comments too.
 */
#ifndef CONTROL_CONFIG_TEXT_H
#define CONTROL_CONFIG_TEXT_H

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

/* The whole block `name "title" { ... }` that begins on the node's line. false: it was not found. */
bool config_text_block(const struct config_text *text, const struct conf_node *node, size_t *from,
                       size_t *to);

/* Puts `replacement` (which is taken over) in place of a range. */
void config_text_replace(struct config_text *text, size_t from, size_t to, char *replacement);
/* Shows stars instead of a setting's values. */
void config_text_mask(struct config_text *text, const struct conf_node *setting);
/* Puts a string in place of one of a setting's values. */
void config_text_set(struct config_text *text, const struct conf_node *setting, size_t index,
                     struct weir_str value);
/* The same of what is included on that line. */
void config_text_include(struct config_text *text, unsigned line, struct weir_str value);

/* The edited text, the caller's; ends the edits. */
char *config_text_end(struct config_text *text);

#endif
