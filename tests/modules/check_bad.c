/* SPDX-License-Identifier: MIT */
/*
 * A balancer that is wrong in one way, which the macro BAD_... says: for the tests of
 * weir-module-check, which build it. Without a macro it is good.
 */
#include <weir/weir.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef NAME
#define NAME "balance_good"
#endif

struct conf {
    int64_t choices;
#if defined(BAD_VALUE)
    struct weir_str label;
#endif
};

struct instance {
    const struct weir_candidates *members;
    struct weir_timer *timer;
    uint64_t calls;
    const char *name;
    char *text;
};

#if defined(BAD_DEFAULT)
#define DEFAULT "17"
#else
#define DEFAULT "2"
#endif

static const struct weir_option rows[] = {
    WEIR_OPTION_RANGE(struct conf, choices, INTEGER, DEFAULT, "1", "16",
                      WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL, WEIR_OPTION_RELOADABLE,
#if defined(BAD_DOCUMENT)
                      ""),
#else
                      "How many are drawn."),
#endif
#if defined(BAD_VALUE)
    WEIR_OPTION(struct conf, label, STRING, "none", WEIR_CONTEXT_MODULE | WEIR_CONTEXT_POOL,
                WEIR_OPTION_RELOADABLE, "What it is called."),
#endif
};
static const struct weir_options options = WEIR_OPTIONS(struct conf, rows);

static void *volatile lost; /* so that no compiler leaves an allocation out */

static enum weir_status conf_create(struct weir_context *ctx, struct weir_check *check,
                                    const void *conf, void **prepared)
{
    (void)ctx;
    (void)check;
    (void)conf;
    (void)prepared;
#if defined(BAD_LEAK_CONF)
    lost = calloc(1, 100);
#elif defined(BAD_LEAK_REFUSED)
    if (((const struct conf *)conf)->choices == 1) {
        lost = calloc(1, 100);
        weir_check_error(ctx, check, conf, "not 1");
        return WEIR_INVALID;
    }
#elif defined(BAD_CONF)
    ((struct conf *)(uintptr_t)conf)->choices++;
#endif
    return WEIR_OK;
}

#if defined(BAD_THREAD)
static void *wait_for_ever(void *arg)
{
    while (true) {
        pause();
    }
    return arg;
}
#elif defined(BAD_ELSEWHERE)
static void *ask_the_time(void *arg)
{
    (void)weir_now_ns(arg);
    return NULL;
}
#elif defined(BAD_TIMER)
static void on_timer(void *arg)
{
    ((struct instance *)arg)->calls++;
}
#endif

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **out)
{
    struct instance *instance = *out;
    (void)ctx;
    (void)conf;
    (void)prepared;
    instance->text = calloc(1, 8);
    if (instance->text == NULL) {
        return WEIR_NO_MEMORY;
    }
#if defined(BAD_LEAK_CREATE)
    lost = calloc(1, 100);
#elif defined(BAD_FILE)
    lost = (void *)(intptr_t)open("/dev/null", O_RDONLY | O_CLOEXEC);
#elif defined(BAD_THREAD)
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_ever, NULL);
#elif defined(BAD_ELSEWHERE)
    pthread_t thread;
    if (pthread_create(&thread, NULL, ask_the_time, ctx) == 0) {
        pthread_join(thread, NULL);
    }
#elif defined(BAD_TIMER)
    instance->timer = weir_timer_new(ctx, on_timer, instance);
#elif defined(BAD_AFTER)
    static struct instance *kept;
    if (kept != NULL) {
        kept->calls++;
    }
    kept = instance;
#elif defined(BAD_VALUE)
    static struct weir_str kept; /* the bytes are not its own */
    if (kept.len > 0 && *(const volatile char *)kept.ptr == '?') {
        return WEIR_ERROR;
    }
    kept = ((const struct conf *)conf)->label;
#endif
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *arg)
{
    struct instance *instance = arg;
    (void)ctx;
    free(instance->text);
}

