/* SPDX-License-Identifier: MIT */
/*
 * Option tables for people: `weir --options`.
 */
#include <stdio.h>

#include "conf/conf.h"
#include "option/option_value.h"

#define LINE_WIDTH 96

static const struct {
    uint32_t bit;
    const char *name;
} context_names[] = {
    {WEIR_CONTEXT_GLOBAL, "global"},     {WEIR_CONTEXT_MODULE, "module"},
    {WEIR_CONTEXT_LISTENER, "listener"}, {WEIR_CONTEXT_ROUTE, "route"},
    {WEIR_CONTEXT_POOL, "pool"},         {WEIR_CONTEXT_SERVER, "server"},
};

static const char *const type_words[] = {
    [WEIR_TYPE_STRING] = "STRING",
    [WEIR_TYPE_INTEGER] = "INTEGER",
    [WEIR_TYPE_REAL] = "NUMBER",
    [WEIR_TYPE_BOOLEAN] = "on|off",
    [WEIR_TYPE_DURATION] = "DURATION",
    [WEIR_TYPE_SIZE] = "SIZE",
    [WEIR_TYPE_PERCENTAGE] = "PERCENTAGE",
    [WEIR_TYPE_ADDRESS] = "ADDRESS",
    [WEIR_TYPE_URL] = "URL",
    [WEIR_TYPE_ENUM] = "WORD",
};

/* What may stand after `=`. */
static void print_value_type(const struct weir_option *row, enum weir_option_type type)
{
    if (type == WEIR_TYPE_LIST) {
        printf("{");
        print_value_type(row, row->element);
        printf(", ...}");
    } else if (type == WEIR_TYPE_ENUM && row->names != NULL) {
        for (size_t i = 0; row->names[i] != NULL; i++) {
            printf("%s%s", i > 0 ? "|" : "", row->names[i]);
        }
    } else if (type == WEIR_TYPE_ADDRESS && (row->flags & WEIR_OPTION_NETWORK) != 0) {
        printf("NETWORK");
    } else if (type == WEIR_TYPE_STRING && (row->flags & WEIR_OPTION_PATH) != 0) {
        for (size_t i = 0; row->names != NULL && row->names[i] != NULL; i++) {
            printf("%s|", row->names[i]);
        }
        printf("PATH");
    } else {
        printf("%s", type_words[type]);
    }
}

static void print_wrapped(const char *text, int indent)
{
    int column = 0;

    while (text != NULL && *text != '\0') {
        size_t word = strcspn(text, " \n");
        if (column > 0 && column + 1 + (int)word > LINE_WIDTH) {
            printf("\n");
            column = 0;
        }
        column += column == 0 ? printf("%*s", indent, "") : printf(" ");
        column += printf("%.*s", (int)word, text);
        text += word;
        text += strspn(text, " \n");
    }
    if (column > 0) {
        printf("\n");
    }
}

/* `default 10s, from 1ms to 1h; in: pool` */
static void print_facts(const struct weir_option *row, int indent)
{
    const char *separator = "";

    printf("%*s", indent, "");
    if ((row->flags & WEIR_OPTION_REQUIRED) != 0) {
        printf("required");
        separator = ", ";
    } else if (row->fallback != NULL && row->fallback[0] != '\0') {
        printf("default %s", row->fallback);
        separator = ", ";
    }
    bool is_text = row->type == WEIR_TYPE_STRING;
    if (row->minimum != NULL) {
        printf("%sat least %s%s", separator, row->minimum, is_text ? " bytes" : "");
        separator = ", ";
    }
    if (row->maximum != NULL) {
        printf("%sat most %s%s", separator, row->maximum, is_text ? " bytes" : "");
        separator = ", ";
    }
    if ((row->flags & WEIR_OPTION_SECRET) != 0) {
        printf("%ssecret (@FILE reads it from FILE)", separator);
        separator = ", ";
    }
    if ((row->contexts & WEIR_CONTEXT_GLOBAL) != 0 && (row->flags & WEIR_OPTION_RELOADABLE) == 0) {
        printf("%sa change needs a restart", separator);
        separator = ", ";
    }
    const char *sign = separator[0] != '\0' ? "; in: " : "in: ";
    for (size_t i = 0; i < ARRAY_COUNT(context_names); i++) {
        if ((row->contexts & context_names[i].bit) != 0) {
            printf("%s%s", sign, context_names[i].name);
            sign = ", ";
        }
    }
    printf("\n");
}

static void print_table(const struct weir_options *options, int indent)
{
    for (uint32_t i = 0; i < options->count; i++) {
        const struct weir_option *row = option_row(options, i);
        printf("%*s%s", indent, "", row->name);
        if (row->type == WEIR_TYPE_BLOCK) {
            printf("%s { ... }\n", (row->flags & WEIR_OPTION_UNTITLED) != 0 ? "" : " \"NAME\"");
        } else {
            printf(" = ");
            print_value_type(row, row->type);
            printf("\n");
        }
        print_facts(row, indent + 4);
        print_wrapped(row->document, indent + 4);
        if (row->type == WEIR_TYPE_BLOCK) {
            print_table(row->block, indent + 4);
        }
    }
}

void conf_print_options(const struct weir_options *options, const char *heading, int indent)
{
    printf("%*s%s\n", indent, "", heading);
    if (options == NULL || options->count == 0) {
        printf("%*sno options\n", indent + 4, "");
        return;
    }
    print_table(options, indent + 4);
}
