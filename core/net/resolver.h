/* SPDX-License-Identifier: MIT */
/*
 * Questions to DNS without waiting: c-ares on a loop. One question is for the records of one type,
 * so that one type's failure says nothing of another's. For addresses /etc/hosts is read first;
 * then the servers of /etc/resolv.conf are asked (RFC 1035), or those that are set. Who keeps up
 * with a name: follow.h.
 *
 * Thread: the loop's.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "net/dns_answer.h"
#include "net/loop.h"

struct resolver;
struct resolver_query;

/* What is asked. */
struct resolver_question {
    struct weir_str name;
    enum dns_type type;
    bool absolute; /* the name stands for itself alone: no search domains, no /etc/hosts */
    /* Which of the search list's names had the records last, from 1; 0: not known. As long as that
     * one cannot be asked, the names after it are not believed. */
    unsigned found_at;
};

/* `error` NULL: DNS has answered, and no records means that there are none. Else nothing is known;
 * static text. */
struct resolver_answer {
    const char *error;
    struct dns_answer dns;
    unsigned found_at;
};

/* Never inside resolver_ask. The answer is valid for the call; who keeps `dns` leaves an empty
 * one. */
typedef void (*resolver_fn)(void *arg, struct resolver_answer *answer);

/* `servers`: see nameservers.h; empty: the system's.
 * NULL: `error` says why. */
struct resolver *resolver_new(struct loop *loop, struct weir_str servers, char *error,
                              size_t error_size);
/* Queries that run are dropped without a call. */
void resolver_free(struct resolver **resolver);

/* Other nameservers from now on; what is being asked is asked of them. false: the old ones stay. */
bool resolver_set_servers(struct resolver *resolver, struct weir_str servers, char *error,
                          size_t error_size);

struct resolver_query *resolver_ask(struct resolver *resolver,
                                    const struct resolver_question *question, resolver_fn fn,
                                    void *arg);
/* No call comes any more. Not from inside fn, where the query has ended. */
void resolver_forget(struct resolver_query *query);

#endif
