/* SPDX-License-Identifier: MIT */
/* Accept-Encoding, and lists of words in fields. See accept.h. */
#include "accept.h"

#include <string.h>
#include <strings.h>

#define WEIGHT_ONE 1000

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct weir_str trim(struct weir_str text)
{
    while (text.len > 0 && is_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Takes what comes before the first `separator` outside quotes. */
static struct weir_str cut(struct weir_str *rest, char separator)
{
    bool quoted = false;
    size_t len = 0;

    for (; len < rest->len && (quoted || rest->ptr[len] != separator); len++) {
        if (rest->ptr[len] == '"') {
            quoted = !quoted;
        } else if (quoted && rest->ptr[len] == '\\' && len + 1 < rest->len) {
            len++;
        }
    }
    struct weir_str part = {rest->ptr, len};
    size_t used = len < rest->len ? len + 1 : len;
    rest->ptr += used;
    rest->len -= used;
    return trim(part);
}

bool list_next(struct weir_str *rest, struct weir_str *element)
{
    while (rest->len > 0) {
        *element = cut(rest, ',');
        if (element->len > 0) {
            return true;
        }
    }
    return false;
}

bool text_is(struct weir_str text, const char *word)
{
    size_t len = strlen(word);
    return text.len == len && (len == 0 || strncasecmp(text.ptr, word, len) == 0);
}

bool list_has(struct weir_str list, const char *word)
{
    struct weir_str element;

    while (list_next(&list, &element)) {
        struct weir_str name = cut(&element, ';');
        if (text_is(cut(&name, '='), word)) {
            return true;
        }
    }
    return false;
}

/* qvalue, RFC 9110 section 12.4.2; -1: it is none. */
static int read_weight(struct weir_str text)
{
    int weight = 0, scale = WEIGHT_ONE;

    if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
        (text.len > 1 && text.ptr[1] != '.')) {
        return -1;
    }
    weight = text.ptr[0] == '1' ? WEIGHT_ONE : 0;
    for (size_t i = 2; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return -1;
        }
        scale /= 10;
        weight += (text.ptr[i] - '0') * scale;
    }
    return weight <= WEIGHT_ONE ? weight : -1;
}

/* Of an element behind its name; malformed ones accept nothing: two weights, say. */
static int element_weight(struct weir_str parameters)
{
    int weight = WEIGHT_ONE;
    bool weighted = false;

    while (parameters.len > 0) {
        struct weir_str parameter = cut(&parameters, ';');
        struct weir_str name = cut(&parameter, '=');
        if (text_is(name, "q")) {
            weight = weighted ? -1 : read_weight(trim(parameter));
            weighted = true;
            if (weight < 0) {
                return 0;
            }
        }
    }
    return weight > 0 ? weight : 0;
}

void accept_begin(struct accept *accept)
{
    for (size_t i = 0; i < ENCODING_COUNT; i++) {
        accept->weight[i] = -1;
    }
    accept->identity = -1;
    accept->any = -1;
}

void accept_read(struct accept *accept, struct weir_str value)
{
    struct weir_str element;

    while (list_next(&value, &element)) {
        struct weir_str name = cut(&element, ';');
        int weight = element_weight(element);
        if (text_is(name, "gzip") || text_is(name, "x-gzip")) {
            accept->weight[ENCODING_GZIP] = weight;
        } else if (text_is(name, "br")) {
            accept->weight[ENCODING_BROTLI] = weight;
        } else if (text_is(name, "identity")) {
            accept->identity = weight;
        } else if (text_is(name, "*")) {
            accept->any = weight;
        }
    }
}

enum encoding accept_choose(const struct accept *accept, const enum encoding *order, size_t count)
{
    enum encoding best = ENCODING_NONE;
    /* Not named, the body as it is is acceptable, and nobody's wish; named, it is one among others. */
    int most = accept->identity >= 0 ? accept->identity : accept->any > 0 ? accept->any : 0;

    for (size_t i = 0; i < count; i++) {
        int weight = accept->weight[order[i]];
        weight = weight >= 0 ? weight : accept->any;
        if (weight > 0 && (weight > most || (weight == most && best == ENCODING_NONE))) {
            best = order[i];
            most = weight;
        }
    }
    return best;
}
