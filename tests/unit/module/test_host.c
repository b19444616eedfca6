/* SPDX-License-Identifier: MIT */
/* Services of an instance: digests, secrets, timers, posts, files, log lines. */
#include "runner.h"

#include <pthread.h>

#include "base/log.h"
#include "base/logfile.h"
#include "module/context.h"
#include "module/host.h"
#include "module/module.h"
#include "net/loop.h"
#include "temporary.h"

static struct weir_host host;
static struct loop *loop;
static struct module_context ctx;
static struct module module = {.name = (char *)"balance_test"};
static const char *folder;

static void set_up(void)
{
    folder = temporary_folder();
    module_host_fill(&host);
    module_host_set_state_dir(NULL, false);
    loop = loop_new(0);
    ck_assert_ptr_nonnull(loop);
    module_context_init(&ctx, &host, &module, loop);
}

static void tear_down(void)
{
    module_context_end(&ctx);
    loop_free(&loop);
    temporary_remove(folder);
}

static void log_to(const char *path)
{
    char error[256];
    ck_assert_msg(log_open(path, WEIR_LOG_INFO, error, sizeof(error)), "%s", error);
}

/* ---- facts ---- */

UNIT_TEST(facts_of_the_context)
{
    ctx.worker_index = 1;
    ctx.worker_count = 4;
    ctx.pool = STR("api");
    ck_assert_uint_eq(weir_worker_index(&ctx.base), 1);
    ck_assert_uint_eq(weir_worker_count(&ctx.base), 4);
    ck_assert_uint_eq(weir_pool_name(&ctx.base).len, 3);
    ck_assert_uint_eq(weir_now_ns(&ctx.base), loop_now_ns(loop));
    ck_assert_uint_gt(weir_wall_ms(&ctx.base), UINT64_C(1600000000000));
    ck_assert_uint_eq(host.size, sizeof(host));
    ck_assert_uint_eq(host.abi_major, WEIR_ABI_MAJOR);
    ck_assert_ptr_eq(module_context_of(&ctx.base), &ctx);
}

UNIT_TEST(lines_bear_the_modules_name)
{
    const char *path = temporary_path(folder, "log");

    log_to(path);
    weir_log(&ctx.base, WEIR_LOG_INFO, "%d servers", 3);
    ctx.component = "pool api";
    weir_log(&ctx.base, WEIR_LOG_ERROR, "none");
    log_to("stderr");
    log_flush(30 * NS_PER_SECOND);
    char *text = temporary_read(path, NULL);
    ck_assert_ptr_nonnull(strstr(text, " info balance_test: 3 servers\n"));
    ck_assert_ptr_nonnull(strstr(text, " error pool api: none\n"));
    free(text);
}

/* ---- digests and random bytes ---- */

