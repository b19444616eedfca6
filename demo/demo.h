/* SPDX-License-Identifier: MIT */
/* What shop and visitors share: time, JSON, and command lines with one row an option. */
#ifndef WEIR_DEMO_DEMO_H
#define WEIR_DEMO_DEMO_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

uint64_t now_ns(void); /* of a clock that never goes back */

/* A member of a JSON object; NAN and "": there is none. */
double number_in(const cJSON *json, const char *name);
const char *text_in(const cJSON *json, const char *name);

struct demo_option {
    const char *name;
    /* An unsigned; what `read` takes; with neither `read` nor `max` a bool, which has no value. */
    void *to;
    bool (*read)(const char *value, void *to);
    unsigned min, max;
    const char *wanted; /* what to write */
};

/* Reads all, --help too. A mistake is told, and ends the program with 2. `rows` end with one
 * without a name. */
void options_read(int argc, char **argv, const char *usage, const struct demo_option *rows);

/* A `read` for a const char *. */
bool option_text(const char *value, void *to);
/* Reads an unsigned number in decimal digits alone; false leaves *out as it was. */
bool option_number(const char *text, unsigned min, unsigned max, unsigned *out);

#endif
