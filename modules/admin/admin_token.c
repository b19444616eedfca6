/* SPDX-License-Identifier: MIT */
/*
 * The administrator's token. See admin_token.h.
 */
#include "admin_token.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"
#include "users.h"

#define LINK_LIFE_MS (UINT64_C(15) * 60 * 1000)
#define TOKEN_MIN    32u
/* What the file of a revoked token holds. */
#define REVOKED "revoked"

bool admin_token_is_set(const struct admin_token *token)
{
    return token->state->text[0] != '\0';
}

bool admin_token_is(const struct admin_token *token, struct weir_str text)
{
    return admin_token_is_set(token) && text_equal_secret(text, weir_str_of(token->state->text));
}

bool admin_token_take_link(struct admin_token *token, struct weir_str link)
{
    struct admin_token_state *state = token->state;

    if (state->link[0] == '\0' || !text_equal_secret(link, weir_str_of(state->link))) {
        return false;
    }
    OPENSSL_cleanse(state->link, sizeof(state->link));
    return weir_wall_ms(token->ctx) <= state->link_until_ms;
}

static void random_hex(struct weir_context *ctx, char out[ADMIN_TOKEN_HEX + 1])
{
    uint8_t bytes[ADMIN_TOKEN_HEX / 2];
    weir_random(ctx, bytes, sizeof(bytes));
    text_hex(bytes, sizeof(bytes), out);
    OPENSSL_cleanse(bytes, sizeof(bytes));
}

void admin_token_random(struct weir_context *ctx, char out[ADMIN_TOKEN_SIZE])
{
    memcpy(out, "weir_", 5);
    random_hex(ctx, out + 5);
}

/* Replaces or removes the token: the old one and its link are invalid from here on. */
static void set_text(struct admin_token *token, const char *text)
{
    struct admin_token_state *state = token->state;
    uint64_t now = weir_wall_ms(token->ctx);

    if (strcmp(state->text, text) == 0) {
        return;
    }
    state->since_ms = now > state->since_ms ? now : state->since_ms + 1;
    memset(state->text, 0, sizeof(state->text));
    memcpy(state->text, text, strlen(text));
    OPENSSL_cleanse(state->link, sizeof(state->link));
}

/* ---- the file ---- */

/* Atomic and durable. */
static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t len = strlen(text);

    if (fd == -1) {
        return false;
    }
    bool good = write(fd, text, len) == (ssize_t)len && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    int error = errno;
    close(fd);
    if (!good) {
        unlink(path);
        errno = error;
    }
    return good;
}

/* Makes a rename in it durable, where the file system supports that. */
static void sync_folder_of(const char *path)
{
    char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd != -1) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

enum found { FOUND_NONE, FOUND_TOKEN, FOUND_REVOKED, FOUND_NONSENSE, FOUND_UNREADABLE };

static enum found read_file(const struct admin_token *token, char text[ADMIN_TOKEN_SIZE])
{
    char line[ADMIN_TOKEN_SIZE + 8] = "";
    struct stat status;
    int fd = open(token->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd == -1) {
        return errno == ENOENT ? FOUND_NONE : FOUND_UNREADABLE;
    }
    ssize_t got = read(fd, line, sizeof(line) - 1);
    int error = errno;
    if (fstat(fd, &status) == 0 && (status.st_mode & 077) != 0) {
        weir_log(token->ctx, WEIR_LOG_WARNING,
                 "%s can be read by others (mode %04o); set its mode to 0600", token->path,
                 (unsigned)status.st_mode & 07777);
    }
    close(fd);
    if (got < 0) {
        errno = error;
        return FOUND_UNREADABLE;
    }
    line[strcspn(line, "\r\n")] = '\0';
    if (strcmp(line, REVOKED) == 0) {
        return FOUND_REVOKED;
    }
    if (strlen(line) < TOKEN_MIN || strlen(line) >= ADMIN_TOKEN_SIZE) {
        return FOUND_NONSENSE;
    }
    memcpy(text, line, strlen(line) + 1);
    return FOUND_TOKEN;
}

static void tell_unusable(const struct admin_token *token, enum found found)
{
    if (found == FOUND_NONSENSE) {
        weir_log(token->ctx, WEIR_LOG_ERROR,
                 "%s holds no token (%u to %u characters); `weirctl admin-token renew` makes one",
                 token->path, TOKEN_MIN, (unsigned)ADMIN_TOKEN_SIZE - 1);
    } else if (found == FOUND_UNREADABLE) {
        weir_log(token->ctx, WEIR_LOG_WARNING, "cannot read %s: %s", token->path, strerror(errno));
    }
}

/* ---- start and reload ---- */

