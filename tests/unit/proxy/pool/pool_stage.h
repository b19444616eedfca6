/* SPDX-License-Identifier: MIT */
/*
 * A pool on one loop, with a balancer of the test's own, and no configuration, module or network
 * around it.
 */
#ifndef WEIR_TESTS_UNIT_PROXY_POOL_STAGE_H
#define WEIR_TESTS_UNIT_PROXY_POOL_STAGE_H

#include <check.h>

#include "proxy/plan/lifetime.h"
#include "proxy/plan/plan.h"
#include "proxy/pool/balancer.h"
#include "proxy/pool/pick.h"
#include "metered.h"

#define STAGE_SERVERS 5

/* What the balancer was called with, and what it answers. */
struct stage_balancer {
    uint32_t answer;        /* of pick: an index, or WEIR_PICK_NONE */
    bool asks_usable;       /* pick: the first that is usable */
    enum weir_status takes; /* of on_members */
    uint32_t members;       /* of the last on_members */
    unsigned told;          /* how often on_members came */
    uint64_t slow_ns;       /* that on_members takes */
    unsigned picks;
    uint32_t assigned; /* the last one's index; UINT32_MAX: none */
    double score;      /* of every candidate; its index is added */
    bool endless;      /* the score's text is not ended */
};

struct stage {
    struct plan whole;
    struct lifetime life;
    struct loop *loop, *other_loop; /* NULL: see stage_add_loop */
    struct pool_home home, other_home;
    struct pool_settings settings;
    struct pool *pool;
    struct pool_plan plan;
    struct pool_local *local, *other;
    struct module module;
    struct metered metered; /* the balancer */
    struct use use;
    struct balancer balancer, *next[2];
    struct stage_balancer fake;
    struct server *servers[STAGE_SERVERS];
    struct server *by_id[16];
};

/* Servers "s0" to "s4", of weight 1, all up. */
void stage_begin(struct stage *stage);
void stage_end(struct stage *stage);

/* The pool is on a second loop, too, the test's thread its thread as well. */
void stage_add_loop(struct stage *stage);

/* One turn of a loop: what was posted to it arrives. */
void stage_turn(struct loop *loop);

/* A server's state has changed. */
void stage_refresh(struct stage *stage);

/* The candidates' names, in order: "s0 s1 s2". Valid until the next call. */
const char *stage_candidates(const struct stage *stage);

/* A request of that pool, of nobody; it may wait. */
struct stage_request {
    struct attempt attempt;
    struct waiter wait;
    unsigned granted, hopeless; /* how often that was called */
    bool session;               /* as it was granted */
};
void stage_request(struct stage_request *request);
/* Picks for it: the server's name, "busy", "busy for NAME" or "none". The place is released unless
 * `keep`. */
const char *stage_pick(struct stage *stage, struct stage_request *request, bool keep);
void stage_give_back(struct stage *stage, struct stage_request *request);

#endif
