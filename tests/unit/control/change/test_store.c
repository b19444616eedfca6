/* SPDX-License-Identifier: MIT */
/* store.c: what is kept in a space is read when it is asked for, or as soon as it can be. */
#include "runner.h"

#include <sched.h>
#include <stdatomic.h>

#include "control/change/store.h"

static struct loop *loop;
static struct store *store;
static struct module module;
static struct conf_node block;
static struct weir_host host;
static struct use use, *uses[] = {&use};
static struct plan plan;
static struct generation generation;

/* ---- the module ---- */

static _Atomic bool broken;

static enum weir_status open_store(struct weir_context *ctx, void *instance, char *text,
                                   size_t text_size)
{
    (void)ctx;
    (void)instance;
    (void)text;
    (void)text_size;
    return broken ? WEIR_ERROR : WEIR_OK;
}

static enum weir_status commit(struct weir_context *ctx, void *instance,
                               const struct weir_store_change *changes, size_t count, char *error,
                               size_t error_size)
{
    (void)ctx;
    (void)instance;
    (void)changes;
    (void)count;
    (void)error;
    (void)error_size;
    return WEIR_OK;
}

static enum weir_status scan(struct weir_context *ctx, void *instance, struct weir_str space,
                             struct weir_str from, bool reverse, size_t limit,
                             weir_store_visit_fn visit, void *arg)
{
    (void)ctx;
    (void)instance;
    (void)space;
    (void)from;
    (void)reverse;
    (void)limit;
    if (broken) {
        return WEIR_ERROR;
    }
    visit(arg, STR("ann"), STR("{}"));
    return WEIR_OK;
}

/* ---- the stage ---- */

static unsigned loaded, told;

static void load(void *arg, const char *space, const char *key, const char *value)
{
    (void)arg;
    ck_assert_str_eq(space, "users");
    ck_assert_str_eq(key, "ann");
    ck_assert_str_eq(value, "{}");
    loaded++;
}

static void read_it(void *arg, const char *space)
{
    (void)arg;
    ck_assert_str_eq(space, "users");
    told++;
}

static void begin(void)
{
    loaded = told = 0;
    broken = false;
    module = (struct module){.name = (char *)(uintptr_t) "store_fake", .number = 1, .refs = 1};
    module.store = (struct weir_store){
        .size = sizeof(module.store), .open = open_store, .commit = commit, .scan = scan};
    module.descriptor.store = &module.store;
    use = (struct use){.module = &module, .block = &block, .plan = &plan};
    plan = (struct plan){.host = &host, .modules = {.items = uses, .count = 1}};
    generation = (struct generation){.plan = &plan};
    loop = loop_new(0);
    store = store_new(loop);
    ck_assert(store_open(store, &generation, load, NULL, NULL));
}

static void end(void)
{
    store_free(&store);
    while (loop_settle(loop)) {}
    loop_free(&loop);
    ck_assert_uint_eq(module.refs, 1);
}

static void settle_until(const unsigned *count, unsigned wanted)
{
    while (*count < wanted) {
        loop_settle(loop);
        sched_yield();
    }
    ck_assert_uint_eq(*count, wanted);
}

/* ---- tests ---- */

UNIT_TEST(a_space_is_read_when_it_is_asked_for)
{
    ck_assert(store_add_space(store, "users", read_it));
    settle_until(&told, 1);
    ck_assert_uint_eq(loaded, 1);
    ck_assert(!store_add_space(store, "users", read_it));
}

/* Else it would be overwritten by whoever believes that nothing is there. */
static unsigned refused;

static void on_refused(void *arg, const char *error)
{
    (void)arg;
    ck_assert_ptr_nonnull(error);
    refused++;
}

UNIT_TEST(nothing_is_kept_before_that_is_known)
{
    struct store_batch batch = {0};

    broken = true;
    ck_assert(store_add_space(store, "users", read_it));
    settle_until(&told, 1);
    broken = false;
    store_put(&batch, "users", "ann", "{\"role\":\"viewer\"}");
    refused = 0;
    store_commit(store, &batch, on_refused, NULL);
    settle_until(&refused, 1);
    settle_until(&loaded, 1);
}

UNIT_TEST(a_space_that_could_not_be_read_is_read_later)
{
    broken = true;
    ck_assert(store_add_space(store, "users", read_it));
    settle_until(&told, 1);
    ck_assert_uint_eq(loaded, 0);
    ck_assert(!store_is_well(store));
    broken = false;
    for (unsigned second = 0; second < 10; second++) {
        store_tick(store);
    }
    settle_until(&loaded, 1);
    ck_assert(store_is_well(store));
    ck_assert_uint_eq(told, 1);
}

UNIT_FIXTURE(begin, end);