static enum weir_status on_members(struct weir_context *ctx, void *arg,
                                   const struct weir_candidates *candidates)
{
    struct instance *instance = arg;
    (void)ctx;
#if defined(BAD_KEEPS)
    if (instance->members != NULL) {
        return WEIR_OK;
    }
#endif
    instance->members = candidates;
#if defined(BAD_NAME)
    if (instance->name != NULL && *(const volatile char *)instance->name == '?') {
        return WEIR_ERROR;
    }
    if (candidates->count > 0) {
        instance->name = weir_candidate_at(candidates, 0)->name.ptr;
    }
#endif
    return WEIR_OK;
}

#if defined(BAD_UNDEFINED)
uint32_t weir_does_it(uint32_t count);
uint32_t nobody_has_this(void);
#elif defined(BAD_EXPORT)
WEIR_EXPORT uint32_t helper(uint32_t count);
WEIR_EXPORT uint32_t helper(uint32_t count)
{
    return count;
}
#endif

static uint32_t pick(struct weir_context *ctx, void *arg, const struct weir_pick *pick)
{
    struct instance *instance = arg;
    (void)ctx;
    instance->calls++;
#if defined(BAD_STATE)
    if (instance->name != NULL && *(const volatile char *)instance->name == '?') {
        return WEIR_PICK_NONE;
    }
#endif
#if defined(BAD_CRASH)
    *(volatile uint32_t *)(uintptr_t)0x10 = 1;
#elif defined(BAD_LOOP)
    while (*(volatile uint64_t *)&instance->calls > 0) {}
#elif defined(BAD_WAIT)
    pause();
#elif defined(BAD_SLEEP)
    usleep(2000);
#elif defined(BAD_SLOW)
    for (volatile uint64_t i = 0; i < 100000000; i++) {}
#elif defined(BAD_EXIT)
    exit(0);
#elif defined(BAD_INDEX)
    return pick->candidates->count;
#elif defined(BAD_NONE)
    return WEIR_PICK_NONE;
#elif defined(BAD_UNDEFINED)
    return weir_does_it(nobody_has_this());
#elif defined(BAD_LEAK_CALL)
    lost = calloc(1, 100);
#elif defined(BAD_OVERRUN)
    instance->text[8 + (instance->calls & 1)] = 'x';
#elif defined(BAD_OVERFLOW)
    int32_t most = INT32_MAX - (int32_t)pick->attempt;
    most += (int32_t)pick->candidates->count + 5;
    instance->calls += (uint64_t)(most & 1);
#endif
    for (uint32_t i = 0; i < instance->members->count; i++) {
        if (weir_pick_usable(pick, i)) {
            return i;
        }
    }
    return WEIR_PICK_NONE;
}

#if defined(BAD_STATE)
static enum weir_status save(struct weir_context *ctx, void *arg, struct weir_state *state)
{
    const struct instance *instance = arg;
    (void)ctx;
    memcpy(state->data, &instance->calls, sizeof(instance->calls));
    state->len = sizeof(instance->calls);
    return WEIR_OK;
}

static enum weir_status restore(struct weir_context *ctx, void *arg, const struct weir_state *state)
{
    struct instance *instance = arg;
    (void)ctx;
    instance->name = state->data;
    return WEIR_OK;
}
#endif

static const struct weir_balancer balancer = {
#if defined(BAD_SIZE)
    .size = sizeof(balancer) + 8,
#else
    .size = sizeof(balancer),
#endif
    .instance_size = sizeof(struct instance),
    .create = create,
    .destroy = destroy,
    .on_members = on_members,
    .pick = pick,
#if defined(BAD_STATE)
    .save = save,
    .restore = restore,
#endif
};

static const struct weir_module module = {
    .size = sizeof(module),
    .abi_major = WEIR_ABI_MAJOR,
#if defined(BAD_ABI)
    .abi_minor = WEIR_ABI_MINOR + 90,
#else
    .abi_minor = WEIR_ABI_MINOR,
#endif
    .name = NAME,
    .version = "1.0",
    .license = "MIT",
    .summary = "Is wrong in one way",
    .options = &options,
    .conf_create = conf_create,
    .balancer = &balancer,
};

#if !defined(BAD_ENTRY)
WEIR_MODULE(module);
#endif
