/* SPDX-License-Identifier: MIT */
/* explain.c: a dry run, of the generation in force, on a loop that may be further. */
#include "runner.h"

#include <stdlib.h>

#include "control/api/explain.h"

static struct loop *loop;
static struct worker worker;
static struct listener listener;
static struct listener_local listener_local;
static struct listener_plan listener_plan;
static struct listener_settings listener_settings;
static struct pool_local local;
static struct pool pool;
static struct pool_settings settings;
static struct pool_plan pool_plan;
static struct module module;
static struct instance instance;
static struct use router;
static struct use *routers[] = {&router};
static struct plan plan;
static struct generation generation;
static struct runtime runtime;
static struct plane plane;

static enum weir_status to_the_pool(struct weir_context *ctx, void *data, struct weir_request *req,
                                    struct weir_route_result *result)
{
    (void)ctx;
    (void)data;
    (void)req;
    result->pool = 0;
    return WEIR_OK;
}

static void set_up(void)
{
    loop = loop_new(0);
    worker = (struct worker){.loop = loop};
    stream_home_init(&worker.streams, loop, &worker.batch);
    listener = (struct listener){.name = (char *)(uintptr_t) "web", .locals = &listener_local};
    listener_plan = (struct listener_plan){
        .listener = &listener, .owner = &plan, .settings = &listener_settings};
    settings = (struct pool_settings){.name = STR("web")};
    pool = (struct pool){.name = (char *)(uintptr_t) "web", .loops = 1, .locals = &local};
    local = (struct pool_local){.pool = &pool};
    pool_plan = (struct pool_plan){.owner = &plan, .pool = &pool, .settings = &settings};
    module = (struct module){.name = (char *)(uintptr_t) "fake"};
    module.router = (struct weir_router){.size = sizeof(module.router), .route = to_the_pool};
    module.descriptor.router = &module.router;
    router = (struct use){.module = &module, .instances = &instance, .plan = &plan};
    plan = (struct plan){.listeners = &listener_plan,
                         .listener_count = 1,
                         .pools = &pool_plan,
                         .pool_count = 1,
                         .routers = {.items = routers, .count = 1}};
    generation = (struct generation){.plan = &plan};
    runtime = (struct runtime){.current = &generation};
    plane = (struct plane){.runtime = &runtime, .self = &worker};
}

static void tear_down(void)
{
    stream_home_end(&worker.streams);
    loop_free(&loop);
}

/* The loop has committed the next generation already, which lacks the pool, and others have not. */
UNIT_TEST(a_pool_that_has_left_the_loop_serves_nobody)
{
    struct operation operation = {.plane = &plane, .role = WEIR_ROLE_ADMIN};

    operation.query = cJSON_CreateObject();
    operation.body = cJSON_Parse("{\"url\":\"http://a.example/\"}");
    explain_commands[0].read(&operation);
    ck_assert_uint_eq(operation.status, 200);
    char *text = json_print(cJSON_GetObjectItem(operation.answer, "answer"));
    ck_assert_str_eq(text, "{\"status\":503,\"reason\":\"no_server\"}");
    free(text);
    cJSON_Delete(operation.answer);
    cJSON_Delete(operation.query);
    cJSON_Delete(operation.body);
}

UNIT_FIXTURE(set_up, tear_down);
