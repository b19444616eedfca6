/* SPDX-License-Identifier: MIT */
/*
 * Addresses, networks and URLs: what may be written, and what a user is told who wrote something
 * else.
 */
#include "option_value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define HOST_NAME_MAX_LEN 253
#define LABEL_MAX_LEN     63
/* inet_pton wants a NUL at the end; the longest IPv6 text is shorter than this. */
#define NUMERIC_MAX_LEN 48

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool starts_with(const char *text, size_t len, const char *prefix)
{
    size_t prefix_len = strlen(prefix);
    return len >= prefix_len && memcmp(text, prefix, prefix_len) == 0;
}

static bool numeric_parse(int family, const char *text, size_t len, uint8_t bytes[16])
{
    char buffer[NUMERIC_MAX_LEN];
    if (len == 0 || len >= sizeof(buffer) || memchr(text, '\0', len) != NULL) {
        return false;
    }
    memcpy(buffer, text, len);
    buffer[len] = '\0';
    return inet_pton(family, buffer, bytes) == 1;
}

/* An IPv6 address may carry a zone, fe80::1%eth0, which inet_pton does not take. */
static bool ipv6_is_valid(const char *text, size_t len)
{
    uint8_t bytes[16];
    const char *zone = memchr(text, '%', len);
    size_t address_len = zone != NULL ? (size_t)(zone - text) : len;
    if (zone != NULL) {
        if (address_len + 1 == len) {
            return false;
        }
        for (const char *c = zone + 1; c < text + len; c++) {
            if (!is_alnum(*c) && *c != '.' && *c != '_' && *c != '-') {
                return false;
            }
        }
    }
    return numeric_parse(AF_INET6, text, address_len, bytes);
}

/* A name whose last label is a number would be read as an IPv4 address by some and not by
 * others. */
static bool host_name_is_valid(const char *text, size_t len)
{
    size_t label = 0;
    bool only_digits = true;

    if (len > 0 && text[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len > HOST_NAME_MAX_LEN) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '.') {
            if (label == 0 || text[i - 1] == '-') {
                return false;
            }
            label = 0;
            only_digits = true;
            continue;
        }
        if (!is_alnum(c) && c != '_' && !(c == '-' && label > 0)) {
            return false;
        }
        only_digits = only_digits && is_digit(c);
        if (++label > LABEL_MAX_LEN) {
            return false;
        }
    }
    return label > 0 && text[len - 1] != '-' && !only_digits;
}

static bool port_parse(const char *text, size_t len, uint16_t *port)
{
    unsigned value = 0;
    if (len == 0 || len > 5) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

static bool socket_path_check(const char *path, size_t len, const char *shown, char *error,
                              size_t error_size)
{
    size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (len == 0) {
        snprintf(error, error_size, "%s names no socket; write for example unix:/run/app.sock",
                 shown);
        return false;
    }
    if (len > room) {
        snprintf(error, error_size, "the path in %s has %zu bytes; a socket's has at most %zu",
                 shown, len, room);
        return false;
    }
    if (memchr(path, '\0', len) != NULL) {
        snprintf(error, error_size, "the path in %s has a zero byte", shown);
        return false;
    }
    return true;
}

/* HOST, HOST:PORT, [IPV6] or [IPV6]:PORT; `*has_port` says which. `shown` is for messages. */
static bool authority_parse(const char *text, size_t len, struct option_address *out,
                            bool *has_port, const char *shown, char *error, size_t error_size)
{
    const char *host = text;
    size_t host_len;
    const char *rest;
    uint8_t bytes[16];

    if (len > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', len);
        host = text + 1;
        host_len = end != NULL ? (size_t)(end - host) : 0;
        rest = end != NULL ? end + 1 : text + len;
        if (end == NULL || !ipv6_is_valid(host, host_len)) {
            snprintf(error, error_size, "%s has no IPv6 address in its brackets", shown);
            return false;
        }
        out->numeric = true;
    } else {
        const char *colon = memchr(text, ':', len);
        host_len = colon != NULL ? (size_t)(colon - text) : len;
        rest = host + host_len;
        if (colon != NULL && memchr(colon + 1, ':', len - host_len - 1) != NULL) {
            snprintf(error, error_size,
                     "%s: an IPv6 address is written in brackets, for example [2001:db8::1]:8080",
                     shown);
            return false;
        }
        out->numeric = numeric_parse(AF_INET, host, host_len, bytes);
        if (!out->numeric && !host_name_is_valid(host, host_len)) {
            snprintf(error, error_size,
                     "%s has neither an IP address nor a host name before the port", shown);
            return false;
        }
    }
    out->local = false;
    out->host = (struct weir_str){host, host_len};
    out->port = 0;
    *has_port = rest < text + len;
    if (*has_port &&
        (*rest != ':' || !port_parse(rest + 1, (size_t)(text + len - rest) - 1, &out->port))) {
        snprintf(error, error_size, "%s has no valid port; ports go from 1 to 65535", shown);
        return false;
    }
    return true;
}

bool option_address_parse(const char *text, size_t len, struct option_address *out, char *error,
                          size_t error_size)
{
    char shown[80];
    struct option_address address;
    bool has_port;

    option_show(shown, sizeof(shown), text, len);
    if (starts_with(text, len, "unix:")) {
        if (!socket_path_check(text + 5, len - 5, shown, error, error_size)) {
            return false;
        }
        *out = (struct option_address){true, false, {text + 5, len - 5}, 0};
        return true;
    }
    if (!authority_parse(text, len, &address, &has_port, shown, error, error_size)) {
        return false;
    }
    if (!has_port) {
        snprintf(error, error_size,
                 "%s has no port; write for example 127.0.0.1:8080, [::1]:8080, app.example:8080 "
                 "or unix:/run/app.sock",
                 shown);
        return false;
    }
    *out = address;
    return true;
}

/* Clears the bits beyond `bits`; says whether one was set. */
static bool host_bits_clear(uint8_t *bytes, size_t count, unsigned bits)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        unsigned kept = bits > i * 8 ? bits - (unsigned)i * 8 : 0;
        uint8_t mask = kept >= 8 ? 0xff : (uint8_t)(0xff00u >> kept);
        found = found || (bytes[i] & (uint8_t)~mask) != 0;
        bytes[i] &= mask;
    }
    return found;
}

