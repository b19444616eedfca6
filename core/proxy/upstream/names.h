/* SPDX-License-Identifier: MIT */
/*
 * The host names of a configuration: their records go into servers and plans before a plan comes
 * into force and whenever they change. A server's name gives it its address; a block with `resolve`
 * stands for several servers (proxy/plan/expand.h), and a new plan is derived when these change; a
 * probed name gives the pool's probes their address. How names are followed and what a failure
 * means: net/follow.h.
 *
 * Thread: the control thread's loop.
 */
#ifndef PROXY_UPSTREAM_NAMES_H
#define PROXY_UPSTREAM_NAMES_H

#include "proxy/plan/expand.h"
#include "proxy/plan/plan.h"

struct names;

/* How long a plan waits for names that are not resolved yet. */
#define NAMES_PATIENCE_NS (3 * NS_PER_SECOND)

struct names_owner {
    /* A server became reachable or unreachable. */
    void (*server_changed)(void *arg, struct server *server);
    /* The servers of some block have changed since the plan in force was derived
     * (names_is_stale). */
    void (*blocks_changed)(void *arg);
    void *arg;
};

/* Sends no query yet. */
struct names *names_new(void);
void names_free(struct names **names);

/* Starts resolving. `nameservers`: see resolver_new. false: `error` says why. */
bool names_start(struct names *names, struct loop *loop, struct weir_str nameservers,
                 const struct names_owner *owner, char *error, size_t error_size);

/* Changes the nameservers. false: the old ones stay, `error` says why. */
bool names_set_servers(struct names *names, struct weir_str nameservers, char *error,
                       size_t error_size);

/* Retries failed names now. */
void names_ask_again(struct names *names);

/* Replaces the pool's `resolve` blocks by their known servers. */
void names_expand(struct names *names, struct arena *arena, struct pool_settings *settings);

/* Whether a built plan has a block that was not resolved yet: after names_await it must be built
 * again. */
bool names_is_wanting(const struct names *names);

/* Callback of names_await; the plan need not live until then. */
typedef void (*names_fn)(void *arg, struct plan *plan);

/* Follows all names of the plan; calls `fn`, never inside this call, when each new name is resolved
 * or has failed, or the patience is over. One at a time. */
void names_await(struct names *names, struct plan *plan, names_fn fn, void *arg);
/* Ends the wait: calls `fn` with what is known. */
void names_hurry(struct names *names);

/* The plan is in force: follows its names alone. */
void names_adopt(struct names *names, const struct plan *plan);

/* Whether the servers of a block differ from those of the plan in force. */
bool names_is_stale(const struct names *names);

/* The servers of a block now; for operators. */
struct names_report {
    size_t servers;
    size_t left_out; /* beyond EXPAND_SERVERS_MAX */
};
struct names_report names_report(struct names *names, const struct server_settings *block);

#endif
