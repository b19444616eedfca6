/* SPDX-License-Identifier: MIT */
/*
 * Guards. See guard.h.
 */
#include "module/guard.h"

#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "module/blame.h"
#include "net/loop.h"

#define WINDOW_NS (10 * NS_PER_SECOND)

/* ---- options ---- */

#define ANYWHERE \
    (WEIR_CONTEXT_MODULE | WEIR_CONTEXT_LISTENER | WEIR_CONTEXT_ROUTE | WEIR_CONTEXT_POOL)
#define RELOAD WEIR_OPTION_RELOADABLE

static const struct weir_option common_rows[] = {
    WEIR_OPTION_RANGE(
        struct guard_conf, call_budget, DURATION, "1ms", "0", "1h", ANYWHERE, RELOAD,
        "Time that one of its calls may take on a worker; for each 4 KiB of a body, and for each "
        "100 members of a pool. One that takes longer is a strike. 0: any time."),
    WEIR_OPTION_RANGE(
        struct guard_conf, strikes, INTEGER, "100", "0", "10000", ANYWHERE, RELOAD,
        "Strikes within 10 s, over all workers, after which the block is out: calls over budget, "
        "wrong answers and failed hooks. weirctl module retry NAME tries it again. 0: never."),
};
const struct weir_options guard_options = WEIR_OPTIONS(struct guard_conf, common_rows);

static const char *const fallbacks[] = {"least_conn", "round_robin", "random", NULL};
static const struct weir_option balancer_rows[] = {
    WEIR_OPTION_ENUM(
        struct guard_conf, fallback, fallbacks, "least_conn",
        WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL, RELOAD,
        "How Weir itself chooses servers while the balancer is out: least_conn, round_robin, or "
        "random (the better of two). No module is needed for that."),
};
const struct weir_options guard_balancer_options = WEIR_OPTIONS(struct guard_conf, balancer_rows);

static const char *const on_faults[] = {"auto", "open", "closed", NULL};
static const struct weir_option fault_rows[] = {
    WEIR_OPTION_ENUM(
        struct guard_conf, on_fault, on_faults, "auto", ANYWHERE, RELOAD,
        "While it is out: open (passed over, as if it were not configured) or closed (requests "
        "get 503). auto: closed for routers and for filters that look at requests, which may be "
        "there to refuse them; open for stickiness and for filters of responses alone."),
};
const struct weir_options guard_fault_options = WEIR_OPTIONS(struct guard_conf, fault_rows);

size_t guard_tables_of(enum module_kind kind, const struct weir_options *tables[GUARD_TABLES])
{
    tables[0] = &guard_options;
    switch (kind) {
    case MODULE_BALANCER: tables[1] = &guard_balancer_options; return 2;
    case MODULE_STICKY:
    case MODULE_FILTER: tables[1] = &guard_fault_options; return 2;
    default: return 0; /* no worker runs it */
    }
}

size_t guard_tables(const struct module *module, const struct weir_options *tables[GUARD_TABLES])
{
    size_t count = 1;

    tables[0] = &guard_options;
    if (module_has_kind(module, MODULE_BALANCER)) {
        tables[count++] = &guard_balancer_options;
    }
    if (module_has_kind(module, MODULE_STICKY) || module_has_kind(module, MODULE_FILTER) ||
        module_has_kind(module, MODULE_ROUTER)) {
        tables[count++] = &guard_fault_options;
    }
    return count;
}

const char *guard_fallback_name(int32_t fallback)
{
    return fallbacks[fallback];
}

/* ---- life ---- */

/* Only kinds that there is something to be done without are ever out. */
static bool is_dispensable(enum module_kind kind)
{
    return kind == MODULE_BALANCER || kind == MODULE_STICKY || kind == MODULE_FILTER ||
           kind == MODULE_ROUTER;
}

static bool is_closed(const struct guard *guard)
{
    if (guard->conf.on_fault != ON_FAULT_AUTO) {
        return guard->conf.on_fault == ON_FAULT_CLOSED;
    }
    return guard->kind == MODULE_ROUTER ||
           (guard->kind == MODULE_FILTER &&
            (guard->module->filter.on_request != NULL || guard->module->sees_requests));
}

