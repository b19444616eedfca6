/* SPDX-License-Identifier: MIT */
/*
 * The administrator's token. See admin_token.h.
 */
#include "control/admin_token.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random_ids.h"
#include "net/loop.h"

#define LINK_LIFE_MS (UINT64_C(15) * 60 * 1000)
#define SECRET_HEX   64u /* digits of a secret of 256 bits */
#define TOKEN_MIN    32u
#define TOKEN_SIZE   (SECRET_HEX + 8)
/* What the file of a revoked token holds. */
#define REVOKED "revoked"

struct admin_token {
    char *path;                   /* NULL: admin_token_start is still to come */
    char *staged;                 /* a file beside it */
    char text[TOKEN_SIZE];        /* empty: there is none */
    char staged_text[TOKEN_SIZE]; /* empty: none is to be */
    char link[SECRET_HEX + 1];    /* empty: used, or none was made */
    uint64_t link_until_ms;
    uint64_t since_ms;
};

struct admin_token *admin_token_new(void)
{
    return base_zalloc(sizeof(struct admin_token));
}

void admin_token_free(struct admin_token **token)
{
    free((*token)->path);
    free((*token)->staged);
    OPENSSL_cleanse(*token, sizeof(**token));
    free(*token);
    *token = NULL;
}

bool admin_token_is_set(const struct admin_token *token)
{
    return token->text[0] != '\0';
}

bool admin_token_is(const struct admin_token *token, struct weir_str text)
{
    return admin_token_is_set(token) && text.len == strlen(token->text) &&
           CRYPTO_memcmp(token->text, text.ptr, text.len) == 0;
}

uint64_t admin_token_since(const struct admin_token *token)
{
    return token->since_ms;
}

const char *admin_token_text(const struct admin_token *token)
{
    return token->text;
}

const char *admin_token_path(const struct admin_token *token)
{
    return token->path;
}

bool admin_token_take_link(struct admin_token *token, struct weir_str link)
{
    if (token->link[0] == '\0' || link.len != SECRET_HEX ||
        CRYPTO_memcmp(token->link, link.ptr, SECRET_HEX) != 0) {
        return false;
    }
    OPENSSL_cleanse(token->link, sizeof(token->link));
    return loop_wall_ms() <= token->link_until_ms;
}

/* Another one, or none: whoever came with the one before, or with its link, comes no more. */
static void set_text(struct admin_token *token, const char *text)
{
    if (strcmp(token->text, text) == 0) {
        return;
    }
    uint64_t now = loop_wall_ms();
    token->since_ms = now > token->since_ms ? now : token->since_ms + 1;
    memset(token->text, 0, sizeof(token->text));
    memcpy(token->text, text, strlen(text));
    OPENSSL_cleanse(token->link, sizeof(token->link));
}

/* ---- the file ---- */

/* Whole and durable, or not at all. */
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

