/* SPDX-License-Identifier: MIT */
/*
 * Time, timers, posts, files, the log, random bytes and secrets of the fake host, and what it tells
 * of those that are left behind.
 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>

#include "mock_module.h"
#include "runner.h"

static struct weir_test *host;
static struct weir_test_instance *instance;
static struct weir_context *ctx;

static void setup(void)
{
    host = mock_host();
    instance = mock_instance(host, WEIR_TEST_BALANCER);
    ctx = weir_test_instance_context(instance);
}

static void teardown(void)
{
    ck_assert_msg(weir_test_problem_count(host) == 0, "%s", weir_test_problems(host));
    ck_assert(weir_test_free(&host));
}

static char order[32];

static void note(void *arg)
{
    size_t len = strlen(order);
    order[len] = *(const char *)arg;
    order[len + 1] = '\0';
}

UNIT_TEST(timers_fire_in_time_and_in_order)
{
    struct weir_timer *timers[3];
    order[0] = '\0';
    timers[0] = weir_timer_new(ctx, note, "a");
    timers[1] = weir_timer_new(ctx, note, "b");
    timers[2] = weir_timer_new(ctx, note, "c");
    weir_timer_set(ctx, timers[0], 300);
    weir_timer_set(ctx, timers[1], 100);
    weir_timer_set(ctx, timers[2], 100);
    ck_assert_uint_eq(weir_test_timer_count(host), 3);
    ck_assert_uint_eq(weir_test_timer_set_count(host), 3);
    weir_test_advance(host, 99);
    ck_assert_str_eq(order, "");
    weir_test_advance(host, 1);
    ck_assert_str_eq(order, "bc");
    weir_timer_set(ctx, timers[1], 100);
    weir_timer_cancel(ctx, timers[0]);
    weir_test_advance(host, 1000);
    ck_assert_str_eq(order, "bcb");
    ck_assert_uint_eq(weir_now_ns(ctx), weir_test_now_ns(host));
    for (int i = 0; i < 3; i++) {
        weir_timer_free(ctx, timers[i]);
    }
    ck_assert_uint_eq(weir_test_timer_count(host), 0);
}

struct ticker {
    struct weir_timer *timer;
    unsigned ticks;
    uint64_t last_ns;
};

static void tick(void *arg)
{
    struct ticker *ticker = arg;
    ticker->last_ns = weir_now_ns(ctx);
    if (++ticker->ticks < 5) {
        weir_timer_set(ctx, ticker->timer, 1000);
    } else {
        weir_timer_free(ctx, ticker->timer); /* in its own callback */
    }
}

UNIT_TEST(a_timer_may_set_and_free_itself)
{
    struct ticker ticker = {0};
    uint64_t start_ns = weir_test_now_ns(host);
    ticker.timer = weir_timer_new(ctx, tick, &ticker);
    weir_timer_set(ctx, ticker.timer, 1000);
    weir_test_advance(host, 1000000);
    ck_assert_uint_eq(ticker.ticks, 5);
    ck_assert_uint_eq(ticker.last_ns - start_ns, 5000);
    ck_assert_uint_eq(weir_test_now_ns(host) - start_ns, 1000000);
}

UNIT_TEST(a_timer_left_behind_is_a_problem)
{
    struct weir_timer *timer = weir_timer_new(ctx, note, "x");
    weir_timer_set(ctx, timer, 10);
    weir_test_destroy(&instance);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "left 1 timers"));
    weir_test_advance(host, 100); /* does not fire any more */
    ck_assert(!weir_test_free(&host));
    setup();
    timer = weir_timer_new(ctx, note, "x");
    weir_timer_free(ctx, timer);
    weir_timer_set(ctx, timer, 1);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "after it was freed"));
    weir_test_forgive(host);
}

static void spin(void *arg)
{
    weir_timer_set(ctx, *(struct weir_timer **)arg, 0);
}

