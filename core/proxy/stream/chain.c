/* SPDX-License-Identifier: MIT */
/*
 * The chain of filters behind a response's body. See chain.h.
 */
#include "proxy/stream/chain.h"

#include <stdlib.h>

#include "base/log.h"
#include "proxy/plan/use.h"

/* Filters that may transform one response. */
#define CHAIN_STAGES 8

/* A filter has its call_budget for so much. */
#define CHAIN_UNIT 4096u

/* Output is gathered to this much before it goes to the codec. */
#define CHAIN_OUTPUT 16384u

/* A blocked stage stays blocked while this much is on its way to the client. */
#define CHAIN_HIGH (64u * 1024)

/* Limit of a stage's output kept for the next one: a filter that goes on although its output waits
 * is broken. */
#define CHAIN_KEPT_MAX (4u * 1024 * 1024)

/* Occasional small pieces are passed on at once; a steady trickle is flushed at most this often,
 * since each flush costs bytes and work. */
#define CHAIN_FLUSH_NS (20u * NS_PER_MS)

/* A filter in the chain. Invariant: kept_at <= kept_len <= kept_size; input is kept only while
 * blocked. */
struct stage {
    struct weir_transform handle;
    struct chain *chain;
    struct instance *instance;
    const struct weir_filter *ops;
    void *state;
    char *kept; /* input not yet taken */
    size_t kept_at, kept_len, kept_size;
    enum weir_flow flow; /* the flow of the kept input */
    bool blocked;        /* its output waits, or its input does */
};

struct chain {
    struct chain_sink sink;
    struct loop *loop;
    struct batch *batch;
    struct arena *arena;
    struct stage stages[CHAIN_STAGES];
    unsigned count;
    unsigned depth;   /* running hooks */
    bool unflushed;   /* data since the last flush */
    bool ended;       /* the first stage has got the last flow */
    bool stopped;     /* ended or aborted towards the client */
    bool failed;      /* a hook failed: abort once no hook runs */
    uint64_t written; /* bytes that stages have made */
    size_t waiting;   /* bytes waiting for the client's socket, when last checked */
    uint64_t flushed_ns;
    struct task flush_task;
    struct timer flush_timer;
    struct http_fields trailers;
    size_t output_len;
    char output[CHAIN_OUTPUT];
};

/* ---- the end of the chain ---- */

/* Passes data to the codec and writes what the socket takes: the codec must not keep these
 * bytes. */
static void sink_data(struct chain *chain, const char *data, size_t len)
{
    struct down *down = chain->sink.down;

    if (len > 0) {
        down->ops->data(down, data, len);
        chain->waiting = down->ops->waiting(down);
    }
}

static void sink_push(struct chain *chain)
{
    sink_data(chain, chain->output, chain->output_len);
    chain->output_len = 0;
}

static void sink_take(struct chain *chain, const char *data, size_t len)
{
    if (len > CHAIN_OUTPUT - chain->output_len) {
        sink_push(chain);
    }
    if (len > CHAIN_OUTPUT) {
        sink_data(chain, data, len);
    } else if (len > 0) {
        memcpy(chain->output + chain->output_len, data, len);
        chain->output_len += len;
    }
}

static void sink_end(struct chain *chain)
{
    struct down *down = chain->sink.down;

    chain_stop(chain);
    if (chain->output_len > 0) {
        down->ops->data(down, chain->output, chain->output_len);
    }
    for (uint32_t i = 0; i < chain->trailers.count; i++) {
        down->ops->trailer(down, chain->trailers.items[i].name, chain->trailers.items[i].value);
    }
    chain->sink.on_end(chain->sink.owner);
    down->ops->waiting(down); /* sends now: the output is freed with the chain */
}

/* ---- stages ---- */

/* Bytes between the stage and the client. */
static size_t waiting_behind(const struct chain *chain, const struct stage *stage)
{
    size_t waiting = chain->output_len + chain->waiting;

    for (const struct stage *s = stage + 1; s < chain->stages + chain->count; s++) {
        waiting += s->kept_len - s->kept_at;
    }
    return waiting;
}

static void stage_keep(struct stage *stage, const char *data, size_t len)
{
    size_t size = stage->kept_len + len;

    if (len == 0) {
        return;
    }
    if (size - stage->kept_at > CHAIN_KEPT_MAX) {
        stage->chain->failed = true;
        return;
    }
    if (size > stage->kept_size) {
        size_t room = size < CHAIN_OUTPUT ? CHAIN_OUTPUT : size + size / 2;
        char *grown = realloc(stage->kept, room);
        if (grown == NULL) {
            stage->chain->failed = true;
            return;
        }
        stage->kept = grown;
        stage->kept_size = room;
    }
    memcpy(stage->kept + stage->kept_len, data, len);
    stage->kept_len = size;
}

