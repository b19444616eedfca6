/* SPDX-License-Identifier: MIT */
/*
 * UTF-8. See utf8.h.
 */
#include "base/utf8.h"

#include <stdlib.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

size_t utf8_character(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text;

    if (len == 0) {
        return 0;
    }
    unsigned char first = at[0];
    size_t whole = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || whole > len) {
        return 0;
    }
    /* The second byte's range keeps out long forms, surrogates and what is above U+10FFFF. */
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < whole; i++, low = 0x80, high = 0xbf) {
        if (at[i] < low || at[i] > high) {
            return 0;
        }
    }
    return whole;
}

bool utf8_valid(struct weir_str text)
{
    for (size_t at = 0; at < text.len;) {
        size_t len = utf8_character(text.ptr + at, text.len - at);
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return true;
}

char *utf8_repair(char *text)
{
    size_t len = strlen(text), out = 0;

    if (utf8_valid((struct weir_str){text, len})) {
        return text;
    }
    char *good = base_alloc(len * (sizeof(REPLACEMENT) - 1) + 1);
    for (size_t at = 0; at < len;) {
        size_t character = utf8_character(text + at, len - at);
        if (character > 0) {
            memcpy(good + out, text + at, character);
            out += character;
            at += character;
        } else {
            memcpy(good + out, REPLACEMENT, sizeof(REPLACEMENT) - 1);
            out += sizeof(REPLACEMENT) - 1;
            at++;
        }
    }
    good[out] = '\0';
    free(text);
    return good;
}
