/* SPDX-License-Identifier: MIT */
/*
 * Text that is to be UTF-8 (RFC 3629), for JSON say. Pure; any thread. What is well-formed:
 * weir/text.h.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/base.h"

/* `text` (from malloc), or, where it is no UTF-8, a copy with U+FFFD for each byte that is not,
 * `text` being freed. From malloc. */
char *utf8_repair(char *text);

#endif
