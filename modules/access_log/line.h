/* SPDX-License-Identifier: MIT */
/*
 * One line of a log, built in place: numbers, times, and text from strangers, escaped and cut so that a
 * line can neither be broken nor grow without bound.
 */
#ifndef ACCESS_LOG_LINE_H
#define ACCESS_LOG_LINE_H

#include <weir/module.h>

/* The longest line. Its parts are limited one by one (TEXT_...), and together stay below. */
#define LINE_MAX_SIZE ((size_t)16 * 1024)

/* Bytes that a text may take after escaping; what is longer is cut, and ends in "...". */
#define TEXT_TARGET   4096
#define TEXT_REFERRER 2048
#define TEXT_AGENT    1024
#define TEXT_NAME     256

enum line_style {
    LINE_QUOTED, /* inside double quotes of a combined log: \" \\ \xHH */
    LINE_BARE,   /* between blanks: blanks are escaped as well */
    LINE_JSON,   /* inside a JSON string: \" \\ \u00HH */
};

/* Invariant: len < LINE_MAX_SIZE. */
struct line {
    size_t len;
    char text[LINE_MAX_SIZE];
};

void line_put(struct line *line, const char *text);
void line_put_byte(struct line *line, char byte);
void line_put_number(struct line *line, uint64_t number);

/* Nanoseconds as milliseconds with three digits after the point. */
void line_put_ms(struct line *line, uint64_t ns);

/* Text from elsewhere, escaped; at most `limit` bytes of output. UTF-8 passes as it is, but for its
 * control characters; bytes that are not UTF-8 are escaped. */
void line_put_text(struct line *line, struct weir_str text, enum line_style style, size_t limit);

#endif
