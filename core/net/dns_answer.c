/* SPDX-License-Identifier: MIT */
/*
 * Reads DNS messages. Every read is bounded by the message; names may only point backwards, so that each
 * ends. See dns_answer.h.
 */
#include "net/dns_answer.h"

#include <stdlib.h>

#define HEADER_SIZE    12u
#define CLASS_INTERNET 1u
#define RCODE_NXDOMAIN 3u

/* Names from the question to the records, at most; more are a circle. */
#define ALIASES_MAX 16u

static const char malformed[] = "the answer is malformed";

struct reader {
    const uint8_t *message;
    size_t len, at;
    bool bad;
};

/* A name in its wire form, without pointers, in lower case. */
struct wire_name {
    uint8_t bytes[255];
    size_t len;
};

/* A resource record; its data are from `data` to `data + data_len`. */
struct rr {
    struct wire_name owner;
    uint16_t type;
    uint32_t ttl_s;
    size_t data, data_len;
    bool internet;
};

const char *dns_type_word(enum dns_type type)
{
    return type == DNS_A ? "A" : type == DNS_AAAA ? "AAAA" : type == DNS_SRV ? "SRV" : "?";
}

static uint32_t read_number(struct reader *reader, size_t bytes)
{
    uint32_t value = 0;

    if (reader->bad || reader->len - reader->at < bytes) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | reader->message[reader->at++];
    }
    return value;
}

static void read_name(struct reader *reader, struct wire_name *name)
{
    size_t at = reader->at;
    size_t lowest = at; /* where the part that is read now begins: pointers lead before it */
    bool jumped = false;

    name->len = 0;
    while (!reader->bad && at < reader->len) {
        uint8_t len = reader->message[at];
        if (len >= 0xc0 && at + 1 < reader->len) {
            size_t to = (size_t)(len & 0x3f) << 8 | reader->message[at + 1];
            reader->at = jumped ? reader->at : at + 2;
            jumped = true;
            if (to >= lowest) {
                break;
            }
            at = lowest = to;
            continue;
        }
        if (len > 63 || at + 1 + len > reader->len || name->len + 1 + len > sizeof(name->bytes)) {
            break;
        }
        for (size_t i = 0; i <= len; i++) {
            uint8_t c = reader->message[at + i];
            bool upper = i > 0 && c >= 'A' && c <= 'Z';
            name->bytes[name->len++] = upper ? (uint8_t)(c + 'a' - 'A') : c;
        }
        at += 1u + len;
        if (len == 0) {
            reader->at = jumped ? reader->at : at;
            return;
        }
    }
    reader->bad = true;
}

