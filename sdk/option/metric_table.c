/* SPDX-License-Identifier: MIT */
/*
 * Checks a table of metrics. See metric_table.h.
 */
#include "metric_table.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_LEN 63u

static bool is_name(const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;
    return len > 0 && len <= NAME_MAX_LEN && name[0] >= 'a' && name[0] <= 'z' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

/* What the name ends with that exporters add themselves; NULL: nothing. */
static const char *reserved_ending(const char *name)
{
    static const char *const endings[] = {"_total",  "_info",  "_created",
                                          "_bucket", "_count", "_sum"};
    size_t len = strlen(name);

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        size_t ending = strlen(endings[i]);
        if (len > ending && strcmp(name + len - ending, endings[i]) == 0) {
            return endings[i];
        }
    }
    return NULL;
}

static bool is_line(const char *text)
{
    size_t len = 0;

    while (text != NULL && (unsigned char)text[len] >= 0x20 && text[len] != 0x7f) {
        len++;
    }
    return len > 0 && text[len] == '\0';
}

static bool is_repeated(const struct weir_metrics *table, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(table->rows[i].name, table->rows[index].name) == 0) {
            return true;
        }
    }
    return false;
}

bool metric_table_check(const struct weir_metrics *table, char *error, size_t error_size)
{
    if (table->size < offsetof(struct weir_metrics, rows) + sizeof(table->rows) ||
        (table->count > 0 && table->rows == NULL)) {
        snprintf(error, error_size, "its metrics are not made by WEIR_METRICS");
        return false;
    }
    if (table->count > WEIR_METRICS_MAX) {
        snprintf(error, error_size, "it has %u metrics, more than %u", table->count,
                 WEIR_METRICS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const struct weir_metric *row = &table->rows[i];
        if (!is_name(row->name)) {
            snprintf(
                error, error_size,
                "its metric %u is named \"%.80s\"; a name begins with a lower-case letter, and "
                "has at most %u of these, digits and _",
                i + 1, row->name != NULL ? row->name : "", NAME_MAX_LEN);
            return false;
        }
        const char *ending = reserved_ending(row->name);
        if (ending != NULL) {
            snprintf(error, error_size, "its metric \"%s\" ends with %s, which exporters add",
                     row->name, ending);
            return false;
        }
        if (is_repeated(table, i)) {
            snprintf(error, error_size, "its metric \"%s\" is there twice", row->name);
            return false;
        }
        if (row->type != WEIR_COUNTER && row->type != WEIR_GAUGE) {
            snprintf(error, error_size, "its metric \"%s\" is neither counter nor gauge",
                     row->name);
            return false;
        }
        if (!is_line(row->help)) {
            snprintf(error, error_size, "its metric \"%s\" has no help text of one line",
                     row->name);
            return false;
        }
    }
    return true;
}
