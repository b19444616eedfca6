/* SPDX-License-Identifier: MIT */
/*
 * What a program that judges modules is told: which hook runs, problems when they happen, and what
 * lay where memory is used after its time.
 */
#include <check.h>
#include <setjmp.h>
#include <signal.h>

#include "mock_module.h"
#include "runner.h"

static struct weir_test *host;
static struct weir_test_watch watch;
static sigjmp_buf back;
static const char *lent;
static const void *kept;

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