static bool same_name(const struct wire_name *a, const struct wire_name *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* As text without a dot at its end; "" for the root. NULL: it is no name of a host. */
static char *host_text(const struct wire_name *name)
{
    char text[DNS_NAME_SIZE];
    size_t len = 0;

    for (size_t at = 0; name->bytes[at] > 0; at += 1u + name->bytes[at]) {
        if (len > 0) {
            text[len++] = '.';
        }
        for (size_t i = 1; i <= name->bytes[at]; i++) {
            uint8_t c = name->bytes[at + i];
            bool right = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
            if (!right) {
                return NULL;
            }
            text[len++] = (char)c;
        }
    }
    return base_strndup(text, len);
}

static void read_rr(struct reader *reader, struct rr *rr)
{
    read_name(reader, &rr->owner);
    rr->type = (uint16_t)read_number(reader, 2);
    rr->internet = read_number(reader, 2) == CLASS_INTERNET;
    rr->ttl_s = read_number(reader, 4);
    if (rr->ttl_s > INT32_MAX) {
        rr->ttl_s = 0; /* RFC 2181 section 8 */
    }
    rr->data_len = read_number(reader, 2);
    rr->data = reader->at;
    if (reader->bad || rr->data_len > reader->len - reader->at) {
        reader->bad = true;
    } else {
        reader->at += rr->data_len;
    }
}

static void lower(uint32_t *ttl_s, uint32_t to)
{
    *ttl_s = to < *ttl_s ? to : *ttl_s;
}

/* The record's data into `record`; false: they are malformed. */
static bool read_record(const struct reader *message, const struct rr *rr,
                        struct dns_record *record)
{
    struct reader data = {message->message, rr->data + rr->data_len, rr->data, false};
    struct wire_name target;

    switch (rr->type) {
    case DNS_A:
        if (rr->data_len != sizeof(record->u.a)) {
            return false;
        }
        memcpy(&record->u.a, message->message + rr->data, sizeof(record->u.a));
        return true;
    case DNS_AAAA:
        if (rr->data_len != sizeof(record->u.aaaa)) {
            return false;
        }
        memcpy(&record->u.aaaa, message->message + rr->data, sizeof(record->u.aaaa));
        return true;
    default:
        record->u.srv.priority = (uint16_t)read_number(&data, 2);
        record->u.srv.weight = (uint16_t)read_number(&data, 2);
        record->u.srv.port = (uint16_t)read_number(&data, 2);
        read_name(&data, &target);
        record->u.srv.target = data.bad ? NULL : host_text(&target);
        return record->u.srv.target != NULL;
    }
}

/* The records that `name` has, and its alias; false: malformed. */
static bool read_answers(const struct reader *start, unsigned count, const struct wire_name *name,
                         enum dns_type type, struct dns_answer *answer, struct wire_name *alias)
{
    struct reader reader = *start;
    size_t room = 0;
    uint32_t ttl_s = DNS_NO_TTL, alias_ttl_s = DNS_NO_TTL;

    alias->len = 0;
    for (unsigned i = 0; i < count; i++) {
        struct rr rr;
        read_rr(&reader, &rr);
        if (reader.bad) {
            return false;
        }
        if (!rr.internet || !same_name(&rr.owner, name)) {
            continue;
        }
        if (rr.type == DNS_CNAME) {
            struct reader data = {reader.message, rr.data + rr.data_len, rr.data, false};
            read_name(&data, alias);
            alias_ttl_s = rr.ttl_s;
            if (data.bad) {
                return false;
            }
        } else if (rr.type == type) {
            if (answer->count == room) {
                room = room == 0 ? 4 : room * 2;
                answer->records = base_realloc(answer->records, room * sizeof(*answer->records));
            }
            if (!read_record(&reader, &rr, &answer->records[answer->count])) {
                return false;
            }
            answer->count++;
            lower(&ttl_s, rr.ttl_s);
        }
    }
    lower(&answer->ttl_s, answer->count > 0 ? ttl_s : alias_ttl_s);
    return true;
}

/* What the authority's section says of an answer that is none. */
struct authority {
    bool soa, referral;
};

static bool read_authority(struct reader *reader, unsigned answers, unsigned count,
                           struct dns_answer *answer, struct authority *authority)
{
    struct rr rr;

    for (unsigned i = 0; i < answers; i++) {
        read_rr(reader, &rr);
    }
    for (unsigned i = 0; i < count && !reader->bad; i++) {
        read_rr(reader, &rr);
        if (reader->bad || !rr.internet) {
            continue;
        }
        authority->referral = authority->referral || rr.type == DNS_NS;
        if (rr.type == DNS_SOA) {
            struct reader data = {reader->message, rr.data + rr.data_len, rr.data, false};
            struct wire_name name;
            read_name(&data, &name);
            read_name(&data, &name);
            for (unsigned k = 0; k < 4; k++) {
                read_number(&data, 4); /* serial, refresh, retry, expire */
            }
            uint32_t minimum_s = read_number(&data, 4);
            authority->soa = !data.bad;
            if (!data.bad) {
                lower(&answer->ttl_s, rr.ttl_s);
                lower(&answer->ttl_s, minimum_s > INT32_MAX ? 0 : minimum_s);
            }
        }
    }
    return !reader->bad;
}

/* From the question's name to what has no alias. */
static const char *follow_aliases(const struct reader *start, unsigned count, enum dns_type type,
                                  struct dns_answer *answer, struct wire_name *name, bool *aliased)
{
    for (unsigned i = 0; i <= ALIASES_MAX; i++) {
        struct wire_name alias;
        if (!read_answers(start, count, name, type, answer, &alias)) {
            return malformed;
        }
        if (answer->count > 0 || alias.len == 0) {
            return NULL;
        }
        *name = alias;
        *aliased = true;
    }
    return "its aliases go in a circle";
}

static const char *parse(const uint8_t *message, size_t len, enum dns_type type,
                         struct dns_answer *answer)
{
    struct reader reader = {message, len, 0, false};
    struct wire_name name;
    struct authority authority = {false, false};
    bool aliased = false;

    read_number(&reader, 2);
    uint32_t flags = read_number(&reader, 2);
    uint32_t questions = read_number(&reader, 2);
    uint32_t answers = read_number(&reader, 2);
    uint32_t authorities = read_number(&reader, 2);
    read_number(&reader, 2);
    read_name(&reader, &name);
    uint32_t asked = read_number(&reader, 2);
    read_number(&reader, 2);
    bool is_answer = (flags & 0x8000) != 0 && (flags & 0x0200) == 0; /* whole, too */
    if (reader.bad || !is_answer || questions != 1 || asked != (uint32_t)type) {
        return malformed;
    }
    const char *error = follow_aliases(&reader, answers, type, answer, &name, &aliased);
    if (error != NULL || answer->count > 0) {
        return error;
    }
    if (!read_authority(&reader, answers, authorities, answer, &authority)) {
        return malformed;
    }
    if (authority.soa || (flags & 0x000f) == RCODE_NXDOMAIN) {
        return NULL;
    }
    if (aliased) {
        answer->alias = host_text(&name);
        return answer->alias != NULL && answer->alias[0] != '\0' ? NULL : malformed;
    }
    /* RFC 2308 section 2.2: where others know the answer, this is none. */
    return authority.referral ? "the nameserver refers to others" : NULL;
}

const char *dns_answer_parse(const uint8_t *message, size_t len, enum dns_type type,
                             struct dns_answer *answer)
{
    *answer = (struct dns_answer){.ttl_s = DNS_NO_TTL};
    const char *error = parse(message, len, type, answer);
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
