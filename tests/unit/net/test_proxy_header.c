/* SPDX-License-Identifier: MIT */
/* Headers of the PROXY protocol: read strictly, written, and read again. */
#include "net/proxy_header.h"
#include "runner.h"

#include <stdlib.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* Parses from memory of exactly that length, so that a sanitizer sees a byte too much. */
static enum proxy_header_result parse(const char *data, size_t len, struct proxy_header *header)
{
    const char *reason = NULL;
    char *copy = malloc(len > 0 ? len : 1);

    memcpy(copy, data, len);
    enum proxy_header_result result = proxy_header_parse(copy, len, header, &reason);
    ck_assert_ptr_nonnull(reason);
    ck_assert(result != PROXY_HEADER_BAD || reason[0] != '\0');
    free(copy);
    return result;
}

static const char *text_of(const struct address *address)
{
    static char text[4][ADDRESS_TEXT_SIZE + 8];
    static unsigned next;
    char *out = text[next++ % 4];
    address_text_port(address, out, sizeof(text[0]));
    return out;
}

/* Each shorter beginning is incomplete; what follows the header is none of its business. */
static void expect_known(const char *data, size_t len, const char *source, const char *destination)
{
    struct proxy_header header;
    char more[PROXY_HEADER_MAX + 64];

    for (size_t i = 0; i < len; i++) {
        ck_assert_int_eq(parse(data, i, &header), PROXY_HEADER_INCOMPLETE);
    }
    ck_assert_int_eq(parse(data, len, &header), PROXY_HEADER_OK);
    ck_assert_uint_eq(header.len, len);
    memcpy(more, data, len);
    memcpy(more + len, "GET / HTTP/1.1\r\n\r\n", 18);
    ck_assert_int_eq(parse(more, len + 18, &header), PROXY_HEADER_OK);
    ck_assert_uint_eq(header.len, len);
    ck_assert(header.known == (source != NULL));
    if (source != NULL) {
        ck_assert_str_eq(text_of(&header.source), source);
        ck_assert_str_eq(text_of(&header.destination), destination);
    }
}

UNIT_TEST(version_1)
{
    static const struct {
        const char *line, *source, *destination;
    } rows[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", "192.0.2.1:56324", "198.51.100.7:443"},
        {"PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n", "255.255.255.255:0", "0.0.0.0:65535"},
        {"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "[2001:db8::1]:1", "[::1]:2"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"PROXY UNKNOWN\r\n", NULL, NULL},
        {"PROXY UNKNOWN what ever follows is ignored\r\n", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        expect_known(rows[i].line, strlen(rows[i].line), rows[i].source, rows[i].destination);
    }
}

UNIT_TEST(version_1_malformed)
{
    static const char *const rows[] = {
        "PROXY \r\n",
        "PROXY TCP\r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 99999\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        "PROXY TCP4 example 192.0.2.2 1 2\r\n",
        "PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 fe80::1%lo fe80::1 1 2\r\n",
        "PROXY TCP6 [::1] ::1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rx\r\n",
        "PROXY UNKNOWN\n",
        "PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
    };
    struct proxy_header header;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        ck_assert_msg(parse(rows[i], strlen(rows[i]), &header) == PROXY_HEADER_BAD, "%s", rows[i]);
    }
    static const char nul[] = "PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n";
    ck_assert_int_eq(parse(nul, sizeof(nul) - 1, &header), PROXY_HEADER_BAD);
}

UNIT_TEST(something_else)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "PROPFIND / HTTP/1.1\r\n", "proxy TCP4",
        "PROXY\tTCP4",        "\r\nGET / HTTP/1.1",  "\x16\x03\x01\x02",
    };
    struct proxy_header header;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        ck_assert_int_eq(parse(rows[i], strlen(rows[i]), &header), PROXY_HEADER_NONE);
    }
    ck_assert_int_eq(parse("", 0, &header), PROXY_HEADER_INCOMPLETE);
    ck_assert_int_eq(parse("P", 1, &header), PROXY_HEADER_INCOMPLETE);
    ck_assert_int_eq(parse("\r\n", 2, &header), PROXY_HEADER_INCOMPLETE);
}

/* A header of version 2 with `len` bytes behind its fixed part. */
static size_t v2(char *out, unsigned command, unsigned family, const char *block, size_t len)
{
    memcpy(out, SIGNATURE, 12);
    out[12] = (char)command;
    out[13] = (char)family;
    out[14] = (char)(len >> 8);
    out[15] = (char)len;
    memcpy(out + 16, block, len);
    return 16 + len;
}

