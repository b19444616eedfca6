/* SPDX-License-Identifier: MIT */
/*
 * Small helpers on cJSON. Any thread; the objects are the caller's.
 */
#ifndef CONTROL_API_JSON_H
#define CONTROL_API_JSON_H

#include <cjson/cJSON.h>

#include "base/base.h"

/* The text on one line, valid UTF-8, from malloc; NULL: no memory. */
char *json_print(const cJSON *json);
void json_set_str(cJSON *object, const char *name, struct weir_str text);
void json_set(cJSON *object, const char *name, const char *text); /* NULL: null */
void json_set_number(cJSON *object, const char *name, double number);
/* Replaces a member, or adds it; takes the value over. NULL: removes it. */
void json_put(cJSON *object, const char *name, cJSON *value);
/* A number that is null where it is not finite; rounded to three decimals. */
void json_set_rate(cJSON *object, const char *name, double number);

#endif
