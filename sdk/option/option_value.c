/* SPDX-License-Identifier: MIT */
/*
 * Scalar values: numbers with their units, words, strings, and the limits that a row sets.
 */
#include "option_value.h"

#include "option_number.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"m", 60 * UINT64_C(1000000000)},
    {"h", 3600 * UINT64_C(1000000000)},
    {"d", 86400 * UINT64_C(1000000000)},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1},
    {"k", UINT64_C(1) << 10},
    {"K", UINT64_C(1) << 10},
    {"m", UINT64_C(1) << 20},
    {"M", UINT64_C(1) << 20},
    {"g", UINT64_C(1) << 30},
    {"G", UINT64_C(1) << 30},
    {"t", UINT64_C(1) << 40},
    {"T", UINT64_C(1) << 40},
    {NULL, 0},
};

/* What one call works on. */
struct parse {
    const struct weir_option *row;
    enum weir_option_type type;
    const char *text;
    size_t len;
    const char *shown; /* the text for messages; says nothing where the row is secret */
    struct option_alloc *alloc;
    char *error;
    size_t error_size;
};

/* A parsed scalar before it is stored; limits are compared in this form. */
union value {
    int64_t integer;
    uint64_t natural;
    double real;
    bool boolean;
    int32_t word;
    struct weir_str str;
    struct weir_url url;
};

static bool fail(const struct parse *p, const char *format, ...) WEIR_PRINTF(2, 3);
static bool fail(const struct parse *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->error, p->error_size, format, args);
    va_end(args);
    return false;
}

