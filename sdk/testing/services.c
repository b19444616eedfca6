/* SPDX-License-Identifier: MIT */
/*
 * The table of services that the fake host hands to the module, and the small ones among them.
 */
#include "fake.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

static void service_log(struct weir_context *ctx, enum weir_log_level level, const char *format,
                        va_list args)
{
    struct weir_test *host = fake_context_any(ctx)->host;
    struct fake_buffer text = {0};
    bool legal = level <= WEIR_LOG_DEBUG;

    fake_buffer_vprintf(&text, format, args);
    legal = legal && strchr(fake_buffer_text(&text), '\n') == NULL;
    pthread_mutex_lock(&host->lock);
    host->log = fake_grow(host->log, host->log_count + 1, sizeof(*host->log));
    host->log[host->log_count++] =
        (struct fake_log_line){level, fake_str_copy(fake_buffer_text(&text))};
    pthread_mutex_unlock(&host->lock);
    if (!legal) {
        fake_problem(host, "a log line has no known level, or a line break in it: %s",
                     fake_buffer_text(&text));
    }
    fake_buffer_free(&text);
}

static void service_fault(struct weir_context *ctx, const char *what)
{
    const char *hook = fake_hook_running();

    if (strchr(what, '\n') != NULL) {
        fake_problem(fake_context(ctx)->host, "a fault has a line break in it: %s", what);
    }
    fake_problem(fake_context(ctx)->host, "%s failed: %s", hook != NULL ? hook : "no hook", what);
}

static uint64_t service_now_ns(struct weir_context *ctx)
{
    return fake_context(ctx)->host->now_ns;
}

static uint64_t service_wall_ms(struct weir_context *ctx)
{
    const struct weir_test *host = fake_context(ctx)->host;
    return host->wall_ms + (host->now_ns - host->wall_since_ns) / 1000000;
}

static uint32_t service_worker_index(struct weir_context *ctx)
{
    return fake_context(ctx)->worker_index;
}

static uint32_t service_worker_count(struct weir_context *ctx)
{
    return fake_context(ctx)->worker_count;
}

static struct weir_str service_pool_name(struct weir_context *ctx)
{
    return fake_str(fake_context(ctx)->pool_name);
}

/* splitmix64: one 64-bit state, so that a seed is a number that a test can write down. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void service_random(struct weir_context *ctx, void *out, size_t len)
{
    struct weir_test *host = fake_context(ctx)->host;
    uint8_t *bytes = out;
    while (len > 0) {
        uint64_t word = random_next(&host->random_state);
        size_t part = len < sizeof(word) ? len : sizeof(word);
        memcpy(bytes, &word, part);
        bytes += part;
        len -= part;
    }
}

static void service_hmac(struct weir_context *ctx, const void *key, size_t key_len,
                         const void *data, size_t len, uint8_t out[32])
{
    unsigned int out_len = 0;
    (void)ctx;
    /* OpenSSL takes no NULL key, not even of no length. */
    if (key_len > INT32_MAX ||
        HMAC(EVP_sha256(), key_len > 0 ? key : "", (int)key_len, len > 0 ? data : (const void *)"",
             len, out, &out_len) == NULL) {
        fake_abort(__func__, "HMAC-SHA-256 failed");
    }
}

static struct weir_str service_state_dir(struct weir_context *ctx)
{
    struct weir_test *host = fake_context(ctx)->host;

    if (!fake_context(ctx)->checking) {
        fake_problem(host, "weir_state_dir was called outside conf_create");
    }
    return fake_str(host->state_dir);
}

static enum weir_status service_secret(struct weir_context *ctx, const char *purpose,
                                       uint8_t out[32])
{
    static const char master[] = "secret of the fake host";
    struct weir_test *host = fake_context(ctx)->host;
    struct fake_buffer text = {0};

    if (!fake_context(ctx)->checking) {
        fake_problem(host, "weir_secret was called outside conf_create");
    }
    if (host->fail_secret) {
        return WEIR_ERROR;
    }
    fake_buffer_printf(&text, "%s/%s", host->module.name, purpose);
    service_hmac(ctx, master, sizeof(master) - 1, fake_buffer_text(&text), text.len, out);
    fake_buffer_free(&text);
    return WEIR_OK;
}

