/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 (RFC 3629): what is well-formed. Pure; any thread.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/base.h"

/* Bytes of the character that `text` (of `len` bytes) begins with: 1 to 4; 0: it begins with none,
 * that is, it is empty, cut, too long a form, a surrogate, or above U+10FFFF. */
size_t utf8_character(const char *text, size_t len);
bool utf8_valid(struct weir_str text);
/* `text` (from malloc), or, where it is no UTF-8, a copy with U+FFFD for each byte that is not,
 * `text` being freed. From malloc. */
char *utf8_repair(char *text);

#endif