void option_show(char *out, size_t out_size, const char *text, size_t len)
{
    const size_t most = 60;
    size_t used = 0;

    if (out_size < 8) {
        if (out_size > 0) {
            out[0] = '\0';
        }
        return;
    }
    out[used++] = '`';
    for (size_t i = 0; i < len && i < most && used + 6 < out_size; i++) {
        unsigned char c = (unsigned char)text[i];
        out[used++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    if (len > used - 1) {
        /* No half character of UTF-8. */
        while (used > 1 && ((unsigned char)text[used - 1] & 0xc0) == 0x80) {
            used--;
        }
        memcpy(out + used, "...", 3);
        used += 3;
    }
    out[used++] = '`';
    out[used] = '\0';
}

/* ---- numbers ---- */

static bool parse_integer(const struct parse *p, int64_t *out)
{
    const char *end = p->text + p->len;
    bool negative = p->text[0] == '-';
    struct option_decimal number;

    if (!option_decimal_parse(p->text + (negative ? 1 : 0), end, &number) || number.end != end ||
        number.places > 0 || memchr(p->text, '.', p->len) != NULL) {
        return fail(p, "%s is not a whole number; write for example 10", p->shown);
    }
    if (number.overflow || number.whole > (uint64_t)INT64_MAX) {
        return fail(p, "%s is too large a number", p->shown);
    }
    *out = negative ? -(int64_t)number.whole : (int64_t)number.whole;
    return true;
}

static bool parse_real(const struct parse *p, double *out)
{
    const char *end = p->text + p->len;
    bool negative = p->text[0] == '-';
    struct option_decimal number;
    double value;

    if (!option_decimal_parse(p->text + (negative ? 1 : 0), end, &number) || number.end != end) {
        return fail(p, "%s is not a number; write for example 0.5", p->shown);
    }
    if (!option_decimal_real(&number, 0, &value)) {
        return fail(p, "%s has too many digits; %d are kept, %d of them after the point", p->shown,
                    OPTION_DIGITS_MAX, OPTION_FRACTION_MAX);
    }
    *out = negative ? -value : value;
    return true;
}

static bool parse_percentage(const struct parse *p, double *out)
{
    const char *end = p->text + p->len;
    struct option_decimal number;

    if (!option_decimal_parse(p->text, end, &number) ||
        !(number.end == end || (*number.end == '%' && number.end + 1 == end))) {
        return fail(p, "%s is not a percentage; write for example 20%%", p->shown);
    }
    if (!option_decimal_real(&number, 2, out)) {
        return fail(p, "%s has too many digits; %d are kept, %d of them after the point", p->shown,
                    OPTION_DIGITS_MAX, OPTION_FRACTION_MAX);
    }
    if (number.end == end && *out != 0) {
        return fail(p, "%s has no %% sign; write for example 20%%", p->shown);
    }
    return true;
}

static const struct unit *find_unit(const struct unit *units, const char *text, size_t len)
{
    for (; units->suffix != NULL; units++) {
        if (strlen(units->suffix) == len && memcmp(units->suffix, text, len) == 0) {
            return units;
        }
    }
    return NULL;
}

static bool parse_duration(const struct parse *p, uint64_t *out)
{
    static const char examples[] = "write for example 250ms, 2s, 1m or 1h";
    const char *end = p->text + p->len;
    struct option_decimal number;

    if (!option_decimal_parse(p->text, end, &number)) {
        return fail(p, "%s is not a duration; %s", p->shown, examples);
    }
    if (number.end == end) {
        if (number.whole != 0 || number.fraction != 0 || number.overflow) {
            return fail(p, "%s has no unit; %s", p->shown, examples);
        }
        *out = 0;
        return true;
    }
    const struct unit *unit = find_unit(duration_units, number.end, (size_t)(end - number.end));
    if (unit == NULL) {
        return fail(p, "%s is not a duration; %s", p->shown, examples);
    }
    if (!option_decimal_scale(&number, unit->factor, out)) {
        return fail(p,
                    "%s is too long or too fine a duration; nanoseconds are counted, up to 500 "
                    "years",
                    p->shown);
    }
    return true;
}

static bool parse_size(const struct parse *p, uint64_t *out)
{
    const char *end = p->text + p->len;
    struct option_decimal number;
    const struct unit *unit = NULL;

    if (option_decimal_parse(p->text, end, &number)) {
        unit = find_unit(size_units, number.end, (size_t)(end - number.end));
    }
    if (unit == NULL) {
        return fail(p, "%s is not a size; write for example 512, 16k, 1m or 2g", p->shown);
    }
    if (!option_decimal_scale(&number, unit->factor, out)) {
        return fail(p, "%s is too large, or no whole number of bytes", p->shown);
    }
    return true;
}

/* ---- words and strings ---- */

static bool parse_boolean(const struct parse *p, bool *out)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i]) == p->len && memcmp(words[i], p->text, p->len) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return fail(p, "%s is neither on nor off", p->shown);
}

static bool parse_enum(const struct parse *p, int32_t *out)
{
    struct option_nearest search;
    char list[256] = "";
    size_t used = 0;

    option_nearest_begin(&search, p->text, p->len);
    for (int32_t i = 0; p->row->names != NULL && p->row->names[i] != NULL; i++) {
        const char *word = p->row->names[i];
        if (strlen(word) == p->len && memcmp(word, p->text, p->len) == 0) {
            *out = i;
            return true;
        }
        option_nearest_offer(&search, word);
        int added = snprintf(list + used, sizeof(list) - used, "%s%s", i > 0 ? ", " : "", word);
        used += added > 0 && (size_t)added < sizeof(list) - used ? (size_t)added : 0;
    }
    if (search.best != NULL && (p->row->flags & WEIR_OPTION_SECRET) == 0) {
        return fail(p, "%s is not one of %s; did you mean `%s`?", p->shown, list, search.best);
    }
    return fail(p, "%s is not one of %s", p->shown, list);
}

/* The copy is ended by NUL, which `len` does not count. */
static char *copy_text(const struct parse *p)
{
    char *copy = p->alloc->alloc(p->alloc, p->len + 1);
    if (copy == NULL) {
        fail(p, "there is no memory left");
        return NULL;
    }
    memcpy(copy, p->text, p->len);
    copy[p->len] = '\0';
    return copy;
}

