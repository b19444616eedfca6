/* SPDX-License-Identifier: MIT */
/* provider.c: an instance of the kind `control` lives as long as something goes on that it has
 * begun. */
#include "change_stage.h"

#include <stdatomic.h>
#include <sched.h>

#include "control/api/services.h"
#include "module/host.h"

static struct stage stage;
static struct weir_host host;
static struct module module;
static struct conf_node block;
static struct use use, *uses[] = {&use};

/* ---- the module ---- */

static struct weir_context *context; /* of the instance */
static unsigned created, destroyed;

static enum weir_status create(struct weir_context *ctx, const void *conf, void *prepared,
                               void **instance)
{
    (void)conf;
    (void)prepared;
    context = ctx;
    *instance = &created;
    created++;
    return WEIR_OK;
}

static void destroy(struct weir_context *ctx, void *instance)
{
    (void)instance;
    weir_control_event(ctx, "gone", STR("{}"));
    destroyed++;
}

/* ---- the stage ---- */

static void adopt(size_t modules)
{
    stage.whole.modules = (struct use_list){.items = uses, .count = modules};
    changes_adopt(&stage.changes, &stage.generation);
}

static void begin(void)
{
    static const struct change_part *const parts[] = {&journal_part, NULL};

    created = destroyed = 0;
    module = (struct module){.name = (char *)(uintptr_t) "fake", .number = 1, .refs = 1};
    module.control = (struct weir_control){.size = sizeof(module.control),
                                           .operation_size = sizeof(struct weir_operation),
                                           .create = create,
                                           .destroy = destroy};
    module.descriptor.control = &module.control;
    use = (struct use){.module = &module, .block = &block, .plan = &stage.whole};
    module_host_fill(&host);
    control_services_fill(&host);
    provider_services_fill(&host);
    stage_init(&stage, parts);
    stage.whole.host = &host;
    control_services_set_plane(&stage.changes.plane);
    adopt(1);
}

static void end(void)
{
    stage_end(&stage);
    control_services_set_plane(NULL);
    ck_assert_uint_eq(destroyed, created);
    ck_assert_uint_eq(module.refs, 1);
}

/* ---- tests ---- */

struct seen {
    _Atomic bool ran;
    unsigned done, destroyed_then;
};

static void work(void *arg)
{
    struct seen *seen = arg;
    seen->ran = true;
}

static void done(void *arg)
{
    struct seen *seen = arg;
    seen->destroyed_then = destroyed;
    seen->done++;
}

static void settle_until_done(struct seen *seen)
{
    while (seen->done == 0) {
        stage_settle(&stage);
        sched_yield();
    }
    ck_assert(seen->ran);
    ck_assert_uint_eq(seen->done, 1);
    stage_settle(&stage);
}

UNIT_TEST(work_keeps_an_instance_that_is_configured_no_more)
{
    struct seen seen = {0};

    ck_assert_uint_eq(created, 1);
    ck_assert(weir_control_work(context, work, done, &seen));
    adopt(0);
    settle_until_done(&seen);
    ck_assert_uint_eq(seen.destroyed_then, 0);
    ck_assert_uint_eq(destroyed, 1);
}

/* A timer of the instance comes between its leaving and the end of that turn. */
UNIT_TEST(work_that_begins_as_it_leaves_keeps_it)
{
    struct seen seen = {0};

    adopt(0);
    ck_assert(weir_control_work(context, work, done, &seen));
    settle_until_done(&seen);
    ck_assert_uint_eq(seen.destroyed_then, 0);
    ck_assert_uint_eq(destroyed, 1);
}

/* More events than are kept have been told, and the program ends. */
UNIT_TEST(the_last_hook_may_tell_an_event)
{
    for (unsigned i = 0; i < 300; i++) {
        weir_control_event(context, "news", STR("{}"));
    }
    stage_settle(&stage);
    ck_assert_uint_eq(destroyed, 0);
}

UNIT_FIXTURE(begin, end);
