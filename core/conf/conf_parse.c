/* SPDX-License-Identifier: MIT */
/*
 * The parser: settings, lists, blocks, includes. After a mistake it continues where the next item
 * can begin, so one run reports all mistakes; what could not be read stays in the tree as bad, so
 * it is not reported as missing.
 */
#include "conf/conf_parse.h"

#include <ctype.h>
#include <stdlib.h>

#include "option/option_value.h"

struct values {
    struct conf_value *items;
    size_t count, capacity;
};

static struct place place_of(const struct conf_parser *parser, const struct conf_token *token)
{
    return (struct place){parser->lexer.file, token->line};
}

#define MISTAKE(parser, token, ...) conf_lex_mistake(&(parser)->lexer, (token)->line, __VA_ARGS__)

static void next(struct conf_parser *parser, struct conf_token *token)
{
    if (parser->has_ahead) {
        *token = parser->ahead;
        parser->has_ahead = false;
    } else {
        conf_lex_next(&parser->lexer, token);
    }
}

static void put_back(struct conf_parser *parser, const struct conf_token *token)
{
    ASSERT(!parser->has_ahead);
    parser->ahead = *token;
    parser->has_ahead = true;
}

/* ---- braces ---- */

/* `token` begins a line to the left of what is open, which has probably lost its `}`. Only the
 * first suspect counts: later ones follow from it. */
static void suspect(struct conf_parser *parser, const struct conf_token *opened, const char *kind,
                    unsigned left_of, const struct conf_token *token)
{
    if (token->indent != CONF_INNER && opened->indent != CONF_INNER && token->indent < left_of &&
        !parser->has_suspect) {
        parser->has_suspect = true;
        parser->suspect = *opened;
        parser->suspect_kind = kind;
    }
}

/* The text ends inside a block. */
static void tell_unended(struct conf_parser *parser, const struct conf_token *opened)
{
    if (!parser->lexer.cut) { /* otherwise the cause is already reported */
        const struct conf_token *guess = parser->has_suspect ? &parser->suspect : opened;
        MISTAKE(parser, guess, "the %s `%s` that begins here is not ended; `}` is missing",
                parser->has_suspect ? parser->suspect_kind : "block", guess->text.ptr);
    }
    parser->has_suspect = false;
    parser->broken = true;
}

/* A `}` without an open block. */
static void tell_unopened(struct conf_parser *parser, const struct conf_token *token)
{
    if (parser->unopened > 0) {
        parser->unopened--;
    } else if (!parser->broken && !parser->lexer.cut) {
        MISTAKE(parser, token, "`}` closes nothing: no block is open here");
    }
    parser->broken = true;
}

/* ---- nodes ---- */

static struct conf_node *new_node(struct conf_parser *parser, enum conf_kind kind,
                                  const struct conf_token *name)
{
    struct conf_node *node = arena_zalloc(parser->lexer.arena, sizeof(*node));
    if (node == NULL) {
        MISTAKE(parser, name, "there is no memory left for this file");
        return NULL;
    }
    node->kind = kind;
    node->name = name->text;
    node->place = place_of(parser, name);
    return node;
}

static struct conf_value to_value(const struct conf_parser *parser, const struct conf_token *token)
{
    return (struct conf_value){
        .text = token->text,
        .place = place_of(parser, token),
        .span = {token->from, token->to},
        .quoted = token->kind == CONF_TOKEN_STRING,
        .bad = token->bad,
    };
}

static void values_add(struct values *values, struct conf_value value)
{
    if (values->count == values->capacity) {
        values->capacity = values->capacity > 0 ? 2 * values->capacity : 8;
        values->items = base_realloc(values->items, values->capacity * sizeof(*values->items));
    }
    values->items[values->count++] = value;
}

/* Moves the values into the arena, under the node. */
static void values_finish(struct conf_parser *parser, struct values *values, struct conf_node *node)
{
    size_t len = values->count * sizeof(*values->items);

    if (len > 0) {
        node->values = arena_alloc(parser->lexer.arena, len);
    }
    if (node->values != NULL) {
        memcpy(node->values, values->items, len);
        node->value_count = values->count;
    }
    free(values->items);
}

static struct conf_value bad_value(const struct conf_parser *parser, const struct conf_token *name)
{
    return (struct conf_value){.text = STR(""), .place = place_of(parser, name), .bad = true};
}

/* A setting whose value could not be read. */
static struct conf_node *bad_setting(struct conf_parser *parser, const struct conf_token *name)
{
    struct conf_node *node = new_node(parser, CONF_SETTING, name);
    struct values values = {0};

    if (node != NULL) {
        values_add(&values, bad_value(parser, name));
        values_finish(parser, &values, node);
    }
    return node;
}

/* ---- lists ---- */

/* After `{` inside a list: skips to its `}`. */
static void skip_nested(struct conf_parser *parser)
{
    struct conf_token token;
    unsigned open = 1;

    while (open > 0) {
        next(parser, &token);
        if (token.kind == CONF_TOKEN_END) {
            put_back(parser, &token);
            return;
        }
        open += token.kind == CONF_TOKEN_OPEN;
        open -= token.kind == CONF_TOKEN_CLOSE;
    }
}

