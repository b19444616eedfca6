/* SPDX-License-Identifier: MIT */
/* HTTP's character classes: the grammar's rules as expressions, unfolded into one table. */
#include "http/syntax.h"

#define ONE_OF2(c, a, b)       ((c) == (a) || (c) == (b))
#define ONE_OF4(c, a, b, d, e) (ONE_OF2(c, a, b) || ONE_OF2(c, d, e))

#define ALPHA(c)      (((c) >= 'A' && (c) <= 'Z') || ((c) >= 'a' && (c) <= 'z'))
#define DIGIT(c)      ((c) >= '0' && (c) <= '9')
#define VISIBLE(c)    ((c) > 0x20 && (c) < 0x7f)
#define UNRESERVED(c) (ALPHA(c) || DIGIT(c) || ONE_OF4(c, '-', '.', '_', '~'))
#define SUB_DELIM(c)                                                                              \
    (ONE_OF4(c, '!', '$', '&', '\'') || ONE_OF4(c, '(', ')', '*', '+') || ONE_OF2(c, ',', ';') || \
     (c) == '=')
#define TOKEN(c)                                                                                  \
    (ALPHA(c) || DIGIT(c) || ONE_OF4(c, '!', '#', '$', '%') || ONE_OF4(c, '&', '\'', '*', '+') || \
     ONE_OF4(c, '-', '.', '^', '_') || ONE_OF2(c, '|', '~') || (c) == '`')
#define PATH(c) (UNRESERVED(c) || SUB_DELIM(c) || ONE_OF2(c, ':', '@') || (c) == '/')
#define PATH_RAW(c) \
    (ONE_OF4(c, '"', '<', '>', '^') || ONE_OF4(c, '[', ']', '{', '}') || ONE_OF2(c, '|', '`'))
#define HOST(c)  (UNRESERVED(c) || (SUB_DELIM(c) && (c) != ','))
#define VALUE(c) (VISIBLE(c) || ONE_OF2(c, ' ', '\t') || (c) >= 0x80)

#define CLASS(c)                                                               \
    ((TOKEN(c) ? SYNTAX_TOKEN : 0) | (PATH(c) ? SYNTAX_PATH : 0) |             \
     (PATH_RAW(c) ? SYNTAX_PATH_RAW : 0) | (HOST(c) ? SYNTAX_HOST : 0) |       \
     (UNRESERVED(c) ? SYNTAX_UNRESERVED : 0) | (VALUE(c) ? SYNTAX_VALUE : 0) | \
     (VISIBLE(c) ? SYNTAX_VISIBLE : 0))

#define CLASS4(c)  CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASS16(c) CLASS4(c), CLASS4((c) + 4), CLASS4((c) + 8), CLASS4((c) + 12)
#define CLASS64(c) CLASS16(c), CLASS16((c) + 16), CLASS16((c) + 32), CLASS16((c) + 48)

const uint8_t syntax_class[256] = {CLASS64(0), CLASS64(64), CLASS64(128), CLASS64(192)};

bool syntax_all(struct weir_str text, unsigned classes)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!syntax_is(text.ptr[i], classes)) {
            return false;
        }
    }
    return true;
}
