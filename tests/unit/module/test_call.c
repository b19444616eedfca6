/* SPDX-License-Identifier: MIT */
#include "module/call.h"

#include <sys/resource.h>
#include <time.h>

#include "metered.h"
#include "module/guard.h"
#include "module/module.h"
#include "net/loop.h"
#include "runner.h"

static struct module module = {.name = (char[]){"slow"}};
static struct metered metered;
static struct module_context ctx;
static struct guard *guard;
static struct loop *loop;

static void set_up(void)
{
    const struct guard_conf conf = {.call_budget = NS_PER_MS, .strikes = 100};

    call_clock_begin();
    list_init(&module.guards);
    loop = loop_new(0);
    metered_begin(&metered, &module);
    metered.stack.worker = true;
    metered.stack.loop = loop;
    ctx = (struct module_context){.module = &module};
    metered_context(&metered, &ctx);
    ctx.guard = guard = guard_new(&module, MODULE_BALANCER, "pool web", &conf);
}

static void tear_down(void)
{
    ck_assert_uint_eq(metered.stack.depth, 0);
    guard_unref(&guard);
    metered_end(&metered);
    loop_free(&loop);
}

static void take(uint64_t ns)
{
    struct timespec pause = {.tv_nsec = (long)ns};
    nanosleep(&pause, NULL);
}

/* Of the hook. */
static struct call_times times_of(enum module_hook hook)
{
    struct call_times sum;
    call_sum(&metered.meter, 1, hook, &sum);
    return sum;
}

static uint64_t slow_calls(enum module_hook hook)
{
    return times_of(hook).strikes[STRIKE_SLOW];
}

UNIT_TEST(calls_are_counted_by_hook_with_their_times)
{
    for (unsigned i = 0; i < 99; i++) {
        call_end(call_begin(&ctx, HOOK_PICK));
    }
    struct call *call = call_begin(&ctx, HOOK_PICK);
    take(5 * NS_PER_MS);
    call_end(call);
    call_end(call_begin(&ctx, HOOK_ON_COMPLETE));
    struct call_times picks = times_of(HOOK_PICK), completes = times_of(HOOK_ON_COMPLETE);
    ck_assert_uint_eq(call_count(&picks), 100);
    ck_assert_uint_eq(call_count(&completes), 1);
    ck_assert(call_quantile_ns(&picks, 0.5) < 1e6);
    ck_assert(call_quantile_ns(&picks, 1) >= 5e6);
    ck_assert(call_ticks_ns((double)picks.worst) >= 4.9e6);
    ck_assert_uint_eq(slow_calls(HOOK_PICK), 1);
    ck_assert_uint_eq(slow_calls(HOOK_ON_COMPLETE), 0);
}

UNIT_TEST(what_runs_is_noted_as_long_as_it_runs)
{
    struct call *outer = call_begin(&ctx, HOOK_ON_REQUEST);
    struct call *inner = call_begin(&ctx, HOOK_ON_RESPONSE);
    ck_assert_uint_eq(metered.stack.depth, 2);
    ck_assert_ptr_eq(metered.stack.calls[1].module, &module);
    ck_assert_int_eq(metered.stack.calls[1].hook, HOOK_ON_RESPONSE);
    ck_assert_int_eq(call_hook(&ctx), HOOK_ON_RESPONSE);
    call_end(inner);
    ck_assert_int_eq(call_hook(&ctx), HOOK_ON_REQUEST);
    call_end(outer);
    ck_assert_uint_eq(metered.stack.depth, 0);
}

/* A filter is not charged with what another does to its answer. */
UNIT_TEST(time_of_calls_inside_is_theirs)
{
    struct call *outer = call_begin(&ctx, HOOK_ON_REQUEST);
    struct call *inner = call_begin(&ctx, HOOK_ON_RESPONSE);
    take(50 * NS_PER_MS);
    call_end(inner);
    call_end(outer);
    struct call_times request = times_of(HOOK_ON_REQUEST);
    ck_assert_uint_eq(slow_calls(HOOK_ON_RESPONSE), 1);
    ck_assert_uint_eq(call_ticks_ns((double)request.ticks) < 40e6, 1);
}

UNIT_TEST(calls_beyond_the_depth_are_not_measured)
{
    struct call *calls[CALL_DEPTH + 1];

    for (unsigned i = 0; i <= CALL_DEPTH; i++) {
        calls[i] = call_begin(&ctx, HOOK_LOG);
    }
    ck_assert_ptr_null(calls[CALL_DEPTH]);
    for (unsigned i = CALL_DEPTH + 1; i > 0; i--) {
        call_end(calls[i - 1]);
    }
    struct call_times logs = times_of(HOOK_LOG);
    ck_assert_uint_eq(call_count(&logs), CALL_DEPTH);
}

