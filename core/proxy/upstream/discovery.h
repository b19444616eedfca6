/* SPDX-License-Identifier: MIT */
/*
 * Servers discovered by DNS: a server block with `resolve = all` stands for one server per address
 * of its host, one with `resolve = srv` for those of its host's SRV records (RFC 2782). Results
 * outlive generations; when they change, a new generation is derived. How names are followed and
 * what a failure means: net/follow.h.
 *
 * Thread: the control thread's.
 */
#ifndef PROXY_UPSTREAM_DISCOVERY_H
#define PROXY_UPSTREAM_DISCOVERY_H

#include "net/follow.h"
#include "proxy/plan/plan.h"

struct discovery;

struct discovery *discovery_new(void);
void discovery_free(struct discovery **discovery);

typedef void (*discovery_fn)(void *arg);

/* The most servers that a block stands for: the first by priority and address. */
#define DISCOVERY_SERVERS_MAX 256

/* Starts resolving. `changed`: a name has other servers now than in the running plan. The follower
 * outlives it. */
void discovery_start(struct discovery *discovery, struct loop *loop, struct follower *follower,
                     discovery_fn changed, void *arg);

/* Whether a built plan needs a name that was not resolved yet. */
bool discovery_is_wanting(const struct discovery *discovery);

/* Resolves those and all other names of the plan, which need not outlive the call; calls `fn`,
 * never inside this call, when all have an answer or have failed, or after NAMES_PATIENCE_NS. One
 * at a time. */
void discovery_await(struct discovery *discovery, const struct plan *plan, discovery_fn fn,
                     void *arg);
/* Ends the wait of discovery_prepare. */
void discovery_hurry(struct discovery *discovery);

/* Replaces the pool's `resolve` blocks by the known servers: the settings' list is replaced, in the
 * arena. `discovery` NULL: nothing is known. */
void discovery_expand(struct discovery *discovery, struct arena *arena,
                      struct pool_settings *settings);

/* Whether the servers of a name differ from the running plan's. */
bool discovery_is_stale(const struct discovery *discovery);

/* The servers of a block now; for operators. */
struct discovery_report {
    size_t servers;
    size_t left_out; /* beyond DISCOVERY_SERVERS_MAX */
};
struct discovery_report discovery_report(struct discovery *discovery,
                                         const struct server_settings *block);

/* The plan is in force: forgets names that its pools lack. */
void discovery_adopt(struct discovery *discovery, const struct plan *plan);

#endif
