/* SPDX-License-Identifier: MIT */
/*
 * Tokens of the configuration language. Private to core/conf.
 */
#ifndef CONF_CONF_LEX_H
#define CONF_CONF_LEX_H

#include <limits.h>

#include "base/arena.h"
#include "base/mistakes.h"

enum conf_token_kind {
    CONF_TOKEN_END,
    CONF_TOKEN_WORD,   /* bare: a name or a value */
    CONF_TOKEN_STRING, /* quoted; the quotes are removed */
    CONF_TOKEN_EQUALS,
    CONF_TOKEN_OPEN,
    CONF_TOKEN_CLOSE,
    CONF_TOKEN_COMMA,
    CONF_TOKEN_OTHER, /* a character without meaning here */
};

struct conf_token {
    enum conf_token_kind kind;
    struct weir_str text; /* expanded, unescaped, ended by NUL; the arena's */
    unsigned line;
    size_t from, to; /* in the source's text */
    unsigned indent; /* column of the first token of a line; else CONF_INNER */
    bool bad;        /* a mistake is reported; the text is what could be read */
};

#define CONF_INNER UINT_MAX

struct conf_lexer {
    const char *file;
    const char *pos, *end; /* pos <= end */
    unsigned line;
    struct arena *arena;
    struct mistakes *mistakes;
    const char *begin;  /* of the text */
    unsigned told_line; /* line of the last mistake: one a line is reported, more would only follow
                           from it */
    bool cut;           /* an unterminated string or comment may have swallowed braces */
    char *scratch;      /* text of the current token */
    size_t scratch_len, scratch_capacity;
};

/* `text` must outlive the lexer; a leading byte order mark is skipped. */
void conf_lex_init(struct conf_lexer *lexer, const char *file, const char *text, size_t len,
                   struct arena *arena, struct mistakes *mistakes);
void conf_lex_free(struct conf_lexer *lexer);

void conf_lex_next(struct conf_lexer *lexer, struct conf_token *token);

/* The offset in the text, after the last token. */
static inline size_t conf_lex_at(const struct conf_lexer *lexer)
{
    return (size_t)(lexer->pos - lexer->begin);
}

/* Reports a mistake in a line. */
void conf_lex_mistake(struct conf_lexer *lexer, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
