/* SPDX-License-Identifier: MIT */
/*
 * Finds `module "NAME" { }` at the top level of a configuration file.
 */
#include "confscan.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FILE_LIMIT (1024 * 1024)

/* Skips white space and comments. */
static const char *skip(const char *at)
{
    for (;;) {
        at += strspn(at, " \t\r\n");
        if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            at = end != NULL ? end + 2 : at + strlen(at);
        } else {
            return at;
        }
    }
}

/* The end of the token that begins at `at`: a string, a word, or one character. */
static const char *token_end(const char *at)
{
    if (*at == '"' || *at == '\'') {
        char quote = *at++;
        while (*at != '\0' && *at != quote) {
            at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
        }
        return *at != '\0' ? at + 1 : at;
    }
    size_t word = strcspn(at, " \t\r\n\"'#{}=,/");
    return at + (word > 0 ? word : 1);
}

static bool is_text(const char *token, const char *end, const char *wanted)
{
    if (*token == '"' || *token == '\'') {
        token++;
        end -= end > token;
    }
    return (size_t)(end - token) == strlen(wanted) && strncmp(token, wanted, strlen(wanted)) == 0;
}

enum conf_blocks conf_scan(const char *text, const char *module)
{
    size_t depth = 0;
    bool found = false;
    bool others = false;
    bool inside = false; /* what comes belongs to the module's block, until its brace closes */

    for (const char *at = skip(text); *at != '\0';) {
        const char *end = token_end(at);
        if (*at == '{') {
            depth++;
        } else if (*at == '}') {
            depth -= depth > 0;
            inside = inside && depth > 0;
        } else if (depth == 0 && !inside) {
            const char *title = skip(end);
            if (is_text(at, end, "module") && *title != '\0' &&
                is_text(title, token_end(title), module)) {
                found = true;
                inside = true;
            } else {
                others = true;
            }
        }
        at = skip(end);
    }
    return !found ? CONF_ABSENT : others ? CONF_AMONG_OTHERS : CONF_ALONE;
}

bool conf_read_file(const char *path, struct text *out)
{
    char piece[8192];
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    while ((got = read(fd, piece, sizeof(piece))) > 0) {
        text_add(out, piece, (size_t)got);
        if (out->len > FILE_LIMIT) {
            errno = EFBIG;
            got = -1;
            break;
        }
    }
    int failed = errno;
    close(fd);
    errno = failed;
    return got == 0;
}

enum conf_blocks conf_scan_file(const char *path, const char *module)
{
    struct text text = {0};
    enum conf_blocks found =
        conf_read_file(path, &text) ? conf_scan(text_get(&text), module) : CONF_ABSENT;

    text_clear(&text);
    return found;
}