/* Makes a rename in it durable, where the file system knows how. */
static void sync_folder_of(const char *path)
{
    char *folder = base_strndup(path, (size_t)(strrchr(path, '/') - path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd != -1) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

enum found { FOUND_NONE, FOUND_TOKEN, FOUND_REVOKED, FOUND_NONSENSE, FOUND_UNREADABLE };

static enum found read_file(const char *path, char text[TOKEN_SIZE])
{
    char line[TOKEN_SIZE + 8] = "";
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd == -1) {
        return errno == ENOENT ? FOUND_NONE : FOUND_UNREADABLE;
    }
    ssize_t got = read(fd, line, sizeof(line) - 1);
    int error = errno;
    if (fstat(fd, &status) == 0 && (status.st_mode & 077) != 0) {
        log_write(WEIR_LOG_WARNING, "weir",
                  "%s can be read by others (mode %04o); 0600 would be right", path,
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
    if (strlen(line) < TOKEN_MIN || strlen(line) >= TOKEN_SIZE) {
        return FOUND_NONSENSE;
    }
    memcpy(text, line, strlen(line) + 1);
    return FOUND_TOKEN;
}

static void tell_unusable(const char *path, enum found found)
{
    if (found == FOUND_NONSENSE) {
        log_write(WEIR_LOG_ERROR, "weir",
                  "%s holds no token (%u to %u characters); `weirctl admin-token renew` makes one",
                  path, TOKEN_MIN, (unsigned)TOKEN_SIZE - 1);
    } else if (found == FOUND_UNREADABLE) {
        log_write(WEIR_LOG_WARNING, "weir", "cannot read %s: %s", path, strerror(errno));
    }
}

/* ---- start and reload ---- */

/* A listener by which the pages can be reached with TCP; where there is none, no link is worth printing. */
static void print_link(const struct admin_token *token, const struct generation *g)
{
    for (size_t i = 0; i < g->plan->listener_count; i++) {
        const struct listener_plan *plan = &g->plan->listeners[i];
        for (size_t k = 0; plan->handler_count > 0 && k < plan->socket_count; k++) {
            const char *text = plan->sockets[k]->text;
            if (strncmp(text, "unix:", 5) != 0) {
                log_write(WEIR_LOG_NOTICE, "weir",
                          "first start: the administrator's token is in %s; or log in once, within "
                          "15 minutes, at %s://%s/login?link=%s",
                          token->path, plan->tls != NULL ? "https" : "http", text, token->link);
                return;
            }
        }
    }
}

static void make_first(struct admin_token *token, const char *state_dir, const struct generation *g)
{
    char secret[SECRET_HEX + 1];

    random_hex(secret, SECRET_HEX);
    snprintf(token->text, sizeof(token->text), "weir_%s", secret);
    mkdir(state_dir, 0750);
    if (write_file(token->path, token->text)) {
        random_hex(token->link, SECRET_HEX);
        token->link_until_ms = loop_wall_ms() + LINK_LIFE_MS;
        print_link(token, g);
    } else {
        log_write(WEIR_LOG_WARNING, "weir",
                  "cannot make %s: %s; who logs in needs the Unix socket, or a user's token",
                  token->path, strerror(errno));
        token->text[0] = '\0';
    }
    OPENSSL_cleanse(secret, sizeof(secret));
}

void admin_token_start(struct admin_token *token, const char *state_dir, const struct generation *g)
{
    bool handled = false;

    token->path = base_printf("%s/admin.token", state_dir);
    token->staged = base_printf("%s/admin.token.new", state_dir);
    for (size_t i = 0; i < g->plan->listener_count; i++) {
        handled |= g->plan->listeners[i].handler_count > 0;
    }
    enum found found = read_file(token->path, token->text);
    tell_unusable(token->path, found);
    if (found == FOUND_NONE && handled) {
        make_first(token, state_dir, g);
    }
}

void admin_token_reread(struct admin_token *token)
{
    char text[TOKEN_SIZE] = "";
    enum found found = read_file(token->path, text);

    tell_unusable(token->path, found);
    if (found == FOUND_UNREADABLE) {
        return;
    }
    if (strcmp(token->text, text) != 0) {
        log_write(WEIR_LOG_NOTICE, "weir", "the administrator's token is %s: %s was %s",
                  text[0] != '\0' ? "another one" : "revoked", token->path,
                  found == FOUND_NONE ? "removed" : "changed");
    }
    set_text(token, text);
    OPENSSL_cleanse(text, sizeof(text));
}

/* ---- changes at run time ---- */

bool admin_token_stage(struct admin_token *token, bool revoke)
{
    char secret[SECRET_HEX + 1];

    memset(token->staged_text, 0, sizeof(token->staged_text));
    if (!revoke) {
        random_hex(secret, SECRET_HEX);
        snprintf(token->staged_text, sizeof(token->staged_text), "weir_%s", secret);
        OPENSSL_cleanse(secret, sizeof(secret));
    }
    unlink(token->staged); /* of a run that was cut off */
    return write_file(token->staged, revoke ? REVOKED : token->staged_text);
}

bool admin_token_enforce(struct admin_token *token)
{
    if (rename(token->staged, token->path) != 0) {
        return false;
    }
    sync_folder_of(token->path);
    set_text(token, token->staged_text);
    OPENSSL_cleanse(token->staged_text, sizeof(token->staged_text));
    return true;
}

void admin_token_drop(struct admin_token *token)
{
    OPENSSL_cleanse(token->staged_text, sizeof(token->staged_text));
    unlink(token->staged);
}
