/* SPDX-License-Identifier: MIT */
/*
 * Calls of modules: what is rare about them, and reading. See call.h.
 */
#include "module/call.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/log.h"
#include "module/guard.h"
#include "module/module.h"
#include "net/loop.h"

#define LONG_NS (20 * NS_PER_MS / 1000)

/* How long a module is suspected after a call over its budget. */
#define SUSPECTED_NS (10 * NS_PER_SECOND)

/* LONG_NS: a call of at least this is dealt with in was_long. */
static uint64_t long_ticks = UINT64_MAX;
static double ns_per_tick = 1;

/* In the order of enum module_hook. Hooks without a budget run once a generation, or on the control
 * thread alone. */
static const struct {
    const char *name;
    bool budgeted;
} hooks[MODULE_HOOKS] = {
    [HOOK_LOAD] = {"load", false},
    [HOOK_CONF_CREATE] = {"conf_create", false},
    [HOOK_CONF_FREE] = {"conf_free", false},
    [HOOK_WORKER_START] = {"worker_start", false},
    [HOOK_WORKER_STOP] = {"worker_stop", false},
    [HOOK_CREATE] = {"create", false},
    [HOOK_DESTROY] = {"destroy", false},
    [HOOK_TIMER] = {"timer", true},
    [HOOK_POST] = {"post", true},
    [HOOK_ROUTE] = {"route", true},
    [HOOK_EXPLAIN] = {"explain", false},
    [HOOK_CHOICES] = {"choices", false},
    [HOOK_COST] = {"cost", true},
    [HOOK_PICK] = {"pick", true},
    [HOOK_SCORE] = {"score", false},
    [HOOK_ON_MEMBERS] = {"on_members", true},
    [HOOK_ON_ASSIGN] = {"on_assign", true},
    [HOOK_ON_SENT] = {"on_sent", true},
    [HOOK_ON_HEAD] = {"on_head", true},
    [HOOK_ON_COMPLETE] = {"on_complete", true},
    [HOOK_SAVE] = {"save", false},
    [HOOK_RESTORE] = {"restore", false},
    [HOOK_LOOKUP] = {"lookup", true},
    [HOOK_ON_REQUEST] = {"on_request", true},
    [HOOK_ON_RESPONSE] = {"on_response", true},
    [HOOK_ON_RESPONSE_DATA] = {"on_response_data", true},
    [HOOK_ON_RESPONSE_CLOSE] = {"on_response_close", true},
    [HOOK_ON_DATA] = {"on_data", false},
    [HOOK_ON_WRITABLE] = {"on_writable", false},
    [HOOK_ON_END] = {"on_end", false},
    [HOOK_ON_DRAIN] = {"on_drain", false},
    [HOOK_LOG] = {"log", true},
    [HOOK_REQUEST] = {"request", false},
    [HOOK_JUDGE] = {"judge", false},
    [HOOK_ON_OUTCOMES] = {"on_outcomes", false},
    [HOOK_OPERATION] = {"operation", false},
};

const char *module_hook_name(enum module_hook hook)
{
    return hooks[hook].name;
}

static const char *const strike_names[STRIKES] = {
    [STRIKE_SLOW] = "over_budget",
    [STRIKE_ANSWER] = "wrong_answer",
    [STRIKE_NONE] = "no_server",
    [STRIKE_FAILED] = "failed",
};

const char *strike_name(enum strike strike)
{
    return strike_names[strike];
}

/* ---- the clock ---- */

static uint64_t clock_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void clock_compare(void)
{
    uint64_t ns = clock_ns(CLOCK_MONOTONIC), ticks = call_clock(), past_ns = 0;

    do {
        past_ns = clock_ns(CLOCK_MONOTONIC) - ns;
    } while (past_ns < NS_PER_MS);
    ns_per_tick = (double)past_ns / (double)(call_clock() - ticks);
    long_ticks = (uint64_t)((double)LONG_NS / ns_per_tick);
}

void call_clock_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, clock_compare);
}

double call_ticks_ns(double ticks)
{
    return ticks * ns_per_tick;
}

/* ---- counting ---- */

static struct call_times *first(struct call_meter *meter, enum module_hook hook)
{
    struct call_times *times = meter->hooks[hook];

    if (times == NULL) {
        times = base_zalloc(sizeof(*times));
        __atomic_store_n(&meter->hooks[hook], times, __ATOMIC_RELEASE);
    }
    return times;
}

void call_strike(struct module_context *ctx, enum module_hook hook, enum strike strike)
{
    if (ctx->meter != NULL) {
        struct call_times *times = first(ctx->meter, hook);
        __atomic_store_n(&times->strikes[strike], times->strikes[strike] + 1, __ATOMIC_RELAXED);
    }
    if (ctx->guard != NULL) {
        guard_strike(ctx->guard, hook, strike, 0);
    }
}

