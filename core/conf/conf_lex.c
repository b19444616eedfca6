/* SPDX-License-Identifier: MIT */
/*
 * The lexer: white space, comments, words, strings, variables.
 *
 * A comment begins where a token could: `http://host` is one word, `a //b` is `a` and a comment.
 */
#include "conf/conf_lex.h"

#include <ctype.h>
#include <stdlib.h>

#include "option/option_value.h"

void conf_lex_mistake(struct conf_lexer *lexer, unsigned line, const char *format, ...)
{
    va_list args;

    if (lexer->told_line == line) {
        return;
    }
    lexer->told_line = line;
    va_start(args, format);
    mistakes_vadd(lexer->mistakes, (struct place){lexer->file, line}, format, args);
    va_end(args);
}

void conf_lex_init(struct conf_lexer *lexer, const char *file, const char *text, size_t len,
                   struct arena *arena, struct mistakes *mistakes)
{
    *lexer = (struct conf_lexer){
        .file = file,
        .begin = text,
        .pos = text,
        .end = text + len,
        .line = 1,
        .arena = arena,
        .mistakes = mistakes,
    };
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        lexer->pos += 3;
    }
}

void conf_lex_free(struct conf_lexer *lexer)
{
    free(lexer->scratch);
    lexer->scratch = NULL;
}

/* ---- the current token's text ---- */

static void put(struct conf_lexer *lexer, const char *text, size_t len)
{
    if (len > lexer->scratch_capacity - lexer->scratch_len) {
        lexer->scratch_capacity = 2 * lexer->scratch_capacity + len + 256;
        lexer->scratch = base_realloc(lexer->scratch, lexer->scratch_capacity);
    }
    memcpy(lexer->scratch + lexer->scratch_len, text, len);
    lexer->scratch_len += len;
}

static void put_char(struct conf_lexer *lexer, char c)
{
    put(lexer, &c, 1);
}

static void take_text(struct conf_lexer *lexer, struct conf_token *token)
{
    token->text = arena_copy(lexer->arena, (struct weir_str){lexer->scratch, lexer->scratch_len});
    if (token->text.ptr == NULL) {
        conf_lex_mistake(lexer, lexer->line, "there is no memory left for a value");
        token->text = STR("");
        token->bad = true;
    }
}

/* ---- white space and comments ---- */

static bool starts_with(const struct conf_lexer *lexer, const char *two)
{
    return lexer->end - lexer->pos >= 2 && memcmp(lexer->pos, two, 2) == 0;
}

static void skip_line(struct conf_lexer *lexer)
{
    const char *end = memchr(lexer->pos, '\n', (size_t)(lexer->end - lexer->pos));
    lexer->pos = end != NULL ? end : lexer->end;
}

static void skip_block_comment(struct conf_lexer *lexer)
{
    unsigned start = lexer->line;

    for (lexer->pos += 2; lexer->pos < lexer->end; lexer->pos++) {
        if (starts_with(lexer, "*/")) {
            lexer->pos += 2;
            return;
        }
        if (*lexer->pos == '\n') {
            lexer->line++;
        }
    }
    lexer->cut = true;
    conf_lex_mistake(lexer, start, "the comment that begins here is not ended; `*/` is missing");
}

static void skip_space(struct conf_lexer *lexer)
{
    while (lexer->pos < lexer->end) {
        char c = *lexer->pos;
        if (c == '\n') {
            lexer->line++;
            lexer->pos++;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            lexer->pos++;
        } else if (c == '#' || starts_with(lexer, "//")) {
            skip_line(lexer);
        } else if (starts_with(lexer, "/*")) {
            skip_block_comment(lexer);
        } else {
            return;
        }
    }
}

/* ---- variables ---- */

/* Expands `${NAME}` or `${NAME:-default}`; pos is at the `$`. false: a mistake is reported. */
static bool expand(struct conf_lexer *lexer)
{
    const char *name = lexer->pos + 2;
    const char *line_end = memchr(name, '\n', (size_t)(lexer->end - name));
    const char *limit = line_end != NULL ? line_end : lexer->end;
    const char *close = memchr(name, '}', (size_t)(limit - name));
    const char *name_end = name;

    if (close == NULL) {
        conf_lex_mistake(lexer, lexer->line,
                         "the variable that begins here with `${` is not "
                         "ended; `}` is missing on its line");
        lexer->pos = name;
        return false;
    }
    while (name_end < close && (isalnum((unsigned char)*name_end) || *name_end == '_')) {
        name_end++;
    }
    lexer->pos = close + 1;
    bool has_default = close - name_end >= 2 && name_end[0] == ':' && name_end[1] == '-';
    if (name_end == name || (name_end != close && !has_default)) {
        char shown[80];
        option_show(shown, sizeof(shown), name - 2, (size_t)(close + 1 - (name - 2)));
        conf_lex_mistake(lexer, lexer->line,
                         "%s is not a variable; write ${NAME} or ${NAME:-default}", shown);
        return false;
    }
    char *key = base_strndup(name, (size_t)(name_end - name));
    const char *value = getenv(key);
    bool ok = true;
    if (has_default && (value == NULL || value[0] == '\0')) {
        put(lexer, name_end + 2, (size_t)(close - (name_end + 2)));
    } else if (value != NULL) {
        put(lexer, value, strlen(value));
    } else {
        conf_lex_mistake(
            lexer, lexer->line,
            "the environment variable `%s` is not set; set it, or write ${%s:-default}", key, key);
        ok = false;
    }
    free(key);
    return ok;
}