static void stage_feed(struct chain *chain, unsigned index, const char *data, size_t len,
                       enum weir_flow flow);

/* Calls the hook and returns whether it took everything; *used is what it took. */
static bool stage_call(struct stage *stage, const char *data, size_t len, enum weir_flow flow,
                       size_t *used)
{
    struct chain *chain = stage->chain;

    *used = len;
    chain->depth++;
    struct call *call = call_begin(&stage->instance->context, HOOK_ON_RESPONSE_DATA);
    enum weir_status status =
        stage->ops->on_response_data(&stage->instance->context.base, stage->instance->data,
                                     stage->state, &stage->handle, data, len, flow, used);
    call_end_of(call, call_units(len, CHAIN_UNIT));
    chain->depth--;
    if (status != WEIR_OK && (status != WEIR_DECLINED || *used > len)) {
        call_strike(&stage->instance->context, HOOK_ON_RESPONSE_DATA, STRIKE_FAILED);
        chain->failed = true;
    }
    if (status != WEIR_OK) {
        return false;
    }
    *used = len;
    if (flow != WEIR_FLOW_MORE && !chain->failed) {
        stage_feed(chain, (unsigned)(stage - chain->stages) + 1, NULL, 0, flow);
    }
    return true;
}

/* Gives input to a stage, or to the codec behind the last one. */
static void stage_feed(struct chain *chain, unsigned index, const char *data, size_t len,
                       enum weir_flow flow)
{
    struct stage *stage = &chain->stages[index];
    size_t used = 0;

    if (chain->failed || chain->stopped) {
        return;
    }
    if (index == chain->count) {
        sink_take(chain, data, len);
        if (flow == WEIR_FLOW_END) {
            sink_end(chain);
        } else if (flow == WEIR_FLOW_FLUSH) {
            sink_push(chain);
        }
    } else if (stage->blocked) {
        stage_keep(stage, data, len);
        stage->flow = flow > stage->flow ? flow : stage->flow;
    } else if (!stage_call(stage, data, len, flow, &used) && !chain->failed) {
        stage->blocked = true;
        stage->flow = flow;
        stage_keep(stage, data + used, len - used);
    }
}

/* Gives a blocked stage its kept input. false: no progress. */
static bool stage_retry(struct stage *stage)
{
    struct chain *chain = stage->chain;
    enum weir_flow flow = stage->flow;
    uint64_t before = chain->written;
    size_t used = 0, len = stage->kept_len - stage->kept_at;

    if (stage_call(stage, stage->kept + stage->kept_at, len, flow, &used)) {
        free(stage->kept);
        stage->kept = NULL;
        stage->kept_at = stage->kept_len = stage->kept_size = 0;
        stage->flow = WEIR_FLOW_MORE;
        stage->blocked = false;
        return true;
    }
    stage->kept_at += used <= len ? used : 0;
    if (used == 0 && chain->written == before) {
        chain->failed = true; /* neither took nor produced anything, with room for both */
    }
    return false;
}

size_t chain_write(struct weir_transform *transform, const void *data, size_t len)
{
    struct stage *stage = container_of(transform, struct stage, handle);
    struct chain *chain = stage->chain;

    chain->written += len;
    stage_feed(chain, (unsigned)(stage - chain->stages) + 1, data, len, WEIR_FLOW_MORE);
    return chain->stopped ? 0 : waiting_behind(chain, stage);
}

/* After hooks have run: a failed one aborts the response. */
static void chain_settle(struct chain *chain)
{
    if (chain->failed && !chain->stopped && chain->depth == 0) {
        log_write(WEIR_LOG_ERROR, "stream",
                  "a filter failed on a response's body, which was broken off");
        chain_stop(chain);
        chain->sink.on_failed(chain->sink.owner);
    }
}

/* ---- flushing ---- */

static void chain_flush(struct chain *chain)
{
    if (!chain->unflushed || chain->stopped) {
        return;
    }
    timer_cancel(chain->loop, &chain->flush_timer);
    chain->flushed_ns = loop_now_ns(chain->loop);
    chain->unflushed = false;
    stage_feed(chain, 0, NULL, 0, WEIR_FLOW_FLUSH);
    chain_settle(chain);
}

