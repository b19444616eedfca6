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

static void add_token_count(struct table *table, const cJSON *user)
{
    table_number(table, cJSON_GetArraySize(json_at(user, "tokens")), 0);
}

static void add_token_ids(struct table *table, const cJSON *user)
{
    struct text ids = {0};
    char until[VALUE_SIZE];
    const cJSON *token = NULL;

    cJSON_ArrayForEach(token, json_at(user, "tokens"))
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
    table_add(table, PLAIN, "%s", ids.len > 0 ? text_get(&ids) : "-");
    text_clear(&ids);
}

enum outcome run_user_list(struct call *call)
{
    static const struct column columns[] = {
        {"USER", SHOW_TEXT, "name", NULL},
        {"ROLE", SHOW_TEXT, "role", NULL},
        {"TOKENS", SHOW_COUNT, NULL, add_token_count},
        {"TOKEN IDS", SHOW_TEXT, NULL, add_token_ids},
    };
    return CALL_LIST(call, "/users", columns);
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

/* What was done, by the command's last word. */
static void tell_user(const struct call *call, const struct answer *answer)
{
    static const struct {
        const char *command, *did;
    } rows[] = {{"add", "added"}, {"remove", "removed"}, {"revoke", "token of"}};
    const char *verb = strchr(call->command->name, ' ') + 1;
    const char *role = json_text(answer->json, "role", "");
    const char *did = "changed";

    for (size_t i = 0; i < COUNT(rows); i++) {
        did = strcmp(rows[i].command, verb) == 0 ? rows[i].did : did;
    }
    print_fact(did, "%s%s%s", call->words[0], *role != '\0' ? ", " : "", role);
    if (call->command->writes) { /* and can be taken back */
        tell_journal(call, answer);
    }
}

enum outcome run_user_add(struct call *call)
{
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
    return call_send(call, "POST", body, tell_user, "/users");
}

enum outcome run_user_remove(struct call *call)
{
    return call_send(call, "DELETE", NULL, tell_user, "/users/{}", call->words[0]);
}

enum outcome run_user_role(struct call *call)
{
    cJSON *body = cJSON_CreateObject();

    cJSON_AddStringToObject(body, "role", call->words[1]);
    return call_send(call, "PATCH", body, tell_user, "/users/{}", call->words[0]);
}

enum outcome run_user_password(struct call *call)
{
    cJSON *body = cJSON_CreateObject();
    enum outcome outcome = add_password(body);

    if (outcome != DONE) {
        cJSON_Delete(body);
        return outcome;
    }
    return call_send(call, "PATCH", body, tell_user, "/users/{}", call->words[0]);
}

/* Only the token goes to standard output, so it can be redirected to a file. */
static void tell_token(const struct call *call, const struct answer *answer)
{
    (void)call;
    puts(json_text(answer->json, "token", ""));
    complain("keep it safe: it is not shown again");
}

enum outcome run_user_token(struct call *call)
{
    static const char *const names[] = {"ttl", NULL};
    cJSON *body = cJSON_CreateObject();

    call_add_texts(call, body, names);
    return call_send(call, "POST", body, tell_token, "/users/{}/token", call->words[0]);
}

enum outcome run_user_revoke(struct call *call)
{
    return call_send(call, "DELETE", NULL, tell_user, "/users/{}/tokens/{}", call->words[0],
                     call->words[1]);
}

enum outcome run_admin_token_renew(struct call *call)
{
    return call_send(call, "POST", NULL, tell_token, "/admin-token");
}

static void tell_revoked(const struct call *call, const struct answer *answer)
{
    (void)call;
    (void)answer;
    puts("revoked: who logs in needs a user's token or password, or the Unix socket");
}

enum outcome run_admin_token_revoke(struct call *call)
{
    return call_send(call, "DELETE", NULL, tell_revoked, "/admin-token");
}
