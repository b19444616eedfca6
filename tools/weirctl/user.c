/* SPDX-License-Identifier: MIT */
/*
 * Users of the admin plane: list, add, remove, role, password, tokens.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum outcome run_user_list(struct call *call)
{
    static const struct column columns[] = {
        {"USER", false},
        {"ROLE", false},
        {"TOKENS", true},
        {"TOKEN IDS", false},
    };
    struct answer answer;
    const cJSON *each = NULL;
    const cJSON *token = NULL;
    enum outcome outcome = call_get(call, "/users", &answer);

    if (outcome == DONE && answer.json != NULL) {
        struct table *table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
        cJSON_ArrayForEach(each, json_at(answer.json, "entries"))
        {
            struct text ids = {0};
            char until[VALUE_SIZE];
            const cJSON *tokens = json_at(each, "tokens");
            cJSON_ArrayForEach(token, tokens)
            {
                double expires = json_number(token, "expires_at");
                double number = json_number(token, "id");
                text_puts(&ids, ids.len > 0 ? ", " : "");
                if (isfinite(number)) {
                    text_printf(&ids, "%.0f", number);
                } else {
                    text_puts(&ids, json_text(token, "id", "?"));
                }
                if (isfinite(expires)) {
                    text_printf(&ids, " (until %s)", show_time(until, expires));
                }
            }
            table_add(table, PLAIN, "%s", json_text(each, "name", "-"));
            table_add(table, PLAIN, "%s", json_text(each, "role", "-"));
            table_number(table, cJSON_GetArraySize(tokens), 0);
            table_add(table, PLAIN, "%s", ids.len > 0 ? text_get(&ids) : "-");
            text_clear(&ids);
        }
        table_print(&table);
    }
    answer_clear(&answer);
    return outcome;
}

/* ---- passwords ---- */

#define PASSWORD_SIZE 1026

/* Reads one line from a descriptor into `out`. false: none came, or it is too long. */
static bool read_line(int fd, char out[PASSWORD_SIZE])
{
    size_t len = 0;
    char c = 0;
    ssize_t got = 0;

    while ((got = read(fd, &c, 1)) == 1 && c != '\n') {
        if (len + 1 == PASSWORD_SIZE) {
            return false;
        }
        out[len++] = c;
    }
    if (len > 0 && out[len - 1] == '\r') {
        len--;
    }
    out[len] = '\0';
    return got >= 0 && len > 0;
}

