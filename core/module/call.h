/* SPDX-License-Identifier: MIT */
/*
 * Calls of modules. Whoever calls a hook does so between call_begin and call_end, which note what
 * runs where, and count and time it. Every call is timed, by the processor's own counter, so that
 * each one that is too long is found; docs/ARCHITECTURE.md has what that costs.
 *
 * Each loop has a stack of calls, since hooks lead to others: a filter that answers makes its
 * answer pass other filters. A call's time is its own, without that of calls inside it.
 *
 * Thread: the loop's. Any thread may read what is noted and counted, and so may a handler of a
 * fatal signal.
 */
#ifndef MODULE_CALL_H
#define MODULE_CALL_H

#include <time.h>

#include "base/crash.h"
#include "base/list.h"
#include "module/context.h"

struct guard;
struct loop;
struct module;

enum module_hook {
    HOOK_LOAD,
    HOOK_CONF_CREATE,
    HOOK_CONF_FREE,
    HOOK_WORKER_START,
    HOOK_WORKER_STOP,
    HOOK_CREATE,
    HOOK_DESTROY,
    HOOK_TIMER, /* of the module's own, */
    HOOK_POST,  /* and what it has posted */
    HOOK_ROUTE,
    HOOK_EXPLAIN,
    HOOK_CHOICES,
    HOOK_COST, /* a choice by costs, or costs computed anew: one call for all candidates */
    HOOK_PICK,
    HOOK_SCORE,
    HOOK_ON_MEMBERS,
    HOOK_ON_ASSIGN,
    HOOK_ON_SENT,
    HOOK_ON_HEAD,
    HOOK_ON_COMPLETE,
    HOOK_SAVE,
    HOOK_RESTORE,
    HOOK_LOOKUP,
    HOOK_ON_REQUEST,
    HOOK_ON_RESPONSE,
    HOOK_ON_RESPONSE_DATA,
    HOOK_ON_RESPONSE_CLOSE,
    HOOK_ON_DATA,
    HOOK_ON_WRITABLE,
    HOOK_ON_END,
    HOOK_ON_DRAIN,
    HOOK_LOG,
    HOOK_REQUEST, /* of a probe */
    HOOK_JUDGE,
    HOOK_ON_OUTCOMES,
    HOOK_OPERATION, /* any of the control plane's hooks */
};
#define MODULE_HOOKS (HOOK_OPERATION + 1)
const char *module_hook_name(enum module_hook hook);

/* A breach of the contract. */
enum strike {
    STRIKE_SLOW,   /* a call over its budget */
    STRIKE_ANSWER, /* an answer that is none: no server of the pool's, a cost that is no number */
    STRIKE_NONE,   /* nobody, where a server was usable */
    STRIKE_FAILED, /* a hook that failed */
};
#define STRIKES (STRIKE_FAILED + 1)
const char *strike_name(enum strike strike);

/* Times: four buckets per power of two, in ticks of the clock; the last takes all above. */
#define CALL_BUCKETS 136u

/* One hook of a copy on one loop. */
struct call_times {
    uint64_t buckets[CALL_BUCKETS]; /* calls, by their own time */
    uint64_t ticks, worst;
    uint64_t allocated; /* bytes that it has asked the host for */
    uint64_t strikes[STRIKES];
};

/* A copy on one loop. */
struct call_meter {
    const struct module *module;
    struct call_stack *stack;
    /* A call was over its budget: for a while the next ones are measured with more care. */
    uint64_t suspected_until_ns;            /* 0: it is not */
    struct call_times *hooks[MODULE_HOOKS]; /* NULL: not called yet */
} __attribute__((aligned(64)));

/* A call that runs. */
struct call {
    struct call_meter *meter;
    const struct module *module;
    const char *place; /* pool or block; what it points to is freed by the control thread alone */
    struct guard *guard;
    uint64_t since;   /* by call_clock */
    uint64_t inside;  /* ticks of calls inside it */
    bool careful;     /* the copy is suspected, and so these are known: */
    long lost, given; /* how often the kernel had taken the CPU, and the thread given it up */
    uint64_t work_ns; /* what it had worked */
    enum module_hook hook;
};

#define CALL_DEPTH 32u

/* A loop's calls, the running one last. */
struct call_stack {
    unsigned depth;
    bool worker;       /* calls have a budget */
    struct loop *loop; /* NULL: none has run yet */
    struct call calls[CALL_DEPTH];
} __attribute__((aligned(64)));

/* Ticks of a counter that runs at one speed on all CPUs, as the kernel's own clock is read. */
static inline uint64_t call_clock(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
#endif
}
double call_ticks_ns(double ticks);
/* Compares the counter with the clock, once; takes a millisecond. Before anything is called. */
void call_clock_begin(void);

/* Neither is inlined: where hooks are called the compiler has better things to inline.
 *
 * NULL: it is not measured (a context without a module, or too many calls inside each other). */
struct call *call_begin(struct module_context *ctx, enum module_hook hook);
/* The end of a call whose budget is that for one unit of work as often as it had units; NULL is
 * legal. */
void call_end_of(struct call *call, uint64_t units);

/* The end of one that is neither counted nor timed. */
void call_cancel(struct call *call);

static inline void call_end(struct call *call)
{
    call_end_of(call, 1);
}

/* Units of work, of `size` each. */
static inline uint64_t call_units(uint64_t amount, uint64_t size)
{
    return 1 + amount / size;
}

/* A breach, by the instance's own hook; on its loop. Where the call has ended already. */
void call_strike(struct module_context *ctx, enum module_hook hook, enum strike strike);

/* The hook that runs on the context's loop. */
static inline enum module_hook call_hook(const struct module_context *ctx)
{
    const struct call_stack *stack = ctx->meter != NULL ? ctx->meter->stack : NULL;
    return stack != NULL && stack->depth > 0 ? stack->calls[stack->depth - 1].hook : HOOK_LOAD;
}

/* The hook that runs on the loop has asked for memory of the host. NULL is legal. */
void call_allocated(struct call_stack *stack, size_t len);

/* ---- reading; any thread that keeps the copy ---- */

/* What runs on a loop (`arg`: its struct call_stack), the innermost first; see crash_calls. */
void call_tell(struct crash_text *text, void *arg);
/* Likewise: adds `"file"`, the SHA-256 of the innermost call's module. */
void call_tell_file(struct crash_text *text, void *arg);

/* The sum of what a copy's loops have counted of a hook; `loops` meters. false: it has not been
 * called. */
bool call_sum(const struct call_meter *meters, unsigned loops, enum module_hook hook,
              struct call_times *sum);
uint64_t call_count(const struct call_times *times);
/* The quantile `share` (0..1), nanoseconds; 0: no call. */
double call_quantile_ns(const struct call_times *times, double share);
uint64_t call_strikes(const struct call_times *times);
/* Adds one to the other. */
void call_add(struct call_times *to, const struct call_times *from);

#endif
