/* SPDX-License-Identifier: MIT */
/*
 * Follows names in DNS. Each record type of a name (IPv4 addresses, IPv6 addresses, SRV records,
 * and both address types of each SRV record's target) is queried by itself, again when its own time
 * to live expires, and once for all followers of the name. What is known of one kind is there at
 * once, whatever becomes of the others; only an answer takes it away (one that says that there is
 * none is one), never a failure.
 *
 * Thread: the loop's.
 */
#ifndef NET_FOLLOW_H
#define NET_FOLLOW_H

#include "net/address.h"
#include "net/resolver.h"

struct follower;
struct followed;

/* The resolver outlives it. */
struct follower *follower_new(struct loop *loop, struct resolver *resolver);
/* What is followed stays, and its owners end it as before. */
void follower_free(struct follower **follower);
/* Retries failed queries and names without records now: an operator may have fixed them. */
void follower_ask_again(struct follower *follower);

/* An address of a server. `priority` and `weight` are an SRV record's; 0 otherwise. */
struct endpoint {
    struct address address; /* IPv4-mapped IPv6 as IPv4 */
    uint16_t priority, weight;
};

/* The known records or the state of queries may have changed. Never inside follow; may follow and
 * end anything. */
typedef void (*followed_fn)(void *arg);

enum follow_kind {
    FOLLOW_HOST,    /* the addresses of a host */
    FOLLOW_SERVICE, /* the targets of the SRV records (RFC 2782) */
};

/* `fn` may be NULL. What is known of the name already is there at once. `port`: of a host's
 * endpoints. */
struct followed *follow(struct follower *follower, enum follow_kind kind, struct weir_str name,
                        uint16_t port, followed_fn fn, void *arg);
/* Nothing when *followed is NULL. */
void follow_end(struct followed **followed);

size_t followed_count(const struct followed *followed);
/* A known endpoint by index: IPv4 first, in the order of the answers, possibly with duplicates. */
struct endpoint followed_endpoint(const struct followed *followed, size_t index);

/* One address of a host, the same one as long as the name has it; IPv4 rather than IPv6 to begin
 * with. false: none is known. */
bool followed_address(const struct followed *followed, struct address *address);

/* Every first query was answered or has failed. */
bool followed_is_settled(const struct followed *followed);

/* The query for a host's addresses of that family was answered, even with none. */
bool followed_is_answered(const struct followed *host, sa_family_t family);

/* ---- who waits for first answers ---- */

/* `open`: names of which nothing is known. */
typedef void (*follow_wait_fn)(void *arg, size_t open);

/* Then add what to wait for. One wait at a time. */
void follow_wait_begin(struct follower *follower, follow_wait_fn fn, void *arg);
/* Does nothing if the name has settled or was waited for before: a name delays once. */
void follow_wait_add(struct followed *followed);
/* Calls fn once, never inside this call: when something is known of each name and, unless that
 * takes longer than a moment, all have settled; after `patience_ns` in any case. */
void follow_wait_go(struct follower *follower, uint64_t patience_ns);
/* Calls fn soon, whatever is open. Does nothing without a wait. */
void follow_wait_hurry(struct follower *follower);

#endif
