/* SPDX-License-Identifier: MIT */
/*
 * Reading DNS messages: which records lead to the answer, how long it is good, and what is no
 * answer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/dns_answer.h"
#include "runner.h"

static uint8_t message[4096];
static size_t len;

static void number(uint32_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        message[len++] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    }
}

static void name(const char *text)
{
    while (*text != '\0') {
        size_t label = strcspn(text, ".");
        number((uint32_t)label, 1);
        memcpy(message + len, text, label);
        len += label;
        text += label + (text[label] == '.');
    }
    number(0, 1);
}

/* The question, for `text`; records follow. */
static void begin(uint32_t rcode, const char *text, enum dns_type type)
{
    len = 0;
    memset(message, 0, sizeof(message));
    number(7, 2);
    number(0x8180 | rcode, 2);
    number(1, 2);
    len += 6;
    name(text);
    number((uint32_t)type, 2);
    number(1, 2);
}

/* Begins a record of a section: 3 the answer's, 4 the authority's; its data follow, then `end`. */
static size_t data_at;

static void begin_record(unsigned section, const char *owner, enum dns_type type, uint32_t ttl_s)
{
    message[section * 2 + 1]++;
    name(owner);
    number((uint32_t)type, 2);
    number(1, 2);
    number(ttl_s, 4);
    number(0, 2);
    data_at = len;
}

static void end_record(void)
{
    size_t end = len;
    len = data_at - 2;
    number((uint32_t)(end - data_at), 2);
    len = end;
}

static void a_record(const char *owner, uint32_t ttl_s, uint32_t address)
{
    begin_record(3, owner, DNS_A, ttl_s);
    number(address, 4);
    end_record();
}

static void alias(const char *owner, uint32_t ttl_s, const char *target)
{
    begin_record(3, owner, DNS_CNAME, ttl_s);
    name(target);
    end_record();
}

static void authority(enum dns_type type, uint32_t ttl_s, uint32_t minimum_s)
{
    begin_record(4, "test", type, ttl_s);
    name("ns.test");
    if (type == DNS_SOA) {
        name("root.test");
        for (uint32_t i = 0; i < 4; i++) {
            number(i, 4);
        }
        number(minimum_s, 4);
    }
    end_record();
}

static struct dns_answer answer;

static const char *parse(enum dns_type type)
{
    dns_answer_free(&answer, type);
    return dns_answer_parse(message, len, type, &answer);
}

UNIT_TEST(test_the_least_time_of_the_chain_counts)
{
    begin(0, "shop.test", DNS_A);
    a_record("Two.Test", 300, 0x7f000002);
    alias("one.test", 60, "two.test");
    a_record("two.test", 200, 0x7f000001);
    alias("SHOP.test", 90, "ONE.test");
    a_record("other.test", 1, 0x7f000003);
    ck_assert_ptr_null(parse(DNS_A));
    ck_assert_uint_eq(answer.count, 2);
    ck_assert_uint_eq(answer.ttl_s, 60);
    ck_assert_uint_eq(ntohl(answer.records[0].u.a.s_addr), 0x7f000002);

    begin(0, "shop.test", DNS_A);
    a_record("shop.test", 0, 0x7f000001);
    ck_assert_ptr_null(parse(DNS_A));
    ck_assert_uint_eq(answer.ttl_s, 0);

    begin(0, "shop.test", DNS_A); /* the highest bit: as 0 (RFC 2181 section 8) */
    a_record("shop.test", 0x80000001, 0x7f000001);
    ck_assert_ptr_null(parse(DNS_A));
    ck_assert_uint_eq(answer.ttl_s, 0);
}

UNIT_TEST(test_services)
{
    begin(0, "_http._tcp.test", DNS_SRV);
    for (uint32_t i = 0; i < 2; i++) {
        begin_record(3, "_http._tcp.test", DNS_SRV, 30 - i);
        number(i, 2);
        number(5, 2);
        number(8080, 2);
        name(i == 0 ? "a.test" : "");
        end_record();
    }
    ck_assert_ptr_null(parse(DNS_SRV));
    ck_assert_uint_eq(answer.count, 2);
    ck_assert_uint_eq(answer.ttl_s, 29);
    ck_assert_str_eq(answer.records[0].u.srv.target, "a.test");
    ck_assert_uint_eq(answer.records[0].u.srv.port, 8080);
    ck_assert_uint_eq(answer.records[1].u.srv.priority, 1);
    ck_assert_str_eq(answer.records[1].u.srv.target, "");
}

