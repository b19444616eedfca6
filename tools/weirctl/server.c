/* SPDX-License-Identifier: MIT */
/*
 * Changes of servers: add, remove, drain, ready, maintenance, weight, limit.
 */
#include "command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- which server ---- */

/* Finds the one server of all pools that has this id. */
static enum outcome find_by_id(struct call *call, const char *id, struct text *path)
{
    struct answer answer;
    const cJSON *each = NULL;
    struct text pools = {0};
    size_t found = 0;

    enum outcome outcome = api_call(&call->api, "GET", "/servers", NULL, &answer);
    const cJSON *entries = outcome == DONE ? json_at(answer.json, "entries") : NULL;
    cJSON_ArrayForEach(each, entries)
    {
        if (strcmp(json_text(each, "id", ""), id) == 0) {
            const char *pool = json_text(each, "pool", "");
            text_printf(&pools, "%s%s/%s", found > 0 ? ", " : "", pool, id);
            api_path(path, found == 0 ? "/pools/{}/servers/{}" : "", pool, id);
            found++;
        }
    }
    if (outcome == DONE && found != 1) {
        complain(found == 0 ? "no pool has a server \"%s\"; weirctl servers lists them"
                            : "\"%s\" is in several pools: say which of %s",
                 id, text_get(&pools));
        outcome = found == 0 ? REFUSED : MISUSED;
    }
    text_clear(&pools);
    answer_clear(&answer);
    return outcome;
}

/* The server's path, from POOL/SERVER, POOL SERVER, or SERVER where only one pool has it. `more`:
 * number of words behind it. */
static enum outcome take_server(struct call *call, int more, struct text *path)
{
    const char *slash = strchr(call->words[0], '/');

    if (call->count - more == 2) {
        api_path(path, "/pools/{}/servers/{}", call->words[0], call->words[1]);
        return DONE;
    }
    if (slash == NULL) {
        return find_by_id(call, call->words[0], path);
    }
    struct text pool = {0};
    text_add(&pool, call->words[0], (size_t)(slash - call->words[0]));
    api_path(path, "/pools/{}/servers/{}", text_get(&pool), slash + 1);
    text_clear(&pool);
    return DONE;
}

/* ---- numbers ---- */

/* Adds a whole number to `body`, or says that `text` is none. Its range is Weir's to judge. */
static enum outcome add_number(const struct call *call, cJSON *body, const char *name,
                               const char *text)
{
    char *end = NULL;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || number != floor(number) || fabs(number) > 1e9) {
        return call_misused(call, "\"%s\" is no number", text);
    }
    cJSON_AddNumberToObject(body, name, number);
    return DONE;
}

/* ---- telling ---- */

void tell_journal(const struct call *call, const struct answer *answer)
{
    if (answer->http.journal[0] == '\0') {
        return;
    }
    if (call->api.confirm != NULL) {
        print_fact("unconfirmed", "takes itself back in %s; weirctl confirm %s keeps it",
                   call->api.confirm, answer->http.journal);
    } else {
        print_fact("journal", "%s; weirctl undo %s takes it back", answer->http.journal,
                   answer->http.journal);
    }
}

/* What was done: the command's, or that the server goes when it is drained. */
static void tell_server(const struct call *call, const struct answer *answer)
{
    const cJSON *server = answer->json;
    const char *reason = json_text(server, "health.reason", "");
    const char *did = strcmp(call->command->name, "server add") == 0 ? "added"
                      : answer->http.status == 202                   ? "removing"
                                                                     : "changed";
    char at[VALUE_SIZE];

    print_fact(did, "%s/%s (%s)", json_text(server, "pool", "-"), json_text(server, "id", "-"),
               json_text(server, "url", "-"));
    print_fact("state", "%s, health %s%s%s", json_text(server, "state", "-"),
               json_text(server, "health.status", "-"), *reason != '\0' ? ": " : "", reason);
    print_fact("weight", "%.0f, limit %.0f (0: none), %.0f in flight",
               json_number(server, "weight"), json_number(server, "max_requests"),
               json_number(server, "in_flight"));
    if (isfinite(json_number(server, "drain_deadline"))) {
        print_fact("drains until", "%s at the latest",
                   show_time(at, json_number(server, "drain_deadline")));
    }
    tell_journal(call, answer);
}

/* ---- commands ---- */

