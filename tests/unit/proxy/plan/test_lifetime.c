/* SPDX-License-Identifier: MIT */
/* lifetime.c: the loops' references to a plan, and the callbacks when they drop them. Loops 0 and
 * 1, modules 0 and 1. */
#include "proxy/plan/lifetime.h"
#include "runner.h"

#include <stdio.h>

static struct lifetime life;
static char told[256];

static void on_module_left(void *arg, size_t module, unsigned loop)
{
    ck_assert_ptr_eq(arg, &life);
    size_t len = strlen(told);
    snprintf(told + len, sizeof(told) - len, "m%zu@%u ", module, loop);
}

static void on_changed(void *arg)
{
    ck_assert_ptr_eq(arg, told);
    strcat(told, "! ");
}

static size_t lasting;

static bool module_lasts(void *arg, size_t module, unsigned loop)
{
    ck_assert_ptr_eq(arg, &life);
    return module == lasting && loop == 0;
}

static void set_up(void)
{
    const struct lifetime_owner owner = {.module_left = on_module_left,
                                         .module_lasts = module_lasts,
                                         .changed = on_changed,
                                         .arg = &life,
                                         .changed_arg = told};
    lasting = 2; /* none */
    told[0] = '\0';
    lifetime_init(&life, 2, 2, &owner);
    lifetime_ref(&life, 0);
    lifetime_ref(&life, 1);
}

static void tear_down(void)
{
    lifetime_end(&life);
}

/* The callbacks since the last time. */
static void expect(const char *wanted)
{
    ck_assert_str_eq(told, wanted);
    told[0] = '\0';
}

UNIT_TEST(the_last_reference_of_the_last_loop_ends_it)
{
    lifetime_ref(&life, 0);
    lifetime_unref(&life, 0);
    expect("");
    lifetime_unref(&life, 0);
    expect("m1@0 m0@0 "); /* in the reverse order */
    ck_assert_uint_eq(life.loops_left, 1);
    lifetime_unref(&life, 1);
    expect("m1@1 ! m0@1 ! ! ! "); /* each module, the references, all of it */
    ck_assert_uint_eq(life.loops_kept, 0);
}

UNIT_TEST(clients_keep_it)
{
    lifetime_keep(&life, 0);
    lifetime_unref(&life, 0);
    lifetime_unref(&life, 1);
    expect("m1@0 m0@0 m1@1 ! m0@1 ! ! "); /* left by all, and kept */
    ck_assert_uint_eq(life.loops_left, 0);
    ck_assert_uint_eq(life.loops_kept, 1);
    lifetime_unkeep(&life, 0);
    expect("! ");
}

UNIT_TEST(balancers_keep_their_module)
{
    lifetime_keep_module(&life, 1, 0);
    lifetime_keep_module(&life, 1, 0);
    lifetime_unref(&life, 0);
    expect("m0@0 ");
    lifetime_unref(&life, 1);
    expect("m1@1 m0@1 ! ! ");
    ck_assert_uint_eq(life.module_loops[1], 1);
    lifetime_unkeep_module(&life, 1, 0);
    expect("");
    lifetime_unkeep_module(&life, 1, 0);
    expect("m1@0 ! ! ");
    ck_assert_uint_eq(life.loops_kept, 0);
}

UNIT_TEST(what_ends_before_the_references_ends_nothing)
{
    lifetime_keep_module(&life, 0, 1);
    lifetime_unkeep_module(&life, 0, 1);
    lifetime_keep(&life, 1);
    lifetime_unkeep(&life, 1);
    expect("");
    ck_assert_uint_eq(life.loops_kept, 2);
}

UNIT_TEST(a_plan_that_is_left_keeps_the_modules_that_are_used)
{
    lifetime_ref(&life, 0); /* a request, */
    lifetime_keep_module(&life, 1, 0);
    lifetime_keep_module(&life, 1, 0); /* and a balancer */
    lifetime_leave(&life, 0);
    expect("m0@0 ");
    lifetime_unref(&life, 0);
    lifetime_unkeep_module(&life, 1, 0);
    expect("");
    ck_assert_uint_eq(life.module_loops[0], 1);
    lifetime_unkeep_module(&life, 1, 0);
    expect("m1@0 "); /* before the request ends */
    ck_assert_uint_eq(life.loops_left, 2);
    lifetime_unref(&life, 0);
    expect(""); /* nothing is told twice */
    ck_assert_uint_eq(life.loops_left, 1);
    lifetime_leave(&life, 1);
    lifetime_unref(&life, 1);
    expect("m1@1 ! m0@1 ! ! ! ");
}

UNIT_TEST(a_module_that_lasts_goes_with_the_last_reference)
{
    lasting = 1;
    lifetime_ref(&life, 0);
    lifetime_keep_module(&life, 1, 0);
    lifetime_leave(&life, 0);
    lifetime_unkeep_module(&life, 1, 0);
    expect("m0@0 ");
    lifetime_unref(&life, 0);
    lifetime_unref(&life, 0);
    expect("m1@0 ");
    lifetime_ref(&life, 1); /* where no such references are */
    lifetime_leave(&life, 1);
    expect("m1@1 ! m0@1 ! ");
}

UNIT_FIXTURE(set_up, tear_down);
