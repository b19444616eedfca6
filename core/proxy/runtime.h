/* SPDX-License-Identifier: MIT */
/*
 * The state of the process: live objects by name, and input for building plans. Control thread.
 */
#ifndef PROXY_RUNTIME_H
#define PROXY_RUNTIME_H

#include "base/table.h"
#include "net/listener.h"
#include "proxy/generation.h"
#include "proxy/plan/traffic.h"
#include "proxy/pool/members.h"
#include "proxy/pool/outcomes.h"
#include "proxy/pool/pool.h"

struct blame_book;
struct names;
struct listener;
struct recovery;

/* Reloads since the start, by result. */
struct reloads {
    uint64_t done, refused;
    uint64_t done_wall_ms; /* when the last one came into force; the start if none did */
    bool last_refused;
};

struct runtime {
    struct module_registry *modules;
    struct blame_book *blame; /* of these */
    const struct weir_host *host;
    unsigned workers; /* loops 0..workers-1; the control thread is loop number `workers` */
    struct table pools, routes; /* by name */
    struct list listeners;
    struct names *names;
    uint64_t start_wall_ms;                /* of the process, since 1970 */
    const struct global_settings *started; /* what the process started with; NULL: not started */
    bool from_root;                        /* started as root, and root no longer */
    const char *const *given;              /* folders that a start as root gives to `user` */
    size_t given_count;
    uint64_t last_id;
    struct reloads reloads;
    struct generation *current; /* NULL before the first */
    struct recovery *recovery;  /* NULL before the start and after the end */
    struct outcome_sink outcomes;
    struct worker **loops; /* workers, then the control thread's */
    /* Applies run-time changes to a pool's settings (`servers`, in the arena); NULL: none. */
    void (*adjust)(void *arg, struct arena *arena, struct pool_settings *settings);
    void *adjust_arg;
    /* The pool's `balance` block that an operator has set; NULL: none. NULL: none for all. */
    const struct conf_node *(*balance)(void *arg, struct arena *arena, struct weir_str pool);
    void *balance_arg;
    /* See plan_input. */
    bool (*try_start)(const char *path, struct mistakes *mistakes, char *error, size_t error_size);
    /* Called on any loop when the last loop has left a generation, or its last balancer of a module
     * has ended; posts to the control thread. The generation may be freed already. */
    void (*on_left)(struct runtime *runtime);
};

/* The loops exist: their reports of outcomes go to `recovery`. */
void runtime_begin(struct runtime *runtime);

/* Finds or creates what a new generation's plan needs and opens its sockets; one that cannot be
 * opened is a mistake. `open` false: opens none. Undone by runtime_detach. */
void runtime_attach(struct runtime *runtime, struct plan *plan, bool open,
                    struct mistakes *mistakes);

/* Drops what was attached, except the listeners, which go on until the plan's last client is
 * gone. */
void runtime_detach(struct plan *plan);
void runtime_detach_listeners(struct plan *plan);

/* The generation's plan of a pool; NULL: it has none, or one of another pool of that name.
 * `generation` may be NULL. */
struct pool_plan *generation_plan_of(const struct generation *generation, const struct pool *pool);

/* Whether this program already listens on the address with sockets that suit the listener
 * (plan_input). */
bool runtime_listens(void *arg, const struct listener_plan *plan, const struct address *address);

/* The services of health modules in the host's table. */
void sdk_health_fill(struct weir_host *host);

#endif
