/* SPDX-License-Identifier: MIT */
/* What shop and visitors share. See demo.h. */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "demo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

double number_in(const cJSON *json, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

const char *text_in(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text != NULL ? text : "";
}

/* ---- command lines ---- */

bool option_text(const char *value, void *to)
{
    *(const char **)to = value;
    return true;
}

bool option_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long value = strtoul(text, NULL, 10);
    if (digits == 0 || digits > 9 || text[digits] != '\0' || value < min || value > max) {
        return false;
    }
    *out = (unsigned)value;
    return true;
}

static void misused(const char *what, const char *value, const char *wanted)
{
    fprintf(stderr, "%s: %s \"%s\": wanted %s\n", program_invocation_short_name, what, value,
            wanted);
    exit(2);
}

void options_read(int argc, char **argv, const char *usage, const struct demo_option *rows)
{
    for (int i = 1; i < argc; i++) {
        size_t len = strcspn(argv[i], "=");
        const struct demo_option *row = rows;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        while (row->name != NULL &&
               (strlen(row->name) + 2 != len || strncmp(argv[i], "--", 2) != 0 ||
                strncmp(argv[i] + 2, row->name, len - 2) != 0)) {
            row++;
        }
        if (row->name == NULL) {
            misused("option", argv[i], "one of those that --help tells");
        }
        if (row->read == NULL && row->max == 0) {
            *(bool *)row->to = true;
            continue;
        }
        const char *value = argv[i][len] == '=' ? argv[i] + len + 1 : ++i < argc ? argv[i] : "";
        if (row->read != NULL ? !row->read(value, row->to)
                              : !option_number(value, row->min, row->max, row->to)) {
            misused(row->name, value, row->wanted);
        }
    }
}
