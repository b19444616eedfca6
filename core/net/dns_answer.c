/* SPDX-License-Identifier: MIT */
/*
 * Reads DNS messages with the C library's parser (arpa/nameser.h), which bounds every read by the
 * message. See dns_answer.h.
 */
#include "net/dns_answer.h"

#include <arpa/nameser.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Names from the question to the records, at most; more are a circle. */
#define ALIASES_MAX 16u

static const char malformed[] = "the answer is malformed";

const char *dns_type_word(enum dns_type type)
{
    return type == DNS_A ? "A" : type == DNS_AAAA ? "AAAA" : type == DNS_SRV ? "SRV" : "?";
}

static enum dns_type type_of(const ns_rr *rr)
{
    return (enum dns_type)ns_rr_type(*rr);
}

/* The name at `at` as text; false: malformed. */
static bool read_name(ns_msg *message, const uint8_t *at, char text[NS_MAXDNAME])
{
    return ns_name_uncompress(ns_msg_base(*message), ns_msg_end(*message), at, text, NS_MAXDNAME) >=
           0;
}

/* In lower case, without a dot at its end; "" for the root. NULL: it is no name of a host. */
static char *host_text(const char *name)
{
    char text[NS_MAXDNAME];
    size_t len = 0;

    for (; name[len] != '\0'; len++) {
        text[len] = (char)tolower((unsigned char)name[len]);
        if (!isalnum((unsigned char)text[len]) && strchr("-_.", text[len]) == NULL) {
            return NULL;
        }
    }
    return len < DNS_NAME_SIZE ? base_strndup(text, strcmp(name, ".") == 0 ? 0 : len) : NULL;
}

static void lower(uint32_t *ttl_s, uint32_t to)
{
    *ttl_s = to < *ttl_s ? to : *ttl_s;
}

/* RFC 2181 section 8: with the highest bit it is none. */
static uint32_t time_to_live(uint32_t said)
{
    return said > INT32_MAX ? 0 : said;
}

/* The record's data into `record`; false: they are malformed. */
static bool read_record(ns_msg *message, const ns_rr *rr, struct dns_record *record)
{
    const uint8_t *data = ns_rr_rdata(*rr);
    size_t len = ns_rr_rdlen(*rr);
    char target[NS_MAXDNAME];

    switch (type_of(rr)) {
    case DNS_A: memcpy(&record->u.a, data, len == NS_INADDRSZ ? len : 0); return len == NS_INADDRSZ;
    case DNS_AAAA:
        memcpy(&record->u.aaaa, data, len == NS_IN6ADDRSZ ? len : 0);
        return len == NS_IN6ADDRSZ;
    default:
        if (len < 7 || !read_name(message, data + 6, target)) {
            return false;
        }
        record->u.srv.priority = (uint16_t)ns_get16(data);
        record->u.srv.weight = (uint16_t)ns_get16(data + 2);
        record->u.srv.port = (uint16_t)ns_get16(data + 4);
        record->u.srv.target = host_text(target);
        return record->u.srv.target != NULL;
    }
}

/* The records that `name` has, and its alias ("": none); false: malformed. */
static bool read_answers(ns_msg *message, const char *name, enum dns_type type,
                         struct dns_answer *answer, char alias[NS_MAXDNAME])
{
    const int count = ns_msg_count(*message, ns_s_an);
    uint32_t ttl_s = DNS_NO_TTL, alias_ttl_s = DNS_NO_TTL;
    ns_rr rr;

    alias[0] = '\0';
    for (int i = 0; i < count; i++) {
        if (ns_parserr(message, ns_s_an, i, &rr) != 0) {
            return false;
        }
        if (ns_rr_class(rr) != ns_c_in || strcasecmp(ns_rr_name(rr), name) != 0) {
            continue;
        }
        if (type_of(&rr) == DNS_CNAME) {
            alias_ttl_s = time_to_live(ns_rr_ttl(rr));
            if (!read_name(message, ns_rr_rdata(rr), alias)) {
                return false;
            }
        } else if (type_of(&rr) == type) {
            if (answer->records == NULL) {
                answer->records = base_alloc((size_t)count * sizeof(*answer->records));
            }
            if (!read_record(message, &rr, &answer->records[answer->count])) {
                return false;
            }
            answer->count++;
            lower(&ttl_s, time_to_live(ns_rr_ttl(rr)));
        }
    }
    lower(&answer->ttl_s, answer->count > 0 ? ttl_s : alias_ttl_s);
    return true;
}

