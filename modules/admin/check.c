/* SPDX-License-Identifier: MIT */
/*
 * Host, origin, cookies. See check.h.
 */
#include "check.h"

#include <arpa/inet.h>

bool check_is_address(struct weir_str host)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host.ptr++;
        host.len -= 2;
    }
    if (host.len == 0 || host.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

bool check_host(struct weir_str host, const struct weir_list *allowed)
{
    const struct weir_str *names = allowed->items;

    if (host.len > 0 && host.ptr[host.len - 1] == '.') {
        host.len--;
    }
    if (weir_str_is_nocase(host, "localhost") || check_is_address(host)) {
        return true;
    }
    for (size_t i = 0; i < allowed->count; i++) {
        if (weir_str_is_nocase(host, names[i].ptr)) {
            return true;
        }
    }
    return false;
}

/* SCHEME://AUTHORITY of the request itself. */
static bool is_own_origin(const struct weir_request *req, struct weir_str origin)
{
    struct weir_str scheme = weir_request_str(req, WEIR_REQUEST_SCHEME);
    struct weir_str authority = weir_request_str(req, WEIR_REQUEST_AUTHORITY);

    if (origin.len != scheme.len + 3 + authority.len ||
        memcmp(origin.ptr, scheme.ptr, scheme.len) != 0 ||
        memcmp(origin.ptr + scheme.len, "://", 3) != 0) {
        return false;
    }
    for (size_t i = 0; i < authority.len; i++) {
        char a = origin.ptr[scheme.len + 3 + i], b = authority.ptr[i];
        a = a >= 'A' && a <= 'Z' ? (char)(a + 32) : a;
        b = b >= 'A' && b <= 'Z' ? (char)(b + 32) : b;
        if (a != b) {
            return false;
        }
    }
    return true;
}

bool check_origin(const struct weir_request *req)
{
    struct weir_str value;

    if (weir_request_header(req, "Sec-Fetch-Site", &value) && !weir_str_is(value, "same-origin") &&
        !weir_str_is(value, "none")) {
        return false;
    }
    return !weir_request_header(req, "Origin", &value) || is_own_origin(req, value);
}

bool check_is_forwarded(const struct weir_request *req)
{
    struct weir_str value;
    return weir_request_header(req, "Forwarded", &value) ||
           weir_request_header(req, "Via", &value) ||
           weir_request_header(req, "X-Forwarded-For", &value) ||
           weir_request_header(req, "X-Real-IP", &value);
}
