/* SPDX-License-Identifier: MIT */
/*
 * What people read: messages, tables, lists of facts, and numbers, times and sizes in them.
 * Whatever comes from Weir loses its control characters on the way, so that it cannot command a
 * terminal.
 */
#ifndef WEIRCTL_PRINT_H
#define WEIRCTL_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "util.h"

/** One line on standard error, after the program's name. */
void complain(const char *format, ...) WEIRCTL_PRINTF(1, 2);

enum colour { PLAIN, DIM, BOLD, RED, GREEN, YELLOW };

/** Whether to colour a stream: a terminal that can, and NO_COLOR is not set. */
bool colours_wanted(FILE *to);

/** Columns of the terminal; 0: it is none. */
int terminal_width(FILE *to);

/** Columns that a UTF-8 string takes. */
size_t display_width(const char *text);

/** Adds `string` without its control characters. */
void text_clean(struct text *out, const char *string);

/* ---- tables ---- */

struct table;

/** What a column shows of an object; numbers stand right. */
enum show {
    SHOW_TEXT,
    SHOW_STATE, /**< a health status or administrative state, in its colour */
    SHOW_TIME,  /**< local time of unix milliseconds */
    SHOW_LIST,  /**< an array of texts, with commas */
    SHOW_COUNT, /**< a number; the same with one digit behind the point, as milliseconds, as
                 * bytes */
    SHOW_TENTHS,
    SHOW_MS,
    SHOW_BYTES,
};

struct column {
    const char *title;
    enum show show;
    const char *path; /**< of the object's member, as in json_at */
    /** Adds the cell instead, where a path is not enough; NULL: the path is. */
    void (*add)(struct table *table, const cJSON *object);
};

/** A table without rows. `columns` must outlive it. */
struct table *table_new(const struct column *columns, size_t count);
#define TABLE_NEW(columns) table_new(columns, COUNT(columns))

/** Adds a row: what the columns show of an object. */
void table_row(struct table *table, const cJSON *object);

/** Prints a table of the objects of an array. */
void print_list(const struct column *columns, size_t count, const cJSON *array);

#define PRINT_LIST(columns, array) print_list(columns, COUNT(columns), array)

/** Adds the texts of an array to `out`, with commas. */
void text_join(struct text *out, const cJSON *array);

/** Adds what a listener offers to clients: `h2, http/1.1`; a plain one `h2c, http/1.1`. */
void text_offers(struct text *out, const cJSON *listener);

/** Adds a cell: the next of the row, or the first of the next row. */
void table_add(struct table *table, enum colour colour, const char *format, ...)
    WEIRCTL_PRINTF(3, 4);

/** Adds a number with that many digits behind the point; a NAN is `-`. */
void table_number(struct table *table, double value, int digits);
/** Adds milliseconds, as short as it goes: 0.84, 12.3, 1520. */
void table_ms(struct table *table, double ms);
/** Adds bytes: 512, 1.4k, 20.3M. */
void table_bytes(struct table *table, double bytes);

/** Renders: a line of titles, then a line a row. Where `width` is not 0, the last column is cut
 * so that lines fit. */
void table_render(const struct table *table, bool colours, int width, struct text *out);

/** Prints on standard output, fitting its terminal; then frees the table. */
void table_print(struct table **table);
void table_free(struct table **table);

/* ---- facts: a name and a value a line ---- */

/** Prints `name: value`, the values aligned. */
void print_fact(const char *name, const char *format, ...) WEIRCTL_PRINTF(2, 3);

/** A JSON object of numbers: `connect_refused 3, timeout 1`; `none` where all are zero. */
void print_counts(const char *name, const cJSON *object);

/** What `http2` of a listener, a server or all tells. */
void print_http2(const cJSON *http2);

/* ---- values: written to `out`, which is returned ---- */

#define VALUE_SIZE 64

/** Local time of unix milliseconds: 2026-11-26 12:05:09; `-`: none. */
char *show_time(char out[VALUE_SIZE], double unix_ms);
/** How long: 350ms, 12s, 3m 20s, 5h 7m, 12d 3h. */
char *show_duration(char out[VALUE_SIZE], double ms);
/** How long ago unix milliseconds are. */
char *show_age(char out[VALUE_SIZE], double unix_ms);

/** The colour of a health status or administrative state. */
enum colour health_colour(const char *status);

#endif
