/* SPDX-License-Identifier: MIT */
/*
 * How an operation begins: a call is matched with the table, its author's role is checked, its
 * query and body are read, and checked by the row (arguments.c).
 */
#include <stdlib.h>

#include "control/api/arguments.h"
#include "control/api/plane.h"
#include "http/syntax.h"

/* ---- the query ---- */

/* Undoes percent-encoding; NULL: malformed. The caller frees it. */
static char *decode(struct weir_str text, bool plus)
{
    char *out = base_alloc(text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? syntax_hex(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? syntax_hex(text.ptr[i + 2]) : -1;
            if (low < 0 || high * 16 + low == 0) {
                free(out);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return out;
}

static const struct weir_argument *find_argument(const struct weir_argument *arguments,
                                                 const char *name)
{
    for (; arguments != NULL && arguments->name != NULL; arguments++) {
        if (strcmp(arguments->name, name) == 0) {
            return arguments;
        }
    }
    return NULL;
}

/* A query's values are text: numbers and booleans get their type by the table. */
static void add_parameter(cJSON *query, const struct weir_argument *arguments, const char *name,
                          const char *value)
{
    const struct weir_argument *argument = find_argument(arguments, name);
    char *end = NULL;

    if (argument != NULL && argument->type == WEIR_ARGUMENT_INTEGER) {
        long long number = strtoll(value, &end, 10);
        if (*value != '\0' && *end == '\0') {
            cJSON_AddNumberToObject(query, name, (double)number);
            return;
        }
    } else if (argument != NULL && argument->type == WEIR_ARGUMENT_BOOLEAN) {
        bool yes = strcmp(value, "1") == 0 || strcmp(value, "true") == 0;
        if (yes || strcmp(value, "0") == 0 || strcmp(value, "false") == 0) {
            cJSON_AddBoolToObject(query, name, yes);
            return;
        }
    }
    cJSON_AddStringToObject(query, name, value);
}

/* The text up to the byte (all of it if there is none); `rest` is what follows it. */
static struct weir_str cut(struct weir_str text, char byte, struct weir_str *rest)
{
    const char *at = text.len > 0 ? memchr(text.ptr, byte, text.len) : NULL;
    size_t len = at != NULL ? (size_t)(at - text.ptr) : text.len;

    *rest = at != NULL ? (struct weir_str){at + 1, text.len - len - 1} : STR("");
    return (struct weir_str){text.ptr, len};
}

static bool read_query(struct operation *operation, struct weir_str query)
{
    bool good = true;

    operation->query = cJSON_CreateObject();
    while (query.len > 0 && good) {
        struct weir_str value;
        struct weir_str part = cut(query, '&', &query);
        char *name = decode(cut(part, '=', &value), true);
        char *text = decode(value, true);
        good = name != NULL && text != NULL;
        if (good && *name != '\0') {
            add_parameter(operation->query, operation->command->row.query, name, text);
        }
        free(name);
        free(text);
    }
    if (!good) {
        operation_problem(operation, 400, "the query is not percent-encoded as it should be");
    }
    return good;
}

static void take_confirm(struct operation *operation)
{
    static const struct weir_argument confirm = {
        "confirm", WEIR_ARGUMENT_DURATION, false, 1, 86400, NULL, ""};
    cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(operation->query, "confirm");

    if (item == NULL) {
        return;
    }
    if ((operation->command->row.flags & WEIR_OPERATION_CONFIRM) == 0) {
        operation_invalid(operation, "?confirm", "%s does not take itself back",
                          operation->command->row.name);
    } else {
        argument_check(operation, &confirm, "?confirm", item);
        parse_duration_ms(cJSON_GetStringValue(item), &operation->confirm_ms);
    }
    cJSON_Delete(item);
}

/* What cJSON lets pass: control characters in strings, and between them. */
static bool is_clean_json(struct weir_str body)
{
    bool inside = false;

    for (size_t i = 0; i < body.len; i++) {
        unsigned char c = (unsigned char)body.ptr[i];
        if (c < 0x20 && (inside || c == '\0' || strchr("\t\r\n", c) == NULL)) {
            return false;
        }
        if (c == '"') {
            inside = !inside;
        } else if (c == '\\' && inside) {
            i++;
        }
    }
    return true;
}

/* \u0000 would end a text early, so that another one would be used than was sent. */
static bool has_nul(struct weir_str body)
{
    for (size_t i = 0; i + 5 < body.len; i++) {
        if (body.ptr[i] == '\\' && memcmp(body.ptr + ++i, "u0000", 5) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_body(struct operation *operation, struct weir_str body)
{
    const char *end = NULL;

    while (body.len > 0 && strchr(" \t\r\n", *body.ptr) != NULL) {
        body.ptr++;
        body.len--;
    }
    if (body.len == 0) {
        operation->body = cJSON_CreateObject();
        return true;
    }
    if (is_clean_json(body)) {
        operation->body = cJSON_ParseWithLengthOpts(body.ptr, body.len, &end, false);
    }
    while (operation->body != NULL && end < body.ptr + body.len &&
           strchr(" \t\r\n", *end) != NULL) {
        end++;
    }
    if (operation->body == NULL || end != body.ptr + body.len) {
        operation_problem(operation, 400, "the body is not JSON (RFC 8259)%s",
                          operation->body != NULL ? ": something stands behind it" : "");
        return false;
    }
    if (!cJSON_IsObject(operation->body)) {
        operation_invalid(operation, "", "the body must be a JSON object");
        return false;
    }
    if (has_nul(body)) {
        operation_invalid(operation, "", "no text here has the character NUL (\\u0000)");
        return false;
    }
    return true;
}

/* ---- the table ---- */

static bool match_path(const char *pattern, const char *path, const char **starts, size_t *lens)
{
    size_t count = 0;

    starts[0] = starts[1] = NULL;
    while (*pattern != '\0' && *path != '\0') {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");
            if (len == 0 || count == 2) {
                return false;
            }
            starts[count] = path;
            lens[count++] = len;
            path += len;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *pattern == '\0' && *path == '\0';
}

/* Finds the command of a path and method. false: 404 or 405 is the answer. */
static bool find_command(struct operation *operation, struct weir_str method, struct weir_str path)
{
    static const size_t prefix = sizeof(COMMAND_PREFIX) - 1;
    const struct command *found = NULL;
    const char *starts[2] = {NULL, NULL};
    size_t lens[2] = {0, 0};
    char *allow = NULL;

    if (str_equal(path, STR("/openapi.json"))) { /* where people look for it first */
        path = STR(COMMAND_PREFIX "/openapi.json");
    }
    bool ours = path.len >= prefix && memcmp(path.ptr, COMMAND_PREFIX, prefix) == 0;
    char *rest = ours ? base_strndup(path.ptr + prefix, path.len - prefix) : base_strdup("");
    commands_each(command, &operation->plane->commands)
    {
        if (found != NULL || !match_path(command->row.path, rest, starts, lens)) {
            continue;
        }
        if (str_equal(method, str_from(command->row.method))) {
            found = command;
        } else {
            text_join(&allow, command->row.method);
        }
    }
    for (size_t i = 0; found != NULL && i < 2 && starts[i] != NULL; i++) {
        operation->params[i] = decode((struct weir_str){starts[i], lens[i]}, false);
        found = operation->params[i] != NULL ? found : NULL;
    }
    free(rest);
    operation->command = found;
    if (found != NULL) {
        free(allow);
    } else if (allow != NULL) {
        operation_problem(operation, 405, "%.*s cannot be done here; %s can", STR_ARGS(method),
                          allow);
        operation->allow = allow;
    } else {
        operation_problem(operation, 404, "there is nothing at this path; see /openapi.json");
    }
    return found != NULL;
}

/* ---- the call ---- */

static bool check_call(struct operation *operation, const struct weir_control_request *call)
{
    if (!find_command(operation, call->method, call->path) ||
        !operation_check_role(operation, operation->command)) {
        return false;
    }
    if (call->body.len > WEIR_CONTROL_BODY_MAX) {
        operation_problem(operation, 413, "the body has %zu bytes; up to %u are read",
                          call->body.len, WEIR_CONTROL_BODY_MAX);
        return false;
    }
    if (!read_query(operation, call->query) || !read_body(operation, call->body)) {
        return false;
    }
    take_confirm(operation);
    arguments_check(operation, operation->command->row.query, operation->query, "?");
    arguments_check(operation, operation->command->row.body, operation->body, "/");
    return operation->status == 0;
}

struct operation *operation_new(struct plane *plane, const struct weir_control_request *call,
                                weir_control_fn fn, void *arg)
{
    struct operation *operation = base_zalloc(sizeof(*operation));

    operation->plane = plane;
    operation->fn = fn;
    operation->arg = arg;
    operation->role = call->caller.role;
    operation->author = base_strndup(call->caller.author.ptr, call->caller.author.len);
    if (call->if_match.len > 0) {
        operation->if_match = base_strndup(call->if_match.ptr, call->if_match.len);
    }
    if (!check_call(operation, call)) {
        operation->command = NULL;
    } else if (operation->command->provider != NULL) {
        provider_ref(operation->command->provider);
    }
    return operation;
}
