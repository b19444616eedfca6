/* SPDX-License-Identifier: MIT */
/* A visitor's cookies, as a browser keeps them for one site. Max-Age above zero is not timed: a
 * visitor leaves long before. */
#include "visitors_cookies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Copies [from, from + len) without blanks around it; false when it does not fit. */
static bool copy(char *to, size_t room, const char *from, size_t len)
{
    while (len > 0 && (*from == ' ' || *from == '\t')) {
        from++;
        len--;
    }
    while (len > 0 && (from[len - 1] == ' ' || from[len - 1] == '\t')) {
        len--;
    }
    if (len >= room) {
        return false;
    }
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

struct attributes {
    char path[COOKIE_PATH_LEN];
    bool secure;
    bool gone;
};

static bool read_attributes(const char *at, struct attributes *attributes)
{
    snprintf(attributes->path, sizeof attributes->path, "/");
    while (*at == ';') {
        char text[200];
        size_t len = strcspn(++at, ";");
        if (copy(text, sizeof text, at, len)) {
            if (strcasecmp(text, "Secure") == 0) {
                attributes->secure = true;
            } else if (strncasecmp(text, "Max-Age=", 8) == 0) {
                attributes->gone = atol(text + 8) <= 0;
            } else if (strncasecmp(text, "Path=/", 6) == 0) {
                size_t path_len = strlen(text + 5);
                if (path_len >= sizeof attributes->path) {
                    return false;
                }
                memcpy(attributes->path, text + 5, path_len + 1);
            }
        }
        at += len;
    }
    return true;
}

bool cookies_set(struct cookie_jar *jar, const char *field)
{
    char name[COOKIE_NAME_LEN];
    char value[COOKIE_VALUE_LEN];
    struct attributes attributes = {.secure = false};
    size_t pair_len = strcspn(field, ";");
    size_t name_len = strcspn(field, "=");
    if (name_len == 0 || name_len >= pair_len || !copy(name, sizeof name, field, name_len) ||
        !copy(value, sizeof value, field + name_len + 1, pair_len - name_len - 1) ||
        !read_attributes(field + pair_len, &attributes)) {
        return false;
    }
    size_t i = 0;
    while (i < jar->count && (strcmp(jar->cookies[i].name, name) != 0 ||
                              strcmp(jar->cookies[i].path, attributes.path) != 0)) {
        i++;
    }
    if (attributes.gone) {
        if (i < jar->count) {
            jar->cookies[i] = jar->cookies[--jar->count];
        }
        return true;
    }
    if (i == COOKIE_LIMIT) {
        return false;
    }
    jar->count += i == jar->count;
    memcpy(jar->cookies[i].name, name, sizeof name);
    memcpy(jar->cookies[i].value, value, sizeof value);
    memcpy(jar->cookies[i].path, attributes.path, sizeof attributes.path);
    jar->cookies[i].secure = attributes.secure;
    return true;
}

/* RFC 6265 section 5.1.4: whole segments. */
static bool goes_to(const char *cookie_path, const char *path)
{
    size_t len = strlen(cookie_path);
    return strncmp(cookie_path, path, len) == 0 &&
           (cookie_path[len - 1] == '/' || path[len] == '/' || path[len] == '\0' ||
            path[len] == '?');
}

void cookies_for(const struct cookie_jar *jar, const char *path, bool tls, char *out, size_t room)
{
    size_t len = 0;
    *out = '\0';
    for (size_t i = 0; i < jar->count; i++) {
        if (goes_to(jar->cookies[i].path, path) && (tls || !jar->cookies[i].secure)) {
            len += (size_t)snprintf(out + len, room - len, "%s%s=%s", len > 0 ? "; " : "",
                                    jar->cookies[i].name, jar->cookies[i].value);
            if (len >= room) {
                return;
            }
        }
    }
}
