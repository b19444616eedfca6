/* SPDX-License-Identifier: MIT */
/*
 * Properties of compress's reading of Accept-Encoding: what is chosen was named or is covered by
 * `*`, white space and the case of letters change nothing, and a field is read like its elements
 * one by one.
 */
#include <stdlib.h>
#include <string.h>

#include "../modules/compress/accept.h"
#include "fuzz/property.h"

static const char *const words[] = {"gzip", "br"};

static const enum encoding order[] = {ENCODING_BROTLI, ENCODING_GZIP};

static enum encoding choose(const char *text, size_t len)
{
    struct accept accept;
    accept_begin(&accept);
    accept_read(&accept, (struct weir_str){text, len});
    for (size_t i = 0; i < ENCODING_COUNT; i++) {
        HOLDS(accept.weight[i] >= -1 && accept.weight[i] <= 1000);
    }
    HOLDS(accept.identity >= -1 && accept.identity <= 1000);
    return accept_choose(&accept, order, 2);
}

static bool has(const char *text, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    for (size_t at = 0; at + word_len <= len; at++) {
        if (weir_str_is_nocase((struct weir_str){text + at, word_len}, word)) {
            return true;
        }
    }
    return false;
}

/* The same elements as fields of their own. */
static enum encoding choose_by_elements(const char *text, size_t len)
{
    struct weir_str rest = {text, len}, element;
    struct accept accept;
    accept_begin(&accept);
    while (weir_list_next(&rest, &element)) {
        HOLDS(element.len > 0 && element.ptr >= text && element.ptr + element.len <= text + len);
        accept_read(&accept, element);
    }
    return accept_choose(&accept, order, 2);
}

void property_accept(const uint8_t *data, size_t len)
{
    char *text = property_copy(data, len);
    enum encoding chosen = choose(text, len);

    HOLDS(chosen == ENCODING_NONE || has(text, len, words[chosen]) || has(text, len, "*"));
    HOLDS(choose_by_elements(text, len) == chosen);
    for (size_t i = 0; i < len; i++) {
        if (text[i] >= 'a' && text[i] <= 'z') {
            text[i] = (char)(text[i] - 'a' + 'A');
        } else if (text[i] == ' ') {
            text[i] = '\t';
        }
    }
    HOLDS(choose(text, len) == chosen);
    free(text);
}