UNIT_TEST(the_budget_is_for_a_unit_of_work)
{
    struct call *call = call_begin(&ctx, HOOK_ON_MEMBERS);
    take(5 * NS_PER_MS);
    call_end_of(call, call_units(1000000, 100));
    ck_assert_uint_eq(slow_calls(HOOK_ON_MEMBERS), 0);
    call = call_begin(&ctx, HOOK_ON_MEMBERS);
    take(5 * NS_PER_MS);
    call_end_of(call, call_units(99, 100));
    ck_assert_uint_eq(slow_calls(HOOK_ON_MEMBERS), 1);
}

UNIT_TEST(hooks_of_the_life_cycle_have_no_budget)
{
    struct call *call = call_begin(&ctx, HOOK_CREATE);
    take(5 * NS_PER_MS);
    call_end(call);
    ck_assert_uint_eq(slow_calls(HOOK_CREATE), 0);
    metered.stack.worker = false; /* nor has the control thread's any */
    call = call_begin(&ctx, HOOK_PICK);
    take(5 * NS_PER_MS);
    call_end(call);
    ck_assert_uint_eq(slow_calls(HOOK_PICK), 0);
}

/* A suspected module that works all the time is struck, however often it loses the CPU. */
UNIT_TEST(work_counts_though_the_cpu_was_lost)
{
    for (unsigned i = 0; i < 3; i++) {
        struct call *call = call_begin(&ctx, HOOK_PICK);
        struct timespec now;
        do {
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
            if (i > 0) {
                call->lost = -1; /* as if it had been lost */
            }
        } while (
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0 &&
            (i == 0 ? call_ticks_ns((double)(call_clock() - call->since)) < 3e6
                    : (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec - call->work_ns <
                          3 * NS_PER_MS));
        call_end(call);
    }
    ck_assert_uint_eq(slow_calls(HOOK_PICK), 3);
}

/* And one that only waited for a CPU is not. */
UNIT_TEST(waiting_for_a_cpu_is_no_strike)
{
    struct call *call = call_begin(&ctx, HOOK_PICK);
    take(3 * NS_PER_MS);
    call_end(call);
    ck_assert_uint_eq(slow_calls(HOOK_PICK), 1); /* from now on it is suspected */
    call = call_begin(&ctx, HOOK_PICK);
    ck_assert(call->careful);
    take(3 * NS_PER_MS);
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    call->lost = -1;              /* as if the CPU had been lost meanwhile, */
    call->given = usage.ru_nvcsw; /* and not given up */
    call_end(call);
    ck_assert_uint_eq(slow_calls(HOOK_PICK), 1);
    call = call_begin(&ctx, HOOK_PICK);
    take(3 * NS_PER_MS);
    call->lost = -1;
    call_end(call);
    ck_assert_uint_eq(slow_calls(HOOK_PICK), 2); /* it has slept itself */
}

/* Responses that came meanwhile are not charged with it. */
UNIT_TEST(the_loop_loses_the_time)
{
    struct loop_mark mark = loop_mark(loop);
    struct call *call = call_begin(&ctx, HOOK_PICK);
    take(20 * NS_PER_MS);
    call_end(call);
    ck_assert_uint_ge(loop->losses.ns, 19 * NS_PER_MS);
    ck_assert_uint_ge(loop_now_ns(loop) - mark.ns, 19 * NS_PER_MS);
    ck_assert_uint_lt(loop_since(loop, &mark), loop_now_ns(loop) - mark.ns - 18 * NS_PER_MS);
}

UNIT_TEST(memory_is_counted_for_who_runs)
{
    call_allocated(&metered.stack, 100); /* nobody runs */
    struct call *call = call_begin(&ctx, HOOK_ON_REQUEST);
    call_allocated(&metered.stack, 28);
    call_end(call);
    ck_assert_uint_eq(metered.meter.hooks[HOOK_ON_REQUEST]->allocated, 28);
}

UNIT_TEST(contexts_without_a_module_are_not_measured)
{
    struct module_context bare = {.place = ""};
    ck_assert_ptr_null(call_begin(&bare, HOOK_PICK));
    call_end(NULL);
    call_strike(&bare, HOOK_PICK, STRIKE_ANSWER);
}

UNIT_FIXTURE(set_up, tear_down);