bool option_network_parse(const char *text, size_t len, struct option_network *out, char *error,
                          size_t error_size)
{
    char shown[80], right[INET6_ADDRSTRLEN];
    struct option_network network = {0};
    const char *slash = memchr(text, '/', len);
    size_t address_len = slash != NULL ? (size_t)(slash - text) : len;
    uint16_t bits;

    option_show(shown, sizeof(shown), text, len);
    if (numeric_parse(AF_INET, text, address_len, network.bytes)) {
        network.family = AF_INET;
    } else if (numeric_parse(AF_INET6, text, address_len, network.bytes)) {
        network.family = AF_INET6;
    } else {
        snprintf(error, error_size,
                 "%s is not a network; write for example 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32",
                 shown);
        return false;
    }
    unsigned most = network.family == AF_INET ? 32 : 128;
    network.bits = most;
    if (slash != NULL) {
        if (!port_parse(slash + 1, len - address_len - 1, &bits) || bits > most) {
            snprintf(error, error_size, "%s: the number of bits goes from 0 to %u", shown, most);
            return false;
        }
        network.bits = bits;
    }
    if (host_bits_clear(network.bytes, most / 8, network.bits)) {
        inet_ntop(network.family, network.bytes, right, sizeof(right));
        snprintf(error, error_size, "%s has bits set beyond its first %u; write %s/%u", shown,
                 network.bits, right, network.bits);
        return false;
    }
    *out = network;
    return true;
}

static void lower(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] >= 'A' && text[i] <= 'Z') {
            text[i] = (char)(text[i] - 'A' + 'a');
        }
    }
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 3986 section 3.3: pchar and the slash. */
static bool url_path_check(const char *path, size_t len, const char *shown, char *error,
                           size_t error_size)
{
    for (size_t i = 0; i < len; i++) {
        char c = path[i];
        if (c == '?' || c == '#') {
            snprintf(error, error_size, "%s has a %s; only scheme, host, port and path may stand",
                     shown, c == '?' ? "query" : "fragment");
            return false;
        }
        bool escape = c == '%' && i + 2 < len && is_hex(path[i + 1]) && is_hex(path[i + 2]);
        if (!escape && !is_alnum(c) && (c == '\0' || strchr("-._~!$&'()*+,;=:@/", c) == NULL)) {
            snprintf(error, error_size,
                     "%s has a character in its path that must be written %%%02X", shown,
                     (unsigned)(unsigned char)c);
            return false;
        }
    }
    return true;
}

bool option_url_parse(char *text, size_t len, struct weir_url *out, char *error, size_t error_size)
{
    char shown[80];
    struct option_address address;
    bool has_port;

    option_show(shown, sizeof(shown), text, len);
    const char *colon = memchr(text, ':', len);
    size_t scheme_len = colon != NULL ? (size_t)(colon - text) : 0;
    lower(text, scheme_len);
    struct weir_url url = {.text = {text, len}, .scheme = {text, scheme_len}};
    const char *rest = text + scheme_len + 1;

    if (scheme_len == 4 && memcmp(text, "unix", 4) == 0) {
        size_t path_len = len - 5;
        if (path_len == 0 || rest[0] != '/' || (path_len > 1 && rest[1] == '/')) {
            snprintf(error, error_size, "%s names no socket; write for example unix:/run/app.sock",
                     shown);
            return false;
        }
        if (!socket_path_check(rest, path_len, shown, error, error_size)) {
            return false;
        }
        url.path = (struct weir_str){rest, path_len};
        *out = url;
        return true;
    }
    url.tls = scheme_len == 5 && memcmp(text, "https", 5) == 0;
    if ((!url.tls && !(scheme_len == 4 && memcmp(text, "http", 4) == 0)) ||
        !starts_with(rest, len - scheme_len - 1, "//")) {
        snprintf(error, error_size,
                 "%s is not a URL; write for example http://127.0.0.1:3001, "
                 "https://app.example or unix:/run/app.sock",
                 shown);
        return false;
    }
    char *authority = text + scheme_len + 3;
    size_t authority_len = 0, left = len - scheme_len - 3;
    while (authority_len < left && strchr("/?#", authority[authority_len]) == NULL) {
        authority_len++;
    }
    if (memchr(authority, '@', authority_len) != NULL) {
        snprintf(error, error_size, "a URL here has no user name or password before its host");
        return false;
    }
    if (!authority_parse(authority, authority_len, &address, &has_port, shown, error, error_size)) {
        return false;
    }
    if (has_port && address.port == 0) {
        snprintf(error, error_size, "%s has no valid port; ports go from 1 to 65535", shown);
        return false;
    }
    if (!url_path_check(authority + authority_len, left - authority_len, shown, error,
                        error_size)) {
        return false;
    }
    lower(authority, authority_len);
    url.host = address.host;
    url.port = has_port ? address.port : url.tls ? 443 : 80;
    url.path = (struct weir_str){authority + authority_len, left - authority_len};
    *out = url;
    return true;
}