UNIT_TEST(test_there_is_none)
{
    begin(3, "shop.test", DNS_A); /* no such name: the lesser of the SOA's two times */
    authority(DNS_SOA, 600, 20);
    ck_assert_ptr_null(parse(DNS_A));
    ck_assert_uint_eq(answer.count, 0);
    ck_assert_uint_eq(answer.ttl_s, 20);

    begin(0, "shop.test", DNS_A); /* of the name's alias there is none of that type */
    alias("shop.test", 10, "one.test");
    authority(DNS_SOA, 15, 3600);
    ck_assert_ptr_null(parse(DNS_A));
    ck_assert_uint_eq(answer.count, 0);
    ck_assert_ptr_null(answer.alias);
    ck_assert_uint_eq(answer.ttl_s, 10);

    begin(0, "shop.test", DNS_A); /* nothing is said of the time */
    ck_assert_ptr_null(parse(DNS_A));
    ck_assert_uint_eq(answer.ttl_s, DNS_NO_TTL);
}

UNIT_TEST(test_an_alias_alone_is_to_be_asked_for)
{
    begin(0, "shop.test", DNS_A);
    alias("shop.test", 10, "One.Test");
    authority(DNS_NS, 15, 0);
    ck_assert_ptr_null(parse(DNS_A));
    ck_assert_str_eq(answer.alias, "one.test");
    ck_assert_uint_eq(answer.ttl_s, 10);
}

UNIT_TEST(test_what_is_no_answer)
{
    begin(0, "shop.test", DNS_A);
    alias("shop.test", 10, "one.test");
    alias("one.test", 10, "shop.test");
    ck_assert_str_eq(parse(DNS_A), "its aliases go in a circle");

    begin(0, "shop.test", DNS_A);
    authority(DNS_NS, 15, 0);
    ck_assert_str_eq(parse(DNS_A), "the nameserver refers to others");

    begin(0, "shop.test", DNS_A); /* cut short: the flag says so */
    message[2] |= 0x02;
    ck_assert_ptr_nonnull(parse(DNS_A));

    begin(0, "shop.test", DNS_A); /* a question */
    message[2] &= 0x7f;
    ck_assert_ptr_nonnull(parse(DNS_A));

    begin(0, "shop.test", DNS_AAAA); /* of another type */
    ck_assert_ptr_nonnull(parse(DNS_A));

    begin(0, "shop.test", DNS_A); /* an address of five bytes */
    begin_record(3, "shop.test", DNS_A, 1);
    number(1, 4);
    number(1, 1);
    end_record();
    ck_assert_ptr_nonnull(parse(DNS_A));

    begin(0, "shop.test", DNS_A); /* an alias that is no name of a host */
    alias("shop.test", 1, "one test");
    ck_assert_ptr_nonnull(parse(DNS_A));

    begin(0, "shop.test", DNS_A); /* a name that points to itself */
    message[7] = 1;
    number(0xc000u | (uint32_t)len, 2);
    number(DNS_A, 2);
    number(1, 2);
    number(1, 4);
    number(4, 2);
    number(1, 4);
    ck_assert_ptr_nonnull(parse(DNS_A));
}

/* Every beginning of a message is malformed, and every byte may be any other: nothing is read
 * outside. */
UNIT_TEST(test_any_bytes_will_do)
{
    begin(0, "_http._tcp.test", DNS_SRV);
    alias("_http._tcp.test", 9, "a.test");
    begin_record(3, "a.test", DNS_SRV, 30);
    number(0x00010002, 4);
    number(80, 2);
    number(0xc00c, 2);
    end_record();
    authority(DNS_SOA, 10, 10);
    ck_assert_ptr_null(parse(DNS_SRV));
    size_t whole = len;
    uint8_t *copy = malloc(whole);
    ck_assert_ptr_nonnull(copy);
    for (size_t cut = 0; cut < whole; cut++) {
        uint8_t *part = malloc(cut > 0 ? cut : 1); /* of its very size, for sanitizers */
        ck_assert_ptr_nonnull(part);
        memcpy(part, message, cut);
        dns_answer_free(&answer, DNS_SRV);
        (void)dns_answer_parse(part, cut, DNS_SRV, &answer);
        free(part);
    }
    for (size_t at = 0; at < whole; at++) {
        for (unsigned value = 0; value < 256; value++) {
            memcpy(copy, message, whole);
            copy[at] = (uint8_t)value;
            dns_answer_free(&answer, DNS_SRV);
            (void)dns_answer_parse(copy, whole, DNS_SRV, &answer);
        }
    }
    dns_answer_free(&answer, DNS_SRV);
    free(copy);
}
