/* SPDX-License-Identifier: MIT */
/*
 * Commands on the administrator's token: another one, or none. The file that is to be is written before the
 * journal's entry is kept, and takes its place when that is durable.
 */
#include <errno.h>

#include "base/log.h"
#include "control/change/change.h"
#include "control/users.h"

static void enforce(struct change *change)
{
    struct operation *operation = change->operation;
    struct admin_token *token = users_admin_token(change->changes->plane.users);

    if (!admin_token_enforce(token)) {
        const char *words = strerror(errno);
        admin_token_drop(token);
        log_write(WEIR_LOG_ERROR, "weir", "cannot replace %s: %s", admin_token_path(token), words);
        operation_problem(operation, 503, "cannot replace %s: %s; the token is what it was",
                          admin_token_path(token), words);
    }
}

static void in_force(struct change *change, const char *error)
{
    struct operation *operation = change->operation;
    struct admin_token *token = users_admin_token(change->changes->plane.users);

    if (error != NULL) {
        admin_token_drop(token);
        return;
    }
    if (operation->problem) {
        return;
    }
    if (!admin_token_is_set(token)) {
        operation_succeed(operation, 204, NULL);
        return;
    }
    cJSON *answer = cJSON_CreateObject();
    json_set(answer, "token", admin_token_text(token));
    json_set(answer, "file", admin_token_path(token));
    operation_succeed(operation, 201, answer);
}

static enum written begin(struct operation *operation, bool revoke)
{
    struct admin_token *token = users_admin_token(operation->plane->users);
    const char *was = admin_token_is_set(token) ? "old" : "none";

    if (!admin_token_stage(token, revoke)) {
        operation_problem(operation, 503, "cannot write beside %s: %s", admin_token_path(token),
                          strerror(errno));
        return WRITE_ANSWERED;
    }
    struct change *change = change_new(changes_of(operation), operation);
    cJSON *before = cJSON_CreateObject(), *after = cJSON_CreateObject();
    json_set(before, "token", was);
    json_set(after, "token", revoke ? "none" : "new");
    change_note(change, operation->command->row.name, ADMIN_TOKEN_NAME, before, after);
    change->enforce = enforce;
    change->done = in_force;
    change_begin(change);
    return WRITE_GOES_ON;
}

static enum written run_admin_token_renew(struct operation *operation)
{
    return begin(operation, false);
}

static enum written run_admin_token_revoke(struct operation *operation)
{
    if (!admin_token_is_set(users_admin_token(operation->plane->users))) {
        operation_problem(operation, 404, "there is no administrator's token");
        return WRITE_ANSWERED;
    }
    return begin(operation, true);
}

static const struct command commands[] = {
    WRITE("admin_token.renew", ADMIN, "POST", "/admin-token", NULL, NULL, 201, 0, "AdminToken",
          run_admin_token_renew,
          "Makes another administrator's token; the one before is good for nothing any more."),
    WRITE("admin_token.revoke", ADMIN, "DELETE", "/admin-token", NULL, NULL, 204, 0, NULL,
          run_admin_token_revoke,
          "Revokes the administrator's token; none is made at the next start."),
    COMMANDS_END,
};

const struct change_part admin_token_part = {.commands = commands};