static struct weir_str service_block_name(struct weir_context *ctx)
{
    return fake_str(fake_context(ctx)->block_name);
}

const struct weir_host fake_services = {
    .size = sizeof(struct weir_host),
    .abi_major = WEIR_ABI_MAJOR,
    .abi_minor = WEIR_ABI_MINOR,
    .log = service_log,
    .now_ns = service_now_ns,
    .wall_ms = service_wall_ms,
    .worker_index = service_worker_index,
    .worker_count = service_worker_count,
    .pool_name = service_pool_name,
    .random = service_random,
    .hmac_sha256 = service_hmac,
    .secret = service_secret,
    .timer_new = fake_timer_new,
    .timer_set = fake_timer_set,
    .timer_cancel = fake_timer_cancel,
    .timer_free = fake_timer_free,
    .post = fake_post,
    .file_open = fake_file_open,
    .file_write = fake_file_write,
    .file_close = fake_file_close,
    .check_error = fake_check_error,
    .check_pool = fake_check_pool,
    .check_route = fake_check_route,
    .request_str = fake_request_str,
    .request_peer = fake_request_peer,
    .request_tls = fake_request_tls,
    .request_header = fake_request_header,
    .request_field_count = fake_request_field_count,
    .request_field = fake_request_field,
    .request_set_header = fake_request_set_header,
    .request_add_header = fake_request_add_header,
    .request_remove_header = fake_request_remove_header,
    .request_alloc = fake_request_alloc,
    .request_slot = fake_request_slot,
    .response_status = fake_response_status,
    .response_header = fake_response_header,
    .response_field_count = fake_response_field_count,
    .response_field = fake_response_field,
    .response_set_header = fake_response_set_header,
    .response_add_header = fake_response_add_header,
    .response_remove_header = fake_response_remove_header,
    .reply_begin = fake_reply_begin,
    .reply_write = fake_reply_write,
    .reply_end = fake_reply_end,
    .reply_abort = fake_reply_abort,
    .request_set_path = fake_request_set_path,
    .request_session = fake_request_session,
    .response_content_length = fake_response_content_length,
    .response_transform = fake_response_transform,
    .transform_write = fake_transform_write,
    .health_eject = fake_health_eject,
    .check_listener = fake_check_listener,
    .check_file = fake_check_file,
    .shared = fake_shared,
    .request_credentials = fake_request_credentials,
    .block_name = service_block_name,
    .reply_error = fake_reply_error,
    .control_call = fake_control_call,
    .control_cancel = fake_control_cancel,
    .control_subscribe = fake_control_subscribe,
    .control_unsubscribe = fake_control_unsubscribe,
    .control_auth_token = fake_control_auth_token,
    .control_auth_password = fake_control_auth_password,
    .control_auth_cancel = fake_control_auth_cancel,
    .control_auth_link = fake_control_auth_link,
    .control_auth_user = fake_control_auth_user,
    .control_auth_peer = fake_control_auth_peer,
    .control_openapi = fake_control_openapi,
    .stats_visit = fake_stats_visit,
    .stats_counters = fake_stats_counters,
    .metric_add = fake_metric_add,
    .stats_metrics = fake_stats_metrics,
    .stats_modules = fake_stats_modules,
    .reason_name = fake_reason_name,
    .state_dir = service_state_dir,
    .control_auth_again = fake_control_auth_again,
    .operation_caller = fake_operation_caller,
    .operation_text = fake_operation_text,
    .operation_number = fake_operation_number,
    .operation_answer = fake_operation_answer,
    .operation_problem = fake_operation_problem,
    .operation_matches = fake_operation_matches,
    .operation_change = fake_operation_change,
    .operation_finish = fake_operation_finish,
    .control_work = fake_control_work,
    .control_event = fake_control_event,
    .control_operations = fake_control_operations,
    .fault = service_fault,
};
