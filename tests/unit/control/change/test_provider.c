/* SPDX-License-Identifier: MIT */
/* provider.c, provider_services.c and module_part.c: a module of the kind `control` adds
 * operations, keeps what they change, and takes it back; its instance lives as long as something
 * goes on that it has begun. */
#include "change_stage.h"

#include <stdatomic.h>
#include <sched.h>

#include "base/log.h"
#include "control/api/services.h"
#include "control/change/module_part.h"
#include "module/host.h"
#include "temporary.h"

static struct stage stage;
static struct weir_host host;
static struct module module;
static struct conf_node block;
static struct use use, *uses[] = {&use};

/* ---- the module ---- */

static struct weir_context *context; /* of the instance */
static unsigned created, destroyed, taken;
static const char *refusal; /* what undo answers; NULL: it takes back */
static unsigned undone;     /* how often undo has been asked */

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

static void take(struct weir_context *ctx, void *instance, struct weir_str key,
                 struct weir_str value)
{
    (void)ctx;
    (void)instance;
    (void)key;
    (void)value;
    taken++;
}

static void set_done(void *arg, struct weir_control_operation *operation, const char *error)
{
    const struct weir_control_answer answer = {.size = sizeof(answer), .status = 200};
    (void)arg;
    if (error == NULL) {
        weir_operation_answer(context, operation, &answer);
    }
}

static enum weir_operation_end set(struct weir_context *ctx, void *instance,
                                   struct weir_control_operation *operation)
{
    struct weir_str name = weir_operation_text(ctx, operation, "name");
    const struct weir_change change = {.size = sizeof(change),
                                       .target = name,
                                       .after = STR("{}"),
                                       .key = name,
                                       .value = weir_operation_text(ctx, operation, "text")};
    (void)instance;
    return weir_operation_change(ctx, operation, &change, set_done, NULL);
}

/* Every second answer refuses, if one does. */
static const char *undo(struct weir_context *ctx, void *instance, const struct weir_undo *what,
                        struct weir_change *change)
{
    (void)ctx;
    (void)instance;
    change->before = what->after;
    change->after = what->before;
    return ++undone % 2 == 0 ? refusal : NULL;
}

/* What `wrong` answers; size 0: nothing. */
static struct weir_control_answer wrong_answer;

static enum weir_operation_end wrong(struct weir_context *ctx, void *instance,
                                     struct weir_control_operation *operation)
{
    (void)instance;
    if (wrong_answer.size > 0) {
        weir_operation_answer(ctx, operation, &wrong_answer);
    }
    return WEIR_ANSWERED;
}

/* Makes a change, and answers nothing. */
static enum weir_operation_end forget(struct weir_context *ctx, void *instance,
                                      struct weir_control_operation *operation)
{
    const struct weir_change change = {.size = sizeof(change), .target = STR("all")};
    (void)instance;
    return weir_operation_change(ctx, operation, &change, NULL, NULL);
}

static struct weir_control_operation *stuck; /* does not end by itself */

static enum weir_operation_end stick(struct weir_context *ctx, void *instance,
                                     struct weir_control_operation *operation)
{
    (void)ctx;
    (void)instance;
    stuck = operation;
    return WEIR_LATER;
}

static const struct weir_argument body[] = {
    {"text", WEIR_ARGUMENT_STRING, true, 1, 200, NULL, "What is kept."},
    WEIR_ARGUMENTS_END,
};

#define CHANGES (WEIR_OPERATION_WRITES | WEIR_OPERATION_CONFIRM)
static const struct weir_operation operations[] = {
    {"thing.set", WEIR_ROLE_OPERATOR, "POST", "/things/{name}", body, NULL, 200, CHANGES, NULL,
     "Sets a thing.", set},
    {"journal.list", WEIR_ROLE_VIEWER, "GET", "/things", NULL, NULL, 200, 0, NULL,
     "The core has that name.", set},
    {"wrong.show", WEIR_ROLE_VIEWER, "GET", "/wrong", NULL, NULL, 200, 0, NULL, "Wrong.", wrong},
    {"wrong.set", WEIR_ROLE_OPERATOR, "POST", "/wrong", NULL, NULL, 200, CHANGES, NULL, "Wrong.",
     forget},
    {"stuck.set", WEIR_ROLE_OPERATOR, "POST", "/stuck", NULL, NULL, 200, CHANGES, NULL, "Sticks.",
     stick},
};

/* ---- the stage ---- */

static void adopt(size_t modules)
{
    stage.whole.modules = (struct use_list){.items = uses, .count = modules};
    changes_adopt(&stage.changes, &stage.generation);
}

