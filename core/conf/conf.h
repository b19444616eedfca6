/* SPDX-License-Identifier: MIT */
/*
 * Configuration: files to a tree of settings and blocks, and blocks to structs by option tables.
 *
 * Reading knows nothing of what names mean; filling knows nothing of files but the places it tells.
 * Both collect mistakes and go on, so that one run tells them all. Control thread (or before
 * threads).
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <weir/option.h>

#include "base/arena.h"
#include "base/mistakes.h"

/* What stands in a file, by bytes of its text. */
struct conf_span {
    size_t from, to;
};

/* One value as written. */
struct conf_value {
    struct weir_str text; /* expanded, unescaped, ended by NUL */
    struct place place;
    struct conf_span span; /* its quotes too */
    bool quoted;
    bool bad; /* reading it was a mistake, which has been told: there is nothing more to say */
    /* Of a path that is taken from the folder of its file: what says the same in any other; set
     * when a field is filled by it. ptr NULL: the text itself does. */
    struct weir_str elsewhere;
};

enum conf_kind { CONF_SETTING, CONF_BLOCK };

/* A setting `name = value` or `name = {a, b}`, or a block `name "title" { ... }`. */
struct conf_node {
    enum conf_kind kind;
    struct weir_str name;
    struct place place;
    struct conf_span
        span; /* a block from its name to its brace; what is right of a setting's `=` */
    /* setting */
    struct conf_value *values;
    size_t value_count;
    bool is_list;
    /* block */
    struct conf_value title; /* .text.ptr NULL: none */
    struct conf_node *children;
    struct conf_node *next; /* sibling, in the file's order */
};

/* Where a file is included, and which; absolute. */
struct conf_include {
    struct place place;
    struct weir_str text; /* as the file has it, expanded */
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
    bool broken; /* a file, or the end of a block, string or comment, is missing */
};

/* Reads `path` and then conf.d/NAME.conf beside it in lexical order (`include "path"` reads another
 * in place; loops are mistakes). Memory is the arena's. false: mistakes were added; the tree holds
 * what could be read. */
bool conf_read(struct conf_tree *tree, struct arena *arena, const char *path,
               struct mistakes *mistakes);

/* The same from memory, for tests and the API; `name` stands for the file in messages. */
bool conf_read_text(struct conf_tree *tree, struct arena *arena, const char *name, const char *text,
                    size_t len, struct mistakes *mistakes);

/* A copy that needs nothing of what it was copied from. */
struct conf_node *conf_node_copy(struct arena *arena, const struct conf_node *from);
/* The same names, titles and values, and so do their siblings and children. NULL: an empty list. */
bool conf_nodes_equal(const struct conf_node *a, const struct conf_node *b);

/* Where each field of the filled structs was set: field address -> place. */
struct conf_places;
struct conf_places *conf_places_new(struct arena *arena);
/* The place of `field`; of the block around it where the field was not set; of nothing for NULL. */
struct place conf_place_of(const struct conf_places *places, const void *field);

/* The block whose title is kept in `field`; NULL: there is none, or it is kept nowhere. */
const struct conf_node *conf_block_of(const struct conf_places *places, const void *field);

/* A table and the struct that it fills. */
struct conf_target {
    const struct weir_options *options;
    void *conf; /* options->conf_size bytes: zeroed, or a copy of what this block starts from */
};

/* What filling needs to know. */
struct conf_fill {
    struct arena *arena;
    struct conf_places *places;
    struct mistakes *mistakes;
    /* enum weir_option_context bits: rows of other contexts are unknown here. With
     * WEIR_CONTEXT_GLOBAL the block is the core's, and blocks in it of one name may not have one
     * title. */
    uint32_t context;
};

/* Fills the targets from a block: each setting goes to the target whose table has its name (first
 * wins). `known_blocks`, NULL-ended, are names of child blocks that the caller handles itself.
 * Defaults are set first where `defaults` is true. Mistakes: unknown name (with the nearest known),
 * wrong type, out of range, given twice, required but absent, list for a scalar, setting for a
 * block... */
bool conf_fill_block(const struct conf_fill *fill, const struct conf_node *block,
                     const struct conf_target *targets, size_t target_count,
                     const char *const *known_blocks, bool defaults);

/* Writes a table for people: name, type, default, range, contexts, document. */
void conf_print_options(const struct weir_options *options, const char *heading, int indent);

#endif
