/* SPDX-License-Identifier: MIT */
/*
 * One question to DNS that is asked again and again, each time when what was answered is no longer
 * good. For follow.c alone.
 *
 * Thread: the loop's.
 */
#ifndef NET_DNS_QUESTION_H
#define NET_DNS_QUESTION_H

#include "net/resolver.h"

struct dns_question;

/* It has been answered (`answered`), or has failed. Never inside dns_question_ask. */
typedef void (*dns_question_fn)(struct dns_question *question, bool answered);

/* Embedded. The owner sets what is above the line before it asks. */
struct dns_question {
    struct loop *loop;
    struct resolver *resolver;
    const char *name;
    enum dns_type type;
    bool absolute; /* see struct resolver_question */
    dns_question_fn fn;
    void *arg;
    /* ---- */
    struct resolver_query *query; /* NULL: none runs */
    struct timer timer;
    struct dns_answer answer; /* the last one: a failure leaves it */
    uint64_t version;         /* of the answer; 0: there was none yet */
    unsigned found_at;
    bool settled; /* there was an answer, or a failure */
    bool failed;  /* the last time */
};

/* Asks now, unless it does already. */
void dns_question_ask(struct dns_question *question);
/* Asks no more. The answer stays. */
void dns_question_stop(struct dns_question *question);

#endif