/* Whether the word just read begins a setting or a block: the list around it lacks its end then.
 * Consumes nothing, reports nothing. */
static bool begins_item(struct conf_parser *parser)
{
    struct conf_lexer *lexer = &parser->lexer;
    struct conf_lexer before = *lexer;
    struct mistakes unheard = {0};
    struct conf_token token;

    lexer->mistakes = &unheard;
    conf_lex_next(lexer, &token);
    if (token.kind == CONF_TOKEN_STRING) {
        conf_lex_next(lexer, &token);
        token.kind = token.kind == CONF_TOKEN_OPEN ? CONF_TOKEN_OPEN : CONF_TOKEN_OTHER;
    }
    before.scratch = lexer->scratch;
    before.scratch_capacity = lexer->scratch_capacity;
    *lexer = before;
    mistakes_free(&unheard);
    return token.kind == CONF_TOKEN_EQUALS || token.kind == CONF_TOKEN_OPEN;
}

/* After `name = {`. */
static void parse_list(struct conf_parser *parser, const struct conf_token *name,
                       struct conf_node *node)
{
    struct values values = {0};
    struct conf_token token;
    bool comma = true; /* a value may follow */

    node->is_list = true;
    for (;;) {
        next(parser, &token);
        bool is_word = token.kind == CONF_TOKEN_WORD;
        if (token.kind == CONF_TOKEN_CLOSE) {
            node->span.to = token.to;
            suspect(parser, name, "list", name->indent, &token);
            break;
        }
        if (token.kind == CONF_TOKEN_END || (is_word && begins_item(parser))) {
            MISTAKE(parser, name, "the list `%s` that begins here is not ended; `}` is missing",
                    name->text.ptr);
            if (values.count == 0) {
                values_add(&values, bad_value(parser, name));
            }
            put_back(parser, &token);
            break;
        }
        if (is_word || token.kind == CONF_TOKEN_STRING) {
            if (!comma) {
                MISTAKE(parser, &token, "a comma is missing before `%s`", token.text.ptr);
            }
            values_add(&values, to_value(parser, &token));
        } else if (token.kind == CONF_TOKEN_OPEN) {
            MISTAKE(parser, &token, "a list cannot stand in a list");
            skip_nested(parser);
        } else if (token.kind != CONF_TOKEN_COMMA || comma) {
            MISTAKE(parser, &token, "a value of the list `%s` must stand here, not `%.*s`",
                    name->text.ptr, STR_ARGS(token.text));
        }
        comma = token.kind == CONF_TOKEN_COMMA;
    }
    values_finish(parser, &values, node);
}

/* ---- items ---- */

/* After `name =`. */
static struct conf_node *parse_setting(struct conf_parser *parser, const struct conf_token *name,
                                       unsigned line)
{
    struct conf_token token;
    struct values values = {0};

    next(parser, &token);
    bool is_value = token.kind == CONF_TOKEN_WORD || token.kind == CONF_TOKEN_STRING;
    /* A word on the next line is most likely the next setting's name. */
    if (token.line != line || (!is_value && token.kind != CONF_TOKEN_OPEN)) {
        MISTAKE(parser, name, "the value of `%s` is missing; it stands on the line of its `=`",
                name->text.ptr);
        put_back(parser, &token);
        return bad_setting(parser, name);
    }
    struct conf_node *node = new_node(parser, CONF_SETTING, name);
    if (node == NULL) {
        return NULL;
    }
    node->span = (struct conf_span){token.from, token.to};
    if (is_value) {
        values_add(&values, to_value(parser, &token));
        values_finish(parser, &values, node);
    } else {
        parse_list(parser, name, node);
    }
    return node;
}

static struct conf_node **parse_items(struct conf_parser *parser, struct conf_node **tail,
                                      unsigned depth, const struct conf_token *opened);

/* After `name {` or `name "title" {`. */
static struct conf_node *parse_block(struct conf_parser *parser, const struct conf_token *name,
                                     const struct conf_token *title, unsigned depth)
{
    struct conf_node *node = new_node(parser, CONF_BLOCK, name);

    if (node == NULL) {
        return NULL;
    }
    if (title != NULL) {
        node->title = to_value(parser, title);
    }
    if (depth >= CONF_DEPTH_MAX) {
        MISTAKE(parser, name, "blocks stand in blocks more than %u deep here", CONF_DEPTH_MAX);
        skip_nested(parser);
        return node;
    }
    parse_items(parser, &node->children, depth + 1, name);
    node->span = (struct conf_span){name->from, conf_lex_at(&parser->lexer)};
    return node;
}

/* After `name word` on one line: a title without quotes, or a setting without `=`. */
static struct conf_node *parse_bare(struct conf_parser *parser, const struct conf_token *name,
                                    const struct conf_token *word, unsigned depth)
{
    struct conf_token token;

    next(parser, &token);
    if (token.kind == CONF_TOKEN_OPEN) {
        MISTAKE(parser, word, "the title of a block stands in quotes; write %s \"%s\" {",
                name->text.ptr, word->text.ptr);
        struct conf_token title = *word;
        title.kind = CONF_TOKEN_STRING;
        return parse_block(parser, name, &title, depth);
    }
    put_back(parser, &token);
    parser->unopened++; /* the `{` may be missing: expect its `}` */
    MISTAKE(parser, name, "`=` is missing between `%s` and its value; write %s = %s",
            name->text.ptr, name->text.ptr, word->text.ptr);
    return bad_setting(parser, name);
}