static void expect_hex(const uint8_t *bytes, const char *hex)
{
    char text[65];
    for (size_t i = 0; i < 32; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
    ck_assert_str_eq(text, hex);
}

/* RFC 4231, cases 1, 2, 6 and 7. */
UNIT_TEST(hmac_of_the_rfc)
{
    uint8_t key[131], out[32];
    static const char long_data[] =
        "This is a test using a larger than block-size key and a larger "
        "than block-size data. The key needs to be hashed before being "
        "used by the HMAC algorithm.";

    memset(key, 0x0b, 20);
    weir_hmac_sha256(&ctx.base, key, 20, "Hi There", 8, out);
    expect_hex(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    weir_hmac_sha256(&ctx.base, "Jefe", 4, "what do ya want for nothing?", 28, out);
    expect_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    weir_hmac_sha256(&ctx.base, key, sizeof(key),
                     "Test Using Larger Than Block-Size Key - Hash Key First", 54, out);
    expect_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    weir_hmac_sha256(&ctx.base, key, sizeof(key), long_data, sizeof(long_data) - 1, out);
    expect_hex(out, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    weir_hmac_sha256(&ctx.base, NULL, 0, NULL, 0, out);
    expect_hex(out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

UNIT_TEST(random_bytes_differ)
{
    uint8_t a[64] = {0}, b[64] = {0};

    weir_random(&ctx.base, a, sizeof(a));
    weir_random(&ctx.base, b, sizeof(b));
    ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
    weir_random(&ctx.base, a, 0);
}

/* ---- secrets ---- */

UNIT_TEST(secrets_survive_a_restart)
{
    uint8_t first[32], again[32], other[32];
    struct stat status;
    size_t len;

    module_host_set_state_dir(temporary_path(folder, "state"), false);
    ck_assert_int_eq(weir_secret(&ctx.base, "cookie", first), WEIR_OK);
    ck_assert_int_eq(stat(temporary_path(folder, "state/secret"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    ck_assert_uint_eq(status.st_size, 32);

    module_host_set_state_dir(temporary_path(folder, "state"), false); /* as a new process */
    ck_assert_int_eq(weir_secret(&ctx.base, "cookie", again), WEIR_OK);
    ck_assert_int_eq(memcmp(first, again, 32), 0);
    ck_assert_int_eq(weir_secret(&ctx.base, "other", other), WEIR_OK);
    ck_assert_int_ne(memcmp(first, other, 32), 0);
    struct module second = {.name = (char *)"sticky_other"};
    ctx.module = &second;
    ck_assert_int_eq(weir_secret(&ctx.base, "cookie", other), WEIR_OK);
    ck_assert_int_ne(memcmp(first, other, 32), 0);

    /* None of them is the file's own content. */
    char *content = temporary_read(temporary_path(folder, "state/secret"), &len);
    ck_assert_int_ne(memcmp(content, first, 32), 0);
    free(content);
}

UNIT_TEST(secrets_without_a_folder_last_as_long_as_the_process)
{
    uint8_t first[32], again[32];

    ck_assert_int_eq(weir_secret(&ctx.base, "cookie", first), WEIR_OK);
    ck_assert_int_eq(weir_secret(&ctx.base, "cookie", again), WEIR_OK);
    ck_assert_int_eq(memcmp(first, again, 32), 0);
    module_host_set_state_dir(NULL, false);
    ck_assert_int_eq(weir_secret(&ctx.base, "cookie", again), WEIR_OK);
    ck_assert_int_ne(memcmp(first, again, 32), 0);
}

static void expect_no_secret(const char *why)
{
    const char *path = temporary_path(folder, "log");
    uint8_t out[32];

    log_to(path);
    module_host_set_state_dir(folder, false);
    ck_assert_int_eq(weir_secret(&ctx.base, "cookie", out), WEIR_ERROR);
    log_to("stderr");
    log_flush(30 * NS_PER_SECOND);
    char *text = temporary_read(path, NULL);
    ck_assert_msg(strstr(text, why) != NULL, "it says: %s\nnot: %s", text, why);
    free(text);
}

UNIT_TEST(a_secret_that_is_not_safe_is_refused)
{
    const char *path = temporary_path(folder, "secret");
    uint8_t out[32];

    temporary_write(path, "too short");
    chmod(path, 0600);
    expect_no_secret("is not a file of 32 bytes; remove it");
    temporary_write(path, "0123456789abcdef0123456789abcdef");
    chmod(path, 0644);
    expect_no_secret("can be read by others; set its mode to 0600");
    unlink(path);
    ck_assert_int_eq(symlink("/etc/hostname", path), 0);
    expect_no_secret("cannot open ");
    unlink(path);
    module_host_set_state_dir(temporary_path(folder, "no/such"), false);
    ck_assert_int_eq(weir_secret(&ctx.base, "cookie", out), WEIR_ERROR);
}

/* ---- timers ---- */

static unsigned fired;
static struct weir_timer *own;

static void on_timer(void *arg)
{
    fired++;
    if (arg != NULL) {
        loop_stop(arg);
    }
}

static void on_timer_frees_itself(void *arg)
{
    fired++;
    weir_timer_free(arg, own);
    own = NULL;
    loop_stop(loop);
}

UNIT_TEST(timers_fire_once_and_not_early)
{
    struct weir_timer *timer = weir_timer_new(&ctx.base, on_timer, loop);
    uint64_t start = loop_now_ns(loop);

    weir_timer_set(&ctx.base, timer, 3600 * NS_PER_SECOND);
    weir_timer_set(&ctx.base, timer, 30 * NS_PER_MS);
    loop_run(loop);
    ck_assert_uint_eq(fired, 1);
    ck_assert_uint_ge(loop_now_refresh(loop) - start, 30 * NS_PER_MS);
    weir_timer_free(&ctx.base, timer);
}

UNIT_TEST(a_canceled_timer_stays_silent)
{
    struct weir_timer *silent = weir_timer_new(&ctx.base, on_timer, NULL);
    struct weir_timer *last = weir_timer_new(&ctx.base, on_timer, loop);

    weir_timer_set(&ctx.base, silent, 10 * NS_PER_MS);
    weir_timer_set(&ctx.base, last, 80 * NS_PER_MS);
    weir_timer_cancel(&ctx.base, silent);
    loop_run(loop);
    ck_assert_uint_eq(fired, 1);
    weir_timer_free(&ctx.base, silent);
    weir_timer_free(&ctx.base, last);
}

UNIT_TEST(a_timer_may_free_itself)
{
    own = weir_timer_new(&ctx.base, on_timer_frees_itself, &ctx.base);
    weir_timer_set(&ctx.base, own, NS_PER_MS);
    loop_run(loop);
    ck_assert_uint_eq(fired, 1);
    ck_assert_ptr_null(own);
    ck_assert(list_empty(&ctx.timers));
}

UNIT_TEST(forgotten_timers_are_freed_and_told)
{
    const char *path = temporary_path(folder, "log");
    struct module_context forgetful;
    struct weir_timer *last;

    log_to(path);
    module_context_init(&forgetful, &host, &module, loop);
    weir_timer_set(&forgetful.base, weir_timer_new(&forgetful.base, on_timer, NULL), NS_PER_MS);
    weir_timer_new(&forgetful.base, on_timer, NULL);
    module_context_end(&forgetful);
    log_to("stderr");
    log_flush(30 * NS_PER_SECOND);
    char *text = temporary_read(path, NULL);
    ck_assert_ptr_nonnull(strstr(text, "warning balance_test: 2 timers were left behind"));
    free(text);
    last = weir_timer_new(&ctx.base, on_timer, loop);
    weir_timer_set(&ctx.base, last, 50 * NS_PER_MS);
    loop_run(loop);
    ck_assert_uint_eq(fired, 1);
    weir_timer_free(&ctx.base, last);
}

UNIT_TEST(without_a_loop_there_are_no_timers_and_posts)
{
    struct module_context bare;

    log_set_level(WEIR_LOG_ERROR);
    log_to(temporary_path(folder, "log"));
    module_context_init(&bare, &host, &module, NULL);
    ck_assert_ptr_null(weir_timer_new(&bare.base, on_timer, NULL));
    ck_assert_int_eq(weir_post(&bare.base, on_timer, NULL), WEIR_INVALID);
    ck_assert_uint_gt(weir_now_ns(&bare.base), 0);
    module_context_end(&bare);
    log_to("stderr");
}

/* ---- posts ---- */

static unsigned arrived;
static pthread_t loop_thread;

static void on_post(void *arg)
{
    ck_assert(pthread_equal(pthread_self(), loop_thread));
    arrived++;
    if (arg != NULL) {
        loop_stop(arg);
    }
}

static void *post_many(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        if (weir_post(&ctx.base, on_post, NULL) != WEIR_OK) {
            return arg;
        }
    }
    return NULL;
}

static void *post_last(void *arg)
{
    weir_post(&ctx.base, on_post, arg);
    return NULL;
}

UNIT_TEST(posts_arrive_on_the_loop)
{
    pthread_t threads[3], last;
    void *failed;

    loop_thread = pthread_self();
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        pthread_create(&threads[i], NULL, post_many, &threads);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    pthread_create(&last, NULL, post_last, loop);
    loop_run(loop);
    pthread_join(last, NULL);
    ck_assert_uint_eq(arrived, 3001);
}

UNIT_TEST(posts_to_an_ended_context_are_dropped)
{
    struct module_context short_lived;

    loop_thread = pthread_self();
    module_context_init(&short_lived, &host, &module, loop);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(weir_post(&short_lived.base, on_post, NULL), WEIR_OK);
    }
    module_context_end(&short_lived);
    memset(&short_lived, 0xee, sizeof(short_lived));
    weir_post(&ctx.base, on_post, loop);
    loop_run(loop);
    ck_assert_uint_eq(arrived, 1);
}

/* ---- files ---- */

UNIT_TEST(files_are_log_files)
{
    char path[512];
    struct weir_str slice;

    /* The path is a slice: what follows it does not belong to it. */
    snprintf(path, sizeof(path), "%s/access.log and more", folder);
    slice = (struct weir_str){path, strlen(path) - strlen(" and more")};
    struct weir_file *file = weir_file_open(&ctx.base, slice);
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_eq(weir_file_open(&ctx.base, slice), file);
    ck_assert(weir_file_write(&ctx.base, file, "a line\n", 7));
    weir_file_close(&ctx.base, file);
    weir_file_close(&ctx.base, file);
    logfile_stop();
    char *text = temporary_read(temporary_path(folder, "access.log"), NULL);
    ck_assert_str_eq(text, "a line\n");
    free(text);

    log_to(temporary_path(folder, "log"));
    ck_assert_ptr_null(weir_file_open(&ctx.base, STR("/no/such/folder/x")));
    log_to("stderr");
    log_flush(30 * NS_PER_SECOND);
    text = temporary_read(temporary_path(folder, "log"), NULL);
    ck_assert_ptr_nonnull(
        strstr(text, "error balance_test: cannot open the log file /no/such/folder/x"));
    free(text);
}

UNIT_FIXTURE(set_up, tear_down);
