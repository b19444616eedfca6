/* SPDX-License-Identifier: MIT */
/*
 * Services of an instance.
 */
#include "module/host.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/logfile.h"
#include "module/call.h"
#include "module/check.h"
#include "module/context.h"
#include "module/hmac.h"
#include "module/module.h"
#include "module/secret.h"
#include "module/shared.h"
#include "net/loop.h"

/* Links a context and its pending posts, which may outlive it. */
struct module_mailbox {
    _Atomic unsigned refs;      /* one for the context, and one per post */
    struct module_context *ctx; /* loop thread; NULL: it has ended */
};

struct posted {
    struct message message;
    struct module_mailbox *mailbox;
    weir_post_fn fn;
    void *arg;
};

struct weir_timer {
    struct timer timer;
    struct list link; /* in its context */
    struct module_context *ctx;
    weir_timer_fn fn;
    void *arg;
};

/* ---- contexts ---- */

static void mailbox_unref(struct module_mailbox *mailbox)
{
    if (atomic_fetch_sub(&mailbox->refs, 1) == 1) {
        free(mailbox);
    }
}

void module_context_init(struct module_context *ctx, const struct weir_host *host,
                         struct module *module, struct loop *loop)
{
    *ctx = (struct module_context){
        .base = {host},
        .module = module,
        .component = module != NULL ? module->name : "module",
        .loop = loop,
        .place = "",
    };
    if (module != NULL && module->meters != NULL) {
        ctx->meter = &module->meters[loop != NULL ? loop->index : module->loops - 1];
        if (loop != NULL) {
            ctx->meter->stack->loop = loop;
            loop->calls = ctx->meter->stack;
        }
    }
    list_init(&ctx->timers);
    if (loop != NULL) {
        ctx->mailbox = base_zalloc(sizeof(*ctx->mailbox));
        atomic_init(&ctx->mailbox->refs, 1);
        ctx->mailbox->ctx = ctx;
    }
}

static void free_timer(struct weir_timer *timer)
{
    timer_cancel(timer->ctx->loop, &timer->timer);
    list_remove(&timer->link);
    free(timer);
}

void module_context_end(struct module_context *ctx)
{
    unsigned left = 0;

    list_each(link, &ctx->timers)
    {
        free_timer(container_of(link, struct weir_timer, link));
        left++;
    }
    if (left > 0) {
        log_write(WEIR_LOG_WARNING, ctx->component,
                  "%u timers were left behind by an instance that was destroyed; freed", left);
    }
    shared_release(&ctx->shared);
    if (ctx->mailbox != NULL) {
        ctx->mailbox->ctx = NULL;
        mailbox_unref(ctx->mailbox);
        ctx->mailbox = NULL;
    }
}

/* ---- facts ---- */

static void host_log(struct weir_context *ctx, enum weir_log_level level, const char *format,
                     va_list args) __attribute__((format(printf, 3, 0)));
static void host_log(struct weir_context *ctx, enum weir_log_level level, const char *format,
                     va_list args)
{
    log_vwrite(level, module_context_of(ctx)->component, format, args);
}

static void host_fault(struct weir_context *base, const char *what)
{
    struct module_context *ctx = module_context_of(base);
    enum module_hook hook = call_hook(ctx);

    log_write(WEIR_LOG_ERROR, ctx->component, "%s failed: %s", module_hook_name(hook), what);
    call_strike(ctx, hook, STRIKE_FAILED);
}