static void begin(void)
{
    static const struct change_part *const parts[] = {&journal_part, &module_part, NULL};

    created = destroyed = taken = undone = 0;
    refusal = NULL;
    module = (struct module){.name = (char *)(uintptr_t) "fake", .number = 1, .refs = 1};
    module.control = (struct weir_control){.size = sizeof(module.control),
                                           .operation_size = sizeof(struct weir_operation),
                                           .operations = operations,
                                           .operation_count = ARRAY_COUNT(operations),
                                           .space = "things",
                                           .create = create,
                                           .destroy = destroy,
                                           .take = take,
                                           .undo = undo};
    module.descriptor.control = &module.control;
    use = (struct use){.module = &module, .block = &block, .plan = &stage.whole};
    module_host_fill(&host);
    control_services_fill(&host);
    provider_services_fill(&host);
    module_part_fill(&host);
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

/* ---- rows and what is kept ---- */

static unsigned set_thing(const char *query)
{
    return stage_do(&stage, "POST", "/api/v1/things/a", query, "{\"text\":\"one\"}").status;
}

static const char *kept(void)
{
    return providers_kept(&stage.changes.plane.providers, "things", "a");
}

static const char *state_of(uint64_t id)
{
    return json_text(journal_find(stage.changes.journal, id), "state");
}

UNIT_TEST(rows_come_and_go_with_the_module)
{
    ck_assert_uint_eq(set_thing(""), 200);
    ck_assert_str_eq(kept(), "one");
    ck_assert_uint_eq(taken, 1);
    ck_assert_uint_eq(stage_do(&stage, "GET", "/api/v1/things", "", "").status, 404); /* left out */
    adopt(0);
    ck_assert_uint_eq(set_thing(""), 404);
    ck_assert_str_eq(kept(), "one");
    adopt(1);
    ck_assert_uint_eq(created, 2);
    ck_assert_uint_eq(taken, 2); /* the new instance got it */
    ck_assert_uint_eq(set_thing(""), 200);
}

/* Whoever asked would wait for ever. */
UNIT_TEST(what_no_message_can_carry_is_an_error)
{
    static const struct weir_control_answer answers[] = {
        {.size = 0},
        {.size = sizeof(answers[0])},
        {.size = sizeof(answers[0]), .status = 100, .body = WEIR_STR_INIT("{}")},
        {.size = sizeof(answers[0]), .status = 600, .body = WEIR_STR_INIT("{}")},
        {.size = sizeof(answers[0]),
         .status = 200,
         .etag = WEIR_STR_INIT("\"a\r\nb: c\""),
         .body = WEIR_STR_INIT("{}")},
        {.size = sizeof(answers[0]), .status = 201, .location = WEIR_STR_INIT("/a\r\nb: c")},
    };

    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        wrong_answer = answers[i];
        struct answers answer = stage_do(&stage, "GET", "/api/v1/wrong", "", "");
        ck_assert_uint_eq(answer.status, 500);
        ck_assert_ptr_nonnull(strstr(answer.body, "operation wrong.show has given no answer"));
    }
    ck_assert_uint_eq(stage_do(&stage, "POST", "/api/v1/wrong", "", "").status, 500);
    ck_assert_str_eq(state_of(1), "done");
}

static void tick(unsigned count)
{
    while (count-- > 0) {
        stage.changes.plane.on_tick(&stage.changes.plane);
    }
}

UNIT_TEST(a_write_that_does_not_end_is_told)
{
    const struct weir_control_answer good = {.size = sizeof(good), .status = 200};
    const char *folder = temporary_folder();
    const char *path = temporary_path(folder, "log");
    struct answers first = {0}, second = {0};
    char error[256];

    ck_assert(log_open(path, WEIR_LOG_INFO, error, sizeof(error)));
    tick(20); /* nothing runs */
    stage_ask(&stage, &first, "POST", "/api/v1/stuck", "", "");
    stage_ask(&stage, &second, "POST", "/api/v1/things/a", "", "{\"text\":\"one\"}");
    stage_settle(&stage);
    tick(10);
    weir_operation_answer(context, stuck, &good);
    weir_operation_finish(context, stuck);
    stage_settle(&stage);
    ck_assert_uint_eq(first.status, 200);
    ck_assert_uint_eq(second.status, 200);
    tick(20);
    ck_assert(log_open("stderr", WEIR_LOG_INFO, error, sizeof(error)));
    log_flush(30 * NS_PER_SECOND);
    char *text = temporary_read(path, NULL);
    const char *told = "the operation stuck.set has not ended for 10 s; other changes and reloads";
    ck_assert_ptr_nonnull(strstr(text, told));
    ck_assert_ptr_null(strstr(strstr(text, told) + strlen(told), "has not ended"));
    free(text);
    temporary_remove(folder);
}

UNIT_TEST(an_operation_under_way_keeps_its_instance)
{
    struct answers answer = {0};

    stage.changes.busy = true;
    stage_ask(&stage, &answer, "POST", "/api/v1/things/a", "", "{\"text\":\"one\"}");
    stage_settle(&stage);
    adopt(0);
    stage_settle(&stage);
    ck_assert_uint_eq(destroyed, 0);
    changes_rebuilt(&stage.changes);
    stage_settle(&stage);
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_uint_eq(destroyed, 1);
}

/* ---- undo ---- */

UNIT_TEST(a_module_may_think_otherwise_the_second_time)
{
    refusal = "not now";
    ck_assert_uint_eq(set_thing(""), 200);
    ck_assert_uint_eq(stage_do(&stage, "POST", "/api/v1/journal/1/undo", "", "").status, 200);
    ck_assert_ptr_null(kept());
    struct answers answer = stage_do(&stage, "POST", "/api/v1/journal/2/undo", "", "");
    ck_assert_uint_eq(answer.status, 409);
    ck_assert_ptr_nonnull(strstr(answer.body, "cannot be undone: not now"));
    ck_assert_uint_eq(undone, 2);
}

UNIT_TEST(an_unconfirmed_change_waits_for_its_module)
{
    ck_assert_uint_eq(set_thing("confirm=60s"), 200);
    adopt(0);
    stage_settle(&stage);
    json_put(journal_find(stage.changes.journal, 1), "confirm_until", cJSON_CreateNumber(1));
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
    ck_assert_str_eq(state_of(1), "pending");
    ck_assert_uint_eq(stage_do(&stage, "POST", "/api/v1/journal/1/undo", "", "").status, 409);
    adopt(1);
    changes_upkeep(&stage.changes);
    stage_settle(&stage);
    ck_assert_str_eq(state_of(1), "expired");
    ck_assert_ptr_null(kept());
}

UNIT_FIXTURE(begin, end);
