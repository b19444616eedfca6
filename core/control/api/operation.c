/* SPDX-License-Identifier: MIT */
/*
 * Operations: what they were given, who may, and what they answer. See operation.h; how they begin:
 * call.c.
 */
#include "control/api/operation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "control/api/plane.h"
#include "control/api/resident.h"
#include "http/message.h"
#include "option/option_value.h"

/* ---- answers ---- */

void operation_succeed(struct operation *operation, unsigned status, cJSON *answer)
{
    cJSON_Delete(operation->answer);
    operation->status = status;
    operation->answer = answer;
    operation->problem = false;
}

static void problem(struct operation *operation, unsigned status, const char *detail)
{
    struct weir_str title = http_reason_phrase(status);
    cJSON *document = cJSON_CreateObject();
    json_set(document, "type", "about:blank");
    json_set(document, "title", title.len > 0 ? title.ptr : "Error");
    json_set_number(document, "status", status);
    json_set(document, "detail", detail);
    operation_succeed(operation, status, document);
    operation->problem = true;
}

void operation_problem(struct operation *operation, unsigned status, const char *format, ...)
{
    char *detail = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&detail, format, args);
    va_end(args);
    problem(operation, status, len >= 0 ? detail : format);
    free(len >= 0 ? detail : NULL);
}

void operation_invalid(struct operation *operation, const char *pointer, const char *format, ...)
{
    char detail[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);

    cJSON *errors = cJSON_GetObjectItemCaseSensitive(operation->answer, "errors");
    if (operation->status != 422 || errors == NULL) {
        problem(operation, 422, detail);
        errors = cJSON_AddArrayToObject(operation->answer, "errors");
    }
    cJSON *error = json_append(errors);
    json_set(error, "pointer", pointer);
    json_set(error, "detail", detail);
}

bool operation_matches(struct operation *operation, const char *etag)
{
    const char *given = operation->if_match;
    size_t len = strlen(etag);

    if (given == NULL || strcmp(given, "*") == 0) {
        return true;
    }
    for (const char *at = strchr(given, '"'); at != NULL; at = strchr(at + 1, '"')) {
        if (strncmp(at + 1, etag, len) == 0 && at[1 + len] == '"') {
            return true;
        }
    }
    operation_problem(operation, 412,
                      "somebody else has changed it since: its tag is \"%s\" now, not %s; read it "
                      "again",
                      etag, given);
    free(operation->etag);
    operation->etag = base_strdup(etag);
    return false;
}

static void operation_free(struct operation *operation)
{
    for (size_t i = 0; i < ARRAY_COUNT(operation->params); i++) {
        free(operation->params[i]);
    }
    if (operation->command != NULL && operation->command->provider != NULL) {
        provider_unref(operation->command->provider);
    }
    if (operation->state_free != NULL) {
        operation->state_free(operation->state);
    }
    cJSON_Delete(operation->query);
    cJSON_Delete(operation->body);
    cJSON_Delete(operation->answer);
    free(operation->text);
    free(operation->if_match);
    free(operation->author);
    free(operation->etag);
    free(operation->location);
    free(operation->allow);
    free(operation);
}

/* A module's operation may end with no answer, or with one that no message can carry. */
static void check_answer(struct operation *operation)
{
    const struct command *command = operation->command;
    bool sendable = operation->status >= 200 && operation->status <= 599 &&
                    field_value_valid(str_from(operation->etag)) &&
                    field_value_valid(str_from(operation->location));

    if (sendable || command == NULL || command->provider == NULL) {
        return;
    }
    log_write(WEIR_LOG_ERROR, command->provider->resident->module->name,
              "its operation %s has ended without an answer that can be sent", command->row.name);
    free(operation->text);
    free(operation->etag);
    operation->text = operation->etag = NULL;
    operation_problem(operation, 500, "the module's operation %s has given no answer",
                      command->row.name);
}

void operation_answer(struct operation *operation)
{
    struct weir_control_answer answer = {.size = sizeof(answer)};
    char *etag = NULL;

    if (operation->fn != NULL) {
        check_answer(operation);
        char *text = operation->text;
        answer.status = operation->status;
        if (text == NULL && operation->answer != NULL) {
            text = operation->text = json_print(operation->answer);
        }
        if (text != NULL) {
            answer.content_type =
                operation->problem ? STR("application/problem+json") : STR("application/json");
            answer.body = str_from(text);
        }
        if (operation->etag != NULL) {
            etag = base_printf("\"%s\"", operation->etag);
            answer.etag = str_from(etag);
        }
        answer.location = str_from(operation->problem ? NULL : operation->location);
        answer.allow = str_from(operation->allow);
        answer.journal = operation->journal;
        operation->fn(operation->arg, &answer);
    }
    free(etag);
    operation_free(operation);
}

/* ---- who ---- */

static const char *role_word(enum weir_role role)
{
    static const char *const words[] = {"nobody", "viewer", "operator", "admin"};
    return words[role <= WEIR_ROLE_ADMIN ? role : 0];
}

bool operation_check_role(struct operation *operation, const struct command *command)
{
    if (operation->role < command->row.role) {
        operation_problem(operation, 403, "%s needs the role %s; %s has the role %s",
                          command->row.name, role_word(command->row.role), operation->author,
                          role_word(operation->role));
        return false;
    }
    return true;
}

bool operation_may(struct operation *operation, const char *name)
{
    commands_each(command, &operation->plane->commands)
    {
        if (strcmp(command->row.name, name) == 0) {
            return operation_check_role(operation, command);
        }
    }
    /* A module's that is not loaded. */
    const struct command unknown = {.row = {.name = name, .role = WEIR_ROLE_ADMIN}};
    return operation_check_role(operation, &unknown);
}

/* ---- what was given ---- */

static void *alloc_nothing(struct option_alloc *alloc, size_t len)
{
    (void)alloc;
    (void)len;
    return NULL;
}

bool parse_duration_ms(const char *text, uint64_t *ms)
{
    static const struct weir_option row = {.name = "duration", .type = WEIR_TYPE_DURATION};
    struct option_alloc alloc = {alloc_nothing};
    char error[OPTION_ERROR_SIZE];
    uint64_t ns = 0;

    if (!option_value_parse(&row, WEIR_TYPE_DURATION, text, strlen(text), true, &ns, &alloc, error,
                            sizeof(error))) {
        return false;
    }
    *ms = ns / NS_PER_MS;
    return true;
}

uint64_t operation_duration_ms(const cJSON *object, const char *name, uint64_t fallback)
{
    const char *text = json_text(object, name);
    uint64_t ms = fallback;
    return text != NULL && parse_duration_ms(text, &ms) ? ms : fallback;
}

void text_join(char **list, const char *more)
{
    char *longer = *list == NULL ? base_strdup(more) : base_printf("%s, %s", *list, more);
    free(*list);
    *list = longer;
}

cJSON *operation_entries(struct operation *operation)
{
    cJSON *answer = cJSON_CreateObject();
    operation_succeed(operation, 200, answer);
    return cJSON_AddArrayToObject(answer, "entries");
}