UNIT_TEST(a_timer_that_spins_is_a_problem_and_not_a_hang)
{
    struct weir_timer *timer = weir_timer_new(ctx, spin, &timer);
    weir_timer_set(ctx, timer, 0);
    weir_test_run(host);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "for ever"));
    weir_timer_free(ctx, timer);
    weir_test_forgive(host);
}

static void *post_from_thread(void *arg)
{
    (void)arg;
    ck_assert_int_eq(weir_post(ctx, note, "t"), WEIR_OK);
    weir_log(ctx, WEIR_LOG_INFO, "from a %s", "thread");
    return NULL;
}

UNIT_TEST(posts_run_in_order_and_from_any_thread)
{
    pthread_t thread;
    order[0] = '\0';
    ck_assert_int_eq(weir_post(ctx, note, "1"), WEIR_OK);
    ck_assert_int_eq(weir_post(ctx, note, "2"), WEIR_OK);
    ck_assert_str_eq(order, "");
    weir_test_run(host);
    ck_assert_str_eq(order, "12");
    ck_assert_int_eq(pthread_create(&thread, NULL, post_from_thread, NULL), 0);
    pthread_join(thread, NULL);
    weir_test_run(host);
    ck_assert_str_eq(order, "12t");
    ck_assert(weir_test_logged(host, WEIR_LOG_INFO, "from a thread"));
    /* What was posted before the end still runs. */
    ck_assert_int_eq(weir_post(ctx, note, "e"), WEIR_OK);
    weir_test_destroy(&instance);
    ck_assert_str_eq(order, "12te");
}

UNIT_TEST(allocations_fail_on_demand)
{
    weir_test_fail_alloc(host, 1);
    struct weir_timer *timer = weir_timer_new(ctx, note, "x");
    ck_assert_ptr_nonnull(timer);
    ck_assert_int_eq(weir_post(ctx, note, "x"), WEIR_NO_MEMORY);
    ck_assert_int_eq(weir_post(ctx, note, "x"), WEIR_OK);
    weir_test_run(host);
    weir_timer_free(ctx, timer);
}

UNIT_TEST(the_wall_clock_may_jump)
{
    ck_assert_uint_eq(weir_wall_ms(ctx), UINT64_C(1767225600000));
    weir_test_advance(host, 5000000);
    ck_assert_uint_eq(weir_wall_ms(ctx), UINT64_C(1767225600005));
    weir_test_set_wall_ms(host, 1000);
    weir_test_advance(host, 2000000);
    ck_assert_uint_eq(weir_wall_ms(ctx), 1002);
}

UNIT_TEST(files_are_kept_in_memory)
{
    struct weir_str path = WEIR_STR_INIT("/var/log/x.log");
    size_t len = 0;

    ck_assert_ptr_null(weir_test_file(host, "/var/log/x.log", NULL));
    struct weir_file *file = weir_file_open(ctx, path);
    ck_assert_ptr_eq(weir_file_open(ctx, path), file);
    ck_assert_uint_eq(weir_test_file_open_count(host, "/var/log/x.log"), 2);
    ck_assert(weir_file_write(ctx, file, "one\n", 4));
    weir_test_fail_files(host, true, true);
    ck_assert(!weir_file_write(ctx, file, "two\n", 4));
    ck_assert_ptr_null(weir_file_open(ctx, path));
    weir_test_fail_files(host, false, false);
    ck_assert(weir_file_write(ctx, file, "three\n", 6));
    ck_assert_str_eq(weir_test_file(host, "/var/log/x.log", &len), "one\nthree\n");
    ck_assert_uint_eq(len, 10);
    weir_file_close(ctx, file);
    weir_file_close(ctx, file);
    ck_assert_uint_eq(weir_test_problem_count(host), 0);
    weir_file_close(ctx, file);
    ck_assert(!weir_file_write(ctx, file, "x", 1));
    ck_assert_uint_eq(weir_test_problem_count(host), 2);
    weir_test_forgive(host);
}

UNIT_TEST(an_open_file_is_a_problem)
{
    struct weir_str path = WEIR_STR_INIT("-");
    ck_assert_ptr_nonnull(weir_file_open(ctx, path));
    ck_assert(!weir_test_free(&host));
    setup();
}