/* Asks on the terminal, which shows nothing of it. */
static bool ask(int fd, const char *prompt, char out[PASSWORD_SIZE])
{
    struct termios shown;
    struct termios hidden;

    if (tcgetattr(fd, &shown) != 0) {
        return false;
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    hidden.c_lflag |= ECHONL;
    fputs(prompt, stderr);
    fflush(stderr);
    tcsetattr(fd, TCSAFLUSH, &hidden);
    bool good = read_line(fd, out);
    tcsetattr(fd, TCSAFLUSH, &shown);
    return good;
}

/* A new password: asked twice on a terminal, else the first line of standard input. */
static enum outcome take_password(char out[PASSWORD_SIZE])
{
    char again[PASSWORD_SIZE];
    bool good = false;

    if (!isatty(STDIN_FILENO)) {
        if (!read_line(STDIN_FILENO, out)) {
            complain("standard input has no password in its first line (1 to 1024 bytes)");
            return MISUSED;
        }
        return DONE;
    }
    good = ask(STDIN_FILENO, "New password: ", out) && ask(STDIN_FILENO, "Once more: ", again);
    if (!good || strcmp(out, again) != 0) {
        complain(good ? "the two passwords differ; nothing was changed" : "there is no password");
    }
    good = good && strcmp(out, again) == 0;
    explicit_bzero(again, sizeof(again));
    return good ? DONE : MISUSED;
}

static enum outcome add_password(cJSON *body)
{
    char password[PASSWORD_SIZE];
    enum outcome outcome = take_password(password);

    if (outcome == DONE) {
        cJSON_AddStringToObject(body, "password", password);
    }
    explicit_bzero(password, sizeof(password));
    return outcome;
}

/* ---- changes ---- */

/* Sends a change of a user and tells `did`. Takes over `body`. */
static enum outcome change(struct call *call, const char *method, struct text *path, cJSON *body,
                           const char *did)
{
    struct answer answer;
    enum outcome outcome = api_call(&call->api, method, text_get(path), body, &answer);

    if (outcome == DONE && !call_printed(call, &answer)) {
        const char *role = json_text(answer.json, "role", "");
        print_fact(did, "%s%s%s", call->words[0], *role != '\0' ? ", " : "", role);
        if (call->command->writes) { /* and can be taken back */
            tell_journal(call, &answer);
        }
    }
    cJSON_Delete(body);
    text_clear(path);
    answer_clear(&answer);
    return outcome;
}

enum outcome run_user_add(struct call *call)
{
    struct text path = {0};
    const char *role = call_option(call, "role");
    cJSON *body = cJSON_CreateObject();

    cJSON_AddStringToObject(body, "name", call->words[0]);
    cJSON_AddStringToObject(body, "role", role != NULL ? role : "viewer");
    if (call_option(call, "password") != NULL) {
        enum outcome outcome = add_password(body);
        if (outcome != DONE) {
            cJSON_Delete(body);
            return outcome;
        }
    }
    text_puts(&path, "/users");
    return change(call, "POST", &path, body, "added");
}

enum outcome run_user_remove(struct call *call)
{
    struct text path = {0};

    api_path(&path, "/users/{}", call->words[0]);
    return change(call, "DELETE", &path, NULL, "removed");
}

enum outcome run_user_role(struct call *call)
{
    struct text path = {0};
    cJSON *body = cJSON_CreateObject();

    cJSON_AddStringToObject(body, "role", call->words[1]);
    api_path(&path, "/users/{}", call->words[0]);
    return change(call, "PATCH", &path, body, "changed");
}

enum outcome run_user_password(struct call *call)
{
    struct text path = {0};
    cJSON *body = cJSON_CreateObject();
    enum outcome outcome = add_password(body);

    if (outcome != DONE) {
        cJSON_Delete(body);
        return outcome;
    }
    api_path(&path, "/users/{}", call->words[0]);
    return change(call, "PATCH", &path, body, "changed");
}

/* Sends what makes a token, and prints it alone on standard output, so that it can be sent into a file. */
static enum outcome make_token(struct call *call, const char *path, cJSON *body)
{
    struct answer answer;
    enum outcome outcome = api_call(&call->api, "POST", path, body, &answer);

    if (outcome == DONE && !call_printed(call, &answer)) {
        puts(json_text(answer.json, "token", ""));
        complain("keep it safe: it is not shown again");
    }
    answer_clear(&answer);
    return outcome;
}

enum outcome run_user_token(struct call *call)
{
    struct text path = {0};
    const char *ttl = call_option(call, "ttl");
    cJSON *body = cJSON_CreateObject();

    if (ttl != NULL) {
        cJSON_AddStringToObject(body, "ttl", ttl);
    }
    api_path(&path, "/users/{}/token", call->words[0]);
    enum outcome outcome = make_token(call, text_get(&path), body);
    cJSON_Delete(body);
    text_clear(&path);
    return outcome;
}

enum outcome run_user_revoke(struct call *call)
{
    struct text path = {0};

    api_path(&path, "/users/{}/tokens/{}", call->words[0], call->words[1]);
    return change(call, "DELETE", &path, NULL, "token of");
}

enum outcome run_admin_token_renew(struct call *call)
{
    return make_token(call, "/admin-token", NULL);
}

enum outcome run_admin_token_revoke(struct call *call)
{
    struct answer answer;
    enum outcome outcome = api_call(&call->api, "DELETE", "/admin-token", NULL, &answer);

    if (outcome == DONE && !call_printed(call, &answer)) {
        puts("revoked: who logs in needs a user's token or password, or the Unix socket");
    }
    answer_clear(&answer);
    return outcome;
}