/* At the end of a turn with data but no end. */
static void chain_flush_task(struct task *task)
{
    struct chain *chain = container_of(task, struct chain, flush_task);
    uint64_t since = loop_now_ns(chain->loop) - chain->flushed_ns;

    if (chain->flushed_ns == 0 || since >= CHAIN_FLUSH_NS) {
        chain_flush(chain);
    } else if (chain->unflushed && !timer_is_set(&chain->flush_timer)) {
        timer_set(chain->loop, &chain->flush_timer, CHAIN_FLUSH_NS - since);
    }
}

static void chain_flush_timer(struct timer *timer)
{
    struct chain *chain = container_of(timer, struct chain, flush_timer);
    struct batch *batch = chain->batch;

    chain_flush(chain);
    batch_flush(batch);
}

/* ---- for the owner ---- */

void chain_data(struct chain *chain, const char *data, size_t len)
{
    if (chain->stopped || chain->ended) {
        return;
    }
    chain->unflushed = true;
    stage_feed(chain, 0, data, len, WEIR_FLOW_MORE);
    task_queue(chain->loop, &chain->flush_task);
    chain_settle(chain);
}

void chain_trailer(struct chain *chain, struct weir_str name, struct weir_str value)
{
    name = arena_copy(chain->arena, name);
    value = arena_copy(chain->arena, value);
    if (name.ptr != NULL && value.ptr != NULL) { /* they may be dropped (RFC 9110 section 6.5.1) */
        fields_add(&chain->trailers, chain->arena, name, value);
    }
}

void chain_end(struct chain *chain)
{
    if (chain->stopped || chain->ended) {
        return;
    }
    chain->ended = true;
    chain->unflushed = false;
    stage_feed(chain, 0, NULL, 0, WEIR_FLOW_END);
    chain_settle(chain);
}

/* Resumes blocked stages, the nearest to the client first, while the client reads. */
bool chain_drained(struct chain *chain)
{
    struct down *down = chain->sink.down;

    chain->waiting = down->ops->waiting(down);
    for (unsigned i = chain->count; i > 0 && !chain->failed && !chain->stopped;) {
        struct stage *stage = &chain->stages[i - 1];
        if (!stage->blocked) {
            i--;
        } else if (waiting_behind(chain, stage) >= CHAIN_HIGH) {
            break;
        } else if (stage_retry(stage)) {
            i = chain->count; /* its output may have blocked the stages behind it */
        }
    }
    chain_settle(chain);
    return !chain_blocked(chain);
}

bool chain_blocked(const struct chain *chain)
{
    bool blocked = false;

    for (unsigned i = 0; i < chain->count; i++) {
        blocked |= chain->stages[i].blocked;
    }
    return blocked && !chain->stopped;
}

size_t chain_waiting(const struct chain *chain)
{
    const struct stage *first = &chain->stages[0];
    return chain->stopped ? 0 : first->kept_len - first->kept_at + waiting_behind(chain, first);
}

void chain_stop(struct chain *chain)
{
    chain->stopped = true;
    task_cancel(&chain->flush_task);
    timer_cancel(chain->loop, &chain->flush_timer);
}

struct chain *chain_new(struct loop *loop, struct batch *batch, struct arena *arena,
                        const struct chain_sink *sink)
{
    struct chain *chain = malloc(sizeof(*chain));

    if (chain == NULL) {
        return NULL;
    }
    memset(chain, 0, offsetof(struct chain, output));
    chain->sink = *sink;
    chain->loop = loop;
    chain->batch = batch;
    chain->arena = arena;
    chain->flush_task.fn = chain_flush_task;
    chain->flush_timer.fn = chain_flush_timer;
    return chain;
}

bool chain_add(struct chain *chain, struct instance *filter, void *state)
{
    bool twice = chain->count > 0 && chain->stages[chain->count - 1].instance == filter;

    if (twice || chain->count == CHAIN_STAGES) {
        return false;
    }
    chain->stages[chain->count++] = (struct stage){
        .handle = {filter->context.base.host},
        .chain = chain,
        .instance = filter,
        .ops = filter->use->module->descriptor.filter,
        .state = state,
    };
    return true;
}

void chain_close(struct chain **chain)
{
    struct chain *closed = *chain;

    if (closed == NULL) {
        return;
    }
    *chain = NULL;
    chain_stop(closed);
    for (unsigned i = 0; i < closed->count; i++) {
        struct stage *stage = &closed->stages[i];
        if (stage->ops->on_response_close != NULL) {
            struct call *call = call_begin(&stage->instance->context, HOOK_ON_RESPONSE_CLOSE);
            stage->ops->on_response_close(&stage->instance->context.base, stage->instance->data,
                                          stage->state);
            call_end(call);
        }
        free(stage->kept);
    }
    free(closed);
}
