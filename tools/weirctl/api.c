/* SPDX-License-Identifier: MIT */
/*
 * Calls of Weir's API, and what is told when they do not go well.
 */
#include "api.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

void api_vpath(struct text *out, const char *pattern, va_list args)
{
    for (; *pattern != '\0'; pattern++) {
        if (pattern[0] == '{' && pattern[1] == '}') {
            text_encode(out, va_arg(args, const char *));
            pattern++;
        } else {
            text_add(out, pattern, 1);
        }
    }
}

void api_path(struct text *out, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    api_vpath(out, pattern, args);
    va_end(args);
}

enum outcome api_unreachable(const struct api *api, const char *why)
{
    complain("cannot reach Weir at %s: %s", api->endpoint.display, why);
    if (api->endpoint.socket_path != NULL && strcmp(why, strerror(EACCES)) == 0) {
        complain("the socket is for root, Weir's user and its group; elsewhere use --url URL with "
                 "--token-file FILE");
    } else if (api->endpoint.socket_path != NULL) {
        complain("is it running, with \"unix:%s\" in its admin listener's bind? "
                 "--socket PATH or --url URL names another place",
                 api->endpoint.socket_path);
    }
    return UNREACHABLE;
}

/* ---- problems ---- */

void complain_all(const cJSON *texts, const char *indent)
{
    const cJSON *each = NULL;

    cJSON_ArrayForEach(each, texts)
    {
        complain("%s%s", indent, json_string(each));
    }
}

/* Tells a problem document (RFC 9457), or what there is instead. */
static void tell_problem(const struct answer *answer)
{
    const cJSON *each = NULL;
    const char *title = json_text(answer->json, "title", NULL);
    const char *detail = json_text(answer->json, "detail", NULL);

    if (title == NULL && detail == NULL) {
        complain("Weir answered with status %d", answer->http.status);
    } else if (title == NULL || detail == NULL) {
        complain("%s", title != NULL ? title : detail);
    } else {
        complain("%s: %s", title, detail);
    }
    cJSON_ArrayForEach(each, json_at(answer->json, "errors"))
    {
        complain("  %s: %s", json_text(each, "pointer", "/"), json_text(each, "detail", "?"));
    }
    complain_all(json_at(answer->json, "mistakes"), "  ");
}

static enum outcome judge(const struct api *api, const struct answer *answer, bool tell)
{
    if (answer->http.status >= 200 && answer->http.status < 300) {
        return DONE;
    }
    bool forbidden = answer->http.status == 401 || answer->http.status == 403;
    if (tell) {
        tell_problem(answer);
        if (answer->http.status == 401 && api->token == NULL) {
            complain("--token-file FILE gives a token; the first one is in admin.token in Weir's "
                     "state_dir");
        }
        if (api->json) {
            answer_print(answer);
        }
    }
    return forbidden ? FORBIDDEN : REFUSED;
}

/* ---- calls ---- */

/* Asks below /api/v1, with what the API wants. */
static bool ask(const struct api *api, struct http_request request, struct answer *answer,
                char *error, size_t size)
{
    struct text path = {0};
    struct text fields = {0};

    memset(answer, 0, sizeof(*answer));
    text_printf(&path, "/api/v1%s", request.path);
    if (api->confirm != NULL && strcmp(request.method, "GET") != 0) {
        text_puts(&path, strchr(request.path, '?') != NULL ? "&confirm=" : "?confirm=");
        text_encode(&path, api->confirm);
    }
    text_puts(&fields, request.fields);
    if (api->token != NULL) {
        text_printf(&fields, "Authorization: Bearer %s\n", api->token);
    }
    request.path = text_get(&path);
    request.fields = text_get(&fields);
    bool good = http_ask(&api->endpoint, &request, &answer->http, error, size);
    if (good && answer->http.body.len > 0) {
        answer->json = cJSON_Parse(text_get(&answer->http.body));
    }
    text_clear(&path);
    text_clear(&fields);
    return good;
}

static bool call(const struct api *api, const char *method, const char *path, const cJSON *body,
                 struct answer *answer, char *error, size_t size)
{
    char *json = body != NULL ? cJSON_PrintUnformatted(body) : NULL;
    struct http_request request = {
        .method = method, .path = path, .fields = "Accept: application/json\n", .body = json};
    bool good = ask(api, request, answer, error, size);

    if (good && answer->json == NULL && answer->http.status / 100 == 2 &&
        answer->http.body.len > 0) {
        snprintf(error, size, "its answer is not JSON: is this Weir's admin listener?");
        good = false;
    }
    cJSON_free(json);
    return good;
}

enum outcome api_call(const struct api *api, const char *method, const char *path,
                      const cJSON *body, struct answer *answer)
{
    char error[512] = "";

    if (!call(api, method, path, body, answer, error, sizeof(error))) {
        return api_unreachable(api, error);
    }
    return judge(api, answer, true);
}

enum outcome api_peek(const struct api *api, const char *path, struct answer *answer)
{
    char error[512] = "";

    if (!call(api, "GET", path, NULL, answer, error, sizeof(error))) {
        return UNREACHABLE;
    }
    return judge(api, answer, false);
}

enum outcome api_follow(const struct api *api, const char *path, const char *fields,
                        bool (*take)(void *arg, const char *bytes, size_t len), void *arg,
                        char *error, size_t size)
{
    /* A comment comes every 15 s: silence of a minute is a lost connection. */
    struct http_request request = {.method = "GET",
                                   .path = path,
                                   .fields = fields,
                                   .take = take,
                                   .arg = arg,
                                   .stream_ms = 60000};
    struct answer answer;
    bool whole = ask(api, request, &answer, error, size);
    enum outcome outcome = DONE;

    if (!whole && answer.http.status / 100 != 2) {
        outcome = api_unreachable(api, error);
    } else {
        outcome = judge(api, &answer, true);
    }
    answer_clear(&answer);
    return outcome;
}

void answer_clear(struct answer *answer)
{
    cJSON_Delete(answer->json);
    answer->json = NULL;
    text_clear(&answer->http.body);
}

void answer_print(const struct answer *answer)
{
    puts(answer->json != NULL ? text_get(&answer->http.body) : "{}");
}

/* ---- JSON ---- */

const char *json_string(const cJSON *json)
{
    return cJSON_IsString(json) ? json->valuestring : "?";
}

const cJSON *json_at(const cJSON *json, const char *path)
{
    while (json != NULL && *path != '\0') {
        char name[64];
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        json = cJSON_GetObjectItemCaseSensitive(json, name);
        path += len + (path[len] == '.');
    }
    return json;
}

const char *json_text(const cJSON *json, const char *path, const char *fallback)
{
    const char *text = cJSON_GetStringValue(json_at(json, path));
    return text != NULL ? text : fallback;
}

double json_number(const cJSON *json, const char *path)
{
    const cJSON *found = json_at(json, path);
    return cJSON_IsNumber(found) ? found->valuedouble : (double)NAN;
}

bool json_true(const cJSON *json, const char *path)
{
    return cJSON_IsTrue(json_at(json, path));
}
