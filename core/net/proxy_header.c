/* SPDX-License-Identifier: MIT */
/*
 * The PROXY protocol's headers. See proxy_header.h.
 */
#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <stdio.h>

/* ---- version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n" ---- */

static const char v1_begin[] = "PROXY ";
#define V1_BEGIN_LEN (sizeof(v1_begin) - 1)
#define V1_MAX       107u /* CR and LF included (section 2.1) */

static enum proxy_header_result bad(const char **reason, const char *why)
{
    *reason = why;
    return PROXY_HEADER_BAD;
}

/* The next word, ended by one blank or by the line's end. */
static struct weir_str v1_word(struct weir_str *line)
{
    struct weir_str word = *line;
    const char *blank = memchr(line->ptr, ' ', line->len);

    if (blank == NULL) {
        *line = (struct weir_str){line->ptr + line->len, 0};
        return word;
    }
    word.len = (size_t)(blank - line->ptr);
    line->ptr += word.len + 1;
    line->len -= word.len + 1;
    return word;
}

static bool v1_port(struct weir_str word, uint16_t *port)
{
    unsigned value = 0;

    if (word.len == 0 || word.len > 5 || (word.len > 1 && word.ptr[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < '0' || word.ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(word.ptr[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static bool v1_address(struct weir_str word, int family, struct address *address)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (word.len == 0 || word.len >= sizeof(text) || memchr(word.ptr, '\0', word.len) != NULL) {
        return false;
    }
    memcpy(text, word.ptr, word.len);
    text[word.len] = '\0';
    if (inet_pton(family, text, bytes) != 1) {
        return false;
    }
    address_from_bytes(address, family, bytes, 0);
    return true;
}

static enum proxy_header_result v1_line(struct weir_str line, struct proxy_header *header,
                                        const char **reason)
{
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    struct weir_str protocol = v1_word(&line);
    int family = AF_INET;

    if (str_equal(protocol, STR("UNKNOWN"))) {
        return PROXY_HEADER_OK; /* whatever follows is to be ignored */
    }
    if (str_equal(protocol, STR("TCP6"))) {
        family = AF_INET6;
    } else if (!str_equal(protocol, STR("TCP4"))) {
        return bad(reason, "its protocol is none of TCP4, TCP6, UNKNOWN");
    }
    if (!v1_address(v1_word(&line), family, &header->source) ||
        !v1_address(v1_word(&line), family, &header->destination)) {
        return bad(reason, "an address in it is malformed");
    }
    /* The last word takes the whole rest: a blank behind it is no port. */
    if (!v1_port(v1_word(&line), &source_port) || !v1_port(line, &destination_port)) {
        return bad(reason, "a port in it is malformed");
    }
    address_set_port(&header->source, source_port);
    address_set_port(&header->destination, destination_port);
    header->known = true;
    return PROXY_HEADER_OK;
}

static enum proxy_header_result v1_parse(const char *data, size_t len, struct proxy_header *header,
                                         const char **reason)
{
    size_t room = len < V1_MAX ? len : V1_MAX;
    const char *end = memchr(data, '\n', room);

    if (end == NULL) {
        return room < V1_MAX ? PROXY_HEADER_INCOMPLETE
                             : bad(reason, "no line of 107 bytes at most");
    }
    if (end[-1] != '\r') {
        return bad(reason, "its line does not end in CR LF");
    }
    header->version = 1;
    header->len = (size_t)(end + 1 - data);
    struct weir_str line = {data + V1_BEGIN_LEN, header->len - V1_BEGIN_LEN - 2};
    return v1_line(line, header, reason);
}

/* ---- version 2: binary ---- */

static const char v2_signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                      '\n', 'Q',  'U',  'I',  'T',  '\n'};
#define V2_FIXED 16u /* signature, version and command, family and protocol, length */

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { V2_UNSPEC = 0x00, V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX = 0x31 };
enum { V2_UDP4 = 0x12, V2_UDP6 = 0x22, V2_UNIX_DATAGRAM = 0x32 };
enum { V2_UNIX_SIZE = 216, V2_PATH_SIZE = 108 };

#define TLV_HEAD   3u
#define TLV_CRC32C 0x03

static uint16_t get_u16(const char *data)
{
    return (uint16_t)((unsigned char)data[0] << 8 | (unsigned char)data[1]);
}

static uint32_t get_u32(const char *data)
{
    return (uint32_t)get_u16(data) << 16 | (uint32_t)get_u16(data + 2);
}

/* CRC-32C (Castagnoli) continued over some bytes, four bits at a time; begin and end are the
 * caller's inversions. */
static uint32_t crc32c(uint32_t crc, const char *data, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

/* The checksum is over the whole header, with zeros in its own place (section 2.2.2). */
static bool checksum_right(const char *data, size_t len, const char *value)
{
    static const char zeros[4] = {0};
    size_t before = (size_t)(value - data);
    uint32_t crc = crc32c(UINT32_MAX, data, before);

    crc = crc32c(crc, zeros, sizeof(zeros));
    crc = crc32c(crc, value + 4, len - before - 4);
    return ~crc == get_u32(value);
}

/* TLVs are skipped, but they must fill the header exactly, and a checksum must be right. */
static bool v2_tlvs(const char *data, size_t at, size_t len, const char **reason)
{
    bool checked = false;

    while (at < len) {
        if (len - at < TLV_HEAD || get_u16(data + at + 1) > len - at - TLV_HEAD) {
            *reason = "a TLV in it is longer than the header";
            return false;
        }
        size_t value_len = get_u16(data + at + 1);
        if (data[at] == TLV_CRC32C) {
            if (checked || value_len != 4 || !checksum_right(data, len, data + at + TLV_HEAD)) {
                *reason = "its checksum is wrong";
                return false;
            }
            checked = true;
        }
        at += TLV_HEAD + value_len;
    }
    return true;
}

static void v2_path(const char *data, struct address *address)
{
    address_from_unix(address, (struct weir_str){data, strnlen(data, V2_PATH_SIZE - 1)});
}

/* Defined, and not served: the receiver takes it as it takes UNSPEC, and goes by the connection's
 * real ends (section 2.2). All others are to be refused. */
static bool v2_unspecified(unsigned family)
{
    return family == V2_UNSPEC || family == V2_UDP4 || family == V2_UDP6 ||
           family == V2_UNIX_DATAGRAM;
}

/* The block's addresses; *used says how many bytes they take. false: no such family, or cut. */
static bool v2_addresses(const char *block, size_t len, unsigned family,
                         struct proxy_header *header, size_t *used)
{
    size_t ip = family == V2_TCP4 ? 4 : family == V2_TCP6 ? 16 : 0;

    if (ip == 0 && family != V2_UNIX) {
        return false;
    }
    *used = ip > 0 ? 2 * ip + 4 : V2_UNIX_SIZE;
    header->known = len >= *used;
    if (header->known && ip > 0) {
        int kind = ip == 4 ? AF_INET : AF_INET6;
        address_from_bytes(&header->source, kind, block, get_u16(block + 2 * ip));
        address_from_bytes(&header->destination, kind, block + ip, get_u16(block + 2 * ip + 2));
    } else if (header->known) {
        v2_path(block, &header->source);
        v2_path(block + V2_PATH_SIZE, &header->destination);
    }
    return header->known;
}

static enum proxy_header_result v2_parse(const char *data, size_t len, struct proxy_header *header,
                                         const char **reason)
{
    if (len < V2_FIXED) {
        return PROXY_HEADER_INCOMPLETE;
    }
    unsigned command = (unsigned char)data[12];
    unsigned family = (unsigned char)data[13];
    size_t block_len = get_u16(data + 14);
    size_t used = 0;

    header->version = 2;
    header->len = V2_FIXED + block_len;
    if (command != V2_LOCAL && command != V2_PROXY) {
        return bad(reason, "its version or command is not defined");
    }
    if (header->len > PROXY_HEADER_MAX) {
        return bad(reason, "it is longer than 4096 bytes");
    }
    if (len < header->len) {
        return PROXY_HEADER_INCOMPLETE;
    }
    if (command == V2_LOCAL || v2_unspecified(family)) {
        return PROXY_HEADER_OK; /* the block is to be discarded, whatever it says */
    }
    if (!v2_addresses(data + V2_FIXED, block_len, family, header, &used)) {
        return bad(reason, "its addresses are cut, or of a kind that is not known");
    }
    return v2_tlvs(data, V2_FIXED + used, header->len, reason) ? PROXY_HEADER_OK : PROXY_HEADER_BAD;
}

/* Whether the bytes so far are those of the beginning. */
static bool begins(const char *data, size_t len, const char *with, size_t with_len)
{
    return memcmp(data, with, len < with_len ? len : with_len) == 0;
}

enum proxy_header_result proxy_header_parse(const char *data, size_t len,
                                            struct proxy_header *header, const char **reason)
{
    *header = (struct proxy_header){0};
    *reason = "";
    if (len == 0) {
        return PROXY_HEADER_INCOMPLETE;
    }
    if (begins(data, len, v1_begin, V1_BEGIN_LEN)) {
        return len < V1_BEGIN_LEN ? PROXY_HEADER_INCOMPLETE : v1_parse(data, len, header, reason);
    }
    if (begins(data, len, v2_signature, sizeof(v2_signature))) {
        return v2_parse(data, len, header, reason);
    }
    return PROXY_HEADER_NONE;
}

/* ---- writing ---- */

static bool is_internet(const struct address *address)
{
    return address->len > 0 &&
           (address->u.any.sa_family == AF_INET || address->u.any.sa_family == AF_INET6);
}

static bool is_ipv6(const struct address *address)
{
    size_t len = 0;
    return is_internet(address) && address_bytes(address, true, &len) != NULL && len == 16;
}

/* Bytes of an address of either end: 4 where neither is IPv6. */
static size_t ip_size(const struct address *source, const struct address *destination)
{
    return is_ipv6(source) || is_ipv6(destination) ? 16 : 4;
}

/* In `size` bytes, where IPv4 is mapped into 16 of them; nothing of what is none. */
static void put_ip(char *out, size_t size, const struct address *address)
{
    size_t len = 0;
    const uint8_t *bytes = is_internet(address) ? address_bytes(address, true, &len) : NULL;

    if (len > 0 && len < size) {
        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
    }
    if (len > 0) {
        memcpy(out + size - len, bytes, len);
    }
}

static size_t v1_write(char *out, const struct address *source, const struct address *destination)
{
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN], ip[16];

    if (source == NULL || !is_internet(source) || !is_internet(destination)) {
        memcpy(out, "PROXY UNKNOWN\r\n", 15);
        return 15;
    }
    size_t size = ip_size(source, destination);
    int family = size == 4 ? AF_INET : AF_INET6;
    put_ip(ip, size, source);
    inet_ntop(family, ip, from, sizeof(from));
    put_ip(ip, size, destination);
    inet_ntop(family, ip, to, sizeof(to));
    return (size_t)snprintf(out, PROXY_HEADER_WRITE_MAX, "PROXY TCP%d %s %s %u %u\r\n",
                            size == 4 ? 4 : 6, from, to, address_port(source),
                            address_port(destination));
}

static void put_u16(char *out, size_t value)
{
    out[0] = (char)(value >> 8);
    out[1] = (char)value;
}

static void put_path(char *out, const struct address *address)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);

    if (address->u.any.sa_family == AF_UNIX && address->len > head) {
        memcpy(out, address->u.un.sun_path, strnlen(address->u.un.sun_path, address->len - head));
    }
}

/* The block behind the fixed part; says its length, and sets the family. */
static size_t v2_block(char *block, unsigned *family, const struct address *source,
                       const struct address *destination)
{
    if (is_internet(source)) {
        size_t ip = ip_size(source, destination);
        *family = ip == 4 ? V2_TCP4 : V2_TCP6;
        put_ip(block, ip, source);
        put_ip(block + ip, ip, destination);
        put_u16(block + 2 * ip, address_port(source));
        put_u16(block + 2 * ip + 2, is_internet(destination) ? address_port(destination) : 0);
        return 2 * ip + 4;
    }
    if (source->u.any.sa_family == AF_UNIX) {
        *family = V2_UNIX;
        put_path(block, source);
        put_path(block + V2_PATH_SIZE, destination);
        return V2_UNIX_SIZE;
    }
    *family = V2_UNSPEC;
    return 0;
}

static size_t v2_write(char *out, const struct address *source, const struct address *destination)
{
    unsigned family = V2_UNSPEC;
    size_t len = 0;

    memset(out, 0, PROXY_HEADER_WRITE_MAX);
    memcpy(out, v2_signature, sizeof(v2_signature));
    if (source != NULL) {
        len = v2_block(out + V2_FIXED, &family, source, destination);
    }
    out[12] = (char)(source != NULL ? V2_PROXY : V2_LOCAL);
    out[13] = (char)family;
    put_u16(out + 14, len);
    return V2_FIXED + len;
}

size_t proxy_header_write(char out[PROXY_HEADER_WRITE_MAX], unsigned version,
                          const struct address *source, const struct address *destination)
{
    return version == 1 ? v1_write(out, source, destination) : v2_write(out, source, destination);
}