/* What the authority's section says of an answer that is none. */
struct authority {
    bool soa, referral;
};

/* When the time of a negative answer is over (RFC 2308 section 5); false: malformed. */
static bool read_soa(const ns_rr *rr, uint32_t *minimum_s)
{
    const uint8_t *at = ns_rr_rdata(*rr);
    const uint8_t *end = at + ns_rr_rdlen(*rr);

    /* Two names, then serial, refresh, retry, expire and minimum. */
    if (ns_name_skip(&at, end) != 0 || ns_name_skip(&at, end) != 0 || end - at < 5 * NS_INT32SZ) {
        return false;
    }
    *minimum_s = time_to_live((uint32_t)ns_get32(at + 4 * NS_INT32SZ));
    return true;
}

static bool read_authority(ns_msg *message, struct dns_answer *answer, struct authority *authority)
{
    ns_rr rr;
    uint32_t minimum_s;

    for (int i = 0; i < ns_msg_count(*message, ns_s_ns); i++) {
        if (ns_parserr(message, ns_s_ns, i, &rr) != 0) {
            return false;
        }
        if (ns_rr_class(rr) != ns_c_in) {
            continue;
        }
        authority->referral = authority->referral || type_of(&rr) == DNS_NS;
        if (type_of(&rr) == DNS_SOA) {
            if (!read_soa(&rr, &minimum_s)) {
                return false;
            }
            authority->soa = true;
            lower(&answer->ttl_s, time_to_live(ns_rr_ttl(rr)));
            lower(&answer->ttl_s, minimum_s);
        }
    }
    return true;
}

static const char *parse(ns_msg *message, enum dns_type type, struct dns_answer *answer)
{
    struct authority authority = {false, false};
    char name[NS_MAXDNAME], alias[NS_MAXDNAME];
    unsigned aliases = 0;
    ns_rr question;

    if (!ns_msg_getflag(*message, ns_f_qr) || ns_msg_getflag(*message, ns_f_tc) ||
        ns_msg_count(*message, ns_s_qd) != 1 || ns_parserr(message, ns_s_qd, 0, &question) != 0 ||
        type_of(&question) != type) {
        return malformed;
    }
    /* From the question's name to what has no alias. */
    snprintf(name, sizeof(name), "%s", ns_rr_name(question));
    for (;; memcpy(name, alias, sizeof(name))) {
        if (!read_answers(message, name, type, answer, alias)) {
            return malformed;
        }
        if (answer->count > 0) {
            return NULL;
        }
        if (alias[0] == '\0') {
            break;
        }
        if (++aliases > ALIASES_MAX) {
            return "its aliases go in a circle";
        }
    }
    if (!read_authority(message, answer, &authority)) {
        return malformed;
    }
    if (authority.soa || ns_msg_getflag(*message, ns_f_rcode) == ns_r_nxdomain) {
        return NULL;
    }
    if (aliases > 0) {
        answer->alias = host_text(name);
        return answer->alias != NULL && answer->alias[0] != '\0' ? NULL : malformed;
    }
    /* RFC 2308 section 2.2: where others know the answer, this is none. */
    return authority.referral ? "the nameserver refers to others" : NULL;
}

struct address dns_record_address(const struct dns_record *record, enum dns_type type)
{
    struct address address, ip4;
    size_t len;

    address_from_bytes(&address, type == DNS_A ? AF_INET : AF_INET6, &record->u, 0);
    const uint8_t *bytes = address_bytes(&address, true, &len);
    if (type == DNS_A || len == 16) {
        return address;
    }
    address_from_bytes(&ip4, AF_INET, bytes, 0);
    return ip4;
}

const char *dns_answer_parse(const uint8_t *message, size_t len, enum dns_type type,
                             struct dns_answer *answer)
{
    ns_msg parsed;

    *answer = (struct dns_answer){.ttl_s = DNS_NO_TTL};
    const char *error =
        ns_initparse(message, (int)len, &parsed) == 0 ? parse(&parsed, type, answer) : malformed;
    if (error != NULL) {
        dns_answer_free(answer, type);
    }
    return error;
}

void dns_answer_free(struct dns_answer *answer, enum dns_type type)
{
    for (size_t i = 0; i < answer->count && type == DNS_SRV; i++) {
        free(answer->records[i].u.srv.target);
    }
    free(answer->records);
    free(answer->alias);
    *answer = (struct dns_answer){.ttl_s = DNS_NO_TTL};
}