static uint64_t host_now_ns(struct weir_context *ctx)
{
    struct loop *loop = module_context_of(ctx)->loop;
    struct timespec now;

    if (likely(loop != NULL)) {
        return loop_now_ns(loop);
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t host_wall_ms(struct weir_context *ctx)
{
    (void)ctx;
    return loop_wall_ms();
}

static uint32_t host_worker_index(struct weir_context *ctx)
{
    return module_context_of(ctx)->worker_index;
}

static uint32_t host_worker_count(struct weir_context *ctx)
{
    return module_context_of(ctx)->worker_count;
}

static struct weir_str host_pool_name(struct weir_context *ctx)
{
    return module_context_of(ctx)->pool;
}

static struct weir_str host_block_name(struct weir_context *ctx)
{
    return module_context_of(ctx)->block_name;
}

/* ---- random bytes, digests, secrets ---- */

static void host_random(struct weir_context *ctx, void *out, size_t len)
{
    (void)ctx;
    secret_random(out, len);
}

static void host_hmac_sha256(struct weir_context *ctx, const void *key, size_t key_len,
                             const void *data, size_t len, uint8_t out[HMAC_LEN])
{
    (void)ctx;
    hmac_sha256(key, key_len, data, len, out);
}

/* Control thread. */
static struct {
    char *state_dir; /* NULL: the secret is not kept */
    bool look;       /* nor made: it is looked whether it could be */
    bool known;
    uint8_t secret[SECRET_LEN];
    char *next_dir; /* to be looked at; NULL: none, or all is well there */
} state;

void module_host_set_state_dir(const char *state_dir, bool look)
{
    free(state.state_dir);
    state.state_dir = state_dir != NULL ? base_strdup(state_dir) : NULL;
    state.look = look;
    state.known = false;
}

void module_host_set_next_state_dir(const char *state_dir)
{
    free(state.next_dir);
    state.next_dir = state_dir != NULL ? base_strdup(state_dir) : NULL;
}

static bool look_at_next(char *error, size_t error_size)
{
    uint8_t unused[SECRET_LEN];

    bool ok =
        state.next_dir == NULL || secret_read(state.next_dir, true, unused, error, error_size);
    explicit_bzero(unused, sizeof(unused));
    if (ok) {
        module_host_set_next_state_dir(NULL); /* once is enough */
    }
    return ok;
}

/* The same purpose of two modules gives two secrets. */
static enum weir_status host_secret(struct weir_context *ctx, const char *purpose,
                                    uint8_t out[HMAC_LEN])
{
    const char *component = module_context_of(ctx)->component;
    char error[512];

    if (!state.known) {
        if (state.state_dir == NULL) {
            secret_random(state.secret, sizeof(state.secret));
        } else if (!secret_read(state.state_dir, state.look, state.secret, error, sizeof(error))) {
            log_write(WEIR_LOG_ERROR, component, "%s", error);
            return WEIR_ERROR;
        }
        state.known = true;
    }
    if (!look_at_next(error, sizeof(error))) {
        log_write(WEIR_LOG_ERROR, component, "%s", error);
        return WEIR_ERROR;
    }
    const struct module *module = module_context_of(ctx)->module;
    char *text = base_printf("%s|%s", module != NULL ? module->name : component, purpose);
    hmac_sha256(state.secret, sizeof(state.secret), text, strlen(text), out);
    free(text);
    return WEIR_OK;
}

static struct weir_str host_state_dir(struct weir_context *ctx)
{
    (void)ctx;
    return str_from(state.state_dir != NULL ? state.state_dir : "");
}

static void *host_shared(struct weir_context *base, const char *name, size_t size)
{
    struct module_context *ctx = module_context_of(base);
    return shared_get(&ctx->shared, ctx->component, name, size);
}

static void host_metric_add(struct weir_context *base, uint32_t metric, int64_t n)
{
    const struct module_context *ctx = module_context_of(base);
    struct module *module = ctx->module;

    if (likely(module != NULL && metric < module->metric_count)) {
        metric_add(module->metrics[metric], ctx->worker_index, n);
    } else {
        call_strike(module_context_of(base), call_hook(ctx), STRIKE_ANSWER);
    }
}

/* ---- timers ---- */

static void timer_fires(struct timer *base)
{
    struct weir_timer *timer = container_of(base, struct weir_timer, timer);
    struct call *call = call_begin(timer->ctx, HOOK_TIMER);
    timer->fn(timer->arg); /* may free the timer */
    call_end(call);
}

static struct weir_timer *host_timer_new(struct weir_context *base, weir_timer_fn fn, void *arg)
{
    struct module_context *ctx = module_context_of(base);
    struct weir_timer *timer;

    if (ctx->loop == NULL) {
        log_write(WEIR_LOG_ERROR, ctx->component, "a timer was asked for where no loop runs");
        return NULL;
    }
    timer = calloc(1, sizeof(*timer));
    if (timer == NULL) {
        return NULL;
    }
    timer->timer.fn = timer_fires;
    timer->ctx = ctx;
    timer->fn = fn;
    timer->arg = arg;
    list_push_back(&ctx->timers, &timer->link);
    return timer;
}

static void host_timer_set(struct weir_timer *timer, uint64_t delay_ns)
{
    timer_set(timer->ctx->loop, &timer->timer, delay_ns);
}

static void host_timer_cancel(struct weir_timer *timer)
{
    timer_cancel(timer->ctx->loop, &timer->timer);
}

static void host_timer_free(struct weir_timer *timer)
{
    if (timer != NULL) {
        free_timer(timer);
    }
}

/* ---- posts ---- */

static void posted_arrives(struct message *message)
{
    struct posted *posted = container_of(message, struct posted, message);

    if (posted->mailbox->ctx != NULL) {
        struct call *call = call_begin(posted->mailbox->ctx, HOOK_POST);
        posted->fn(posted->arg);
        call_end(call);
    }
    mailbox_unref(posted->mailbox);
    free(posted);
}

static enum weir_status host_post(struct weir_context *base, weir_post_fn fn, void *arg)
{
    struct module_context *ctx = module_context_of(base);
    struct posted *posted;

    if (ctx->loop == NULL) {
        log_write(WEIR_LOG_ERROR, ctx->component, "a post was made where no loop runs");
        return WEIR_INVALID;
    }
    posted = malloc(sizeof(*posted));
    if (posted == NULL) {
        return WEIR_NO_MEMORY;
    }
    *posted = (struct posted){{NULL, posted_arrives}, ctx->mailbox, fn, arg};
    atomic_fetch_add(&ctx->mailbox->refs, 1);
    loop_post(ctx->loop, &posted->message);
    return WEIR_OK;
}

/* ---- files: a struct weir_file is a struct logfile ---- */

static struct weir_file *host_file_open(struct weir_context *ctx, struct weir_str path)
{
    char *text = base_strndup(path.ptr, path.len);
    char error[512];
    struct logfile *file = logfile_open(text, error, sizeof(error));

    if (file == NULL) {
        log_write(WEIR_LOG_ERROR, module_context_of(ctx)->component, "%s", error);
    }
    free(text);
    return (struct weir_file *)(void *)file;
}

static bool host_file_write(struct weir_file *file, const void *data, size_t len)
{
    return logfile_write((struct logfile *)(void *)file, data, len);
}

static void host_file_close(struct weir_file *file)
{
    if (file != NULL) {
        logfile_close((struct logfile *)(void *)file);
    }
}

/* ---- the table ---- */

void module_host_fill(struct weir_host *host)
{
    host->size = sizeof(*host);
    host->abi_major = WEIR_ABI_MAJOR;
    host->abi_minor = WEIR_ABI_MINOR;
    host->log = host_log;
    host->now_ns = host_now_ns;
    host->wall_ms = host_wall_ms;
    host->worker_index = host_worker_index;
    host->worker_count = host_worker_count;
    host->pool_name = host_pool_name;
    host->random = host_random;
    host->hmac_sha256 = host_hmac_sha256;
    host->secret = host_secret;
    host->timer_new = host_timer_new;
    host->timer_set = host_timer_set;
    host->timer_cancel = host_timer_cancel;
    host->timer_free = host_timer_free;
    host->post = host_post;
    host->file_open = host_file_open;
    host->file_write = host_file_write;
    host->file_close = host_file_close;
    host->check_error = check_error;
    host->check_pool = check_pool;
    host->check_route = check_route;
    host->check_listener = check_listener;
    host->check_file = check_file;
    host->shared = host_shared;
    host->state_dir = host_state_dir;
    host->block_name = host_block_name;
    host->metric_add = host_metric_add;
    host->fault = host_fault;
}
