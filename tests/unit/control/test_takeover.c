/* SPDX-License-Identifier: MIT */
/* takeover.c and stopping.c: a generation comes into force on every loop or on none, the
 * one before goes, and the program ends when nothing is under way. No thread runs: the test gives
 * each loop its turns. */
#include "runner.h"

#include "control/control_state.h"
#include "module/host.h"
#include "proxy/pool/recovery.h"
#include "temporary.h"

#define LOOPS 3u /* the last one is the control thread's */

static struct control control;
static struct worker *loops[LOOPS];
static const char *folder;
static char path[512];

static void settle(void)
{
    bool any = true;

    while (any) {
        any = false;
        for (unsigned i = 0; i < LOOPS; i++) {
            any |= loop_settle(loops[i]->loop);
        }
    }
}

/* With timers and sockets, until it is so. */
static void wait_for(const bool *so)
{
    while (!*so) {
        for (unsigned i = 0; i < LOOPS; i++) {
            loop_now_refresh(loops[i]->loop);
            event_base_loop(loops[i]->loop->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        }
        settle();
    }
}

static void configure(const char *shutdown_timeout)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "shutdown_timeout = %s\nlistener \"web\" { bind = \"unix:%s/s\" }\n", shutdown_timeout,
             folder);
    temporary_write(path, text);
}

static struct generation *build(void)
{
    struct mistakes mistakes = {0};
    struct generation *generation = generation_build(&control.runtime, path, true, &mistakes);

    ck_assert_msg(mistakes.count == 0, "%s", mistakes.count > 0 ? mistakes.texts[0] : "");
    mistakes_free(&mistakes);
    return generation;
}

static void begin(void)
{
    const struct names_owner names = {.server_changed = control_server_changed,
                                      .blocks_changed = control_names_changed,
                                      .arg = &control};
    const struct recovery_owner recovery = {
        .refresh = control_refresh_pool, .changed = control_server_changed, .arg = &control};
    struct changes_owner owner = control_owner;
    char error[256];

    folder = temporary_folder();
    snprintf(path, sizeof(path), "%s/weir.conf", folder);
    configure("30s");
    control = (struct control){.path = path, .runtime = {.workers = LOOPS - 1, .loops = loops}};
    for (unsigned i = 0; i < LOOPS; i++) {
        loops[i] = worker_new(i);
    }
    control.self = loops[LOOPS - 1];
    module_host_fill(&control.host);
    control.runtime.host = &control.host;
    control.runtime.modules = module_registry_new(LOOPS);
    control.runtime.on_left = control_generation_left;
    list_init(&control.runtime.listeners);
    list_init(&control.generations);
    list_init(&control.leaving);
    control.runtime.names = names_new();
    runtime_begin(&control.runtime);
    changes_init(&control.changes, &control.runtime, path);
    changes_add_part(&control.changes, &reload_part);
    owner.arg = &control;
    changes_start(&control.changes, control.self, &owner);
    control.prober =
        prober_new(control.self->loop, control.self->index, control_server_changed, &control);
    control.runtime.recovery = recovery_new(control.self->loop, control.self->index, &recovery);
    control.starting = build();
    changes_restore(&control.changes, control.starting);
    ck_assert(names_start(control.runtime.names, control.self->loop,
                          control.starting->plan->global.nameservers, &names, error,
                          sizeof(error)));
    control_begin(&control);
}

static void end(void)
{
    if (!control.cleared) {
        for (unsigned i = 0; i < LOOPS; i++) {
            worker_clear(loops[i]);
        }
    }
    changes_stop(&control.changes);
    settle();
    control_release(&control);
    settle();
    control_free_left(&control);
    ck_assert(list_empty(&control.generations));
    changes_end(&control.changes);
    for (unsigned i = 0; i < LOOPS; i++) {
        worker_free(&loops[i]);
    }
    module_registry_free(&control.runtime.modules);
    temporary_remove(folder);
}

static size_t generations(void)
{
    size_t count = 0;
    list_each(link, &control.generations)
    {
        count++;
    }
    return count;
}