void call_allocated(struct call_stack *stack, size_t len)
{
    if (stack != NULL && stack->depth > 0) {
        const struct call *call = &stack->calls[stack->depth - 1];
        struct call_times *times = first(call->meter, call->hook);
        __atomic_store_n(&times->allocated, times->allocated + len, __ATOMIC_RELAXED);
    }
}

/* ---- long calls ---- */

static void note_switches(long *lost, long *given)
{
    struct rusage usage = {0};

    getrusage(RUSAGE_THREAD, &usage);
    *lost = usage.ru_nivcsw;
    *given = usage.ru_nvcsw;
}

static void with_care(struct call *call)
{
    struct call_meter *meter = call->meter;

    if (meter->suspected_until_ns <= loop_now_ns(meter->stack->loop)) {
        meter->suspected_until_ns = 0;
        return;
    }
    call->careful = true;
    note_switches(&call->lost, &call->given);
    call->work_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* Whether the time is the module's own: it has waited for something (given up the CPU), or worked
 * as long. Else the thread has waited for a CPU, on a busy machine. Of a call that nobody suspected
 * this is not known. */
static bool is_to_blame(const struct call *call, uint64_t budget_ns)
{
    long lost, given;

    if (!call->careful) {
        return true;
    }
    note_switches(&lost, &given);
    return lost == call->lost || given != call->given ||
           clock_ns(CLOCK_THREAD_CPUTIME_ID) - call->work_ns > budget_ns;
}

static void over_budget(struct call *call, uint64_t took_ns, uint64_t budget_ns, uint64_t now_ns)
{
    static struct log_limit limit;
    struct call_meter *meter = call->meter;

    meter->suspected_until_ns = now_ns + SUSPECTED_NS;
    if (!is_to_blame(call, budget_ns)) {
        return;
    }
    uint64_t *strikes = &meter->hooks[call->hook]->strikes[STRIKE_SLOW];
    __atomic_store_n(strikes, *strikes + 1, __ATOMIC_RELAXED);
    log_limited(&limit, WEIR_LOG_WARNING, meter->module->name,
                "%s took %.3g ms%s%s, more than its call_budget of %.3g ms", hooks[call->hook].name,
                (double)took_ns / 1e6, call->place[0] != '\0' ? " in " : "", call->place,
                (double)budget_ns / 1e6);
    guard_strike(call->guard, call->hook, STRIKE_SLOW, took_ns);
}

static void was_long(struct call *call, uint64_t ticks, uint64_t units)
{
    struct call_meter *meter = call->meter;
    struct call_stack *stack = meter->stack;
    uint64_t took_ns = (uint64_t)call_ticks_ns((double)ticks);

    if (stack->loop == NULL) {
        return;
    }
    loop_lose(stack->loop, took_ns);
    uint64_t now_ns = loop_now_ns(stack->loop);
    uint64_t budget_ns = call->guard != NULL ? call->guard->conf.call_budget * units : 0;
    if (stack->worker && hooks[call->hook].budgeted && budget_ns > 0 && took_ns > budget_ns) {
        over_budget(call, took_ns, budget_ns, now_ns);
    }
}

/* ---- begin and end ---- */

__attribute__((noinline)) struct call *call_begin(struct module_context *ctx, enum module_hook hook)
{
    struct call_meter *meter = ctx->meter;

    if (unlikely(meter == NULL) || unlikely(meter->stack->depth == CALL_DEPTH)) {
        return NULL;
    }
    struct call_stack *stack = meter->stack;
    struct call *call = &stack->calls[stack->depth];
    call->meter = meter;
    call->guard = ctx->guard;
    call->inside = 0;
    call->careful = false;
    __atomic_store_n(&call->module, meter->module, __ATOMIC_RELAXED);
    __atomic_store_n(&call->place, ctx->place, __ATOMIC_RELAXED);
    __atomic_store_n(&call->hook, hook, __ATOMIC_RELAXED);
    __atomic_store_n(&call->since, call_clock(), __ATOMIC_RELAXED);
    __atomic_store_n(&stack->depth, stack->depth + 1, __ATOMIC_RELEASE);
    if (unlikely(meter->suspected_until_ns != 0)) {
        with_care(call);
    }
    return call;
}

static unsigned bucket_of(uint64_t ticks)
{
    unsigned exponent = 63u - (unsigned)__builtin_clzll(ticks | 16);
    unsigned bucket = (exponent - 4) * 4 + (unsigned)(ticks >> (exponent - 2) & 3);
    return bucket < CALL_BUCKETS ? bucket : CALL_BUCKETS - 1;
}

__attribute__((noinline)) void call_end_of(struct call *call, uint64_t units)
{
    if (unlikely(call == NULL)) {
        return;
    }
    uint64_t now = call_clock();
    uint64_t whole = likely(now > call->since) ? now - call->since : 0; /* CPUs may differ a bit */
    uint64_t own = whole > call->inside ? whole - call->inside : 0;
    struct call_meter *meter = call->meter;
    struct call_stack *stack = meter->stack;
    struct call_times *times = meter->hooks[call->hook];

    unsigned depth = (unsigned)(call - stack->calls);
    __atomic_store_n(&stack->depth, depth, __ATOMIC_RELEASE);
    if (unlikely(depth > 0)) {
        call[-1].inside += whole;
    }
    if (unlikely(times == NULL)) {
        times = first(meter, call->hook);
    }
    uint64_t *bucket = &times->buckets[bucket_of(own)];
    __atomic_store_n(bucket, *bucket + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&times->ticks, times->ticks + own, __ATOMIC_RELAXED);
    if (unlikely(own > times->worst)) {
        __atomic_store_n(&times->worst, own, __ATOMIC_RELAXED);
    }
    if (unlikely(own >= long_ticks)) {
        was_long(call, own, units);
    }
}

void call_cancel(struct call *call)
{
    if (call != NULL) {
        struct call_stack *stack = call->meter->stack;
        __atomic_store_n(&stack->depth, (unsigned)(call - stack->calls), __ATOMIC_RELEASE);
    }
}

/* ---- reading ---- */

static uint64_t load(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

void call_add(struct call_times *to, const struct call_times *from)
{
    uint64_t worst = load(&from->worst);

    for (unsigned i = 0; i < CALL_BUCKETS; i++) {
        to->buckets[i] += load(&from->buckets[i]);
    }
    for (unsigned i = 0; i < STRIKES; i++) {
        to->strikes[i] += load(&from->strikes[i]);
    }
    to->ticks += load(&from->ticks);
    to->allocated += load(&from->allocated);
    to->worst = worst > to->worst ? worst : to->worst;
}

bool call_sum(const struct call_meter *meters, unsigned loops, enum module_hook hook,
              struct call_times *sum)
{
    bool any = false;

    memset(sum, 0, sizeof(*sum));
    for (unsigned i = 0; i < loops; i++) {
        const struct call_times *times = __atomic_load_n(&meters[i].hooks[hook], __ATOMIC_ACQUIRE);
        if (times != NULL) {
            call_add(sum, times);
            any = true;
        }
    }
    return any;
}

uint64_t call_count(const struct call_times *times)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < CALL_BUCKETS; i++) {
        count += times->buckets[i];
    }
    return count;
}

