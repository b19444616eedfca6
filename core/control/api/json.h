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
/* Null where it is not finite, here and below. */
void json_set_number(cJSON *object, const char *name, double number);
/* A copy; NULL: null. */
void json_set_copy(cJSON *object, const char *name, const cJSON *item);
/* Replaces a member, or adds it; takes the value over. NULL: removes it. */
void json_put(cJSON *object, const char *name, cJSON *value);
/* Adds an empty object to a list. */
cJSON *json_append(cJSON *list);
/* Rounded to three decimals. */
void json_set_rate(cJSON *object, const char *name, double number);

static inline cJSON *json_get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* NULL, or `fallback`, where there is no such text or number. */
static inline const char *json_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(json_get(object, name));
}

static inline int64_t json_integer(const cJSON *object, const char *name, int64_t fallback)
{
    const cJSON *item = json_get(object, name);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : fallback;
}

static inline bool json_is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(json_get(object, name));
}

#endif
