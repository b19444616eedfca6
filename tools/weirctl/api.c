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

#define BODY_LIMIT ((size_t)256 * 1024 * 1024)

void api_path(struct text *out, const char *pattern, ...)
{
    va_list args;

    va_start(args, pattern);
    for (; *pattern != '\0'; pattern++) {
        if (pattern[0] == '{' && pattern[1] == '}') {
            text_encode(out, va_arg(args, const char *));
            pattern++;
        } else {
            text_add(out, pattern, 1);
        }
    }
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

/* Tells a problem document (RFC 9457), or what there is instead. */
static void tell_problem(const struct answer *answer)
{
    const cJSON *each = NULL;
    const char *title = json_text(answer->json, "title", NULL);
    const char *detail = json_text(answer->json, "detail", NULL);

    if (title == NULL && detail == NULL) {
        complain("Weir answered with status %d", answer->status);
    } else if (title == NULL || detail == NULL) {
        complain("%s", title != NULL ? title : detail);
    } else {
        complain("%s: %s", title, detail);
    }
    cJSON_ArrayForEach(each, json_at(answer->json, "errors"))
    {
        complain("  %s: %s", json_text(each, "pointer", "/"), json_text(each, "detail", "?"));
    }
    cJSON_ArrayForEach(each, json_at(answer->json, "mistakes"))
    {
        complain("  %s", cJSON_IsString(each) ? each->valuestring : "?");
    }
}

static enum outcome judge(const struct api *api, const struct answer *answer, bool tell)
{
    if (answer->status >= 200 && answer->status < 300) {
        return DONE;
    }
    bool forbidden = answer->status == 401 || answer->status == 403;
    if (tell) {
        tell_problem(answer);
        if (answer->status == 401 && api->token == NULL) {
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

/* Sends a request and reads the response's head. false: `error` says why. */
static bool begin(const struct api *api, const char *method, const char *path, const char *fields,
                  const char *body, struct http *http, char *error, size_t size)
{
    struct text whole = {0};
    struct text more = {0};

    http->stream = stream_open(&api->endpoint, error, size);
    if (http->stream == NULL) {
        return false;
    }
    text_printf(&whole, "/api/v1%s", path);
    if (api->confirm != NULL && strcmp(method, "GET") != 0) {
        text_puts(&whole, strchr(path, '?') != NULL ? "&confirm=" : "?confirm=");
        text_encode(&whole, api->confirm);
    }
    text_puts(&more, fields);
    if (api->token != NULL) {
        text_printf(&more, "Authorization: Bearer %s\r\n", api->token);
    }
    struct http_request request = {method, text_get(&whole), text_get(&more), body,
                                   body != NULL ? strlen(body) : 0};
    /* A refused body may be answered before all of it was taken: the answer counts. */
    bool sent = http_send(http, &api->endpoint, &request, error, size);
    bool good = http_read_head(http, sent ? error : (char[200]){0}, sent ? size : 200);
    text_clear(&whole);
    text_clear(&more);
    return good;
}

/* The rest of the body. false: it was cut, or is larger than any of ours. */
static bool read_body(struct http *http, struct text *body, char *error, size_t size)
{
    char piece[16384];
    ssize_t got = 0;

    while ((got = http_read(http, piece, sizeof(piece), error, size)) > 0) {
        text_add(body, piece, (size_t)got);
        if (body->len > BODY_LIMIT) {
            snprintf(error, size, "its answer is too large");
            return false;
        }
    }
    return got == 0;
}

static bool call(const struct api *api, const char *method, const char *path, const cJSON *body,
                 struct answer *answer, char *error, size_t size)
{
    struct http http = {0};
    char *json = body != NULL ? cJSON_PrintUnformatted(body) : NULL;

    memset(answer, 0, sizeof(*answer));
    bool good =
        begin(api, method, path, "Accept: application/json\r\n", json, &http, error, size) &&
        read_body(&http, &answer->body, error, size);
    answer->status = http.status;
    http_field(&http, "Weir-Journal", answer->journal, sizeof(answer->journal));
    if (good && answer->body.len > 0) {
        answer->json = cJSON_Parse(text_get(&answer->body));
    }
    if (good && answer->json == NULL && answer->status / 100 == 2 && answer->body.len > 0) {
        snprintf(error, size, "its answer is not JSON: is this Weir's admin listener?");
        good = false;
    }
    cJSON_free(json);
    api_close(&http);
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

enum outcome api_open(const struct api *api, const char *path, const char *fields,
                      struct http *http)
{
    char error[512] = "";
    struct answer answer = {0};

    memset(http, 0, sizeof(*http));
    if (!begin(api, "GET", path, fields, NULL, http, error, sizeof(error))) {
        api_close(http);
        return api_unreachable(api, error);
    }
    answer.status = http->status;
    if (http->status / 100 != 2 && read_body(http, &answer.body, error, sizeof(error))) {
        answer.json = cJSON_Parse(text_get(&answer.body));
    }
    enum outcome outcome = judge(api, &answer, true);
    if (outcome != DONE) {
        api_close(http);
    } else {
        stream_set_read_ms(http->stream, -1);
    }
    answer_clear(&answer);
    return outcome;
}

void api_close(struct http *http)
{
    stream_close(&http->stream);
    http_clear(http);
}

void answer_clear(struct answer *answer)
{
    cJSON_Delete(answer->json);
    answer->json = NULL;
    text_clear(&answer->body);
}

void answer_print(const struct answer *answer)
{
    puts(answer->json != NULL ? text_get(&answer->body) : "{}");
}

/* ---- JSON ---- */

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