uint64_t call_strikes(const struct call_times *times)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < STRIKES; i++) {
        count += times->strikes[i];
    }
    return count;
}

/* Where a bucket ends, in ticks. */
static double bucket_end(unsigned bucket)
{
    unsigned exponent = bucket / 4 + 4;
    return (double)(UINT64_C(1) << (exponent - 2)) * (5 + bucket % 4);
}

double call_quantile_ns(const struct call_times *times, double share)
{
    uint64_t count = call_count(times), seen = 0;
    double rank = share * (double)count;

    for (unsigned i = 0; i < CALL_BUCKETS && count > 0; i++) {
        seen += times->buckets[i];
        if (seen > 0 && (double)seen >= rank) {
            double end = bucket_end(i), worst = (double)times->worst;
            return call_ticks_ns(worst > 0 && worst < end ? worst : end);
        }
    }
    return 0;
}

void call_tell(struct crash_text *text, void *arg)
{
    const struct call_stack *stack = arg;
    unsigned depth = __atomic_load_n(&stack->depth, __ATOMIC_RELAXED);

    depth = depth < CALL_DEPTH ? depth : CALL_DEPTH;
    for (unsigned i = depth; i > 0; i--) {
        const struct call *call = &stack->calls[i - 1];
        const struct module *module = __atomic_load_n(&call->module, __ATOMIC_RELAXED);
        const char *place = __atomic_load_n(&call->place, __ATOMIC_RELAXED);
        enum module_hook hook = __atomic_load_n(&call->hook, __ATOMIC_RELAXED);
        crash_put(text, i < depth ? ",{\"module\":" : "{\"module\":");
        crash_put_string(text, module != NULL ? module->name : "");
        crash_put(text, ",\"hook\":");
        crash_put_string(text, module_hook_name(hook));
        crash_put(text, ",\"place\":");
        crash_put_string(text, place != NULL ? place : "");
        crash_put(text, "}");
    }
}

void call_tell_file(struct crash_text *text, void *arg)
{
    const struct call_stack *stack = arg;
    unsigned depth = __atomic_load_n(&stack->depth, __ATOMIC_RELAXED);
    char hex[2 * sizeof(((struct module *)0)->identity) + 1] = "";

    if (depth == 0 || depth > CALL_DEPTH) {
        return;
    }
    const struct module *module =
        __atomic_load_n(&stack->calls[depth - 1].module, __ATOMIC_RELAXED);
    for (size_t i = 0; module != NULL && i < sizeof(module->identity); i++) {
        hex[2 * i] = "0123456789abcdef"[module->identity[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[module->identity[i] & 15];
    }
    crash_put(text, ",\"file\":");
    crash_put_string(text, hex);
}
