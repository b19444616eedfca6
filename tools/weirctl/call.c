/* SPDX-License-Identifier: MIT */
/*
 * call: any operation of the running Weir, those of modules too, by its name in the API's document.
 */
#include "command.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char base[] = "/api/v1";

/* An operation as the document has it. */
struct operation {
    const char *path; /* below the API's */
    const char *method;
    const cJSON *object;
};

/* The next one; begin with a zeroed one. false: there is none. */
static bool next_operation(const cJSON *document, struct operation *operation)
{
    const cJSON *path = NULL, *method = NULL;
    bool behind = operation->object == NULL;

    cJSON_ArrayForEach(path, json_at(document, "paths"))
    {
        cJSON_ArrayForEach(method, path)
        {
            bool ours = strncmp(path->string, base, strlen(base)) == 0 &&
                        json_text(method, "operationId", NULL) != NULL;
            if (behind && ours) {
                *operation =
                    (struct operation){path->string + strlen(base), method->string, method};
                return true;
            }
            behind = behind || method == operation->object;
        }
    }
    return false;
}

static void list_operations(const cJSON *document)
{
    static const struct column columns[] = {
        {"OPERATION", SHOW_TEXT, "operationId", NULL},
        {"ROLE", SHOW_TEXT, "x-weir-role", NULL},
        {"SUMMARY", SHOW_TEXT, "summary", NULL},
    };
    struct table *table = TABLE_NEW(columns);
    struct operation operation = {0};

    while (next_operation(document, &operation)) {
        table_row(table, operation.object);
    }
    table_print(&table);
}

static bool find_operation(const cJSON *document, const char *name, struct operation *operation)
{
    while (next_operation(document, operation)) {
        if (strcmp(json_text(operation->object, "operationId", ""), name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- arguments: NAME=VALUE ---- */

/* The parameter of that name; NULL: there is none. */
static const cJSON *find_parameter(const struct operation *operation, const char *name)
{
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, json_at(operation->object, "parameters"))
    {
        if (strcmp(json_text(each, "name", ""), name) == 0) {
            return each;
        }
    }
    return NULL;
}

static const cJSON *body_properties(const struct operation *operation)
{
    const cJSON *content = json_at(operation->object, "requestBody.content");
    return json_at(cJSON_GetObjectItemCaseSensitive(content, "application/json"),
                   "schema.properties");
}

/* A text where the schema wants one; else what the text is as JSON, if it is any. */
static cJSON *make_value(const cJSON *schema, const char *text)
{
    cJSON *json = strcmp(json_text(schema, "type", "string"), "string") != 0
                      ? cJSON_ParseWithOpts(text, NULL, true)
                      : NULL;
    return json != NULL ? json : cJSON_CreateString(text);
}

/* Puts one argument where the operation wants it: into the path, the query or the body. */
static enum outcome take_argument(const struct call *call, const struct operation *operation,
                                  const char *argument, struct text *path, struct text *query,
                                  cJSON *body)
{
    const char *equals = strchr(argument, '=');
    char name[64], place[70];

    snprintf(name, sizeof(name), "%.*s", equals != NULL ? (int)(equals - argument) : 0, argument);
    snprintf(place, sizeof(place), "{%s}", name);
    const char *in_path = strstr(text_get(path), place);
    const cJSON *property = cJSON_GetObjectItemCaseSensitive(body_properties(operation), name);
    const cJSON *parameter = find_parameter(operation, name);
    if (equals == NULL) {
        return call_misused(call, "\"%s\" is no NAME=VALUE", argument);
    }
    if (in_path != NULL) {
        struct text filled = {0};
        text_add(&filled, text_get(path), (size_t)(in_path - text_get(path)));
        text_encode(&filled, equals + 1);
        text_puts(&filled, in_path + strlen(place));
        text_clear(path);
        *path = filled;
    } else if (property != NULL) {
        cJSON_AddItemToObject(body, name, make_value(property, equals + 1));
    } else if (parameter != NULL && strcmp(json_text(parameter, "in", ""), "query") == 0) {
        text_printf(query, "%s%s=", query->len > 0 ? "&" : "?", name);
        text_encode(query, equals + 1);
    } else {
        return call_misused(call, "%s has no argument \"%s\"", call->words[0], name);
    }
    return DONE;
}

/* The answer as JSON that people can read, line by line clean for a terminal. */
static void tell_json(const struct call *call, const struct answer *answer)
{
    char *text = answer->json != NULL ? cJSON_Print(answer->json) : NULL;

    for (char *c = text; c != NULL && *c != '\0'; c++) {
        *c = *c == '\t' ? ' ' : *c; /* of strings they are escaped: these indent */
    }
    for (char *line = text != NULL ? strtok(text, "\n") : NULL; line != NULL;
         line = strtok(NULL, "\n")) {
        struct text clean = {0};
        text_clean(&clean, line);
        puts(text_get(&clean));
        text_clear(&clean);
    }
    cJSON_free(text);
    tell_journal(call, answer);
}

static enum outcome call_operation(struct call *call, const struct operation *operation)
{
    struct text path = {0}, query = {0};
    cJSON *body = cJSON_CreateObject();
    enum outcome outcome = DONE;
    char method[16] = "";

    for (size_t i = 0; operation->method[i] != '\0' && i + 1 < sizeof(method); i++) {
        method[i] = (char)toupper((unsigned char)operation->method[i]);
    }
    text_puts(&path, operation->path);
    for (int i = 1; i < call->count && outcome == DONE; i++) {
        outcome = take_argument(call, operation, call->words[i], &path, &query, body);
    }
    const char *open = strchr(text_get(&path), '{');
    if (outcome == DONE && open != NULL) {
        outcome = call_misused(call, "%s wants %.*s=VALUE", call->words[0],
                               (int)strcspn(open + 1, "}"), open + 1);
    }
    if (outcome != DONE || cJSON_GetArraySize(body) == 0) {
        cJSON_Delete(body);
        body = NULL;
    }
    text_puts(&path, text_get(&query));
    text_clear(&query);
    if (outcome == DONE) {
        outcome = call_send(call, method, body, tell_json, text_get(&path));
    }
    text_clear(&path);
    return outcome;
}

enum outcome run_call(struct call *call)
{
    struct answer answer;
    struct operation operation = {0};
    enum outcome outcome = api_call(&call->api, "GET", "/openapi.json", NULL, &answer);

    if (outcome == DONE && call->count == 0) {
        list_operations(answer.json);
    } else if (outcome == DONE && find_operation(answer.json, call->words[0], &operation)) {
        outcome = call_operation(call, &operation);
    } else if (outcome == DONE) {
        outcome = call_misused(call, "there is no operation \"%s\"; weirctl call lists them",
                               call->words[0]);
    }
    answer_clear(&answer);
    return outcome;
}
