/* SPDX-License-Identifier: MIT */
/*
 * The fake host itself: made, asked for problems, and taken down in the order in which Weir does
 * it.
 */
#include "fake.h"

#include <stdlib.h>

#define START_NS      (UINT64_C(1000) * 1000000000)
#define START_WALL_MS UINT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

void fake_abort(const char *function, const char *what)
{
    fprintf(stderr, "weir-testing: %s: %s\n", function, what);
    fflush(stderr);
    abort();
}

void fake_problem(struct weir_test *host, const char *format, ...)
{
    struct fake_buffer text = {0};
    va_list args;

    va_start(args, format);
    fake_buffer_vprintf(&text, format, args);
    va_end(args);
    fprintf(stderr, "weir-testing: %s: %s\n", host->module.name, fake_buffer_text(&text));
    fflush(stderr);
    pthread_mutex_lock(&host->lock);
    fake_buffer_printf(&host->problems, "%s%s", host->problems.len > 0 ? "\n" : "",
                       fake_buffer_text(&text));
    host->problem_count++;
    pthread_mutex_unlock(&host->lock);
    fake_watch_problem(fake_buffer_text(&text));
    fake_buffer_free(&text);
}

void fake_context_init(struct fake_context *ctx, struct weir_test *host, const char *what,
                       const char *pool_name)
{
    *ctx = (struct fake_context){
        .base = {&fake_services},
        .host = host,
        .what = what,
        .pool_name = pool_name != NULL ? fake_str_copy(pool_name) : NULL,
        .worker_index = host->worker_index,
        .worker_count = host->worker_count,
    };
}

void fake_context_end(struct fake_context *ctx)
{
    size_t posts = fake_posts_drop(ctx->host, ctx);
    if (posts > 0) {
        fake_problem(ctx->host, "%s has gone with %zu posted calls still to come", ctx->what,
                     posts);
    }
    if (ctx->timers > 0) {
        fake_problem(ctx->host, "%s has gone and left %zu timers", ctx->what, ctx->timers);
    }
    for (struct weir_timer *timer = ctx->host->timers; timer != NULL; timer = timer->next) {
        if (timer->ctx == ctx) {
            timer->ctx = NULL;
            timer->set = false;
        }
    }
    free(ctx->pool_name);
    ctx->pool_name = NULL;
}

bool fake_alloc_fails(struct weir_test *host)
{
    if (!host->fail_armed) {
        return false;
    }
    if (host->fail_skip > 0) {
        host->fail_skip--;
        return false;
    }
    host->fail_armed = false;
    return true;
}

static void host_release(struct weir_test *host)
{
    for (size_t i = 0; i < host->log_count; i++) {
        free(host->log[i].text);
    }
    free(host->log);
    for (size_t i = 0; i < host->pool_count; i++) {
        free(host->pools[i]);
    }
    free(host->pools);
    for (size_t i = 0; i < host->route_count; i++) {
        free(host->routes[i].name);
    }
    free(host->routes);
    free(host->pool_name);
    free(host->state_dir);
    fake_buffer_free(&host->problems);
    fake_buffer_free(&host->mistakes);
    pthread_mutex_destroy(&host->lock);
    free(host);
}

struct weir_test *weir_test_new(const struct weir_module *module)
{
    char error[512];
    if (!weir_test_validate(module, error, sizeof(error))) {
        fprintf(stderr, "weir-testing: %s\n", error);
        return NULL;
    }
    struct weir_test *host = fake_alloc(sizeof(*host));
    fake_copy_sized(&host->module, sizeof(host->module), module);
    fake_kinds_fill(host);
    pthread_mutex_init(&host->lock, NULL);
    host->thread = pthread_self();
    host->posts_end = &host->posts;
    host->now_ns = host->wall_since_ns = START_NS;
    host->wall_ms = START_WALL_MS;
    host->worker_count = 1;
    host->pool_name = fake_str_copy("pool");
    host->state_dir = fake_str_copy("/var/lib/weir");
    fake_context_init(&host->load_ctx, host, "the module", NULL);
    if (host->module.load != NULL) {
        FAKE_HOOK("load");
        enum weir_status status = host->module.load(&host->load_ctx.base);
        if (status != WEIR_OK) {
            fprintf(stderr, "weir-testing: %s: load returned %d\n", host->module.name, (int)status);
            fake_context_end(&host->load_ctx);
            fake_timers_free(host);
            fake_files_free(host);
            fake_outside_free(host);
            fake_control_free(host);
            fake_operations_free(host);
            fake_metrics_end(host);
            host_release(host);
            return NULL;
        }
    }
    return host;
}

bool weir_test_free(struct weir_test **host_ptr)
{
    FAKE_REQUIRE(host_ptr != NULL && *host_ptr != NULL, "there is no host");
    struct weir_test *host = *host_ptr;

    weir_test_run(host);
    fake_requests_free(host);
    while (host->instances != NULL) {
        fake_instance_destroy(host->instances);
    }
    while (host->workers != NULL) {
        struct fake_worker *worker = host->workers;
        host->workers = worker->next;
        if (host->module.worker_stop != NULL) {
            FAKE_HOOK("worker_stop");
            host->module.worker_stop(&worker->ctx.base);
        }
        fake_context_end(&worker->ctx);
        free(worker);
    }
    while (host->blocks != NULL) {
        fake_block_destroy(host->blocks);
    }
    fake_context_end(&host->load_ctx);
    fake_server_pools_free(host);
    fake_rules_free(&host->rules);
    fake_timers_free(host);
    fake_files_free(host);
    fake_outside_free(host);
    fake_control_free(host);
    fake_operations_free(host);
    fake_metrics_end(host);
    bool clean = host->problem_count == 0;
    host_release(host);
    *host_ptr = NULL;
    return clean;
}

size_t weir_test_problem_count(const struct weir_test *host)
{
    return host->problem_count;
}

const char *weir_test_problems(const struct weir_test *host)
{
    return fake_buffer_text(&host->problems);
}

void weir_test_forgive(struct weir_test *host)
{
    fake_buffer_clear(&host->problems);
    host->problem_count = 0;
}

void weir_test_set_worker(struct weir_test *host, uint32_t index, uint32_t count)
{
    FAKE_REQUIRE(count > 0 && index <= count, "workers are numbered from 0 to count");
    host->worker_index = index;
    host->worker_count = count;
}

void weir_test_seed(struct weir_test *host, uint64_t seed)
{
    host->random_state = seed;
}

void weir_test_fail_alloc(struct weir_test *host, size_t skip)
{
    host->fail_armed = true;
    host->fail_skip = skip;
}

void weir_test_fail_secret(struct weir_test *host, bool fail)
{
    host->fail_secret = fail;
}

size_t weir_test_log_count(const struct weir_test *host)
{
    return host->log_count;
}

const char *weir_test_log_line(const struct weir_test *host, size_t index,
                               enum weir_log_level *level)
{
    if (index >= host->log_count) {
        return NULL;
    }
    if (level != NULL) {
        *level = host->log[index].level;
    }
    return host->log[index].text;
}

bool weir_test_logged(const struct weir_test *host, enum weir_log_level level, const char *text)
{
    for (size_t i = 0; i < host->log_count; i++) {
        if (host->log[i].level == level && strstr(host->log[i].text, text) != NULL) {
            return true;
        }
    }
    return false;
}
