/* SPDX-License-Identifier: MIT */
/* A visitor's cookies, as a browser keeps them for one site. */
#ifndef WEIR_DEMO_VISITORS_COOKIES_H
#define WEIR_DEMO_VISITORS_COOKIES_H

#include <stdbool.h>
#include <stddef.h>

enum { COOKIE_LIMIT = 8, COOKIE_NAME_LEN = 64, COOKIE_VALUE_LEN = 1024, COOKIE_PATH_LEN = 64 };

struct cookie_jar {
    size_t count;
    struct {
        char name[COOKIE_NAME_LEN];
        char value[COOKIE_VALUE_LEN];
        char path[COOKIE_PATH_LEN];
        bool secure;
    } cookies[COOKIE_LIMIT];
};

/* Obeys one Set-Cookie: Path, Secure, and Max-Age of zero or less. False when the field is
 * malformed or too large to keep. */
bool cookies_set(struct cookie_jar *jar, const char *field);
/* Writes the value of the Cookie field for a path, "" when no cookie goes there. */
void cookies_for(const struct cookie_jar *jar, const char *path, bool tls, char *out, size_t room);

#endif
