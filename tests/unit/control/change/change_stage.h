/* SPDX-License-Identifier: MIT */
/*
 * A stage for runtime changes: a generation with the pool "web", whose servers "a" and "b" are in
 * the files; an owner that a test directs; a store without module, so there is no thread.
 */
#ifndef CHANGE_STAGE_H
#define CHANGE_STAGE_H

#include "control/change/changes.h"
#include "runner.h"

#define STAGE_SERVERS_MAX 4u

struct stage {
    struct arena arena;
    struct runtime runtime;
    struct plan whole;
    struct generation generation; /* the one that runs */
    struct server_settings files[2];
    struct pool_settings settings; /* of the files, with the runtime changes laid over them */
    struct pool_plan plan;
    struct pool pool;
    struct server *servers[STAGE_SERVERS_MAX], *by_id[8];
    uint32_t places[8];
    struct worker worker;
    struct changes changes;
    /* what the owner does */
    const char *derive_error; /* NULL: it can be derived */
    const char *apply_error;  /* NULL: the loops are ready */
    bool hold;                /* what is applied waits for stage_ready */
    /* what it was told */
    unsigned refreshed, derived, applied, rebuilds, reloads;
    struct operation *reload;
    void (*gate)(void *arg);
    void (*done)(void *arg, const char *error);
    void *arg;
};

struct answers {
    unsigned count, status;
    char body[2048];
    uint64_t journal;
};

/* Nothing has begun before this returns, and nothing is under way. */
void stage_init(struct stage *stage, const struct change_part *const *parts);
void stage_end(struct stage *stage);
/* Until nothing is left to do. */
void stage_settle(struct stage *stage);
/* The loops are ready for what is applied. */
void stage_ready(struct stage *stage);

/* Asks, as an operator; answered when it settles. */
void stage_ask(struct stage *stage, struct answers *answers, const char *method, const char *path,
               const char *query, const char *body);
/* Asks and settles. */
struct answers stage_do(struct stage *stage, const char *method, const char *path,
                        const char *query, const char *body);

/* The live server; NULL: the pool has none of that id. */
struct server *stage_server(const struct stage *stage, const char *id);
/* The id of the newest entry of the journal; 0: it has none. */
uint64_t stage_last_entry(const struct stage *stage);
/* Whether the overlay's entry of a key has this text; NULL: there is none. */
bool stage_entry_is(const struct stage *stage, const char *key, const char *text);

#endif