/* ---- words and strings ---- */

static bool ends_word(char c)
{
    return c == '{' || c == '}' || c == ',' || c == '=' || c == '"' || c == ';' || c == ' ' ||
           c == '\t' || c == '\r' || c == '\n';
}

static void read_word(struct conf_lexer *lexer, struct conf_token *token)
{
    token->kind = CONF_TOKEN_WORD;
    while (lexer->pos < lexer->end && !ends_word(*lexer->pos)) {
        if (starts_with(lexer, "${")) {
            token->bad |= !expand(lexer);
        } else {
            put_char(lexer, *lexer->pos++);
        }
    }
    take_text(lexer, token);
    if (token->text.ptr[0] == '\'' && !token->bad) {
        conf_lex_mistake(lexer, lexer->line,
                         "%s: strings stand in double quotes, not in single ones", token->text.ptr);
        token->bad = true;
    }
}

/* Reads the character after a backslash, where pos is. false: a mistake is reported. */
static bool read_escape(struct conf_lexer *lexer)
{
    static const char from[] = "\\\"$ntr";
    static const char to[] = "\\\"$\n\t\r";
    const char *found = *lexer->pos != '\0' ? strchr(from, *lexer->pos) : NULL;

    if (found != NULL) {
        put_char(lexer, to[found - from]);
        lexer->pos++;
        return true;
    }
    conf_lex_mistake(
        lexer, lexer->line,
        "after a backslash stands one of \\ \" $ n t r; write \\\\ for a backslash itself");
    return false;
}

static void read_string(struct conf_lexer *lexer, struct conf_token *token)
{
    token->kind = CONF_TOKEN_STRING;
    lexer->pos++;
    while (lexer->pos < lexer->end && *lexer->pos != '\n') {
        char c = *lexer->pos;
        if (c == '"') {
            lexer->pos++;
            take_text(lexer, token);
            return;
        }
        if (c == '\\' && lexer->end - lexer->pos >= 2 && lexer->pos[1] != '\n') {
            lexer->pos++;
            token->bad |= !read_escape(lexer);
        } else if (starts_with(lexer, "${")) {
            token->bad |= !expand(lexer);
        } else {
            put_char(lexer, c);
            lexer->pos++;
        }
    }
    conf_lex_mistake(
        lexer, lexer->line,
        "the string that begins here is not ended on its line; `\"` is missing (a line "
        "break in a string is written \\n)");
    lexer->cut = true;
    token->bad = true;
    take_text(lexer, token);
}

static unsigned indent_of(const struct conf_lexer *lexer)
{
    const char *start = lexer->pos;

    while (start > lexer->begin && (start[-1] == ' ' || start[-1] == '\t')) {
        start--;
    }
    bool first = start == lexer->begin || start[-1] == '\n';
    return first ? (unsigned)(lexer->pos - start) : CONF_INNER;
}

static void read_token(struct conf_lexer *lexer, struct conf_token *token)
{
    switch (*lexer->pos) {
    case '=': token->kind = CONF_TOKEN_EQUALS; break;
    case '{': token->kind = CONF_TOKEN_OPEN; break;
    case '}': token->kind = CONF_TOKEN_CLOSE; break;
    case ',': token->kind = CONF_TOKEN_COMMA; break;
    case ';': token->kind = CONF_TOKEN_OTHER; break;
    case '"': read_string(lexer, token); return;
    default: read_word(lexer, token); return;
    }
    token->text = (struct weir_str){lexer->pos, 1};
    lexer->pos++;
}

void conf_lex_next(struct conf_lexer *lexer, struct conf_token *token)
{
    skip_space(lexer);
    lexer->scratch_len = 0;
    *token = (struct conf_token){.kind = CONF_TOKEN_END, .text = STR(""), .line = lexer->line};
    token->from = token->to = conf_lex_at(lexer);
    if (lexer->pos < lexer->end) {
        token->indent = indent_of(lexer);
        read_token(lexer, token);
        token->to = conf_lex_at(lexer);
    }
}
