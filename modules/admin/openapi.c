/* SPDX-License-Identifier: MIT */
/*
 * The OpenAPI 3.1 document: the operations of the command table, and what this module serves with
 * HTTP itself.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

static cJSON *argument_schema(const struct weir_argument *argument)
{
    cJSON *schema = cJSON_CreateObject();

    switch (argument->type) {
    case WEIR_ARGUMENT_INTEGER:
        cJSON_AddStringToObject(schema, "type", "integer");
        cJSON_AddNumberToObject(schema, "minimum", (double)argument->minimum);
        cJSON_AddNumberToObject(schema, "maximum", (double)argument->maximum);
        break;
    case WEIR_ARGUMENT_NUMBER:
        cJSON_AddStringToObject(schema, "type", "number");
        cJSON_AddNumberToObject(schema, "minimum", (double)argument->minimum);
        cJSON_AddNumberToObject(schema, "maximum", (double)argument->maximum);
        break;
    case WEIR_ARGUMENT_BOOLEAN: cJSON_AddStringToObject(schema, "type", "boolean"); break;
    case WEIR_ARGUMENT_TEXTS:
        cJSON_AddStringToObject(schema, "type", "object");
        cJSON_AddStringToObject(cJSON_AddObjectToObject(schema, "additionalProperties"), "type",
                                "string");
        break;
    case WEIR_ARGUMENT_DURATION:
        cJSON_AddStringToObject(schema, "type", "string");
        cJSON_AddStringToObject(schema, "pattern",
                                "^[0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d)?( *[0-9.]+[a-z]+)*$");
        break;
    case WEIR_ARGUMENT_WORD: {
        cJSON_AddStringToObject(schema, "type", "string");
        cJSON *words = cJSON_AddArrayToObject(schema, "enum");
        for (const char *const *word = argument->words; *word != NULL; word++) {
            cJSON_AddItemToArray(words, cJSON_CreateString(*word));
        }
        break;
    }
    default:
        cJSON_AddStringToObject(schema, "type", "string");
        cJSON_AddNumberToObject(schema, "minLength", (double)argument->minimum);
        cJSON_AddNumberToObject(schema, "maxLength", (double)argument->maximum);
        break;
    }
    return schema;
}

static void add_parameter(cJSON *parameters, const char *in, const struct weir_argument *argument)
{
    cJSON *parameter = cJSON_CreateObject();
    cJSON_AddStringToObject(parameter, "name", argument->name);
    cJSON_AddStringToObject(parameter, "in", in);
    cJSON_AddBoolToObject(parameter, "required", argument->required);
    cJSON_AddStringToObject(parameter, "description", argument->document);
    cJSON_AddItemToObject(parameter, "schema", argument_schema(argument));
    cJSON_AddItemToArray(parameters, parameter);
}

static void add_path_parameters(cJSON *parameters, const char *path)
{
    for (const char *at = strchr(path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        char *name = strndup(at + 1, strcspn(at + 1, "}"));
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
    cJSON_AddStringToObject(schema, "type", "object");
    cJSON_AddBoolToObject(schema, "additionalProperties", false);
    cJSON *properties = cJSON_AddObjectToObject(schema, "properties");
    cJSON *required = cJSON_CreateArray();
    for (const struct weir_argument *a = row->body; a->name != NULL; a++) {
        cJSON *property = argument_schema(a);
        cJSON_AddStringToObject(property, "description", a->document);
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
    cJSON_AddStringToObject(answer, "description", description);
    if (schema != NULL) {
        char reference[96];
        snprintf(reference, sizeof(reference), "#/components/schemas/%s", schema);
        cJSON *media = cJSON_AddObjectToObject(cJSON_AddObjectToObject(answer, "content"), type);
        cJSON_AddStringToObject(cJSON_AddObjectToObject(media, "schema"), "$ref", reference);
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
    add_answer(responses, "default", "A problem (RFC 9457): what is wrong, and what to send.",
               "application/problem+json", "Problem");
}

static void add_operation(cJSON *paths, const struct weir_operation *row)
{
    static const char *const roles[] = {"none", "viewer", "operator", "admin"};
    static const struct {
        const char *from, *to;
    } methods[] = {{"GET", "get"}, {"POST", "post"}, {"PATCH", "patch"}, {"DELETE", "delete"}};
    char path[256];
    snprintf(path, sizeof(path), "/api/v1%s", row->path);
    cJSON *item = cJSON_GetObjectItemCaseSensitive(paths, path);

    if (item == NULL) {
        item = cJSON_AddObjectToObject(paths, path);
    }
    cJSON *operation = cJSON_CreateObject();
    cJSON_AddStringToObject(operation, "operationId", row->name);
    cJSON_AddStringToObject(operation, "summary", row->document);
    cJSON_AddStringToObject(operation, "x-weir-role", roles[row->role]);
    add_parameters(operation, row);
    add_body(operation, row);
    add_answers(operation, row);
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].from, row->method) == 0) {
            cJSON_AddItemToObject(item, methods[i].to, operation);
        }
    }
}

static cJSON *parse_quoted(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    cJSON *object = cJSON_Parse(copy);
    free(copy);
    return object;
}

/* What is served with HTTP itself, before the operations. ' stands for ". */
static const char own_paths[] =
    "{'/api/v1/session':{'get':{'operationId':'session.show','summary':'Who is logged in.',"
    "'responses':{'200':{'$ref':'#/components/responses/Login'},'default':"
    "{'$ref':'#/components/responses/Problem'}}},'post':{'operationId':'session.begin','summary':"
    "'Logs in by name and password, a token or a one-time link; sets a cookie.','security':[],"
    "'requestBody':{'required':true,'content':{'application/json':{'schema':{'type':'object',"
    "'additionalProperties':false,'properties':{'name':{'type':'string'},"
    "'password':{'type':'string'"
    "},'token':{'type':'string'},'link':{'type':'string'}}}}}},'responses':{'200':"
    "{'$ref':'#/components/responses/Login'},'default':{'$ref':'#/components/responses/Problem'}}},"
    "'delete':{'operationId':'session.end','summary':'Logs out.','responses':{'204':{'description':"
    "'Logged out.'},'default':{'$ref':'#/components/responses/Problem'}}}},"
    "'/api/v1/events':{'get':{'operationId':'events','summary':'Events as they happen: statistics "
    "each second, change, server, reload. Last-Event-ID is honoured.','x-weir-role':'viewer',"
    "'responses':{'200':{'description':'Server-sent events.','content':{'text/event-stream':"
    "{'schema':{'type':'string'}}}},'default':{'$ref':'#/components/responses/Problem'}}}},"
    "'/api/v1/openapi.json':{},"
    "'/openapi.json':{'get':{'operationId':'openapi.show','summary':'This document.',"
    "'x-weir-role':'viewer','responses':{'200':{'description':'OpenAPI 3.1.','content':"
    "{'application/json':{'schema':{'type':'object'}}}},'default':"
    "{'$ref':'#/components/responses/Problem'}}}}}";
