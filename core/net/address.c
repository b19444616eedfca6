/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses from text and back, and networks. Text is read by the rules of the option
 * tables, so that an address means the same wherever it is written.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>

#include "option/option_value.h"

void address_from_bytes(struct address *address, int family, const void *bytes, uint16_t port)
{
    *address = (struct address){0};
    if (family == AF_INET) {
        address->len = sizeof(address->u.in);
        memcpy(&address->u.in.sin_addr, bytes, sizeof(address->u.in.sin_addr));
    } else {
        address->len = sizeof(address->u.in6);
        memcpy(&address->u.in6.sin6_addr, bytes, sizeof(address->u.in6.sin6_addr));
    }
    address->u.any.sa_family = (sa_family_t)family;
    address_set_port(address, port);
}

const uint8_t *address_bytes(const struct address *address, bool unmap, size_t *len)
{
    const struct in6_addr *ip6 = &address->u.in6.sin6_addr;
    bool mapped = false;

    switch (address->u.any.sa_family) {
    case AF_INET: *len = 4; return (const uint8_t *)&address->u.in.sin_addr;
    case AF_INET6:
        mapped = unmap && IN6_IS_ADDR_V4MAPPED(ip6);
        *len = mapped ? 4 : 16;
        return mapped ? ip6->s6_addr + 12 : ip6->s6_addr;
    default: *len = 0; return NULL;
    }
}

bool address_from_host(struct address *address, struct weir_str host, uint16_t port)
{
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    uint8_t bytes[16];
    uint32_t scope = 0;

    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host = (struct weir_str){host.ptr + 1, host.len - 2};
    }
    if (host.len == 0 || host.len >= sizeof(text) || memchr(host.ptr, '\0', host.len) != NULL) {
        return false;
    }
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, bytes) == 1) {
        address_from_bytes(address, AF_INET, bytes, port);
        return true;
    }
    char *zone = strchr(text, '%');
    if (zone != NULL) {
        *zone++ = '\0';
        scope = if_nametoindex(zone);
        if (scope == 0) {
            return false;
        }
    }
    if (inet_pton(AF_INET6, text, bytes) != 1) {
        return false;
    }
    address_from_bytes(address, AF_INET6, bytes, port);
    address->u.in6.sin6_scope_id = scope;
    return true;
}

void address_from_unix(struct address *address, struct weir_str path)
{
    *address = (struct address){0};
    ASSERT(path.len < sizeof(address->u.un.sun_path));
    address->u.un.sun_family = AF_UNIX;
    if (path.len > 0) {
        memcpy(address->u.un.sun_path, path.ptr, path.len);
    }
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
}

bool address_parse(struct address *address, struct weir_str text, char *error, size_t error_size)
{
    struct option_address parts;
    char any[16];

    /* "*" is every IPv4 address; [::] is every IPv6 one. */
    if (text.len >= 2 && text.len < 8 && text.ptr[0] == '*' && text.ptr[1] == ':') {
        int len = snprintf(any, sizeof(any), "0.0.0.0%.*s", (int)text.len - 1, text.ptr + 1);
        text = (struct weir_str){any, (size_t)len};
    }
    if (!option_address_parse(text.ptr, text.len, &parts, error, error_size)) {
        return false;
    }
    if (parts.local) {
        address_from_unix(address, parts.host);
        return true;
    }
    if (!parts.numeric) {
        snprintf(error, error_size,
                 "`%.*s` is a name; an IP address must stand here, such as 127.0.0.1:%u or "
                 "[::1]:%u",
                 STR_ARGS(parts.host), parts.port, parts.port);
        return false;
    }
    if (!address_from_host(address, parts.host, parts.port)) {
        snprintf(error, error_size, "`%.*s` names a network interface that is not there",
                 STR_ARGS(parts.host));
        return false;
    }
    return true;
}

bool address_parse_name(struct weir_str text, struct weir_str *host, uint16_t *port)
{
    struct option_address parts;
    char error[OPTION_ERROR_SIZE];

    if (text.len == 0 || !option_address_parse(text.ptr, text.len, &parts, error, sizeof(error)) ||
        parts.local || parts.numeric) {
        return false;
    }
    *host = parts.host;
    *port = parts.port;
    return true;
}

/* What snprintf wrote, of what it would have written. */
static size_t written(int wanted, size_t size)
{
    size_t len = wanted > 0 ? (size_t)wanted : 0;
    return len < size ? len : size > 0 ? size - 1 : 0;
}

