/* SPDX-License-Identifier: MIT */
/*
 * Guards: one a block of a module, such as a pool's balancer or a listener's filter. It counts the
 * block's strikes; when there are enough of them in ten seconds the block is out, on all loops at
 * once: a balancer's pool goes on with the host's own ranking, a shadow is asked no more, a filter,
 * router or stickiness is passed over or closed. The block stays out until it is tried again, or
 * until a reload changes its options or its module's file. Blocks of a module in quarantine are out
 * from the start.
 *
 * Owner: the plans that have the block. Thread: control; strikes and questions: any loop.
 */
#ifndef MODULE_GUARD_H
#define MODULE_GUARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <weir/option.h>

#include "module/call.h"
#include "module/module.h"

enum guard_fallback { FALLBACK_LEAST_CONN, FALLBACK_ROUND_ROBIN, FALLBACK_RANDOM };
enum guard_on_fault { ON_FAULT_AUTO, ON_FAULT_OPEN, ON_FAULT_CLOSED };

struct guard_conf {
    uint64_t call_budget;
    int64_t strikes;
    int32_t fallback; /* enum guard_fallback */
    int32_t on_fault; /* enum guard_on_fault */
};
/* Rows of struct guard_conf: of all modules; of balancers; of filters, routers and stickiness. */
extern const struct weir_options guard_options, guard_balancer_options, guard_fault_options;
/* The tables that fit what the module can be used as. How many there are. */
#define GUARD_TABLES 3u
size_t guard_tables(const struct module *module, const struct weir_options *tables[GUARD_TABLES]);
/* Those of one block. */
size_t guard_tables_of(enum module_kind kind, const struct weir_options *tables[GUARD_TABLES]);
const char *guard_fallback_name(int32_t fallback);

/* Why a block is out. */
struct guard_fall {
    uint64_t wall_ms; /* since 1970 */
    enum module_hook hook;
    enum strike strike; /* the last one */
    uint64_t took_ns;   /* STRIKE_SLOW */
};

struct guard {
    struct list link; /* in the module's */
    struct module *module;
    enum module_kind kind; /* MODULE_KIND_COUNT: the module block */
    char *place;           /* "pool web balance 1"; empty: the module block */
    struct guard_conf conf;
    bool closed;      /* what `on_fault` means for it */
    bool shadow;      /* it is asked and not obeyed: nothing has to take its place */
    bool quarantined; /* its module is in quarantine: it is out, and not tried again */
    unsigned refs;
    /* Odd: it is out. Goes up by one with each change. */
    _Atomic uint32_t state;
    pthread_mutex_t lock;     /* of the rest */
    uint64_t *recent;         /* times of the last conf.strikes strikes, ns */
    uint64_t count;           /* since it was last tried */
    _Atomic uint64_t strikes; /* all, also where none puts it out; without the lock */
    struct guard_fall fall;   /* of the last time */
    bool told;                /* the control thread has told that it is out */
};

/* For a block that has none yet, with a reference. */
struct guard *guard_new(struct module *module, enum module_kind kind, const char *place,
                        const struct guard_conf *conf);
struct guard *guard_ref(struct guard *guard);
/* NULL is legal. */
void guard_unref(struct guard **guard);

static inline uint32_t guard_state(const struct guard *guard)
{
    return guard != NULL ? atomic_load_explicit(&guard->state, memory_order_relaxed) : 0;
}
static inline bool guard_is_out(const struct guard *guard)
{
    return (guard_state(guard) & 1) != 0;
}

/* Only kinds that there is something to be done without are ever out. */
bool guard_can_be_out(const struct guard *guard);
/* One more; `took_ns` of STRIKE_SLOW. NULL is legal. */
void guard_strike(struct guard *guard, enum module_hook hook, enum strike strike, uint64_t took_ns);
/* It is tried again. false: it was not out. Control thread. */
bool guard_retry(struct guard *guard);
/* It is out, and that is to be told: once. Control thread. */
bool guard_tell(struct guard *guard);
struct guard_fall guard_why(struct guard *guard);

#endif
