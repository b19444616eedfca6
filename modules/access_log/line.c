/* SPDX-License-Identifier: MIT */
/*
 * One line of a log. No printf: this runs for every request.
 */
#include "line.h"

#include <string.h>

static const char hex[] = "0123456789abcdef";

static void put_bytes(struct line *line, const char *bytes, size_t len)
{
    if (len < LINE_MAX_SIZE - line->len) {
        memcpy(line->text + line->len, bytes, len);
        line->len += len;
    }
}

void line_put(struct line *line, const char *text)
{
    put_bytes(line, text, strlen(text));
}

void line_put_byte(struct line *line, char byte)
{
    put_bytes(line, &byte, 1);
}

void line_put_number(struct line *line, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_bytes(line, digits + at, sizeof(digits) - at);
}

void line_put_ms(struct line *line, uint64_t ns)
{
    uint64_t us = ns / 1000;
    char rest[4] = {'.', (char)('0' + us % 1000 / 100), (char)('0' + us % 100 / 10),
                    (char)('0' + us % 10)};
    line_put_number(line, us / 1000);
    put_bytes(line, rest, sizeof(rest));
}

/* Length of the UTF-8 sequence at the start of the text (RFC 3629); 0: it is none, or a control
 * character of the second row (U+0080 to U+009F), which a terminal would obey. */
static size_t utf8_len(const unsigned char *at, size_t left)
{
    size_t len = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < len) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool surrogate = at[0] == 0xed && at[1] > 0x9f;
    bool beyond = at[0] == 0xf4 && at[1] > 0x8f;
    bool control = at[0] == 0xc2 && at[1] < 0xa0;
    return overlong || surrogate || beyond || control ? 0 : len;
}

/* One byte in its escaped form; its length. */
static size_t escape(unsigned char byte, enum line_style style, char out[6])
{
    size_t len = 0;
    out[len++] = '\\';
    if (byte == '"' || byte == '\\') {
        out[len++] = (char)byte;
        return len;
    }
    if (style == LINE_JSON) {
        out[len++] = 'u';
        out[len++] = '0';
        out[len++] = '0';
    } else {
        out[len++] = 'x';
    }
    out[len++] = hex[byte >> 4];
    out[len++] = hex[byte & 15];
    return len;
}

static bool is_plain(unsigned char byte, enum line_style style)
{
    return byte > 0x20 ? byte < 0x7f && byte != '"' && byte != '\\'
                       : byte == 0x20 && style != LINE_BARE;
}

void line_put_text(struct line *line, struct weir_str text, enum line_style style, size_t limit)
{
    static const char ellipsis[] = "...";
    const unsigned char *at = (const unsigned char *)text.ptr;
    size_t left = text.len;
    size_t start = line->len;
    size_t cut = start; /* where "..." still fits, should the rest not */

    while (left > 0) {
        char escaped[6];
        const char *bytes = (const char *)at;
        size_t taken = 1;
        size_t len = 1;
        if (!is_plain(*at, style)) {
            taken = utf8_len(at, left);
            len = taken;
            if (taken == 0) {
                len = escape(*at, style, escaped);
                bytes = escaped;
                taken = 1;
            }
        }
        if (line->len + len - start > limit) {
            line->len = cut;
            put_bytes(line, ellipsis, sizeof(ellipsis) - 1);
            return;
        }
        put_bytes(line, bytes, len);
        if (line->len + sizeof(ellipsis) - 1 - start <= limit) {
            cut = line->len;
        }
        at += taken;
        left -= taken;
    }
}
