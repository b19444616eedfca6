/* SPDX-License-Identifier: MIT */
/*
 * From tokens to the tree. Private to core/conf.
 */
#ifndef CONF_CONF_PARSE_H
#define CONF_CONF_PARSE_H

#include "conf/conf.h"
#include "conf/conf_lex.h"

/* Nesting of blocks, and of included files. */
#define CONF_DEPTH_MAX 32u

struct conf_parser {
    struct conf_lexer lexer;
    struct conf_token ahead; /* put back */
    bool has_ahead;
    /* Reads the file of an `include` into `parent`, after `tail`; returns the new tail. */
    struct conf_node **(*include)(struct conf_parser *parser, const struct conf_token *path,
                                  struct conf_node **tail, unsigned depth);
    void *arg; /* the includer's */

    /* Braces do not pair: the structure is unknown. */
    bool broken;
    unsigned unopened;         /* blocks without `{`, whose `}` is still to come */
    bool has_suspect;          /* judging by indentation, this one lacks its `}` */
    struct conf_token suspect; /* its name */
    const char *suspect_kind;  /* block, list */
};

/* Parses the whole source as the contents of a block; appends nodes at `*tail` and returns the new
 * tail. Mistakes go to the lexer's. */
struct conf_node **conf_parse_source(struct conf_parser *parser, struct conf_node **tail,
                                     unsigned depth);

#endif
