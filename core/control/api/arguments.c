/* SPDX-License-Identifier: MIT */
/*
 * Bodies and queries against the table's rows. See arguments.h.
 */
#include "control/api/arguments.h"

#include <stdio.h>
#include <stdlib.h>

#include "option/option_value.h"

static void check_word(struct operation *operation, const struct weir_argument *argument,
                       const char *pointer, const char *text)
{
    char *words = NULL;
    bool known = false;

    for (const char *const *word = argument->words; *word != NULL; word++) {
        known |= strcmp(*word, text) == 0;
        text_join(&words, *word);
    }
    if (!known) {
        operation_invalid(operation, pointer, "\"%.40s\" is not one of %s", text, words);
    }
    free(words);
}

static void check_duration(struct operation *operation, const struct weir_argument *argument,
                           const char *pointer, const char *text)
{
    uint64_t ms = 0;
    if (!parse_duration_ms(text, &ms)) {
        operation_invalid(operation, pointer,
                          "\"%.40s\" is not a duration; write for example \"30s\"", text);
    } else if (ms < (uint64_t)argument->minimum * 1000 || ms > (uint64_t)argument->maximum * 1000) {
        operation_invalid(operation, pointer, "%s is out of range (%llds..%llds)", text,
                          (long long)argument->minimum, (long long)argument->maximum);
    }
}

static void check_integer(struct operation *operation, const struct weir_argument *argument,
                          const char *pointer, const cJSON *value)
{
    double number = value->valuedouble;
    if (!cJSON_IsNumber(value) || number != (double)(int64_t)number) {
        operation_invalid(operation, pointer, "it must be an integer");
    } else if (number < (double)argument->minimum || number > (double)argument->maximum) {
        operation_invalid(operation, pointer, "%.0f is out of range (%lld..%lld)", number,
                          (long long)argument->minimum, (long long)argument->maximum);
    }
}

static void check_number(struct operation *operation, const struct weir_argument *argument,
                         const char *pointer, const cJSON *value)
{
    double number = value->valuedouble;
    if (!cJSON_IsNumber(value)) {
        operation_invalid(operation, pointer, "it must be a number");
    } else if (number < (double)argument->minimum || number > (double)argument->maximum) {
        operation_invalid(operation, pointer, "%g is out of range (%lld..%lld)", number,
                          (long long)argument->minimum, (long long)argument->maximum);
    }
}

static void check_texts(struct operation *operation, const char *pointer, const cJSON *value)
{
    const cJSON *item = NULL;
    if (!cJSON_IsObject(value)) {
        operation_invalid(operation, pointer, "it must be an object of strings");
        return;
    }
    cJSON_ArrayForEach(item, value)
    {
        if (!cJSON_IsString(item)) {
            operation_invalid(operation, pointer, "\"%.60s\" must be a string", item->string);
        }
    }
}

void argument_check(struct operation *operation, const struct weir_argument *argument,
                    const char *pointer, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value);

    switch (argument->type) {
    case WEIR_ARGUMENT_INTEGER: check_integer(operation, argument, pointer, value); return;
    case WEIR_ARGUMENT_NUMBER: check_number(operation, argument, pointer, value); return;
    case WEIR_ARGUMENT_TEXTS: check_texts(operation, pointer, value); return;
    case WEIR_ARGUMENT_BOOLEAN:
        if (!cJSON_IsBool(value)) {
            operation_invalid(operation, pointer, "it must be true or false");
        }
        return;
    default: break;
    }
    if (text == NULL) {
        operation_invalid(operation, pointer, "it must be a string");
    } else if (argument->type == WEIR_ARGUMENT_DURATION) {
        check_duration(operation, argument, pointer, text);
    } else if (argument->type == WEIR_ARGUMENT_WORD) {
        check_word(operation, argument, pointer, text);
    } else if (argument->type == WEIR_ARGUMENT_STRING &&
               (strlen(text) < (size_t)argument->minimum ||
                strlen(text) > (size_t)argument->maximum)) {
        operation_invalid(operation, pointer, "its length %zu is out of range (%lld..%lld)",
                          strlen(text), (long long)argument->minimum, (long long)argument->maximum);
    }
}

void arguments_check(struct operation *operation, const struct weir_argument *arguments,
                     const cJSON *object, const char *prefix)
{
    static const struct weir_argument none[] = {{.name = NULL}};
    const struct weir_argument *all = arguments != NULL ? arguments : none;
    const cJSON *item = NULL;
    char pointer[128];

    cJSON_ArrayForEach(item, object)
    {
        const struct weir_argument *argument = all;
        struct option_nearest search;
        option_nearest_begin(&search, item->string, strlen(item->string));
        while (argument->name != NULL && strcmp(argument->name, item->string) != 0) {
            option_nearest_offer(&search, argument->name);
            argument++;
        }
        snprintf(pointer, sizeof(pointer), "%s%.100s", prefix, item->string);
        if (argument->name == NULL && search.best != NULL) {
            operation_invalid(operation, pointer, "\"%.60s\" is not known; did you mean \"%s\"?",
                              item->string, search.best);
        } else if (argument->name == NULL) {
            operation_invalid(operation, pointer, "\"%.60s\" is not known here", item->string);
        } else if (cJSON_GetObjectItemCaseSensitive(object, item->string) != item) {
            operation_invalid(operation, pointer, "it is given twice");
        } else {
            argument_check(operation, argument, pointer, item);
        }
    }
    for (const struct weir_argument *argument = all; argument->name != NULL; argument++) {
        if (argument->required && !cJSON_HasObjectItem(object, argument->name)) {
            snprintf(pointer, sizeof(pointer), "%s%s", prefix, argument->name);
            operation_invalid(operation, pointer, "it is required: %s", argument->document);
        }
    }
}
