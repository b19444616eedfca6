/* SPDX-License-Identifier: MIT */
/*
 * The host names of a configuration, and what DNS says of them: it goes into the servers and plans
 * before a generation comes into force and whenever it changes. A server's name gives it its
 * address; a block with `resolve` stands for several servers (proxy/plan/expand.h), and the plan is
 * derived anew when these change; a name that is probed gives the pool's probes their address. How
 * names are kept up with, and what a failure means: net/follow.h.
 *
 * Thread: the control thread's loop.
 */
#ifndef PROXY_UPSTREAM_NAMES_H
#define PROXY_UPSTREAM_NAMES_H

#include "proxy/plan/expand.h"
#include "proxy/plan/plan.h"

struct names;

/* Time that a plan waits for names of which nothing is known yet. */
#define NAMES_PATIENCE_NS (3 * NS_PER_SECOND)

struct names_owner {
    /* A server can be reached, or can no longer. */
    void (*server_changed)(void *arg, struct server *server);
    /* Some block of the plan in force stands for other servers than it knows of
     * (names_is_stale). */
    void (*blocks_changed)(void *arg);
    void *arg;
};

/* Nothing is asked for yet. */
struct names *names_new(void);
void names_free(struct names **names);

/* From now on names are asked for. `nameservers`: see resolver_new. false: `error` says why. */
bool names_start(struct names *names, struct loop *loop, struct weir_str nameservers,
                 const struct names_owner *owner, char *error, size_t error_size);

/* Other nameservers from now on. false: the old ones stay, `error` says why. */
bool names_set_servers(struct names *names, struct weir_str nameservers, char *error,
                       size_t error_size);

/* Asks now for what could not be had. */
void names_ask_again(struct names *names);

/* Puts what is known in the place of the pool's blocks that say `resolve`. */
void names_expand(struct names *names, struct arena *arena, struct pool_settings *settings);

/* Whether a block of a plan that was built has not been asked for yet: once it is (names_await),
 * the plan is to be built again. */
bool names_is_wanting(const struct names *names);

/* Gets the plan that it was given to names_await for, which need not live on for it. */
typedef void (*names_fn)(void *arg, struct plan *plan);

/* Follows all names of the plan; calls `fn` when something is known of each that has never been
 * waited for, or it could not be resolved, or the patience is over: never inside this call. One at
 * a time. */
void names_await(struct names *names, struct plan *plan, names_fn fn, void *arg);
/* Whoever waits there waits no longer: `fn` is called with what is known. */
void names_hurry(struct names *names);

/* The plan is in force: only its names are kept up with. */
void names_adopt(struct names *names, const struct plan *plan);

/* The servers of some block are not those that the plan in force has. */
bool names_is_stale(const struct names *names);

/* What a block stands for now; for operators. */
struct names_report {
    size_t servers;
    size_t left_out; /* beyond EXPAND_SERVERS_MAX */
};
struct names_report names_report(struct names *names, const struct server_settings *block);

#endif
