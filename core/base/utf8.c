/* SPDX-License-Identifier: MIT */
/*
 * Text that is to be UTF-8. See utf8.h.
 */
#include "base/utf8.h"

#include <stdlib.h>

#include <weir/text.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

char *utf8_repair(char *text)
{
    struct weir_str rest = str_from(text);

    if (weir_str_is_utf8(rest)) {
        return text;
    }
    char *good = base_alloc(rest.len * (sizeof(REPLACEMENT) - 1) + 1), *out = good;
    while (rest.len > 0) {
        size_t len = weir_utf8_len(rest);
        const char *character = len > 0 ? rest.ptr : REPLACEMENT;
        out = mempcpy(out, character, len > 0 ? len : sizeof(REPLACEMENT) - 1);
        rest = weir_str_skip(rest, len > 0 ? len : 1);
    }
    *out = '\0';
    free(text);
    return good;
}
