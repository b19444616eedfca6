/* SPDX-License-Identifier: MIT */
/*
 * Recovering servers: slow start, and the end of ejections.
 *
 * A server that returns (from down, maintenance, a drain or an ejection, or as a newcomer of a
 * running pool) starts with a twentieth of its weight, which grows in twenty equal steps over the
 * pool's `slow_start`. Every balancer ranks by weight, so it works with each.
 *
 * An ejection takes a server out for a time, at a health module's request (weir_health_eject). The
 * limit on ejections per pool is enforced here.
 *
 * Thread: the control thread's loop.
 */
#ifndef PROXY_POOL_RECOVERY_H
#define PROXY_POOL_RECOVERY_H

#include "net/loop.h"
#include "proxy/plan/plan.h"
#include "proxy/pool/server.h"

struct recovery;

struct recovery_owner {
    /* Weights in the pool have changed. */
    void (*refresh)(void *arg, struct pool *pool);
    /* The server has been ejected, or is back. */
    void (*changed)(void *arg, struct server *server);
    void *arg;
};

struct recovery *recovery_new(struct loop *loop, unsigned index,
                              const struct recovery_owner *owner);

/* Handles the plan's servers from now on. Holds a reference to it. */
void recovery_adopt(struct recovery *recovery, struct plan *plan);

/* Begins the slow start of a server that has returned. Does nothing if `recovery` is NULL. */
void recovery_look(struct recovery *recovery, const struct pool_plan *plan, struct server *server);

/* Ejects a server for `duration_ns` from now (0: it may return now). `reason`: as in "5 failures in
 * a row". Returns what weir_health_eject does. */
enum weir_status recovery_eject(struct recovery *recovery, const struct pool_plan *plan,
                                weir_server_id id, uint64_t duration_ns, const char *reason);

/* Passes a worker's report to the pool's health modules. */
struct outcome_report;
void recovery_report(struct recovery *recovery, const struct outcome_report *report);

/* Drops the plan. */
void recovery_free(struct recovery **recovery);

#endif