UNIT_TEST(lines_are_logged)
{
    enum weir_log_level level = WEIR_LOG_DEBUG;
    weir_log(ctx, WEIR_LOG_WARNING, "%d of %d", 1, 2);
    ck_assert_uint_eq(weir_test_log_count(host), 1);
    ck_assert_str_eq(weir_test_log_line(host, 0, &level), "1 of 2");
    ck_assert_int_eq(level, WEIR_LOG_WARNING);
    ck_assert_ptr_null(weir_test_log_line(host, 1, NULL));
    ck_assert(weir_test_logged(host, WEIR_LOG_WARNING, "of"));
    ck_assert(!weir_test_logged(host, WEIR_LOG_ERROR, "of"));
    weir_log(ctx, WEIR_LOG_INFO, "two\nlines");
    ck_assert_uint_eq(weir_test_problem_count(host), 1);
    weir_test_forgive(host);
}

UNIT_TEST(random_bytes_are_a_sequence)
{
    uint8_t a[20], b[20], c[20];
    weir_test_seed(host, 7);
    weir_random(ctx, a, sizeof(a));
    weir_random(ctx, b, sizeof(b));
    weir_test_seed(host, 7);
    weir_random(ctx, c, sizeof(c));
    ck_assert_mem_eq(a, c, sizeof(a));
    ck_assert_mem_ne(a, b, sizeof(a));
}

/* RFC 4231, test cases 1, 2 and 6. */
UNIT_TEST(hmac_is_that_of_the_rfc)
{
    static const uint8_t expected[3][32] = {
        {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf,
         0xce, 0xaf, 0x0b, 0xf1, 0x2b, 0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83,
         0x3d, 0xa7, 0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7},
        {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
         0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
         0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43},
        {0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26,
         0xaa, 0xcb, 0xf5, 0xb7, 0x7f, 0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28,
         0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54}};
    static const char last[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    uint8_t key[131], out[32];

    memset(key, 0x0b, sizeof(key));
    weir_hmac_sha256(ctx, key, 20, "Hi There", 8, out);
    ck_assert_mem_eq(out, expected[0], 32);
    weir_hmac_sha256(ctx, "Jefe", 4, "what do ya want for nothing?", 28, out);
    ck_assert_mem_eq(out, expected[1], 32);
    memset(key, 0xaa, sizeof(key));
    weir_hmac_sha256(ctx, key, sizeof(key), last, sizeof(last) - 1, out);
    ck_assert_mem_eq(out, expected[2], 32);
    weir_hmac_sha256(ctx, NULL, 0, NULL, 0, out);
}

static uint8_t secrets[2][32];
static enum weir_status secret_status;

static void ask_secrets(struct weir_context *where, struct weir_check *check,
                        const struct mock_conf *conf)
{
    (void)check;
    (void)conf;
    secret_status = weir_secret(where, "one", secrets[0]);
    weir_secret(where, "two", secrets[1]);
}

UNIT_TEST(secrets_are_the_same_for_a_purpose)
{
    uint8_t first[32];
    mock.check = ask_secrets;
    ck_assert_ptr_nonnull(weir_test_conf_in(host, WEIR_CONTEXT_POOL, ""));
    memcpy(first, secrets[0], 32);
    ck_assert_mem_ne(secrets[0], secrets[1], 32);
    ck_assert_ptr_nonnull(weir_test_conf_in(host, WEIR_CONTEXT_POOL, ""));
    ck_assert_mem_eq(first, secrets[0], 32);
    weir_test_fail_secret(host, true);
    ck_assert_ptr_nonnull(weir_test_conf_in(host, WEIR_CONTEXT_POOL, ""));
    ck_assert_int_eq(secret_status, WEIR_ERROR);
    ck_assert_int_eq(weir_secret(ctx, "late", first), WEIR_ERROR);
    ck_assert_ptr_nonnull(strstr(weir_test_problems(host), "outside conf_create"));
    weir_test_forgive(host);
}

UNIT_FIXTURE(setup, teardown);
