/* SPDX-License-Identifier: MIT */
/*
 * Helpers on cJSON. See json.h.
 */
#include "control/api/json.h"

#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"

/* JSON is UTF-8 (RFC 8259 section 8.1), and cJSON prints what bytes it was given: those of a
 * request's path, or of a message that was cut. */
char *json_print(const cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    return text != NULL ? utf8_repair(text) : NULL;
}

void json_set_str(cJSON *object, const char *name, struct weir_str text)
{
    char *copy = base_strndup(text.len > 0 ? text.ptr : "", text.len);
    cJSON_AddStringToObject(object, name, copy);
    free(copy);
}

void json_set(cJSON *object, const char *name, const char *text)
{
    if (text != NULL) {
        cJSON_AddStringToObject(object, name, text);
    } else {
        cJSON_AddNullToObject(object, name);
    }
}

void json_set_number(cJSON *object, const char *name, double number)
{
    cJSON_AddItemToObject(object, name,
                          isfinite(number) ? cJSON_CreateNumber(number) : cJSON_CreateNull());
}

void json_set_copy(cJSON *object, const char *name, const cJSON *item)
{
    cJSON_AddItemToObject(object, name,
                          item != NULL ? cJSON_Duplicate(item, true) : cJSON_CreateNull());
}

void json_put(cJSON *object, const char *name, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    if (value != NULL) {
        cJSON_AddItemToObject(object, name, value);
    }
}

void json_set_rate(cJSON *object, const char *name, double number)
{
    json_set_number(object, name, round(number * 1000) / 1000);
}

cJSON *json_append(cJSON *list)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToArray(list, object);
    return object;
}