static bool parse_string(const struct parse *p, struct weir_str *out)
{
    if (memchr(p->text, '\0', p->len) != NULL) {
        return fail(p, "%s has a zero byte", p->shown);
    }
    out->ptr = copy_text(p);
    out->len = p->len;
    return out->ptr != NULL;
}

static bool parse_address(const struct parse *p, struct weir_str *out)
{
    struct option_address address;
    struct option_network network;
    bool ok = (p->row->flags & WEIR_OPTION_NETWORK) != 0
                  ? option_network_parse(p->text, p->len, &network, p->error, p->error_size)
                  : option_address_parse(p->text, p->len, &address, p->error, p->error_size);
    return ok && parse_string(p, out);
}

static bool parse_url(const struct parse *p, struct weir_url *out)
{
    char *copy = copy_text(p);
    return copy != NULL && option_url_parse(copy, p->len, out, p->error, p->error_size);
}

/* ---- all types ---- */

static bool parse_scalar(const struct parse *p, union value *out)
{
    switch (p->type) {
    case WEIR_TYPE_STRING: return parse_string(p, &out->str);
    case WEIR_TYPE_INTEGER: return parse_integer(p, &out->integer);
    case WEIR_TYPE_REAL: return parse_real(p, &out->real);
    case WEIR_TYPE_BOOLEAN: return parse_boolean(p, &out->boolean);
    case WEIR_TYPE_DURATION: return parse_duration(p, &out->natural);
    case WEIR_TYPE_SIZE: return parse_size(p, &out->natural);
    case WEIR_TYPE_PERCENTAGE: return parse_percentage(p, &out->real);
    case WEIR_TYPE_ADDRESS: return parse_address(p, &out->str);
    case WEIR_TYPE_URL: return parse_url(p, &out->url);
    case WEIR_TYPE_ENUM: return parse_enum(p, &out->word);
    case WEIR_TYPE_LIST:
    case WEIR_TYPE_BLOCK: break;
    }
    return fail(p, "a single value cannot stand here");
}

static int compare(enum weir_option_type type, const union value *a, const union value *b)
{
    switch (type) {
    case WEIR_TYPE_INTEGER: return (a->integer > b->integer) - (a->integer < b->integer);
    case WEIR_TYPE_DURATION:
    case WEIR_TYPE_SIZE: return (a->natural > b->natural) - (a->natural < b->natural);
    case WEIR_TYPE_REAL:
    case WEIR_TYPE_PERCENTAGE: return (a->real > b->real) - (a->real < b->real);
    default: return 0;
    }
}

/* `limit` is the row's text. What it means is a length for strings, else a value of the type. */
static bool check_limit(const struct parse *p, const union value *value, const char *limit,
                        bool is_minimum)
{
    union value bound, length;
    const union value *compared = value;
    struct parse q = *p;

    if (limit == NULL) {
        return true;
    }
    q.text = limit;
    q.len = strlen(limit);
    q.shown = limit;
    if (p->type == WEIR_TYPE_STRING) {
        q.type = WEIR_TYPE_INTEGER;
        length.integer = (int64_t)value->str.len;
        compared = &length;
    }
    if (!parse_scalar(&q, &bound)) {
        return fail(p, "the limit `%s` that the option's table sets is itself wrong", limit);
    }
    int order = compare(q.type, compared, &bound);
    if (is_minimum ? order >= 0 : order <= 0) {
        return true;
    }
    const char *side = is_minimum ? "minimum" : "maximum";
    const char *where = is_minimum ? "below" : "above";
    if (p->type == WEIR_TYPE_STRING) {
        return fail(p, "%s has %zu bytes, %s the %s of %s", p->shown, p->len, where, side, limit);
    }
    if ((p->row->flags & WEIR_OPTION_SECRET) != 0) {
        return fail(p, "%s is %s the %s of %s", p->shown, where, side, limit);
    }
    return fail(p, "%.*s is %s the %s of %s", (int)p->len, p->text, where, side, limit);
}