size_t address_text(const struct address *address, char *out, size_t size)
{
    char text[INET6_ADDRSTRLEN], zone[IF_NAMESIZE];
    size_t len;
    const uint8_t *bytes = address_bytes(address, true, &len);

    if (bytes == NULL) {
        return written(snprintf(out, size, "unix"), size);
    }
    inet_ntop(len == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
    bool zoned = len == 16 && address->u.in6.sin6_scope_id != 0 &&
                 if_indextoname(address->u.in6.sin6_scope_id, zone) != NULL;
    return written(snprintf(out, size, "%s%s%s", text, zoned ? "%" : "", zoned ? zone : ""), size);
}

size_t address_text_port(const struct address *address, char *out, size_t size)
{
    char host[ADDRESS_TEXT_SIZE];

    if (address->u.any.sa_family == AF_UNIX) {
        size_t head = offsetof(struct sockaddr_un, sun_path);
        size_t room = address->len > head ? address->len - head : 0;
        size_t len = strnlen(address->u.un.sun_path, room);
        return written(snprintf(out, size, "unix:%.*s", (int)len, address->u.un.sun_path), size);
    }
    address_text(address, host, sizeof(host));
    const char *format = strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u";
    return written(snprintf(out, size, format, host, address_port(address)), size);
}

uint16_t address_port(const struct address *address)
{
    switch (address->u.any.sa_family) {
    case AF_INET: return ntohs(address->u.in.sin_port);
    case AF_INET6: return ntohs(address->u.in6.sin6_port);
    default: return 0;
    }
}

void address_set_port(struct address *address, uint16_t port)
{
    in_port_t *place =
        address->u.any.sa_family == AF_INET ? &address->u.in.sin_port : &address->u.in6.sin6_port;
    *place = htons(port);
}

bool address_equal(const struct address *a, const struct address *b)
{
    if (a->u.any.sa_family != b->u.any.sa_family) {
        return false;
    }
    switch (a->u.any.sa_family) {
    case AF_INET:
        return a->u.in.sin_port == b->u.in.sin_port &&
               a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
    case AF_INET6:
        return a->u.in6.sin6_port == b->u.in6.sin6_port &&
               a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id &&
               memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof(struct in6_addr)) == 0;
    default:
        return a->len == b->len &&
               memcmp(&a->u.un, &b->u.un, a->len < sizeof(a->u.un) ? a->len : sizeof(a->u.un)) == 0;
    }
}

bool address_is_loopback(const struct address *address)
{
    size_t len;
    const uint8_t *bytes = address_bytes(address, true, &len);

    if (bytes == NULL) {
        return true; /* a Unix socket */
    }
    return len == 4 ? bytes[0] == IN_LOOPBACKNET : IN6_IS_ADDR_LOOPBACK(&address->u.in6.sin6_addr);
}

static bool same_file(const struct sockaddr_un *a, const struct sockaddr_un *b)
{
    char folders[2][sizeof(a->sun_path) + 1];
    const struct sockaddr_un *both[2] = {a, b};
    const char *names[2];
    struct stat status[2];

    for (size_t i = 0; i < 2; i++) {
        const char *slash = strrchr(both[i]->sun_path, '/');
        size_t len = slash != NULL ? (size_t)(slash - both[i]->sun_path) + 1 : 0;
        snprintf(folders[i], sizeof(folders[i]), "%.*s.", (int)len, both[i]->sun_path);
        names[i] = both[i]->sun_path + len;
    }
    return strcmp(names[0], names[1]) == 0 && stat(folders[0], &status[0]) == 0 &&
           stat(folders[1], &status[1]) == 0 && status[0].st_dev == status[1].st_dev &&
           status[0].st_ino == status[1].st_ino;
}

static bool is_any(const struct address *address)
{
    return address->u.any.sa_family == AF_INET ? address->u.in.sin_addr.s_addr == htonl(INADDR_ANY)
                                               : IN6_IS_ADDR_UNSPECIFIED(&address->u.in6.sin6_addr);
}

bool address_overlaps(const struct address *a, const struct address *b)
{
    if (a->u.any.sa_family != b->u.any.sa_family) {
        return false;
    }
    if (a->u.any.sa_family == AF_UNIX) {
        return address_equal(a, b) || same_file(&a->u.un, &b->u.un);
    }
    return address_port(a) != 0 && address_port(a) == address_port(b) &&
           (address_equal(a, b) || is_any(a) || is_any(b));
}

/* Of IPv4 addresses in IPv6 (RFC 4291 section 2.5.5.2). */
static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool network_parse(struct network *network, struct weir_str text)
{
    struct option_network parsed;
    char error[OPTION_ERROR_SIZE];

    *network = (struct network){0};
    if (str_equal(text, STR("unix"))) {
        return true;
    }
    if (!option_network_parse(text.ptr, text.len, &parsed, error, sizeof(error))) {
        return false;
    }
    memcpy(network->bytes, parsed.bytes, sizeof(network->bytes));
    network->bits = (uint8_t)parsed.bits;
    network->family_bytes = parsed.family == AF_INET ? 4 : 16;
    if (network->family_bytes == 16 && network->bits >= 96 &&
        memcmp(network->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        memmove(network->bytes, network->bytes + 12, 4); /* ::ffff:192.0.2.0/120 is 192.0.2.0/24 */
        network->bits = (uint8_t)(network->bits - 96);
        network->family_bytes = 4;
    }
    return true;
}

bool network_contains(const struct network *network, const struct address *address)
{
    size_t len;
    /* ::ffff:192.0.2.1 is a client of 192.0.2.0/24. */
    const uint8_t *bytes = address_bytes(address, network->family_bytes == 4, &len);

    if (bytes == NULL || len != network->family_bytes) {
        return bytes == NULL && network->family_bytes == 0;
    }
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (memcmp(bytes, network->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 || (bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}
