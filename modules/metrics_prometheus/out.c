/* SPDX-License-Identifier: MIT */
/*
 * Text for Prometheus, without printf where it matters: a scrape of a thousand servers has some ten
 * thousand lines.
 */
#include "out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void out_add(struct out *out, const char *data, size_t len)
{
    if (out->room - out->len < len && !out->failed) {
        size_t room = (out->room + len) * 2 + 1024;
        char *grown = realloc(out->data, room);
        out->failed = grown == NULL;
        if (grown != NULL) {
            out->data = grown;
            out->room = room;
        }
    }
    if (!out->failed && len > 0) {
        memcpy(out->data + out->len, data, len);
        out->len += len;
    }
}

void out_text(struct out *out, const char *text)
{
    out_add(out, text, strlen(text));
}

void out_number(struct out *out, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    out_add(out, digits + at, sizeof(digits) - at);
}

void out_real(struct out *out, double number)
{
    char text[40];

    if (isnan(number)) {
        out_text(out, "NaN");
    } else if (isinf(number)) {
        out_text(out, number > 0 ? "+Inf" : "-Inf");
    } else if (number >= 0 && number < 1e15 && number == floor(number)) {
        out_number(out, (uint64_t)number);
    } else {
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(text, sizeof(text), "%.*g", digits, number);
            if (strtod(text, NULL) == number) {
                break;
            }
        }
        out_text(out, text);
    }
}

/* Bytes of the UTF-8 character at `at`; 0: it is none (RFC 3629: no overlong form, no surrogate). */
static size_t character(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high, len;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (at[0] < forms[i].first_low || at[0] > forms[i].first_high) {
            continue;
        }
        size_t len = forms[i].len;
        if (len > left ||
            (len > 1 && (at[1] < forms[i].second_low || at[1] > forms[i].second_high))) {
            return 0;
        }
        for (size_t k = 2; k < len; k++) {
            if ((at[k] & 0xc0) != 0x80) {
                return 0;
            }
        }
        return len;
    }
    return 0;
}

void out_escaped(struct out *out, struct weir_str text)
{
    const unsigned char *at = (const unsigned char *)text.ptr;

    for (size_t i = 0; i < text.len;) {
        size_t len = character(at + i, text.len - i);
        if (len == 0) {
            out_text(out, "\xef\xbf\xbd");
            len = 1;
        } else if (at[i] == '\\' || at[i] == '"') {
            out_text(out, at[i] == '"' ? "\\\"" : "\\\\");
        } else if (at[i] == '\n') {
            out_text(out, "\\n");
        } else {
            out_add(out, text.ptr + i, len);
        }
        i += len;
    }
}

void out_free(struct out *out)
{
    free(out->data);
    memset(out, 0, sizeof(*out));
}
