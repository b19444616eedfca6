/* SPDX-License-Identifier: MIT */
/*
 * The OpenAPI 3.1 document, made from the command table.
 */
#include <stdio.h>
#include <stdlib.h>

#include "control/api/operation.h"

static cJSON *argument_schema(const struct weir_argument *argument)
{
    cJSON *schema = cJSON_CreateObject();

    switch (argument->type) {
    case WEIR_ARGUMENT_INTEGER:
        json_set(schema, "type", "integer");
        json_set_number(schema, "minimum", (double)argument->minimum);
        json_set_number(schema, "maximum", (double)argument->maximum);
        break;
    case WEIR_ARGUMENT_BOOLEAN: json_set(schema, "type", "boolean"); break;
    case WEIR_ARGUMENT_TEXTS:
        json_set(schema, "type", "object");
        json_set(cJSON_AddObjectToObject(schema, "additionalProperties"), "type", "string");
        break;
    case WEIR_ARGUMENT_DURATION:
        json_set(schema, "type", "string");
        json_set(schema, "pattern", "^[0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d)?( *[0-9.]+[a-z]+)*$");
        break;
    case WEIR_ARGUMENT_WORD: {
        json_set(schema, "type", "string");
        cJSON *words = cJSON_AddArrayToObject(schema, "enum");
        for (const char *const *word = argument->words; *word != NULL; word++) {
            cJSON_AddItemToArray(words, cJSON_CreateString(*word));
        }
        break;
    }
    default:
        json_set(schema, "type", "string");
        json_set_number(schema, "minLength", (double)argument->minimum);
        json_set_number(schema, "maxLength", (double)argument->maximum);
        break;
    }
    return schema;
}

static void add_parameter(cJSON *parameters, const char *in, const struct weir_argument *argument)
{
    cJSON *parameter = cJSON_CreateObject();
    json_set(parameter, "name", argument->name);
    json_set(parameter, "in", in);
    cJSON_AddBoolToObject(parameter, "required", argument->required);
    json_set(parameter, "description", argument->document);
    cJSON_AddItemToObject(parameter, "schema", argument_schema(argument));
    cJSON_AddItemToArray(parameters, parameter);
}

