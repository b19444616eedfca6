/* SPDX-License-Identifier: MIT */
#include "module/guard.h"

#include <pthread.h>

#include "base/base.h"
#include "module/blame.h"
#include "runner.h"

static struct module module = {.name = (char[]){"bad"}};
static struct weir_filter filter;

static void set_up(void)
{
    memset(&module.filter, 0, sizeof(module.filter));
    list_init(&module.guards);
}

static void tear_down(void)
{
    ck_assert(list_empty(&module.guards));
}

static struct guard *make(enum module_kind kind, int64_t strikes, enum guard_on_fault on_fault)
{
    const struct guard_conf conf = {.strikes = strikes, .on_fault = (int32_t)on_fault};
    return guard_new(&module, kind, "pool web balance 1", &conf);
}

UNIT_TEST(enough_strikes_put_a_block_out)
{
    struct guard *guard = make(MODULE_BALANCER, 3, ON_FAULT_AUTO);

    guard_strike(guard, HOOK_PICK, STRIKE_ANSWER, 0);
    guard_strike(guard, HOOK_PICK, STRIKE_ANSWER, 0);
    ck_assert(!guard_is_out(guard) && !guard_tell(guard));
    guard_strike(guard, HOOK_ON_COMPLETE, STRIKE_SLOW, 7);
    ck_assert(guard_is_out(guard));
    ck_assert(guard_tell(guard));
    ck_assert_msg(!guard_tell(guard), "once");
    struct guard_fall fall = guard_why(guard);
    ck_assert_int_eq(fall.hook, HOOK_ON_COMPLETE);
    ck_assert_int_eq(fall.strike, STRIKE_SLOW);
    ck_assert_uint_eq(fall.took_ns, 7);
    guard_unref(&guard);
}

UNIT_TEST(only_those_of_ten_seconds_count)
{
    struct guard *guard = make(MODULE_BALANCER, 2, ON_FAULT_AUTO);

    guard_strike(guard, HOOK_PICK, STRIKE_ANSWER, 0);
    guard->recent[0] -= 11 * NS_PER_SECOND;
    guard_strike(guard, HOOK_PICK, STRIKE_ANSWER, 0);
    ck_assert(!guard_is_out(guard));
    guard_strike(guard, HOOK_PICK, STRIKE_ANSWER, 0);
    ck_assert(guard_is_out(guard));
    guard_unref(&guard);
}

UNIT_TEST(one_that_is_tried_again_begins_anew)
{
    struct guard *guard = make(MODULE_STICKY, 2, ON_FAULT_AUTO);

    ck_assert(!guard_retry(guard));
    for (unsigned round = 0; round < 2; round++) {
        guard_strike(guard, HOOK_LOOKUP, STRIKE_SLOW, 1);
        ck_assert(!guard_is_out(guard));
        guard_strike(guard, HOOK_LOOKUP, STRIKE_SLOW, 1);
        ck_assert(guard_is_out(guard));
        ck_assert(guard_tell(guard));
        uint32_t state = guard_state(guard);
        ck_assert(guard_retry(guard));
        ck_assert(!guard_is_out(guard));
        ck_assert_uint_ne(guard_state(guard), state);
    }
    guard_unref(&guard);
}

UNIT_TEST(zero_strikes_are_never_enough)
{
    struct guard *guard = make(MODULE_BALANCER, 0, ON_FAULT_AUTO);

    for (unsigned i = 0; i < 1000; i++) {
        guard_strike(guard, HOOK_PICK, STRIKE_NONE, 0);
    }
    ck_assert(!guard_is_out(guard));
    guard_unref(&guard);
    guard_strike(NULL, HOOK_PICK, STRIKE_NONE, 0);
}

UNIT_TEST(nothing_can_be_done_without_loggers_and_handlers)
{
    struct guard *logger = make(MODULE_LOGGER, 1, ON_FAULT_AUTO);
    struct guard *handler = make(MODULE_HANDLER, 1, ON_FAULT_AUTO);

    guard_strike(logger, HOOK_LOG, STRIKE_SLOW, 1);
    guard_strike(handler, HOOK_ON_REQUEST, STRIKE_FAILED, 0);
    ck_assert(!guard_is_out(logger) && !guard_is_out(handler));
    guard_unref(&logger);
    guard_unref(&handler);
}

static enum weir_status on_request(struct weir_context *ctx, void *instance,
                                   struct weir_request *req)
{
    (void)ctx;
    (void)instance;
    (void)req;
    return WEIR_OK;
}

static const struct {
    enum module_kind kind;
    bool looks_at_requests;
    enum guard_on_fault on_fault;
    bool closed;
} faults[] = {
    {MODULE_ROUTER, false, ON_FAULT_AUTO, true},  {MODULE_ROUTER, false, ON_FAULT_OPEN, false},
    {MODULE_STICKY, false, ON_FAULT_AUTO, false}, {MODULE_STICKY, false, ON_FAULT_CLOSED, true},
    {MODULE_FILTER, true, ON_FAULT_AUTO, true},   {MODULE_FILTER, true, ON_FAULT_OPEN, false},
    {MODULE_FILTER, false, ON_FAULT_AUTO, false}, {MODULE_FILTER, false, ON_FAULT_CLOSED, true},
};

UNIT_LOOP_TEST(on_fault_has_a_default_for_each_kind, ARRAY_COUNT(faults))
{
    filter.on_request = faults[_i].looks_at_requests ? on_request : NULL;
    module.filter = filter;
    struct guard *guard = make(faults[_i].kind, 1, faults[_i].on_fault);
    ck_assert_int_eq(guard->closed, faults[_i].closed);
    guard_unref(&guard);
}

UNIT_TEST(a_module_in_quarantine_is_out_from_the_start)
{
    struct blame blame = {.module = "bad", .since_s = 1000};
    static const enum module_kind kinds[] = {MODULE_BALANCER, MODULE_STICKY, MODULE_FILTER,
                                             MODULE_ROUTER, MODULE_LOGGER};

    module.quarantine = &blame;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        struct guard *guard = make(kinds[i], 0, ON_FAULT_OPEN);
        bool out = kinds[i] != MODULE_LOGGER;
        ck_assert_int_eq(guard_is_out(guard), out);
        ck_assert_int_eq(guard->quarantined, out);
        ck_assert_uint_eq(guard_why(guard).wall_ms, out ? 1000000 : 0);
        ck_assert_int_eq(guard_tell(guard), out);
        ck_assert_msg(!guard_retry(guard), "it is not tried again");
        ck_assert_int_eq(guard_is_out(guard), out);
        guard_unref(&guard);
    }
    module.sees_requests = true; /* though its hooks are gone */
    struct guard *guard = make(MODULE_FILTER, 0, ON_FAULT_AUTO);
    ck_assert(guard->closed);
    guard_unref(&guard);
    module.sees_requests = false;
    module.quarantine = NULL;
}

static void *strike_often(void *arg)
{
    for (unsigned i = 0; i < 500; i++) {
        guard_strike(arg, HOOK_PICK, STRIKE_ANSWER, 0);
    }
    return NULL;
}

UNIT_TEST(strikes_of_all_workers_add_up_once)
{
    struct guard *guard = make(MODULE_BALANCER, 1000, ON_FAULT_AUTO);
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, strike_often, guard), 0);
    strike_often(guard);
    pthread_join(thread, NULL);
    ck_assert(guard_is_out(guard));
    ck_assert_uint_eq(guard_state(guard), 1);
    guard_unref(&guard);
}

UNIT_FIXTURE(set_up, tear_down);
