/* SPDX-License-Identifier: MIT */
/*
 * What a DNS message (RFC 1035) answers to its one question: the records of one type at the end of
 * the chain of aliases that leads to them, and how long that is good. A pure function of the
 * message's bytes.
 */
#ifndef NET_DNS_ANSWER_H
#define NET_DNS_ANSWER_H

#include "net/address.h"

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_AAAA = 28, DNS_SRV = 33 };

/* "A", "AAAA", "SRV". */
const char *dns_type_word(enum dns_type type);

/* Text of a host name of 255 bytes on the wire, NUL included. */
#define DNS_NAME_SIZE 256

struct dns_record {
    union {
        struct in_addr a;
        struct in6_addr aaaa;
        struct {
            uint16_t priority, weight, port;
            char *target;
        } srv;
    } u;
};

/* Of an A or AAAA record, port 0; IPv4-mapped as IPv4. */
struct address dns_record_address(const struct dns_record *record, enum dns_type type);

/* Nothing in the message bounds the time. */
#define DNS_NO_TTL UINT32_MAX

/*
 * No records: the message says that there are none (a name that does not exist, or has nothing of
 * this type); with `alias`, only that the name is another one, which is still to be asked for.
 * `ttl_s`: the least of the aliases and records that led here (RFC 2181 section 5.2), and of the
 * negative answer (RFC 2308 section 5).
 */
struct dns_answer {
    struct dns_record *records;
    size_t count;
    char *alias;
    uint32_t ttl_s;
};

/* NULL: `answer` is filled, and freed by dns_answer_free. Else what is wrong, static text: the
 * message is no answer. */
const char *dns_answer_parse(const uint8_t *message, size_t len, enum dns_type type,
                             struct dns_answer *answer);
/* Leaves an empty one, which may be freed again. */
void dns_answer_free(struct dns_answer *answer, enum dns_type type);

#endif