static void add_path_parameters(cJSON *parameters, const char *path)
{
    for (const char *at = strchr(path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        char *name = base_strndup(at + 1, strcspn(at + 1, "}"));
        struct weir_argument argument = {name, WEIR_ARGUMENT_STRING, true, 1, 1024,
                                         NULL, "Which one."};
        add_parameter(parameters, "path", &argument);
        free(name);
    }
}

static void add_parameters(cJSON *operation, const struct weir_operation *row)
{
    static const struct weir_argument confirm = {
        "confirm",
        WEIR_ARGUMENT_DURATION,
        false,
        1,
        86400,
        NULL,
        "The change takes itself back after this time, unless its entry is confirmed."};
    static const struct weir_argument if_match = {
        "If-Match",
        WEIR_ARGUMENT_STRING,
        false,
        1,
        1024,
        NULL,
        "Tag of what was read before: 412 where it has changed since."};
    cJSON *parameters = cJSON_CreateArray();

    add_path_parameters(parameters, row->path);
    for (const struct weir_argument *a = row->query; a != NULL && a->name != NULL; a++) {
        add_parameter(parameters, "query", a);
    }
    if (row->flags & WEIR_OPERATION_CONFIRM) {
        add_parameter(parameters, "query", &confirm);
    }
    if (row->flags & WEIR_OPERATION_IF_MATCH) {
        add_parameter(parameters, "header", &if_match);
    }
    cJSON_AddItemToObject(operation, "parameters", parameters);
}

static void add_body(cJSON *operation, const struct weir_operation *row)
{
    if (row->body == NULL) {
        return;
    }
    bool any = false;
    cJSON *body = cJSON_AddObjectToObject(operation, "requestBody");
    cJSON *content = cJSON_AddObjectToObject(body, "content");
    cJSON *media = cJSON_AddObjectToObject(content, "application/json");
    cJSON *schema = cJSON_AddObjectToObject(media, "schema");
    json_set(schema, "type", "object");
    cJSON_AddBoolToObject(schema, "additionalProperties", false);
    cJSON *properties = cJSON_AddObjectToObject(schema, "properties");
    cJSON *required = cJSON_CreateArray();
    for (const struct weir_argument *a = row->body; a->name != NULL; a++) {
        cJSON *property = argument_schema(a);
        json_set(property, "description", a->document);
        cJSON_AddItemToObject(properties, a->name, property);
        if (a->required) {
            cJSON_AddItemToArray(required, cJSON_CreateString(a->name));
            any = true;
        }
    }
    if (any) {
        cJSON_AddItemToObject(schema, "required", required);
    } else {
        cJSON_Delete(required);
    }
    cJSON_AddBoolToObject(body, "required", any);
}

static void add_answer(cJSON *responses, const char *status, const char *description,
                       const char *type, const char *schema)
{
    cJSON *answer = cJSON_AddObjectToObject(responses, status);
    json_set(answer, "description", description);
    if (schema != NULL) {
        char *reference = base_printf("#/components/schemas/%s", schema);
        cJSON *media = cJSON_AddObjectToObject(cJSON_AddObjectToObject(answer, "content"), type);
        json_set(cJSON_AddObjectToObject(media, "schema"), "$ref", reference);
        free(reference);
    }
}

static void add_answers(cJSON *operation, const struct weir_operation *row)
{
    cJSON *responses = cJSON_AddObjectToObject(operation, "responses");
    char status[8];

    snprintf(status, sizeof(status), "%u", row->status);
    add_answer(responses, status, row->document, "application/json", row->answer);
    if (row->status == 202) {
        add_answer(responses, "204", "It is gone.", NULL, NULL);
    }
    add_answer(responses, "default", "A problem (RFC 9457): what is wrong, what would be right.",
               "application/problem+json", "Problem");
}

static void add_command(cJSON *paths, const struct weir_operation *row)
{
    static const char *const roles[] = {"none", "viewer", "operator", "admin"};
    static const struct {
        const char *from, *to;
    } methods[] = {{"GET", "get"}, {"POST", "post"}, {"PATCH", "patch"}, {"DELETE", "delete"}};
    char *path = base_printf("%s%s", COMMAND_PREFIX, row->path);
    cJSON *item = cJSON_GetObjectItemCaseSensitive(paths, path);

    if (item == NULL) {
        item = cJSON_AddObjectToObject(paths, path);
    }
    free(path);
    cJSON *operation = cJSON_CreateObject();
    json_set(operation, "operationId", row->name);
    json_set(operation, "summary", row->document);
    json_set(operation, "x-weir-role", roles[row->role]);
    add_parameters(operation, row);
    add_body(operation, row);
    add_answers(operation, row);
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        if (strcmp(methods[i].from, row->method) == 0) {
            cJSON_AddItemToObject(item, methods[i].to, operation);
            return;
        }
    }
    ASSERT(false);
}

static cJSON *parse_quoted(const char *text)
{
    char *copy = base_strdup(text);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    cJSON *object = cJSON_Parse(copy);
    ASSERT(object != NULL);
    free(copy);
    return object;
}