/* After `name "string"`. */
static struct conf_node *parse_titled(struct conf_parser *parser, const struct conf_token *name,
                                      const struct conf_token *title, unsigned depth)
{
    struct conf_token token;

    next(parser, &token);
    if (token.kind == CONF_TOKEN_OPEN) {
        return parse_block(parser, name, title, depth);
    }
    put_back(parser, &token);
    parser->unopened++;
    MISTAKE(parser, name,
            "after `%s \"%s\"` a block must begin; write %s \"%s\" { ... }, or for a "
            "setting %s = \"%s\"",
            name->text.ptr, title->text.ptr, name->text.ptr, title->text.ptr, name->text.ptr,
            title->text.ptr);
    return bad_setting(parser, name);
}

/* Parses an item after its name; NULL: none of it can be kept. */
static struct conf_node *parse_named(struct conf_parser *parser, const struct conf_token *name,
                                     unsigned depth)
{
    struct conf_token token;

    next(parser, &token);
    switch (token.kind) {
    case CONF_TOKEN_EQUALS: return parse_setting(parser, name, token.line);
    case CONF_TOKEN_OPEN: return parse_block(parser, name, NULL, depth);
    case CONF_TOKEN_STRING: return parse_titled(parser, name, &token, depth);
    case CONF_TOKEN_WORD:
        if (token.line == name->line) {
            return parse_bare(parser, name, &token, depth);
        }
        break;
    default: break;
    }
    put_back(parser, &token);
    parser->unopened++;
    MISTAKE(parser, name, "`%s` stands alone; write %s = VALUE or %s { ... }", name->text.ptr,
            name->text.ptr, name->text.ptr);
    return NULL;
}

static bool is_name(struct weir_str text)
{
    return text.len > 0 && (isalpha((unsigned char)text.ptr[0]) || text.ptr[0] == '_');
}

/* Reports a token that cannot begin an item. */
static void tell_stray(struct conf_parser *parser, const struct conf_token *token)
{
    char shown[80];
    struct conf_token after;

    if (token->bad) {
        return;
    }
    option_show(shown, sizeof(shown), token->text.ptr, token->text.len);
    if (token->kind == CONF_TOKEN_EQUALS) {
        MISTAKE(parser, token, "a name is missing before `=`");
        next(parser, &after); /* its value */
        if (after.line != token->line || after.kind == CONF_TOKEN_CLOSE) {
            put_back(parser, &after);
        }
    } else if (token->kind == CONF_TOKEN_OPEN) {
        MISTAKE(parser, token, "a name is missing before `{`");
        skip_nested(parser);
    } else if (token->kind == CONF_TOKEN_COMMA || token->kind == CONF_TOKEN_OTHER) {
        parser->unopened += token->kind == CONF_TOKEN_COMMA; /* a list without its `{` */
        MISTAKE(parser, token, "%s cannot stand here; settings are separated by white space alone",
                shown);
    } else {
        MISTAKE(parser, token, "the name of a setting or block must stand here, not %s", shown);
    }
}

/* Parses items up to the `}` of the block `opened`; NULL: to the end of the source. */
static struct conf_node **parse_items(struct conf_parser *parser, struct conf_node **tail,
                                      unsigned depth, const struct conf_token *opened)
{
    struct conf_token token, path;
    struct conf_node *node;

    for (;;) {
        next(parser, &token);
        if (token.kind == CONF_TOKEN_END) {
            if (opened != NULL) {
                tell_unended(parser, opened);
                put_back(parser, &token);
            }
            return tail;
        }
        if (token.kind == CONF_TOKEN_CLOSE) {
            if (opened != NULL) {
                suspect(parser, opened, "block", opened->indent, &token);
                return tail;
            }
            tell_unopened(parser, &token);
            continue;
        }
        if (opened != NULL) {
            suspect(parser, opened, "block", opened->indent + 1, &token);
        }
        if (token.kind != CONF_TOKEN_WORD || token.bad || !is_name(token.text)) {
            tell_stray(parser, &token);
            continue;
        }
        if (str_equal(token.text, STR("include"))) {
            next(parser, &path);
            if (path.kind == CONF_TOKEN_STRING) {
                tail = path.bad ? tail : parser->include(parser, &path, tail, depth + 1);
                continue;
            }
            put_back(parser, &path);
            MISTAKE(parser, &token, "a file's path in quotes must follow; write include \"PATH\"");
            continue;
        }
        node = parse_named(parser, &token, depth);
        if (node != NULL) {
            *tail = node;
            tail = &node->next;
        }
    }
}

struct conf_node **conf_parse_source(struct conf_parser *parser, struct conf_node **tail,
                                     unsigned depth)
{
    return parse_items(parser, tail, depth, NULL);
}