enum outcome run_server_add(struct call *call)
{
    static const char *const texts[] = {"id", "state", NULL};
    cJSON *body = cJSON_CreateObject();
    const char *weight = call_option(call, "weight");
    const char *requests = call_option(call, "max-requests");
    const char *limit = call_option(call, "max-connections");
    enum outcome outcome = DONE;

    cJSON_AddStringToObject(body, "url", call->words[1]);
    call_add_texts(call, body, texts);
    if (call_option(call, "backup") != NULL) {
        cJSON_AddTrueToObject(body, "backup");
    }
    if (weight != NULL) {
        outcome = add_number(call, body, "weight", weight);
    }
    if (outcome == DONE && requests != NULL) {
        outcome = add_number(call, body, "max_requests", requests);
    }
    if (outcome == DONE && limit != NULL) {
        outcome = add_number(call, body, "max_connections", limit);
    }
    if (outcome != DONE) {
        cJSON_Delete(body);
        return outcome;
    }
    return call_send(call, "POST", body, tell_server, "/pools/{}/servers", call->words[0]);
}

/* Asks the user. false: no, or not a terminal. */
static bool ask(const char *question)
{
    char line[16] = "";

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return false;
    }
    fprintf(stderr, "%s [y/N] ", question);
    return fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

/* Removes it; of the last that serves, which Weir refuses, only with --force or a yes. */
static enum outcome remove_server(struct call *call, struct text *path, struct answer *answer)
{
    enum outcome outcome = api_call(&call->api, "DELETE", text_get(path), NULL, answer);

    if (outcome != REFUSED || strcmp(json_text(answer->json, "needs", ""), "force") != 0) {
        return outcome;
    }
    if (!ask("Remove it all the same?")) {
        complain("--force removes it all the same");
        return outcome;
    }
    text_puts(path, strchr(text_get(path), '?') != NULL ? "&force=1" : "?force=1");
    answer_clear(answer);
    return api_call(&call->api, "DELETE", text_get(path), NULL, answer);
}

enum outcome run_server_remove(struct call *call)
{
    struct answer answer = {0};
    struct text path = {0};
    const char *timeout = call_option(call, "timeout");
    bool now = call_option(call, "now") != NULL;

    if (now && timeout != NULL) {
        return call_misused(call, "--now and --timeout exclude each other");
    }
    enum outcome outcome = take_server(call, 0, &path);
    if (outcome == DONE) {
        if (now) {
            text_puts(&path, "?now=1");
        } else if (timeout != NULL) {
            api_path(&path, "?timeout={}", timeout);
        }
        if (call_option(call, "force") != NULL) {
            text_puts(&path, now || timeout != NULL ? "&force=1" : "?force=1");
        }
        outcome = remove_server(call, &path, &answer);
    }
    if (outcome == DONE && !call_printed(call, &answer)) {
        if (answer.http.status == 202) {
            tell_server(call, &answer);
        } else {
            print_fact("removed", "%s%s%s", call->words[0], call->count > 1 ? "/" : "",
                       call->count > 1 ? call->words[1] : "");
            tell_journal(call, &answer);
        }
    }
    text_clear(&path);
    answer_clear(&answer);
    return outcome;
}

/* PATCHes the server that the words name. Takes over `body`. */
static enum outcome patch(struct call *call, int more, cJSON *body)
{
    struct text path = {0};
    enum outcome outcome = take_server(call, more, &path);

    if (outcome != DONE) {
        cJSON_Delete(body);
        text_clear(&path);
        return outcome;
    }
    outcome = call_send(call, "PATCH", body, tell_server, text_get(&path));
    text_clear(&path);
    return outcome;
}

/* The command's second word is the state. */
enum outcome run_server_state(struct call *call)
{
    cJSON *body = cJSON_CreateObject();
    const char *timeout =
        call->command->options != NULL ? call_option(call, "timeout") : NULL; /* of its own */

    cJSON_AddStringToObject(body, "state", strchr(call->command->name, ' ') + 1);
    if (timeout != NULL) {
        cJSON_AddStringToObject(body, "drain_timeout", timeout);
    }
    return patch(call, 0, body);
}

enum outcome run_server_number(struct call *call)
{
    bool weight = strcmp(call->command->name, "server weight") == 0;
    cJSON *body = cJSON_CreateObject();
    enum outcome outcome =
        add_number(call, body, weight ? "weight" : "max_requests", call->words[call->count - 1]);

    if (outcome != DONE) {
        cJSON_Delete(body);
        return outcome;
    }
    return patch(call, 1, body);
}
