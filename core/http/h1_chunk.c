/* SPDX-License-Identifier: MIT */
/*
 * The chunked coding (RFC 9112 section 7.1), decoded in place from pieces of any size. Only a
 * trailer field must be complete before it is taken.
 */
#include "http/h1_fields.h"
#include "http/syntax.h"

/* Digits of a size, including leading zeros. */
#define DIGITS_LIMIT 16u
#define SIZE_LIMIT   (UINT64_C(1) << 60)
/* Bytes of one size line. */
#define LINE_LIMIT 4096u
/* Limit of framing overhead: a chunk is allowed a size line of ordinary length and twice its data;
 * the excess accumulates, so a peer cannot waste time with extensions to one-byte chunks. */
#define OVERHEAD_LIMIT 16384u
#define LINE_GRANT     16u

enum state {
    AT_SIZE, /* before the first digit */
    IN_SIZE,
    AFTER_SIZE, /* after white space: only an extension may follow */
    IN_EXTENSION,
    AT_SIZE_LF,
    IN_DATA,
    AT_DATA_CR,
    AT_DATA_LF,
    IN_TRAILER,
    AT_END,
};

static enum h1_chunk_event fail(struct http_error *error, uint16_t status, const char *reason)
{
    h1_refuse(error, status, reason);
    return H1_CHUNK_ERROR;
}

/* One byte of a size line except its LF. false: refused. */
static bool take_size_byte(struct h1_chunked *state, char c, struct http_error *error)
{
    int digit = state->state <= IN_SIZE ? syntax_hex(c) : -1;
    bool ok = true;
    if (++state->line > LINE_LIMIT) {
        h1_refuse(error, 400, "chunk_extension_too_long");
        return false;
    }
    if (digit >= 0) {
        ok = state->line <= DIGITS_LIMIT && state->left < SIZE_LIMIT >> 4;
        state->left = state->left << 4 | (unsigned)digit;
        state->state = IN_SIZE;
    } else if (c == '\r') {
        ok = state->state == IN_SIZE || state->state == IN_EXTENSION;
        state->state = AT_SIZE_LF;
    } else if (c == ';') {
        ok = state->state != AT_SIZE;
        state->state = IN_EXTENSION;
    } else if (state->state == IN_EXTENSION) {
        ok = syntax_is(c, SYNTAX_VALUE);
    } else {
        ok = syntax_blank(c) && state->state != AT_SIZE;
        state->state = AFTER_SIZE;
    }
    if (!ok) {
        h1_refuse(error, 400, c == '\n' ? "bare_lf" : "bad_chunk_size");
    }
    return ok;
}

/* The LF after a size line. */
static bool end_size_line(struct h1_chunked *state, char c, struct http_error *error)
{
    uint64_t grant = LINE_GRANT + 2 * state->left;
    if (c != '\n') {
        h1_refuse(error, 400, "bare_cr");
        return false;
    }
    state->overhead += state->line;
    state->overhead = state->overhead > grant ? (uint32_t)(state->overhead - grant) : 0;
    if (state->overhead > OVERHEAD_LIMIT) {
        h1_refuse(error, 400, "chunks_too_small");
        return false;
    }
    state->line = 0;
    state->state = state->left > 0 ? IN_DATA : IN_TRAILER;
    return true;
}

/* One byte that is not data, before the trailer section. */
static bool take_byte(struct h1_chunked *state, char c, struct http_error *error)
{
    switch (state->state) {
    case AT_SIZE_LF: return end_size_line(state, c, error);
    case AT_DATA_CR: state->state = AT_DATA_LF; break;
    case AT_DATA_LF: state->state = AT_SIZE; break;
    default: return take_size_byte(state, c, error);
    }
    if (c == (state->state == AT_DATA_LF ? '\r' : '\n')) {
        return true;
    }
    h1_refuse(error, 400, "bad_chunk_end");
    return false;
}

bool field_may_trail(const struct http_field *field)
{
    static const struct weir_str forbidden[] = {
        WEIR_STR_INIT("age"),           WEIR_STR_INIT("authorization"),
        WEIR_STR_INIT("cache-control"), WEIR_STR_INIT("content-encoding"),
        WEIR_STR_INIT("content-range"), WEIR_STR_INIT("expires"),
        WEIR_STR_INIT("pragma"),        WEIR_STR_INIT("range"),
        WEIR_STR_INIT("set-cookie2"),   WEIR_STR_INIT("vary"),
        WEIR_STR_INIT("warning"),       WEIR_STR_INIT("www-authenticate"),
    };
    /* Of the known names only one is legal as a trailer. */
    if (field->id != FIELD_OTHER) {
        return false;
    }
    if (field->name.len > 3 && strncasecmp(field->name.ptr, "if-", 3) == 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(forbidden); i++) {
        if (field_name_folds(field->name, forbidden[i])) {
            return false;
        }
    }
    return !field_name_identifies(field->name);
}

static enum h1_chunk_event next_trailer(struct h1_chunked *state, const char **pos, const char *end,
                                        const struct http_limits *limits, struct http_field *field,
                                        struct http_error *error)
{
    for (;;) {
        const char *line = *pos;
        enum h1_line found = h1_parse_line(pos, end, field, error);
        size_t len = (size_t)((found == H1_LINE_INCOMPLETE ? end : *pos) - line);
        if (found == H1_LINE_ERROR) {
            return H1_CHUNK_ERROR;
        }
        if (len > limits->head || state->line > limits->head - len) {
            return fail(error, 431, "trailers_too_long");
        }
        if (found == H1_LINE_INCOMPLETE) {
            return H1_CHUNK_MORE;
        }
        if (found == H1_LINE_EMPTY) {
            state->state = AT_END;
            return H1_CHUNK_END;
        }
        state->line += (uint32_t)len;
        if (++state->trailer_lines > limits->fields) {
            return fail(error, 431, "too_many_trailers");
        }
        if (field_may_trail(field)) {
            return H1_CHUNK_TRAILER;
        }
    }
}

enum h1_chunk_event h1_chunk_next(struct h1_chunked *state, const char *data, size_t len,
                                  const struct http_limits *limits, size_t *used, const char **out,
                                  size_t *out_len, struct http_field *field,
                                  struct http_error *error)
{
    const char *pos = data, *end = data + len;
    enum h1_chunk_event event = H1_CHUNK_MORE;
    while (pos < end && state->state < IN_TRAILER && state->state != IN_DATA) {
        if (!take_byte(state, *pos, error)) {
            *used = (size_t)(pos - data);
            return H1_CHUNK_ERROR;
        }
        pos++;
    }
    if (state->state == IN_DATA && pos < end) {
        size_t have = (size_t)(end - pos);
        *out = pos;
        *out_len = state->left < have ? (size_t)state->left : have;
        pos += *out_len;
        state->left -= *out_len;
        if (state->left == 0) {
            state->state = AT_DATA_CR;
        }
        event = H1_CHUNK_DATA;
    } else if (state->state == IN_TRAILER && pos < end) {
        event = next_trailer(state, &pos, end, limits, field, error);
    } else if (state->state == AT_END) {
        event = H1_CHUNK_END;
    }
    *used = (size_t)(pos - data);
    return event;
}
