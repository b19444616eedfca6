/* SPDX-License-Identifier: MIT */
/*
 * A reader of the configuration's language, for one block's inside: text to a tree. It knows neither
 * files nor what names mean. Private to the fake host.
 */
#ifndef READER_H
#define READER_H

#include "fake.h"

struct reader_value {
    char *text; /* unescaped, expanded, ended by NUL; the arena's */
    size_t len;
    unsigned line;
    bool quoted;
};

/* `name = value`, `name = {a, b}`, or `name "title" { ... }`. */
struct reader_node {
    struct reader_node *next;
    char *name;
    unsigned line;
    bool is_block;
    bool is_list;
    bool has_title;
    struct reader_value title;
    struct reader_value *values;
    size_t value_count;
    struct reader_node *children;
};

/* Reads all of `text`. Mistakes are added to `mistakes`, one a line with its number; then what was read
 * must not be used. false: there was one. */
bool reader_read(const char *text, struct fake_arena *arena, struct fake_buffer *mistakes,
                 struct reader_node **nodes);

/* Reads a value or a list alone: an option's default. */
bool reader_read_value(const char *text, struct fake_arena *arena, struct fake_buffer *mistakes,
                       struct reader_node *node);

#endif