static void make_first(struct admin_token *token, const char *state_dir)
{
    struct admin_token_state *state = token->state;

    admin_token_random(token->ctx, state->text);
    mkdir(state_dir, 0750);
    if (!write_file(token->path, state->text)) {
        weir_log(token->ctx, WEIR_LOG_WARNING,
                 "cannot make %s: %s; who logs in needs the Unix socket, or a user's token",
                 token->path, strerror(errno));
        memset(state->text, 0, sizeof(state->text));
        return;
    }
    random_hex(token->ctx, state->link);
    state->link_until_ms = weir_wall_ms(token->ctx) + LINK_LIFE_MS;
    if (state->reached[0] != '\0') {
        weir_log(token->ctx, WEIR_LOG_NOTICE,
                 "first start: the administrator's token is in %s; or log in once, within 15 "
                 "minutes, at %s/login?link=%s",
                 token->path, state->reached, state->link);
    }
}

void admin_token_start(struct admin_token *token, struct weir_context *ctx,
                       struct admin_token_state *state, const char *state_dir)
{
    token->ctx = ctx;
    token->state = state;
    snprintf(token->path, sizeof(token->path), "%s/admin.token", state_dir);
    snprintf(token->staged, sizeof(token->staged), "%s.new", token->path);
    if (state->started) { /* another instance knows it */
        return;
    }
    state->started = true;
    enum found found = read_file(token, state->text);
    tell_unusable(token, found);
    if (found == FOUND_NONE && state->served) {
        make_first(token, state_dir);
    }
}

void admin_token_reread(struct admin_token *token)
{
    char text[ADMIN_TOKEN_SIZE] = "";
    enum found found = read_file(token, text);

    tell_unusable(token, found);
    if (found == FOUND_UNREADABLE) {
        return;
    }
    if (strcmp(token->state->text, text) != 0) {
        weir_log(token->ctx, WEIR_LOG_NOTICE, "the administrator's token is %s: %s was %s",
                 text[0] != '\0' ? "another one" : "revoked", token->path,
                 found == FOUND_NONE ? "removed" : "changed");
    }
    set_text(token, text);
    OPENSSL_cleanse(text, sizeof(text));
}

/* ---- changes at run time: the file that is to be is written before the journal's entry is
 * kept, and takes its place when that is durable ---- */

static bool stage(struct admin_token *token, bool revoke)
{
    memset(token->staged_text, 0, sizeof(token->staged_text));
    if (!revoke) {
        admin_token_random(token->ctx, token->staged_text);
    }
    unlink(token->staged); /* left by an interrupted run */
    return write_file(token->staged, revoke ? REVOKED : token->staged_text);
}

static void answer_token(struct admin_token *token, struct weir_control_operation *operation)
{
    struct weir_control_answer answer = {.size = sizeof(answer), .status = 204};
    char *text = NULL;

    if (admin_token_is_set(token)) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "token", token->state->text);
        cJSON_AddStringToObject(object, "file", token->path);
        text = cJSON_PrintUnformatted(object);
        cJSON_Delete(object);
        answer.status = 201;
        answer.body = weir_str_of(text);
    }
    weir_operation_answer(token->ctx, operation, &answer);
    cJSON_free(text);
}

/* It is in the journal, or not: the file takes its place, or goes. */
static void kept(void *arg, struct weir_control_operation *operation, const char *error)
{
    struct admin_token *token = arg;

    if (error == NULL && rename(token->staged, token->path) == 0) {
        sync_folder_of(token->path);
        set_text(token, token->staged_text);
        answer_token(token, operation);
    } else {
        const char *words = strerror(errno);
        unlink(token->staged);
        if (error == NULL) {
            weir_log(token->ctx, WEIR_LOG_ERROR, "cannot replace %s: %s", token->path, words);
            weir_operation_problem(token->ctx, operation, 503, NULL,
                                   "cannot replace %s: %s; the token is what it was", token->path,
                                   words);
        }
    }
    OPENSSL_cleanse(token->staged_text, sizeof(token->staged_text));
}

static enum weir_operation_end replace(struct admin_token *token,
                                       struct weir_control_operation *operation, bool revoke)
{
    struct weir_change change = {
        .size = sizeof(change),
        .target = weir_str_of(ADMIN_TOKEN_NAME),
        .before =
            weir_str_of(admin_token_is_set(token) ? "{\"token\":\"old\"}" : "{\"token\":\"none\"}"),
        .after = weir_str_of(revoke ? "{\"token\":\"none\"}" : "{\"token\":\"new\"}"),
    };

    if (!stage(token, revoke)) {
        weir_operation_problem(token->ctx, operation, 503, NULL, "cannot write beside %s: %s",
                               token->path, strerror(errno));
        return WEIR_ANSWERED;
    }
    return weir_operation_change(token->ctx, operation, &change, kept, token);
}

enum weir_operation_end admin_token_renew(struct weir_context *ctx, void *instance,
                                          struct weir_control_operation *operation)
{
    struct users *users = instance;
    (void)ctx;
    return replace(&users->admin, operation, false);
}

enum weir_operation_end admin_token_revoke(struct weir_context *ctx, void *instance,
                                           struct weir_control_operation *operation)
{
    struct users *users = instance;

    if (!admin_token_is_set(&users->admin)) {
        weir_operation_problem(ctx, operation, 404, NULL, "there is no administrator's token");
        return WEIR_ANSWERED;
    }
    return replace(&users->admin, operation, true);
}
