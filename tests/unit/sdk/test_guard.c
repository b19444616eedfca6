/* SPDX-License-Identifier: MIT */
/*
 * What a program that judges modules is told: which hook runs, problems when they happen, and what
 * lay where memory is used after its time.
 */
#include <check.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "mock_module.h"
#include "runner.h"

static struct weir_test *host;
static struct weir_test_watch watch;
static sigjmp_buf back;
static const char *lent;
static const void *kept;
static const char *name;

static void setup(void)
{
    host = mock_host();
    weir_test_watch_hooks(&watch);
    weir_test_guard(true);
}

static void teardown(void)
{
    weir_test_guard(false);
    weir_test_watch_hooks(NULL);
    ck_assert(weir_test_free(&host));
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    lent = weir_test_lent(info->si_addr);
    siglongjmp(back, 1);
}

/* What was at the address; empty: it can be read. */
static const char *look_at(const void *address)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, before;
    lent = "";
    sigaction(SIGSEGV, &action, &before);
    if (sigsetjmp(back, 1) == 0) {
        (void)*(const volatile char *)address;
    }
    sigaction(SIGSEGV, &before, NULL);
    return lent;
}

static uint32_t keep(const struct weir_pick *pick)
{
    kept = pick->candidates;
    name = weir_candidate_at(pick->candidates, 0)->name.ptr;
    ck_assert_str_eq(name, "a");
    ck_assert_str_eq(watch.hook, "pick");
    ck_assert_str_eq(look_at(pick), "");
    return 0;
}

UNIT_TEST(what_was_lent_is_closed_and_named)
{
    struct weir_test_instance *balancer = mock_instance(host, WEIR_TEST_BALANCER);
    struct weir_test_pool *pool = weir_test_pool_new(host);
    weir_test_server_add(pool, "a", 1);
    mock.pick = keep;
    ck_assert_int_eq(weir_test_pool_join(pool, balancer), WEIR_OK);
    ck_assert_uint_eq(weir_test_pick(balancer, NULL), 0);
    ck_assert_str_eq(look_at(kept), "");
    weir_test_pool_tell(pool);
    ck_assert_str_eq(look_at(kept), "the candidates before on_members");
    ck_assert_str_eq(look_at(name), "the candidates before on_members");
    weir_test_destroy(&balancer);

    struct weir_request *req = weir_test_request(host, "GET", "/a");
    struct weir_str path = weir_request_str(req, WEIR_REQUEST_PATH);
    ck_assert_str_eq(look_at(path.ptr), "");
    ck_assert_str_eq(look_at(path.ptr + 16), "what lies behind the end of something lent");
    weir_test_request_free(&req);
    ck_assert_str_eq(look_at(path.ptr), "a string of a request that is over");
    ck_assert_ptr_null(weir_test_lent(&host));
}

UNIT_TEST(memory_is_plain_without_the_guard)
{
    weir_test_guard(false);
    struct weir_request *plain = weir_test_request(host, "GET", "/a");
    ck_assert_ptr_null(weir_test_lent(weir_request_str(plain, WEIR_REQUEST_PATH).ptr));
    weir_test_guard(true);
    struct weir_request *guarded = weir_test_request(host, "GET", "/a");
    weir_test_guard(false); /* each goes the way that it came */
    weir_test_request_free(&plain);
    weir_test_request_free(&guarded);
}

static void keep_event(void *arg, const struct weir_event *event)
{
    ck_assert_ptr_eq(arg, host);
    ck_assert(weir_str_is(event->name, "server") && weir_str_is(event->data, "{}"));
    kept = event;
    name = event->data.ptr;
}

UNIT_TEST(events_are_closed_when_they_were_told)
{
    struct weir_test_instance *handler = mock_instance(host, WEIR_TEST_HANDLER);
    struct weir_context *ctx = weir_test_instance_context(handler);
    struct weir_subscription *subscription = weir_control_subscribe(ctx, 0, keep_event, host);
    weir_test_event(host, 1, "server", "{}");
    ck_assert_str_eq(look_at(kept), "an event of a call that is over");
    ck_assert_str_eq(look_at(name), "an event of a call that is over");
    weir_control_unsubscribe(ctx, subscription);
}

/* ---- strings are for the callback ---- */

static struct weir_str path, agent, first;

static void keep_strings(struct weir_context *ctx, struct weir_request *req)
{
    (void)ctx;
    path = weir_request_str(req, WEIR_REQUEST_PATH);
    ck_assert(weir_request_header(req, "User-Agent", &agent));
    first = weir_request_field(req, 0).name;
    ck_assert(weir_str_is(path, "/kept") && weir_str_is(agent, "me"));
    ck_assert_str_eq(look_at(path.ptr), "");
}

UNIT_TEST(strings_are_closed_when_their_callback_is_over)
{
    struct weir_test_instance *filter = mock_instance(host, WEIR_TEST_FILTER);
    struct weir_request *req = weir_test_request(host, "GET", "/kept");
    weir_test_request_add(req, "User-Agent", "me");
    mock.act = keep_strings;
    ck_assert_int_eq(weir_test_filter_request(filter, req), WEIR_OK);
    ck_assert_str_eq(look_at(path.ptr), "a string of a request, of a callback that is over");
    ck_assert_str_eq(look_at(agent.ptr), "a field of a message, of a callback that is over");
    ck_assert_str_eq(look_at(first.ptr), "a field of a message, of a callback that is over");
    /* The request itself lives on. */
    ck_assert(weir_str_is(weir_request_str(req, WEIR_REQUEST_PATH), "/kept"));
}

/* ---- threads ---- */

static struct weir_context *context_of(struct weir_test_instance *instance)
{
    return weir_test_instance_context(instance);
}

static void *ask_elsewhere(void *arg)
{
    (void)weir_now_ns(arg);
    weir_log(arg, WEIR_LOG_INFO, "from elsewhere"); /* which any thread may */
    return NULL;
}

UNIT_TEST(calls_from_another_thread_are_problems)
{
    struct weir_test_instance *balancer = mock_instance(host, WEIR_TEST_BALANCER);
    pthread_t thread;
    pthread_create(&thread, NULL, ask_elsewhere, context_of(balancer));
    pthread_join(thread, NULL);
    ck_assert_uint_eq(weir_test_problem_count(host), 1);
    ck_assert_str_eq(weir_test_problems(host),
                     "weir_now_ns was called from another thread than the instance's");
    weir_test_forgive(host);
}

static const char *problem_hook;

static void on_problem(const char *text)
{
    ck_assert_ptr_nonnull(strstr(text, "out of range"));
    problem_hook = watch.last;
}

static uint32_t wrong(const struct weir_pick *pick)
{
    return pick->candidates->count;
}

UNIT_TEST(hooks_are_named_and_problems_told)
{
    struct weir_test_instance *balancer = mock_instance(host, WEIR_TEST_BALANCER);
    struct weir_test_pool *pool = weir_test_pool_new(host);
    ck_assert_ptr_null(watch.hook);
    ck_assert_str_eq(watch.last, "create");
    weir_test_server_add(pool, "a", 1);
    weir_test_pool_join(pool, balancer);
    ck_assert_str_eq(watch.last, "on_members");
    mock.pick = wrong;
    watch.problem = on_problem;
    weir_test_pick(balancer, NULL);
    ck_assert_str_eq(problem_hook, "pick");
    ck_assert_ptr_null(watch.hook);
    weir_test_forgive(host);
}

UNIT_FIXTURE(setup, teardown);
