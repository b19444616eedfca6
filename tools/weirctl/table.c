/* SPDX-License-Identifier: MIT */
/*
 * Tables: columns as wide as their widest cell, numbers right, the last column cut to the terminal.
 */
#include "api.h"
#include "print.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cell {
    char *text;
    size_t width;
    enum colour colour;
};

struct table {
    const struct column *columns;
    size_t column_count;
    struct cell *cells; /* row by row */
    size_t count;
    size_t room;
};

struct table *table_new(const struct column *columns, size_t count)
{
    struct table *table = allocate(sizeof(*table));

    assert(count > 0);
    table->columns = columns;
    table->column_count = count;
    return table;
}

void table_add(struct table *table, enum colour colour, const char *format, ...)
{
    struct text clean = {0};
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    text_clean(&clean, len > 0 ? text : "-");
    free(len >= 0 ? text : NULL);
    if (table->count == table->room) {
        table->room = table->room * 2 + 64;
        table->cells = reallocate(table->cells, table->room, sizeof(*table->cells));
    }
    table->cells[table->count++] = (struct cell){clean.data, display_width(clean.data), colour};
}

void table_number(struct table *table, double value, int digits)
{
    if (isfinite(value)) {
        table_add(table, PLAIN, "%.*f", digits, value);
    } else {
        table_add(table, DIM, "-");
    }
}

void table_ms(struct table *table, double ms)
{
    table_number(table, ms, ms < 10 ? 2 : ms < 100 ? 1 : 0);
}

void table_bytes(struct table *table, double bytes)
{
    static const char units[] = "kMGTPE";
    size_t unit = 0;

    if (!isfinite(bytes) || bytes < 1024) {
        table_number(table, bytes, 0);
        return;
    }
    for (bytes /= 1024; bytes >= 1024 && unit + 1 < strlen(units); bytes /= 1024) {
        unit++;
    }
    table_add(table, PLAIN, "%.1f%c", bytes, units[unit]);
}

void text_join(struct text *out, const cJSON *array)
{
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, array)
    {
        text_printf(out, "%s%s", out->len > 0 ? ", " : "", json_string(each));
    }
}

void text_offers(struct text *out, const cJSON *listener)
{
    text_join(out, json_at(listener, "alpn"));
    if (out->len == 0) {
        text_puts(out, json_true(listener, "h2c") ? "h2c, http/1.1" : "http/1.1");
    }
}

static void add_shown(struct table *table, enum show show, const cJSON *object, const char *path)
{
    double number = json_number(object, path);
    const char *text = json_text(object, path, "-");
    char time[VALUE_SIZE];
    struct text list = {0};

    switch (show) {
    case SHOW_TEXT: table_add(table, PLAIN, "%s", text); break;
    case SHOW_STATE: table_add(table, health_colour(text), "%s", text); break;
    case SHOW_TIME: table_add(table, PLAIN, "%s", show_time(time, number)); break;
    case SHOW_LIST:
        text_join(&list, json_at(object, path));
        table_add(table, PLAIN, "%s", text_get(&list));
        text_clear(&list);
        break;
    case SHOW_COUNT: table_number(table, number, 0); break;
    case SHOW_TENTHS: table_number(table, number, 1); break;
    case SHOW_MS: table_ms(table, number); break;
    case SHOW_BYTES: table_bytes(table, number); break;
    }
}

void table_row(struct table *table, const cJSON *object)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        if (column->add != NULL) {
            column->add(table, object);
        } else {
            add_shown(table, column->show, object, column->path);
        }
    }
}

void print_list(const struct column *columns, size_t count, const cJSON *array)
{
    struct table *table = table_new(columns, count);
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, array)
    {
        table_row(table, each);
    }
    table_print(&table);
}

/* ---- rendering ---- */

static bool is_right(const struct column *column)
{
    return column->show >= SHOW_COUNT;
}

static void add_spaces(struct text *out, size_t count)
{
    text_printf(out, "%*s", (int)count, "");
}

/* Bytes of `text` that fit into `width` columns. */
static size_t fitting(const char *text, size_t width)
{
    char *copy = copy_string(text);
    size_t len = strlen(copy);

    while (display_width(copy) > width) {
        /* Back over a whole character of UTF-8. */
        do {
            len--;
        } while (len > 0 && ((unsigned char)copy[len] & 0xc0) == 0x80);
        copy[len] = '\0';
    }
    free(copy);
    return len;
}

static void add_cell(struct text *out, const struct cell *cell, bool colours, size_t limit)
{
    static const char *const codes[] = {
        [PLAIN] = "",       [DIM] = "\033[2m",    [BOLD] = "\033[1m",
        [RED] = "\033[31m", [GREEN] = "\033[32m", [YELLOW] = "\033[33m",
    };
    bool coloured = colours && cell->colour != PLAIN;
    bool cut = limit > 0 && cell->width > limit;

    if (coloured) {
        text_puts(out, codes[cell->colour]);
    }
    text_add(out, cell->text, cut ? fitting(cell->text, limit) : strlen(cell->text));
    if (coloured) {
        text_puts(out, "\033[0m");
    }
}

/* One line. `widths` are the columns'; `last_limit` is 0 or what the last cell may take. */
static void add_line(const struct table *table, const struct cell *cells, const size_t *widths,
                     bool colours, size_t last_limit, struct text *out)
{
    for (size_t i = 0; i < table->column_count; i++) {
        bool last = i + 1 == table->column_count;
        size_t pad = widths[i] - cells[i].width;
        if (is_right(&table->columns[i])) {
            add_spaces(out, pad);
        }
        add_cell(out, &cells[i], colours, last ? last_limit : 0);
        if (!last) {
            add_spaces(out, (is_right(&table->columns[i]) ? 0 : pad) + 2);
        }
    }
    text_puts(out, "\n");
}

void table_render(const struct table *table, bool colours, int width, struct text *out)
{
    size_t columns = table->column_count;
    size_t *widths = allocate(columns * sizeof(*widths));
    struct cell *titles = allocate(columns * sizeof(*titles));
    size_t before_last = 0;

    assert(table->count % columns == 0);
    for (size_t i = 0; i < columns; i++) {
        char *title = copy_string(table->columns[i].title);
        titles[i] = (struct cell){title, strlen(title), BOLD};
        widths[i] = titles[i].width;
        for (size_t j = i; j < table->count; j += columns) {
            widths[i] = table->cells[j].width > widths[i] ? table->cells[j].width : widths[i];
        }
        before_last += i + 1 < columns ? widths[i] + 2 : 0;
    }
    size_t limit = 0;
    if (width > 0 && !is_right(&table->columns[columns - 1])) {
        limit = (size_t)width > before_last + 8 ? (size_t)width - before_last : 8;
    }
    add_line(table, titles, widths, colours, limit, out);
    for (size_t j = 0; j < table->count; j += columns) {
        add_line(table, table->cells + j, widths, colours, limit, out);
    }
    for (size_t i = 0; i < columns; i++) {
        free(titles[i].text);
    }
    free(titles);
    free(widths);
}

void table_print(struct table **table)
{
    struct text out = {0};

    table_render(*table, colours_wanted(stdout), terminal_width(stdout), &out);
    fputs(text_get(&out), stdout);
    text_clear(&out);
    table_free(table);
}

void table_free(struct table **table)
{
    for (size_t i = 0; i < (*table)->count; i++) {
        free((*table)->cells[i].text);
    }
    free((*table)->cells);
    free(*table);
    *table = NULL;
}