#define IPV4_BLOCK "\xc0\x00\x02\x01\xc6\x33\x64\x07\xdc\x04\x01\xbb"

UNIT_TEST(version_2)
{
    char data[512];
    char block[256] = {0};
    size_t len = v2(data, 0x21, 0x11, IPV4_BLOCK, 12);
    expect_known(data, len, "192.0.2.1:56324", "198.51.100.7:443");

    memset(block, 0, sizeof(block));
    block[0] = 0x20, block[1] = 0x01, block[15] = 1, block[31] = 2, block[33] = 80, block[35] = 81;
    len = v2(data, 0x21, 0x21, block, 36);
    expect_known(data, len, "[2001::1]:80", "[::2]:81");

    memset(block, 0, sizeof(block));
    memcpy(block, "/run/a", 6);
    memset(block + 108, 'x', 108);
    len = v2(data, 0x21, 0x31, block, 216);
    struct proxy_header header;
    ck_assert_int_eq(parse(data, len, &header), PROXY_HEADER_OK);
    ck_assert_str_eq(text_of(&header.source), "unix:/run/a");

    /* LOCAL: whatever the block says; UNSPEC: nothing is known. */
    expect_known(data, v2(data, 0x20, 0x00, "", 0), NULL, NULL);
    expect_known(data, v2(data, 0x20, 0x11, IPV4_BLOCK, 12), NULL, NULL);
    expect_known(data, v2(data, 0x20, 0xff, "junk", 4), NULL, NULL);
    expect_known(data, v2(data, 0x21, 0x00, "junk", 4), NULL, NULL);
    /* Datagrams, which a receiver takes as UNSPEC where it does not serve them (section 2.2): the
     * block is passed over by its length, TLVs and all. */
    static const unsigned datagrams[] = {0x12, 0x22, 0x32};
    memset(block, 0x5a, sizeof(block));
    for (size_t i = 0; i < ARRAY_COUNT(datagrams); i++) {
        expect_known(data, v2(data, 0x21, datagrams[i], IPV4_BLOCK, 12), NULL, NULL);
        expect_known(data, v2(data, 0x21, datagrams[i], block, 230), NULL, NULL);
        expect_known(data, v2(data, 0x21, datagrams[i], "", 0), NULL, NULL);
    }
}

UNIT_TEST(version_2_malformed)
{
    static const struct {
        unsigned command, family;
        const char *block;
        size_t len;
    } rows[] = {
        {0x11, 0x11, IPV4_BLOCK, 12}, /* version 1 in binary */
        {0x22, 0x11, IPV4_BLOCK, 12}, /* no such command */
        {0x31, 0x11, IPV4_BLOCK, 12},
        {0x21, 0x10, IPV4_BLOCK, 12}, /* families that are not defined */
        {0x21, 0x02, IPV4_BLOCK, 12},
        {0x21, 0x13, IPV4_BLOCK, 12},
        {0x21, 0x42, IPV4_BLOCK, 12},
        {0x21, 0x41, IPV4_BLOCK, 12},
        {0x21, 0x11, IPV4_BLOCK, 11},
        {0x21, 0x11, "", 0},
        {0x21, 0x21, IPV4_BLOCK, 12},
        {0x21, 0x31, IPV4_BLOCK, 12},
        {0x21, 0x11, IPV4_BLOCK "\x04", 13}, /* half a TLV */
        {0x21, 0x11, IPV4_BLOCK "\x04\x00", 14},
        {0x21, 0x11, IPV4_BLOCK "\x04\x00\x01", 15},
        {0x21, 0x11, IPV4_BLOCK "\x04\xff\xff?", 16},
        {0x21, 0x11, IPV4_BLOCK "\x03\x00\x00", 15}, /* a checksum without bytes */
        {0x21, 0x11, IPV4_BLOCK "\x03\x00\x04\x00\x00\x00\x00", 19},
    };
    struct proxy_header header;
    char data[512];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        size_t len = v2(data, rows[i].command, rows[i].family, rows[i].block, rows[i].len);
        ck_assert_msg(parse(data, len, &header) == PROXY_HEADER_BAD, "row %zu", i);
    }
    static char large[PROXY_HEADER_MAX];
    char *all = malloc(16 + sizeof(large));
    ck_assert_int_eq(parse(all, v2(all, 0x20, 0, large, sizeof(large) - 16), &header),
                     PROXY_HEADER_OK);
    /* Refused by its length field alone: nobody waits for what follows. */
    v2(all, 0x20, 0, large, sizeof(large) - 15);
    ck_assert_int_eq(parse(all, 16, &header), PROXY_HEADER_BAD);
    free(all);
}

