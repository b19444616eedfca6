/* SPDX-License-Identifier: MIT */
/* explain.c: a dry run on a loop that may be further than the generation in force. */
#include "runner.h"

#include <stdlib.h>

#include "control/api/explain.h"

static struct loop *loop;
static struct worker worker;
static struct listener listener;
static struct listener_local listener_local;
static struct listener_plan listener_plan;
static struct listener_settings listener_settings;
static struct module module;
static struct instance instance;
static struct use router;
static struct use *routers[] = {&router};
static struct plan last, next; /* in force; the loop's */
static bool called;
static struct generation generation;
static struct runtime runtime;
static struct plane plane;

/* Of the last plan, whose instances the loop has destroyed. */
static enum weir_status gone(struct weir_context *ctx, void *data, struct weir_request *req,
                             struct weir_route_result *result)
{
    (void)ctx;
    (void)data;
    (void)req;
    (void)result;
    called = true;
    return WEIR_DECLINED;
}

static void set_up(void)
{
    loop = loop_new(0);
    worker = (struct worker){.loop = loop};
    stream_home_init(&worker.streams, loop, &worker.batch);
    listener = (struct listener){.name = (char *)(uintptr_t) "web", .locals = &listener_local};
    listener_plan = (struct listener_plan){
        .listener = &listener, .owner = &next, .settings = &listener_settings};
    module = (struct module){.name = (char *)(uintptr_t) "fake"};
    module.router = (struct weir_router){.size = sizeof(module.router), .route = gone};
    module.descriptor.router = &module.router;
    router = (struct use){.module = &module, .instances = &instance, .plan = &last};
    next = (struct plan){.listeners = &listener_plan, .listener_count = 1};
    last = next;
    last.routers = (struct use_list){.items = routers, .count = 1};
    generation = (struct generation){.plan = &last};
    worker.plan = &next;
    called = false;
    runtime = (struct runtime){.current = &generation};
    plane = (struct plane){.runtime = &runtime, .self = &worker};
}

static void tear_down(void)
{
    stream_home_end(&worker.streams);
    loop_free(&loop);
}

static void run(struct operation *operation)
{
    operation->plane = &plane;
    operation->role = WEIR_ROLE_ADMIN;
    operation->query = cJSON_CreateObject();
    operation->body = cJSON_Parse("{\"url\":\"http://a.example/\"}");
    explain_commands[0].read(operation);
    cJSON_Delete(operation->query);
    cJSON_Delete(operation->body);
}

/* The loop has committed the next generation already, and others have not. */
UNIT_TEST(a_generation_that_the_loop_has_left_is_not_asked)
{
    struct operation operation = {0};

    run(&operation);
    ck_assert_uint_eq(operation.status, 200);
    char *text = json_print(cJSON_GetObjectItem(operation.answer, "answer"));
    ck_assert_str_eq(text, "{\"status\":404,\"reason\":\"no_route\"}");
    ck_assert(!called);
    free(text);
    cJSON_Delete(operation.answer);
}

UNIT_TEST(a_loop_that_has_left_all_explains_nothing)
{
    struct operation operation = {0};

    worker.plan = NULL;
    run(&operation);
    ck_assert_uint_eq(operation.status, 503);
    ck_assert(!called);
    cJSON_Delete(operation.answer);
}

UNIT_FIXTURE(set_up, tear_down);