static void check_in_force(uint64_t id)
{
    ck_assert_uint_eq(control.runtime.current->id, id);
    for (unsigned i = 0; i < LOOPS; i++) {
        ck_assert_ptr_eq(loops[i]->plan, control.runtime.current->plan);
    }
    ck_assert_uint_eq(generations(), 1);
}

UNIT_TEST(all_loops_prepare_before_one_commits)
{
    while (loop_settle(control.self->loop)) {}
    loop_settle(loops[0]->loop);
    ck_assert_ptr_null(control.runtime.current);
    ck_assert_ptr_null(loops[0]->plan); /* the other worker has not prepared it */
    settle();
    check_in_force(1);
    ck_assert(control.started && control.runtime.current->in_force);
}

UNIT_TEST(a_reload_replaces_the_generation)
{
    settle();
    changes_reload(&control.changes);
    settle();
    check_in_force(2);
    changes_reload(&control.changes);
    changes_reload(&control.changes); /* one is enough */
    settle();
    ck_assert_uint_ge(control.runtime.reloads.done, 2);
    check_in_force(control.runtime.last_id);
}

UNIT_TEST(a_reload_with_mistakes_changes_nothing)
{
    settle();
    configure("soon");
    changes_reload(&control.changes);
    settle();
    check_in_force(1);
    ck_assert_uint_eq(control.runtime.reloads.refused, 1);
    configure("1s");
    changes_reload(&control.changes);
    settle();
    ck_assert_uint_eq(control.runtime.current->plan->global.shutdown_timeout, NS_PER_SECOND);
}

/* ---- a change's gate ---- */

static unsigned gated, ended;
static char ended_with[64]; /* empty: no error */

static void gate(void *arg)
{
    (void)arg;
    gated++;
}

static void done(void *arg, const char *error)
{
    (void)arg;
    snprintf(ended_with, sizeof(ended_with), "%s", error != NULL ? error : "");
    ended++;
}

static void apply_gated(void)
{
    gated = ended = 0;
    control_owner.apply(&control, build(), gate, done, NULL);
    settle();
    ck_assert_uint_eq(gated, 1);
    ck_assert_uint_eq(ended, 0);
    ck_assert_uint_eq(control.runtime.current->id, 1);
    ck_assert_uint_eq(generations(), 2);
}

UNIT_TEST(a_gate_lets_it_pass)
{
    settle();
    apply_gated();
    control_owner.pass(&control, NULL);
    settle();
    ck_assert_uint_eq(ended, 1);
    ck_assert_str_eq(ended_with, "");
    check_in_force(2);
}

UNIT_TEST(a_gate_holds_it_back)
{
    settle();
    apply_gated();
    control_owner.pass(&control, "the disk is full");
    settle();
    ck_assert_uint_eq(ended, 1);
    ck_assert_str_eq(ended_with, "the disk is full");
    check_in_force(1);
}

/* ---- the end ---- */

UNIT_TEST(a_stop_waits_for_the_start)
{
    control_stop_gently(&control);
    ck_assert(control.stop_wanted && !control.stopping);
    wait_for(&control.cleared);
    settle();
    ck_assert(control.started);
    ck_assert_ptr_null(loops[0]->plan);
}

UNIT_TEST(a_stop_waits_for_what_is_under_way)
{
    settle();
    apply_gated();
    control_stop_gently(&control);
    wait_for(&control.clearing); /* nobody has clients: all loops are drained */
    settle();
    ck_assert(!control.cleared);
    control_owner.pass(&control, NULL);
    settle();
    ck_assert_uint_eq(ended, 1);
    ck_assert(control.cleared);
}

UNIT_TEST(no_reload_begins_once_it_stops)
{
    settle();
    control_stop_gently(&control);
    changes_reload(&control.changes);
    wait_for(&control.cleared);
    settle();
    ck_assert_uint_eq(control.runtime.last_id, 1);
}

UNIT_FIXTURE(begin, end);
