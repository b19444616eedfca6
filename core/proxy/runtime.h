/* SPDX-License-Identifier: MIT */
/*
 * What the process has: live objects by name, and what building needs to know. Control thread.
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

struct discovery;
struct listener;
struct recovery;

/* What became of reloads since the start. */
struct reloads {
    uint64_t done, refused;
    uint64_t done_wall_ms; /* when the last came into force; the start: none did */
    bool last_refused;
};

struct runtime {
    struct module_registry *modules;
    const struct weir_host *host;
    unsigned workers; /* loops 0..workers-1; the control thread is loop number `workers` */
    struct table pools, routes; /* by name */
    struct list listeners;
    struct discovery *discovery;
    uint64_t start_wall_ms;                /* of the program, since 1970 */
    const struct global_settings *started; /* what the process began with; NULL: it has not yet */
    bool from_root;                        /* started by root, and not root any more */
    const char *const *given;              /* folders that a start as root gives to `user` */
    size_t given_count;
    uint64_t last_id;
    struct reloads reloads;
    struct generation *current; /* NULL before the first */
    struct recovery *recovery;  /* NULL before the start and after the end */
    struct outcome_sink outcomes;
    struct worker **loops; /* workers, then the control thread's */
    /* Lays what was changed at run time over a pool's settings (`servers`, in the arena); NULL:
     * nothing. */
    void (*adjust)(void *arg, struct arena *arena, struct pool_settings *settings);
    void *adjust_arg;
    void *plane; /* the control plane's; services find it here */
    /* See plan_input. */
    bool (*try_start)(const char *path, struct mistakes *mistakes, char *error, size_t error_size);
    /* Called on a loop (any) when the last one has left a generation, or has no balancer of a
     * module of one any more; posts to the control thread. The generation may be gone already. */
    void (*on_left)(struct runtime *runtime);
};

/* The loops are there: what they hear of requests' outcomes goes to `recovery`. */
void runtime_begin(struct runtime *runtime);

/* Finds or makes what a new generation's plan needs; sockets are opened, and one that cannot be is
 * a mistake. `open`: false: they are not. runtime_detach gives it back. */
void runtime_attach(struct runtime *runtime, struct plan *plan, bool open,
                    struct mistakes *mistakes);

/* Gives back what was attached, but the listeners, who go on until the plan's last client is
 * gone. */
void runtime_detach(struct plan *plan);
void runtime_detach_listeners(struct plan *plan);

/* The generation's plan of a pool; NULL: it has none, or of another pool of that name. `generation`
 * may be NULL. */
struct pool_plan *generation_plan_of(const struct generation *generation, const struct pool *pool);

/* The program listens on the address already, with sockets that can go on for the listener
 * (plan_input). */
bool runtime_listens(void *arg, const struct listener_plan *plan, const struct address *address);

/* The services of health modules in the host's table. */
void sdk_health_fill(struct weir_host *host);

#endif