static bool has_limits(enum weir_option_type type)
{
    return type == WEIR_TYPE_STRING || type == WEIR_TYPE_INTEGER || type == WEIR_TYPE_REAL ||
           type == WEIR_TYPE_DURATION || type == WEIR_TYPE_SIZE || type == WEIR_TYPE_PERCENTAGE;
}

static bool refuses_empty(const struct weir_option *row)
{
    return (row->flags & (WEIR_OPTION_REQUIRED | WEIR_OPTION_NOT_EMPTY)) != 0;
}

/* How to do without. */
static const char *or_none(const struct weir_option *row)
{
    return (row->flags & WEIR_OPTION_REQUIRED) != 0 ? "" : ", or leave the option out";
}

bool option_list_check(const struct weir_option *row, size_t count, char *error, size_t error_size)
{
    if (count > 0 || !refuses_empty(row)) {
        return true;
    }
    snprintf(error, error_size, "the list is empty; write at least one value%s", or_none(row));
    return false;
}

bool option_value_parse(const struct weir_option *row, enum weir_option_type type, const char *text,
                        size_t len, bool quoted, void *field, struct option_alloc *alloc,
                        char *error, size_t error_size)
{
    char shown[80] = "the secret";
    bool secret = (row->flags & WEIR_OPTION_SECRET) != 0;
    struct parse p = {row, type, text, len, shown, alloc, error, error_size};
    union value value;

    p.text = len > 0 ? text : "";
    memset(&value, 0, sizeof(value));
    if (!secret) {
        option_show(shown, sizeof(shown), text, len);
    }
    if (len == 0 && !(quoted && type == WEIR_TYPE_STRING)) {
        return fail(&p, "a value is missing: %s must stand here", option_value_type_name(type));
    }
    if (len == 0 && type == row->type && refuses_empty(row)) {
        return fail(&p, "it is empty; write a value%s", or_none(row));
    }
    if (!parse_scalar(&p, &value)) {
        if (secret && type != WEIR_TYPE_STRING) {
            return fail(&p, "the secret is not %s", option_value_type_name(type));
        }
        return false;
    }
    if (has_limits(type) && (!check_limit(&p, &value, row->minimum, true) ||
                             !check_limit(&p, &value, row->maximum, false))) {
        return false;
    }
    memcpy(field, &value, option_value_size(type));
    return true;
}

size_t option_value_size(enum weir_option_type type)
{
    switch (type) {
    case WEIR_TYPE_STRING:
    case WEIR_TYPE_ADDRESS: return sizeof(struct weir_str);
    case WEIR_TYPE_INTEGER: return sizeof(int64_t);
    case WEIR_TYPE_REAL:
    case WEIR_TYPE_PERCENTAGE: return sizeof(double);
    case WEIR_TYPE_BOOLEAN: return sizeof(bool);
    case WEIR_TYPE_DURATION:
    case WEIR_TYPE_SIZE: return sizeof(uint64_t);
    case WEIR_TYPE_URL: return sizeof(struct weir_url);
    case WEIR_TYPE_ENUM: return sizeof(int32_t);
    case WEIR_TYPE_LIST:
    case WEIR_TYPE_BLOCK: return sizeof(struct weir_list);
    }
    return 0;
}

const char *option_value_type_name(enum weir_option_type type)
{
    switch (type) {
    case WEIR_TYPE_STRING: return "a string";
    case WEIR_TYPE_INTEGER: return "a whole number";
    case WEIR_TYPE_REAL: return "a number";
    case WEIR_TYPE_BOOLEAN: return "on or off";
    case WEIR_TYPE_DURATION: return "a duration";
    case WEIR_TYPE_SIZE: return "a size";
    case WEIR_TYPE_PERCENTAGE: return "a percentage";
    case WEIR_TYPE_ADDRESS: return "an address";
    case WEIR_TYPE_URL: return "a URL";
    case WEIR_TYPE_ENUM: return "a word";
    case WEIR_TYPE_LIST: return "a list";
    case WEIR_TYPE_BLOCK: return "a block";
    }
    return "a value";
}
