/* SPDX-License-Identifier: MIT */
/*
 * The records of one type that a name has: one question that is asked again and again, each time when what
 * was answered is no longer good, for all who hold the set. For follow.c alone.
 *
 * Thread: the loop's.
 */
#ifndef NET_RECORD_SET_H
#define NET_RECORD_SET_H

#include "base/table.h"
#include "net/resolver.h"

struct follower;

struct record_set {
    struct list link;            /* the follower's */
    struct table_link name_link; /* and by name */
    struct follower *follower;
    char *name;
    enum dns_type type;
    bool absolute;
    struct list holds;            /* struct record_hold.link; none: it is freed */
    struct resolver_query *query; /* NULL: none runs */
    struct timer timer;
    struct dns_record *records; /* of the last answer: a failure leaves them */
    size_t count;
    uint64_t version; /* of the records; 0: there was no answer yet */
    unsigned found_at;
    bool settled; /* there was an answer, or a failure */
    bool waited;  /* for the first answer, and that in vain: nobody does so again */
    bool failed;  /* the last question */
};

/* Embedded in who looks at the set. `news` is queued after each answer and each failure. */
struct record_hold {
    struct list link;
    struct record_set *set;
    struct task *news;
    bool
        useless; /* its owner knows no place: an operator who mends something wants the question asked */
};

/* Holds the set of that name and type, which may be others' too; asks, if nobody has. */
void record_set_hold(struct record_hold *hold, struct follower *follower, struct weir_str name,
                     enum dns_type type, bool absolute, struct task *news);
/* The last one frees the set. */
void record_set_leave(struct record_hold *hold);

struct loop *follower_loop(const struct follower *follower);

#endif