static void add_schemas(cJSON *document)
{
    cJSON *components = cJSON_AddObjectToObject(document, "components");
    cJSON *schemas = cJSON_AddObjectToObject(components, "schemas");

    for (const struct weir_schema *row = answer_schemas; row->name != NULL; row++) {
        cJSON *schema = parse_quoted(row->json);
        cJSON_AddItemToObject(schemas, row->name, schema);
    }
    cJSON *security = cJSON_AddObjectToObject(components, "securitySchemes");
    cJSON *bearer = cJSON_AddObjectToObject(security, "token");
    json_set(bearer, "type", "http");
    json_set(bearer, "scheme", "bearer");
    cJSON *cookie = cJSON_AddObjectToObject(security, "session");
    json_set(cookie, "type", "apiKey");
    json_set(cookie, "in", "cookie");
    json_set(cookie, "name", "weir_admin");
    cJSON *list = cJSON_AddArrayToObject(document, "security");
    cJSON *one = cJSON_CreateObject();
    cJSON_AddArrayToObject(one, "token");
    cJSON_AddItemToArray(list, one);
    one = cJSON_CreateObject();
    cJSON_AddArrayToObject(one, "session");
    cJSON_AddItemToArray(list, one);
}

/* What an admin plane serves with HTTP itself, by the services of control.h. ' stands for ". */
static const char plane_paths[] =
    "{'/api/v1/events':{'get':{'operationId':'events','summary':'Events as they happen: statistics "
    "each second, change, server, reload. Last-Event-ID is honoured.','x-weir-role':'viewer',"
    "'responses':{'200':{'description':'Server-sent events.','content':{'text/event-stream':"
    "{'schema':{'type':'string'}}}},'default':{'$ref':'#/components/responses/Problem'}}}},"
    "'/api/v1/session':{'get':{'operationId':'session.show','summary':'Who is logged in.',"
    "'responses':{'200':{'$ref':'#/components/responses/Login'},'default':"
    "{'$ref':'#/components/responses/Problem'}}},'post':{'operationId':'session.begin','summary':"
    "'Logs in by name and password, a token or a one-time link; sets a cookie.','security':[],"
    "'requestBody':{'required':true,'content':{'application/json':{'schema':{'type':'object',"
    "'additionalProperties':false,'properties':{'name':{'type':'string'},'password':{'type':'string'"
    "},'token':{'type':'string'},'link':{'type':'string'}}}}}},'responses':{'200':"
    "{'$ref':'#/components/responses/Login'},'default':{'$ref':'#/components/responses/Problem'}}},"
    "'delete':{'operationId':'session.end','summary':'Logs out.','responses':{'204':{'description':"
    "'Logged out.'},'default':{'$ref':'#/components/responses/Problem'}}}}}";
static const char plane_responses[] =
    "{'Problem':{'description':'A problem (RFC 9457).','content':{'application/problem+json':"
    "{'schema':{'$ref':'#/components/schemas/Problem'}}}},'Login':{'description':'Who is logged in, "
    "and the token that writes carry in X-CSRF-Token.','content':{'application/json':{'schema':"
    "{'$ref':'#/components/schemas/Login'}}}}}";

static void add_plane_paths(cJSON *document, cJSON *paths)
{
    cJSON *more = parse_quoted(plane_paths);
    while (more->child != NULL) {
        cJSON *item = cJSON_DetachItemViaPointer(more, more->child);
        cJSON_AddItemToObject(paths, item->string, item);
    }
    cJSON_Delete(more);
    cJSON_AddItemToObject(cJSON_GetObjectItemCaseSensitive(document, "components"), "responses",
                          parse_quoted(plane_responses));
}

char *openapi_text(const struct command_table *table)
{
    cJSON *document = cJSON_CreateObject();
    json_set(document, "openapi", "3.1.0");
    cJSON *info = cJSON_AddObjectToObject(document, "info");
    json_set(info, "title", "Weir");
    json_set(info, "version", PACKAGE_VERSION);
    json_set(info, "description", "The control plane of the load balancer Weir.");
    cJSON *paths = cJSON_AddObjectToObject(document, "paths");
    commands_each(command, table)
    {
        add_command(paths, &command->row);
    }
    add_schemas(document);
    add_plane_paths(document, paths);
    char *text = json_print(document);
    cJSON_Delete(document);
    return text;
}