UNIT_TEST(checksums_and_other_tlvs)
{
    /* Computed by another implementation of CRC-32C over the whole header. */
    static const char block[] = IPV4_BLOCK "\x02\x00\x04shop"
                                           "\x03\x00\x04"
                                           "\x82\x95\x68\x07"
                                           "\x04\x00\x02\x00\x00";
    char data[128];
    size_t len = v2(data, 0x21, 0x11, block, sizeof(block) - 1);
    struct proxy_header header;

    expect_known(data, len, "192.0.2.1:56324", "198.51.100.7:443");
    const size_t checksum_type = 16 + 12 + 7; /* changed, there is no checksum */
    for (size_t i = 16; i < len; i++) {       /* whatever other byte is changed, it is seen */
        if (i == checksum_type) {
            continue;
        }
        data[i] ^= 1;
        ck_assert_int_ne(parse(data, len, &header), PROXY_HEADER_OK);
        data[i] ^= 1;
    }
}

static struct address address(const char *text)
{
    struct address parsed = {0};
    char error[256];
    ck_assert_msg(address_parse(&parsed, str_from(text), error, sizeof(error)), "%s", error);
    return parsed;
}

UNIT_TEST(what_is_written_is_read)
{
    static const struct {
        const char *source, *destination, *read_source, *read_destination;
        bool in_v1;
    } rows[] = {
        {"192.0.2.1:1", "198.51.100.7:443", "192.0.2.1:1", "198.51.100.7:443", true},
        {"[2001:db8::1]:1", "[::1]:2", "[2001:db8::1]:1", "[::1]:2", true},
        {"[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2", "192.0.2.1:1", "192.0.2.2:2", true},
        {"192.0.2.1:1", "[2001:db8::1]:2", "192.0.2.1:1", "[2001:db8::1]:2", true},
        {"unix:/run/a", "unix:/run/b", "unix:/run/a", "unix:/run/b", false},
    };
    char out[PROXY_HEADER_WRITE_MAX];
    struct proxy_header header;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (unsigned version = 1; version <= 2; version++) {
            struct address source = address(rows[i].source);
            struct address destination = address(rows[i].destination);
            size_t len = proxy_header_write(out, version, &source, &destination);
            ck_assert_uint_le(len, sizeof(out));
            ck_assert_int_eq(parse(out, len, &header), PROXY_HEADER_OK);
            ck_assert_uint_eq(header.len, len);
            ck_assert_uint_eq(header.version, version);
            ck_assert(header.known == (version == 2 || rows[i].in_v1));
            if (header.known) {
                ck_assert_str_eq(text_of(&header.source), rows[i].read_source);
                ck_assert_str_eq(text_of(&header.destination), rows[i].read_destination);
            }
        }
    }
}

UNIT_TEST(exact_bytes)
{
    char out[PROXY_HEADER_WRITE_MAX];
    struct address source = address("192.0.2.1:56324");
    struct address destination = address("198.51.100.7:443");
    struct address nothing = {0};
    static const char v1[] = "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n";

    ck_assert_uint_eq(proxy_header_write(out, 1, &source, &destination), sizeof(v1) - 1);
    ck_assert_mem_eq(out, v1, sizeof(v1) - 1);
    ck_assert_uint_eq(proxy_header_write(out, 2, &source, &destination), 28);
    ck_assert_mem_eq(out, SIGNATURE "\x21\x11\x00\x0c" IPV4_BLOCK, 28);
    ck_assert_uint_eq(proxy_header_write(out, 1, NULL, NULL), 15);
    ck_assert_mem_eq(out, "PROXY UNKNOWN\r\n", 15);
    ck_assert_uint_eq(proxy_header_write(out, 2, NULL, NULL), 16);
    ck_assert_mem_eq(out, SIGNATURE "\x20\x00\x00\x00", 16);
    ck_assert_uint_eq(proxy_header_write(out, 2, &source, &nothing), 28);
    ck_assert_mem_eq(out + 16, "\xc0\x00\x02\x01\x00\x00\x00\x00\xdc\x04\x00\x00", 12);
    ck_assert_uint_eq(proxy_header_write(out, 1, &source, &nothing), 15);
}