static const char responses[] =
    "{'Problem':{'description':'A problem (RFC 9457).','content':{'application/problem+json':"
    "{'schema':{'$ref':'#/components/schemas/Problem'}}}},'Login':{'description':'Who is logged "
    "in, "
    "and the token that writes carry in X-CSRF-Token.','content':{'application/json':{'schema':"
    "{'$ref':'#/components/schemas/Login'}}}}}";
static const char security_schemes[] =
    "{'token':{'type':'http','scheme':'bearer'},"
    "'session':{'type':'apiKey','in':'cookie','name':'weir_admin'}}";

#define TEXT "{'type':'string'}"
#define TIME "{'type':'integer','description':'Milliseconds since 1970.'}"

const struct weir_schema admin_schemas[] = {
    {"History",
     "{'type':'object','properties':{'step_ms':{'type':'integer','minimum':0},'start':" TIME
     ",'series':{'type':'object','additionalProperties':{'type':'array','items':"
     "{'type':['number','null']}}}}}"},
    {"User", "{'type':'object','properties':{'name':" TEXT
             ",'role':{'enum':['viewer','operator','admin']},'has_password':{'type':'boolean'}"
             ",'tokens':{'type':'array','items':{'type':'object','properties':{'id':" TEXT
             ",'created_at':" TIME ",'expires_at':{'type':['integer','null']}}}}}}"},
    {"Users", "{'type':'object','required':['entries'],'properties':{'entries':{'type':'array',"
              "'items':{'$ref':'#/components/schemas/User'}}}}"},
    {"Token",
     "{'type':'object','required':['token','id'],'properties':{'token':" TEXT ",'id':" TEXT "}}"},
    {"AdminToken", "{'type':'object','required':['token','file'],'properties':{'token':" TEXT
                   ",'file':" TEXT "}}"},
    {"OpenApi", "{'type':'object','required':['openapi','info','paths']}"},
    {"Login", "{'type':'object','properties':{'author':" TEXT
              ",'role':{'enum':['viewer','operator','admin']},'csrf':" TEXT "}}"},
    {NULL, NULL},
};

struct document {
    cJSON *root, *paths, *schemas;
};

static void take_operation(void *arg, const struct weir_operation *row)
{
    const struct document *document = arg;
    add_operation(document->paths, row);
}

static void take_schema(void *arg, const struct weir_schema *schema)
{
    const struct document *document = arg;
    cJSON_AddItemToObject(document->schemas, schema->name, parse_quoted(schema->json));
}

/* Of the process, whose row is the first. */
static bool take_version(void *arg, const struct weir_stats_row *row)
{
    char *text = strndup(row->name.ptr, row->name.len);
    cJSON_AddStringToObject(arg, "version", text);
    free(text);
    return false;
}

char *openapi_text(struct weir_context *ctx)
{
    struct document document = {.root = cJSON_CreateObject()};

    cJSON_AddStringToObject(document.root, "openapi", "3.1.0");
    cJSON *info = cJSON_AddObjectToObject(document.root, "info");
    cJSON_AddStringToObject(info, "title", "Weir");
    weir_stats_visit(ctx, take_version, info);
    cJSON_AddStringToObject(info, "description", "The control plane of the load balancer Weir.");
    document.paths = parse_quoted(own_paths);
    cJSON_AddItemToObject(document.root, "paths", document.paths);
    cJSON *components = cJSON_AddObjectToObject(document.root, "components");
    document.schemas = cJSON_AddObjectToObject(components, "schemas");
    weir_control_operations(ctx, take_operation, take_schema, &document);
    cJSON_AddItemToObject(components, "securitySchemes", parse_quoted(security_schemes));
    cJSON_AddItemToObject(components, "responses", parse_quoted(responses));
    cJSON_AddItemToObject(document.root, "security", parse_quoted("[{'token':[]},{'session':[]}]"));
    char *text = cJSON_PrintUnformatted(document.root);
    cJSON_Delete(document.root);
    return text;
}
