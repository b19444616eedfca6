/* SPDX-License-Identifier: MIT */
/*
 * Configuration: files to a tree of settings and blocks, and blocks to structs by option tables.
 *
 * Reading does not know what names mean; filling knows nothing of files but the places it reports.
 * Both collect mistakes and continue, so one run reports all. Control thread (or before threads).
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <weir/option.h>

#include "base/arena.h"
#include "base/mistakes.h"

/* A range of bytes in a file's text. */
struct conf_span {
    size_t from, to;
};

/* One value as written. */
struct conf_value {
    struct weir_str text; /* expanded, unescaped, ended by NUL */
    struct place place;
    struct conf_span span; /* its quotes too */
    bool quoted;
    bool bad; /* could not be read; the mistake is reported */
    /* For a path relative to its file: the text that means the same in any other file; set when a
     * field is filled. ptr NULL: the text itself. */
    struct weir_str elsewhere;
};

enum conf_kind { CONF_SETTING, CONF_BLOCK };

/* A setting `name = value` or `name = {a, b}`, or a block `name "title" { ... }`. */
struct conf_node {
    enum conf_kind kind;
    struct weir_str name;
    struct place place;
    struct conf_span
        span; /* a block from its name to its brace; the right side of a setting's `=` */
    /* setting */
    struct conf_value *values;
    size_t value_count;
    bool is_list;
    /* block */
    struct conf_value title; /* .text.ptr NULL: none */
    struct conf_node *children;
    struct conf_node *next; /* sibling, in the file's order */
};

/* An `include`: where it stands, and the absolute path. */
struct conf_include {
    struct place place;
    struct weir_str text; /* as written, expanded */
    const char *path;
    struct conf_span span; /* of the path */
    struct conf_include *next;
};

/* All files as one block without name. */
struct conf_tree {
    struct arena *arena;
    struct conf_node root;
    const char **files;     /* read, in order; absolute paths */
    struct weir_str *texts; /* of the files */
    size_t file_count;
    struct conf_include *includes; /* in no order */
    bool broken;                   /* a file is missing, or the end of a block, string or comment */
};

/* Reads `path`, then conf.d/NAME.conf beside it in lexical order (`include "path"` reads another
 * file in place; loops are mistakes). Memory is the arena's. false: mistakes were added; the tree
 * holds what could be read. */
bool conf_read(struct conf_tree *tree, struct arena *arena, const char *path,
               struct mistakes *mistakes);

/* The same from memory, for tests and the API; messages call it `name`. */
bool conf_read_text(struct conf_tree *tree, struct arena *arena, const char *name, const char *text,
                    size_t len, struct mistakes *mistakes);

/* A deep copy, independent of the original. */
struct conf_node *conf_node_copy(struct arena *arena, const struct conf_node *from);
/* Whether names, titles and values are equal, in siblings and children too. NULL: an empty list. */
bool conf_nodes_equal(const struct conf_node *a, const struct conf_node *b);

/* Where each field of the filled structs was set: field address -> place. */
struct conf_places;
struct conf_places *conf_places_new(struct arena *arena);
/* The place of `field`; where it was not set, of the block around it; for NULL, none. */
struct place conf_place_of(const struct conf_places *places, const void *field);

/* The block whose title is stored in `field`; NULL: none. */
const struct conf_node *conf_block_of(const struct conf_places *places, const void *field);

/* An option table and the struct it fills. */
struct conf_target {
    const struct weir_options *options;
    void *conf; /* options->conf_size bytes: zeroed, or a copy of what the block inherits */
};

/* What filling needs to know. */
struct conf_fill {
    struct arena *arena;
    struct conf_places *places;
    struct mistakes *mistakes;
    /* enum weir_option_context bits: rows of other contexts are unknown here. With
     * WEIR_CONTEXT_GLOBAL the block is the core's: its blocks of one name need distinct titles. */
    uint32_t context;
};

/* Fills the targets from a block: each setting goes to the first target whose table has its name.
 * `known_blocks` (ended by NULL) are child blocks that the caller handles itself. With `defaults`,
 * defaults are set first. Mistakes: unknown name (with the nearest known), wrong type, out of
 * range, given twice, required but missing, list for a scalar, setting for a block... */
bool conf_fill_block(const struct conf_fill *fill, const struct conf_node *block,
                     const struct conf_target *targets, size_t target_count,
                     const char *const *known_blocks, bool defaults);

/* Prints an option table: name, type, default, range, contexts, document. */
void conf_print_options(const struct weir_options *options, const char *heading, int indent);

#endif