struct guard *guard_new(struct module *module, enum module_kind kind, const char *place,
                        const struct guard_conf *conf)
{
    struct guard *guard = base_zalloc(sizeof(*guard));

    guard->module = module;
    guard->kind = kind;
    guard->place = base_strdup(place);
    guard->conf = *conf;
    guard->closed = is_closed(guard);
    guard->refs = 1;
    guard->quarantined = module->quarantine != NULL && is_dispensable(kind);
    guard->state = guard->quarantined;
    guard->fall.wall_ms = guard->quarantined ? (uint64_t)module->quarantine->since_s * 1000 : 0;
    guard->recent = base_zalloc(((size_t)conf->strikes + 1) * sizeof(*guard->recent));
    pthread_mutex_init(&guard->lock, NULL);
    list_push_back(&module->guards, &guard->link);
    return guard;
}

struct guard *guard_ref(struct guard *guard)
{
    guard->refs++;
    return guard;
}

void guard_unref(struct guard **guard)
{
    struct guard *given = *guard;

    *guard = NULL;
    if (given == NULL || --given->refs > 0) {
        return;
    }
    list_remove(&given->link);
    pthread_mutex_destroy(&given->lock);
    free(given->recent);
    free(given->place);
    free(given);
}

/* ---- strikes ---- */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

bool guard_can_be_out(const struct guard *guard)
{
    return guard->conf.strikes > 0 && is_dispensable(guard->kind);
}

/* Locked. true: it is one too many. */
static bool note(struct guard *guard)
{
    uint64_t now = now_ns(), most = (uint64_t)guard->conf.strikes;
    uint64_t *oldest = &guard->recent[guard->count++ % most];

    *oldest = now;
    return guard->count >= most && now - guard->recent[guard->count % most] <= WINDOW_NS;
}

static void log_fall(const struct guard *guard)
{
    log_write(WEIR_LOG_ERROR, guard->module->name,
              "%lld strikes within 10 s%s%s: it is out, %s; weirctl module retry %s tries it again",
              (long long)guard->conf.strikes, guard->place[0] != '\0' ? " of " : "", guard->place,
              guard->shadow                    ? "and is asked no more"
              : guard->kind == MODULE_BALANCER ? "and Weir itself chooses the servers"
              : guard->closed                  ? "and requests for it get 503"
                                               : "and is passed over",
              guard->module->name);
}

void guard_strike(struct guard *guard, enum module_hook hook, enum strike strike, uint64_t took_ns)
{
    if (guard == NULL) {
        return;
    }
    atomic_fetch_add_explicit(&guard->strikes, 1, memory_order_relaxed);
    if (!guard_can_be_out(guard) || guard_is_out(guard)) {
        return;
    }
    pthread_mutex_lock(&guard->lock);
    bool out = !guard_is_out(guard) && note(guard);
    if (out) {
        guard->fall = (struct guard_fall){loop_wall_ms(), hook, strike, took_ns};
        guard->told = false;
        atomic_fetch_add(&guard->state, 1);
    }
    pthread_mutex_unlock(&guard->lock);
    if (out) {
        log_fall(guard);
        const struct module_alarm *alarm = guard->module->alarm;
        if (alarm != NULL && alarm->fn != NULL) {
            alarm->fn(alarm->arg);
        }
    }
}

bool guard_retry(struct guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    bool was_out = guard_is_out(guard) && !guard->quarantined;
    if (was_out) {
        guard->count = 0;
        atomic_fetch_add(&guard->state, 1);
    }
    pthread_mutex_unlock(&guard->lock);
    return was_out;
}

bool guard_tell(struct guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    bool tell = guard_is_out(guard) && !guard->told;
    guard->told |= tell;
    pthread_mutex_unlock(&guard->lock);
    return tell;
}

struct guard_fall guard_why(struct guard *guard)
{
    pthread_mutex_lock(&guard->lock);
    struct guard_fall fall = guard->fall;
    pthread_mutex_unlock(&guard->lock);
    return fall;
}
